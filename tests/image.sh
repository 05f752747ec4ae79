#!/usr/bin/env bash
# Builds the three images with buildah, no Docker needed, and runs jobs in them; by hand, as root.
#
#   tests/with_minio.sh tests/image.sh [BASE.tar]
#
# BASE.tar is a tar of `debootstrap --variant=minbase bookworm`; without it, it is made. ARCH=arm64 does it all for
# arm64 under qemu-user, with TESTS=none not the tests of the build stage, which take 20 minutes there; APT_SOURCES is for a
# build behind a mirror: image_lib.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/image_lib.sh
. tests/image_lib.sh
work=$(mktemp -d)
containers=()
finish() {
  [ "${#containers[@]}" -eq 0 ] || buildah rm "${containers[@]}" >/dev/null
  rm -rf "$work"
}
trap finish EXIT

base_image "$work" "${1:-}"
image=jobferry${ARCH:+-$ARCH}
common=(--layers --build-arg "BASE=$debian" --build-arg "REVISION=$(git rev-parse HEAD)")
[ -z "${ARCH:-}" ] || common+=(--build-arg "TESTS=${TESTS:-emulated}")
build "$work/log" "$image-build" "${common[@]}" --target build
grep 'tests passed' "$work/log" || true
build "$work/log" "$image" "${common[@]}"
build "$work/log" "$image-modelarts" "${common[@]}" --target modelarts
build "$work/log" "$image-trainer" "${common[@]}" --target trainer

from() { # IMAGE: sets container and root
  container=$(buildah from --pull-never "${arch[@]}" "$1")
  containers+=("$container")
  root=$(buildah mount "$container")
}
config() { # IMAGE: what an OCI runtime is told of it, a line each
  buildah inspect --type image "localhost/$1" | python3 -c '
import json, sys
image = json.load(sys.stdin)["OCIv1"]
config = image["config"]
print("architecture", image["architecture"])
for key in "Entrypoint", "Cmd", "User", "WorkingDir", "Env", "Volumes", "ExposedPorts":
    if config.get(key):
        print(key, json.dumps(config[key]))
for key, value in sorted(config["Labels"].items()):
    if key.startswith("org.opencontainers.image."):
        print(key.rsplit(".", 1)[1], value)
'
}
config_is() { # IMAGE LINE…
  local image=$1 line
  shift
  config "$image" >"$work/config"
  for line in "$@" "architecture ${ARCH:-$(dpkg --print-architecture)}" "revision $(git rev-parse HEAD)" 'licenses Apache-2.0'; do
    grep -qxF -e "$line" "$work/config" || { cat "$work/config"; fail "$image's configuration lacks: $line"; }
  done
}

# ---- what is in them: Debian's newest, no secret
up_to_date() { # IMAGE: asks Debian's archive and its security archive now
  local container
  container=$(buildah from --pull-never "${arch[@]}" "$1")
  containers+=("$container")
  # shellcheck disable=SC2016 # for the inner shell
  buildah run --user 0 --network host "${mirror[@]}" ${APT_SOURCES:+--env=APT_CONFIG=/etc/apt/sources.list.d/apt.settings} "$container" -- bash -euc '
    apt-get -q update >/dev/null
    apt-cache policy | grep "n=bookworm-security" >/dev/null || { echo "the security archive is not among the sources"; exit 1; }
    pending=$(apt-get -s dist-upgrade | grep ^Inst || true)
    [ -z "$pending" ] || { echo "$pending"; exit 1; }' >"$work/log" 2>&1 || { cat "$work/log"; fail "$1: an update is pending"; }
}
up_to_date "$image-build"
up_to_date "$image-modelarts"
said "no update of Debian, of its security archive neither, is pending in what is built with and in modelarts"
no_secret() { # IMAGE: its layers one by one, what one layer hides from the next too, its history and its settings
  local blob found
  buildah push -q "localhost/$1" "oci:$work/oci" >/dev/null
  for blob in "$work"/oci/blobs/sha256/*; do
    rm -rf "$work/layer" && mkdir "$work/layer"
    if ! tar -C "$work/layer" --exclude='dev/*' -xf "$blob" 2>/dev/null; then cp "$blob" "$work/layer/settings"; fi
    # names of files that hold keys, and text that is one; programs know how a key begins
    found=$(cd "$work/layer" && {
      find . -name '.netrc' -o -name 'auth.conf' -o -path '*/auth.conf.d/?*' -o -path '*/.aws/*' -o -path '*/.docker/*' -o \
        -name 'id_[a-z]*' -path '*/.ssh/*' -o -name '*.key' -o -name 'credentials' -o -path '*/apt/lists/*Packages*' ! -name '.wh.*'
      grep -rIlE -e '-----BEGIN [A-Z ]*PRIVATE KEY' -e 'AKIA[0-9A-Z]{16}' -e 'gh[ps]_[A-Za-z0-9]{30}' -e '://[^/ ]*:[^/ ]*@' \
        ${APT_SOURCES:+-e "$(sed -n 's/^URIs: *//p' "$APT_SOURCES"/*.sources | grep -v deb.debian.org | head -n 1 | grep . || echo NONE.OF.IT)"} . || true
    })
    [ -z "$found" ] || { echo "$found"; fail "$1: a secret in layer ${blob##*/}"; }
  done
  rm -rf "$work/oci" "$work/layer"
}
for tag in "$image" "$image-modelarts" "$image-trainer"; do
  no_secret "$tag"
done
said "no secret in a layer or in its history"

config_is "$image-modelarts" 'Cmd ["bash"]' 'User "1000:100"' 'WorkingDir "/home/ma-user"' 'title jobferry for ModelArts'
from "$image-modelarts"
[ "$(buildah run "$container" -- bash -c 'jobferry --version; id -un; id -u; echo ~' | tr '\n' ' ')" = \
  "jobferry 0.1.0 ma-user 1000 /home/ma-user " ] || fail "modelarts: program, user or home"
[ -z "$(find "$root" -xdev -perm /6000 -type f)" ] || fail "modelarts: a setuid file"
said "modelarts: bash, ma-user, the program"
modelarts=$container
config_is "$image-trainer" 'Entrypoint ["/opt/jobferry/bin/jobferry"]'
from "$image-trainer"
buildah run "$container" -- /opt/jobferry/bin/jobferry --version | grep '^jobferry ' >/dev/null || fail "trainer"
said "trainer: runs in its base"
config_is "$image" 'Entrypoint ["jobferry"]' 'User "1000:1000"' 'WorkingDir "/scratch"' 'title jobferry' 'version 0.1.0' \
  'Env ["PATH=/opt/jobferry/bin", "HOME=/scratch"]'
if grep -q '^Volumes\|^ExposedPorts' "$work/config"; then fail "volumes or ports nobody asked for"; fi
from "$image"
# its entrypoint, user and working folder, as buildah runs them
buildah run "$container" -- jobferry data digits here --train=64 --test=32 >/dev/null || fail "entrypoint"
[ "$(stat -c %u "$root/scratch/here/train/train-images-idx3-ubyte.gz")" = 1000 ] || fail "user or working folder"
rm -r "$root/scratch/here"
said "entrypoint, user, working folder, labels"
for tag in "$image" "$image-modelarts" "$image-trainer"; do
  echo "size: $tag $(buildah images --format '{{.Size}}' "localhost/$tag")"
done
bytes=$(du -sb "$root" | cut -f 1)
echo "size: the default image's files are $bytes bytes"
[ "$bytes" -le 100000000 ] || fail "the default image is over 100 MB"
[ -z "$(find "$root" -xdev -perm /6000)" ] || fail "a setuid file"
[ -z "$(find "$root/opt/jobferry/lib" -name 'libicu*')" ] || fail "libxml2 is Debian's, with ICU"
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

# as ModelArts does it: its environment, the boot command through a shell, the image's own user and folder
# shellcheck disable=SC2016 # for the inner shell
buildah run --network host --env MA_NUM_HOSTS=1 --env MA_JOB_DIR=/home/ma-user --env "AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER" \
  --env "AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD" --env "AWS_ENDPOINT_URL_S3=$MINIO_ENDPOINT" "$modelarts" -- \
  bash -c 'jobferry run --data_url=s3://images/data --train_url=s3://images/modelarts --epochs=4 && test "$(stat -c %U /cache/ckpt)" = ma-user' \
  >"$work/log" 2>&1 || { tail "$work/log"; fail "modelarts: a job by a boot command"; }
[ "$(weights modelarts)" = "$want" ] || fail "modelarts: other bytes"
said "modelarts: a job by a boot command, as ma-user, on /cache, the same bytes"

fresh
other=$((100000 + RANDOM))
mapfile -t words < <(job "$other" yes elsewhere)
in_image "${words[@]}" >"$work/log" 2>&1 || { tail "$work/log"; fail "job as uid $other, root read-only"; }
[ "$(weights elsewhere)" = "$want" ] || fail "other bytes as uid $other"
said "a job as uid $other with a read-only root, the same bytes"

fresh
mapfile -t words < <(job 1000 yes stopped)
: >"$work/log" # not what the job before has said
(run "${words[@]}") >"$work/log" 2>&1 &
runner=$! # one process, by exec after exec
# however long that takes under emulation
while kill -0 "$runner" 2>/dev/null && ! grep -q '^epoch: 1 ' "$work/log"; do
  sleep 0.02
done
kill -TERM "$runner" || true
code=0
wait "$runner" || code=$?
[ "$code" -eq 75 ] || { tail "$work/log"; fail "TERM in mid-training gives 75, not $code"; }
# the next container has an empty disk
fresh
in_image "${words[@]}" >"$work/log2" 2>&1 || { tail "$work/log2"; fail "the second start"; }
grep -qi 'resum\|continu' "$work/log2" || fail "the second start did not go on"
[ "$(weights stopped)" = "$want" ] || fail "other bytes after TERM and a second start"
said "TERM in mid-training is 75; the next container ends in the same bytes"

if [ -n "${ARCH:-}" ]; then
  [ "${TESTS:-}" != none ] || exit 0
  # under emulation time means nothing, and the second build would take as long as the first; the test that
  # takes too long there for ctest has its time here
  from "$image-build"
  buildah run --env OPENBLAS_NUM_THREADS=1 "$container" -- timeout 3000 /build/tests/test_train >"$work/log" 2>&1 ||
    { tail "$work/log"; fail "test_train"; }
  said "test_train"
  exit
fi

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
build "$work/log" "$image-again" --no-cache --build-arg TESTS=none
from "$image-again"
second=$(sha256sum "$root/opt/jobferry/bin/jobferry" | cut -d ' ' -f 1)
echo "sha256: $first, $second"
[ "$first" = "$second" ] || fail "two builds, two binaries"
said "two builds, one binary"
