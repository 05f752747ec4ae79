#!/usr/bin/env bash
# docker/slurm/job.sbatch as Slurm runs it: at the end of its time the batch shell alone is told, scontrol is asked to
# queue the job again, and the job that starts again goes on. JOBFERRY JOB.SBATCH; scontrol is one of ours.
set -u
jobferry=$1 job=$2
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
trainer=$(cd "$(dirname "$0")" && pwd)/slurm_trainer.sh
cd "$scratch" || exit 1
mkdir bin tmp data
echo 1 >data/file
ln -s "$jobferry" bin/jobferry
# shellcheck disable=SC2016 # for the scripts
printf '#!/bin/sh\necho "$@" >>"%s/asked"\nexit "${SCONTROL_CODE:-0}"\n' "$scratch" >bin/scontrol
chmod +x bin/scontrol
export PATH=$scratch/bin:$PATH SLURM_JOB_ID=42 SLURM_TMPDIR=$scratch/tmp
export DATA_URL=$scratch/data TRAIN_URL=$scratch/out

grace=$(grep -o -e '--grace=[0-9]*' "$job" | cut -d = -f 2)
ahead=$(sed -n 's/^#SBATCH --signal=B:USR1@//p' "$job")
check "told $ahead s ahead, it needs $grace" test "$((grace + 5))" -le "$ahead"
check "preempted it has Slurm's KillWait, 30 s" test "$((grace + 5))" -le 30
check "it may be queued again" grep -qx '#SBATCH --requeue' "$job"

# Starts the job and sends it a signal once the second checkpoint is out; sets code.
stopped() { # LOG SIGNAL [all]: to its shell, or, as Slurm sends TERM, to all of its processes
  setsid bash "$job" -- "$trainer" >"$1" 2>&1 &
  local shell=$!
  for _ in $(seq 1 3000); do
    if grep -rqs model-2_1 out/.jobferry/manifest; then break; fi
    sleep 0.02
  done
  kill "-$2" -- "${3:+-}$shell"
  code=0
  wait "$shell" || code=$?
}
stopped log1 USR1
check "told, it ends with 0, for it is queued again" test "$code" -eq 0
check "scontrol was asked once" test "$(cat asked 2>/dev/null)" = "requeue 42"
rm -f asked
rm -rf tmp/* # another node
HANG=no expect 0 'epoch 4 done' bash "$job" -- "$trainer"
check "it went on where it was" sh -c "! grep -q '^epoch [12] done' '$output'"
check "finished, it is not queued again" absent asked
check "finished, it leaves nothing on the node" absent tmp/jobferry-42
END=3 HANG=no TRAIN_URL=$scratch/failed expect 3 'epoch 4 done' bash "$job" -- "$trainer"
check "failed, it is not queued again" absent asked
rm -rf out
stopped log2 TERM all
check "preempted or cancelled, it ends with 75" test "$code" -eq 75
check "and leaves it to Slurm whether it is queued again" absent asked
HANG=no expect 0 'epoch 4 done' bash "$job" -- "$trainer"
check "if so, it goes on where it was" sh -c "! grep -q '^epoch [12] done' '$output'"
rm -rf out
SCONTROL_CODE=1 stopped log3 USR1
check "where Slurm will not queue it again, the code tells" test "$code" -eq 75
env -u TRAIN_URL bash "$job" >log4 2>&1
check "without TRAIN_URL it says so" grep -q 'TRAIN_URL: s3://' log4
finish
