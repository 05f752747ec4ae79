#!/usr/bin/env bash
# Any COMMAND between two folders: its words byte for byte, its environment, its exit codes, its end
# by signals within the grace, tries again, inputs and outputs, what platforms are told. $1: the binary.
# shellcheck disable=SC2016 # what stands in single quotes is for the shells that are started
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
scratch=$PWD
export HOME=$scratch # no profile files of the machine's
unset data_url train_url DLS_DATA_URL DLS_TRAIN_URL
mkdir data && echo one >data/one
places=(--data_url=data --train_url=out)
run() { timeout 60 "$jobferry" "${places[@]}" "$@"; }
has() { grep -Eq -- "$1" "${2:-$output}"; }

# ---- words
words() { printf '%s\0' "$@"; }
same_words() { # FILE WORD…: the file holds exactly these words
  local file=$1
  shift
  cmp "$file" <(words "$@")
}
show='printf "%s\0" "$@" >words'
all=('' ' ' 'a b' $'tab\tline\nend' "'\"\\" '*' '$HOME' $'\x01\xff\xfe' '--' '-' 'ü')
expect 0 '' run -- sh -c "$show" sh "${all[@]}"
check "words after -- arrive byte for byte" same_words words "${all[@]}"
expect 0 '' run --unknown=1 '' 'loose word' --flag -x $'--odd=\xff' -- sh -c "$show" sh own
check "unknown ones follow, in order" same_words words own --unknown=1 '' 'loose word' --flag -x $'--odd=\xff'
big=$(head -c 100000 /dev/zero | tr '\0' x)
big_words() { run --one="$big" --two="$big" -- sh -c "$show" sh "$big" "$big"; }
expect 0 '' big_words
check "400 KB of words" same_words words "$big" "$big" --one="$big" --two="$big"
expect 0 '' run -- sh -c "$show" sh '{data_dir}/x' 'a{ckpt_dir}b{output_dir}' '{resume_ckpt}' '{other}' '{data_dir'
check "places are put in" same_words words "$scratch/data/x" "a$scratch/ckptb$scratch/output" '' '{other}' '{data_dir'
expect 0 '' run --more=1 --append_urls -- sh -c "$show" sh own
check "--append_urls" same_words words own "--data_url=$scratch/data" "--train_url=$scratch/ckpt" --more=1
places=()
expect 0 'data_url and train_url after' run -- sh -c "$show" sh own --data_url=data --x=1 --train-url out
check "URLs after -- are ours, when unset" same_words words own --x=1
expect 0 '' env data_url=data train_url=out timeout 60 "$jobferry" --a=1 -- sh -c "$show" sh --data_url=theirs
check "and COMMAND's own when set" same_words words --data_url=theirs --a=1
expect 64 'train_url is missing' run --data_url=data -- true
expect 0 '' run --train_url=out -- sh -c 'test -d "$JOBFERRY_DATA_DIR"'
places=(--data_url=data --train_url=out)

# ---- environment
export AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=hush1 OBS_SECURITY_TOKEN=hush2 JOBFERRY_DATA_SECRET_ACCESS_KEY=hush3
export KEPT='a=b'
expect 0 '' run -- sh -c 'env >environment; cat /proc/$PPID/environ >parents 2>/dev/null; cat /proc/$PPID/cmdline >line' --sk=x
for line in "data_url=$scratch/data" "train_url=$scratch/ckpt" "JOBFERRY_DATA_DIR=$scratch/data" \
  "JOBFERRY_CKPT_DIR=$scratch/ckpt" "JOBFERRY_OUTPUT_DIR=$scratch/output" JOBFERRY_RESUME_CKPT= \
  JOBFERRY_RESUME_EPOCH=0 JOBFERRY_RESUME_STEP=0 JOBFERRY_ATTEMPT=1 KEPT=a=b; do
  check "$line" grep -qxF "$line" environment
done
check "no secret reaches COMMAND" bash -c '! grep hush environment'
check "none is left in our own environment block" bash -c '! grep -a hush parents'
expect 0 '' run --pass_credentials -- sh -c 'env >environment'
check "--pass_credentials" grep -q 'AWS_SECRET_ACCESS_KEY=hush1' environment
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY OBS_SECURITY_TOKEN JOBFERRY_DATA_SECRET_ACCESS_KEY
mkdir more && echo two >more/two
expect 0 '' run --input=more=more --output=Logs=kept -- \
  sh -c 'cat "$JOBFERRY_INPUT_MORE/two" >"$JOBFERRY_OUTPUT_LOGS/copy"; echo 3 >"$JOBFERRY_OUTPUT_DIR/three"'
check "--input and --output" grep -q two kept/copy
check "output_dir goes out" grep -q 3 out/output/three
for bad in --input=x --input=a-b=c --output==c --output=a=; do
  expect 64 'takes NAME=URL' run "$bad" -- true
done
expect 64 'is given twice' run --input=a=data --input=A=data -- true

# ---- exit codes
for code in 1 3 64 75 79 80 82 126 127 130 255; do
  expect "$code" "sh ended with exit code $code" run -- sh -c "exit $code"
done
check "whose code it was is told" has '"by": "command"' report.json
expect 0 '' run -- true
check "0 is the runner's own" has '"by": "runner"' report.json
expect 127 'no such program in PATH' run -- no-such-program
expect 127 'no such program' run -- ./no-such-program
touch plain
expect 126 'cannot be executed' run -- ./plain
echo 'exit 9' >plain && chmod +x plain
expect 9 '' run -- ./plain # without #!, as a shell does
for signal in KILL:137 TERM:143 ABRT:134 SEGV:139 HUP:129; do
  expect "${signal#*:}" "killed by SIG${signal%:*}" run -- sh -c "ulimit -c 0; kill -${signal%:*} \$\$"
done
expect 4 'try 2 of 3 in 1 s' run --retries=2 -- sh -c 'echo "$JOBFERRY_TRY" >>tries; exit 4'
check "three tries" test "$(tr -d '\n' <tries)" = 123
expect 0 'ended with exit code 1' run --retries=5 -- sh -c 'test "$JOBFERRY_TRY" -eq 2'
began=$(date +%s%N)
expect 4 'try 3 of 3 in 2 s' run --retries=2 -- sh -c 'exit 4'
check "the pauses are kept, and grow" test $((($(date +%s%N) - began) / 1000000)) -ge 3000
expect 0 'COMMAND failed' run --retries=2 --resume=never -- sh -c '
  echo "$JOBFERRY_TRY $JOBFERRY_RESUME_CKPT $JOBFERRY_RESUME_EPOCH $JOBFERRY_RESUME_STEP" >>gone-on
  cd "$JOBFERRY_CKPT_DIR"
  case $JOBFERRY_TRY in
  1) for i in 1 2 3; do echo $i >m-7_$i.pt; sleep 0.05; done; exit 1 ;;
  2) for i in 4 5; do echo $i >m-7_$i.pt; sleep 0.05; done; exit 1 ;;
  esac'
check "a try goes on from what the one before saved, but for what nothing proves" cmp gone-on - <<EOF
1  0 0
2 $scratch/ckpt/m-7_2.pt 7 2
3 $scratch/ckpt/m-7_4.pt 7 4
EOF
stopped_between() { # a signal while the next try is waited for
  local got=0 i
  "$jobferry" "${places[@]}" --retries=9 -- sh -c 'echo $JOBFERRY_TRY >last-try; exit 1' >log 2>&1 &
  local job=$!
  for ((i = 0; i < 600; i++)); do
    has 'try 4 of 10 in 4 s' log && break
    sleep 0.05
  done
  kill -TERM "$job"
  wait "$job" || got=$?
  cat log last-try
  [ "$got" -eq 75 ] && [ "$(cat last-try)" -eq 3 ]
}
check "told to stop between two tries: 75, and no other begins" stopped_between

# ---- signals
# stopped SIGNAL CODE REGEX WORDS…: a job that is sent a signal once COMMAND has made `ready`
stopped() {
  local signal=$1 code=$2 regex=$3 got=0 i
  shift 3
  rm -f ready
  "$jobferry" "${places[@]}" "$@" >log 2>&1 &
  local job=$!
  for ((i = 0; i < 600; i++)); do
    [ -e ready ] && break
    sleep 0.05
  done
  kill "-$signal" "$job"
  wait "$job" || got=$?
  echo "code $got, wanted $code and /$regex/"
  cat log
  [ "$got" -eq "$code" ] && has "$regex" log && ! grep 'Sanitizer\|runtime error:' log
}
export unique=9$$ # seconds that nobody else sleeps
gone() { ! pgrep -f "sleep $unique.$1" >/dev/null; } # N: no process of the test's is left
wait_here='touch ready; while :; do sleep 0.05; done'
check "TERM: 75" stopped TERM 75 'run the same command again' -- bash -c "$wait_here"
check "INT: 75" stopped INT 75 'COMMAND gets SIGINT' -- bash -c "trap 'exit 0' INT; $wait_here"
check "COMMAND may save" stopped TERM 75 'ended with exit code 0' -- \
  bash -c "trap 'echo saved >saved; exit 0' TERM; $wait_here"
check "it has" grep -q saved saved
check "one that ignores TERM is killed" stopped TERM 75 'not ended in its share' --grace=2 -- \
  bash -c "trap '' TERM; $wait_here"
check "its report says how" has '"code": 75' report.json
check "--preempt_signal is what COMMAND gets" stopped TERM 75 'gets SIGUSR1' --preempt_signal=USR1 -- \
  bash -c "trap 'echo usr1 >first; exit 0' USR1; $wait_here"
check "it was" grep -q usr1 first
check "and what we take for TERM" stopped USR1 75 'gets SIGUSR1' --preempt_signal=SIGUSR1 -- \
  bash -c "trap 'exit 0' USR1; $wait_here"
expect 64 'signal.s name' run --preempt_signal=NOPE -- true
check "a group at once" stopped TERM 75 '' --signal_scope=group -- \
  bash -c "trap 'wait; exit 0' TERM; bash -c \"trap 'echo group >group; exit 0' TERM; $wait_here\" & while :; do sleep 0.05; done"
check "all were told" grep -q group group
rm group
check "one that does not pass it on: the group is told half-way, in time to save" stopped TERM 75 'ended with exit code 0' --grace=16 -- \
  bash -c "trap : TERM; bash -c \"trap 'echo group >group; exit 0' TERM; $wait_here\" & while kill -0 \$!; do sleep 0.05; done; exit 0"
check "it was told" grep -q group group
check "other signals are passed on" stopped HUP 3 'exit code 3' -- bash -c "trap 'exit 3' HUP; $wait_here"
check "--time_limit" stopped WINCH 82 'time_limit' --time_limit=1 -- bash -c "$wait_here"
check "a wrapper's child does not stay" stopped TERM 75 '' -- sh -c 'touch ready; sleep $unique.1; true'
check "it is gone" gone 1
expect 0 'left 2 processes at work' run -- sh -c 'sleep $unique.2 & setsid sleep $unique.2 & exit 0'
check "left-overs are ended" gone 2
twice() {
  local got=0 i
  rm -f ready
  "$jobferry" "${places[@]}" --grace=600 -- bash -c "trap '' TERM; $wait_here" >log 2>&1 &
  local job=$!
  for ((i = 0; i < 600; i++)); do
    [ -e ready ] && break
    sleep 0.05
  done
  kill -TERM "$job"
  sleep 0.3
  kill -TERM "$job"
  wait "$job" || got=$?
  cat log
  [ "$got" -eq 75 ]
}
check "a second signal ends it at once" twice
killed() { # KILL of the runner: the rerun ends what it left
  rm -f ready
  "$jobferry" "${places[@]}" -- bash -c "trap '' TERM; touch ready; while :; do sleep $unique.3; done" >log 2>&1 &
  local job=$! i
  for ((i = 0; i < 600; i++)); do
    [ -e ready ] && break
    sleep 0.05
  done
  kill -KILL "$job"
  wait "$job"
  ! gone 3
}
check "the runner is killed, COMMAND stays" killed
expect 0 'had left [0-9]+ process' run -- true
check "until the next start" gone 3

# ---- what platforms are told
places+=(--termination_log="$scratch/termination" --failure_file="$scratch/sagemaker/failure")
expect 3 '' run -- sh -c 'exit 3'
check "no file is made where there is no platform" absent termination
: >termination
mkdir sagemaker
expect 3 '' run -- sh -c 'exit 3'
check "Kubernetes is told" has '^jobferry: exit code 3: sh ended with exit code 3$' termination
check "SageMaker is told" has 'sh ended with exit code 3' sagemaker/failure
echo mine >termination && echo mine >sagemaker/failure
expect 3 '' run -- sh -c 'exit 3'
check "never over what somebody wrote" grep -qx mine termination
check "neither there" grep -qx mine sagemaker/failure
: >termination && rm sagemaker/failure
expect 3 '' run -- sh -c "echo user >'$scratch/sagemaker/failure'; exit 3"
check "COMMAND's own reason stays" grep -qx user sagemaker/failure
: >termination && rm sagemaker/failure
expect 0 '' run -- true
check "a good end is told too" has 'exit code 0: finished' termination
check "but is no failure" absent sagemaker/failure

finish
