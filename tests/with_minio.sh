#!/usr/bin/env bash
# Runs a command beside a MinIO of its own: tests/with_minio.sh [--tls] COMMAND [ARG...]
#
# A fresh server on a free loopback port, its data in a temporary folder; both are gone when the
# command ends. The command finds in its environment:
#   MINIO_ENDPOINT     http://127.0.0.1:PORT (https with --tls)
#   MINIO_ROOT_USER    the root's access key, MINIO_ROOT_PASSWORD its secret key
#   MINIO_CA_FILE      with --tls: the certificate to trust
# The server is the minio binary in PATH, else a container of a running Docker. Where there is
# neither it says so and ends with 77, ctest's "skipped"; in CI that is a failure.
set -u

tls=
if [ "${1:-}" = --tls ]; then
  tls=yes
  shift
fi

start_minio() { # PORT
  if command -v minio >/dev/null; then
    exec minio server --quiet --address "127.0.0.1:$1" --certs-dir "$folder/certs" "$folder/data"
  fi
  exec docker run --rm -p "127.0.0.1:$1:9000" -e MINIO_ROOT_USER -e MINIO_ROOT_PASSWORD \
    -v "$folder/certs:/certs:ro" minio/minio server /data --certs-dir /certs
}

if ! command -v minio >/dev/null && ! docker info >/dev/null 2>&1; then
  echo "skipped: no minio binary in PATH, and no running Docker" >&2
  [ "${CI:-}" = true ] && exit 1
  exit 77
fi

folder=$(mktemp -d)
server=
# shellcheck disable=SC2317 # called by the trap
cleanup() {
  [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
  rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

mkdir -p "$folder/data" "$folder/certs"
scheme=http
if [ -n "$tls" ]; then
  scheme=https
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=jobferry-test \
    -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' \
    -keyout "$folder/certs/private.key" -out "$folder/certs/public.crt" 2>/dev/null || exit 1
  export MINIO_CA_FILE="$folder/certs/public.crt"
fi

export MINIO_ROOT_USER=rootrootroot MINIO_ROOT_PASSWORD=secretsecretsecret
export MINIO_BROWSER=off MINIO_UPDATE=off

# A port may be taken between the choice and the start: try a few.
for attempt in 1 2 3 4 5; do
  port=$((20000 + (RANDOM * 7 + $$ + attempt) % 12000))
  start_minio "$port" >"$folder/log" 2>&1 &
  server=$!
  export MINIO_ENDPOINT="$scheme://127.0.0.1:$port"
  for _ in $(seq 1 150); do
    kill -0 "$server" 2>/dev/null || break
    if curl -sk -o /dev/null --noproxy '*' "$MINIO_ENDPOINT/minio/health/live"; then
      "$@"
      exit $?
    fi
    sleep 0.1
  done
  kill "$server" 2>/dev/null
  wait "$server" 2>/dev/null
  server=
done
echo "minio did not start:" >&2
cat "$folder/log" >&2
exit 1
