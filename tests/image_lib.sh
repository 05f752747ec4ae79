# image_lib.sh - what image.sh and tarball.sh share: builds by buildah, also for another architecture; sourced.
#
# ARCH=arm64 builds and runs what follows for arm64, by qemu-user-static: binfmt_misc is mounted and told of it where
# neither was done (as root, until the next boot). APT_SOURCES: a folder to be mounted over /etc/apt/sources.list.d, with
# a file apt.settings, for a build behind a mirror. Each container is a chroot (buildah's chroot isolation), the network
# the machine's.
# shellcheck shell=bash disable=SC2034 # the sourcing scripts use them
export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs} BUILDAH_ISOLATION=chroot
epoch=$(git log -1 --format=%ct)
arch=()
[ -z "${ARCH:-}" ] || arch=(--arch "$ARCH")
debian=docker.io/library/debian:bookworm-slim
[ -z "${ARCH:-}" ] || debian=localhost/debian:bookworm-$ARCH
mirror=()
[ -z "${APT_SOURCES:-}" ] || mirror=(--volume "$APT_SOURCES:/etc/apt/sources.list.d:ro")
fail() { echo "not ok - $*" >&2; exit 1; }
said() { echo "ok - $*"; }

emulate() {
  local table=/proc/sys/fs/binfmt_misc
  [ "${ARCH:-}" = arm64 ] && [ "$(uname -m)" != aarch64 ] || return 0
  [ -e "$table/register" ] || mount -t binfmt_misc binfmt_misc "$table"
  [ -e "$table/qemu-aarch64" ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >"$table/register"
}

base_image() { # FOLDER [TAR]: $debian from TAR, a tar of `debootstrap --variant=minbase bookworm`, or from one made in FOLDER
  local base=${2:-} container
  emulate
  ! buildah inspect --type image "$debian" >/dev/null 2>&1 || return 0
  if [ -z "$base" ]; then
    debootstrap ${ARCH:+"--arch=$ARCH"} --variant=minbase bookworm "$1/base" >"$1/debootstrap.log"
    base=$1/base.tar
    tar -C "$1/base" -cf "$base" .
  fi
  container=$(buildah from "${arch[@]}" scratch)
  buildah add -q "$container" "$base" / >/dev/null
  # debootstrap leaves what Debian's own images are without
  buildah run "$container" -- sh -c 'rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb'
  buildah config "${arch[@]}" --cmd bash "$container"
  buildah commit -q --rm "$container" "$debian" >/dev/null
}

build() { # LOG TAG ARGUMENT…
  local log=$1 tag=$2 settings=()
  shift 2
  [ -z "${APT_SOURCES:-}" ] || settings=(--build-arg APT_CONFIG=/etc/apt/sources.list.d/apt.settings)
  buildah bud "${arch[@]}" --pull-never --network host "${mirror[@]}" "${settings[@]}" --timestamp "$epoch" \
    --build-arg "DEBIAN=$debian" --build-arg "SOURCE_DATE_EPOCH=$epoch" --tag "$tag" "$@" . >"$log" 2>&1 ||
    { grep -E '\*\*\*|ERROR' "$log"; tail -n 30 "$log"; fail "build of $tag"; }
}
