#!/usr/bin/env bash
# What copies that died have left, listed and removed: uploads in a store, files in a folder.
# Run by with_minio.sh.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
export S3_ENDPOINT=$MINIO_ENDPOINT XDG_STATE_HOME=$scratch/state

count() { "$jobferry" cleanup --json "$@" 2>/dev/null | grep -c '"upload_id"'; }

# Begins an upload of a stream that does not end, and kills it once the store has heard of it.
leave_upload() { # KEY NUMBER: so many there will be
  mkfifo pipe
  "$jobferry" put - "s3://left/$1" <pipe >/dev/null 2>&1 &
  local writer=$!
  exec 9>pipe
  head -c 40000000 /dev/zero >&9 # more than a part of a stream
  for _ in $(seq 300); do
    [ "$(count s3://left)" -ge "$2" ] && break
    sleep 0.1
  done
  kill -9 "$writer"
  wait "$writer" 2>/dev/null
  exec 9>&-
  rm pipe
}

expect 0 '' "$jobferry" mb s3://left

# A copy that was killed goes on, and says how much was there.
head -c 60000000 /dev/urandom >big
"$jobferry" cp --part_size=5MiB --bandwidth_limit=20MiB big s3://left/big >/dev/null 2>&1 &
writer=$!
head=0
for _ in $(seq 600); do
  length=$(cat state/jobferry/*.journal 2>/dev/null | wc -c)
  [ "$head" -gt 0 ] && [ "$length" -gt "$head" ] && break # a part was noted
  head=$length
  sleep 0.05
done
kill -9 "$writer"
wait "$writer" 2>/dev/null
expect 0 '"resumed": ?[1-9]' "$jobferry" cp --json --part_size=5MiB big s3://left/big
"$jobferry" cat s3://left/big >back
check "it is whole" same_bytes big back
expect 0 '' "$jobferry" rm s3://left/big

expect 0 '0 left-overs' "$jobferry" cleanup s3://left
leave_upload 'deep/a b' 1
leave_upload other 2
check "two uploads are left" test "$(count s3://left)" -eq 2
expect 0 '2 left-overs.* 0 to be removed, 2 younger' "$jobferry" cleanup s3://left
expect 0 'younger +s3://left/deep/a b upload ' "$jobferry" cleanup s3://left
expect 0 '2 left-overs.* 0 removed, 2 younger' "$jobferry" cleanup --abort s3://left
expect 0 '2 left-overs.* 2 to be removed, 0 younger.*--abort' "$jobferry" cleanup --older_than=0 s3://left
check "a listing removes nothing" test "$(count s3://left)" -eq 2
check "below a prefix is one" test "$(count s3://left/deep/)" -eq 1
expect 0 '"removed": ?1' "$jobferry" cleanup --json --older_than=0s --abort s3://left/deep/
check "the other one stays" test "$(count s3://left)" -eq 1
expect 0 '1 removed' "$jobferry" cleanup --older_than=0h --yes s3://left
check "none is left" test "$(count s3://left)" -eq 0
expect 66 'NoSuchBucket|bucket' "$jobferry" cleanup s3://missing-bucket && one_line

# A folder: temporary files and journals, and nothing that only looks a little so.
mkdir -p folder/sub
touch -d '3 days ago' folder/.x.abcdef.part folder/sub/.y.00112233.journal folder/.x.part \
  folder/x.abcdef.part folder/y.journal folder/.z.ABCDEF.part
touch folder/.new.abcdef.part
expect 0 '3 left-overs.* 2 to be removed, 1 younger' "$jobferry" cleanup folder
expect 0 '3 left-overs.* 0 to be removed, 3 younger' "$jobferry" cleanup --older_than=4 folder
expect 0 '2 removed, 1 younger' "$jobferry" cleanup --abort folder
check "they are gone" absent folder/.x.abcdef.part
check "the rest stays" test "$(find folder -type f | wc -l)" -eq 5
exec 8>folder/.held.00000000.journal && flock 8
expect 0 'in use +folder/.held' "$jobferry" cleanup --older_than=0 --abort folder
check "what is in use stays" test -e folder/.held.00000000.journal
exec 8>&-

for age in x 1w -1 1dd '' 99999999; do
  expect 64 'an age is' "$jobferry" cleanup "--older_than=$age" folder
done
expect 64 'one URL' "$jobferry" cleanup
finish
