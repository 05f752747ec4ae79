#!/usr/bin/env bash
# What other clients wrote we read, and what we wrote they read: bytes, checksums, times, content
# types. By with_minio.sh; each of mc, rclone and aws takes part when it is installed, and at least
# mc in CI. $1: the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

aws=$(command -v aws || :) # by a path, as a version manager's stand-in wants the caller's HOME
aws_home=$HOME
export HOME=$scratch # no profile files of the machine's
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD AWS_DEFAULT_REGION=us-east-1
server=--server=$MINIO_ENDPOINT
jf() { "$jobferry" "$@" "$server"; }

mc() { command mc --config-dir "$scratch/mc" --quiet "$@"; }
rclone() { command rclone --config "$scratch/rclone.conf" --s3-use-multipart-uploads true "$@"; }
aws() { HOME=$aws_home AWS_CONFIG_FILE=$scratch/aws.config "$aws" --endpoint-url "$MINIO_ENDPOINT" "$@"; }
cat >rclone.conf <<END
[m]
type = s3
provider = Minio
access_key_id = $MINIO_ROOT_USER
secret_access_key = $MINIO_ROOT_PASSWORD
endpoint = $MINIO_ENDPOINT
END
peers=()
if type -P mc >/dev/null && mc alias set m "$MINIO_ENDPOINT" "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" >/dev/null; then
  peers+=(mc)
elif [ "${CI:-}" = true ]; then
  check "mc is installed" false
fi
type -P rclone >/dev/null && peers+=(rclone)
[ -n "$aws" ] && aws --version >/dev/null 2>&1 && peers+=(aws)
echo "peers: ${peers[*]:-none}"
if [ "${#peers[@]}" -eq 0 ]; then
  echo "skipped: none of mc, rclone and aws is installed" >&2
  exit 77
fi

# small, empty, of several parts, odd names; with times of long ago
mkdir -p tree/sub
: >tree/empty
echo '{"a": 1}' >tree/a.json
echo text >tree/b.txt
head -c 100000 /dev/urandom >'tree/sub/with space + ä%20.bin'
head -c 20000003 /dev/urandom >tree/sub/big.bin
find tree -type f -exec touch -d '2021-03-04T05:06:07.123456789Z' {} +
expect 0 '' jf mb s3://interop

put_all() { # PEER: the tree to s3://interop/PEER
  case $1 in
    mc) mc cp --recursive --attr 'note=hello' tree/ m/interop/mc/ ;;
    rclone) rclone copy --s3-upload-cutoff 5M --s3-chunk-size 5M tree m:interop/rclone ;;
    aws) # beside many others it loses the answer to a part now and then: "upload failed: … 'ETag'"
      aws s3 sync --only-show-errors tree s3://interop/aws || aws s3 sync --only-show-errors tree s3://interop/aws ;;
  esac
}
get_all() { # PEER FOLDER: s3://interop/ours to FOLDER
  case $1 in
    mc) mc cp --recursive m/interop/ours/ "$2/" ;;
    rclone) rclone copy m:interop/ours "$2" ;;
    aws) aws s3 cp --recursive --only-show-errors s3://interop/ours "$2" ;;
  esac
}

# ---- theirs, read by us
for peer in "${peers[@]}"; do
  check "$peer puts" put_all "$peer"
  expect 0 '"failed":0' jf cp -r --json "s3://interop/$peer" "from-$peer"
  cp "$output" "from-$peer.json"
  check "$peer's bytes" diff -r tree "from-$peer"
  check "$peer's are verified beyond their size" bash -c "! grep '\"verified\":\"size\"' 'from-$peer.json'"
  sed -n 's/.*\(big[^"]*\)".*"verified":"\([a-z0-9]*\)".*/    \1 verified by \2/p' "from-$peer.json"
  expect 0 'sub/with space \+ ä%20.bin' jf ls -r "s3://interop/$peer/"
done

# ---- ours, read by them
expect 0 'copied 5' jf cp -r tree s3://interop/ours
for peer in "${peers[@]}"; do
  check "$peer gets" get_all "$peer" "ours-by-$peer"
  check "our bytes by $peer" diff -r tree "ours-by-$peer"
done

# ---- times and types, where both keep them: rclone's way is ours
expect 0 'copied 5' jf cp -r s3://interop/ours back
same_times() { # FOLDER: to the microsecond
  diff <(cd tree && find . -type f -printf '%P %.26TT %TF\n' | sort) \
    <(cd "$1" && find . -type f -printf '%P %.26TT %TF\n' | sort)
}
check "our times come back, of the empty file too" same_times back
for peer in "${peers[@]}"; do
  case $peer in
    rclone)
      check "rclone's times" same_times from-rclone
      check "our times by rclone" same_times ours-by-rclone
      check "rclone finds nothing to do" bash -c "! command rclone --config rclone.conf check tree m:interop/ours 2>&1 | grep -v '0 differences' | grep differences"
      rclone copy -v tree m:interop/ours >again 2>&1
      check "nor to copy" bash -c "! grep -q Copied again"
      expect 0 '' bash -c "command rclone --config rclone.conf hashsum MD5 m:interop/ours/b.txt"
      check "its type of a.json" bash -c "command rclone --config rclone.conf lsjson m:interop/ours/a.json | grep -q application/json"
      ;;
    aws)
      aws s3api head-object --checksum-mode ENABLED --bucket interop --key ours/sub/big.bin >head.json
      check "our CRC-32 of the whole is told to aws" grep -q '"ChecksumCRC32": "[A-Za-z0-9+/]\{6\}=="' head.json
      aws s3api head-object --bucket interop --key ours/a.json >head.json
      check "the type that aws sees" grep -q '"ContentType": "application/json"' head.json
      ;;
    mc)
      mc stat --json m/interop/ours/a.json >stat.json
      check "the type that mc sees" grep -q 'application/json' stat.json
      # sums that are not ours, of the whole and of the parts: then the ETag serves
      for sum in MD5 CRC32 CRC32C SHA1 SHA256 CRC64NVME; do
        check "mc puts with $sum" mc cp --checksum "$sum" tree/sub/big.bin "m/interop/sum/$sum"
        expect 0 '"verified":"(crc32|md5|etag)"' jf cp --json "s3://interop/sum/$sum" "sum-$sum"
        sed -n 's/.*"verified":"\([a-z0-9]*\)".*/    verified by \1/p' "$output"
        check "whole" same_bytes tree/sub/big.bin "sum-$sum"
      done
      ;;
  esac
done

finish
