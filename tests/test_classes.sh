#!/usr/bin/env bash
# Sets of more than ten classes, as EMNIST's: counted from the labels when training begins, from the
# checkpoint afterwards. $1 is the binary, $2 writes such a set.
set -u
jobferry=$1
number_set=$2
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

mkdir numbers packed letters
"$number_set" numbers balanced 0 47 960 188
"$number_set" letters letters 1 26 320 64
cp numbers/* packed && gzip packed/*
"$jobferry" data digits digits --train=320 --test=64 2>/dev/null
options=(--init=he_uniform --lr=0.02 --epochs=4)
train() { "$jobferry" train --data_url="$1" --work_dir="$2" --resume=never "${options[@]}" "${@:3}"; }

# Training: what is learned, whatever the threads, gzipped or not, with an image of it for TensorBoard.
expect 0 'the data has 47 classes' train numbers a --summary_dir=s --collect_freq=10 --threads=2
check "47 classes are learned, 0.02 would be chance" awk "/^Metrics/ {a = substr(\$0, index(\$0, \"'acc': \") + 7) + 0} END {exit !(a > 0.3)}" "$output"
check "with events for TensorBoard" test -n "$(find s -name 'events*' -size +50k)"
ckpt=a/ckpt/lenet-4_30.ckpt
train packed b --threads=1 >/dev/null 2>&1
# All but the run's name.
same() { "$jobferry" ckpt diff "$1" "$2" 2>/dev/null | awk '$1 ~ /^fc3/ && $2 == 0 {n++} $1 !~ /^jobferry.run/ && NF == 2 && $2 != 0 {n = -9} END {exit n != 2}'; }
check "gzipped, in one thread: the same bits" same $ckpt b/ckpt/lenet-4_30.ckpt
expect 0 'the data has 27 classes' train letters l --epochs=1
expect 0 '^fc3.weight +27,84' "$jobferry" ckpt show l/ckpt/lenet-1_10.ckpt

# The network is as wide as the checkpoint says.
expect 0 '^fc3.weight +47,84' "$jobferry" ckpt show $ckpt
expect 0 '^fc3.bias +47' "$jobferry" ckpt show $ckpt
expect 0 'fc3 Dense in=84 out=47 ' cat a/ckpt/lenet-graph.meta
evaluate() { "$jobferry" eval --data_url=numbers --checkpoint="$1" "${@:2}"; }
accuracy=$(evaluate $ckpt 2>/dev/null)
expect 0 'saved|wrote' "$jobferry" ckpt convert $ckpt a.safetensors
check "the same as safetensors" test -n "$accuracy" -a "$(evaluate a.safetensors 2>/dev/null)" = "$accuracy"
expect 0 '' "$jobferry" ckpt convert a.safetensors a.onnx
number='[0-9][0-9.e-]*'
expect 0 "^Metrics: \{'precision': \[($number, ){46}$number\], 'precision_average': $number\}$" evaluate $ckpt --metrics=precision
expect 0 "^Metrics: \{'confusion_matrix': \[(\[([0-9]+, ){46}[0-9]+\](, )?){47}\]\}$" evaluate $ckpt --metrics=confusion_matrix
infer() { "$jobferry" infer --data_url=numbers --checkpoint=$ckpt --output=p.png "$@"; }
expect 0 '^prediction: [0-9]+, truth: 46$' infer --count=1
expect 0 '^\{"image":0,"prediction":[0-9]+,"truth":46,"probabilities":\[('"$number"',){46}'"$number"'\],' infer --json --count=1
check "a picture" test -s p.png

# Going on: from its own, and from the weights of another number of classes.
expect 0 'extends .*lenet-4_30' "$jobferry" train --data_url=numbers --work_dir=a --epochs=1 --resume=always
expect 0 '^fc3.weight +47,84' "$jobferry" ckpt show a/ckpt/lenet_1-1_30.ckpt
train digits d --epochs=1 >/dev/null 2>&1
ten=d/ckpt/lenet-1_10.ckpt
both='labels up to 46.* 10 classes'
expect 65 "$both" evaluate $ten && one_line
expect 65 "$both" "$jobferry" infer --data_url=numbers --checkpoint=$ten && one_line
expect 65 "$both" train numbers e --init_from=$ten && one_line
expect 65 "$both" "$jobferry" train --data_url=numbers --work_dir=d --epochs=1 --resume=always && one_line
expect 0 '2 tensors are not loaded and begin fresh: fc3.weight, fc3.bias' train numbers e --init_from=$ten --strict_load=0
expect 0 '^Metrics' "$jobferry" eval --data_url=digits --checkpoint=$ckpt
expect 0 'weights from' train digits g --init_from=$ckpt --epochs=1
expect 0 '^fc3.weight +47,84' "$jobferry" ckpt show g/ckpt/lenet-1_10.ckpt

finish
