#!/usr/bin/env bash
# A disk that fills up: one line, 73, no partial file, and the last good checkpoint is intact and
# named. Takes root, to mount a small tmpfs; by with_minio.sh. $1: the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

disk=$scratch/disk
mkdir "$disk"
mount_disk() { # SIZE: a fresh tmpfs of that size
  umount "$disk" 2>/dev/null
  mount -t tmpfs -o "size=$1" tmpfs "$disk"
}
# shellcheck disable=SC2317 # called by lib.sh's trap
at_end() { umount "$disk" 2>/dev/null; }
if ! mount_disk 1m 2>/dev/null; then
  echo "skipped: mounting a small tmpfs takes root" >&2
  [ "${CI:-}" = true ] && exit 1
  exit 77
fi

export HOME=$scratch # no profile files of the machine's
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
server=--server=$MINIO_ENDPOINT
expect 0 'drew' "$jobferry" data digits digits --train=64 --test=32
# 3 MiB that do not compress beside it: the set is bigger than the disk.
mkdir big && cp -r digits/* big/
for i in 1 2 3 4 5 6; do
  head -c 524288 /dev/urandom >"big/noise$i"
done
head -c 3145728 /dev/urandom >one
expect 0 '' "$jobferry" mb "$server" s3://data
expect 0 '' "$jobferry" mb "$server" s3://out
expect 0 'copied 10 objects' "$jobferry" cp -r "$server" big s3://data/big
expect 0 '' "$jobferry" cp "$server" one s3://data/one

# Every file below $1 has the bytes of the one in $2 by that name: what is there is whole.
all_whole() {
  local file
  find "$1" -type f | while read -r file; do
    cmp "$file" "$2/${file#"$1"/}" || exit 1
  done
}

# A set that cannot fit is told before it is fetched.
expect 73 'the data take .* are free; make room' "$jobferry" --data_url=s3://data/big \
  --train_url=s3://out/job "$server" --work_dir="$scratch/work" --data_dir="$disk/data"
one_line
check "nothing was fetched" test -z "$(ls -A "$disk")"
check "nothing was trained" absent work/ckpt

# Copies: one that cannot fit, many that do not, from a store and from a folder.
mount_disk 1m
expect 73 'No space left on device' "$jobferry" cp "$server" s3://data/one "$disk/one"
one_line
check "nothing is left" test -z "$(ls -A "$disk")"
expect 73 'No space left on device' "$jobferry" cp one "$disk/one"
one_line
check "nothing is left" test -z "$(ls -A "$disk")"
expect 73 'No space left on device' "$jobferry" cp -r big "$disk/big"
check "what is there is whole" all_whole "$disk/big" big
mount_disk 1m
expect 73 'No space left on device' bash -c "'$jobferry' put - '$disk/put' <one"
one_line
check "nothing is left" test -z "$(ls -A "$disk")"

# A file system that is read-only.
mount_disk 1m
echo old >"$disk/kept"
mount -o remount,ro "$disk"
expect 73 'Read-only file system' "$jobferry" cp "$server" s3://data/one "$disk/one"
one_line
expect 73 'Read-only file system' "$jobferry" cp -r big "$disk/big"
expect 73 'Read-only file system' "$jobferry" cp "$server" s3://data/one "$disk/kept"
one_line
check "what was there is there" grep -q old "$disk/kept"
expect 73 'Read-only file system' "$jobferry" --data_url=s3://data/big --train_url="$disk/job" "$server" --work_dir=work3
check "nothing was trained" absent work3/ckpt

# Checkpoints that cannot fit are told before the first step: 483 KiB each, and as many as are kept.
mount_disk 1200k
expect 73 'the checkpoints take .* are free; make room' "$jobferry" train --data_url=digits \
  --work_dir=work --ckpt_dir="$disk/ckpt" --epochs=5
one_line
check "nothing was trained" absent "$disk/ckpt/lenet-1_2.ckpt"

# Others fill the disk once the second checkpoint is there, and take what room its eviction gives.
fill_when_two() { # COMMAND…: as expect takes it
  "$@" &
  local job=$! code=0
  for _ in $(seq 3000); do
    [ -e "$disk/ckpt/lenet-2_2.ckpt" ] && break
    sleep 0.01
  done
  while kill -0 "$job" 2>/dev/null; do
    head -c 4m /dev/zero >>"$disk/filler" 2>/dev/null
  done
  wait "$job" || code=$?
  rm -f "$disk/filler"
  return "$code"
}
last_good() { sed -n 's/.*the last good checkpoint is \([^ ,;]*\.ckpt\).*/\1/p' "$output"; }
epochs=--epochs=200

mount_disk 4m
expect 73 'No space left on device' fill_when_two "$jobferry" train --data_url=digits \
  --work_dir=work --ckpt_dir="$disk/ckpt" $epochs
one_line
good=$(last_good)
check "the last good checkpoint is named" test -n "$good"
expect 0 'verified by jobferry' "$jobferry" ckpt verify "$good"
check "every checkpoint is whole" "$jobferry" ckpt verify "$disk"/ckpt/*.ckpt
check "nothing temporary is left" test -z "$(find "$disk" -name '*.tmp')"

# With room again, it goes on from there to the bits of a run that was never in trouble.
mount -o remount,size=16m "$disk"
expect 0 'continuing' "$jobferry" train --data_url=digits --work_dir=work --ckpt_dir="$disk/ckpt" $epochs
expect 0 '' "$jobferry" train --data_url=digits --work_dir=easy --ckpt_dir="$disk/easy" $epochs
check "the same bits" test "$(weights_sum "$disk/ckpt/lenet-200_2.ckpt")" = "$(weights_sum "$disk/easy/lenet-200_2.ckpt")"

# In a job, what was saved before is confirmed in the store.
mount_disk 4m
expect 73 'No space left on device' fill_when_two "$jobferry" --data_url=s3://data/big \
  --train_url=s3://out/full "$server" --work_dir="$scratch/work2" --ckpt_dir="$disk/ckpt" $epochs
good=$(last_good)
check "the last good checkpoint is named" test -n "$good"
expect 0 "${good##*/}" "$jobferry" ls "$server" s3://out/full/ckpt/
expect 0 '"exit"' "$jobferry" cat "$server" s3://out/full/report.json

finish
