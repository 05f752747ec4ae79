#!/usr/bin/env bash
# The trainer's speed: each part of each machine's kernels beside the peak of its multiply-adds, then epochs
# of real MNIST and inference, ours and the peers' in turns, data in memory, batch 32.
#
#   tests/bench/train.sh BUILD_FOLDER MNIST_FOLDER [kernels|epochs|peers|side|start]...     (default: all)
#
# TORCH_PYTHON and MINDSPORE_PYTHON are the Pythons that have the peers (a venv with `pip install torch` or
# mindspore); a peer without one is left out by name. ROUNDS (5), PAIRS (7),
# PEER_EPOCHS (2) and PEER_STEPS (1875 of an epoch, the rest reckoned) make it shorter.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
data=$2
shift 2
parts=${*:-kernels epochs peers side start}
jobferry=$build/jobferry
rounds=${ROUNDS:-5}
pairs=${PAIRS:-7}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

has() { [[ " $parts " == *" $1 "* ]]; }

median() { sort -g | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

# KERNELS THREADS EPOCHS [OPTION…]: seconds of each epoch, one a line; by the rate, which is told more exactly.
epochs() {
  local kernels=$1 threads=$2 count=$3
  shift 3
  "$jobferry" train --data_url="$data" --work_dir="$work/train" --resume=never --kernels="$kernels" --threads="$threads" \
    --epochs="$count" "$@" 2>&1 | sed -nE 's/^.*test accuracy [0-9.]+, [0-9.]+ s, ([0-9]+) images.*$/\1/p' | awk '{print 60000 / $1}'
  rm -rf "$work/train"
}

# The kernels that this processor has, best first.
kernels_here() {
  "$jobferry" train --data_url="$data" --work_dir="$work/none" --kernels=none 2>&1 |
    sed -nE 's/^.*one of: auto, (.*)$/\1/p' | tr -d ',' | head -1
}

if has kernels; then
  for bench in "$build"/tests/bench_kernels_*; do
    [ -x "$bench" ] && echo && "$bench"
  done
fi

if has epochs; then
  printf '\n| kernels | threads | s/epoch, median of %s | GF/s |\n|---|---|---|---|\n' "$rounds"
  for kernels in $(kernels_here); do
    for threads in 1 2; do
      epochs "$kernels" "$threads" "$rounds" >"$work/seconds"
      median <"$work/seconds" | awk -v k="$kernels" -v t="$threads" '{printf "| %s | %s | %.2f | %.0f |\n", k, t, $1, 135.8 / $1}'
    done
  done
fi

if has peers; then
  "$build/tests/bench_network" dump "$data" "$work/images" "$work/labels"
  declare -A python=([torch]=${TORCH_PYTHON:-} [mindspore]=${MINDSPORE_PYTHON:-})
  for _ in 1 2; do
    for threads in 1 2; do
      epochs auto "$threads" 3 >>"$work/jobferry.$threads.epoch"
      "$build/tests/bench_network" inference "$data" "$threads" auto >>"$work/jobferry.$threads.inference"
      for peer in torch mindspore; do
        [ -n "${python[$peer]}" ] || continue
        OMP_WAIT_POLICY=passive OMP_NUM_THREADS=$threads "${python[$peer]}" tests/bench/train_peer.py "$peer" "$threads" "$work/images" "$work/labels" \
          "${PEER_EPOCHS:-2}" "${PEER_STEPS:-1875}" >"$work/out" 2>"$work/errors" || tail -3 "$work/errors"
        sed -n 's/^epoch //p' "$work/out" >>"$work/$peer.$threads.epoch"
        sed -n 's/^inference //p' "$work/out" >>"$work/$peer.$threads.inference"
      done
    done
  done
  printf '\n| trainer | threads | s/epoch, median | inference at 1,000, images/s |\n|---|---|---|---|\n'
  for who in jobferry torch mindspore; do
    [ "$who" = jobferry ] || [ -n "${python[$who]}" ] || echo "| $who | skipped: no Python given | | |"
    for threads in 1 2; do
      [ -s "$work/$who.$threads.epoch" ] || continue
      printf '| %s | %s | %.2f | %.0f |\n' "$who" "$threads" "$(median <"$work/$who.$threads.epoch")" \
        "$(median <"$work/$who.$threads.inference")"
    done
  done
fi

plain() { epochs auto 2 3; }
beside_busy() {
  (while :; do :; done) &
  local busy=$!
  epochs auto 2 3
  kill "$busy"
  wait "$busy" 2>/dev/null || true
}
saving() { epochs auto 2 3 --save_checkpoint_steps=100; }
saving_async() { epochs auto 2 3 --save_checkpoint_steps=100 --async_save; }

# TEXT COMMAND: what COMMAND's epochs cost beside plain ones, in turns, the first of a pair changing.
pairs() {
  local text=$1 command=$2 pair
  for pair in $(seq "$pairs"); do
    [ $((pair % 2)) = 0 ] || a=$(plain | median)
    b=$("$command" | median)
    [ $((pair % 2)) = 1 ] || a=$(plain | median)
    echo "$a $b"
  done >"$work/pairs"
  printf '| %s | %s | %s | %s |\n' "$text" "$(cut -d ' ' -f 1 "$work/pairs" | median)" "$(cut -d ' ' -f 2 "$work/pairs" | median)" \
    "$(awk '{print $2 / $1}' "$work/pairs" | median)"
}

if has side; then
  printf '\n| two threads, median of %s pairs | s/epoch alone | with it | median ratio |\n|---|---|---|---|\n' "$pairs"
  pairs 'beside one busy process' beside_busy
  pairs 'a checkpoint every 100 steps, --async_save' saving_async
  pairs 'a checkpoint every 100 steps' saving
fi

if has start; then
  # One step is a batch of all images; what the step itself takes is not the start.
  for _ in 1 2 3; do
    /usr/bin/time -f '%e %M' "$jobferry" train --data_url="$data" --work_dir="$work/start" --resume=never --epochs=1 --batch_size=60000 \
      >"$work/log" 2>&1
    step=$(sed -nE 's/^.*test accuracy [0-9.]+, ([0-9.]+) s,.*$/\1/p' "$work/log")
    tail -1 "$work/log" | awk -v s="$step" '{printf "start: %.2f s beside a step of %.2f s; peak %.0f MB\n", $1 - s, s, $2 / 1024}'
    rm -rf "$work/start"
  done
fi
