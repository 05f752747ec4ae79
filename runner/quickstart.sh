#!/usr/bin/env bash
# The lab, whole: builds jobferry, brings a dataset in, trains 2 epochs, resumes for 2 more, infers
# with a picture, copies the checkpoints out. Everything it makes is under build/.
#
#   ./runner/quickstart.sh
#
# Data: the MNIST-format folder $MNIST_DIR, else drawn digits. Store: a MinIO of its own when a
# minio binary or a running Docker is there, else a folder. Nothing is left running.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$PWD/build/quickstart

say() {
  printf '\n== %s\n' "$*"
}

prepare() {
  # shellcheck source=runner/packages.sh
  . runner/packages.sh
  install_packages "${BUILD_PACKAGES[@]}"
  say "building"
  mkdir -p build
  local log=build/quickstart-build.log
  if ! { cmake --preset release -DJOBFERRY_TESTS=OFF && cmake --build --preset release; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
  fi
  ./build/release/jobferry --version
}

# The lab against one store: $1 is what its URLs begin with.
lab() {
  local store=$1 jobferry=$PWD/build/release/jobferry
  local data_url=$store/data/MNIST train_url=$store/job1
  rm -rf "$work/job"
  mkdir -p "$work/job"

  say "dataset into $data_url"
  "$jobferry" cp -r "$data" "$data_url"
  cd "$work/job"

  say "first training: 2 epochs"
  "$jobferry" --data_url="$data_url" --train_url="$train_url"
  say "Checkpoints after first training:"
  "$jobferry" ls "$train_url/ckpt/"

  say "resumed training: 2 more epochs"
  "$jobferry" --data_url="$data_url" --train_url="$train_url" --resume=always --epochs=2
  say "Checkpoints after resuming training:"
  "$jobferry" ls "$train_url/ckpt/"

  say "inference"
  local images=data
  [ -d data ] || images=$data_url # a local data_url is used where it lies
  "$jobferry" infer --data_url="$images"

  say "copying out"
  "$jobferry" cp -r output "$train_url/output"
  "$jobferry" cp -r "$train_url" "$work/copied-out"
  cd - >/dev/null
}

main() {
  data=${MNIST_DIR:-}
  if [ -z "$data" ]; then
    data=$work/digits
    say "drawing digits (set MNIST_DIR to use a dataset of your own)"
    ./build/release/jobferry data digits "$data"
  fi
  data=$(realpath "$data")
  rm -rf "$work/copied-out"
  if [ -n "${MINIO_ENDPOINT:-}" ]; then
    export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
    export AWS_ENDPOINT_URL=$MINIO_ENDPOINT
    ./build/release/jobferry mb s3://lab
    lab s3://lab
  else
    rm -rf "$work/store"
    lab "$work/store"
  fi
  cat <<END

picture:      $work/job/output/predictions.png
report:       $work/job/report.json
checkpoints:  $work/job/ckpt, and as copied out of the store $work/copied-out/ckpt
END
}

if [ "${1:-}" = --inside ]; then
  main
  exit
fi
prepare
mkdir -p "$work"
if command -v minio >/dev/null || docker info >/dev/null 2>&1; then
  say "store: a MinIO for this lab alone"
  tests/with_minio.sh "$0" --inside
else
  say "store: a folder (no minio binary and no running Docker)"
  main
fi
