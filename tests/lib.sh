# lib.sh - checks for tests written in bash; sourced, not run.
# shellcheck shell=bash disable=SC2034
#
# A test says `expect CODE REGEX COMMAND…` and others below, and ends with `finish`. Every check
# prints one line; the first lines of what went wrong follow a failed one.

checks=0
failures=0
output=$(mktemp)
scratch=$(mktemp -d)
# A test may add to it: functions to call at the end.
at_end() { :; }
trap 'at_end; rm -rf "$output" "$scratch"' EXIT

check() { # TEXT, then a command that must succeed
  local text=$1
  shift
  checks=$((checks + 1))
  if "$@" >"$output.check" 2>&1; then
    echo "ok $checks - $text"
  else
    failures=$((failures + 1))
    echo "not ok $checks - $text"
    sed 's/^/    /' "$output.check" | head -n 20
  fi
  rm -f "$output.check"
}

# expect CODE REGEX COMMAND…: the command ends with CODE and prints (either way) a line that
# matches REGEX ('' for none asked). No sanitizer may have spoken.
expect() {
  local code=$1 regex=$2 got=0
  shift 2
  "$@" >"$output" 2>&1 || got=$?
  checks=$((checks + 1))
  local shown="$*"
  shown=${shown//$jobferry/jobferry}
  if [ "$got" -eq "$code" ] && { [ -z "$regex" ] || grep -Eq -- "$regex" "$output"; } &&
    ! grep -q 'Sanitizer\|runtime error:' "$output"; then
    echo "ok $checks - $code: $shown"
  else
    failures=$((failures + 1))
    echo "not ok $checks - $shown"
    echo "    wanted code $code and /$regex/, got code $got and"
    sed 's/^/    /' "$output" | head -n 20
  fi
}

# The one line of a failure: exactly one line of the last output begins with "jobferry: ".
one_line() {
  check "one line says it" test "$(grep -c '^jobferry: ' "$output")" -eq 1
}

same_bytes() { cmp "$1" "$2"; }
absent() { ! test -e "$1"; }
# Whether the folder holds no file that a broken write would leave.
no_leftovers() { ! find "$1" -name '*.part' | grep .; }
# SHA-256 of a checkpoint's first 18 entries: 494,155 bytes (reference: the lab's file).
weights_sum() { head -c 494155 "$1" | sha256sum | cut -d ' ' -f 1; }

finish() {
  echo "$((checks - failures)) of $checks checks passed"
  [ "$failures" -eq 0 ]
}
