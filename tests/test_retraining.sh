#!/usr/bin/env bash
# Training again on a schedule: gates, promotion, --init_from=best, --if_changed; and ModelArts'
# variables. On folders. $1: the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
has() { grep -Eq -- "$1" "$2"; }
expect 0 'drew' "$jobferry" data digits digits --train=320 --test=64
run() { "$jobferry" --data_url=digits --train_url=out --work_dir=work --epochs=1 "$@"; }

# Bad ones: one line, nothing begins.
expect 64 "--gate takes METRIC>=NUMBER.*not 'acc'" run --gate=acc
one_line
expect 64 "has loss, acc and accuracy, not 'f1'" run --gate='f1>0.5'
expect 64 'init_from is for the built-in trainer' run --init_from=best -- true
check "nothing began" absent out/ckpt
expect 66 'no promoted run' run --resume=never --init_from=best

# A gate that is missed: 80, the run is finished all the same, and nothing is promoted.
expect 80 "--gate 'acc>=0.999' is not met: acc is 0" run --resume=never --gate='acc>=0.999' --promote
check "nothing is promoted" absent out/.jobferry/best.json
check "it is finished" has '"finished": true' out/.jobferry/latest.json
check "the report says so" has '"code": 80' out/report.json

# The first is promoted, one that is no better is not, one that is better takes its place.
expect 0 'promoted: the first with loss' run --resume=never --gate='loss<100' --promote
first=$(grep -o '"run": "[^"]*"' out/.jobferry/best.json)
check "best.json names metric and value" has '"metric": "loss"' out/.jobferry/best.json
expect 0 'not promoted: loss is' run --resume=never --gate='loss<100' --promote
check "the best stays" has "$first" out/.jobferry/best.json
check "the report has both" has '"promoted": false' out/report.json
expect 0 'begins with lenet.*ckpt of run .*, the best: loss' run --resume=never --init_from=best --lr=0
sed -i 's/"value": [0-9.]*/"value": 99.5/' out/.jobferry/best.json
expect 0 'promoted: loss is .* the best so far, 99.5' run --resume=never --gate='loss<100' --promote
check "the best has moved" bash -c "! grep -q '$first' <(grep -v previous out/.jobferry/best.json | head -3)"
check "and tells what was before" has '"value": 99.5' out/.jobferry/best.json
check "the report tells both values" has '"promoted": true' out/report.json
newest() { find out/ckpt -name "*.ckpt" -printf "%T@ %p\n" | sort -n | tail -n 1 | cut -d " " -f 2; }
head -c 100 /dev/urandom >>"$(newest)"
expect 76 'not what its manifest says' run --resume=never --init_from=best

# COMMAND's metrics are what it writes into output/metrics.json.
# shellcheck disable=SC2016
command=(sh -c 'mkdir -p "$JOBFERRY_OUTPUT_DIR"; echo "{\"f1\": 0.75}" >"$JOBFERRY_OUTPUT_DIR/metrics.json"')
expect 0 "gate 'f1>0.7' is met" "$jobferry" --data_url=digits --train_url=cmd --work_dir=cw --gate='f1>0.7' -- "${command[@]}"
expect 80 "f1 is 0.75" "$jobferry" --data_url=digits --train_url=cmd --work_dir=cw --gate='f1>0.8' -- "${command[@]}"
expect 80 "no metric 'f2'" "$jobferry" --data_url=digits --train_url=cmd --work_dir=cw --gate='f2>0.8' -- "${command[@]}"

# Nothing new: 0 at once. A file that changed: it trains.
again() { "$jobferry" --data_url=digits --train_url=changed --work_dir=chw --epochs=1 --if_changed "$@"; }
expect 0 'Metrics' again
expect 0 'if_changed: digits holds what the finished run 2.* used .4 objects' again
check "nothing was trained" bash -c "! grep -q Metrics '$output'"
touch digits/test/t10k-labels-idx1-ubyte.gz
expect 0 'Metrics' again

# The last run's outcome is repeated: a missed gate stays missed, at once, until something changes.
expect 80 "if_changed: .* misses --gate 'loss<0': loss is .*; training again" again --gate='loss<0'
one_line
expect 0 'nothing to do' again --gate='loss<100'
touch digits/test/t10k-labels-idx1-ubyte.gz
expect 80 "--gate 'loss<0' is not met" again --gate='loss<0'
expect 80 "if_changed: .* misses" again --gate='loss<0'
check "nothing was trained" bash -c "! grep -q Metrics '$output'"
expect 0 'missed another --gate than today.s: once more' again --gate='loss<100'
check "it was trained" has Metrics "$output"
expect 0 'nothing to do' again --gate='loss<100'
# shellcheck disable=SC2016
expect 0 'no metric that --gate asks for: once more' again --gate='f1>0' -- \
  sh -c 'echo "{\"f1\": 1}" >"$JOBFERRY_OUTPUT_DIR/metrics.json"; echo x >"$JOBFERRY_CKPT_DIR/m-9_9.pt"'
expect 0 'nothing to do' again --gate='f1>0' -- true

# ModelArts.
ma=(env MA_JOB_DIR=/x MA_NUM_HOSTS=2)
expect 0 'ModelArts, new style.*node 0 of 2' "${ma[@]}" VC_TASK_INDEX=0 "$jobferry" --data_url=digits \
  --train_url=ma --work_dir=maw --epochs=1
expect 0 'trains on the first node: nothing to do here' "${ma[@]}" VC_TASK_INDEX=1 "$jobferry" --data_url=digits \
  --train_url=mb --work_dir=mbw --epochs=1
check "the second node writes nothing" absent mb
# shellcheck disable=SC2016
expect 0 'checkpoints go to mc/node-1' "${ma[@]}" VC_TASK_INDEX=1 "$jobferry" --data_url=digits --train_url=mc \
  --work_dir=mcw -- sh -c 'echo x >"$JOBFERRY_CKPT_DIR/a-1_1.pt"'
check "a COMMAND's of the second node have a place of their own" test -s mc/node-1/report.json
never() { env MA_JOB_DIR=/x MA_PROC_START_CNT="$1" "$jobferry" --data_url=digits --train_url=mn --work_dir=mnw --resume=never --epochs=1; }
expect 0 'starts fresh' never 1
expect 0 'resume=never was for its first start' never 2
# Other platforms' counters; ours is another.
# shellcheck disable=SC2016
counted() { # VARIABLE=N
  env "$1" "$jobferry" --data_url=digits --train_url="counted${1%%=*}" --work_dir="cw${1%%=*}" --resume=never \
    -- sh -c 'echo x >"$JOBFERRY_CKPT_DIR/a-1_1.pt"; echo "attempt $JOBFERRY_ATTEMPT, $(env | grep -c "'"$1"'")"; kill -9 $$'
}
for first in SLURM_RESTART_COUNT=0 AWS_BATCH_JOB_ATTEMPT=1 BATCH_TASK_RETRY_ATTEMPT=0 TORCHELASTIC_RESTART_COUNT=0; do
  again=${first%=*}=$((${first#*=} + 1))
  expect 137 '^attempt 1, 1$' counted "$first"
  expect 137 '^attempt 1, 1$' counted "$first"
  expect 137 '^attempt 2, 1$' counted "$again"
  check "$again is said" grep -q "started again by the platform: ${again%=*} is" "$output"
done

finish
