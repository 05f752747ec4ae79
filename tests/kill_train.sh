#!/usr/bin/env bash
# By hand: the same weights whatever happens. For each kernel path and optimizer, two epochs with 1, 2 and
# 4 threads, then the same killed with SIGKILL at five random steps and each time started again. Prints the
# weights' sums and a tally; ends with 1 when one differs.
#
#     tests/kill_train.sh JOBFERRY MNIST_FOLDER [SEED [KERNELS…]]
#
# SEED: 1; it decides the steps and how many lie between two checkpoints. KERNELS: all that this machine has.
set -u
jobferry=$1 data=$2 seed=${3:-1}
shift $(($# < 3 ? $# : 3))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
RANDOM=$seed
kernels=("$@")
[ $# -gt 0 ] || mapfile -t kernels < <("$jobferry" train --data_url="$data" --work_dir="$work" --kernels=none 2>&1 |
  sed -nE 's/^.*one of: auto, (.*)$/\1/p' | head -n 1 | sed 's/, /\n/g')
optimizers=(
  '--optimizer=momentum'
  '--optimizer=momentum --use_nesterov --weight_decay=0.001 --loss_scale=64 --lr_schedule=step --decay_rate=0.5'
  '--optimizer=sgd --dampening=0.1 --weight_decay=0.001 --async_save'
  '--optimizer=adam --lr=0.001 --lr_schedule=cosine --warmup_steps=100 --weight_decay=0.001'
)

# The job in FOLDER, anew or going on; it becomes the process.
job() { # FOLDER OPTION…
  local folder=$1
  shift
  exec "$jobferry" train --data_url="$data" --work_dir="$folder" --epochs=2 --save_checkpoint_steps="$every" --per_print_times=1 "$@"
}
sum() { # FOLDER: of the final weights; what else a checkpoint holds names its run
  "$jobferry" ckpt convert --weights_only "$1/ckpt/lenet-2_1875.ckpt" "$1/weights.ckpt" 2>"$work/log" || cat "$work/log" >&2
  sha256sum <"$1/weights.ckpt" | cut -c 1-64
}

failures=0 runs=0 kills=0 missed=0 resumes=0
# Kills a job when it has told of the given step, if it does not end before.
kill_at() { # STEP FOLDER OPTION…
  local line
  line="epoch: $((($1 - 1) / 1875 + 1)) step $((($1 - 1) % 1875 + 1)),"
  shift
  : >"$work/told" # not the line of the start before
  job "$@" >"$work/told" 2>"$work/log" &
  local victim=$! ended
  while kill -0 "$victim" 2>/dev/null && ! grep -q "^$line" "$work/told"; do
    sleep 0.002
  done
  kill -9 "$victim" 2>/dev/null
  wait "$victim" 2>/dev/null
  ended=$?
  note_resume
  if [ $ended -eq 137 ]; then
    kills=$((kills + 1))
  else
    missed=$((missed + 1)) # it was whole before it could be killed
  fi
}
note_resume() { ! grep -q 'continuing run' "$work/log" || resumes=$((resumes + 1)); }

for kernel in "${kernels[@]}"; do
  for optimizer in "${optimizers[@]}"; do
    read -ra options <<<"--kernels=$kernel $optimizer"
    every=1875 sums=
    for threads in 1 2 4; do
      (job "$work/$threads" --threads="$threads" "${options[@]}") >"$work/told" 2>"$work/log" || cat "$work/log" >&2
      sums+=" $(sum "$work/$threads")"
    done
    every=$((RANDOM % 90 + 10))
    steps=()
    for _ in 1 2 3 4 5; do
      steps+=($((RANDOM % 3700 + 1)))
    done
    mapfile -t steps < <(printf '%s\n' "${steps[@]}" | sort -n)
    for step in "${steps[@]}"; do
      kill_at "$step" "$work/cut" "${options[@]}"
    done
    (job "$work/cut" "${options[@]}") >"$work/told" 2>"$work/log" || cat "$work/log" >&2
    note_resume
    sums+=" $(sum "$work/cut")"
    verdict=same
    one=${sums: -65}
    [ "${#one} $sums" = "65 $one$one$one$one" ] || verdict="DIFFERENT:$sums"
    [ "$verdict" = same ] || failures=$((failures + 1))
    runs=$((runs + 1))
    echo "$kernel $optimizer: 1, 2, 4 threads, and killed after steps ${steps[*]}, saved every $every: $verdict$one"
    rm -rf "$work/1" "$work/2" "$work/4" "$work/cut"
  done
done
echo "$failures of $runs differ; $kills kills, $missed came too late; $resumes starts went on from a checkpoint"
[ "$failures" -eq 0 ]
