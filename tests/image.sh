#!/usr/bin/env bash
# Builds the three images with buildah, no Docker needed, and runs jobs in them; by hand, as root.
#
#   tests/with_minio.sh tests/image.sh [BASE.tar]
#
# BASE.tar is a tar of `debootstrap --variant=minbase bookworm`; without it, it is made. APT_SOURCES: a
# folder to be mounted over /etc/apt/sources.list.d, with a file apt.settings, for a build behind a mirror.
# Each container is the image's tree in a chroot of its own (buildah's chroot isolation), the network the
# machine's, so that MINIO_ENDPOINT is reached.
set -euo pipefail
cd "$(dirname "$0")/.."
export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs} BUILDAH_ISOLATION=chroot
work=$(mktemp -d)
debian=docker.io/library/debian:bookworm-slim
epoch=$(git log -1 --format=%ct)
fail() { echo "not ok - $*" >&2; exit 1; }
said() { echo "ok - $*"; }
containers=()
finish() {
  [ "${#containers[@]}" -eq 0 ] || buildah rm "${containers[@]}" >/dev/null
  rm -rf "$work"
}
trap finish EXIT

if ! buildah inspect --type image "$debian" >/dev/null 2>&1; then
  base=${1:-}
  if [ -z "$base" ]; then
    debootstrap --variant=minbase bookworm "$work/base" >"$work/debootstrap.log"
    base=$work/base.tar
    tar -C "$work/base" -cf "$base" .
  fi
  c=$(buildah from scratch)
  buildah add -q "$c" "$base" / >/dev/null
  buildah config --cmd bash "$c"
  buildah commit -q "$c" "$debian" >/dev/null
  buildah rm "$c" >/dev/null
fi

build() { # TAG ARGUMENT…
  local tag=$1 mirror=()
  shift
  [ -z "${APT_SOURCES:-}" ] || mirror=(--volume "$APT_SOURCES:/etc/apt/sources.list.d:ro"
    --build-arg APT_CONFIG=/etc/apt/sources.list.d/apt.settings)
  buildah bud --layers --pull-never --network host "${mirror[@]}" --timestamp "$epoch" \
    --build-arg "SOURCE_DATE_EPOCH=$epoch" --build-arg "REVISION=$(git rev-parse HEAD)" \
    --tag "$tag" "$@" . >"$work/$tag.log" 2>&1 || { tail -n 30 "$work/$tag.log"; fail "build of $tag"; }
}
build jobferry
build jobferry-modelarts --target modelarts
build jobferry-trainer --target trainer

from() { # IMAGE: sets container and root
  container=$(buildah from --pull-never "$1")
  containers+=("$container")
  root=$(buildah mount "$container")
}
from jobferry-modelarts
[ "$(buildah run "$container" -- bash -c 'jobferry --version; id -un; id -u; echo ~' | tr '\n' ' ')" = \
  "jobferry 0.1.0 ma-user 1000 /home/ma-user " ] || fail "modelarts: program, user or home"
[ -z "$(find "$root" -xdev -perm /6000 -type f)" ] || fail "modelarts: a setuid file"
said "modelarts: bash, ma-user, the program"
from jobferry-trainer
buildah run "$container" -- /opt/jobferry/bin/jobferry --version | grep -q '^jobferry ' || fail "trainer"
said "trainer: runs in its base"
from jobferry
for tag in jobferry jobferry-modelarts jobferry-trainer; do
  echo "size: $tag $(buildah images --format '{{.Size}}' "localhost/$tag")"
done
bytes=$(du -sb "$root" | cut -f 1)
echo "size: the default image's files are $bytes bytes"
[ "$bytes" -le 100000000 ] || fail "the default image is over 100 MB"
[ -z "$(find "$root" -xdev -perm /6000)" ] || fail "a setuid file"
if [ -e "$root/bin" ] || [ -e "$root/usr/bin" ]; then fail "there is a shell"; fi
python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); assert d["spdxVersion"] == "SPDX-2.3" and len(d["packages"]) > 20' \
  "$root/usr/share/sbom/jobferry.spdx.json" || fail "SBOM"
said "no shell, no setuid file, an SBOM, at most 100 MB"

# ---- jobs; run UID READ_ONLY ARGUMENT…: as a process in the image's tree, /scratch and /tmp writable
run() {
  local uid=$1 only=$2
  shift 2
  # shellcheck disable=SC2016 # for the inner shell
  exec unshare --mount bash -c '
    root=$1 uid=$2 only=$3
    shift 3
    mount --bind "$root" "$root"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mount --bind "$WORK" "$root/scratch"
    mount --rbind /proc "$root/proc"
    mount --bind /dev "$root/dev"
    [ "$only" = no ] || mount -o remount,bind,ro "$root"
    exec env -i PATH=/opt/jobferry/bin HOME=/scratch AWS_ACCESS_KEY_ID="$MINIO_ROOT_USER" \
      AWS_SECRET_ACCESS_KEY="$MINIO_ROOT_PASSWORD" AWS_ENDPOINT_URL_S3="$MINIO_ENDPOINT" \
      /usr/sbin/chroot --userspec="$uid:$uid" "$root" /opt/jobferry/bin/jobferry "$@"' bash "$root" "$uid" "$only" "$@"
}
export WORK=$work/job
in_image() { # UID READ_ONLY ARGUMENT…: waits for it
  (run "$@")
}
fresh() { rm -rf "$WORK" && mkdir -m 1777 "$WORK"; }
fresh
in_image 1000 no data digits /scratch/digits --train=6000 --test=1000 >/dev/null || fail "digits"
in_image 1000 no mb s3://images >/dev/null || fail "mb"
in_image 1000 no cp -r /scratch/digits s3://images/data >/dev/null || fail "cp"
job() { # UID READ_ONLY NAME: what a job of four epochs is called with
  printf '%s\n' "$1" "$2" --data_url=s3://images/data "--train_url=s3://images/$3" --epochs=4 --work_dir=/scratch --grace=25
}
weights() { # NAME: SHA-256 of the newest checkpoint's weights, from the store
  in_image 1000 no cp "s3://images/$1/ckpt/lenet-4_187.ckpt" /scratch/newest.ckpt >/dev/null
  head -c 494155 "$WORK/newest.ckpt" | sha256sum
}
fresh
mapfile -t words < <(job 1000 no undisturbed)
in_image "${words[@]}" >"$work/log" 2>&1 || { tail "$work/log"; fail "job as uid 1000"; }
want=$(weights undisturbed)
said "a job as uid 1000"

fresh
other=$((100000 + RANDOM))
mapfile -t words < <(job "$other" yes elsewhere)
in_image "${words[@]}" >"$work/log" 2>&1 || { tail "$work/log"; fail "job as uid $other, root read-only"; }
[ "$(weights elsewhere)" = "$want" ] || fail "other bytes as uid $other"
said "a job as uid $other with a read-only root, the same bytes"

fresh
mapfile -t words < <(job 1000 yes stopped)
(run "${words[@]}") >"$work/log" 2>&1 &
runner=$! # one process, by exec after exec
for _ in $(seq 1 600); do
  grep -q '^epoch: 1 ' "$work/log" && break
  sleep 0.02
done
kill -TERM "$runner"
code=0
wait "$runner" || code=$?
[ "$code" -eq 75 ] || { tail "$work/log"; fail "TERM in mid-training gives 75, not $code"; }
# the next container has an empty disk
fresh
in_image "${words[@]}" >"$work/log2" 2>&1 || { tail "$work/log2"; fail "the second start"; }
grep -qi 'resum\|continu' "$work/log2" || fail "the second start did not go on"
[ "$(weights stopped)" = "$want" ] || fail "other bytes after TERM and a second start"
said "TERM in mid-training is 75; the next container ends in the same bytes"

# ---- from start to the first byte: a copy of one byte, ten times, the shortest with its network
echo x >"$WORK/byte"
in_image 1000 no cp /scratch/byte s3://images/byte >/dev/null
best=$(for _ in 1 2 3 4 5 6 7 8 9 10; do
  begin=$(date +%s%N)
  in_image 1000 no cp s3://images/byte /scratch/byte.back >/dev/null
  echo $(($(date +%s%N) - begin))
done | sort -n | head -n 1)
echo "start: $((best / 1000000)) ms from the container's start to a copied byte and its end"
[ "$best" -le 150000000 ] || fail "the start takes over 0.15 s"

# ---- twice the same binary: the second build without any layer of the first
first=$(sha256sum "$root/opt/jobferry/bin/jobferry" | cut -d ' ' -f 1)
mirror=()
[ -z "${APT_SOURCES:-}" ] || mirror=(--volume "$APT_SOURCES:/etc/apt/sources.list.d:ro"
  --build-arg APT_CONFIG=/etc/apt/sources.list.d/apt.settings)
buildah bud --no-cache --pull-never --network host "${mirror[@]}" --timestamp "$epoch" --build-arg TESTS=none \
  --build-arg "SOURCE_DATE_EPOCH=$epoch" --tag jobferry-again . >"$work/again.log" 2>&1 || fail "second build"
from jobferry-again
second=$(sha256sum "$root/opt/jobferry/bin/jobferry" | cut -d ' ' -f 1)
echo "sha256: $first, $second"
[ "$first" = "$second" ] || fail "two builds, two binaries"
said "two builds, one binary"
