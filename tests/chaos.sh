#!/usr/bin/env bash
# Kills whole jobs at random moments while the store is in trouble, and starts them again:
#
#     tests/with_minio.sh tests/chaos.sh JOBFERRY BUSY_STORE [ROUNDS [SEED [AT_ONCE]]]
#
# ROUNDS 300, SEED 1, AT_ONCE 3; a round's number and SEED decide all that chance decides. Each round
# is a job of the built-in trainer or of COMMAND (chaos_trainer.sh), a trouble (none, latency, cuts,
# an outage longer than the grace, 503s) that begins before the kill and ends after it, and a kill:
# TERM to the runner, KILL to it, to the child, to both. Then it is started again, in the same folder
# or in an empty one, until it is done. After each death and at the end must hold:
#
#   pointer    latest.json names a manifest, and that only files with its sizes and sums
#   loss       it goes on from the newest checkpoint of the folder (COMMAND's from the last but one at
#              least: its format proves nothing), or of the pointer where the folder is gone
#   weights    the end has the bytes of an undisturbed run
#   codes      are those of the table
#
# Prints a line a round and a tally; ends with 1 when something did not hold.
set -u
jobferry=$1 busy=$2 rounds=${3:-300} seed=${4:-1} at_once=${5:-3}
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/toxiproxy.sh
. "$here/toxiproxy.sh"
find_toxiproxy
work=$(mktemp -d)
export HOME=$work # no profile files of the machine's
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
unset data_url train_url DLS_DATA_URL DLS_TRAIN_URL
proxy=
"$busy" >"$work/busy" &
busy_pid=$!
cleanup() {
  kill "$proxy" "$busy_pid" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT
start_toxiproxy "$work/toxiproxy.log"
busy_port=$(cat "$work/busy")

grace=3 epochs=2 every=4 steps=60
direct() { "$jobferry" "$@" --server="$MINIO_ENDPOINT"; }
"$jobferry" data digits "$work/digits" --train=320 --test=32 >/dev/null 2>&1 || exit 1
direct mb s3://data && direct mb s3://out || exit 1
direct cp -r "$work/digits" s3://data/MNIST >/dev/null 2>&1 || exit 1

# The job of a round: job NAME TRAINER ENDPOINT; it becomes the process.
job() {
  local common=(--data_url=s3://data/MNIST --train_url="s3://out/$1" --server="$3" --grace="$grace"
    --stall_timeout=2 --drain_timeout=20)
  if [ "$2" = builtin ]; then
    exec "$jobferry" "${common[@]}" --epochs="$epochs" --save_checkpoint_steps="$every" --keep_checkpoint_max=100
  fi
  exec "$jobferry" "${common[@]}" --checkpoint_glob='*.state' -- "$here/chaos_trainer.sh" "$steps" "$every"
}
now_ms() { date +%s%3N; }
pause_ms() { sleep "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"; }
# What the end has: the weights, or the chain's last state.
result() { # FOLDER TRAINER [PREFIX]
  if [ "$2" = builtin ]; then
    head -c 494155 "$1/ckpt/${3:-lenet}-${epochs}_10.ckpt" 2>/dev/null | sha256sum | cut -d ' ' -f 1
  else
    cat "$1/ckpt/model-$((steps / 20 + 1))_$steps.state" 2>/dev/null
  fi
}
for trainer in builtin command; do
  mkdir "$work/whole-$trainer"
  began=$(now_ms)
  (cd "$work/whole-$trainer" && job "whole-$trainer" "$trainer" "$MINIO_ENDPOINT") >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
  }
  declare "took_$trainer=$(($(now_ms) - began))" "whole_$trainer=$(result "$work/whole-$trainer" "$trainer")"
done
echo "undisturbed: built-in ${took_builtin:?} ms, COMMAND ${took_command:?} ms"

crc32_of() { gzip -1c | tail -c 8 | head -c 4 | od -An -tx4 | tr -d ' '; }
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p"; } # of pretty JSON, one a line
# The pointer and all it names; prints its cumulative step, 0 without a pointer.
check_pointer() { # NAME
  local url=s3://out/$1 manifest key size crc
  direct cat "$url/.jobferry/latest.json" >latest 2>/dev/null || { echo 0 && return 0; }
  manifest=$(field manifest <latest)
  [ -n "$manifest" ] || { echo 0 && return 0; }
  direct cat "$url/$manifest" >listed 2>/dev/null || return 1
  paste <(field key <listed) <(field size <listed) <(field crc32 <listed) >files
  [ -s files ] || return 1
  while read -r key size crc; do
    direct cat "$url/$key" >object 2>/dev/null || return 1
    [ "$(stat -c %s object)" -eq "$size" ] && [ "$(crc32_of <object)" = "$crc" ] || return 1
  done <files
  field cumulative_step <latest
}
# The newest step that was saved, and the one that was gone on from, as the log tells.
saved_step() { # TRAINER LOG
  if [ "$1" = builtin ]; then
    sed -n 's/.*saved ckpt\/lenet-\([0-9]*\)_\([0-9]*\)\.ckpt.*/\1 \2/p' "$2" | awk '{s = ($1 - 1) * 10 + $2} END {print s + 0}'
  else
    sed -n 's/^saved \([0-9]*\)$/\1/p' "$2" | sort -n | tail -n 1 | grep . || echo 0
  fi
}
resumed_step() { # TRAINER LOG
  if [ "$1" = builtin ]; then
    sed -n 's/.*continuing run .*(epoch \([0-9]*\), step \([0-9]*\)).*/\1 \2/p' "$2" | awk '{s = ($1 - 1) * 10 + $2} END {print s + 0}'
  else
    sed -n 's/^goes on from step \([0-9]*\)$/\1/p' "$2" | grep . || echo 0
  fi
}

begin_trouble() { # TROUBLE PROXY
  case $1 in
  latency) tell POST "/proxies/$2/toxics" '{"name":"t","type":"latency","attributes":{"latency":150,"jitter":100}}' ;;
  cuts) tell POST "/proxies/$2/toxics" "{\"name\":\"t\",\"type\":\"limit_data\",\"stream\":\"$3\",\"attributes\":{\"bytes\":20000}}" ;;
  outage) tell POST "/proxies/$2" '{"enabled":false}' ;;
  busy) tell POST "/proxies/$2" "{\"upstream\":\"127.0.0.1:$busy_port\"}" ;;
  esac >/dev/null
}
end_trouble() {
  case $1 in
  latency | cuts) tell DELETE "/proxies/$2/toxics/t" ;;
  outage) tell POST "/proxies/$2" '{"enabled":true}' ;;
  busy) tell POST "/proxies/$2" "{\"upstream\":\"${MINIO_ENDPOINT#http://}\"}" ;;
  esac >/dev/null
}
pick() { # WORD…: one by chance
  shift $((RANDOM % $#))
  echo "$1"
}
# Whether a first end's code is one of the table's for what was done.
code_fits() { # CODE KILL TROUBLE
  case $1:$2:$3 in
  0:*) true ;;                         # it was done before
  137:kill*) true ;;                   # the runner, or COMMAND with the runner telling of it
  75:term:*) true ;;                   # what is safe is confirmed
  79:term:[!n]*) true ;;               # only with the store in trouble
  69:*:[!n]* | 74:*:[!n]*) true ;;     # no answer at the start; not all copied at the end
  *) false ;;
  esac
}

round() { # NUMBER
  RANDOM=$((seed * 1000 + $1))
  local name=job$1 trainer trouble kill fold stream took moment lead code=0 pid child verdict=good before=0
  trainer=$(pick builtin builtin command)
  trouble=$(pick none none latency cuts outage busy)
  kill=$(pick term term kill)
  [ "$trainer" = command ] && kill=$(pick term kill kill-child kill-both)
  fold=$(pick kept kept gone)
  stream=$(pick upstream downstream)
  took=$took_builtin
  [ "$trainer" = command ] && took=$took_command
  moment=$((RANDOM % (took + 100)))
  lead=$((RANDOM % (moment + 1)))
  mkdir -p "$work/$name/job" && cd "$work/$name" || return 1
  tell POST /proxies "{\"name\":\"$name\",\"listen\":\"127.0.0.1:0\",\"upstream\":\"${MINIO_ENDPOINT#http://}\"}" >made
  local front
  front=http://$(grep -o '127.0.0.1:[1-9][0-9]*' made | head -n 1)
  (cd job && job "$name" "$trainer" "$front") >first 2>&1 &
  pid=$!
  pause_ms $((moment - lead))
  begin_trouble "$trouble" "$name" "$stream"
  pause_ms "$lead"
  child=$(pgrep -P "$pid" | head -n 1)
  case $kill in
  term) kill -TERM "$pid" ;;
  kill) kill -KILL "$pid" ;;
  kill-child) kill -KILL "${child:-none}" ;;
  kill-both) kill -KILL "$pid" "${child:-$pid}" ;;
  esac 2>/dev/null
  # A runner that lives must end by itself; one whose child alone was killed may wait for the store.
  { [ "$trouble" = outage ] && pause_ms $((grace * 1000 + 500)); end_trouble "$trouble" "$name"; } &
  wait "$pid" 2>/dev/null || code=$?
  wait
  # A signal that comes before main() has the system's own answer.
  if [ "$code" -eq 143 ] && [ ! -s first ]; then code=75; fi
  code_fits "$code" "$kill" "$trouble" || verdict="CODE $code"
  before=$(check_pointer "$name") || verdict="$verdict,POINTER"
  local must
  must=$(saved_step "$trainer" first)
  [ "$trainer" = command ] && must=$((must > every ? must - every : 0))
  if [ "$fold" = gone ]; then
    rm -rf job && mkdir job
    must=$before
  fi
  local again=0
  (cd job && job "$name" "$trainer" "$front") >second 2>&1 || again=$?
  [ "$again" -eq 0 ] || verdict="$verdict,AGAIN $again"
  local resumed whole=whole_$trainer
  resumed=$(resumed_step "$trainer" second)
  # A run that was whole before it died is not gone on from: the next start begins a new one.
  local prefix end=20
  prefix=$(sed -n 's/.*starts fresh, checkpoints \(.*\)-….*/\1/p' second)
  [ "$trainer" = command ] && end=$((steps - every))
  if ! grep -q 'starts fresh' second || [ "${must:-0}" -lt "$end" ]; then
    [ "$resumed" -ge "${must:-0}" ] || verdict="$verdict,LOSS $resumed of $must"
  fi
  [ "$(result job "$trainer" "$prefix")" = "${!whole}" ] || verdict="$verdict,WEIGHTS"
  check_pointer "$name" >/dev/null || verdict="$verdict,POINTER"
  grep -q 'Sanitizer\|runtime error:' first second && verdict="$verdict,SANITIZER"
  printf '%4d %-8s %-10s %-8s %-5s after %5d ms: %3d, %s\n' "$1" "$trainer" "$kill" "$trouble" "$fold" "$moment" "$code" "$verdict"
  tell DELETE "/proxies/$name" >/dev/null
  if [ "$verdict" = good ]; then
    rm -rf "${work:?}/$name"
  else
    sed 's/^/    first:  /' first | tail -n 12
    sed 's/^/    second: /' second | tail -n 12
  fi
}

mkdir "$work/verdicts"
for number in $(seq "$rounds"); do
  while [ "$(jobs -rp | wc -l)" -ge $((at_once + 2)) ]; do # toxiproxy and busy_store are two more
    sleep 0.05
  done
  (round "$number") >"$work/verdicts/$number" 2>&1 &
done
while [ "$(jobs -rp | wc -l)" -gt 2 ]; do
  sleep 0.1
done
cd "$work/verdicts" || exit 1
# shellcheck disable=SC2046 # numbers
cat $(seq "$rounds")
cat -- * >../all
echo "$(grep -c ', good$' ../all) of $rounds rounds good"
sed -n 's/^ *[0-9]* \(builtin\|command\) *\([a-z-]*\) .*: *\([0-9]*\), \(.*\)$/\1 \2: code \3, \4/p' ../all | sort | uniq -c
[ "$(grep -c ', good$' ../all)" -eq "$rounds" ]
