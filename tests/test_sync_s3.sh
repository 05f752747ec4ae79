#!/usr/bin/env bash
# Syncs with a MinIO: up, down, within it, and what only pairs of unequal kinds have.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/sync_suite.sh
. "$(dirname "$0")/sync_suite.sh"
cd "$scratch" || exit 1
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
export AWS_ENDPOINT_URL=$MINIO_ENDPOINT
"$jobferry" mb s3://sync || exit 1

sync_suite "$scratch/up" s3://sync/up
sync_suite s3://sync/down "$scratch/down"
sync_suite s3://sync/from s3://sync/to

# The record of a sync down: no request but the listing's.
expect 0 '' "$jobferry" sync --verbose s3://sync/down "$scratch/down"
check "one listing, nothing else" test "$(grep -Ec '^(GET|HEAD|PUT)' "$output")" -eq 1
touch -d '2001-02-03' "$scratch/down/a"
expect 0 'copied 1 ' "$jobferry" sync s3://sync/down "$scratch/down"
rm "$scratch/down/.jobferry-sync"
expect 0 'copied 0 .*6 unchanged' "$jobferry" sync --verbose s3://sync/down "$scratch/down"
check "without the record each is asked for" test "$(grep -c '^HEAD' "$output")" -eq 6
expect 0 'copied 0 .*6 unchanged' "$jobferry" sync --verbose s3://sync/down "$scratch/down"
check "and the record is there again" test "$(grep -c '^HEAD' "$output")" -eq 0
head -c 60 "$scratch/down/.jobferry-sync" >torn && cp torn "$scratch/down/.jobferry-sync"
expect 0 'copied 0 .*6 unchanged' "$jobferry" sync s3://sync/down "$scratch/down"
check "a damaged one does no harm" holds "$scratch/down" z last
expect 0 '' "$jobferry" sync "$scratch/down" s3://sync/again
check "it is not sent" lacks s3://sync/again .jobferry-sync

# Empty folders and placeholders, both ways.
mkdir -p tree/empty tree/full && touch tree/full/x
expect 0 '' "$jobferry" sync tree s3://sync/tree
check "a placeholder stands for an empty folder" has s3://sync/tree empty/
expect 0 'copied 0 ' "$jobferry" sync tree s3://sync/tree
expect 0 '' "$jobferry" sync s3://sync/tree tree2
check "it is a folder again" test -d tree2/empty
rmdir tree/empty
expect 0 '' "$jobferry" sync --delete --max_delete=5 tree s3://sync/tree
check "it goes with the folder" lacks s3://sync/tree empty/
expect 0 '' "$jobferry" sync --delete --max_delete=5 s3://sync/tree tree2
check "and takes the folder along" absent tree2/empty

expect 66 'NoSuchBucket|bucket' "$jobferry" sync tree s3://no-such-bucket-here/x
expect 66 '' "$jobferry" sync s3://sync/nothing-here tree2
expect 77 '' env AWS_SECRET_ACCESS_KEY=wrongwrong "$jobferry" sync --delete s3://sync/tree tree2
check "a refused listing deletes nothing" test -e tree2/full/x
finish
