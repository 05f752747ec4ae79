#!/usr/bin/env bash
# `jobferry check` against MinIO: each thing that can be wrong is one line with what to do, the exit
# code is the first one's, and nothing is left behind. $1: the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

export HOME=$scratch # no profile files of the machine's
server=(--server="$MINIO_ENDPOINT")
root=(--ak="$MINIO_ROOT_USER" --sk="$MINIO_ROOT_PASSWORD" "${server[@]}")
expect 0 'drew' "$jobferry" data digits digits --train=64 --test=32
expect 0 '' "$jobferry" mb "${root[@]}" s3://data
expect 0 '' "$jobferry" mb "${root[@]}" s3://out
expect 0 '' "$jobferry" cp -r "${root[@]}" digits s3://data/MNIST
mc() { command mc --config-dir "$scratch/mc" --quiet "$@"; }
users() { # one may do all but abort an upload
  cat >writer.json <<'JSON'
{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":["arn:aws:s3:::out","arn:aws:s3:::out/*"],
 "Action":["s3:PutObject","s3:GetObject","s3:DeleteObject","s3:ListBucket"]}]}
JSON
  mc alias set it "$MINIO_ENDPOINT" "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" &&
    mc admin policy create it writer writer.json &&
    mc admin user add it writer writerwriter && mc admin policy attach it writer --user writer
}
check "a user who may not abort uploads" users
has() { grep -Eq -- "$1" "$output"; }
d=--data_url=s3://data/MNIST
t=--train_url=s3://out/job

# All is well: a line each, and nothing is left, there or here.
expect 0 '^ok +data_url +4 objects, [0-9.]+ KiB$' "$jobferry" check $d $t "${root[@]}"
check "train_url" has '^ok +train_url +objects can be put, read and deleted, uploads in parts'
check "whose keys" has "^ok +credentials +data_url's keys from flags; train_url's keys from flags$"
check "the clock" has '^ok +clock +within'
check "the disk" has '^ok +disk +.*needed, .* free'
check "the lock" has '^ok +lock +nobody'
expect 66 'nothing begins with that' "$jobferry" ls -r "${root[@]}" s3://out
check "nor here" absent ckpt
expect 0 '' "$jobferry" cleanup --older_than=0s "${root[@]}" s3://out
check "no upload is left" bash -c "! grep -q probe '$output'"
expect 0 'files can be written' "$jobferry" check --data_url=digits --train_url=there
check "no folder is left" absent there
mkdir mine
expect 0 'files can be written' "$jobferry" check --data_url=digits --train_url=mine
check "one that was there stays" test -d mine

# JSON: an object a line, the sum of it last.
expect 0 '^\{"summary":\{"checks":9,"warnings":0,"failed":0,"seconds":' "$jobferry" check --json $d $t "${root[@]}"
check "an object a finding" has '^\{"check":"data_url","state":"ok","text":"4 objects'
expect 66 '"state":"failed","text":.*"remedy":.*"exit":66' "$jobferry" check --json --data_url=s3://nobucket/x $t "${root[@]}"

# What can be wrong. The others are checked all the same.
expect 77 'failed +train_url .*AbortMultipartUpload' "$jobferry" check $d $t "${server[@]}" \
  --data_ak="$MINIO_ROOT_USER" --data_sk="$MINIO_ROOT_PASSWORD" --train_ak=writer --train_sk=writerwriter
check "the data are checked all the same" has '^ok +data_url'
expect 77 'failed +train_url .*must be allowed to put' "$jobferry" check $d --train_url=s3://data/x "${server[@]}" \
  --data_ak="$MINIO_ROOT_USER" --data_sk="$MINIO_ROOT_PASSWORD" --train_ak=writer --train_sk=writerwriter
expect 77 'failed +data_url .*must be allowed to list' "$jobferry" check $d $t "${server[@]}" \
  --train_ak="$MINIO_ROOT_USER" --train_sk="$MINIO_ROOT_PASSWORD" --data_ak=writer --data_sk=writerwriter
expect 66 'failed +data_url .*holds nothing.*jobferry ls' "$jobferry" check --data_url=s3://data/mnist $t "${root[@]}"
expect 66 'failed +train_url .*NoSuchBucket' "$jobferry" check $d --train_url=s3://nobucket/x "${root[@]}"
expect 0 'ok +train_url .*--make_bucket will make it' "$jobferry" check $d --train_url=s3://nobucket/x --make_bucket "${root[@]}"
expect 66 '' "$jobferry" ls "${root[@]}" s3://nobucket
expect 66 'failed +data_url .*--data_url must be a folder' "$jobferry" check --data_url=nothing $t "${root[@]}"
expect 64 'failed +urls .*--train_url is missing' "$jobferry" check $d "${root[@]}"
expect 78 'failed +urls .*overlap' "$jobferry" check $d --train_url=s3://data/MNIST/out "${root[@]}"
expect 73 'failed +folders .*is no folder; --ckpt_dir' "$jobferry" check $d $t "${root[@]}" --ckpt_dir=writer.json/ckpt
expect 69 'failed +train_url' "$jobferry" check $d $t --ak=a --sk=b --server=http://127.0.0.1:1
expect 64 'failed +trainer .*ckpt_name' "$jobferry" check $d $t "${root[@]}" --ckpt_name=a/b
expect 77 "warning +credentials +data_url's session token from flags cannot be renewed.*; give keys" \
  "$jobferry" check $d $t "${root[@]}" --token=x

# What is known of a token's end, against the time limit.
token() { # DATE OPTIONS…: keys of the environment, with a token until then
  env AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_SESSION_TOKEN=x \
    AWS_CREDENTIAL_EXPIRATION="$(date -u -d "$1" +%Y-%m-%dT%H:%M:%S+00:00)" \
    "$jobferry" check $d $t --server="$MINIO_ENDPOINT" "${@:2}"
}
expect 77 "warning +credentials +train_url's session token from AWS_ACCESS_KEY_ID expires in (59|60) min, at 20.*Z, before --time_limit and --grace are over, .*; begin with newer keys" \
  token '+1 hour' --time_limit=3600
expect 77 'expires in (59|60) min, at 20[-0-9T:]*Z, and cannot be renewed: then nothing more is read; give a --time_limit' token '+1 hour'
expect 77 'expires already' token '-1 hour' --time_limit=60
expect 77 "ok +credentials +data_url's keys from AWS_ACCESS_KEY_ID, until 20.*Z; train_url's keys .*, until" token '+1 hour' --time_limit=1800

# A lock: of another machine and fresh, of a process here that is no more, and an old one.
lock() { # HOST BOOT_ID PID LEASE
  printf '{"version":1,"run":"R1","attempt":1,"host":"%s","boot_id":"%s","pid":%s,"lease_seconds":%s}' "$@" |
    "$jobferry" put "${root[@]}" - s3://out/job/.jobferry/lock.json 2>/dev/null
}
check "another machine's lock" lock elsewhere b 1 3600
expect 78 'failed +lock .*run R1 on elsewhere holds.*--break_lock' "$jobferry" check $d $t "${root[@]}"
dead=$(bash -c 'echo $$')
check "a dead process's lock" lock "$(hostname)" "$(cat /proc/sys/kernel/random/boot_id)" "$dead" 3600
expect 0 'ok +lock .*left its lock' "$jobferry" check $d $t "${root[@]}"
check "a lock whose lease is over" lock elsewhere b 1 -10
expect 0 'ok +lock .*left its lock' "$jobferry" check $d $t "${root[@]}"

finish
