#!/usr/bin/env bash
# The runner as PID 1 of a process namespace of its own: zombies, orphans, a COMMAND that ignores
# TERM, a shell around it, exit codes, every signal. $1: the binary, $2: tell_signals.
# shellcheck disable=SC2016 # what stands in single quotes is for the shells that are started
set -u
jobferry=$1
teller=$2
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
export HOME=$scratch # no profile files of the machine's
unset data_url train_url DLS_DATA_URL DLS_TRAIN_URL

# A namespace of its own: as root, as a user who may, or by sudo.
space=()
for try in 'unshare' 'unshare --propagation unchanged' 'unshare -Ur' 'sudo -n -E unshare'; do
  read -ra words <<<"$try"
  if "${words[@]}" -pf --mount-proc true 2>/dev/null; then
    space=("${words[@]}" -pf --mount-proc)
    break
  fi
done
if [ ${#space[@]} -eq 0 ]; then
  echo 'skipped: no process namespace may be made here' >&2
  [ "${CI:-}" = true ] && exit 1
  exit 77
fi
mkdir data && touch data/x
run() { "${space[@]}" "$jobferry" --data_url=data --train_url=out "$@"; }
has() { grep -Eq -- "$1" "${2:-$output}"; }

# ---- exit codes, through PID 1 and COMMAND alike
# each CODE SCRIPT…: a job each of its own, four at a time; those that end otherwise are printed
export jobferry scratch space_words="${space[*]}"
# shellcheck disable=SC2317 # called by xargs
one_end() { # CODE SCRIPT
  local got=0 words
  read -ra words <<<"$space_words"
  mkdir -p "ends/$1-$2" && cd "ends/$1-$2" || return
  "${words[@]}" "$jobferry" --data_url="$scratch/data" --train_url=out -- sh -c "$2" >log 2>&1 || got=$?
  if [ "$got" -ne "$1" ] || grep -q 'Sanitizer\|runtime error:' log; then
    echo "$2: $got, not $1"
    cat log
  fi
}
export -f one_end
all_end() { # of lines CODE SCRIPT
  local wrong
  wrong=$(tr '\n' '\0' | xargs -0 -P 4 -I{} bash -c 'one_end "${1%% *}" "${1#* }"' _ {})
  echo "$wrong"
  [ -z "$wrong" ]
}
all_codes() { for code in $(seq 0 255); do echo "$code exit $code"; done | all_end; }
check "each exit code from 0 to 255 comes through" all_codes
# those whose default is to end a process
deadly='1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 24 25 26 27 29 30 31 34 35 50 64'
all_deaths() { for n in $deadly; do echo "$((128 + n)) ulimit -c 0; kill -$n \$\$"; done | all_end; }
check "each signal that ends COMMAND comes through as 128 and its number" all_deaths
expect 0 '^1$' run -- sh -c 'echo $PPID'

# ---- zombies and orphans, while COMMAND is at work and after it
expect 0 'zombies: 0$' run -- bash -c '
  for i in $(seq 20); do (sleep 0.01 & (exit 3) & exec sleep 0.02) & done; wait
  for i in $(seq 20); do (setsid sh -c "sleep 0.05 & exit 0" &) ; done
  sleep 0.4
  echo zombies: $(cat /proc/[0-9]*/stat 2>/dev/null | grep -c ") Z ")'
expect 0 'left 3 processes at work' run -- sh -c 'sleep 1000 & setsid sleep 1000 & (setsid sleep 1000 &) ; sleep 0.1'
began=$(date +%s)
expect 0 'left [12] process(es)? at work' run -- sh -c 'trap "" TERM; (while :; do sleep 1000; done) & exit 0'
check "one that ignores TERM is not waited for" test $(($(date +%s) - began)) -lt 60

# ---- signals. begin WORDS…: a job in the background; $pid is the runner as seen from here
pid=
begin() {
  : >log
  "${space[@]}" "$jobferry" --data_url=data --train_url=out "$@" >log 2>&1 &
  outer=$!
  for ((i = 0; i < 600; i++)); do
    grep -q '^ready' log && break
    sleep 0.05
  done
  # below unshare (and sudo) in a line: the first whose own namespace has it as 1
  pid=$(pgrep -f "^$jobferry --data_url=data --train_url=out" | while read -r one; do
    [ "$(awk '/^NSpid/ {print $NF}' "/proc/$one/status")" = 1 ] && echo "$one"
  done | head -n 1)
}
send() { kill "-$1" "$pid" 2>/dev/null || sudo -n kill "-$1" "$pid"; }
ends_with() { # CODE
  local code=0
  wait "$outer" || code=$?
  [ "$code" -eq "$1" ] || { echo "code $code"; cat log; return 1; }
}
signals='HUP QUIT USR1 USR2 CHLD CONT TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR RTMIN RTMIN+7 RTMAX'
begin -- "$teller"
for signal in $signals; do
  send "$signal"
  number=$(kill -l "$signal")
  for ((i = 0; i < 100; i++)); do
    grep -qx "$number" log && break
    sleep 0.02
  done
  if [ "$signal" = CHLD ]; then
    check "CHLD is ours, and not passed on" bash -c "! grep -qx $number log"
  else
    check "$signal reaches COMMAND" grep -qx "$number" log
  fi
done
send TERM
check "TERM ends it" ends_with 75
check "TERM reached it" grep -qx 15 log
for signal in TERM INT; do
  begin --grace=2 -- bash -c 'trap "" TERM INT; echo ready; while :; do sleep 0.05; done'
  send "$signal"
  check "$signal, ignored by COMMAND: killed, 75" ends_with 75
  check "and it is said" has 'killed by SIGKILL: it had not ended in its share of --grace' log
done
begin -- sh -c 'echo ready; sleep 1000; true'
send TERM
check "a shell around it: 75" ends_with 75
begin -- bash -c 'set -m; echo ready; sleep 1000 & wait'
send TERM
check "a shell with jobs of their own: 75" ends_with 75
begin -- "$teller"
send KILL
wait "$outer" # unshare has an opinion of its own on this end
check "KILL takes all with it" bash -c "! pgrep -f '^$teller'"

finish
