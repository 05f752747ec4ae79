#!/usr/bin/env bash
# libxml2 from Debian's own source package, its patches in, built lean (source.sh says without what).
# It lands in /usr/local/lib, where the loader is told to look first; same soname, same ABI for what is left.
set -euo pipefail
# shellcheck source=docker/image/source.sh
. "$(dirname "$(readlink -f "$0")")/source.sh"
folder=$(mktemp -d)
cd "$folder"
debian_source libxml2
cd "$source_folder"
flags=$(dpkg-buildflags --get CFLAGS)
./configure -q --prefix=/usr/local --libdir=/usr/local/lib --disable-static "${LIBXML2_LEAN[@]}" \
  CFLAGS="${flags//$folder/.} -ffile-prefix-map=$folder=." \
  LDFLAGS="$(dpkg-buildflags --get LDFLAGS)" >/dev/null
make -s -j"$(nproc)" libxml2.la
install -D -m 644 "$(readlink -f .libs/libxml2.so.2)" /usr/local/lib/libxml2.so.2
strip --strip-unneeded /usr/local/lib/libxml2.so.2
# in the order of these files' names; Debian's own, libc.conf, comes behind aarch64-linux-gnu.conf
echo /usr/local/lib >/etc/ld.so.conf.d/000-local.conf
ldconfig
rm -rf "$folder"
