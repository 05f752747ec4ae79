#!/usr/bin/env bash
# The include rules of the tree: who may include whom, and one file per outside library in a folder.
set -u
cd "$(dirname "$0")/.." || exit 1
status=0

fail() {
  echo "$1"
  status=1
}

# storage/ and model/ know neither each other nor the runner; the runner knows their public faces.
grep -nE '#include "(\.\./)*(model|runner)/' -r storage && fail "storage/ includes from another folder"
grep -nE '#include "(\.\./)*(storage|runner)/' -r model && fail "model/ includes from another folder"
grep -nE '#include "(\.\./)*(storage|model)/' -r runner |
  grep -vE '"(storage/storage|model/model)\.h"' && fail "runner/ reaches past a public face"

# FOLDER HEADER: at most one file of the folder includes the library.
one() {
  local files
  files=$(grep -lE "#include [<\"]($2)" -r "$1" | sort)
  [ "$(wc -w <<<"$files")" -le 1 ] || fail "$1: more than one file includes $2: ${files//$'\n'/ }"
  [ -n "$files" ] || fail "$1: no file includes $2: is the rule out of date?"
}
one storage 'curl/'
one storage 'openssl/(crypto|evp|hmac)' # libcrypto: digests
one storage 'openssl/ssl'                # libssl: what curl 7.88 has no option for
one storage 'libxml/'
one storage 'isa-l'
one storage 'jansson'
one model 'cblas'
one model 'cairo'
one model 'protobuf-c/|ckpt\.pb-c'
one model 'zlib'
one model 'jansson'

# Libraries neither print, exit, nor read the environment.
grep -nE '\b(printf|puts|exit|_exit|abort|getenv|perror) ?\(|std(out|err)' -r storage model \
  --include='*.c' --include='*.h' | grep -vE '^[^:]*:[0-9]+: *(\*|/\*)' |
  grep -vE '(sn|vsn|buf_|model_|storage_)printf' && fail "a library prints, exits or reads the environment"

exit "$status"
