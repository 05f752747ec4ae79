#!/usr/bin/env bash
# Whole jobs against MinIO: two users with rights of their own, a public bucket, resume from what
# the store has, kill -9, a signal, and everything that can be wrong with a store. $1: the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

export HOME=$scratch # no profile files of the machine's
server=$MINIO_ENDPOINT
root=(--ak="$MINIO_ROOT_USER" --sk="$MINIO_ROOT_PASSWORD" --server="$server")
expect 0 'drew' "$jobferry" data digits digits --train=640 --test=128
expect 0 '' "$jobferry" mb "${root[@]}" s3://data
expect 0 '' "$jobferry" mb "${root[@]}" s3://out
expect 0 '' "$jobferry" mb "${root[@]}" s3://public
expect 0 'copied 4 objects' "$jobferry" cp -r "${root[@]}" digits s3://data/MNIST
expect 0 'copied 4 objects' "$jobferry" cp -r "${root[@]}" digits s3://public/MNIST

# Two users: one may read data, the other may do all in out; a public bucket.
mc() { command mc --config-dir "$scratch/mc" --quiet "$@"; }
policy() { # NAME ACTIONS RESOURCES
  printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[%s],"Resource":[%s]}]}' "$2" "$3" >"$1.json"
  mc admin policy create it "$1" "$1.json"
}
users() {
  mc alias set it "$server" "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" &&
    policy reader '"s3:GetObject","s3:ListBucket"' '"arn:aws:s3:::data","arn:aws:s3:::data/*"' &&
    policy writer '"s3:*"' '"arn:aws:s3:::out","arn:aws:s3:::out/*"' &&
    mc admin user add it reader readerreader && mc admin policy attach it reader --user reader &&
    mc admin user add it writer writerwriter && mc admin policy attach it writer --user writer &&
    mc anonymous set download it/public
}
check "two users and a public bucket" users
sides=(--data_ak=reader --data_sk=readerreader --train_ak=writer --train_sk=writerwriter --server="$server")

mkdir job1 && cd job1 || exit 1
expect 0 "Metrics: \{'loss': [0-9.]+, 'acc': [0-9.]+\}" "$jobferry" --data_url=s3://data/MNIST \
  --train_url=s3://out/job1 "${sides[@]}" --init_method=tcp://x --num_gpus=1 --secret_thing=hush
check "the lab's loss lines" test "$(grep -cE '^epoch: [12] step 20, loss is [0-9.]+$' "$output")" -eq 2
check "unknown names are told" grep -q -- '--init_method --num_gpus --secret_thing' "$output"
check "their values and our keys are not" bash -c "! grep -qE 'hush|readerreader|writerwriter' '$output' report.json"
check "keys on the command line draw a warning" grep -q 'visible to other users' "$output"
expect 0 'lenet-2_20.ckpt' "$jobferry" ls "${root[@]}" s3://out/job1/ckpt/
expect 0 'lenet-graph.meta' "$jobferry" ls "${root[@]}" s3://out/job1/ckpt/
"$jobferry" cat "${root[@]}" s3://out/job1/ckpt/lenet-2_20.ckpt >back 2>/dev/null
check "the stored checkpoint has the disk's bytes" same_bytes back ckpt/lenet-2_20.ckpt
expect 0 '"finished": true' "$jobferry" cat "${root[@]}" s3://out/job1/.jobferry/latest.json
expect 0 '"state": "confirmed"' "$jobferry" cat "${root[@]}" s3://out/job1/report.json
check "no probe is left" bash -c "! '$jobferry' ls -r ${root[*]} s3://out/job1 2>/dev/null | grep probe"
cd ..

mkdir anonymous && cd anonymous || exit 1
expect 0 'Metrics' "$jobferry" --data_url=s3://public/MNIST --train_url="$scratch/local-out" --server="$server" --epochs=1
check "a folder as train_url has the checkpoint" same_bytes ckpt/lenet-1_20.ckpt "$scratch/local-out/ckpt/lenet-1_20.ckpt"
check "and the report" test -s "$scratch/local-out/report.json"
cd ..

# The same seed: 4 epochs; 2 and 2 more; 4 killed in the third and begun again in an empty folder.
# A job in the folder NAME with the train_url of that name. Its shell becomes the job: in the
# background, $! is the job itself.
run() { # NAME OPTIONS…
  mkdir -p "$1" && cd "$1" || exit 1
  exec "$jobferry" --data_url=s3://data/MNIST --train_url="s3://out/$1" "${sides[@]}" "${@:2}"
}
job() { (run "$@"); }
expect 0 'Metrics' job whole --epochs=4
expect 0 'Metrics' job halves --epochs=2
expect 0 'extends' job halves --epochs=2 --resume=always
check "the extended run has a prefix of its own" test -s halves/ckpt/lenet_1-2_20.ckpt
killed() {
  run killed --epochs=4 --save_checkpoint_steps=7 >killed.log 2>&1 &
  local pid=$!
  for _ in $(seq 1 600); do
    if "$jobferry" ls "${root[@]}" s3://out/killed/ckpt/ 2>/dev/null | grep -q 'lenet-3_'; then
      kill -9 "$pid"
      wait "$pid"
      return 0
    fi
    sleep 0.05
  done
  return 1
}
check "killed in the third epoch" killed 2>/dev/null
rm -rf killed
expect 0 'continuing run .*' job killed --epochs=4 --save_checkpoint_steps=7
check "it was continued past the second epoch" grep -qE 'continuing .*epoch [34]' "$output"
"$jobferry" cp "${root[@]}" s3://out/halves/ckpt/lenet_1-2_20.ckpt halves.ckpt 2>/dev/null
sum=$(weights_sum whole/ckpt/lenet-4_20.ckpt)
check "2 and 2 give the bits of 4" test "$(weights_sum halves.ckpt)" = "$sum"
last=$(find killed/ckpt -name 'lenet-4_20.ckpt')
check "so does the killed run" test "$(weights_sum "${last:-/dev/null}")" = "$sum"

# Once more without anything to do; then fresh after a finished run, overwriting nothing.
expect 0 'starts fresh, checkpoints lenet_1-' job whole --epochs=1
expect 0 'lenet-4_20.ckpt' "$jobferry" ls "${root[@]}" s3://out/whole/ckpt/
expect 78 'batch_size 32 in the checkpoint, 16 now' job whole --resume=always --batch_size=16
expect 78 'seed 1 in the checkpoint, 2 now' job whole --resume=always --seed=2
expect 0 'settings changed' job whole --resume=always --batch_size=16 --allow_change --epochs=1
expect 66 'resume=always' job nothing --resume=always

# A damaged object in the store: named, passed over, the older one serves.
expect 0 'Metrics' job damaged --epochs=2
rm -rf damaged
head -c 1000 /dev/urandom >junk
"$jobferry" put "${root[@]}" junk s3://out/damaged/ckpt/lenet-2_20.ckpt 2>/dev/null
expect 0 'lenet-2_20.ckpt.*passed over' job damaged --resume=always --epochs=1
check "the first epoch's served" grep -q 'extends .*lenet-1_20.ckpt' "$output"

# TERM: saved at the next step, published, exit 75; the next start goes on.
terminated() {
  run term --epochs=50 >term.log 2>&1 &
  local pid=$! code=0
  for _ in $(seq 1 600); do
    grep -q 'saved ckpt/lenet-2' term.log && break
    sleep 0.05
  done
  kill -TERM "$pid"
  wait "$pid" || code=$?
  echo "code $code"
  cat term.log
  [ "$code" -eq 75 ] && grep -q 'run the same command again' term.log
}
check "TERM ends with 75" terminated
expect 0 'continuing run' job term --epochs=4 --allow_change

# What can be wrong, each before any training.
bad() { # CODE REGEX OPTIONS…
  local code=$1 regex=$2
  shift 2
  rm -rf bad && mkdir bad
  expect "$code" "$regex" bash -c 'cd bad && exec "$@"' _ "$jobferry" "$@"
  one_line
  check "nothing was trained" absent bad/ckpt
}
d=--data_url=s3://data/MNIST
t=--train_url=s3://out/bad
s=(--server="$server")
bad 77 'SignatureDoesNotMatch' $d $t "${s[@]}" --ak=reader --sk=wrongwrong --train_ak=writer --train_sk=writerwriter
bad 77 'InvalidAccessKeyId' $d $t "${s[@]}" --ak=nobodyhere --sk=wrongwrong --train_ak=writer --train_sk=writerwriter
bad 66 'NoSuchBucket' --data_url=s3://nobucket/MNIST $t "${root[@]}"
bad 66 'NoSuchBucket' $d --train_url=s3://nobucket/x "${root[@]}"
bad 66 'holds nothing' --data_url=s3://data/empty $t "${root[@]}"
bad 69 '127.0.0.1' $d $t --ak=a --sk=b --server=http://127.0.0.1:1
bad 77 'AccessDenied' $d --train_url=s3://out/x "${s[@]}" --ak=reader --sk=readerreader
bad 78 'overlap' --data_url=s3://data/MNIST --train_url=s3://data/MNIST/out "${root[@]}"
expect 0 'made the bucket' job made --train_ak="$MINIO_ROOT_USER" --train_sk="$MINIO_ROOT_PASSWORD" \
  --train_url=s3://newbucket/job --make_bucket --epochs=1

# An endpoint that takes connections and never answers: the preflight's time.
mute() {
  # A stopped MinIO: the kernel accepts for it and nothing answers.
  kill -STOP "$(pgrep -f "address 127.0.0.1:${server##*:}" | head -n 1)"
  rm -rf bad && mkdir bad
  local began code=0
  began=$(date +%s)
  (cd bad && "$jobferry" $d $t "${root[@]}") >mute.log 2>&1 || code=$?
  kill -CONT "$(pgrep -f "address 127.0.0.1:${server##*:}" | head -n 1)"
  echo "code $code after $(($(date +%s) - began)) s"
  cat mute.log
  [ "$code" -eq 69 ] && [ $(($(date +%s) - began)) -le 40 ]
}
check "an endpoint that never answers: 69 within the preflight's time" mute

# train_url goes away in mid-training: the training ends, the code says what is not confirmed.
outage() {
  run outage --epochs=6 --drain_timeout=2 >outage.log 2>&1 &
  local pid=$! code=0
  for _ in $(seq 1 600); do
    grep -q 'saved ckpt/lenet-1' outage.log && break
    sleep 0.02
  done
  kill -STOP "$(pgrep -f "address 127.0.0.1:${server##*:}" | head -n 1)"
  wait "$pid" || code=$?
  kill -CONT "$(pgrep -f "address 127.0.0.1:${server##*:}" | head -n 1)"
  echo "code $code"
  cat outage.log
  [ "$code" -eq 74 ] && grep -q 'not confirmed' outage.log && test -s outage/ckpt/lenet-6_20.ckpt
}
check "a store that goes silent: trained to the end, 74" outage
expect 0 '' job outage --epochs=6

finish
