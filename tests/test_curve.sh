#!/usr/bin/env bash
# The curve of whole trainings: after one, a killed one, one extended, one that goes on elsewhere from
# the store; and a disk that has no room for it. $1 is the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

"$jobferry" data digits digits --train=320 --test=64 2>/dev/null # 10 steps an epoch
train() { # FOLDER OPTIONS…
  local folder=$1
  shift
  "$jobferry" train --data_url=digits --work_dir="$folder" "$@"
}
history() { cat "$1/output/history.jsonl"; }
points() { history "$1" | grep -v '"run"'; }
lines() { history "$1" | grep -c "$2"; } # FOLDER TEXT

expect 0 'drew a/output/curve.png' train a --epochs=2
check "a loss for each step" test "$(lines a loss\":)" -eq 20
check "an accuracy for each epoch" test "$(lines a acc\":)" -eq 2
check "a PNG" test "$(head -c 4 a/output/curve.png | tail -c 3)" = PNG
check "an SVG" grep -q '</svg>' a/output/curve.svg

# Killed in the third epoch: gone on with, it has each step once, as if it had not been.
expect 0 '' train whole --epochs=4
expect 0 '' train killed --epochs=3 --save_checkpoint_steps=1 --keep_checkpoint_max=100
find killed/ckpt -name 'lenet-3_*' ! -name 'lenet-3_[1-4].*' -delete
sed -i 's/"finished": *true/"finished":false/' killed/ckpt/.jobferry/run.json
printf '{"step":31,"lo' >>killed/output/history.jsonl
expect 0 'continuing run .*step 4' train killed --epochs=4
check "the same points" same_bytes <(points whole) <(points killed)
check "two starts" test "$(lines killed run\":)" -eq 2

# Extended, on one axis; fresh, it begins anew.
cp a/output/curve.png before.png
expect 0 'extends' train a --epochs=2 --resume=always
check "on one axis" same_bytes <(points whole) <(points a)
check "another picture" bash -c '! cmp -s before.png a/output/curve.png'
expect 0 'starts fresh' train a --epochs=1 --resume=never
check "anew" test "$(lines a loss\":)" -eq 10

# Through a store, in a folder of its own the second time.
run() { "$jobferry" --data_url=digits --train_url=store --work_dir="$1" "${@:2}"; }
expect 0 'drew' run one --epochs=2
check "in the store" test -s store/output/curve.svg -a -s store/output/curve.png
check "the page leads to it" grep -q 'href="output/curve.svg"' store/report.html
expect 0 'extends' run two --epochs=2 --resume=always
check "what was before is there" same_bytes <(points whole) <(points two)

# Where nothing can be drawn, the training has not failed. It is told.
mkdir -p blocked/output/curve.svg blocked/output/history.jsonl
expect 0 'warning: a later start will lack a part of the curve: .*history.jsonl' train blocked --epochs=1
expect 0 'warning: no curve is drawn' train blocked --epochs=1
check "it was trained" test -s blocked/ckpt/lenet-1_10.ckpt
expect 81 'drew diverged/output/curve.png' train diverged --lr=1e30 --epochs=1

finish
