#!/usr/bin/env bash
# Builds NAME.go of this folder into a program and prints its path: decoder.sh NAME. Go's own client fetches
# the pinned modules; it is built once, into build/tools.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../../build/tools
export PATH=$PATH:/usr/local/go/bin
case $1 in
  compose) modules=(github.com/compose-spec/compose-go/v2@v2.4.7) ;;
  kubernetes) modules=(k8s.io/api@v0.31.0 sigs.k8s.io/yaml@v1.4.0) ;;
esac
mkdir -p "$tools"
program=$(cd "$tools" && pwd)/decode-$1
if [ ! -x "$program" ] || [ "$here/$1.go" -nt "$program" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cp "$here/$1.go" "$work/main.go"
  (cd "$work" && go mod init decode && go get "${modules[@]}" && go mod tidy && go build -o "$program" .) >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
fi
echo "$program"
