#!/usr/bin/env bash
# Options of the built-in trainer: each at work, each misused (one line, its code), and weights that
# are the same whether a run was cut off or not. $1 is the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
self=$(realpath "$0")
cd "$scratch" || exit 1

"$jobferry" data digits digits --train=320 --test=64 2>/dev/null # 10 steps an epoch
train() { # FOLDER OPTIONS…
  local folder=$1
  shift
  "$jobferry" train --data_url=digits --work_dir="$folder" "$@"
}

# ---- each misused: code 64 and the line ---------------------------------------------------------
while IFS='|' read -r options line; do
  # shellcheck disable=SC2086 # the options are words
  expect 64 "$line" train bad $options && one_line
  check "nothing was made" absent bad/ckpt
done <<'END'
--lr=-0.1|--lr takes a number from 0 to .*, not '-0.1'
--lr=nan|--lr takes a number from 0 to .*, not 'nan'
--lr=1e39|--lr takes a number from 0 to .*, not '1e39'
--lr=fast|--lr takes a number from 0 to .*, not 'fast'
--momentum=-1|--momentum takes a number
--weight_decay=-1|--weight_decay takes a number
--loss_scale=0|--loss_scale takes a number
--use_nesterov=2|--use_nesterov is a switch
--optimizer=rmsprop|--optimizer takes one of momentum\|sgd\|adam, not 'rmsprop'
--dampening=-1|--dampening takes a number
--beta1=1.5|--beta1 takes a number from 0 to 1, not '1.5'
--beta2=nan|--beta2 takes a number from 0 to 1, not 'nan'
--eps=0|--eps takes a number
--lr_schedule=linear|--lr_schedule takes one of constant\|step\|cosine, not 'linear'
--warmup_steps=-1|--warmup_steps takes a whole number from 0 to
--decay_steps=1.5|--decay_steps takes a whole number from 0 to
--decay_rate=0|--decay_rate takes a number
--min_lr=-1|--min_lr takes a number
--save_checkpoint_steps=-2|--save_checkpoint_steps takes a whole number
--save_checkpoint_steps=1.5|--save_checkpoint_steps takes a whole number
--save_checkpoint_steps=0|no checkpoint would ever be saved
--save_checkpoint_steps=0 --keep_checkpoint_max=5|no checkpoint would ever be saved
--save_checkpoint_seconds=-1|--save_checkpoint_seconds takes a whole number
--keep_checkpoint_max=-1|--keep_checkpoint_max takes a whole number
--keep_checkpoint_per_n_minutes=-1|--keep_checkpoint_per_n_minutes takes a whole number
--per_print_times=-2|--per_print_times takes a whole number
--format=onnx|--format takes one of ckpt\|safetensors, not 'onnx'
--format=safetensors --crc_check|--format=safetensors goes with neither --crc_check nor --exception_save
--format=safetensors --exception_save|--format=safetensors goes with neither
--append_info=epoch_num,loss|--append_info knows epoch_num and step_num, not 'loss'
--integrated_save=maybe|--integrated_save takes one of 0\|1, not 'maybe'
--async_save=process|--async_save is a switch
--monitor=f1|--monitor takes one of eval_loss\|acc\|loss, not 'f1'
--patience=-1|--patience takes a whole number from 0
--min_delta=-1|--min_delta takes a number from 0
--collect_freq=0|--collect_freq takes a whole number from 1
--epochs=0|--epochs takes a whole number from 1
--epochs=1e9|--epochs takes a whole number from 1 to 1000000, not '1e9'
--data_url=|parse '': it is empty
--data_url=ftp://x/y|parse 'ftp://x/y'
--data_url=s3://bucket/key|train.*local folder
--work_dir=|--work_dir takes a folder's name; it is empty
--data_dir=|--data_dir takes a folder's name; it is empty
--ckpt_dir=|--ckpt_dir takes a folder's name; it is empty
--output_dir=|--output_dir takes a folder's name; it is empty
--summary_dir=|--summary_dir takes a folder's name; it is empty
--batch_size=0|--batch_size takes a whole number from 1 to 65536, not '0'
--batch_size=65537|--batch_size takes a whole number from 1 to 65536, not '65537'
--lr=|--lr takes a number from 0 to .*, not ''
--lr=inf|--lr takes a number from 0 to .*, not 'inf'
--lr|--lr (needs|takes) a value
--momentum=nan|--momentum takes a number from 0 to .*, not 'nan'
--weight_decay=inf|--weight_decay takes a number from 0 to .*, not 'inf'
--loss_scale=-1|--loss_scale takes a number
--seed=-1|--seed takes a whole number from 0 to 4294967295, not '-1'
--seed=4294967296|--seed takes a whole number from 0 to 4294967295, not '4294967296'
--threads=-1|--threads takes a whole number from 0 to 1024, not '-1'
--threads=1025|--threads takes a whole number from 0 to 1024, not '1025'
--init=zeros|--init takes one of normal\|he_uniform, not 'zeros'
--device_target=GPU|the built-in trainer runs on the CPU only; for GPU
--device_target=Ascend|the built-in trainer runs on the CPU only; for Ascend
--ckpt_name=|--ckpt_name must be a plain file name prefix, not ''
--ckpt_name=a/b|--ckpt_name must be a plain file name prefix, not 'a/b'
--ckpt_name=.hidden|--ckpt_name must be a plain file name prefix, not '.hidden'
--async_save=2|--async_save is a switch
--saved_network=yes|--saved_network is a switch
--exception_save=x|--exception_save is a switch
--crc_check=2|--crc_check is a switch
--time_monitor=x|--time_monitor is a switch
--save_best=2|--save_best is a switch
--strict_load=2|--strict_load is a switch
--allow_change=2|--allow_change is a switch
--binarize=3|--binarize is a switch
--format=|--format takes one of ckpt\|safetensors, not ''
--append_info=,|--append_info knows epoch_num and step_num, not ''
--save_checkpoint_steps=9223372036854775808|--save_checkpoint_steps takes a whole number
--save_checkpoint_seconds=soon|--save_checkpoint_seconds takes a whole number
--keep_checkpoint_max=2000000000|--keep_checkpoint_max takes a whole number from 0 to 1000000000
--keep_checkpoint_per_n_minutes=x|--keep_checkpoint_per_n_minutes takes a whole number
--min_delta=nan|--min_delta takes a number from 0
--collect_freq=x|--collect_freq takes a whole number from 1
--metrics=speed|--metrics knows no 'speed'
--metrics=|--metrics names nothing
--gate=acc|--gate takes METRIC>=NUMBER
--gate=acc>=x|--gate takes METRIC>=NUMBER
--gate=speed>=1|--gate: the built-in trainer has loss, acc and accuracy, not 'speed'
--log_max=1|--log_max takes a size from 65536 bytes
--grace=0|--grace takes a whole number from 1
--time_limit=-1|--time_limit takes a whole number from 0
--preempt_signal=TEA|--preempt_signal
--json=2|--json is a switch
--verbose=2|--verbose is a switch
--log_format=xml|--log_format takes one of text\|json, not 'xml'
--help=2|--help is a switch
--learning_rate=0.1|unknown option '--learning_rate'
word|train takes no words, only options: 'word'
END
# What is no text of a number or a choice is text: a file that is not there, or cannot be written.
while IFS='|' read -r code options line; do
  # shellcheck disable=SC2086
  expect "$code" "$line" train bad --epochs=1 $options && one_line
  check "nothing was trained" test -z "$(ls bad/ckpt 2>/dev/null)"
done <<'END'
64|--resume=|parse '': it is empty
66|--resume=nowhere.ckpt|read checkpoint .*nowhere.ckpt: No such file or directory
66|--resume=always|no checkpoint of a recorded run that verifies is in
64|--init_from=|parse '': it is empty
66|--init_from=nowhere.ckpt|read checkpoint .*nowhere.ckpt: No such file or directory
65|--init_from=digits/train/train-labels-idx1-ubyte.gz|read checkpoint
64|--kernels=cuda|there are no such kernels; here it can be one of: auto,
64|--kernels=neon,avx2|there are no such kernels
64|--batch_size=321|--batch_size=321 is more than the 320 images
73|--ckpt_dir=/proc/ckpt|/proc/ckpt
73|--summary_dir=/proc/events|make the folder /proc/events
73|--events=/proc/events|write /proc/events
73|--metrics_file=/proc/numbers|write /proc/numbers
END
# Every option of the command is above or below, misused or shown to take any text.
is_tried() { # OPTION
  case $1 in termination_log | failure_file) return 0 ;; esac # any text will do
  grep -qE -- "^([0-9]+\|)?(--[a-z_=0-9]+ )?--$1([ =|]|\$)" "$self"
}
for option in $("$jobferry" help train | grep -o '^ *--[a-z_0-9]*' | tr -d ' -'); do
  check "--$option is tried here" is_tried "$option"
done
# Alone each is fine; together they are not. The data have been read by then.
expect 64 'sgd with use_nesterov needs a momentum' train bad --optimizer=sgd --use_nesterov && one_line
expect 64 'beta1 is 1; it must be more than 0, less than 1' train bad --optimizer=adam --beta1=1 && one_line
expect 64 'min_lr is 0.5; it must be .* less than the learning rate' train bad --lr_schedule=cosine --min_lr=0.5 && one_line
expect 64 'a schedule of learning rates has 1 to 4194304 steps' train bad --epochs=1000000 --lr_schedule=step && one_line
check "nothing was trained" test -z "$(ls bad/ckpt 2>/dev/null)"

# A rate that breaks the weights: the last good checkpoint stays, and is named.
expect 81 'the last good checkpoint is .*lenet-1_1.ckpt' train diverged --lr=1e30 --save_checkpoint_steps=1 --epochs=1
expect 0 'verified by jobferry' "$jobferry" ckpt verify diverged/ckpt/lenet-1_1.ckpt

# ---- each at work: trained, cut off at some step, and gone on with to the same bits -------------
cut_off() { # FOLDER STEP OPTIONS…: what a death after that step leaves, less what it had not saved
  local folder=$1 step=$2
  shift 2
  train "$folder" --save_checkpoint_steps=1 --keep_checkpoint_max=1000 "$@" >/dev/null 2>&1
  local file epoch rest
  for file in "$folder"/ckpt/*.ckpt; do
    rest=${file##*-}
    epoch=${rest%%_*}
    rest=${rest#*_}
    [ $(((epoch - 1) * 10 + ${rest%.ckpt})) -le "$step" ] || rm "$file"
  done
  sed -i 's/"finished": *true/"finished": false/' "$folder"/ckpt/.jobferry/run*.json
}
trained_sum() { sha256sum <"$1/ckpt/lenet-3_10.ckpt"; }
way=0
while read -r step options; do
  way=$((way + 1))
  # shellcheck disable=SC2086 # the options are words
  expect 0 '^Metrics' train "whole$way" --epochs=3 $options
  # shellcheck disable=SC2086
  cut_off "cut$way" "$step" --epochs=3 $options
  # shellcheck disable=SC2086
  expect 0 "continuing run .*step $(((step - 1) % 10 + 1))" train "cut$way" --epochs=3 $options
  check "cut off after step $step: the same weights" \
    test "$(weights_sum "whole$way/ckpt/lenet-3_10.ckpt")" = "$(weights_sum "cut$way/ckpt/lenet-3_10.ckpt")"
done <<'END'
7 --use_nesterov --weight_decay=0.001 --loss_scale=64
14 --optimizer=sgd --momentum=0.9 --dampening=0.1
3 --optimizer=adam
22 --lr_schedule=cosine --warmup_steps=5 --min_lr=0.001
11 --optimizer=adam --lr_schedule=step --decay_steps=8 --decay_rate=0.5 --use_nesterov
END
expect 0 'learning_rate +30 ' "$jobferry" ckpt show whole4/ckpt/lenet-3_10.ckpt
expect 0 'moment2.fc3.bias' "$jobferry" ckpt show whole3/ckpt/lenet-3_10.ckpt
expect 0 'learning rate 0.01, schedule cosine over 30 steps, 0 of warm-up' \
  train again --epochs=3 --lr_schedule=cosine
expect 78 'the state of adam, and the optimizer is momentum' train whole3 --resume=always && one_line
expect 0 'learning rate 0.001, from the checkpoint' train whole3 --resume=always --optimizer=adam --epochs=1
expect 0 'learning rate 0.00103[0-9]* by a schedule, from the checkpoint' train whole4 --resume=always --epochs=1
expect 0 'learning rate 0.125, as --lr says' train whole1 --resume=always --epochs=1 --lr=0.125 --use_nesterov --weight_decay=0.001 --loss_scale=64

# ---- how it saves: what MindSpore ignores in silence is said --------------------------------------
expect 0 'warning: --save_checkpoint_seconds is ignored' train said --epochs=1 --save_checkpoint_seconds=5
expect 0 'warning: --keep_checkpoint_per_n_minutes is ignored' train said --epochs=1 --keep_checkpoint_per_n_minutes=5
expect 0 'are both 0: one checkpoint is kept' train said --epochs=1 --keep_checkpoint_max=0
expect 0 'on one device no tensor is split' train said --epochs=1 --integrated_save=0 --append_info=step_num,epoch_num
expect 0 'nothing can be resumed from them' train weights --epochs=1 --saved_network
expect 0 '8 tensors|conv1.weight' "$jobferry" ckpt show weights/ckpt/lenet-1_10.ckpt
check "weights alone" test -z "$("$jobferry" ckpt show weights/ckpt/lenet-1_10.ckpt | grep moments)"
expect 0 '^Metrics' "$jobferry" eval --data_url=digits --checkpoint=weights/ckpt/lenet-1_10.ckpt
expect 0 'continuing|Metrics' train tensors --epochs=1 --format=safetensors
check "a safetensors file" test -s tensors/ckpt/lenet-1_10.safetensors
check "and no other" absent tensors/ckpt/lenet-1_10.ckpt
expect 0 'extends tensors/ckpt/lenet-1_10.safetensors' train tensors --epochs=1 --format=safetensors --resume=always
check "it goes on under its own prefix" test -s tensors/ckpt/lenet_1-1_10.safetensors
expect 0 '^Metrics' train sum --epochs=1 --crc_check
check "MindSpore's sum is behind it" test "$(tail -c 17 sum/ckpt/lenet-1_10.ckpt | head -c 7)" = crc_num
expect 0 '^Metrics' train async --epochs=3 --async_save --save_checkpoint_steps=1 --use_nesterov --weight_decay=0.001 --loss_scale=64
check "five are kept" test "$(find async/ckpt -name '*.ckpt' | wc -l)" -eq 5
check "async or not, the same weights" \
  test "$(weights_sum async/ckpt/lenet-3_10.ckpt)" = "$(weights_sum whole1/ckpt/lenet-3_10.ckpt)"
expect 81 'saved .*lenet-1_[0-9]*_breakpoint.ckpt|a weight is not finite' train left --lr=1e30 --exception_save --epochs=1

# ---- watching -------------------------------------------------------------------------------------
expect 0 'Train epoch time: [0-9.]+ ms, per step time' train watched --epochs=1 --time_monitor --summary_dir=events --collect_freq=5
check "an event file" test -n "$(find events -name 'events.out.tfevents.*')"
expect 0 'early stopping, loss was best at' train early --epochs=50 --lr=0 --monitor=loss --patience=2 --min_delta=0.01 --save_best
check "it ended after the third epoch" test -s early/ckpt/lenet-3_10.ckpt
check "and not later" absent early/ckpt/lenet-4_10.ckpt
expect 0 'verified by jobferry' "$jobferry" ckpt verify early/ckpt/lenet-best.ckpt
finish
