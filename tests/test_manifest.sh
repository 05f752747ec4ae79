#!/usr/bin/env bash
# cp --manifest, and stat --verify against it: a store, a folder, each kind of difference. Run by
# with_minio.sh.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
export S3_ENDPOINT=$MINIO_ENDPOINT XDG_STATE_HOME=$scratch/state

mkdir -p src/sub && printf 123456789 >src/a && : >src/sub/empty && seq 100000 >"src/sub/ä \"q\"+%"
printf odd >src/odd
seq 2000000 >src/sub/big # 14.9 MB: two parts
files=5

expect 0 '' "$jobferry" mb s3://manifests
expect 0 'copied 5 objects' "$jobferry" cp -r --manifest=up.json src s3://manifests/up
check "a line a file, and one more" test "$(wc -l <up.json)" -eq $((files + 1))
# CRC-32 of "123456789" is the published check value cbf43926.
check "name, size, sum, and how it was verified" \
  grep -qx '{"name": "a", "size": 9, "crc32": "cbf43926", "verified": "crc32"}' up.json
check "the last line sums up" \
  grep -qx '{"manifest": 1, "files": 5, "bytes": [0-9]*, "complete": true}' <(tail -n 1 up.json)
check "no temporary file is left" test "$(find . -name 'up.json*' | wc -l)" -eq 1
expect 0 'verified 5 files.*; 0 of them by reading' "$jobferry" stat --verify=up.json s3://manifests/up
expect 0 'verified 5 files.*; 0 of them by reading' "$jobferry" stat --verify up.json s3://manifests/up/
expect 0 'verified 5 files.*; 5 of them by reading' "$jobferry" stat --verify up.json src
expect 0 '"summary".*"files": ?5.*"missing": ?0.*"size": ?0.*"crc32": ?0' \
  "$jobferry" stat --json --verify up.json src

# Down again: the same names and sums.
expect 0 'copied 5' "$jobferry" cp -r --manifest=down.json s3://manifests/up down
names_and_sums() { sed 's/, "verified".*//' "$1" | sort; }
check "both ways give one manifest" diff <(names_and_sums up.json) <(names_and_sums down.json)

# Each kind of difference, in a folder and in a store.
cp -r src bad && rm bad/a && echo more >>bad/sub/big && printf ODD >bad/odd
expect 76 '^missing +a$' "$jobferry" stat --verify up.json bad && one_line
expect 76 '^size +sub/big: 14888901, expected 14888896$' "$jobferry" stat --verify up.json bad
expect 76 '^crc32 +odd: [0-9a-f]{8}, expected [0-9a-f]{8}$' "$jobferry" stat --verify up.json bad
expect 76 '3 of 5 files differ' "$jobferry" stat --verify up.json bad
expect 76 '\{"name": ?"a","problem": ?"missing"\}' "$jobferry" stat --json --verify up.json bad
expect 76 '"problem": ?"size","size": ?14888901,"expected": ?14888896' "$jobferry" stat --json --verify up.json bad
mkdir bad/a
expect 76 '^size +a: a folder' "$jobferry" stat --verify up.json bad
expect 0 '' "$jobferry" rm s3://manifests/up/a
printf oDd >odd && expect 0 '' "$jobferry" put odd s3://manifests/up/sub/empty
expect 76 '^missing +a$' "$jobferry" stat --verify up.json s3://manifests/up
expect 76 '^size +sub/empty: 3, expected 0$' "$jobferry" stat --verify up.json s3://manifests/up
expect 66 'bucket' "$jobferry" stat --verify up.json s3://manifests-missing/up && one_line

# An object of which the store keeps no CRC-32 is read: put there by curl, with no sum.
printf 123456789 >nine
expect 0 'copied 1' "$jobferry" cp --manifest=one.json nine s3://manifests/one/nine
url=$("$jobferry" presign --method=PUT s3://manifests/one/nine)
check "curl puts" curl -sfk --noproxy '*' -T nine "$url"
expect 0 '1 files.*; 1 of them by reading' "$jobferry" stat --verify one.json s3://manifests/one
printf 123456780 >nine
check "curl puts other bytes" curl -sfk --noproxy '*' -T nine "$url"
expect 76 '^crc32 +nine: [0-9a-f]{8}, expected cbf43926' "$jobferry" stat --verify one.json s3://manifests/one

# A name that is not UTF-8 (MinIO takes none).
mkdir latin && printf x >"latin/$(printf 'latin\351')"
expect 0 '' "$jobferry" cp -r --manifest=latin.json latin latin2
check "it is in hex" grep -q '"name_hex": "6c6174696ee9"' latin.json
expect 0 'verified 1 files' "$jobferry" stat --verify latin.json latin2
printf y >"latin2/$(printf 'latin\351')"
expect 76 "1 of 1 files differ" "$jobferry" stat --verify latin.json latin2

# Manifests that are no such thing.
head -n -1 up.json >cut.json
expect 65 'the last line is missing' "$jobferry" stat --verify cut.json src && one_line
sed 2d up.json >short.json
expect 65 'lines are missing' "$jobferry" stat --verify short.json src
sed 's#"a"#"../a"#' up.json >hostile.json
expect 65 'line [0-9]+: ' "$jobferry" stat --verify hostile.json src
echo '[1]' >array.json
expect 65 'no JSON object' "$jobferry" stat --verify array.json src
: >empty.json
expect 65 'the last line is missing' "$jobferry" stat --verify empty.json src
sed 's#"manifest": 1#"manifest": 2#' up.json >newer.json
expect 65 'version' "$jobferry" stat --verify newer.json src
expect 66 'missing.json' "$jobferry" stat --verify missing.json src

# What was not copied is not in it, and it says so; where it cannot be, nothing is copied.
ln -s nowhere src/link
expect 74 '1 failed' "$jobferry" cp -r --manifest=part.json src part
check "the manifest is not complete" grep -q '"files": 5.*"complete": false' part.json
expect 0 'had not copied all' "$jobferry" stat --verify part.json part
expect 73 'no/such' "$jobferry" cp -r --manifest=no/such.json src never && one_line
check "nothing was copied" absent never
echo old >kept.json
expect 66 '' "$jobferry" cp --manifest=kept.json missing never
check "a copy of nothing leaves the old one" grep -q old kept.json
finish
