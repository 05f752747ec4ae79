#!/usr/bin/env bash
# clang-tidy over our sources. $1 is a build folder with compile_commands.json (made by clang).
set -u
cd "$(dirname "$0")/.." || exit 1
# Only what is compiled here: another processor's kernels have no flags to be read with.
mapfile -t sources < <(git ls-files 'storage/*.c' 'model/*.c' 'runner/*.c' |
  while read -r source; do grep -qF "/$source\"" "$1/compile_commands.json" && echo "$source"; done)
printf '%s\n' "${sources[@]}" |
  xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p "$1" 2>&1 | grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter'
exit "${PIPESTATUS[1]}"
