#!/usr/bin/env bash
# The command line: help, unknown options, switches, bad values; storage commands on folders.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1

expect 0 '^jobferry [0-9]+\.[0-9]+\.[0-9]+$' "$jobferry" --version
expect 0 'help COMMAND' "$jobferry" --help
expect 64 '' "$jobferry"
for command in run train eval infer cp ls stat cat put rm mb presign du cleanup completion 'ckpt show' 'ckpt verify' 'data digits'; do
  # shellcheck disable=SC2086 # two words where the command has two
  expect 0 "usage: jobferry $command" "$jobferry" help $command
done
expect 64 "no command 'frobnicate'; 'jobferry help'" "$jobferry" frobnicate && one_line
expect 64 "no command 'stta'; did you mean 'stat'" "$jobferry" stta && one_line
expect 64 "did you mean 'ckpt show'" "$jobferry" ckpt && one_line
expect 64 "did you mean 'cat'" "$jobferry" help catt && one_line
expect 64 "unknown option '--recursiv'.*did you mean '--recursive'" "$jobferry" cp --recursiv a b && one_line
expect 64 'unknown option' "$jobferry" ls --ak-secret=x s3://b && check "its value is not shown" bash -c "! grep -q secret=x '$output'"
expect 64 'whole number' "$jobferry" train --epochs=two && one_line
expect 64 'whole number' "$jobferry" train --epochs=0
expect 64 'number' "$jobferry" train --lr=nan
expect 64 'number' "$jobferry" train --lr=-1
expect 64 'one of auto' "$jobferry" ls --sign=v9 s3://b
expect 64 'switch' "$jobferry" cp --recursive=yes a b
expect 64 'needs a value' "$jobferry" train --epochs
expect 64 'source and a destination' "$jobferry" cp a && one_line
expect 64 'GPU' "$jobferry" train --device_target=GPU && one_line
expect 64 'no checkpoint would ever be saved' "$jobferry" train --save_checkpoint_steps=0
expect 64 'metrics knows' "$jobferry" train --metrics=f1
expect 64 'secret key' "$jobferry" ls --ak=only s3://bucket --server=http://127.0.0.1:9
expect 78 "profile 'nobody'" env HOME="$scratch" "$jobferry" ls --profile=nobody s3://bucket
expect 64 'train_url is missing' env -u train_url "$jobferry" --data_url=x
expect 64 'data_url is missing' "$jobferry" --train_url=x
expect 64 '' "$jobferry" ls gs://bucket/key
expect 64 '' "$jobferry" ls obs:/bucket/key

# Folders as stores.
mkdir -p src/sub/deep && echo one >src/a && echo two >src/sub/b && : >src/sub/deep/empty && echo 'odd' >"src/ä +%.txt"
expect 0 'copied 4 objects' "$jobferry" cp -r src dst
check "the trees are equal" diff -r src dst
expect 0 '' "$jobferry" cp src/a dst/renamed
check "a file lands under its new name" same_bytes src/a dst/renamed
expect 0 '' "$jobferry" cp --recursive=0 src/a inside/
check "a file lands inside a folder" same_bytes src/a inside/a
expect 64 '\-r' "$jobferry" cp src elsewhere && one_line
check "nothing was copied" absent elsewhere
expect 66 'missing' "$jobferry" cp -r missing dst && one_line
expect 64 'lies in the other' "$jobferry" cp -r src src/sub
expect 0 'PRE sub/' "$jobferry" ls src
expect 0 'src/sub/b' "$jobferry" ls -r src
expect 0 '"key": ?"src/sub/b"' "$jobferry" ls -r --json src
expect 66 '' "$jobferry" ls nowhere && one_line
expect 0 '"size": ?4' "$jobferry" stat --json src/a
expect 0 '^two$' "$jobferry" cat src/sub/b
expect 66 'nothing' "$jobferry" cat nothing && one_line
check "put takes stdin" bash -c "printf hello | '$jobferry' put - new/folder/object && test \"\$(cat new/folder/object)\" = hello"
expect 66 'nothing' "$jobferry" put nothing new/x
expect 0 '"verified"' "$jobferry" cp --json src/a again
expect 0 '"summary".*"resumed": ?0' "$jobferry" cp --json -r src again2
expect 0 '' "$jobferry" rm dst/renamed
check "it is gone" absent dst/renamed
expect 66 '' "$jobferry" rm dst/renamed
mkdir -p dst/.jobferry && echo keep >dst/.jobferry/latest.json
expect 0 'removed 4 objects' "$jobferry" rm -r dst
check ".jobferry stays" test -s dst/.jobferry/latest.json
expect 64 'yes' "$jobferry" rm -r /
mkdir -p sizes/a/x sizes/b && head -c 1536 /dev/zero >sizes/a/x/1 && head -c 512 /dev/zero >sizes/a/2 && echo >sizes/b/3 && echo >sizes/4
expect 0 '^ *1.5 KiB  *1 sizes/a/x/$' env -C "$scratch" "$jobferry" du --human -d 2 sizes
check "du has a line a prefix, and the total last" diff - <(tr -s ' ' <"$output") <<'END'
 1.5 KiB 1 sizes/a/x/
 2.0 KiB 2 sizes/a/
 1 B 1 sizes/b/
 2.0 KiB 4 sizes
END
expect 0 '^ *2050 +4 sizes$' "$jobferry" du sizes
check "one line without --depth" test "$(wc -l <"$output")" -eq 1
expect 0 '^\{"prefix":"sizes/b/","bytes":1,"objects":1\}$' "$jobferry" du --json --depth=1 sizes
expect 0 '^ *512 +1 sizes/a/2$' "$jobferry" du sizes/a/2
expect 66 '' "$jobferry" du nowhere && one_line
expect 0 ' 1.5 KiB sizes/a/x/1$' "$jobferry" ls -r --human sizes
expect 0 '^ *total +2050 in 4 objects$' "$jobferry" ls -r --summarize sizes
expect 0 '^\{"summary":\{"objects":1,"bytes":1\}\}$' "$jobferry" ls --summarize --json sizes
expect 0 '^\{"summary":\{"deleted":1\}\}$' "$jobferry" rm --json sizes/4
expect 0 '^\{"summary":\{"deleted":3\}\}$' "$jobferry" rm -r --json sizes
expect 0 '^\{"made":"[^"]*made/json"\}$' "$jobferry" mb --json made/json
expect 0 '' "$jobferry" mb made/bucket
check "the folder is there" test -d made/bucket
expect 66 '"error".*"code": ?"not_found".*' "$jobferry" stat --json nothing
expect 0 '"level": ?"info"' "$jobferry" cp --log_format=json src/a log-json


# A reader that goes away is no failure worth words; a full disk is. A pipe holds 64 KiB.
mkdir many && (cd many && seq -f 'a-name-that-makes-the-listing-longer-than-a-pipe-%04g' 2000 | xargs touch)
expect 141 '' bash -c "'$jobferry' ls many 2>words | head -n 1 >first; exit \${PIPESTATUS[0]}"
check "the line is there, and no word" bash -c 'test -s first && test ! -s words'
expect 141 '' bash -c "head -c 300000 /dev/zero >zeros; '$jobferry' cat zeros 2>words | head -c 1 >first; exit \${PIPESTATUS[0]}"
[ -w /dev/full ] && expect 73 'write to stdout: No space' bash -c "'$jobferry' ls src >/dev/full" && one_line

finish
