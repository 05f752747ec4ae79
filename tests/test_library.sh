#!/usr/bin/env bash
# libjobferry-storage exports what storage.h declares and nothing else, each name with its version;
# a program that knows only the header and the library copies a folder. LIBRARY CC SOURCE.
set -u
library=$1 cc=$2 source=$3
jobferry=$library # what lib.sh shortens
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

grep -oE '\bstorage_[a-z0-9_]+\(' "$source/storage/storage.h" | tr -d '(' | grep -v "_fn\$" | sort -u >mentioned
sed -n 's/^    \(storage_[a-z0-9_]*\);$/\1/p' "$source/storage/install/library.map" | sort >mapped
nm -D --defined-only "$library" | awk '$2 == "T" { print $3 }' | sort >exported
# Each exported name has its version; the map is the list; the header mentions each.
check "every exported function has a version" awk '!/@@JOBFERRY_STORAGE_0$/ { bad = 1; print } END { exit bad }' exported
sed -i 's/@@.*//' exported
check "what is exported is what the map lists" diff mapped exported
check "the header declares what the map lists" test -z "$(comm -23 mapped mentioned)"
# Declared but not in the map: a comment's word is no declaration.
while read -r name; do
  grep -qE "^[a-z].*[ *]$name\(" "$source/storage/storage.h" &&
    check "$name is in storage/install/library.map" grep -qx "$name" mapped
done <mentioned
check "it has a soname with a version" sh -c "readelf -d '$library' | grep -q 'SONAME.*libjobferry-storage.so.[0-9]'"

compile=("$cc" -std=c11 -Wall -Werror "-I$source/storage" "$source/tests/copy_folder.c")
if nm -D "$library" | grep -qE '__(asan|tsan|ubsan)_'; then
  check "the ten-line program compiles" "${compile[@]}" -c -o copy_folder.o # it lacks the sanitizer's library
else
  check "the ten-line program compiles" "${compile[@]}" -o copy_folder "$library" "-Wl,-rpath,${library%/*}"
  mkdir from && echo one >from/a
  expect 0 '^1 objects' ./copy_folder from to
  check "it has copied" same_bytes from/a to/a
fi
finish
