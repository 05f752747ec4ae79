#!/usr/bin/env bash
# Makes the release tarball twice by buildah, and uses it in bare systems; by hand, as root.
#
#   tests/with_minio.sh tests/tarball.sh BASE.tar [OTHER.tar...]
#
# BASE.tar is a tar of `debootstrap --variant=minbase bookworm`. The tarball is unpacked into it and into each OTHER, a bare
# system with another glibc, and nothing is installed there. OUT=FOLDER keeps it; TWICE=no builds it once. ARCH and
# APT_SOURCES as in image_lib.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$#" -ge 1 ] || { echo "usage: $0 BASE.tar [OTHER.tar...]" >&2; exit 64; }
# shellcheck source=tests/image_lib.sh
. tests/image_lib.sh
work=$(mktemp -d)
bare=$work/bare
container=''
finish() {
  umount -l "$bare/proc" 2>/dev/null || true
  [ -z "$container" ] || buildah rm "$container" >/dev/null
  rm -rf "$work"
}
trap finish EXIT

base_image "$work" "$1"
make_tarball() { # FOLDER ARGUMENT…: into FOLDER
  local into=$1 root
  shift
  build "$work/log" "jobferry-tarball${ARCH:+-$ARCH}" -f docker/tarball/Dockerfile "$@"
  container=$(buildah from --pull-never "${arch[@]}" "jobferry-tarball${ARCH:+-$ARCH}")
  root=$(buildah mount "$container")
  mkdir -p "$into"
  cp "$root"/*.tar.gz "$into/"
  buildah rm "$container" >/dev/null
  container=''
}
make_tarball "$work/first" --layers
tarball=$(echo "$work"/first/*.tar.gz)
name=${tarball##*/}
echo "size: $name $(stat -c %s "$tarball") bytes"
[ -z "${OUT:-}" ] || { mkdir -p "$OUT" && cp "$tarball" "$OUT/"; }
if [ "${TWICE:-yes}" = yes ]; then
  make_tarball "$work/second" --no-cache
  first=$(sha256sum "$tarball" | cut -d ' ' -f 1)
  second=$(sha256sum "$work/second/$name" | cut -d ' ' -f 1)
  echo "sha256: $first, $second"
  [ "$first" = "$second" ] || fail "two builds, two tarballs"
  said "two builds without a common layer, one tarball"
fi

# A second store with a certificate of its own, for what is said over TLS; as with_minio.sh starts one.
cat >"$work/secure.sh" <<'END'
echo "$MINIO_ENDPOINT" >"$1/endpoint.new"
cp "$MINIO_CA_FILE" "$1/ca.pem"
mv "$1/endpoint.new" "$1/endpoint"
while [ -e "$1/endpoint" ]; do sleep 0.2; done
END
tests/with_minio.sh --tls bash "$work/secure.sh" "$work" & # ends with $work
for _ in $(seq 1 300); do
  [ ! -e "$work/endpoint" ] || break
  sleep 0.1
done
[ -e "$work/endpoint" ] || fail "no MinIO over TLS"
endpoint=$(cat "$work/endpoint")

inside() { # ENDPOINT COMMAND…: in the bare system, the program by the name that a PATH gives it
  local to=$1
  shift
  chroot "$bare" env -i HOME=/root PATH="/root/${name%.tar.gz}/bin:/usr/sbin:/usr/bin:/sbin:/bin" OPENBLAS_NUM_THREADS=1 \
    AWS_ACCESS_KEY_ID="$MINIO_ROOT_USER" AWS_SECRET_ACCESS_KEY="$MINIO_ROOT_PASSWORD" AWS_ENDPOINT_URL_S3="$to" "$@"
}
for base in "$@"; do
  mkdir "$bare"
  tar -C "$bare" -xf "$base"
  mount -t proc proc "$bare/proc"
  cp /etc/resolv.conf /etc/hosts "$bare/etc/"
  system="$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' "$bare/etc/os-release"), $(chroot "$bare" ldd --version | sed -n 1p)"
  cp "$tarball" "$bare/root/"
  inside "$endpoint" tar -C /root -xzf "/root/$name"
  top=$bare/root/${name%.tar.gz}
  inside "$endpoint" jobferry --version | grep '^jobferry [0-9]' >/dev/null || fail "$system: jobferry --version"
  inside "$endpoint" jobferry data digits /root/digits --train=640 --test=320 >/dev/null || fail "$system: digits"
  bucket=s3://tarball-$RANDOM
  for to in "$MINIO_ENDPOINT" "$endpoint"; do
    # No certificates are there: a store that TLS protects is refused, and where they belong differs.
    if [ "$to" = "$endpoint" ]; then
      rm -rf "$bare/etc/ssl"
      code=0
      inside "$to" jobferry ls "$bucket" 2>"$work/log" || code=$?
      if [ "$code" -ne 69 ] || ! grep -q -- --ca_file "$work/log"; then fail "$system: without certificates: $code"; fi
      mkdir -p "$bare/etc/pki/tls/certs"
      cp "$work/ca.pem" "$bare/etc/pki/tls/certs/ca-bundle.crt"
    fi
    inside "$to" jobferry mb "$bucket" >/dev/null || fail "$system: mb by $to"
    inside "$to" jobferry cp -r /root/digits "$bucket/data" >/dev/null || fail "$system: cp by $to"
    inside "$to" jobferry --data_url="$bucket/data" --train_url="$bucket/out" --epochs=1 --work_dir="/root/job${to%%:*}" \
      >"$work/log" 2>&1 || { tail "$work/log"; fail "$system: job by $to"; }
    inside "$to" jobferry ls "$bucket/out/ckpt/" | grep lenet-1_20.ckpt >/dev/null || fail "$system: checkpoint by $to"
  done
  cp "$work/ca.pem" "$bare/root/ca.pem"
  rm -r "$bare/etc/pki"
  inside "$endpoint" SSL_CERT_FILE=/root/ca.pem jobferry ls "$bucket/data/" >/dev/null || fail "$system: SSL_CERT_FILE"
  inside "$endpoint" jobferry infer --data_dir=/root/digits --ckpt_dir=/root/jobhttp/ckpt --output_dir=/root/seen >/dev/null ||
    fail "$system: infer"
  head -c 4 "$bare/root/seen/predictions.png" | grep PNG >/dev/null || fail "$system: the picture"
  grep -q '<svg ' "$bare/root/jobhttp/output/curve.svg" || fail "$system: the curve"
  for page in jobferry jobferry-cp; do
    gzip -dc "$top/share/man/man1/$page.1.gz" | grep '^\.TH JOBFERRY' >/dev/null || fail "$page.1"
  done
  # shellcheck disable=SC2016 # for the inner shell
  inside "$endpoint" bash -euc '. "$1/share/bash-completion/completions/jobferry"
    COMP_WORDS=(jobferry cp --recu) COMP_CWORD=2; _jobferry; echo "${COMPREPLY[*]}"' bash "/root/${name%.tar.gz}" |
    grep -qx -e --recursive || fail "$system: completion"
  umount -l "$bare/proc"
  rm -rf "$bare"
  said "$system: starts, copies and trains by http and https, draws, completes"
done
