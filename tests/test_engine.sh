#!/usr/bin/env bash
# The options of the engine: how much at once, in what parts, how fast, until when. Run by
# with_minio.sh.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
export S3_ENDPOINT=$MINIO_ENDPOINT XDG_STATE_HOME=$scratch/state

head -c 12582912 /dev/urandom >big
head -c 3145728 big >small
expect 0 '' "$jobferry" mb s3://engine

# Parts: their number stands in the ETag.
expect 0 '' "$jobferry" cp --part_size=5MiB big s3://engine/three
expect 0 '"etag": ?"[0-9a-f]{32}-3"' "$jobferry" stat --json s3://engine/three
expect 0 '' "$jobferry" cp --part_size=6M --connections=1 big s3://engine/two
expect 0 '"etag": ?"[0-9a-f]{32}-2"' "$jobferry" stat --json s3://engine/two
expect 0 '' "$jobferry" put --part_size=5242880 big s3://engine/put
expect 0 '"etag": ?"[0-9a-f]{32}-3"' "$jobferry" stat --json s3://engine/put
expect 64 'part_size takes a size' "$jobferry" cp --part_size=4MiB big s3://engine/x
expect 64 'part_size takes a size' "$jobferry" cp --part_size=8MiBs big s3://engine/x
expect 64 'part_size takes a size' "$jobferry" cp --part_size=-8M big s3://engine/x
expect 64 'part_size takes a size' "$jobferry" cp --part_size=99999999999999T big s3://engine/x
expect 64 'connections takes a whole number' "$jobferry" cp --connections=0 big s3://engine/x

# Memory: parts shrink into it.
expect 0 '' "$jobferry" cp --max_memory=5MiB big s3://engine/narrow
expect 0 '"etag": ?"[0-9a-f]{32}-3"' "$jobferry" stat --json s3://engine/narrow
expect 0 '' "$jobferry" put --max_memory=6MiB big s3://engine/narrow
expect 0 '"etag": ?"[0-9a-f]{32}-2"' "$jobferry" stat --json s3://engine/narrow
expect 64 'max_memory takes a size' "$jobferry" cp --max_memory=1M big s3://engine/x
expect 0 '' "$jobferry" cp --max_memory=5MiB s3://engine/narrow back
check "the bytes are the same" same_bytes big back

# A rate: no sooner than it allows, both ways, from memory and from files.
seconds_at_least() { # SECONDS: of the last output's summary
  awk -v least="$1" 'match($0, /"seconds": ?[0-9.]+}?/) {
    text = substr($0, RSTART, RLENGTH); gsub(/[^0-9.]/, "", text); last = text
  } END { exit !(last >= least) }' "$output"
}
expect 0 'summary' "$jobferry" cp --json --bandwidth_limit=2M small s3://engine/slow
check "an upload keeps the rate" seconds_at_least 1.4
expect 0 'summary' "$jobferry" cp --json --bandwidth_limit=2M s3://engine/slow slow
check "a download keeps the rate" seconds_at_least 1.4
check "slowly come bytes are the same" same_bytes small slow
mkdir many && split -b 600000 small many/
expect 0 'summary' "$jobferry" cp --json -r --bandwidth_limit=2M many s3://engine/many
check "many small ones keep it together" seconds_at_least 1.4

# A deadline ends it, said as such, and nothing half done is visible.
expect 74 'deadline has passed' "$jobferry" cp --bandwidth_limit=100K --deadline=1 small s3://engine/late
expect 66 '' "$jobferry" stat s3://engine/late
expect 74 'deadline has passed' "$jobferry" cp --bandwidth_limit=100K --deadline=1 s3://engine/slow late
check "no file is there" absent late
expect 74 'deadline has passed' "$jobferry" put --bandwidth_limit=100K --deadline=1 small s3://engine/late
expect 0 '' "$jobferry" cp --deadline=100 small s3://engine/early

finish
