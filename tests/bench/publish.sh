#!/usr/bin/env bash
# From a checkpoint's rename to its pointer moved, beside a bare upload of the same file, in turns.
#   tests/with_minio.sh tests/bench/publish.sh BUILD [MB] [ROUNDS]
set -eu
jobferry=$(realpath "$1/jobferry")
size=${2:-100} rounds=${3:-5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export HOME=$folder AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
export S3_ENDPOINT=$MINIO_ENDPOINT
"$jobferry" mb s3://publish 2>/dev/null
mkdir data && echo x >data/x
head -c $((size * 1000 * 1000)) /dev/urandom >file
bare=() piped=()
for round in $(seq 1 "$rounds"); do
  began=$(date +%s%N)
  "$jobferry" cp file "s3://publish/bare/$round" 2>/dev/null
  bare+=($((($(date +%s%N) - began) / 1000000)))
  mkdir "job$round"
  (cd "job$round" && "$jobferry" --data_url="$folder/data" --train_url="s3://publish/job$round" -- \
    bash -c "cp ../file \$JOBFERRY_CKPT_DIR/x.tmp && sync && mv \$JOBFERRY_CKPT_DIR/x.tmp \$JOBFERRY_CKPT_DIR/m-1_$round.pt && sleep 3" 2>/dev/null)
  piped+=("$(sed -n 's/.*"seconds_to_pointer": \([0-9.]*\).*/\1/p' "job$round/report.json" | awk '{printf "%d", $1 * 1000 + 100}')")
done
echo "bare upload, ms: ${bare[*]}"
echo "rename to pointer, ms (report.json's seconds_to_pointer and the 100 ms of quiet before it): ${piped[*]}"
