#!/usr/bin/env bash
# Whether --max_memory is a ceiling: tests/with_minio.sh tests/bench/memory.sh JOBFERRY
#
# Copies 288 MiB between two endpoints (one server under two names), which is the way on which parts
# are held in memory, and fails when the process's peak passes the ceiling by more than BASE MiB:
# the program with its libraries is 20, its connections some. Not for builds with sanitizers, whose
# shadow memory counts.
set -u
jobferry=$1
base=48
cd "$(dirname "$0")" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O2 -D_GNU_SOURCE -o "$work/measure" measure.c || exit 1
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
export S3_ENDPOINT=$MINIO_ENDPOINT
mkdir "$work/in"
for i in 1 2 3 4 5 6; do head -c 48M /dev/urandom >"$work/in/$i"; done
if ! { "$jobferry" mb s3://memory && "$jobferry" cp -r "$work/in" s3://memory/in; } >"$work/out" 2>&1; then
  cat "$work/out"
  exit 1
fi
failed=0
for most in 5 32 64 256; do
  : >"$work/cost"
  "$work/measure" "$work/cost" "$jobferry" cp -r "--max_memory=${most}MiB" \
    "--data_server=${MINIO_ENDPOINT/127.0.0.1/localhost}" s3://memory/in "s3://memory/$most" \
    >"$work/out" 2>&1 || failed=1
  rss=$(awk '{print int($4 / 1024)}' "$work/cost")
  echo "--max_memory=${most}MiB: peak $rss MiB"
  [ "$rss" -le $((most + base)) ] || failed=1
done
exit "$failed"
