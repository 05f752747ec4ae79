#!/usr/bin/env bash
# The network between us and a real store fails: cut, reset, silent, slow, away; and Ctrl-C at any
# moment. By with_minio.sh; toxiproxy stands between. $1: the binary.
set -u
jobferry=$1
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib.sh
. "$here/lib.sh"
cd "$scratch" || exit 1

# shellcheck source=tests/toxiproxy.sh
. "$here/toxiproxy.sh"
find_toxiproxy
export HOME=$scratch # no profile files of the machine's
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD

# ---- the proxy between
proxy=
# shellcheck disable=SC2317 # called by lib.sh's trap
at_end() { [ -n "$proxy" ] && kill "$proxy" 2>/dev/null; }
start_toxiproxy proxy.log
tell POST /proxies "{\"name\":\"m\",\"listen\":\"127.0.0.1:0\",\"upstream\":\"${MINIO_ENDPOINT#http://}\"}" >made
server=http://$(grep -o '127.0.0.1:[1-9][0-9]*' made | head -n 1)
toxic() { # NAME STREAM ATTRIBUTES: applies to connections from now on
  local try
  for try in $(seq 1 40); do # the one before may still be on its way out
    tell POST /proxies/m/toxics "{\"name\":\"t$try\",\"type\":\"$1\",\"stream\":\"$2\",\"attributes\":$3}" |
      grep -q '"error"' || break
    sleep 0.05
  done
  current=t$try
}
heal() { tell DELETE "/proxies/m/toxics/$current" >/dev/null; }
switch() { tell POST /proxies/m "{\"enabled\":$1}" >/dev/null; }

copy() { "$jobferry" cp --server="$server" "$@"; }
head -c 3000000 /dev/urandom >one
mkdir many
for i in 1 2 3 4 5 6 7 8; do
  head -c $((i * 20000)) /dev/urandom >"many/$i"
done
expect 0 '' "$jobferry" mb --server="$server" s3://bucket
expect 0 '' copy one s3://bucket/one
expect 0 'copied 8' copy -r many s3://bucket/many

# fails_then_heals ARGUMENTS…: a copy that has met the toxic is healed, and ends well.
fails_then_heals() {
  rm -f out err
  "$jobferry" cp --json --verbose --stall_timeout=1 --server="$server" "$@" >out 2>err &
  local copying=$! i
  for ((i = 0; i < 600; i++)); do
    grep -Eqs "did not complete|cannot be reached" err && break
    sleep 0.05
  done
  heal
  wait "$copying" && grep -q '"retries":[1-9]' out
}

# Down and up, through each trouble; the toxic is there for the first tries.
for trouble in 'limit_data {"bytes":20000}' 'reset_peer {"timeout":0}' 'timeout {"timeout":0}' \
  'timeout {"timeout":100}'; do
  read -r name attributes <<<"$trouble"
  rm -rf down
  toxic "$name" downstream "$attributes"
  check "$trouble: one comes down" fails_then_heals s3://bucket/one down/one
  check "$trouble: whole" same_bytes one down/one
  toxic "$name" downstream "$attributes"
  check "$trouble: many come down" fails_then_heals -r s3://bucket/many down/many
  check "$trouble: whole" diff -r many down/many
  toxic "$name" upstream "$attributes"
  check "$trouble: one goes up" fails_then_heals one s3://bucket/up
  expect 0 '' copy s3://bucket/up down/up
  check "$trouble: whole" same_bytes one down/up
done

# Slow and in pieces is no trouble.
toxic slicer downstream '{"average_size":700,"size_variation":300,"delay":0}'
expect 0 '' copy s3://bucket/one down/sliced
check "whole" same_bytes one down/sliced
heal

# Trouble that stays: the code says which, and nothing is left under the name.
echo old >kept
toxic limit_data downstream '{"bytes":20000}'
expect 74 'GET.*s3://bucket/one|GET http.*tries' copy --stall_timeout=1 s3://bucket/one kept
check "what was there is there" grep -q old kept
heal
switch false
expect 69 'refused' copy s3://bucket/one kept
one_line
check "what was there is there" grep -q old kept
switch true

# ---- Ctrl-C at any moment: 130 (or 0, when it was done before), and under each name all or nothing
mkdir big
for i in 1 2 3; do
  head -c 9000000 /dev/urandom >"big/$i"
done
all_or_nothing() { # FOLDER: each file there is whole
  local file
  for file in "$1"/[0-9]*; do
    [ -e "$file" ] || continue
    cmp "$file" "big/${file##*/}" || return 1
  done
}
interrupted=0
interrupt() { # MILLISECONDS COMMAND…
  local delay=$1 code=0
  shift
  "$@" >out 2>&1 &
  local running=$!
  sleep "$(printf '0.%03d' "$delay")"
  kill -INT "$running" 2>/dev/null
  wait "$running" || code=$?
  [ "$code" -eq 130 ] && interrupted=$((interrupted + 1))
  [ "$code" -eq 130 ] || [ "$code" -eq 0 ] || { echo "code $code after $delay ms" && cat out && return 1; }
  ! grep 'Sanitizer\|runtime error:' out
}
expect 0 'copied 3' "$jobferry" cp -r --server="$MINIO_ENDPOINT" big s3://bucket/big
toxic bandwidth downstream '{"rate":30000}'
for _ in 1 2 3 4 5 6; do
  rm -rf stopped
  check "down, stopped" interrupt $((RANDOM % 500)) "$jobferry" cp -r --server="$server" s3://bucket/big stopped
  check "all or nothing" all_or_nothing stopped
  rm -rf stopped
  check "between folders, stopped" interrupt $((RANDOM % 100)) "$jobferry" cp -r big stopped
  check "all or nothing" all_or_nothing stopped
  check "listing, stopped" interrupt $((RANDOM % 60)) "$jobferry" ls -r --server="$server" s3://bucket
done
heal
toxic bandwidth upstream '{"rate":20000}'
for _ in 1 2 3 4; do
  check "up, stopped" interrupt $((RANDOM % 700)) "$jobferry" cp -r --server="$server" big s3://bucket/stopped
done
heal
mkdir back
"$jobferry" cp -r --server="$server" s3://bucket/stopped back >/dev/null 2>&1
check "all or nothing" all_or_nothing back
check "some were stopped in time" test "$interrupted" -gt 4
check "SIGTERM is told from it" bash -c "'$jobferry' put - '$scratch/never' <>/dev/zero >out 2>&1 & sleep 1; kill -TERM \$!; wait \$!; test \$? -eq 143"
check "nothing is left" absent never

finish
