#!/usr/bin/env bash
# Metrics by name, predictions as JSON, PNG files, pictures; weights to begin with. $1 is the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
data=$(cd "$(dirname "$0")" && pwd)/data
cd "$scratch" || exit 1

"$jobferry" data digits digits --train=160 --test=64 2>/dev/null
"$jobferry" train --data_url=digits --epochs=1 --work_dir=a >/dev/null 2>&1
ckpt=a/ckpt/lenet-1_5.ckpt
evaluate() { "$jobferry" eval --data_url=digits --checkpoint=$ckpt "$@"; }
infer() { "$jobferry" infer --data_url=digits --checkpoint=$ckpt --output=p.png "$@"; }
number='[0-9][0-9.e-]*'

# Metrics.
expect 0 "^Metrics: \{'loss': $number, 'acc': $number\}$" evaluate --metrics=acc,loss
expect 0 "^Metrics: \{'top_1': $number, 'mae': $number, 'F1': \[($number, ){9}$number\], 'F1_average': $number\}$" evaluate --metrics=top_1,mae,F1
expect 0 "^Metrics: \{'confusion_matrix': \[(\[([0-9]+, ){9}[0-9]+\](, )?){10}\]\}$" evaluate --metrics=confusion_matrix
expect 0 '^\{"metrics":\{"loss":.*"recall_average":.*"top_5":.*"mse":.*"confusion_matrix":\[\[.*"samples":64\}$' evaluate --json
expect 64 "knows no 'acuracy'; did you mean 'accuracy'\?" evaluate --metrics=loss,acuracy
one_line
expect 64 "names nothing" evaluate --metrics=
expect 64 "knows no 'f'" "$jobferry" train --data_url=digits --metrics=f

# Predictions.
expect 0 '^\{"image":0,"prediction":[0-9],"truth":[0-9],"probabilities":\[0\.' infer --json
check "a line an image" test "$(infer --json --count=7 2>/dev/null | wc -l)" -eq 7
expect 0 'drew p.png' infer --count=6 --columns=6
check "six columns are wider than they are high" test \
  "$(od -An -tu1 -j16 -N8 p.png | awk '{ w = $3 * 256 + $4; h = $7 * 256 + $8; print (w > 4 * h) }')" -eq 1
infer --only_wrong --count=100 2>/dev/null >wrong
check "some are wrong after five steps" test -s wrong
check "only those are told" test "$(awk '$2 + 0 == $4 + 0' wrong | wc -l)" -eq 0

# PNG files.
expect 0 '^.*digit-7.png: prediction: [0-9]$' "$jobferry" infer --checkpoint=$ckpt --output=q.png --image "$data/digit-7.png" "$data/digit-7-paper.png"
expect 0 'dark on light; .*--invert' "$jobferry" infer --checkpoint=$ckpt --output=q.png --image "$data/digit-7-paper.png"
check "a picture of them" test -s q.png
expect 0 '"truth":null' "$jobferry" infer --json --checkpoint=$ckpt --output=q.png --image="$data/digit-7-paper.png" --invert
cp $ckpt no.png
expect 65 'no PNG' "$jobferry" infer --checkpoint=$ckpt --image=no.png && one_line
expect 66 'none.png' "$jobferry" infer --checkpoint=$ckpt --image=none.png && one_line
expect 64 'have no truth' "$jobferry" infer --checkpoint=$ckpt --only_wrong --image="$data/digit-7.png"
expect 64 "no option; images" "$jobferry" infer --checkpoint=$ckpt "$data/digit-7.png"

# Weights to begin with, whatever the format; a run that died goes on from its own all the same.
"$jobferry" ckpt convert --weights_only $ckpt w.safetensors 2>/dev/null
expect 0 'weights from w.safetensors' "$jobferry" train --data_url=digits --epochs=1 --work_dir=b --init_from=w.safetensors
expect 0 'entries of the file are not used: learning_rate, momentum' "$jobferry" train --data_url=digits --epochs=1 --work_dir=c --init_from=$ckpt
check "the same weights, the same bits" test "$(weights_sum b/ckpt/lenet-1_5.ckpt)" = "$(weights_sum c/ckpt/lenet-1_5.ckpt)"
rm -r c && cp -r b c && sed -i 's/"finished": *true/"finished":false/' c/ckpt/.jobferry/run.json
expect 0 'init_from is left aside' "$jobferry" train --data_url=digits --epochs=2 --work_dir=c --init_from=w.safetensors
head -c 640 $ckpt >part.ckpt
expect 65 'missing: conv2.weight' "$jobferry" train --data_url=digits --work_dir=d --init_from=part.ckpt && one_line
expect 0 '7 tensors are not loaded and begin fresh: conv2.weight, ' "$jobferry" train --data_url=digits --epochs=1 --work_dir=d --init_from=part.ckpt --strict_load=0
expect 65 'none of the network' "$jobferry" train --data_url=digits --work_dir=e --init_from="$data/mindspore-2.10-types.ckpt" --strict_load=0
expect 66 'nowhere.ckpt' "$jobferry" train --data_url=digits --work_dir=e --init_from=nowhere.ckpt
expect 64 'gs://' "$jobferry" train --data_url=digits --work_dir=e --init_from=gs://a/b.ckpt

# EMNIST's names; its images lie on their side there.
mkdir emnist
for split in train test; do
  name=$([ $split = test ] && echo t10k || echo train)
  gunzip -c digits/$split/"$name"-images-idx3-ubyte.gz >emnist/emnist-digits-$split-images-idx3-ubyte
  gunzip -c digits/$split/"$name"-labels-idx1-ubyte.gz >emnist/emnist-digits-$split-labels-idx1-ubyte
done
expect 0 '^Metrics' "$jobferry" train --data_url=emnist --epochs=1 --work_dir=f
check "transposed, they are other images" bash -c "! cmp -s f/ckpt/lenet-1_5.ckpt $ckpt"

finish
