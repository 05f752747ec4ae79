#!/usr/bin/env bash
# Bad datasets and checkpoints: one line, the documented code, nothing lost. $1 is the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

"$jobferry" data digits good --train=160 --test=64 2>/dev/null
plain() { # a fresh copy of the set, not gzipped, in $1
  rm -rf "$1"
  cp -r good "$1"
  gunzip "$1"/*/*.gz
}
images=train/train-images-idx3-ubyte
labels=train/train-labels-idx1-ubyte
poke() { # FILE OFFSET BYTES (printf form)
  printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
train() { "$jobferry" train --data_url="$1" --epochs=1 --work_dir="$scratch/work"; }
mkdir -p work

plain d && expect 0 '^Metrics:' train d

plain d && poke d/$images 3 '\x09' && expect 65 'train-images.*magic number at byte 0' train d && one_line
plain d && truncate -s 5000 d/$images && expect 65 'train-images.*(truncat|short|ends).*' train d && one_line
plain d && poke d/$labels 7 '\x9f' && truncate -s 167 d/$labels && expect 65 'train-(labels|images)' train d && one_line
plain d && poke d/$images 11 '\x1b' && expect 65 'train-images.*27' train d && one_line
plain d && poke d/$labels 13 '\x40' && expect 65 'train-labels.*byte 13 is 64' train d && one_line
rm -rf d && cp -r good d && truncate -s -40 d/$images.gz && expect 65 'train-images.*gz' train d && one_line
rm -rf d && mkdir d && expect 66 'd' train d && one_line
expect 66 'nowhere' train nowhere && one_line

# Few images, and images of one class only: the first cannot fill a batch, the second can be learned.
"$jobferry" data digits few --train=3 --test=2 2>/dev/null
expect 64 'more than the 3 images' train few && one_line
expect 0 '^Metrics' "$jobferry" train --data_url=few --batch_size=3 --epochs=1 --work_dir="$scratch/few_work"
plain one && { head -c 8 one/$labels; head -c 160 /dev/zero; } >zeros && cp zeros one/$labels
expect 0 '^Metrics' "$jobferry" train --data_url=one --epochs=1 --work_dir="$scratch/one_work"

# Checkpoints.
"$jobferry" train --data_url=good --epochs=1 --work_dir=made >/dev/null 2>&1
ckpt=made/ckpt/lenet-1_5.ckpt
check "a checkpoint was made" test -s $ckpt
verify() { "$jobferry" ckpt verify "$1"; }
expect 0 'verified by jobferry' verify $ckpt
evaluate() { "$jobferry" eval --data_url=good --checkpoint="$1"; }
# Cut at a chunk boundary before any entry of ours, it could be a foreign file: loading tells.
head -c 640 $ckpt >bad.ckpt && expect 65 'missing.*conv2.weight' evaluate bad.ckpt && one_line
head -c -37 $ckpt >bad.ckpt && expect 65 'bad.ckpt' verify bad.ckpt && one_line
head -c 100000 $ckpt >bad.ckpt && expect 65 'bad.ckpt' verify bad.ckpt && one_line # inside one
cp $ckpt bad.ckpt && poke bad.ckpt 5000 '\xa5' && expect 65 'bad.ckpt' verify bad.ckpt && one_line
: >bad.ckpt && expect 65 'empty' verify bad.ckpt && one_line
rm bad.ckpt && mkdir bad.ckpt && expect 65 'folder' verify bad.ckpt && one_line
expect 66 'missing.ckpt' verify missing.ckpt && one_line

# A checkpoint of another network: a valid file whose first tag is another name.
python_free_rename() { # conv1.weight -> konv1.weight, and no sum of ours behind
  head -c 494155 $ckpt | sed 's/conv1.weight/konv1.weight/g' >other.ckpt
}
python_free_rename
expect 65 'conv1.weight.*konv1.weight' "$jobferry" eval --data_url=good --checkpoint=other.ckpt && one_line
expect 65 '' "$jobferry" infer --data_url=good --checkpoint=other.ckpt
check "no picture was drawn" absent output/predictions.png

# A corrupt newest checkpoint is named and passed over; the older one serves.
"$jobferry" train --data_url=good --epochs=2 --work_dir=two >/dev/null 2>&1
poke two/ckpt/lenet-2_5.ckpt 4000 '\x11\x22'
expect 0 'lenet-2_5.ckpt.*passed over' "$jobferry" eval --data_url=good --work_dir=two
expect 0 'loaded two/ckpt/lenet-1_5.ckpt' "$jobferry" eval --data_url=good --work_dir=two

finish
