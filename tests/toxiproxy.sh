# toxiproxy.sh - finds and starts toxiproxy; sourced, not run. The caller ends $proxy.
# shellcheck shell=bash disable=SC2034

# Sets toxiproxy to the server's path. Where there is none: exit 77, in CI 1.
find_toxiproxy() {
  local name
  for name in toxiproxy-server server; do
    toxiproxy=$(command -v "$name") && "$toxiproxy" -version 2>/dev/null | grep -qi toxiproxy && return
  done
  echo 'skipped: no toxiproxy in PATH' >&2
  [ "${CI:-}" = true ] && exit 1
  exit 77
}

tell() { # METHOD PATH BODY: of its API
  curl -s --noproxy '*' -X "$1" -d "${3:-}" "http://127.0.0.1:$control$2"
}

# Sets proxy to its process and control to its API's port, once it answers.
start_toxiproxy() { # LOG OPTION…
  local attempt log=$1
  shift
  for attempt in 1 2 3 4 5; do
    control=$((20000 + (RANDOM * 7 + $$ + attempt * 1009) % 12000))
    "$toxiproxy" -host 127.0.0.1 -port "$control" "$@" >"$log" 2>&1 &
    proxy=$!
    for _ in $(seq 1 100); do
      tell GET /version | grep -q . && return
      kill -0 "$proxy" 2>/dev/null || break
      sleep 0.05
    done
  done
  echo 'toxiproxy does not start' >&2
  exit 1
}
