#!/usr/bin/env bash
# TLS: a certificate that nobody vouches for is refused, by a line that names the way out; with that
# way a whole job runs. By with_minio.sh --tls; $1: the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

export HOME=$scratch # no profile files of the machine's
server=$MINIO_ENDPOINT
# Keys in the environment: the command line holds only what a test is about.
export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
trusted=(--server="$server" --ca_file="$MINIO_CA_FILE")
expect 0 'drew' "$jobferry" data digits digits --train=64 --test=32
expect 0 '' "$jobferry" mb "${trusted[@]}" s3://data
expect 0 '' "$jobferry" mb "${trusted[@]}" s3://out
expect 0 'copied 4 objects' "$jobferry" cp -r "${trusted[@]}" digits s3://data/MNIST

expect 69 'certificate.*--ca_file' "$jobferry" ls --server="$server" s3://data
one_line
check "it tells of no other trouble" bash -c "! grep -qi warning '$output'"
expect 69 'certificate.*--ca_file' "$jobferry" cp -r --server="$server" s3://data/MNIST copied
check "nothing was written" absent copied
expect 0 'PRE MNIST/' "$jobferry" ls "${trusted[@]}" s3://data
expect 0 'PRE MNIST/' "$jobferry" ls --server="$server" --verify_ssl=0 s3://data
expect 0 'PRE MNIST/' env JOBFERRY_DATA_CA_FILE="$MINIO_CA_FILE" "$jobferry" ls --server="$server" s3://data
expect 0 'PRE MNIST/' env -u AWS_CA_BUNDLE SSL_CERT_FILE="$MINIO_CA_FILE" "$jobferry" ls --server="$server" s3://data
expect 69 'S3_VERIFY_SSL=0 is not followed' env S3_VERIFY_SSL=0 "$jobferry" ls --server="$server" s3://data

# Another certificate, valid in itself, does not vouch for this server; nor does a broken file.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=another \
  -addext 'subjectAltName=IP:127.0.0.1' -keyout /dev/null -out another.crt 2>/dev/null
expect 69 'certificate' "$jobferry" ls --server="$server" --ca_file=another.crt s3://data
one_line
expect 69 'certificate' env SSL_CERT_FILE="$MINIO_CA_FILE" AWS_CA_BUNDLE=another.crt "$jobferry" ls --server="$server" s3://data
echo 'not a certificate' >broken.crt
expect 69 'broken.crt' "$jobferry" ls --server="$server" --ca_file=broken.crt s3://data
one_line
expect 66 'missing.crt' "$jobferry" ls --server="$server" --ca_file=missing.crt s3://data
one_line

# A server that goes without TLS's farewell: an answer that only its end would bound is not believed.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=cut -addext 'subjectAltName=IP:127.0.0.1' \
  -keyout cut.key -out cut.crt 2>/dev/null
cut_port=$((20000 + (RANDOM * 7 + $$) % 12000))
mkfifo answer
openssl s_server -accept "127.0.0.1:$cut_port" -cert cut.crt -key cut.key -quiet <answer >asked 2>&1 &
cutter=$!
exec 5>answer
{
  for _ in $(seq 200); do
    ! grep -q '^GET' asked 2>/dev/null || break
    sleep 0.05
  done
  printf 'HTTP/1.1 200 OK\r\n\r\nhello' >&5
  sleep 0.5
  kill -KILL "$cutter"
} &
expect 74 'does not say how long' "$jobferry" cat --server="https://127.0.0.1:$cut_port" --ca_file=cut.crt s3://bucket/k
exec 5>&-

# A key of one's own, which goes over TLS only: without it, or with another, nothing comes back.
head -c 32 /dev/urandom >key
head -c 32 /dev/urandom >other
expect 0 '' "$jobferry" cp "${trusted[@]}" --sse_c_key_file=key another.crt s3://data/own
expect 74 '' "$jobferry" cp "${trusted[@]}" s3://data/own got
expect 77 '' "$jobferry" cp "${trusted[@]}" --sse_c_key_file=other s3://data/own got
check "nothing came" absent got
expect 0 '' "$jobferry" cp "${trusted[@]}" --data_sse_c_key_file=key --train_sse_c_key_file=other s3://data/own s3://data/again
expect 0 '' "$jobferry" cp "${trusted[@]}" --sse_c_key_file=other s3://data/again got
check "with it, the bytes do" same_bytes another.crt got

# A job: both sides have to trust; then it runs, and the store has what the disk has.
job() { # OPTIONS…
  "$jobferry" --data_url=s3://data/MNIST --train_url=s3://out/job --server="$server" --epochs=1 --work_dir=job "$@"
}
expect 69 'certificate.*--ca_file' job --data_ca_file="$MINIO_CA_FILE"
one_line
expect 69 'certificate.*--ca_file' job --train_ca_file="$MINIO_CA_FILE"
one_line
check "nothing was trained" absent job/ckpt
expect 0 '^Metrics: ' job --data_ca_file="$MINIO_CA_FILE" --train_ca_file="$MINIO_CA_FILE"
expect 0 '' "$jobferry" cp "${trusted[@]}" s3://out/job/ckpt/lenet-1_2.ckpt back.ckpt
check "the stored checkpoint has the disk's bytes" same_bytes back.ckpt job/ckpt/lenet-1_2.ckpt
expect 0 'extends' job --ca_file="$MINIO_CA_FILE" --resume=always

finish
