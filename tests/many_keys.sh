#!/usr/bin/env bash
# Lists and syncs very many keys, from a store made for it: tests/many_keys.sh BUILD [COUNT [DELAY_MS]]
#
# By hand. BUILD is a build folder. COUNT (1,000,000) unchanged objects are synced from one store to
# another; wall time, CPU time and the peak of resident memory are printed, and the peak is held
# against the ceiling of 256 MiB. DELAY_MS (0) is what each page takes to come.
set -euo pipefail
build=$1
count=${2:-1000000}
delay=${3:-0}
folder=$(mktemp -d)
trap 'exec 3>&-; rm -rf "$folder"' EXIT

mkfifo "$folder/open"
"$build/tests/many_keys_store" "$count" "$delay" <"$folder/open" >"$folder/out" &
exec 3>"$folder/open" # the store lives as long as this is open
for _ in $(seq 100); do
  [ -s "$folder/out" ] && break
  sleep 0.05
done
AWS_ENDPOINT_URL=http://127.0.0.1:$(head -n 1 "$folder/out")
export AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=y

measure() {
  local what=$1
  shift
  TIMEFORMAT='%R s, %U user, %S system'
  echo "$what:"
  { time "$build/tests/peak_memory" "$@" >"$folder/list"; } 2>&1 | sed 's/^/  /'
}
measure "ls -r of $count" "$build/jobferry" ls -r s3://one/k/
[ "$(wc -l <"$folder/list")" -eq "$count" ]
cut -c 35- "$folder/list" | LC_ALL=C sort -c
measure "sync of $count unchanged" "$build/jobferry" sync --json s3://one/k/ s3://two/k/
grep -q "\"skipped\": *$count" "$folder/list"
exec 3>&-
wait
tail -n 1 "$folder/out" | sed 's/^/  /'
