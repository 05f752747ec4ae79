#!/bin/sh
# A COMMAND for the tests of docker/slurm: saves a checkpoint of each of four epochs and ends with END (0). A run's first
# start hangs after two until it is told, but not with HANG=no.
epoch=$JOBFERRY_RESUME_EPOCH
while [ "$epoch" -lt 4 ]; do
  epoch=$((epoch + 1))
  echo "weights of $epoch" >"$JOBFERRY_CKPT_DIR/.new"
  mv "$JOBFERRY_CKPT_DIR/.new" "$JOBFERRY_CKPT_DIR/model-${epoch}_1.pth"
  echo "epoch $epoch done"
  if [ "$epoch" -eq 2 ] && [ "$JOBFERRY_ATTEMPT" = 1 ] && [ "${HANG:-yes}" = yes ]; then exec sleep 1000; fi
done
exit "${END:-0}"
