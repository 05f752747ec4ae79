#!/usr/bin/env bash
# The checkpoint folder goes bad in mid-training: it is removed, loses its permission, its file system
# becomes read-only or is full. Saved at once or asynchronously, as .ckpt and as safetensors: one line,
# 73, nothing half-written, the last good checkpoint named and whole; and when the folder is good again
# the same command goes on from there to the bits of a run that was never in trouble. $1: the binary.
#
# Root is stopped by no permission bits, so permission is tried as another user; read-only and full
# take a small tmpfs, which takes root to mount.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

disk=$scratch/disk
mkdir disk
# shellcheck disable=SC2317 # called by lib.sh's trap
at_end() { umount "$disk" 2>/dev/null; }
as_user=()
can_mount=false
if [ "$(id -u)" -eq 0 ]; then
  as_user=(setpriv --reuid=1000 --regid=1000 --clear-groups --)
  mount -t tmpfs -o size=8m tmpfs "$disk" 2>/dev/null && can_mount=true
fi

"$jobferry" data digits digits --train=128 --test=32 2>/dev/null # 4 steps an epoch

# A disk that is full of pictures is no reason to lose a training.
if $can_mount; then
  mount -o remount,size=16k "$disk"
  expect 0 'warning: no curve is drawn: write .*curve.svg.*No space left' "$jobferry" train \
    --data_url=digits --work_dir=curve --output_dir="$disk/output" --epochs=2
  check "it was trained" "$jobferry" ckpt verify curve/ckpt/lenet-2_4.ckpt
  check "no half of a picture is there" test -z "$(find "$disk" -name '*curve*')"
  rm -rf "$disk/output"
  mount -o remount,size=8m "$disk"
fi

# $ckpt is the folder, $suffix the checkpoints', options those of the run under test.
work=$scratch/work
options=()
train() { # OPTIONS…
  "${as_user[@]}" "$jobferry" train --data_url="$scratch/digits" --work_dir="$work" --ckpt_dir="$ckpt" \
    --keep_checkpoint_max=2 --save_checkpoint_steps=1 "${options[@]}" "$@"
}
# Trains until the fault ends it: the fault comes when the second epoch has been saved, in or between
# two saves.
train_until() { # FAULT, a function that is tried until it succeeds
  train --epochs=1000000 --per_print_times=0 &
  local job=$! code=0
  for _ in $(seq 6000); do
    compgen -G "$ckpt/lenet-[2-9]_*$suffix" >/dev/null && break
    sleep 0.01
  done
  until "$1" 2>/dev/null; do
    kill -0 "$job" 2>/dev/null || break # it has ended by itself: expect will tell
  done
  wait "$job" || code=$?
  return "$code"
}

removed() { mv "$ckpt" "$ckpt.away"; }
removed_undo() { mv "$ckpt.away" "$ckpt"; }
deleted() { mv "$ckpt" "$ckpt.gone" && rm -rf "$ckpt.gone"; } # all of it at once, as a save sees it
deleted_undo() { mkdir "$ckpt"; }
denied() { chmod 555 "$ckpt"; }
denied_undo() { chmod 755 "$ckpt"; }
read_only() { mount -o remount,ro "$disk"; } # refused while a file is open for writing
read_only_undo() { mount -o remount,rw "$disk"; }
# Two checkpoints of 483 KiB fit, and half of the third; refused while there are three.
full() { mount -o remount,size=1200k "$disk"; }
full_undo() { mount -o remount,size=8m "$disk"; }

good() { sed -n "s/.*the last good checkpoint $1 \([^ ,;]*$suffix\).*/\1/p" "$output"; }
nothing_temporary() { test -z "$(find "$1" -name '*.tmp' -o -name '*.part')"; }
fresh() { # a folder that belongs to whoever trains
  rm -rf "$work" "$ckpt" "$ckpt.away"
  mkdir -p "$work" "$ckpt"
  [ ${#as_user[@]} -eq 0 ] || chown 1000:1000 "$work" "$ckpt"
}
chmod 755 "$scratch"

trouble() { # FAULT WORDS OPTIONS…
  local fault=$1 words=$2 last verb=is
  shift 2
  options=("$@")
  suffix=.ckpt
  case "$*" in *safetensors*) suffix=.safetensors ;; esac
  fresh
  [ "$fault" = removed ] && verb=was
  expect 73 "$words" train_until "$fault"
  one_line
  last=$(good "$verb")
  check "the last good checkpoint is named" test -n "$last"
  [ "$fault" = removed ] && check "that it is gone is said" grep -q 'which is no longer there' "$output"
  "${fault}_undo"
  expect 0 'verified by jobferry' "$jobferry" ckpt verify "$last"
  check "every checkpoint is whole" "$jobferry" ckpt verify "$ckpt"/lenet-*_*"$suffix"
  check "none is newer than the one that is named" test "$(find "$ckpt" -name "lenet-*$suffix" -newer "$last" | wc -l)" -eq 0
  # What was being written when the folder went, or nothing in it could be changed any more, cannot be
  # removed then; the next start does it.
  [ "$fault" != full ] || check "nothing temporary is left" nothing_temporary "$ckpt"
  # It goes on: to the end of the epoch after the one that was saved.
  local name=${last##*/lenet-}
  local epochs=$((${name%%_*} + 1)) step=${name#*_}
  expect 0 "continuing run .*${last##*/} \(epoch $((epochs - 1)), step ${step%"$suffix"}\)" train --epochs="$epochs"
  check "nothing temporary is left after that" nothing_temporary "$ckpt"
  expect 0 '' "$jobferry" train --data_url=digits --work_dir=easy --resume=never --ckpt_name=easy --epochs="$epochs" \
    --save_checkpoint_steps=1000000000 "$@"
  expect 0 '' "$jobferry" ckpt diff --weights_only "$ckpt/lenet-${epochs}_4$suffix" "easy/ckpt/easy-${epochs}_4$suffix"
  rm -rf easy
}

# The same in each way of saving.
troubles() { # FAULT WORDS
  local how format
  for how in '' --async_save; do
    for format in '' --format=safetensors; do
      # shellcheck disable=SC2086 # either is a word or none
      trouble "$1" "$2" $how $format
    done
  done
}

ckpt=$scratch/ckpt
troubles removed 'No such file or directory'
troubles denied 'Permission denied'

# Removed for good: there is nothing to go on from, and that is said; the next run starts afresh.
options=()
suffix=.ckpt
fresh
expect 73 'the last good checkpoint was .*, which is no longer there' train_until deleted
one_line
deleted_undo
[ ${#as_user[@]} -eq 0 ] || chown 1000:1000 "$ckpt"
expect 0 'starts fresh' train --epochs=1

# A run that extends another, and cannot save even once: the other's checkpoint is the last good one.
chmod 555 "$ckpt"
expect 73 '' train --epochs=1 --resume=always
one_line
chmod 755 "$ckpt"
expect 0 'verified by jobferry' "$jobferry" ckpt verify "$ckpt/lenet-1_4.ckpt"
check "nothing temporary is left" nothing_temporary "$ckpt"

if [ "$can_mount" = false ]; then
  echo "skipped: a file system that is read-only or full takes root, to mount a small tmpfs" >&2
  [ "${CI:-}" = true ] && exit 1
  finish && exit 77
  exit 1
fi
ckpt=$disk/ckpt
for user in root 1000; do
  [ $user = root ] && as_user=() || as_user=(setpriv --reuid=1000 --regid=1000 --clear-groups --)
  troubles read_only 'Read-only file system'
  troubles full 'No space left on device'
done
# What an error is to leave behind does not fit either: said, beside the error itself.
as_user=()
trouble full 'exception_save: .*No space left on device' --exception_save
finish
