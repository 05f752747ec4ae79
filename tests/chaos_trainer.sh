#!/usr/bin/env bash
# A trainer that knows nothing of jobferry: `chaos_trainer.sh STEPS EVERY`. Its state is a step and a
# sum that each step chains on; it saves every EVERY steps, and when it is told to stop.
set -u
steps=$1 every=$2 step=0 sum=0
dir=${train_url:?}
if [ -n "$JOBFERRY_RESUME_CKPT" ]; then
  read -r step sum <"$JOBFERRY_RESUME_CKPT"
  echo "goes on from step $step"
fi
save() { # under its name only when it is whole
  local name=model-$((step / 20 + 1))_$step.state
  [ -e "$dir/$name" ] && return
  echo "$step $sum" >"$dir/.$name.tmp"
  mv "$dir/.$name.tmp" "$dir/$name"
  echo "saved $step"
}
trap 'save; exit 0' TERM INT
while [ "$step" -lt "$steps" ]; do
  step=$((step + 1))
  sum=$(((sum * 31 + step) % 1000003))
  sleep 0.02
  if [ $((step % every)) -eq 0 ]; then save; fi
done
save
echo "done $step $sum"
