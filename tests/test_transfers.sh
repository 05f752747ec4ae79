#!/usr/bin/env bash
# cp and mv of what wildcards, words and files of lines name; on folders and against MinIO.
# shellcheck disable=SC2154 # with_minio.sh exports the server's names and keys
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
export AWS_ENDPOINT_URL=$MINIO_ENDPOINT AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER
export AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD
b=s3://jf-transfers
keys() { "$jobferry" ls -r --json "$1" 2>/dev/null | sed -n 's/.*"key": *"\([^"]*\)".*/\1/p' | sort | tr '\n' ' '; }
is_keys() { [ "$(keys "$1")" = "$2" ] || { keys "$1"; false; }; }

expect 0 '' "$jobferry" mb $b
mkdir -p src/sub src/.hidden && for f in a.gz b.gz c.txt '[x].gz' sub/d.gz sub/e .hidden/f.gz; do echo "$f" >"src/$f"; done
expect 0 'copied 7 objects' "$jobferry" cp -r src $b/src

# Wildcards in a store.
expect 0 'copied 3 objects' "$jobferry" cp "$b/src/*.gz" got/
check "a star stays in its folder" test "$(find got -type f | sort | tr '\n' ' ')" = 'got/[x].gz got/a.gz got/b.gz '
expect 0 'copied 2 objects' "$jobferry" cp "$b/src/?.gz" one
expect 0 'copied 3 objects' "$jobferry" cp "$b/src/[ab].gz" "$b/src/c*" two
expect 0 'copied 2 objects' "$jobferry" cp "$b/*/*/?.gz" three
check "names begin behind the fixed folder" test -f three/src/sub/d.gz
expect 0 'copied 2 objects' "$jobferry" cp -r "$b/src/s*" four
check "a folder that matches comes whole" same_bytes src/sub/e four/sub/e
expect 66 'nothing matches' "$jobferry" cp "$b/src/*.zip" five && one_line
check "nothing was made" absent five
expect 0 'copied 1 objects' "$jobferry" cp --raw "$b/src/[x].gz" six
check "a key with brackets is reached" same_bytes 'src/[x].gz' six
expect 64 'lies in' "$jobferry" cp -r "$b/src/*" $b/src/sub
expect 64 'are the same' "$jobferry" mv "$b/src/*.txt" $b/src/
expect 0 '^c.txt$' "$jobferry" cat $b/src/c.txt
expect 64 'one source' "$jobferry" cp --include='*' "$b/src/*" x

# Wildcards and words on a disk.
expect 0 'copied 3 objects' "$jobferry" cp 'src/*.gz' $b/up/
check "they are there" is_keys $b/up/ 'up/[x].gz up/a.gz up/b.gz '
expect 0 'copied 3 objects' "$jobferry" cp src/a.gz src/c.txt src/sub/e $b/words/
check "each under its own name" is_keys $b/words/ 'words/a.gz words/c.txt words/e '
expect 0 'copied 3 objects' "$jobferry" cp -r src/sub src/a.gz $b/mixed/
check "a folder under its own" is_keys $b/mixed/ 'mixed/a.gz mixed/sub/d.gz mixed/sub/e '
expect 64 'add -r' "$jobferry" cp src/sub src/a.gz $b/half/
check "the others are copied" is_keys $b/half/ 'half/a.gz '
expect 64 'lies in' "$jobferry" cp -r 'src/s*' src/sub/deeper
expect 64 'of one bucket' "$jobferry" cp src/a.gz $b/src/a.gz x/

# A list of files below the source.
printf 'a.gz\n\nsub/e\r\nmissing\n' >list
expect 66 'missing' "$jobferry" cp --file_list=list $b/src listed
check "what was there is copied" test "$(find listed -type f | sort | tr '\n' ' ')" = 'listed/a.gz listed/sub/e '
printf 'a.gz\n../c.txt\n' >hostile
expect 74 "hostile:2: it holds a '..'" "$jobferry" cp --file_list=hostile $b/src listed2
check "the other is copied" test -f listed2/a.gz
expect 0 'copied 2 objects' bash -c "printf 'c.txt\nsub/d.gz' | '$jobferry' cp --file_list=- src $b/fromlist"
expect 66 'nolist' "$jobferry" cp --file_list=nolist src x
expect 64 '3 words' "$jobferry" cp --file_list=list a b c

# One copy a line.
cat >pairs <<END
# comment
src/a.gz $b/pairs/1
"src/c.txt"   "$b/pairs/with blank"
$b/src/b.gz pairs-out/
$b/src/none pairs-out/none
only-one-word
$b/src/c.txt $b/pairs/3
"src/[x].gz" "$b/pairs/\\"quoted\\""
END
expect 66 '5 objects' "$jobferry" cp --from_file=pairs
check "failures are named by line" grep -q 'pairs:6: ' "$output"
check "the others went on" is_keys $b/pairs/ 'pairs/1 pairs/3 pairs/\ pairs/with blank ' 
check "down too" same_bytes src/b.gz pairs-out/b.gz
expect 0 '^\[x\]' "$jobferry" cat "$b/pairs/\"quoted\""
expect 64 'nothing beside' "$jobferry" cp --from_file=pairs a b
expect 64 'pairs:1' bash -c "printf '\"open %s/x' $b >bad && '$jobferry' cp --from_file=bad 2>&1 | sed 's/bad:1/pairs:1/'; exit \${PIPESTATUS[0]}"

# Moves.
cp -r src mine
expect 0 'copied 7 objects' "$jobferry" mv -r mine $b/moved
check "the folder is gone" absent mine
check "all is there" is_keys $b/moved/ 'moved/.hidden/f.gz moved/[x].gz moved/a.gz moved/b.gz moved/c.txt moved/sub/d.gz moved/sub/e '
expect 0 'copied 7 objects' "$jobferry" mv -r $b/moved $b/again
expect 66 'moved' "$jobferry" ls $b/moved
expect 0 'copied 7 objects' "$jobferry" mv -r $b/again home
check "the same bytes came home" diff -r src home
expect 66 'again' "$jobferry" ls $b/again
expect 0 '' "$jobferry" mv home/a.gz $b/single
check "one file is gone" absent home/a.gz
expect 0 '' "$jobferry" mv 'home/*.gz' $b/stars/
check "matching files are gone" test "$(find home -maxdepth 1 -type f)" = home/c.txt
expect 0 '' "$jobferry" mv home/c.txt elsewhere/c.txt
check "from folder to folder" same_bytes src/c.txt elsewhere/c.txt
expect 64 'the same' "$jobferry" mv elsewhere/c.txt ./elsewhere/../elsewhere/c.txt
check "nothing is moved onto itself" same_bytes src/c.txt elsewhere/c.txt
expect 64 'the same' "$jobferry" mv 'elsewhere/*' elsewhere/
check "nor by a wildcard" same_bytes src/c.txt elsewhere/c.txt
expect 66 '' "$jobferry" mv none $b/none && one_line
expect 64 'add -r' "$jobferry" mv src $b/none
mkdir -p kept/.jobferry && echo x >kept/.jobferry/y && echo z >kept/z
expect 0 'copied 1 objects' "$jobferry" mv -r kept $b/kept
check ".jobferry stays" test -f kept/.jobferry/y
expect 77 '' "$jobferry" mv --train_ak=nobody --train_sk=nothing src/c.txt $b/denied
check "what was not stored stays" test -f src/c.txt
mkdir -p linked outside && echo x >outside/precious && echo y >linked/y && ln -s ../outside linked/link
for source in linked 'link*d'; do
  expect 74 'behind a link' "$jobferry" mv -r "$source" $b/linked
  check "what lies behind a link stays" test -f outside/precious
  check "the rest is moved" absent linked/y
  echo y >linked/y
done
expect 0 'copied 2 objects' "$jobferry" cp -r linked $b/linked

# Removals.
expect 0 '' "$jobferry" cp -r src $b/rm
expect 0 'removed 2 objects' "$jobferry" rm "$b/rm/[ab].gz"
check "the others stay" is_keys $b/rm/ 'rm/.hidden/f.gz rm/[x].gz rm/c.txt rm/sub/d.gz rm/sub/e '
expect 66 'nothing matches' "$jobferry" rm "$b/rm/*.zip" && one_line
expect 0 '' "$jobferry" rm --raw "$b/rm/[x].gz"
expect 0 'removed 2 objects' "$jobferry" rm $b/rm/c.txt $b/rm/sub/e
expect 64 'without -r' "$jobferry" rm -r "$b/rm/s*"
expect 66 'removed 1 objects|none' "$jobferry" rm $b/rm/none $b/rm/sub/d.gz
check "one that is missing does not stop the others" is_keys $b/rm/ 'rm/.hidden/f.gz '
expect 64 'one object' "$jobferry" rm -r --version_id=x $b/rm
expect 64 'must name a bucket' "$jobferry" mb $b/folder
mkdir -p tree/sub outside && echo x >outside/precious && echo y >tree/sub/y && ln -s ../../outside tree/sub/link
expect 0 'removed 2 objects' "$jobferry" rm -r tree
check "what a link leads to stays" test -f outside/precious
check "the link does not" absent tree
expect 66 'nothing is there' "$jobferry" rm -r tree && one_line

# What is no file is neither read for one nor put aside by one; and of what is made up, size is no word.
mkfifo pipe && ln -s pipe to-pipe
for target in pipe to-pipe; do
  expect 74 "create file $target: .*; a device, a pipe or a socket" "$jobferry" cp src/c.txt $target && one_line
  expect 74 "create file $target: .*; a device, a pipe or a socket" "$jobferry" cp $b/src/c.txt $target && one_line
  check "it is still there" test -p $target
  expect 64 "read $target: it is no regular file" "$jobferry" cp $target $b/none && one_line
done
expect 74 'read /proc/cpuinfo: it is told to be empty, but is not' "$jobferry" cp /proc/cpuinfo $b/none && one_line
expect 66 '' "$jobferry" stat $b/none

# Names that no store keeps are refused by name, on one line each, with nothing for a terminal in it.
mkdir odd && echo 1 >odd/good && echo 2 >$'odd/two\nlines' && echo 3 >$'odd/bell\a\e[2J' && echo 4 >$'odd/\xff'
expect 74 'copied 1 objects.*; 3 failed' "$jobferry" cp -r odd $b/odd
check "each on a line" test "$(LC_ALL=C grep -ac '^jobferry: .*the name is refused' "$output")" -eq 3
check "without control characters" bash -c "! tr -d '\n' <'$output' | LC_ALL=C grep -q '[[:cntrl:]]'"
check "no key is suspected" bash -c "! grep -i secret '$output'"

finish
