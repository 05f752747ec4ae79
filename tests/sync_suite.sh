# sync_suite.sh - how a sync behaves, whatever the two places are; sourced by test_sync*.sh.
# shellcheck shell=bash disable=SC2154
#
# sync_suite SOURCE DESTINATION: each is a folder or the URL of an empty prefix. Both are filled
# and looked at with the other commands of jobferry, which have tests of their own.

# Names as lines, relative to the place, ours left out.
names_in() {
  local base=$1/ line
  [[ $1 == s3://* ]] && base=${1#s3://*/}/
  "$jobferry" ls -r "$1/" 2>/dev/null | cut -c 35- | while IFS= read -r line; do
    line=${line#"$base"}
    [ -z "$line" ] || [ "$line" = .jobferry-sync ] || printf '%s\n' "$line"
  done
}
put_text() { printf %s "$3" | "$jobferry" put - "$1/$2" 2>/dev/null; }
holds() { [ "$("$jobferry" cat "$1/$2")" = "$3" ]; }
same_names() { diff <(names_in "$1") <(names_in "$2"); }
has() { names_in "$1" | grep -Fxq -- "$2"; }
lacks() { ! has "$1" "$2"; }
# The last summary's member: counted files 3.
counted() { grep -Eq "\"$1\": ?$2[,}]" "$output"; }

sync_suite() {
  local from=$1 to=$2 same
  local run=("$jobferry" sync --json "$from" "$to")
  # a store's time of writing has to lie after the file's
  put_text "$from" a one
  put_text "$from" a-b two
  put_text "$from" d/x three
  put_text "$from" 'd/ä b+%41 &.txt' four
  put_text "$from" d/empty ''
  put_text "$from" z last

  echo "# $from -> $to"
  expect 0 '"action": ?"copy"' "${run[@]}" --dry_run
  check "a dry run counts and changes nothing" counted files 6
  check "nothing was made" lacks "$to" a
  expect 0 '' "${run[@]}"
  check "all were copied" counted files 6
  check "the names are the same" same_names "$from" "$to"
  check "so is what they hold" holds "$to" 'd/ä b+%41 &.txt' four
  expect 0 '' "${run[@]}"
  check "the second time nothing is copied" counted files 0
  check "and all are unchanged" counted skipped 6
  for same in --exact_mtime --size_only --checksum; do
    expect 0 '' "${run[@]}" "$same"
    check "$same finds them unchanged" counted skipped 6
  done
  expect 64 'one way' "${run[@]}" --checksum --size_only

  sleep 1.1 # stores tell whole seconds
  put_text "$from" a ONE
  expect 0 '' "${run[@]}" --size_only
  check "--size_only does not see other bytes of the same size" counted files 0
  expect 0 '' "${run[@]}" --checksum
  check "--checksum sees them" counted files 1
  check "and copies them" holds "$to" a ONE
  put_text "$from" d/x THREE
  expect 0 '' "${run[@]}"
  check "the time tells that one is newer" counted files 1
  check "it was copied" holds "$to" d/x THREE
  put_text "$from" a longer
  expect 0 '' "${run[@]}"
  check "another size tells" holds "$to" a longer

  # deletions
  put_text "$to" extra/one 1
  put_text "$to" extra/two 2
  put_text "$to" a-c 3
  expect 0 '' "${run[@]}"
  check "extras stay without --delete" has "$to" extra/one
  expect 74 'nothing was deleted of 3 .*max_delete|"withheld"' "${run[@]}" --delete --max_delete=2
  check "more than --max_delete: none goes" has "$to" a-c
  expect 0 '"action": ?"delete"' "${run[@]}" --delete --dry_run
  check "a dry run deletes nothing" has "$to" a-c
  expect 0 '' "${run[@]}" --delete --exclude='extra/'
  check "what is excluded is not deleted" has "$to" extra/one
  check "the rest goes" lacks "$to" a-c
  expect 0 '' "${run[@]}" --delete --max_delete=2
  check "both are counted" counted deleted 2
  check "the names are the same again" same_names "$from" "$to"

  # names to take
  put_text "$from" n/one.log 1
  put_text "$from" n/two.txt 2
  put_text "$from" n/tmp/three.txt 3
  expect 0 '' "${run[@]}" --include='*.txt' --exclude=/n/tmp/
  check "--include takes by the last part" has "$to" n/two.txt
  check "but no others" lacks "$to" n/one.log
  check "--exclude wins" lacks "$to" n/tmp/three.txt
  expect 64 "no ']'" "${run[@]}" --include='[a'
  "$jobferry" rm -r "$from/n" >/dev/null 2>&1
  "$jobferry" rm -r "$to/n" >/dev/null 2>&1

  # ours
  put_text "$from" .jobferry/latest.json '{}'
  put_text "$to" sub/.jobferry/latest.json '{}'
  expect 0 '' "${run[@]}" --delete
  check ".jobferry/ is not copied" lacks "$to" .jobferry/latest.json
  check ".jobferry/ is not deleted" has "$to" sub/.jobferry/latest.json
  "$jobferry" rm "$from/.jobferry/latest.json"
  "$jobferry" rm "$to/sub/.jobferry/latest.json"

  # refusals
  expect 64 'one lies in the other|are the same' "$jobferry" sync "$from" "$from/inside"
  expect 64 'one lies in the other|are the same' "$jobferry" sync "$from" "$from"
  expect 66 '' "$jobferry" sync "$from-missing" "$to"
  local none=66 # of a folder; a prefix that is not there is an empty one
  [[ $from == s3://* ]] && none=74
  expect "$none" '' "$jobferry" sync --delete --max_delete=1000 "$from-missing" "$to"
  check "a missing source deletes nothing" has "$to" a
  expect 66 '' "${run[@]}" --delete --max_delete=1000 --include=nothing-like-this
  check "one that the filter empties does not either" has "$to" a
}
