#!/usr/bin/env bash
# Settings that differ from the checkpoint's on resume: each is 78 with both values, and a warning of
# the same words with --allow_change; what changes no bit, or may be set anew, differs freely. $1 is
# the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

"$jobferry" data digits digits --train=96 --test=32 2>/dev/null # 3 steps an epoch
"$jobferry" data digits other --train=96 --test=32 --seed=2 2>/dev/null
train() { # FOLDER OPTIONS…
  local folder=$1
  shift
  "$jobferry" train --data_url=digits --work_dir="$folder" --kernels=baseline "$@"
}
# Of each optimizer a run that died after its first epoch of two.
begun() { # FOLDER OPTIONS…
  train "$@" --epochs=1 >/dev/null 2>&1
  sed -i 's/"finished": *true/"finished": false/' "$1"/ckpt/.jobferry/run.json
}
begun momentum
begun sgd --optimizer=sgd --momentum=0.5
begun adam --optimizer=adam

while IFS='|' read -r base given options line; do
  for mode in auto always; do
    rm -rf it
    cp -r "$base" it
    [ $mode = auto ] || sed -i 's/"finished": *false/"finished": true/' it/ckpt/.jobferry/run.json
    # shellcheck disable=SC2086 # the options are words
    expect 78 "settings differ from the checkpoint's: $line in the checkpoint, .*; --allow_change" \
      train it --epochs=2 $given --resume=$mode $options && one_line
    check "it is the only difference" test "$(grep -o 'in the checkpoint' "$output" | wc -l)" -eq 1
    check "nothing was trained" test "$(find it/ckpt -name '*.ckpt' | wc -l)" -eq 1
    # shellcheck disable=SC2086
    expect 0 "warning: settings changed on resume: $line in the checkpoint" \
      train it --epochs=2 $given --resume=$mode $options --allow_change
  done
done <<'END'
momentum||--batch_size=48|batch_size 32
momentum||--seed=7|seed 1
momentum||--data_url=other|data [0-9a-f]{8}
momentum||--binarize|data [0-9a-f]{8}
momentum||--kernels=reference|kernels baseline
momentum||--momentum=0.8|momentum 0.9
momentum||--weight_decay=0.001|weight_decay 0
momentum||--loss_scale=1024|loss_scale 1
momentum||--loss_scale=1.00001|loss_scale 1
momentum||--use_nesterov|use_nesterov 0
sgd|--optimizer=sgd --momentum=0.5|--dampening=0.1|dampening 0
sgd|--optimizer=sgd|--momentum=0.6|momentum 0.5
adam|--optimizer=adam|--beta1=0.8|beta1 0.9
adam|--optimizer=adam|--beta2=0.99|beta2 0.999
adam|--optimizer=adam|--eps=1e-7|eps 1e-08
adam|--optimizer=adam|--weight_decay=0.1|weight_decay 0
adam|--optimizer=adam|--use_nesterov|use_nesterov 0
END

# Several at once are listed together.
expect 78 "batch_size 32 in the checkpoint, 48 now; seed 1 in the checkpoint, 2 now; weight_decay 0 in the checkpoint, 0.5 now; use_nesterov 0 in the checkpoint, 1 now; --allow_change" \
  train momentum --batch_size=48 --seed=2 --weight_decay=0.5 --use_nesterov && one_line
# Close numbers are told with as many digits as tell them apart.
expect 78 'weight_decay 0 in the checkpoint, 1e-09 now' train momentum --weight_decay=1e-9 && one_line
expect 78 'loss_scale 1 in the checkpoint, 1.00001 now' train momentum --loss_scale=1.00001 && one_line
# Another optimizer has no use for the state; that nothing can allow.
expect 78 'the state of momentum, and the optimizer is adam' train momentum --optimizer=adam --allow_change && one_line

# What may differ: what changes no bit, what is told in a line of its own, and what is another optimizer's.
while IFS='|' read -r base options line; do
  rm -rf it
  cp -r "$base" it
  # shellcheck disable=SC2086
  expect 0 "$line" train it --epochs=2 $options
  check "no difference was seen" test "$(grep -c 'in the checkpoint,' "$output")" -eq 0
done <<'END'
momentum|--threads=1|continuing run
momentum|--init=he_uniform|continuing run
momentum|--lr=0.5|learning rate 0.5, as --lr says
momentum|--lr_schedule=cosine|schedule cosine over 6 steps
momentum|--momentum=0.9|continuing run
momentum|--beta1=0.5 --eps=0.1 --dampening=0.5|continuing run
sgd|--optimizer=sgd|continuing run
adam|--optimizer=adam --momentum=0.1 --dampening=0.5|continuing run
adam|--optimizer=adam --save_checkpoint_steps=1 --format=safetensors|continuing run
END
# A change that was allowed is the run's from there on.
rm -rf it && cp -r momentum it
expect 0 'settings changed on resume' train it --epochs=2 --weight_decay=0.25 --allow_change
sed -i 's/"finished": *true/"finished": false/' it/ckpt/.jobferry/run.json
expect 78 'weight_decay 0.25 in the checkpoint, 0 now' train it --epochs=3 && one_line
expect 0 'continuing run' train it --epochs=3 --weight_decay=0.25
finish
