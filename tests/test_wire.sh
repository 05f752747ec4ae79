#!/usr/bin/env bash
# What goes over the wire and what is told of it: proxies of the environment, --verbose without
# secrets, each option that is a header, signatures in URLs. $1: the binary, $2: hostile_store, which here
# is a proxy and a store.
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

# ---- options that are headers: each alone, of each command that makes objects, in both dialects
kill "$store"
"$hostile_store" --headers some/key some/put >>told &
store=$!
for _ in $(seq 1 100); do
  [ -s told ] && break
  sleep 0.05
done
ours=(--ak=x --sk=y --server="http://127.0.0.1:$(head -n 1 told)")
printf 'bytes of some/put' >put.json # what the store says it has got
mkdir folder && cp put.json folder/put
run() { : >told && "$jobferry" "$@" "${ours[@]}"; }
share() { # METHOD HEADER: of how many requests of METHOD, how many have it
  awk -v method="$1" -v header="$2" 'tolower($0) == tolower(header) { has = 1 }
    $1 == method { all++; with += has }
    $1 ~ /^(GET|HEAD|PUT)$/ { has = 0 }
    END { print with + 0 "/" all + 0 }' told
}
makes() { # COMMAND OPTIONS…: makes an object so
  case $1 in
  cp) run cp put.json s3://bucket/some/put "${@:2}" ;;
  put) run put put.json s3://bucket/some/put "${@:2}" ;;
  sync) run sync folder s3://bucket/some "${@:2}" ;;
  esac
}
while IFS='|' read -r option amz obs; do
  for command in cp put sync; do
    expect 0 '' makes $command --sign=v4 "--$option"
    check "the request says $amz" test "$(share PUT "$amz")" = 1/1
  done
  expect 0 '' makes cp --sign=v4
  check "without the option none does" test "$(share PUT "$amz")" = 0/1
  expect 0 '' makes cp --sign=obs "--$option"
  check "in OBS's words $obs" test "$(share PUT "$obs")" = 1/1
done <<'ALL'
content_type=text/x-own|Content-Type: text/x-own|Content-Type: text/x-own
cache_control=max-age=60|Cache-Control: max-age=60|Cache-Control: max-age=60
metadata=who=me,list=a\,b|x-amz-meta-list: a,b|x-obs-meta-list: a,b
metadata=who=me,list=a\,b|x-amz-meta-who: me|x-obs-meta-who: me
storage_class=STANDARD_IA|x-amz-storage-class: STANDARD_IA|x-obs-storage-class: WARM
acl=public-read|x-amz-acl: public-read|x-obs-acl: public-read
sse=AES256|x-amz-server-side-encryption: AES256|x-obs-server-side-encryption: AES256
sse=aws:kms|x-amz-server-side-encryption: aws:kms|x-obs-server-side-encryption: kms
sse_kms_key_id=key-1|x-amz-server-side-encryption-aws-kms-key-id: key-1|x-obs-server-side-encryption-kms-key-id: key-1
request_payer|x-amz-request-payer: requester|x-obs-request-payer: requester
ALL
# Who pays is told with every request there is.
payer='x-amz-request-payer: requester'
for words in 'GET ls -r s3://bucket/some' 'GET cat s3://bucket/some/key' 'HEAD stat s3://bucket/some/key' \
  'GET cp s3://bucket/some/key got' 'HEAD cp s3://bucket/some/key got' 'GET sync s3://bucket/some down' 'GET du s3://bucket/some'; do
  read -r method command <<<"$words"
  # shellcheck disable=SC2086 # several words
  expect 0 '' run $command --request_payer
  of=$(share "$method" "$payer")
  check "each $method says who pays: $of" test "${of%/*}" = "${of#*/}" -a "$of" != 0/0
done

# ---- presigned URLs of OBS and V2, by what openssl makes of their documents' rule: HMAC-SHA1 of the
# method, two empty lines, the end, and the resource, whose key is encoded and whose parameters are not
presigned() { # SIGN METHOD KEY ENCODED-KEY PARAMETERS OPTIONS…
  local url signature
  url=$("$jobferry" presign --server=http://127.0.0.1:1 --ak=AKEXAMPLE --sk=a/secret+key --expires_at=1893456000 \
    --sign="$1" --method="$2" "${@:6}" "s3://bkt/$3") || return 1
  signature=$(printf '%s\n\n\n1893456000\n/bkt/%s%s' "$2" "$4" "$5" |
    openssl dgst -sha1 -hmac a/secret+key -binary | openssl base64 | sed 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g')
  printf '%s\n' "$url" "wanted $signature"
  [ "${url##*Signature=}" = "$signature" ] && [ "${url%%\?*}" = "http://127.0.0.1:1/bkt/$4" ]
}
key='a b/ä+100%~.gz' encoded='a%20b/%C3%A4%2B100%25~.gz'
for method in GET PUT HEAD DELETE; do
  for sign in obs v2; do
    check "$sign signs $method" presigned $sign $method plain plain ''
    check "and names that are encoded" presigned $sign $method "$key" "$encoded" ''
  done
  check "a version" presigned obs $method "$key" "$encoded" '?versionId=v+1/=' --version_id=v+1/=
  check "a token" presigned obs $method plain plain '?x-obs-security-token=t+/=' --token=t+/=
  check "both" presigned obs $method plain plain '?versionId=7&x-obs-security-token=t+/=' --token=t+/= --version_id=7
  check "a token of V2" presigned v2 $method plain plain '?versionId=7&x-amz-security-token=t+/=' --token=t+/= --version_id=7
done

finish
