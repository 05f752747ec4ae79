#!/usr/bin/env bash
# libxml2 from Debian's own source package, its patches in, built without what a reader of S3's
# lists has no use for: ICU (35 MB with its tables and libstdc++), lzma, python, network, catalogs.
# It lands in /usr/local/lib, where the loader looks first; same soname, same ABI for what is left.
set -euo pipefail
folder=$(mktemp -d)
cd "$folder"
export DEBIAN_FRONTEND=noninteractive

# The index of sources too, wherever this machine's apt finds its packages.
mkdir parts
cp /etc/apt/sources.list.d/* parts/ 2>/dev/null || true
sed -i 's/^Types: deb$/Types: deb deb-src/' parts/* 2>/dev/null || true
if [ -s /etc/apt/sources.list ]; then
  sed 's/^deb /deb-src /' /etc/apt/sources.list >parts/sources.list
  cat /etc/apt/sources.list >>parts/sources.list
fi
apt=(apt-get -q -o "Dir::Etc::sourceparts=$folder/parts" -o Dir::Etc::sourcelist=/dev/null
  -o APT::Sandbox::User=root)
[ ! -e parts/sources.list ] || mv parts/sources.list parts/all.list
"${apt[@]}" update
# The version of the library that is installed, so that the two cannot differ.
version=$(dpkg-query -W -f '${source:Version}' libxml2)
"${apt[@]}" source "libxml2=$version"
cd libxml2-*/
# Debian's patches must not look like a reason to run automake.
find . -exec touch -r . {} +
flags=$(dpkg-buildflags --get CFLAGS)
./configure -q --prefix=/usr/local --libdir=/usr/local/lib --disable-static --without-icu \
  --without-lzma --without-python --without-ftp --without-http --without-catalog --without-debug \
  --without-legacy --without-modules --without-iconv --without-docbook \
  CFLAGS="${flags//$folder/.} -ffile-prefix-map=$folder=." \
  LDFLAGS="$(dpkg-buildflags --get LDFLAGS)" >/dev/null
make -s -j"$(nproc)" libxml2.la
install -D -m 644 "$(readlink -f .libs/libxml2.so.2)" /usr/local/lib/libxml2.so.2
strip --strip-unneeded /usr/local/lib/libxml2.so.2
mkdir -p /usr/local/share/jobferry
echo "$version" >/usr/local/share/jobferry/libxml2.version
ldconfig
rm -rf "$folder"
