#!/usr/bin/env bash
# Makes the .deb twice, asks lintian, installs it in a bare Debian and uses it there; by hand, as root.
#
#   tests/with_minio.sh tests/package.sh BASE.tar
#
# BASE.tar is a tar of `debootstrap --variant=minbase bookworm`. APT_SOURCES as in image.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$#" -eq 1 ] || { echo "usage: $0 BASE.tar" >&2; exit 64; }
work=$(mktemp -d)
bare=$work/bare
trap 'umount -l "$bare/proc" 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "not ok - $*" >&2; exit 1; }
said() { echo "ok - $*"; }

make_deb() { # FOLDER: builds there; dated as the commit is
  cmake -S . -B "$1" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE=-O2 \
    -DJOBFERRY_TESTS=OFF -DCMAKE_INSTALL_PREFIX=/usr >/dev/null
  cmake --build "$1" >"$work/log" || { tail "$work/log"; fail "build"; }
  (cd "$1" && SOURCE_DATE_EPOCH=$epoch cpack >"$work/log") || { tail "$work/log"; fail "cpack"; }
}
epoch=$(git log -1 --format=%ct)
make_deb "$work/build"
make_deb "$work/elsewhere"
deb=$(echo "$work"/build/*.deb)
cmp "$deb" "$work/elsewhere/${deb##*/}" || fail "two builds, two packages"
said "two builds in two folders, one package"
lintian --allow-root "$deb" >"$work/lintian" || true
cat "$work/lintian"
if grep -q '^E:' "$work/lintian"; then fail "lintian has errors"; fi
said "lintian has no error"

mkdir "$bare"
tar -C "$bare" -xf "$1"
mount -t proc proc "$bare/proc"
cp /etc/resolv.conf /etc/hosts "$bare/etc/"
if [ -n "${APT_SOURCES:-}" ]; then
  rm -f "$bare/etc/apt/sources.list"
  cp "$APT_SOURCES"/*.sources "$bare/etc/apt/sources.list.d/"
  cp "$APT_SOURCES/apt.settings" "$bare/etc/apt/apt.conf.d/99settings"
fi
cp "$deb" tests/copy_folder.c "$bare/root/"
inside() {
  chroot "$bare" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
    KEY="$MINIO_ROOT_USER" SECRET="$MINIO_ROOT_PASSWORD" ENDPOINT="$MINIO_ENDPOINT" \
    AWS_ACCESS_KEY_ID="$MINIO_ROOT_USER" AWS_SECRET_ACCESS_KEY="$MINIO_ROOT_PASSWORD" \
    AWS_ENDPOINT_URL_S3="$MINIO_ENDPOINT" bash -euc "$1"
}
inside 'apt-get -q update; apt-get -q install -y --no-install-recommends /root/*.deb' >"$work/log" 2>&1 ||
  { tail "$work/log"; fail "installation"; }
inside 'jobferry --version' | grep '^jobferry [0-9]' >/dev/null || fail "jobferry --version"
said "it installs in a bare Debian and starts"
inside 'apt-get -q install -y --no-install-recommends man-db gcc libc6-dev pkg-config bash-completion' >"$work/log" 2>&1 ||
  { tail "$work/log"; fail "tools"; }
inside 'man jobferry-cp' | grep -e '--recursive' >/dev/null || fail "the manual page"
said "man jobferry-cp"
# shellcheck disable=SC2016 # for the inner shell
inside '. /usr/share/bash-completion/bash_completion; _completion_loader jobferry || true
  COMP_WORDS=(jobferry cp --recu) COMP_CWORD=2; _jobferry; echo "${COMPREPLY[*]}"' | grep -x -e --recursive >/dev/null || fail "completion"
said "bash completes an option"
# shellcheck disable=SC2016
inside 'cd /root; gcc -std=c11 -Wall -Werror copy_folder.c -o copy_folder $(pkg-config --cflags --libs libjobferry-storage)
  mkdir from; echo one >from/a; echo two >from/b; jobferry mb s3://package; ./copy_folder from s3://package/to; jobferry cat s3://package/to/b' |
  tee "$work/log" | grep -x two >/dev/null || { cat "$work/log"; fail "the C program"; }
said "a C program, compiled by pkg-config, has copied a folder to MinIO"
inside 'apt-get -q remove -y jobferry >/dev/null 2>&1; ! command -v jobferry; ! ls /usr/share/man/man1/jobferry* 2>/dev/null'
said "it goes without a trace"
