#!/usr/bin/env bash
# Publishing into a real store: names written again, the lock with conditional writes, and without
# them, through a proxy that takes the conditions out (strip_conditions). Run by with_minio.sh.
# $1: the binary, $2: the proxy.
# shellcheck disable=SC2016 # what stands in single quotes is for the inner bash
set -u
jobferry=$1
proxy=$2
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
export HOME=$scratch AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
export S3_ENDPOINT=$MINIO_ENDPOINT
mkdir data && echo x >data/x
expect 0 '' "$jobferry" mb s3://pub
# A bucket for everybody: what is not signed can be changed on its way.
open_bucket() {
  command mc --config-dir mc --quiet alias set it "$MINIO_ENDPOINT" "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" &&
    command mc --config-dir mc --quiet anonymous set public it/pub
}
check "a public bucket" open_bucket

job() { # NAME SCRIPT OPTIONS…
  mkdir -p "$1"
  (cd "$1" && exec "$jobferry" --data_url="$scratch/data" --train_url="s3://pub/$1" "${@:3}" \
    -- bash -c "cd \"\$JOBFERRY_CKPT_DIR\" && $2")
}
cat_of() { "$jobferry" cat "s3://pub/$1" 2>/dev/null; }

# A name written again: the newest is at ckpt/ for people, the pointer's bytes have a key of their own.
expect 0 '' job last 'for i in 1 2 3; do echo "version $i" >last.tmp; mv last.tmp last.pt
  for _ in $(seq 2400); do [ "$(grep -c "\"state\":\"confirmed\"" ../events)" -ge $i ] && break; sleep 0.05; done; done' --events=events
check "ckpt/ has the newest" test "$(cat_of last/ckpt/last.pt)" = 'version 3'
manifest=$(cat_of last/.jobferry/latest.json | sed -n 's/.*"manifest": "\(.*\)",$/\1/p')
key=$(cat_of "last/$manifest" | sed -n 's/.*"key": "\(.*\)",$/\1/p')
check "the pointer's is a key of its own" test "${key#.jobferry/data/}" != "$key"
check "with the newest bytes" test "$(cat_of "last/$key")" = 'version 3'
withdrawn() { # no manifest names ckpt/last.pt: its bytes are others now
  local name
  while read -r name; do
    cat_of "last/$name" | grep -q '"key": "ckpt/' && return 1
  done < <("$jobferry" ls -r s3://pub/last/.jobferry/manifest/ 2>/dev/null | grep -o '\.jobferry/manifest/.*json')
  return 0
}
check "the manifest of the first bytes is withdrawn" withdrawn

# Two jobs, on a store that honours conditions and through a proxy that makes it ignore them.
two() { # NAME OPTIONS…
  local name=$1 first
  mkdir -p "$name.1" "$name.2"
  rm -f started
  (cd "$name.1" && exec "$jobferry" --data_url="$scratch/data" --train_url="s3://pub/$name" "${@:2}" \
    -- bash -c 'touch ../started; exec sleep 600') >"$name.log" 2>&1 &
  first=$!
  for _ in $(seq 1 600); do [ -e started ] && break; sleep 0.05; done
  second() {
    (cd "$name.2" && exec "$jobferry" --data_url="$scratch/data" --train_url="s3://pub/$name" "$@" -- true)
  }
  expect 78 'another job .* holds' second "${@:2}" --lock_wait=0
  expect 0 '' second "${@:2}" --break_lock
  loses() {
    local code=0
    wait "$first" || code=$?
    echo "code $code"
    cat "$name.log"
    [ "$code" -eq 78 ] && grep -q 'another job has taken' "$name.log"
  }
  check "$name: a job that lost its lock ends with 78" loses
}
two honoured
check "with conditions nothing is said of an advisory lock" bash -c '! grep -q advisory honoured.log'
"$proxy" "$MINIO_ENDPOINT" >proxy.port &
proxy_pid=$!
at_end() { kill "$proxy_pid" 2>/dev/null; }
for _ in $(seq 1 600); do [ -s proxy.port ] && break; sleep 0.05; done
stripped=(--server="http://127.0.0.1:$(cat proxy.port)" --sign=none)
two stripped "${stripped[@]}"
check "without them it is, in one line" test "$(grep -c 'the lock of .* is advisory' stripped.log)" -eq 1

# Two that start in the same moment: one goes on, whoever it is.
race() { # NAME OPTIONS…
  local name=$1 codes='' code
  for i in 1 2; do
    mkdir -p "$name.$i"
    (cd "$name.$i" && exec "$jobferry" --data_url="$scratch/data" --train_url="s3://pub/$name" "${@:2}" \
      --lock_wait=2 -- sleep 8) >"$name.$i.log" 2>&1 &
    eval "pid$i=\$!"
  done
  for i in 1 2; do
    code=0
    eval "wait \$pid$i" || code=$?
    codes="$codes $code"
  done
  echo "codes $codes"
  cat "$name".?.log
  [ "$codes" = ' 0 78' ] || [ "$codes" = ' 78 0' ]
}
check "of two at once one goes on, with conditions" race together
check "and without" race apart "${stripped[@]}"
finish
