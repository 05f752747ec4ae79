#!/usr/bin/env bash
# What goes over the wire and what is told of it: proxies of the environment, --verbose without
# secrets. $1: the binary, $2: hostile_store, which here is a proxy and a store.
set -u
jobferry=$1
hostile_store=$2
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

export HOME=$scratch # no profile files of the machine's
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
"$hostile_store" some/key >requests &
store=$!
# shellcheck disable=SC2317 # called by lib.sh's trap
at_end() { kill "$store" 2>/dev/null; }
for _ in $(seq 1 100); do
  [ -s requests ] && break
  sleep 0.05
done
here=http://127.0.0.1:$(head -n 1 requests)
asked() { # REGEX: the last line of requests; the line is written before the answer is sent
  check "the proxy was asked: $1" bash -c "tail -n 1 requests | grep -Eq '$1'"
}

# ---- proxies: no name ends in .invalid, so only the proxy can answer
list() { env "$@" "$jobferry" ls -r --sign=none --server=http://store.invalid s3://bucket/some; }
expect 0 ' some/key$' list http_proxy="$here"
asked '^GET http://store.invalid/bucket/'
expect 0 ' some/key$' list HTTP_PROXY="$here"
expect 0 ' some/key$' list ALL_PROXY="$here"
expect 69 'store.invalid' list --unset=none # without a proxy
one_line
expect 69 'store.invalid' list http_proxy="$here" NO_PROXY=store.invalid
# in a CGI program HTTP_PROXY is a header of the client's
expect 69 'store.invalid' list HTTP_PROXY="$here" REQUEST_METHOD=GET
expect 69 'store.invalid.*proxy|proxy|CONNECT' env HTTPS_PROXY="$here" "$jobferry" ls --sign=none \
  --server=https://store.invalid s3://bucket
asked '^CONNECT store.invalid:443'
expect 69 'check HTTP_PROXY' list http_proxy=http://proxy.invalid:3128
one_line

# ---- --verbose tells each request, and no secret
keys=(--ak=AKIDTHEKEYID --sk=thesecretkey1 --token=thesessiontoken1)
expect 0 "^GET $here/bucket/\\?list-type=2.*: 200, " \
  "$jobferry" ls -r --verbose "${keys[@]}" --server="$here" s3://bucket/some
check "neither secret nor token nor signature" \
  bash -c "! grep -Ei 'thesecretkey1|thesessiontoken1|signature=|authorization|credential=' '$output'"
expect 0 '"message":"GET ' "$jobferry" ls -r --verbose --log_format=json "${keys[@]}" --server="$here" s3://bucket/some
check "nor as JSON" bash -c "! grep -Ei 'thesecretkey1|thesessiontoken1|signature=|authorization|credential=' '$output'"
for words in 'cat s3://bucket/nothing' 'cp s3://bucket/nothing x' 'stat s3://bucket/nothing'; do
  # shellcheck disable=SC2086 # several words
  expect 66 "$here/bucket/nothing: 404" "$jobferry" $words --verbose "${keys[@]}" --server="$here"
  check "nor when it fails" bash -c "! grep -Ei 'thesecretkey1|thesessiontoken1|signature=' '$output'"
done
expect 0 '' "$jobferry" ls -r "${keys[@]}" --server="$here" s3://bucket/some
check "without --verbose no request is told" bash -c "! grep -q GET '$output'"

finish
