#!/usr/bin/env bash
# Syncs between folders, and what only folders have: links, empty folders, clashes.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/sync_suite.sh
. "$(dirname "$0")/sync_suite.sh"
cd "$scratch" || exit 1

sync_suite "$scratch/from" "$scratch/to"

# Empty folders.
mkdir -p e/full/inner e/gone && touch e/full/file e/gone/file
expect 0 '' "$jobferry" sync e e2
check "an empty folder is made" test -d e2/full/inner
rm -r e/gone
expect 0 '' "$jobferry" sync --delete e e2
check "a folder that is empty now goes" absent e2/gone
check "one that the source has stays" test -d e2/full/inner
rm e/full/file && rmdir e/full/inner
touch e/other
expect 0 '1 deleted|2 deleted' "$jobferry" sync --delete --max_delete=2 e e2
check "an emptied folder that the source has stays" test -d e2/full

# Links.
mkdir -p l/real outside && touch l/real/file outside/far && ln -s real l/alias && ln -s real/file l/one
ln -s .. l/real/up && ln -s nowhere l/broken
expect 74 'leads nowhere' "$jobferry" sync l l2
check "the failure has a name" grep -q 'copy l/broken' "$output"
check "a loop is named too" grep -q 'copy l/real/up: .*lies in' "$output"
check "a link to a folder passes for it" test -f l2/alias/file
check "a link to a file passes for it" test ! -h l2/one
expect 0 '' "$jobferry" sync --symlinks=skip l l3
check "no link was followed" absent l3/alias
expect 74 'symbolic link' "$jobferry" sync --symlinks=error l l4
check "the rest was copied" test -f l4/real/file
ln -s "$PWD/outside" l3/door && rm l/alias l/one l/real/up l/broken
expect 0 '' "$jobferry" sync --delete --max_delete=10 l l3
check "nothing behind a link is deleted" test -e outside/far

# Failures keep deletions back.
mkdir -p c/dir c2/a && touch c/a c/b c/dir/x c2/a/file c2/extra1
expect 74 'c2/a' "$jobferry" sync --delete --max_delete=10 c c2
check "what stands in the way is named" grep -q 'folder' "$output"
check "the others were copied" test -f c2/dir/x
check "nothing was deleted" test -f c2/extra1
check "and that is said" grep -q 'were not deleted' "$output"
expect 64 'it is a file' "$jobferry" sync c/a c2
expect 64 'it is a file' "$jobferry" sync c c2/b

# The default of --max_delete is half.
mkdir -p h h2 && touch h/a h2/a h2/b h2/c
expect 74 'more than may go' "$jobferry" sync --delete h h2
check "nothing went" test -f h2/b
rm h2/c
expect 0 '' "$jobferry" sync --delete h h2
check "half may go" absent h2/b

expect 64 'unknown option' "$jobferry" cp --dry_run h h2
expect 0 'delete' "$jobferry" help sync
finish
