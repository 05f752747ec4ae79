#!/usr/bin/env bash
# Manual pages: one a command, every option on it, rendered without a warning. FOLDER JOBFERRY.
set -u
folder=$1 jobferry=$2
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

mandoc=$(command -v mandoc || true)
[ -n "$mandoc" ] || echo "skipped: mandoc is not installed"
[ -n "$mandoc" ] || [ "${CI:-}" != true ] || check "mandoc is installed" false
check "there is a page of the whole" test -s "$folder/man1/jobferry.1.gz"
"$jobferry" help | grep '^  [a-z]' >"$scratch/commands"
while read -r first second _; do
  name=$first
  "$jobferry" help "$first" "$second" 2>/dev/null | grep -q "^usage: jobferry $first $second " && name="$first-$second"
  page=$folder/man1/jobferry-$name.1.gz
  check "there is a page of $name" test -s "$page"
  gzip -dc "$page" | sed 's/\\-/-/g' >"$scratch/page"
  # shellcheck disable=SC2086 # two words
  "$jobferry" help ${name/-/ } | grep -oE '^ +(-., +)?--[a-z_]+' | grep -oE -e '--[a-z_]+' >"$scratch/options"
  # shellcheck disable=SC2016 # awk's own
  check "it has each option" awk 'NR == FNR { page = page "\n" $0; next } !index(page, $0) { print; bad = 1 } END { exit bad }' \
    "$scratch/page" "$scratch/options"
done <"$scratch/commands"
for page in "$folder"/man1/*.gz; do
  gzip -dc "$page" >"$scratch/page.1"
  groff -man -Tutf8 -ww -z "$scratch/page.1" >"$scratch/warnings" 2>&1
  check "${page##*/} renders without a warning" test ! -s "$scratch/warnings"
  [ -z "$mandoc" ] || check "${page##*/} is clean to mandoc" "$mandoc" -Tlint -Wwarning "$scratch/page.1"
done
finish
