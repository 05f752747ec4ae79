#!/usr/bin/env bash
# Builds for aarch64 with the cross compiler and runs the model's tests under qemu-user: `tests/aarch64.sh [ROOT]`.
#
# Needs gcc-aarch64-linux-gnu, qemu-user-static, debootstrap and pkg-config. ROOT (/tmp/jobferry-arm64) becomes a
# folder with Debian's arm64 libraries and headers, unpacked, never configured and never entered, so neither
# root nor binfmt_misc is needed and this machine's own packages stay as they are; it is kept and used again. To
# have a root that can be entered (an image), run `chroot ROOT /debootstrap/debootstrap --second-stage` where binfmt_misc
# knows qemu. MIRROR is the Debian mirror, debootstrap's own default when unset.
set -euo pipefail
cd "$(dirname "$0")/.."
root=${1:-/tmp/jobferry-arm64}
libraries=$root/usr/lib/aarch64-linux-gnu
packages=libopenblas-pthread-dev,libcairo2-dev,libprotobuf-c-dev,libjansson-dev,zlib1g-dev,libcmocka-dev
packages+=,libcurl4-openssl-dev,libssl-dev,libxml2-dev,libisal-dev,libmicrohttpd-dev,libc6-dev

if [ ! -e "$root/.unpacked" ]; then
  debootstrap --foreign --arch=arm64 --variant=minbase --include="$packages" bookworm "$root" ${MIRROR:+"$MIRROR"}
  for package in "$root"/var/cache/apt/archives/*.deb; do
    dpkg-deb --extract "$package" "$root"
  done
  # What its own scripts would have linked; links to / would lead out of the root.
  ln -sf openblas-pthread/libopenblas.so.0 openblas-pthread/libopenblas.so "$libraries/"
  find "$root/usr/lib" -type l -lname '/*' | while read -r link; do
    ln -sfr "$root$(readlink "$link")" "$link"
  done
  touch "$root/.unpacked"
fi

build=build/aarch64
mkdir -p "$build"
cat >"$build/toolchain.cmake" <<END
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_SYSROOT $root)
set(CMAKE_FIND_ROOT_PATH $root)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static;-L;$root)
set(CMAKE_EXE_LINKER_FLAGS_INIT -Wl,-rpath-link,$libraries)
END
export PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_LIBDIR=$libraries/pkgconfig:$root/usr/share/pkgconfig:$libraries/openblas-pthread/pkgconfig
cmake -S . -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/$build/toolchain.cmake" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_C_FLAGS_RELEASE="-O2 -g1"
cmake --build "$build"
OPENBLAS_NUM_THREADS=1 ctest --test-dir "$build" --output-on-failure -L model
