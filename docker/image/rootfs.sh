#!/usr/bin/env bash
# Lays out below ROOT what the images hold: BINARY ROOT.
#
#   /opt/jobferry/bin/jobferry   stripped; its loader and libraries are those of ../lib,
#                                whatever libc the image around it has
#   /opt/jobferry/lib            exactly what the loader finds for it, and the loader
#   /usr/share/sbom              what that is, as SPDX; the licences under /usr/share/doc
#   /etc, /usr/share/zoneinfo    certificates, users, name lookup, time zones
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
binary=$1 root=$2
own=$root/opt/jobferry
rm -rf "$root"
mkdir -p "$own/bin" "$own/lib" "$root/etc/ssl/certs" "$root/usr/share" "$root/proc" "$root/sys" "$root/dev"
mkdir -m 1777 "$root/tmp" "$root/scratch"
chmod 1777 "$root/tmp" "$root/scratch"

strip -o "$own/bin/jobferry" "$binary"
loader=$(patchelf --print-interpreter "$own/bin/jobferry")
# DT_RPATH, not RUNPATH: it holds for the libraries' own libraries, and goes before LD_LIBRARY_PATH,
# which images of frameworks set.
patchelf --set-interpreter "/opt/jobferry/lib/${loader##*/}" \
  --force-rpath --set-rpath /opt/jobferry/lib "$own/bin/jobferry"

libraries=$(mktemp)
"$loader" --list "$binary" | sed -n 's/^[[:space:]]*\([^ ]*\) => \([^ ]*\) .*/\1 \2/p' >"$libraries"
if grep 'not found' "$libraries"; then exit 1; fi
grep -qF "${loader##*/} " "$libraries" || echo "${loader##*/} $loader" >>"$libraries"
while read -r soname path; do
  install -m 755 "$(readlink -f "$path")" "$own/lib/${soname##*/}"
done <"$libraries"

cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp -a /usr/share/zoneinfo "$root/usr/share/"
rm -rf "$root/usr/share/zoneinfo/right" "$root/usr/share/zoneinfo/posix"
printf '%s\n' 'root:x:0:0:root:/scratch:/sbin/nologin' 'jobferry:x:1000:1000:jobferry:/scratch:/sbin/nologin' \
  'nobody:x:65534:65534:nobody:/scratch:/sbin/nologin' >"$root/etc/passwd"
printf '%s\n' 'root:x:0:' 'jobferry:x:1000:' 'nogroup:x:65534:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

packages=$(mktemp)
while read -r _ path; do
  case $path in
    /usr/local/lib/libxml2.*) echo "$path libxml2 rebuilt from Debian's source of this version without ICU, lzma, iconv and network" ;;
    *) echo "$path" ;;
  esac
done <"$libraries" >"$packages"
printf '%s\n' '/etc/ssl/certs ca-certificates' '/usr/share/zoneinfo tzdata' >>"$packages"
version=$("$binary" --version)
bash "$here/sbom.sh" "$packages" "${version#jobferry }" "$own/bin/jobferry" "$root/usr/share"
rm -f "$libraries" "$packages"
# It must start as it lies there.
chroot "$root" /opt/jobferry/bin/jobferry --version
