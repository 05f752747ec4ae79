#!/usr/bin/env bash
# A disk that fails (EIO) or a quota that is full (EDQUOT), at each call that copies make: what was
# there stays, the file is named, the others go on, and no sync that failed counts as one. By
# with_minio.sh. $1: the binary, $2: disk_faults. As root also on real devices that fail, if the kernel
# and mkfs can: ext4 on a device that is smaller than it says, btrfs with a quota.
# shellcheck disable=SC2016 # inner shells have variables of their own
set -u
# Where that can be, in mounts of its own: another test that makes a copy of the machine's (unshare) would keep a
# device alive that is to fail. In a chroot, whose root is no mount, only the second way goes.
for apart in 'unshare --mount' 'unshare --mount --propagation unchanged'; do
  # shellcheck disable=SC2086 # words
  [ -n "${OWN_MOUNTS:-}" ] || ! $apart true 2>/dev/null || OWN_MOUNTS=yes exec $apart bash "$0" "$@"
done
jobferry=$1
disk_faults=$2
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

export HOME=$scratch # no profile files of the machine's
export AWS_ENDPOINT_URL=$MINIO_ENDPOINT AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER
export AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
b=s3://bucket
back=$scratch/back disk=$scratch/disk # what a device is made of, and where it is mounted
mkdir "$back" "$disk"
unmount() { umount "$disk" 2>/dev/null; umount "$back" 2>/dev/null; }
# shellcheck disable=SC2317 # called by lib.sh's trap
at_end() { unmount; }

# faulty RULES ARGUMENTS…: jobferry on a disk that fails so; the calls are in the file `calls`.
faulty() {
  local rules=$1
  shift
  rm -f calls
  env DISK_FAULTS="$rules" DISK_FAULTS_LOG="$scratch/calls" LD_PRELOAD="$disk_faults" \
    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" "$jobferry" "$@"
}
met() { check "the fault was met" grep -q ' = ' calls; }
nothing_else() { # FOLDER NAMES…: these, and no temporary file or journal
  diff <(printf '%s\n' "${@:2}") <(ls -A "$1")
}

head -c 1000 /dev/urandom >tiny    # read whole
head -c 3000000 /dev/urandom >mid  # one part, as it comes
head -c 50000000 /dev/urandom >big # parts, and a journal
mkdir few many
for i in 1 2 3; do cp tiny few/f$i; done
for i in $(seq 40); do cp tiny "many/f$i"; done # enough for one sync of the file system
expect 0 '' "$jobferry" mb $b
for name in tiny mid big; do expect 0 '' "$jobferry" cp $name $b/$name; done
for name in few many; do expect 0 '' "$jobferry" cp -r $name $b/$name; done

error='Input/output error$|Disk quota exceeded; make room there'
count() { find "$1" -type f | wc -l; }

# ---- into files
mkdir to
for name in tiny mid big; do
  for rule in 'pwrite:EIO write' 'pwrite:EDQUOT write' 'fsync:EIO sync' 'fsync:EDQUOT sync' 'close:EIO publish'; do
    read -r call verb <<<"$rule"
    echo old >to/$name
    expect 73 "^jobferry: $verb to/$name: ($error)" faulty "$call:/to/.$name.:1:1" cp $b/$name to/$name
    met
    one_line
    check "what was there is there" grep -qx old to/$name
    check "and nothing else" nothing_else to $name
    rm to/$name
  done
  # its content is whole then, its name may not outlive the machine: no success
  expect 73 "sync the folder of to/$name: Input/output error" faulty 'fsync:EIO:/to$' cp $b/$name to/$name
  met
  rm to/$name
done
expect 73 'write to/put: Input/output error' bash -c "DISK_FAULTS=pwrite:EIO:/to/. LD_PRELOAD='$disk_faults' \
  ASAN_OPTIONS=verify_asan_link_order=0 '$jobferry' put - to/put <mid"
check "nothing is left" test -z "$(ls -A to)"

# The disk tells of an error once. Here that is in mid-copy, and the sync at its end then says that all is well.
truncate -s 300M sparse
expect 73 'sync to/sparse: Input/output error' faulty 'fdatasync:EIO:/to/.sparse.:1:1' cp sparse to/sparse
met
check "nothing is left" test -z "$(ls -A to)"
rm sparse

# One of many. A sync of the whole file system may be silent, or tell another of it.
for rule in 'few pwrite:EIO:/to/.f2.' 'few pwrite:EDQUOT:/to/.f2.' 'few fsync:EIO:/to/.f2.' 'many pwrite:EIO:/to/.f2.' \
  'many syncfs:EDQUOT:/ fsync:EDQUOT:/to/.f2.:1:1' 'many syncfs:OK:/ written:EIO:/to/.f2.:1:1 fsync:EIO:/to/.f2.:1:1' \
  'many close:EIO:/to/.f2.'; do
  read -r name faults <<<"$rule"
  rm -rf to && mkdir to && echo old >to/f2
  expect 73 "to/f2: ($error)" faulty "$faults" cp -r "$b/$name" to
  one_line
  met
  check "what was there is there" grep -qx old to/f2
  rm to/f2
  check "the others came" diff -r --exclude=f2 "$name" to
  check "and nothing else" test "$(count to)" -eq $(($(count "$name") - 1))
done
rm -rf to && mkdir to

# A file system that fails as a whole: nothing that it was to keep counts as kept.
expect 73 'sync the file system of to/f[0-9]*: Input/output error' faulty 'syncfs:EIO:/' cp --json -r $b/many to
met
check "what was not kept is not there" test "$(count to)" -eq "$(grep -c '"verified"' "$output")"
check "it had been more than that" test "$(count to)" -lt 25
rm -rf to && mkdir to

# ---- from files: when they are summed, and when they are sent
no_object() { # KEY
  expect 66 '404' "$jobferry" stat "$b/$1"
  expect 0 '^0 left-overs' "$jobferry" cleanup --older_than=0 $b/
}
for rule in 'tiny 1' 'mid 1' 'mid 5' 'mid 13' 'mid 20' 'big 1' 'big 50' 'big 250'; do
  read -r name at <<<"$rule"
  expect 73 "^jobferry: read $name: Input/output error$" faulty "pread:EIO:/$name:$at" cp "$name" $b/up
  met
  one_line
  no_object up
done
for at in 13 250; do # an error that passes is no reason to store half of it
  name=$([ $at = 13 ] && echo mid || echo big)
  expect 73 "^jobferry: read $name: Input/output error$" faulty "pread:EIO:/$name:$at:1" cp "$name" $b/up
  no_object up
done
expect 0 '' "$jobferry" cp tiny $b/up
expect 73 'read mid: Input/output error' faulty pread:EIO:/mid:13 cp mid $b/up
expect 0 '' "$jobferry" cp $b/up down
check "an older object stays" same_bytes tiny down
expect 73 '^jobferry: read few/f2: Input/output error$' faulty pread:EIO:/few/f2 cp -r few $b/others
one_line
expect 0 'f3$' "$jobferry" ls $b/others/
check "the others went" test "$(grep -c '/f[13]$\| f[13]$' "$output")" -eq 2

# A folder that cannot be read to its end is no empty one.
expect 73 'read folder.*Input/output error' faulty readdir:EIO:/many:7 sync --delete --max_delete=100 many $b/many
met
expect 0 '' "$jobferry" cp -r $b/many back
check "nothing was deleted" diff -r many back

# ---- moves: a source goes once its target is durable, file and name
# The calls that matter, without what is random in them.
order() { grep -E '^(fsync|syncfs|renameat|unlinkat|send (PUT|POST|DELETE)) ' calls | grep -v journal | sed -E "s|$scratch/||; s|\.[a-z0-5]{6}\.part|.part|" | uniq; }
in_order() { diff <(printf '%s\n' "$@") <(order); }
for name in tiny big; do
  cp $name $name.copy
  expect 0 '' faulty '' mv $b/$name to/$name
  check "down: file, name, then the source" in_order "fsync to/.$name.part" "renameat $name" 'fsync to' "send DELETE /bucket/$name"
  expect 0 '' faulty '' mv to/$name $b/$name
  if [ $name = tiny ]; then
    check "up: the whole, then the source" in_order "send PUT /bucket/$name" "unlinkat to/$name"
  else
    check "up: begun, parts, completed, then the source" in_order "send POST /bucket/$name" "send PUT /bucket/$name" \
      "send POST /bucket/$name" "unlinkat to/$name"
  fi
  expect 0 '' faulty '' mv $b/$name $b/moved/$name
  check "by the store: the copy, then the source" in_order "send PUT /bucket/moved/$name" "send DELETE /bucket/$name"
  expect 0 '' faulty '' mv --data_server="${MINIO_ENDPOINT/127.0.0.1/localhost}" --train_server="$MINIO_ENDPOINT" $b/moved/$name $b/$name
  check "from store to store: the whole, then the source" \
    bash -c "grep -n 'send P.* /bucket/$name\$' calls | tail -n 1 | cut -d: -f1 >put; grep -n 'send DELETE /bucket/moved/$name\$' calls | cut -d: -f1 >gone
      test \$(cat put) -lt \$(cat gone)"
  expect 0 '' faulty '' mv $name.copy to/$name
  check "here: file, name, then the source" in_order "fsync to/.$name.part" "renameat $name" 'fsync to' "unlinkat $name.copy"
  check "the bytes are the same" same_bytes $name to/$name
done
# Of many each has its own turn, and the folder that is made for them is durable before any goes.
each_durable() { # COUNT: of what was moved into to/new
  awk '$1 == "fsync" && $2 ~ /\/to$/ && !/ = / { folder = 1 }
    ($1 == "fsync" || $1 == "written") && match($2, /\.f[0-9]+\./) { synced[substr($2, RSTART + 1, RLENGTH - 2)] = 1 }
    $1 == "renameat" { if (!synced[$2]) bad = 1; named[$2] = 1 }
    $1 == "fsync" && $2 ~ /\/to\/new$/ && !/ = / { for (f in named) durable[f] = 1 }
    $1 == "send" && $2 == "DELETE" { sub(/.*\//, "", $3); gone++; if (!folder || !durable[$3]) bad = 1 }
    END { exit bad || gone != '"$1"' }' calls || { cat calls; return 1; }
}
mkdir nest && ln -s ../many nest/new
for pair in 'many to/new' 'nest to'; do # the folder is the copy's own, or below it
  read -r from into <<<"$pair"
  for faults in 'fsync:SLOW:/to$' 'fsync:EIO:/to$:1:1'; do
    rm -rf to && mkdir to
    expect 0 'copied 40' "$jobferry" cp -r "$from" "$b/$from"
    case $faults in *SLOW*) code=0 count=40 ;; *) code=73 count=39 ;; esac
    expect $code "copied $count" faulty "$faults" mv -r "$b/$from" "$into"
    check "each is durable before its source goes" each_durable $count
    check "and one stays that could not be" test "$("$jobferry" ls -r "$b/$from/" | wc -l)" -eq $((40 - count))
  done
done

# Whatever fails, the source stays.
for call in pwrite:EIO:/to/. fsync:EIO:/to/. 'fsync:EIO:/to$' close:EIO:/to/. renameat:EIO:; do
  for name in tiny big; do
    case $call in *:) faults=$call$name ;; *) faults=$call:1:1 ;; esac
    rm -rf to && mkdir to
    expect 73 "to/$name: " faulty "$faults" mv $b/$name to/$name
    met
    check "no removal was asked for" bash -c '! grep -q DELETE calls'
  done
  cp big source
  expect 73 "to/big: " faulty "$faults" mv source to/big
  check "the source is there" same_bytes source big
done
for at in 1 13 250; do
  name=$([ $at = 250 ] && echo big || echo mid)
  cp "$name" source
  expect 73 'read source: Input/output error' faulty "pread:EIO:/source:$at" mv source $b/up2
  check "the source is there" same_bytes source "$name"
done
expect 66 'NoSuchBucket' "$jobferry" mv source s3://nobucket/x
expect 66 'NoSuchBucket' "$jobferry" mv $b/tiny s3://nobucket/x
check "the source is there" same_bytes source big
expect 0 '' "$jobferry" stat $b/tiny
# One that will not go is told, and counts as failed though it was copied.
expect 73 'remove source: Input/output error; the object was copied, but its source stays' faulty unlinkat:EIO:source mv source $b/up2
check "both are there" same_bytes source big
expect 0 '' "$jobferry" rm $b/up2

# ---- devices
device() { # TYPE SIZE: a file system of 300 MiB on a device that has SIZE
  unmount
  mount -t tmpfs -o "size=$2" tmpfs "$back" && truncate -s 300m "$back/image" &&
    "mkfs.$1" -q "$back/image" && mount -o loop "$back/image" "$disk"
}
# What is there now comes from the device, which has got its whole size.
again() { umount "$disk" && mount -o remount,size=400m "$back" && mount -o loop "$back/image" "$disk"; }
whole() { # FOLDER FROM: its files are
  local file
  for file in "$1"/*; do
    [ ! -e "$file" ] || cmp "$file" "$2/${file##*/}" || return 1
  done
}
# Of which the last is ext4's own answer, once its journal has met the error: nothing can be removed then, either.
device_error='Input/output error|No space left on device|Read-only file system'
nothing_left() { [ -z "$(find "$1" -type f)" ] || { ! touch "$1/other" && [ -z "$(find "$1" -type f ! -name '*.part')" ]; }; }
mkdir lots
for i in $(seq 160); do head -c 256k /dev/urandom >"lots/f$i"; done
expect 0 '' "$jobferry" cp -r lots $b/lots
if device ext4 34m 2>/dev/null; then
  # Writing is well, and so is reading again; the device says no later.
  expect 73 "(sync|write) $disk/big: ($device_error)" "$jobferry" cp $b/big "$disk/big"
  one_line
  check "nothing is left" nothing_left "$disk"
  device ext4 34m
  expect 0 'copied 3' "$jobferry" cp -r few "$disk/few"
  expect 73 "$disk/lots.*: ($device_error)" "$jobferry" cp --json -r $b/lots "$disk/lots"
  sed -n 's|.*"destination":"[^"]*/\(f[0-9]*\)".*"verified".*|\1|p' "$output" >copied
  again
  check "what was there is whole on the device" diff -r few "$disk/few"
  check "what was told of is, too" bash -c 'while read -r f; do cmp "$1/$f" "lots/$f" || exit 1; done <copied' _ "$disk/lots"
  # A device that loses its end: what lies there cannot be read any more.
  device ext4 400m
  cp big tiny "$disk" && cp big "$disk/big2" && again && truncate -s 60m "$back/image"
  expect 73 "^jobferry: read $disk/big2?: Input/output error" "$jobferry" cp "$disk/big" "$disk/big2" "$disk/tiny" $b/from/
  expect 0 'copied [12] objects' "$jobferry" cp -r $b/from from
  check "the one that can be read went" same_bytes tiny from/tiny
  rm from/tiny
  check "and nothing that is not whole" bash -c 'for f in from/*; do [ ! -e "$f" ] || cmp "$f" big || exit 1; done'
else
  echo "# not here: ext4 on a device that fails"
fi
if device btrfs 400m >/dev/null 2>&1 && btrfs quota enable "$disk" && btrfs subvolume create "$disk/to" >/dev/null &&
  btrfs qgroup limit 8M "$disk/to"; then
  expect 73 "$disk/to/big: Disk quota exceeded; make room" "$jobferry" cp $b/big "$disk/to/big"
  one_line
  check "nothing is left" test -z "$(ls -A "$disk/to")"
  expect 73 "$disk/to/f[0-9]*: Disk quota exceeded; make room" "$jobferry" cp -r $b/lots "$disk/to"
  again
  check "what is there is whole" whole "$disk/to" lots
  check "and no temporary file" no_leftovers "$disk/to"
else
  echo "# not here: btrfs with a quota"
fi

finish
