#!/usr/bin/env bash
# What `cmake --install` puts in place, from where another program finds it: the ten-line program built by
# CMake's find_package and by pkg-config from a prefix, from that prefix moved elsewhere and from a
# DESTDIR, each copying a folder to MinIO. JOBFERRY BUILD SOURCE CC SANITIZERS.
set -u
jobferry=$1 build=$2 source=$3 cc=$4 sanitizers=$5
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
export KEY=$MINIO_ROOT_USER SECRET=$MINIO_ROOT_PASSWORD ENDPOINT=$MINIO_ENDPOINT
export AWS_ACCESS_KEY_ID=$KEY AWS_SECRET_ACCESS_KEY=$SECRET AWS_ENDPOINT_URL_S3=$ENDPOINT
unset DESTDIR
export CMAKE_GENERATOR=Ninja # which the build needs anyway; a bare machine has no make
flags=()
[ -z "$sanitizers" ] || flags=("-fsanitize=$sanitizers")

check "it installs into a prefix" cmake --install "$build" --prefix "$scratch/first"
check "it installs below a DESTDIR" env DESTDIR="$scratch/stage" cmake --install "$build" --prefix /opt/ferry
library=$(cd first && find . -name pkgconfig -printf '%h\n')
expect 0 '^jobferry [0-9]' first/bin/jobferry --version
version=$(sed 's/^jobferry //' "$output")
for file in bin/jobferry include/jobferry/storage.h share/man/man1/jobferry.1.gz share/man/man1/jobferry-cp.1.gz \
  share/bash-completion/completions/jobferry share/zsh/vendor-completions/_jobferry \
  share/fish/vendor_completions.d/jobferry.fish share/doc/jobferry/LICENSE "$library/libjobferry-storage.so.$version"; do
  check "$file is there" test -s "first/$file"
done
check "nothing names the folder it was built or installed in" \
  sh -c "! grep -rlF -e '$build' -e '$source' -e '$scratch' first/$library/cmake first/$library/pkgconfig first/include first/share"
no_rpath() { ! readelf -d "$1" | grep -E 'RPATH|RUNPATH'; }
check "no run path in the program" no_rpath first/bin/jobferry
check "no run path in the library" no_rpath "first/$library/libjobferry-storage.so"

mkdir from consumer
echo one >from/a
mkdir from/deep && head -c 300000 /dev/urandom >from/deep/b
expect 0 '' "$jobferry" mb s3://installed
cp "$source/tests/copy_folder.c" consumer/
cat >consumer/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(jobferry-storage ${WANTED} CONFIG REQUIRED)
add_executable(copy_folder copy_folder.c)
target_link_libraries(copy_folder PRIVATE jobferry::jobferry-storage)
END

# The program copies, and what it copied comes back.
copies() { # NAME PROGRAM
  expect 0 '^2 objects, 300004 bytes' "$2" from "s3://installed/$1"
  expect 0 '' "$jobferry" cp -r "s3://installed/$1" "back-$1"
  check "$1: it has copied" diff -r from "back-$1"
}
consume() { # NAME PREFIX
  local name=$1 prefix=$2
  check "$name: find_package" cmake -S consumer -B "built-$name" -DCMAKE_C_COMPILER="$cc" "-DCMAKE_C_FLAGS=${flags[*]-}" \
    -DCMAKE_PREFIX_PATH="$prefix" -DWANTED="${version%.*}"
  check "$name: it builds" cmake --build "built-$name"
  copies "$name-cmake" "built-$name/copy_folder"
  local words
  read -ra words < <(PKG_CONFIG_PATH=$prefix/$library/pkgconfig pkg-config --cflags --libs libjobferry-storage)
  check "$name: pkg-config" "$cc" -std=c11 -Wall -Werror "${flags[@]}" consumer/copy_folder.c -o "packaged-$name" "${words[@]}"
  LD_LIBRARY_PATH=$prefix/$library copies "$name-pkg-config" "./packaged-$name"
}
consume prefix "$scratch/first"
mv first second
consume moved "$scratch/second"
consume destdir "$scratch/stage/opt/ferry"
for wanted in "${version%%.*}.$((10#$(cut -d . -f 2 <<<"$version") + 1))" "$((${version%%.*} + 1)).0"; do
  expect 1 'requested version|compatible' cmake -S consumer -B "built-$wanted" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$scratch/second" -DWANTED="$wanted"
done
expect 0 "^$version\$" env PKG_CONFIG_PATH="$scratch/second/$library/pkgconfig" pkg-config --modversion libjobferry-storage
finish
