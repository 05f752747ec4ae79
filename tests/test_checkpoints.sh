#!/usr/bin/env bash
# ckpt show, verify, diff and convert, and beginning from another's weights. $1 is the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
golden=$(cd "$(dirname "$0")" && pwd)/data
cd "$scratch" || exit 1

"$jobferry" data digits digits --train=160 --test=64 2>/dev/null
"$jobferry" train --data_url=digits --epochs=1 --work_dir=a >/dev/null 2>&1
"$jobferry" train --data_url=digits --epochs=1 --work_dir=b --seed=2 >/dev/null 2>&1
a=a/ckpt/lenet-1_5.ckpt
b=b/ckpt/lenet-1_5.ckpt

# Show.
expect 0 '^name +dims +type +mean +std +min +max$' "$jobferry" ckpt show $a
expect 0 '^conv2.weight +16,6,5,5 +Float32 +-?[0-9.e-]+ +0.0[0-9.e-]+ +-0.0[0-9.e-]+ +0.0[0-9.e-]+$' "$jobferry" ckpt show $a
expect 0 '^jobferry.batch_size +scalar +Int64 +32 +0 +32 +32$' "$jobferry" ckpt show $a
expect 0 '^Float16 +2,3 +Float16 +0.66667 +0.4714 +0 +1$' "$jobferry" ckpt show "$golden/mindspore-2.10-types.ckpt"
expect 0 '^text +scalar +str *$' "$jobferry" ckpt show "$golden/mindspore-2.10-types.ckpt"
expect 0 '^\{"name":"fc3.weight","dims":\[10,84\],"type":"Float32"\}$' "$jobferry" ckpt show --json $a

# Diff.
expect 0 '^conv1.weight +0$' "$jobferry" ckpt diff $a $a
expect 1 '^conv1.weight +0\.[0-9]+$' "$jobferry" ckpt diff $a $b
expect 1 '^jobferry.seed +1$' "$jobferry" ckpt diff $a $b
expect 1 '"name":"fc1.bias","max_abs_difference":[0-9.e-]+,"note":null' "$jobferry" ckpt diff --json $a $b
expect 64 'two files' "$jobferry" ckpt diff $a
expect 66 'missing.ckpt' "$jobferry" ckpt diff $a missing.ckpt
one_line

# Convert, there and back: every way keeps all bytes.
convert() { "$jobferry" ckpt convert "$@"; }
expect 0 'wrote x.safetensors' convert $a x.safetensors
expect 0 'verified by jobferry' "$jobferry" ckpt verify x.safetensors
expect 0 '' "$jobferry" ckpt diff $a x.safetensors
expect 0 '' convert x.safetensors y.ckpt
check "from .ckpt to .safetensors and back: the same bytes" cmp $a y.ckpt
expect 0 '' convert --crc_check $a crc.ckpt
check "the trailer is 17 bytes behind the same" test "$(head -c -17 crc.ckpt | sha256sum)" = "$(sha256sum <$a)"
check "its mark" test "$(tail -c 17 crc.ckpt | head -c 7)" = crc_num
expect 0 'verified by jobferry' "$jobferry" ckpt verify crc.ckpt
expect 0 '' convert crc.ckpt crc.safetensors
expect 0 '' convert --mindspore=1 crc.safetensors one.ckpt
check "through all formats: the same bytes" cmp $a one.ckpt
expect 0 '' convert --mindspore=2 $a two.ckpt
expect 0 '^global_step +1 +Int32 +5 ' "$jobferry" ckpt show two.ckpt
check "a scalar has no dims" grep -aq $'\x0a\x0dlearning_rate\x12\x0f\x12\x07Float32\x1a\x04' two.ckpt
expect 0 '' convert --weights_only $a w.ckpt
check "eight tensors" test "$("$jobferry" ckpt show --json w.ckpt 2>/dev/null | wc -l)" -eq 8
expect 0 '' "$jobferry" ckpt diff --weights_only $a w.ckpt
expect 1 'learning_rate +only in the first' "$jobferry" ckpt diff $a w.ckpt
expect 1 'learning_rate +only in the second' "$jobferry" ckpt diff w.ckpt $a
expect 0 '' convert "$golden/mindspore-2.10-lenet.ckpt" theirs.safetensors
expect 0 '' "$jobferry" ckpt diff "$golden/mindspore-2.10-lenet.ckpt" theirs.safetensors
expect 0 "verified by MindSpore" "$jobferry" ckpt verify "$golden/mindspore-2.10-types.safetensors"
expect 0 '' convert $a net.onnx
check "an ONNX model with all weights" test "$(stat -c %s net.onnx)" -gt 246736

# What cannot be.
expect 64 'a .ckpt, a .safetensors or an .onnx' convert $a x.bin && one_line
expect 64 'about a .ckpt' convert --mindspore=2 $a z.safetensors && one_line
expect 64 'carries no sum' convert --crc_check $a z.onnx && one_line
expect 64 'weights alone can have it' convert --crc_check $a z.safetensors && one_line
expect 64 'no type str' convert "$golden/mindspore-2.10-types.ckpt" z.safetensors && one_line
expect 64 'MindSpore 1 reads no' convert --mindspore=1 "$golden/mindspore-2.10-types.ckpt" z.ckpt && one_line
expect 64 'MindSpore 1 cannot read' convert --mindspore=1 --crc_check $a z.ckpt && one_line
expect 64 'eight tensors of the network' convert "$golden/mindspore-2.10-types.ckpt" z.onnx && one_line
echo 'not one' >text.ckpt && expect 65 'is not a checkpoint' convert text.ckpt z.ckpt && one_line
expect 73 'none/z.ckpt' convert $a none/z.ckpt && one_line
check "nothing was written" absent z.ckpt
check "nor left behind" test -z "$(find . -name '*.tmp')"

# eval loads either format, and the results are the same.
"$jobferry" eval --data_url=digits --checkpoint=$a >ckpt.out 2>/dev/null
expect 0 '^Metrics' "$jobferry" eval --data_url=digits --checkpoint=x.safetensors
check "the same metrics" grep -qxF "$(cat ckpt.out)" "$output"

# A run whose newest checkpoint is a safetensors file goes on from it.
cp -r a c
convert a/ckpt/lenet-1_5.ckpt c/ckpt/lenet-1_5.safetensors 2>/dev/null
rm c/ckpt/lenet-1_5.ckpt
expect 0 'extends c/ckpt/lenet-1_5.safetensors' "$jobferry" train --data_url=digits --epochs=1 --work_dir=c --resume=always
expect 0 'extends a/ckpt/lenet-1_5.ckpt' "$jobferry" train --data_url=digits --epochs=1 --work_dir=a --resume=always
check "and ends in the same bits" test "$(weights_sum a/ckpt/lenet_1-1_5.ckpt)" = "$(weights_sum c/ckpt/lenet_1-1_5.ckpt)"

finish
