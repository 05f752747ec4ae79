#!/usr/bin/env bash
# Builds in PREFIX, as archives, the libraries whose -dev packages have none that links alone: Debian's curl
# wants Kerberos, LDAP and RTMP, its cairo X11 and fonts, its libxml2 ICU; its ISA-L comes without one.
# From Debian's own sources, with the parts that jobferry calls. All others are Debian's archives as they are.
set -euo pipefail
# shellcheck source=docker/image/source.sh
. "$(dirname "$(readlink -f "$0")")/../image/source.sh"
prefix=$1
folder=$(mktemp -d)
jobs=-j$(nproc)
flags="-O2 -g -fstack-protector-strong -Wformat -ffile-prefix-map=$folder=. -D_FORTIFY_SOURCE=2"

configure() { # ARGUMENT…: in the source's folder
  ./configure -q --prefix="$prefix" --libdir="$prefix/lib" --disable-shared --enable-static "$@" CFLAGS="$flags" >/dev/null
}
cd "$folder"

debian_source libcurl4-openssl-dev
cd "$source_folder"
# arc4random is glibc 2.36's; without it 2.34 is enough.
ac_cv_func_arc4random=no configure --with-openssl --with-ca-bundle=/etc/ssl/certs/ca-certificates.crt \
  --with-ca-path=/etc/ssl/certs --disable-{dict,file,ftp,gopher,imap,ldap,ldaps,mqtt,pop3,rtsp,smb,smtp,telnet,tftp} \
  --disable-{manual,libcurl-option,ntlm-wb,ares,alt-svc,hsts,cookies} --enable-threaded-resolver \
  --without-{brotli,gssapi,libidn2,libpsl,librtmp,libssh2,nghttp2,zlib,zstd}
make -s "$jobs" -C lib install >/dev/null
make -s -C include install >/dev/null
cd "$folder"

debian_source libxml2-dev
cd "$source_folder"
configure "${LIBXML2_LEAN[@]}" --without-zlib
make -s "$jobs" install-libLTLIBRARIES >/dev/null
make -s -C include install >/dev/null
cd "$folder"

debian_source libcairo2-dev
cd "$source_folder"
# The newer hypot, glibc 2.35's, differs from the older in errno alone.
oldest=GLIBC_2.2.5
[ "$(uname -m)" != aarch64 ] || oldest=GLIBC_2.17
echo "__asm__(\".symver hypot, hypot@$oldest\");" >"$folder/hypot.h"
flags="$flags -include $folder/hypot.h" configure --enable-{png,svg} --disable-{fc,ft,gobject,interpreter,pdf,ps,script,trace,xcb,xlib,xml,full-testing,gtk-doc,valgrind}
make -s "$jobs" -C src install >/dev/null
cd "$folder"

debian_source libisal-dev
cd "$source_folder"
make -s "$jobs" -f Makefile.unx units=crc CFLAGS_="$flags" lib >/dev/null
install -D -m 644 bin/isa-l.a "$prefix/lib/libisal.a"
install -D -m 644 -t "$prefix/include/isa-l" include/crc.h
cd /
rm -rf "$folder"
ls -l "$prefix/lib"
