#!/usr/bin/env bash
# clang-tidy over our sources. $1 is a build folder with compile_commands.json (made by clang).
set -u
cd "$(dirname "$0")/.." || exit 1
mapfile -t sources < <(git ls-files 'storage/*.c' 'model/*.c' 'runner/*.c')
printf '%s\n' "${sources[@]}" |
  xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p "$1" 2>&1 | grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter'
exit "${PIPESTATUS[1]}"
