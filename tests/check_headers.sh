#!/usr/bin/env bash
# Every header compiles alone. $1 is the compiler, the rest its flags.
set -u
cd "$(dirname "$0")/.." || exit 1
compiler=$1
shift
status=0
while read -r header; do
  if ! printf '#include "%s"\ntypedef int unit_is_not_empty;\n' "$header" | "$compiler" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror \
    -fsyntax-only -I. -I"$(dirname "$header")" "$@" -x c -; then
    echo "$header does not compile alone"
    status=1
  fi
done < <(git ls-files 'storage/*.h' 'model/*.h' 'runner/*.h')
exit "$status"
