#!/usr/bin/env bash
# docker/slurm in a real Slurm of one node: the README's lines, the end of a job's time, preemption, scancel.
#
#   tests/with_minio.sh tests/platforms/slurm.sh JOBFERRY
#
# By hand, as root, two minutes; it installs Debian's slurmctld, slurmd, slurm-client and munge where they are missing,
# and starts them in a folder of its own. Without the accounting data base: scontrol is asked what sacct would say.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
jobferry=$(readlink -f "$1")
# shellcheck source=runner/packages.sh
. "$here/../../runner/packages.sh"
install_packages slurmctld slurmd slurm-client munge >/dev/null
work=$(mktemp -d)
chmod 755 "$work"
export SLURM_CONF=$work/slurm.conf # first of all: no other cluster is meant
stop() { # NAME: by the id that it has written down
  [ ! -e "$work/$1.pid" ] || kill "$(cat "$work/$1.pid")" 2>/dev/null || true
}
# shellcheck disable=SC2317 # called by the trap
finish() {
  scancel --user=root 2>/dev/null || true
  sleep 1
  stop slurmd
  stop slurmctld
  stop munged
  sleep 1
  rm -rf "$work"
}
trap finish EXIT
fail() { echo "not ok - $*" >&2; exit 1; }
said() { echo "ok - $*"; }

mkdir "$work/state" "$work/spool" "$work/bin" "$work/home" "$work/home/.aws" "$work/tmp"
head -c 1024 /dev/urandom >"$work/key"
chmod 600 "$work/key"
munged --force --key-file="$work/key" --socket="$work/munge" --pid-file="$work/munged.pid" --log-file="$work/munged.log" \
  --seed-file="$work/seed" 2>/dev/null
node=$(hostname -s)
port=$((20000 + RANDOM % 10000))
cat >"$work/slurm.conf" <<END
ClusterName=lab
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
SchedulerParameters=sched_interval=5,bf_interval=5
NodeName=$node NodeAddr=127.0.0.1 CPUs=2 RealMemory=4096 State=UNKNOWN
PartitionName=plain Nodes=ALL Default=YES PriorityTier=1 MaxTime=1-0
PartitionName=kind Nodes=ALL PriorityTier=1 GraceTime=40 MaxTime=1-0
PartitionName=first Nodes=ALL PriorityTier=10 PreemptMode=OFF MaxTime=1-0
END
# The cluster's environment is what sbatch is called with.
ln -s "$jobferry" "$work/bin/jobferry"
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\nendpoint_url = %s\n' \
  "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" "$MINIO_ENDPOINT" >"$work/home/.aws/credentials"
cp "$here/../../docker/slurm/job.sbatch" "$work/"
cd "$work"
export HOME=$work/home TMPDIR=$work/tmp PATH=$work/bin:$PATH
slurmctld
slurmd 2>/dev/null
for _ in $(seq 1 100); do
  [ "$(sinfo -h -o %T 2>/dev/null | sort -u)" != idle ] || break
  sleep 0.2
done
[ "$(sinfo -h -o %T | sort -u)" = idle ] || { tail slurmctld.log slurmd.log; fail "no node"; }

field() { scontrol show job "$1" | grep -o "\b$2=[^ ]*" | cut -d = -f 2; } # JOB NAME
until_is() { # JOB STATE SECONDS
  for _ in $(seq 1 "$3"); do
    [ "$(field "$1" JobState)" != "$2" ] || return 0
    sleep 1
  done
  scontrol show job "$1"
  cat "slurm-$1.out"
  fail "job $1 did not become $2"
}
jobferry data digits digits --train=6000 --test=1000 >/dev/null
jobferry mb s3://data >/dev/null
jobferry mb s3://out >/dev/null
jobferry cp -r digits s3://data/MNIST 2>/dev/null

# ---- as the README has it
# shellcheck disable=SC2016 # backticks of the README
start=$(sed -n 's/^- Start: `\(.*\)`$/\1/p' "$here/../../docker/slurm/README.md")
id=$(bash -c "$start" | grep -o '[0-9]*$') || fail "$start"
until_is "$id" COMPLETED 120
TRAIN_URL=s3://out/job1
jobferry ls "$TRAIN_URL/ckpt/" | grep lenet-20_ >/dev/null || fail "no checkpoint of epoch 20"
[ -z "$(ls tmp)" ] || fail "something is left on the node"
said "$start"

# ---- a COMMAND that hangs after its second checkpoint until it is told, and ends with its fourth
begin() { # NAME OPTION…: sets id; returns once its second checkpoint is out
  export DATA_URL=s3://data/MNIST TRAIN_URL=s3://out/$1
  id=$(sbatch --parsable "${@:2}" job.sbatch -- "$here/../slurm_trainer.sh")
  for _ in $(seq 1 300); do
    ! jobferry ls "$TRAIN_URL/ckpt/" 2>/dev/null | grep model-2_1 >/dev/null || return 0
    sleep 0.2
  done
  cat "slurm-$id.out"
  fail "$1: no second checkpoint"
}
goes_on() { # WHAT: the job is queued again, and the next start, on an empty disk, ends it
  until_is "$id" PENDING 150
  [ "$(field "$id" Restarts)" = 1 ] || fail "$1: not queued again once"
  rm -rf tmp/*
  scontrol update "jobid=$id" starttime=now
  until_is "$id" COMPLETED 60
  [ "$(grep -c '^epoch . done' "slurm-$id.out")" = 4 ] || { cat "slurm-$id.out"; fail "$1: it did not go on where it was"; }
  said "$1: queued again, it went on where it was"
}
begin ends --time=2
goes_on "the end of its time"

printf '#!/bin/sh\nsleep 2\n' >first.sbatch
begin preempted
first=$(sbatch --parsable --partition=first --cpus-per-task=2 first.sbatch)
until_is "$first" COMPLETED 90
goes_on "preempted"

begin kindly --partition=kind
first=$(sbatch --parsable --partition=first --cpus-per-task=2 first.sbatch)
until_is "$first" COMPLETED 90
if grep -q 'DUE TO PREEMPTION' "slurm-$id.out"; then fail "it was not told ahead"; fi
goes_on "preempted, told ahead"

begin cancelled
scancel "$id"
until_is "$id" CANCELLED 60
sleep 5
[ "$(field "$id" JobState)" = CANCELLED ] || fail "cancelled, it came back"
grep -q 'run the same command again to go on' "slurm-$id.out" || { cat "slurm-$id.out"; fail "cancelled: it did not end in order"; }
said "cancelled: it ends in order, and stays away"
