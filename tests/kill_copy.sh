#!/usr/bin/env bash
# By hand: kills big copies with SIGKILL at random moments and lets them go on, through toxiproxy,
# which counts the bytes. Prints a tally; ends with 1 when a byte is wrong or was moved needlessly.
#
#     tests/with_minio.sh tests/kill_copy.sh build/release/jobferry [MiB [ROUNDS [SEED]]]
#
# MiB: 4096, ROUNDS each way: 20. Wants toxiproxy's server in PATH (as toxiproxy-server or server)
# and, where TMPDIR is, room for three times the bytes.
set -u
jobferry=$1 mib=${2:-4096} rounds=${3:-20}
RANDOM=${4:-1}
bytes=$((mib * 1024 * 1024))
# shellcheck source=tests/toxiproxy.sh
. "$(dirname "$0")/toxiproxy.sh"
find_toxiproxy
work=$(mktemp -d)
proxy=
trap 'kill "$proxy" 2>/dev/null; rm -rf "$work"' EXIT
start_toxiproxy "$work/toxiproxy.log" -proxy-metrics
api=127.0.0.1:$control front=127.0.0.1:$((32000 + $$ % 10000))
curl -sf --noproxy '*' -o /dev/null "http://$api/proxies" -d \
  "{\"name\":\"store\",\"listen\":\"$front\",\"upstream\":\"${MINIO_ENDPOINT#http://}\",\"enabled\":true}" || {
  echo "toxiproxy does not listen on $api, or not on $front" >&2
  exit 1
}

export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
export S3_ENDPOINT=http://$front XDG_STATE_HOME=$work/state

# Bytes that went through the proxy so far: to the store, or from it. toxiproxy counts a connection
# when it ends; of one that broke while it wrote to us, as when the program is killed, it counts
# nothing. So the first number of a download is too low; the second, which matters, is not.
moved() { # upstream|downstream
  curl -s --noproxy '*' "http://$api/metrics" |
    awk -v way="direction=\"$1\"" '/^toxiproxy_proxy_sent_bytes_total/ && index($0, way) {sum += $NF} END {printf "%.0f\n", sum}'
}

copy() { "$jobferry" cp --json --unsigned_payload "$@"; }
now_ms() { date +%s%3N; }

failures=0
one_way() { # up|down SOURCE TARGET DIRECTION
  local way=$1 from=$2 to=$3 direction=$4 began took wait before first second resumed missing verdict
  began=$(now_ms)
  copy "$from" "$to" >/dev/null || exit 1
  took=$(($(now_ms) - began))
  echo "$way: $mib MiB whole in $took ms"
  for round in $(seq "$rounds"); do
    [ "$way" = down ] && rm -f "$to"
    [ "$way" = up ] && "$jobferry" rm "$to"
    wait=$((took * (5 + RANDOM % 85) / 100))
    before=$(moved "$direction")
    "$jobferry" cp --unsigned_payload "$from" "$to" >/dev/null 2>&1 & # the program, not a shell
    local victim=$!
    sleep "$((wait / 1000)).$(printf %03d $((wait % 1000)))"
    kill -9 "$victim" 2>/dev/null
    wait "$victim" 2>/dev/null
    if [ $? -ne 137 ]; then
      echo "$way $round: it was whole before it could be killed"
      took=$((took * 9 / 10))
      continue
    fi
    sleep 1 # what is in the proxy's own buffers
    first=$(($(moved "$direction") - before))
    before=$(moved "$direction")
    copy "$from" "$to" >"$work/out" || failures=$((failures + 1))
    second=$(($(moved "$direction") - before))
    resumed=$(sed -n 's/.*"resumed": *\([0-9]*\).*/\1/p' "$work/out")
    missing=$((bytes - ${resumed:-0}))
    verdict=same
    if [ "$way" = up ]; then
      cat_sum=$("$jobferry" cat --server="$MINIO_ENDPOINT" "$to" | sha256sum) # past the proxy
    else
      cat_sum=$(sha256sum <"$to")
    fi
    [ "$cat_sum" = "$source_sum" ] || verdict=DIFFERENT
    # a hundredth and a MiB for heads and answers; 16 parts of 8 MiB may have been under way
    [ "$second" -le $((missing + missing / 100 + 1048576)) ] || verdict="$verdict,TOO-MUCH"
    [ "$((first + second))" -le $((bytes + bytes / 100 + 17 * 8388608)) ] || verdict="$verdict,TWICE"
    [ "$verdict" = same ] || failures=$((failures + 1))
    printf '%s %2d: killed after %6d ms; through the proxy %11d + %11d bytes; %11d were missing; %s\n' \
      "$way" "$round" "$wait" "$first" "$second" "$missing" "$verdict"
  done
}

"$jobferry" mb s3://kill-copy || exit 1
head -c "$bytes" /dev/urandom >"$work/source"
source_sum=$(sha256sum <"$work/source")
one_way up "$work/source" s3://kill-copy/object upstream
one_way down s3://kill-copy/object "$work/target" downstream
left=$(find "$work" -name '*.part' -o -name '*.journal' | wc -l)
pending=$("$jobferry" cleanup --json --older_than=0 s3://kill-copy | grep -c '"upload_id"')
echo "$failures of $((2 * rounds)) rounds failed; $left files and $pending uploads left over"
[ "$failures" -eq 0 ] && [ "$left" -eq 0 ] && [ "$pending" -eq 0 ]
