#!/usr/bin/env bash
# Syncs with another S3 server than MinIO: rclone's, over a folder. Skipped, and said so, where
# there is no rclone; in CI that is a failure.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/sync_suite.sh
. "$(dirname "$0")/sync_suite.sh"
if ! command -v rclone >/dev/null; then
  echo "skipped: no rclone in PATH" >&2
  [ "${CI:-}" = true ] && exit 1
  exit 77
fi
cd "$scratch" || exit 1

server=
at_end() { [ -n "$server" ] && kill "$server" && wait "$server"; }
mkdir -p served/sync
port=$((32000 + (RANDOM + $$) % 12000))
rclone serve s3 --config /dev/null --addr "127.0.0.1:$port" --auth-key user,password served >rclone.log 2>&1 &
server=$!
export AWS_ACCESS_KEY_ID=user AWS_SECRET_ACCESS_KEY=password AWS_ENDPOINT_URL=http://127.0.0.1:$port
for _ in $(seq 100); do
  "$jobferry" ls s3://sync >/dev/null 2>&1
  [ $? -ne 69 ] && break
  sleep 0.1
done

sync_suite "$scratch/up" s3://sync/up
sync_suite s3://sync/down "$scratch/down"
finish
