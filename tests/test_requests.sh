#!/usr/bin/env bash
# What storage commands say of objects, against MinIO: types, metadata, versions, presigned URLs.
# shellcheck disable=SC2154 # with_minio.sh exports the server's names and keys
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
export AWS_ENDPOINT_URL=$MINIO_ENDPOINT AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER
export AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
fetch() { curl --silent --show-error --fail --noproxy '*' "$@"; }
# The headers of an object, by a presigned HEAD.
head_of() { fetch --head "$("$jobferry" presign --method=HEAD "$1")" | tr -d '\r'; }

expect 0 '' "$jobferry" mb s3://jf-requests
b=s3://jf-requests

# Presigned URLs.
echo hello >hello.txt
expect 0 '' "$jobferry" cp hello.txt "$b/ä b+/hello.txt"
url=$("$jobferry" presign "$b/ä b+/hello.txt")
check "curl gets it" bash -c "test \"\$(curl -sf --noproxy '*' '$url')\" = hello"
check "another method is refused" bash -c "! curl -sf --noproxy '*' -X DELETE '$url'"
check "a changed URL is refused" bash -c "! curl -sf --noproxy '*' '${url/X-Amz-Expires=3600/X-Amz-Expires=3601}'"
check "curl puts one" fetch -T hello.txt -o out "$("$jobferry" presign --method=PUT "$b/put")"
expect 0 '^hello$' "$jobferry" cat "$b/put"
check "version 2 works too" fetch -o out "$("$jobferry" presign --sign=v2 "$b/put")"
check "until a moment" fetch -o out "$("$jobferry" presign --expires_at="$(($(date +%s) + 60))" "$b/put")"
expect 0 '"expires"' "$jobferry" presign --json "$b/put"
expect 64 'within a week' "$jobferry" presign --expires_in=604801 "$b/put"
expect 64 'not both' "$jobferry" presign --expires_in=5 --expires_at=5 "$b/put"
expect 64 'must name an object' "$jobferry" presign "$b"
expect 64 'no URL' "$jobferry" presign hello.txt
expect 77 'no keys' "$jobferry" presign --sign=none "$b/put"

# Types and metadata.
echo '{}' >x.json
expect 0 '' "$jobferry" cp --metadata='who=me,list=a\,b' --cache_control=no-cache x.json "$b/x.json"
head_of "$b/x.json" >headers
check "the type follows the name" grep -qi '^content-type: application/json$' headers
check "the metadata is there" grep -qi '^x-amz-meta-who: me$' headers
check "a comma can be in a value" grep -qi '^x-amz-meta-list: a,b$' headers
check "the cache is told" grep -qi '^cache-control: no-cache$' headers
check "rclone's mtime is there" grep -Eqi '^x-amz-meta-mtime: [0-9]+\.[0-9]+$' headers
expect 0 '' "$jobferry" cp --content_type=text/x-own x.json "$b/y.json"
head_of "$b/y.json" >headers
check "a given type wins" grep -qi '^content-type: text/x-own$' headers
expect 0 '' "$jobferry" cp "$b/x.json" "$b/copied"
head_of "$b/copied" >headers
check "a copy within the store keeps what is said" grep -qi '^x-amz-meta-who: me$' headers
expect 0 '' "$jobferry" cp --metadata=other=1 "$b/x.json" "$b/replaced"
head_of "$b/replaced" >headers
check "unless something else is said" grep -qi '^x-amz-meta-other: 1$' headers
check "which replaces it" bash -c '! grep -qi "^x-amz-meta-who" headers'
expect 0 '' "$jobferry" cp --storage_class=REDUCED_REDUNDANCY x.json "$b/class"
head_of "$b/class" >headers
check "the class is kept" grep -qi '^x-amz-storage-class: REDUCED_REDUNDANCY$' headers
expect 0 '' bash -c "echo hi | '$jobferry' put --content_type=text/plain --metadata=a=b - $b/stdin"
head_of "$b/stdin" >headers
check "put says it too" grep -qi '^x-amz-meta-a: b$' headers
expect 64 'name=value' "$jobferry" cp --metadata=oops x.json "$b/bad"
touch -d '2020-02-02 02:02:02 UTC' old && expect 0 '' "$jobferry" cp old "$b/old"
expect 0 '2020-02-02T02:02:02Z' "$jobferry" stat "$b/old"
expect 0 '' "$jobferry" cp "$b/old" back
check "times come back" test "$(stat -c %Y back)" = "$(stat -c %Y old)"

# A key of one's own: over http the store refuses it, in words; test_copy_remote has it over TLS.
head -c 32 /dev/urandom >key
printf 'not a key' >nokey
expect 78 '32 bytes' "$jobferry" cp --sse_c_key_file=nokey x.json "$b/enc"
expect 66 'missing' "$jobferry" cp --sse_c_key_file=missing x.json "$b/enc"
for form in "$(base64 <key)" "$(od -An -tx1 <key | tr -d ' \n')"; do
  printf '%s\n' "$form" >text
  expect 74 'PUT' "$jobferry" cp --sse_c_key_file=text x.json "$b/enc"
done
expect 64 'https' "$jobferry" cat --server=http://store.example --sse_c_key_file=key "$b/enc"
expect 64 'one way' "$jobferry" cp --sse=AES256 --sse_c_key_file=key x.json "$b/enc"

finish
