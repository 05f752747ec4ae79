#!/usr/bin/env bash
# Stores that mean harm: keys that point outside the destination, an endpoint that resets every
# connection. $1: the binary, $2: hostile_store.
set -u
jobferry=$1
hostile_store=$2
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

export HOME=$scratch # no profile files of the machine's
store=
at_end() { [ -n "$store" ] && kill "$store" 2>/dev/null; }
begin_store() { # ARGUMENTS…; $server is where it listens
  at_end
  : >requests # or the port of the one before is read
  "$hostile_store" "$@" >requests &
  store=$!
  for _ in $(seq 1 100); do
    [ -s requests ] && break
    sleep 0.05
  done
  server=http://127.0.0.1:$(head -n 1 requests)
}
# Every file below the scratch folder, but for those of the test itself.
files() { find . -type f ! -path ./requests | sort; }
only() { # FILE…: these and no others
  diff <(printf '%s\n' "$@") <(files)
}

begin_store 'MNIST/../x' 'MNIST//y' 'MNIST/good' 'MNIST/sub/../../../z' 'MNIST/sub/./here' 'MNIST/..'
mkdir -p a/b
copy() { "$jobferry" cp "$@" --sign=none --server="$server"; }
expect 74 'refuse.*MNIST/\.\./x|MNIST/\.\./x.*refuse' copy -r s3://bucket/MNIST a/b/dst
for key in 'MNIST/../x' 'MNIST//y' 'MNIST/sub/../../../z' 'MNIST/sub/./here' 'MNIST/..:'; do
  check "$key is named" grep -qF -- "$key" "$output"
done
check "the good one is copied, nothing else is written" only ./a/b/dst/good
check "and whole" test "$(cat a/b/dst/good)" = 'bytes of MNIST/good'
check "no byte of a refused one was asked for" bash -c "! grep -F -e .. -e '//y' -e '/./' requests"

# One by one: a key that somebody asks for by its whole name lands under its last part, if that is
# one. And in a job.
rm -rf a/b/dst
expect 0 '' copy s3://bucket/MNIST/../x a/b/dst/
check "inside the destination" only ./a/b/dst/x
rm -rf a/b/dst
expect 74 'MNIST/\.\.' copy s3://bucket/MNIST/.. a/b/dst/
one_line
expect 74 'MNIST//y' copy -r s3://bucket/MNIST/ a/b/dst
rm -rf a/b/dst
expect 74 'MNIST' "$jobferry" --data_url=s3://bucket/MNIST --train_url="$scratch/out" --sign=none \
  --server="$server" --work_dir="$scratch/a/b"
check "a job trains on nothing of it" bash -c "! find . -name '*.ckpt' | grep ."
check "nor writes outside its data folder" bash -c "! find . -name x -o -name y -o -name z -o -name here | grep ."

# Keys out of order, or twice, in a page: a sync walks both sides by name, and must not take one that
# comes late for missing.
for keys in 'p/b p/a p/c' 'p/a p/b p/b p/a'; do
  # shellcheck disable=SC2086 # several keys
  begin_store $keys
  rm -rf synced
  mkdir synced && echo ours >synced/a && echo ours >synced/z
  expect 0 '1 deleted' "$jobferry" sync --delete --max_delete=9 --sign=none --server="$server" s3://bucket/p synced
  check "what is there is there" grep -q 'bytes of p/a' synced/a
  check "and the others" grep -q 'bytes of p/b' synced/b
  check "what is not, is not" absent synced/z
done
rm -rf synced

begin_store --reset
rm -rf a out
expect 69 '127.0.0.1' "$jobferry" ls --sign=none --server="$server" s3://bucket
one_line
expect 69 '127.0.0.1' copy -r s3://bucket/MNIST dst
one_line
expect 69 '127.0.0.1' "$jobferry" --data_url=s3://bucket/MNIST --train_url=s3://bucket/out --sign=none \
  --server="$server" --work_dir=work
one_line
check "nothing was written" test -z "$(files)"

finish
