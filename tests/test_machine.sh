#!/usr/bin/env bash
# Machines that refuse a job something: a root file system that is read-only, disks that fill while
# checkpoints go out, users without a name or a home, no inotify, and not enough memory (a real
# control group's limit, where one may be made). Folders stand for the store. Takes root. $1: the binary.
# shellcheck disable=SC2016 # what stands in single quotes is for the shells that are started
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
scratch=$PWD
export HOME=$scratch # no profile files of the machine's
unset data_url train_url DLS_DATA_URL DLS_TRAIN_URL
disk=$scratch/disk
group=
mkdir data root "$disk" && echo x >data/x
chmod 755 "$scratch" # mktemp's is ours alone
# shellcheck disable=SC2317 # called by lib.sh's trap
at_end() {
  umount "$disk" 2>/dev/null
  [ -z "$group" ] || rmdir "$group"
}
apart=(unshare -m) # from the machine's mounts; in a chroot, whose root is no mount, as they are
"${apart[@]}" true 2>/dev/null || apart+=(--propagation unchanged)
if [ "$(id -u)" -ne 0 ] || ! "${apart[@]}" true 2>/dev/null; then
  echo 'skipped: a mount namespace takes root' >&2
  [ "${CI:-}" = true ] && exit 1
  exit 77
fi
has() { grep -Eq -- "$1" "${2:-$output}"; }
"$jobferry" data digits digits --train=64 --test=32 >/dev/null 2>&1

# Every manifest's files are in the store with their sizes and sums, and the pointer names one.
verifies() { # TRAIN_URL
  local manifest key size sum
  manifest=$(sed -n 's/.*"manifest": "\(.*\)",$/\1/p' "$1/.jobferry/latest.json")
  [ -s "$1/$manifest" ] || { echo "the pointer names '$manifest'"; return 1; }
  for manifest in "$1"/.jobferry/manifest/*/*.json; do
    while read -r key size sum; do
      [ "$(stat -c %s "$1/$key")" = "$size" ] || { echo "$manifest: $key"; return 1; }
      [ "$(gzip -c "$1/$key" | tail -c 8 | head -c 4 | od -An -tx4 | tr -d ' ')" = "$sum" ] || { echo "$manifest: $key has another sum"; return 1; }
    done < <(tr -d '\n" ' <"$manifest" | grep -o 'key:[^}]*' | sed 's/key:\([^,]*\),size:\([^,]*\),crc32:\([^,]*\).*/\1 \2 \3/')
  done
}
no_partial() { ! find "$1" -name '*.part*' -o -name '*.tmp' | grep .; }

# ---- a root file system, and all else, that is read-only but for one folder
# sealed [FOLDER]: runs the words after -- where only FOLDER may be written to, if any. All of it is
# mounted once more below $scratch/root, so that there is a mount to be read-only, also in a chroot.
sealed() {
  local open=$1
  shift 2
  "${apart[@]}" bash -c '
    root=$1 open=$2
    shift 2
    mount --rbind / "$root" && mount --make-rprivate "$root" || exit 89
    [ -z "$open" ] || mount --bind "$root$open" "$root$open" || exit 90
    while read -r _ place _; do
      case $place in
      "$root${open:-/none}" | "$root"/proc* | "$root"/sys*) ;;
      "$root"*) mount -o remount,bind,ro "$(printf %b "$place")" 2>/dev/null ;;
      esac
    done </proc/mounts
    for place in / /tmp /var/tmp /dev/shm; do # as an image with --read-only has them
      ! touch "$root$place/jobferry-was-here" 2>/dev/null || exit 91
    done
    exec chroot "$root" "$@"' _ "$scratch/root" "$open" env -u HOME -u TMPDIR "$@"
}
saves='echo hi >"$JOBFERRY_CKPT_DIR/m-1_1.pt"; echo out >"$JOBFERRY_OUTPUT_DIR/o"'
places=(--data_url="$scratch/data" --train_url="$scratch/work/out" --work_dir="$scratch/work")
mkdir work
expect 0 '' sealed "$scratch/work" -- "$jobferry" "${places[@]}" -- bash -c "$saves"
check "read-only root: the checkpoint is out" verifies work/out
check "the output too" test -s work/out/output/o
check "and report, page and log" bash -c 'test -s work/out/report.html && ls work/out/log/*.log'
rm -rf work && mkdir work
expect 0 'Metrics' sealed "$scratch/work" -- "$jobferry" "${places[@]}" --data_url="$scratch/digits"
check "read-only root: the built-in trainer's are out" verifies work/out
rm -rf work && mkdir work
expect 73 'Read-only file system; --ckpt_dir names another folder' sealed '' -- "$jobferry" "${places[@]}" -- true
one_line
expect 73 'Read-only file system; --ckpt_dir names another folder' sealed '' -- "$jobferry" "${places[@]}" --data_url="$scratch/digits"
one_line
check "nothing was written" test -z "$(ls -A work)"
# The local side may be written to, train_url may not.
mkdir elsewhere
expect 73 'Read-only file system' sealed "$scratch/work" -- "$jobferry" "${places[@]}" --train_url="$scratch/elsewhere/out" -- true
one_line

# ---- disks that fill while checkpoints go out
mount_disk() { umount "$disk" 2>/dev/null; mount -t tmpfs -o "size=$1" tmpfs "$disk"; }
# train_url is full when the second checkpoint comes: the first stays, and is pointed at.
two='head -c 100000 /dev/zero >1.tmp && mv 1.tmp m-1_1.pt && for i in $(seq 600); do
  [ -e "$LATEST" ] && break; sleep 0.05; done
  head -c 900000 /dev/zero >2.tmp && mv 2.tmp m-1_2.pt && sleep 0.3'
mount_disk 512k
export LATEST=$disk/out/.jobferry/latest.json
expect 74 'm-1_2.pt is not confirmed in .*; it is on the local disk' "$jobferry" --data_url=data --train_url="$disk/out" \
  --work_dir=full1 --drain_timeout=1 -- bash -c "cd \"\$JOBFERRY_CKPT_DIR\" && $two"
check "why is told" has 'm-1_2.pt is not in the store yet: .*No space left on device'
check "the pointer verifies" verifies "$disk/out"
check "and names the first" bash -c "grep -q '1-1.json' $LATEST"
check "nothing of the second is there" absent "$disk/out/ckpt/m-1_2.pt"
check "nothing partial is left" no_partial "$disk/out"
check "the report says what is exposed" bash -c "grep -q '\"state\": \"failed\"' full1/report.json"
# With room it goes out, from the local disk.
mount -o remount,size=8m "$disk"
expect 0 'attempt 2' "$jobferry" --data_url=data --train_url="$disk/out" --work_dir=full1 -- true
check "with room it is there" cmp full1/ckpt/m-1_2.pt "$disk/out/ckpt/m-1_2.pt"
check "and is pointed at" verifies "$disk/out"
# It is full before the first: no pointer at all, nothing half.
mount_disk 64k
export LATEST=/
expect 74 'is not confirmed in' "$jobferry" --data_url=data --train_url="$disk/out" \
  --work_dir=full2 --drain_timeout=1 -- bash -c "cd \"\$JOBFERRY_CKPT_DIR\" && $two"
check "no pointer" absent "$disk/out/.jobferry/latest.json"
check "no checkpoint" test -z "$(ls -A "$disk/out/ckpt" 2>/dev/null)"
check "nothing partial is left" no_partial "$disk/out"

# Told to stop meanwhile: what is not confirmed is not said to be.
stopped() { # CODE OPTIONS…
  local code=$1 got=0 i
  shift
  mount_disk 64k
  rm -rf ready unsafe
  "$jobferry" --data_url=data --train_url="$disk/out" --work_dir=unsafe --grace=3 "$@" -- bash -c 'cd "$JOBFERRY_CKPT_DIR" &&
    head -c 900000 /dev/zero >2.tmp && mv 2.tmp m-1_2.pt && touch ../../ready; while :; do sleep 0.05; done' >log 2>&1 &
  local job=$!
  for ((i = 0; i < 600; i++)); do [ -e ready ] && break; sleep 0.05; done
  [ "$code" -eq 82 ] || kill -TERM "$job"
  wait "$job" || got=$?
  echo "code $got"
  cat log
  [ "$got" -eq "$code" ] && has 'm-1_2.pt is not confirmed in' log && ! grep 'Sanitizer\|runtime error:' log
}
check "a signal, and no room in train_url: 79" stopped 79
check "--time_limit, and no room in train_url: 82" stopped 82 --time_limit=2

# The local side is full: COMMAND fails, what it saved before is out; so is the report, that has no
# room here.
mount_disk 512k
export LATEST=$scratch/local/.jobferry/latest.json
expect 1 'No space left on device' "$jobferry" --data_url=data --train_url=local --work_dir="$disk" \
  -- bash -c "cd \"\$JOBFERRY_CKPT_DIR\" && $two; rm -f 2.tmp; cat /dev/zero >filler; exit 1"
check "a full work_dir: what was saved before is out" verifies local
check "the report is there" has '"code": 1' local/report.json
# COMMAND does not mind: the job does.
mount_disk 512k
export LATEST=$scratch/local2/.jobferry/latest.json
expect 73 'No space left on device' "$jobferry" --data_url=data --train_url=local2 --work_dir="$disk" \
  -- bash -c "cd \"\$JOBFERRY_CKPT_DIR\" && $two; cat /dev/zero >filler; true"
check "what was saved before is out" verifies local2
check "the cut one is not" absent local2/ckpt/m-1_2.pt
umount "$disk"

# ---- users without a name, and without a home
cp "$jobferry" the-binary
chmod -R a+rX digits data
for uid in 1000 54321; do
  mkdir "uid$uid" && chown "$uid:0" "uid$uid"
  as() { (cd "uid$uid" && exec setpriv --reuid="$uid" --regid=0 --clear-groups env -u HOME -u USER -u LOGNAME "$@"); }
  check "uid $uid has no name here" bash -c "[ $uid -eq 1000 ] || ! getent passwd $uid"
  expect 0 'Metrics' as "$scratch/the-binary" --data_url="$scratch/digits" --train_url=out1
  check "uid $uid: the built-in trainer's checkpoints" verifies "uid$uid/out1"
  expect 0 '' as "$scratch/the-binary" --data_url="$scratch/data" --train_url=out2 --work_dir=two -- bash -c "$saves"
  check "uid $uid: COMMAND's" verifies "uid$uid/out2"
  expect 73 'Permission denied' as "$scratch/the-binary" --data_url="$scratch/data" --train_url="$scratch/elsewhere/no" -- true
  one_line
done

# ---- no inotify: what comes without a rename, and with one, while COMMAND is at work
no_inotify() {
  unshare -Ur bash -c 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"' _ "$@"
}
if ! unshare -Ur true 2>/dev/null; then
  echo "# not tried: no inotify, for a chroot may have no user namespace"
else
  export LATEST=$scratch/blind/.jobferry/latest.json
  expect 0 'inotify cannot be had' no_inotify "$jobferry" --data_url=data --train_url=blind --work_dir=blindly \
    -- bash -c "cd \"\$JOBFERRY_CKPT_DIR\" && echo 1 >1.tmp && mv 1.tmp m-1_1.pt && for i in \$(seq 1200); do
    [ -e \"\$LATEST\" ] && break; sleep 0.05; done; ls \"\$LATEST\" >seen; echo 2 >m-1_2.pt"
  check "it was published while COMMAND was at work" test -s blindly/ckpt/seen
  check "the last too" verifies blind
  check "and is pointed at" grep -q '1-2.json' "$LATEST"
fi

# ---- not enough memory: a control group of our own, below the one we are in
make_group() { # sets group and its files' names; false: none may be made here
  local mount=/sys/fs/cgroup own
  own=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
  if [ -n "$own" ]; then # version 1
    [ -d "$mount/memory$own" ] || own=
    group=$mount/memory${own%/}/jobferry-test-$$ limit=memory.limit_in_bytes
  else # version 2: a group with processes in it may have no limited one below
    group=$mount/jobferry-test-$$ limit=memory.max
  fi
  mkdir "$group" 2>/dev/null || { group= && return 1; }
  echo 300M >"$group/$limit" && { [ ! -e "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max"; }
}
limited() { bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"; }
if make_group 2>/dev/null; then
  expect 137 'tail was killed by SIGKILL: out of memory, as the control group.s counter says' limited \
    "$jobferry" --data_url=data --train_url=oom --work_dir=oomwork -- tail /dev/zero
  check "report.json says so" has '"reason": "tail was killed by SIGKILL: out of memory' oom/report.json
  expect 3 'ended with exit code 3; a process was killed meanwhile: out of memory' limited \
    "$jobferry" --data_url=data --train_url=oom2 --work_dir=oomwork2 -- sh -c 'tail /dev/zero; exit 3'
  expect 137 'killed by SIGKILL$' limited \
    "$jobferry" --data_url=data --train_url=oom3 --work_dir=oomwork3 -- sh -c 'kill -KILL $$'
else
  # The counter's files are read in test_child; what is missing here is a kernel that kills.
  echo '# no control group may be made here: out of memory is not tried'
fi

finish
