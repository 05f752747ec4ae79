#!/usr/bin/env bash
# What the runner itself costs a COMMAND: tests/with_minio.sh tests/bench/overhead.sh JOBFERRY
#
#   start    from its exec to COMMAND's first instruction, without a store: train_url is a folder in
#            memory; median, least and most of 21
#   RSS      of the supervising process: while COMMAND idles, and its peak with a checkpoint of 100 MB
#            published to MinIO, of which --max_memory is the transfer budget
#   CPU      of one core over 30 s in which COMMAND prints ten lines a second and saves a checkpoint
#            of 1 MB every three, to MinIO; then the same with nothing but waiting
set -u
jobferry=$(realpath "$1")
work=$(mktemp -d -p /dev/shm)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export HOME=$work AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
unset data_url train_url DLS_DATA_URL DLS_TRAIN_URL
cat >first.c <<'END'
#include <stdio.h>
#include <time.h>
int main(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    printf("%lld\n", now.tv_sec * 1000000LL + now.tv_nsec / 1000);
}
END
cc -O1 -static -o first first.c || exit 1
"$jobferry" mb s3://overhead --server="$MINIO_ENDPOINT" 2>/dev/null
sorted() { printf '%s\n' "$@" | sort -n; }

took=()
for i in $(seq 21); do
  mkdir "start$i"
  began=${EPOCHREALTIME/[.,]/}
  ended=$("$jobferry" --train_url="$work/start$i/out" --work_dir="$work/start$i" -- "$work/first" 2>/dev/null)
  took+=($((ended - began)))
done
mapfile -t took < <(sorted "${took[@]}")
echo "start to COMMAND's first instruction, us: median ${took[10]}, ${took[0]} to ${took[20]}"

ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
status() { sed -n "s/^$2:[[:space:]]*\([0-9]*\) kB/\1/p" "/proc/$1/status"; }
job() { # SCRIPT OPTIONS…
  mkdir -p here
  exec "$jobferry" --train_url="s3://overhead/$RANDOM" --server="$MINIO_ENDPOINT" --work_dir=here "${@:2}" -- \
    bash -c "cd \"\$JOBFERRY_CKPT_DIR\" && $1"
}
job 'sleep 4; head -c 100000000 /dev/urandom >x.tmp; mv x.tmp m-1_1.ckpt; sleep 5' --max_memory=64MiB >/dev/null 2>&1 &
pid=$!
sleep 3
idle=$(status $pid VmRSS)
sleep 5
echo "RSS: $idle KiB while COMMAND idles; peak $(status $pid VmHWM) KiB with 100 MB published within 65536 KiB"
wait $pid

cpu() { # NAME SCRIPT
  job "$2" >/dev/null 2>&1 &
  local pid=$! from
  sleep 2
  from=$(ticks $pid)
  sleep 30
  awk -v t=$(($(ticks $pid) - from)) -v hz="$(getconf CLK_TCK)" -v n="$1" 'BEGIN {printf "CPU, %s: %.2f %% of a core\n", n, t * 100 / hz / 30}'
  wait $pid
}
# shellcheck disable=SC2016
cpu 'ten lines a second and 1 MB every 3 s' \
  'for i in {1..330}; do echo line $i; sleep 0.1; [ $((i % 30)) -ne 0 ] || { head -c 1000000 /dev/urandom >x.tmp; mv x.tmp m-1_$i.ckpt; }; done'
cpu 'nothing but waiting' 'sleep 33'
