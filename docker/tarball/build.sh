#!/usr/bin/env bash
# Makes OUT/jobferry-VERSION-linux-ARCH.tar.gz: SOURCE BUILD PREFIX OUT; PREFIX is what libraries.sh has built.
# No path and no time of the build gets in; SOURCE_DATE_EPOCH dates the files.
set -euo pipefail
source=$1 build=$2 prefix=$3 out=$4
map="-ffile-prefix-map=$source=. -ffile-prefix-map=$build=."
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_C_FLAGS_RELEASE=-O2 $map" \
  -DCMAKE_PROJECT_jobferry_INCLUDE="$source/docker/tarball/static.cmake" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_EXE_LINKER_FLAGS="-static-libgcc -Wl,-Map=$build/map" -DJOBFERRY_TESTS=OFF >/dev/null
cmake --build "$build" --target jobferry pages
binary=$build/jobferry
version=$("$binary" --version)
version=${version#jobferry }

# Of shared libraries only glibc's own are left, and of its names none that is newer than README.md says.
needed=$(readelf -d "$binary" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
if grep -v -x -e 'lib[cm]\.so\.6' -e 'ld-linux-.*' <<<"$needed"; then exit 1; fi
newest=$(readelf -V "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
wanted=$(sed -n 's/.*glibc \([0-9.]*[0-9]\) or newer.*/GLIBC_\1/p' "$source/docker/tarball/README.md")
[ "$newest" = "$wanted" ] || { echo "it needs $newest; README.md says $wanted" >&2; exit 1; }

name=jobferry-$version-linux-$(uname -m)
top=$build/tree/$name
rm -rf "$build/tree"
cmake --install "$build/runner" --strip --prefix "$top"
install -m 644 "$source/docker/tarball/README.md" "$top/README.md"
# The archives that the linker took something from.
sed -n 's/^\(\/[^(]*\.a\)(.*/\1/p' "$build/map" | sort -u | while read -r archive; do
  case $archive in
    "$prefix"/lib/libcurl.a) echo "$archive libcurl4-openssl-dev built for HTTP alone from Debian's source of this version" ;;
    "$prefix"/lib/libxml2.a) echo "$archive libxml2-dev built without ICU, lzma, zlib, iconv and network from Debian's source of this version" ;;
    "$prefix"/lib/libcairo.a) echo "$archive libcairo2-dev built for pictures in memory, PNG and SVG alone from Debian's source of this version" ;;
    "$prefix"/lib/libisal.a) echo "$archive libisal-dev built for CRCs alone from Debian's source of this version" ;;
    "$prefix"/*) echo "whose is $archive?" >&2 && exit 1 ;;
    "$build"/*) ;; # ours
    *) echo "$archive" ;;
  esac
done >"$build/libraries"
bash "$source/docker/image/sbom.sh" "$build/libraries" "$version" "$top/bin/jobferry" "$top/share"

mkdir -p "$out"
tar -C "$build/tree" --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
  --mtime="@${SOURCE_DATE_EPOCH:-0}" -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
