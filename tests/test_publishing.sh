#!/usr/bin/env bash
# What becomes of COMMAND's checkpoints: writers that behave well and badly, and for each what was
# published and why, with inotify and by looking alone; two jobs on one train_url; disks that are
# full or read-only; other users. Folders stand for the store (test_publishing_s3.sh has a real one).
# $1: the binary.
# shellcheck disable=SC2016 # what stands in single quotes is for the inner bash
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
export LC_ALL=C.UTF-8 # names are compared in it
export HOME=$scratch XDG_STATE_HOME=$scratch/state
mkdir data && echo x >data/x

# A checkpoint of a format that proves itself: one safetensors tensor of $1 bytes of the letter $2.
tensor() { # BYTES LETTER
  local header="{\"w\":{\"dtype\":\"U8\",\"shape\":[$1],\"data_offsets\":[0,$1]}}"
  # shellcheck disable=SC2059 # the octal escapes are the format
  printf "\\$(printf '%03o' ${#header})\0\0\0\0\0\0\0"
  printf '%s' "$header"
  head -c "$1" /dev/zero | tr '\0' "$2"
}
tensor 5000 a >a.safetensors
tensor 5000 b >b.safetensors
export A=$scratch/a.safetensors B=$scratch/b.safetensors

# For COMMANDs: what shall have happened is waited for, 2 minutes at most; no sleep decides.
cat >waits.sh <<'EOF'
until_true() { for _ in $(seq 2400); do "$@" 2>/dev/null && return; sleep 0.05; done; }
confirmed() { [ "$(grep -c '"event":"checkpoint".*"state":"confirmed"' ../events)" -ge "$1" ]; }
sent() { until_true confirmed "$1"; } # N: so many checkpoints of this attempt are in the store
EOF
# Runs a bash script as COMMAND in a job NAME; it stands in the checkpoint folder.
job() { # NAME SCRIPT OPTIONS…
  local name=$1 script=$2
  mkdir -p "$name"
  rm -f "$name/events"
  (cd "$name" && exec "$jobferry" --data_url="$scratch/data" --train_url="$scratch/$name/out" --events=events "${@:3}" \
    -- bash -c "cd \"\$JOBFERRY_CKPT_DIR\" && . '$scratch/waits.sh' && $script")
}
# Every manifest's files are in the store with their sizes and sums, and the pointer names one.
verifies() { # NAME
  local manifest key size crc32
  manifest=$(sed -n 's/.*"manifest": "\(.*\)",$/\1/p' "$1/out/.jobferry/latest.json")
  [ -s "$1/out/$manifest" ] || { echo "the pointer names '$manifest'"; return 1; }
  for manifest in "$1"/out/.jobferry/manifest/*/*.json; do
    while read -r size && read -r crc32 && read -r key; do
      printf -v key '%b' "$key" # JSON's \u escapes are printf's
      [ "$(stat -c %s "$1/out/$key")" = "$size" ] || { echo "$manifest: $key"; return 1; }
      [ "$(gzip -c "$1/out/$key" | tail -c 8 | head -c 4 | od -An -tx4 | tr -d ' ')" = "$crc32" ] ||
        { echo "$manifest: $key has another sum"; return 1; }
    done < <(sed -n 's/^ *"key": "\(.*\)",$/\1/;T;h;n;s/^ *"size": \(.*\),$/\1/p;n;s/^ *"crc32": "\(.*\)",$/\1/p;g;p' "$manifest")
  done
}
# The report tells name, state and evidence (a pattern) of a unit.
told() { # NAME UNIT STATE EVIDENCE
  tr -d '\n' <"$1/report.json" | sed 's/}/}\n/g' |
    grep -F "\"name\": \"$2\"" | grep -F "\"state\": \"$3\"" | grep -E "\"evidence\": \"($4)\""
}
published() { cmp "$1/out/ckpt/$2" "$3"; } # NAME FILE CONTENT
unpublished() { absent "$1/out/ckpt/$2"; }

for watch in auto poll; do
  w=--watch=$watch
  renamed=rename
  [ "$watch" = poll ] && renamed='writer ended|quiet' # nobody saw it
  n() { echo "$1-$watch"; }

  expect 0 '' job "$(n rename)" 'echo what >x.tmp && mv x.tmp m-1_5.ckpt && chmod 400 m-1_5.ckpt' $w
  check "$watch: a renamed file goes out" told "$(n rename)" m-1_5.ckpt confirmed "$renamed"
  check "$watch: and verifies" verifies "$(n rename)"

  expect 0 '' job "$(n quiet)" 'echo half >m-1_5.ckpt && sleep 0.3 && echo half >>m-1_5.ckpt' $w
  check "$watch: an appended file goes out whole" published "$(n quiet)" m-1_5.ckpt <(printf 'half\nhalf\n')
  check "$watch: told why" told "$(n quiet)" m-1_5.ckpt confirmed 'writer ended|quiet'

  expect 0 '' job "$(n format)" 'cat "$A" >m-1_5.safetensors && sent 1 && cat "$A" >m-1_6.safetensors' $w
  check "$watch: a format that tells its end is enough" told "$(n format)" m-1_6.safetensors confirmed format
  check "$watch: the later step is pointed at" grep -q '"manifest".*1-2.json' "$(n format)/out/.jobferry/latest.json"

  expect 137 '' job "$(n killed)" 'cat "$A" >m-1_5.safetensors; sent 1; head -c 3000 "$B" >m-1_6.safetensors; echo x >m-1_7.pt; kill -9 $$' $w
  check "$watch: what a killed writer left half is not published" unpublished "$(n killed)" m-1_6.safetensors
  check "$watch: nor what nothing proves" unpublished "$(n killed)" m-1_7.pt
  check "$watch: what was whole is" published "$(n killed)" m-1_5.safetensors "$A"
  check "$watch: the pointer verifies" verifies "$(n killed)"

  # Truncated in place and written again, under one name: each version has a key of its own.
  expect 0 '' job "$(n last)" 'cat "$A" >last.safetensors; sent 1; cat "$B" >last.safetensors; sent 2; cat "$A" >last.safetensors' $w
  check "$watch: a name written again ends as it was last" published "$(n last)" last.safetensors "$A"
  check "$watch: the pointer verifies" verifies "$(n last)"
  check "$watch: from a key of its own" bash -c "find '$(n last)/out/.jobferry/data' -name last.safetensors | grep -q ."

  # Only one file is kept, and it is removed before the next is written.
  expect 0 '' job "$(n keep1)" 'for i in 1 2 3; do rm -f *.safetensors; cat "$A" >m-1_$i.safetensors; sent $i; done; rm -f m-1_3.safetensors' $w
  check "$watch: what the trainer removed stays in the store" published "$(n keep1)" m-1_2.safetensors "$A"
  check "$watch: the pointer verifies" verifies "$(n keep1)"

  # Nested folders made fast, names with spaces and UTF-8; a folder is one unit: its files are open
  # together, so that no time between them decides.
  expect 0 '' job "$(n nested)" 'mkdir -p "a b/ü/c" && exec 3>"a b/ü/c/x y.safetensors" 4>"a b/ü/c/é.safetensors" && cat "$A" >&3 && cat "$B" >&4' $w
  check "$watch: nested, with spaces and UTF-8" published "$(n nested)" 'a b/ü/c/é.safetensors' "$B"
  check "$watch: a folder is one unit" bash -c "[ \$(ls '$(n nested)'/out/.jobferry/manifest/*/ | wc -l) -eq 1 ]"
  check "$watch: the pointer verifies" verifies "$(n nested)"

  # The graph's file belongs to every checkpoint of its prefix, also to one that is complete sooner.
  expect 0 '' job "$(n graph)" 'printf "\012\001x" >g-graph.meta; cat "$A" >g-1_1.safetensors; cat "$A" >h-1_1.safetensors; sent 2' $w
  check "$watch: the graph is in its unit" bash -c "grep -l g-graph.meta '$(n graph)'/out/.jobferry/manifest/*/*.json | wc -l | grep -qx 1"

  expect 0 '' job "$(n ignored)" 'for f in .hidden.ckpt x.tmp y.part z.sagemaker-uploading note.txt; do echo x >$f; done' $w
  check "$watch: names that nobody means are left" bash -c "! find '$(n ignored)/out/ckpt' -type f 2>/dev/null | grep ."
done

# Groups and steps by pattern: four shards are one unit, the step is the folder's number.
expect 0 '' job shards 'exec 3>step500-shard1.safetensors 4>step500-shard2.safetensors 5>step500-shard3.safetensors 6>step500-shard4.safetensors
  for s in 3 4 5 6; do cat "$A" >&$s; done' \
  --group_by='^(step[0-9]+)-' --step_pattern='^step([0-9]+)'
check "four shards, one manifest" bash -c '[ $(ls shards/out/.jobferry/manifest/*/ | wc -l) -eq 1 ]'
check "with the step of the pattern" grep -q '"step": 500' shards/report.json
# A unit of which files are missing, or one is cut, when its writer is killed, is none.
by_step=(--group_by='^(step[0-9]+)-' --step_pattern='^step([0-9]+)')
expect 137 'step2 is not published: it has 1 of 2 files' job short 'for f in 1-a 1-b; do cp "$A" x.tmp; mv x.tmp step$f.safetensors; done
  until_true grep -rq step1-b ../out/.jobferry/manifest; cp "$A" x.tmp; mv x.tmp step2-a.safetensors; kill -9 $$' "${by_step[@]}"
check "what came of it is not in the store" unpublished short step2-a.safetensors
check "the whole one before is" verifies short
expect 137 'is not published' job torn 'exec 3>step1-b.safetensors; cp "$A" x.tmp; mv x.tmp step1-a.safetensors; head -c 3000 "$B" >&3; kill -9 $$' "${by_step[@]}"
check "nor one with a cut file" unpublished torn step1-a.safetensors
check "nothing points at it" absent torn/out/.jobferry/latest.json
expect 64 'step_pattern' job bad1 true --step_pattern='[0-9]+'
expect 64 'group_by' job bad2 true --group_by='('
expect 64 'checkpoint_glob' job bad3 true --checkpoint_glob='[a'
expect 0 '' job globs 'cat "$A" >x.safetensors; echo w >w.weights' --checkpoint_glob='*.weights'
check "only what the glob names" unpublished globs x.safetensors
check "and that" test -s globs/out/ckpt/w.weights

# A fresh run leaves another's left-overs; a run that goes on takes what its dead runner left.
mkdir -p stray/ckpt && cp a.safetensors stray/ckpt/other-9_9.safetensors
expect 3 '' job stray 'cat "$A" >m-1_1.safetensors; exit 3'
check "another's left-overs are not published" unpublished stray other-9_9.safetensors
cp b.safetensors stray/ckpt/m-1_2.safetensors
expect 0 'goes on from .*m-1_2' job stray 'exit 0'
check "nor by the next attempt" unpublished stray other-9_9.safetensors
check "what a dead runner had not sent is" published stray m-1_2.safetensors "$B"
check "and pointed at" bash -c "grep -q '1_2' \"stray/out/\$(sed -n 's/.*\"manifest\": \"\\(.*\\)\",\$/\\1/p' stray/out/.jobferry/latest.json)\""

# What the pointer names is damaged in the store, and the folder is gone: the one before serves.
expect 3 '' job harmed 'for i in 1 2; do echo version $i >x.tmp; mv x.tmp m-1_$i.pt; sent $i; done; exit 3'
check "two are out" bash -c '[ $(ls harmed/out/.jobferry/manifest/*/ | wc -l) -eq 2 ]'
echo VERSION 2 >harmed/out/ckpt/m-1_2.pt
rm -rf harmed/ckpt harmed/.jobferry
expect 0 'ckpt/m-1_2.pt in the store is not what its manifest names' job harmed 'cp "$JOBFERRY_RESUME_CKPT" ../from'
check "it went on from the one before" grep -qx 'version 1' harmed/from

# Two jobs on one train_url: the second waits, then leaves; told to, it takes over.
mkdir two
(cd two && exec "$jobferry" --data_url="$scratch/data" --train_url="$scratch/two/out" -- bash -c 'touch ../started; exec sleep 600') >two/first.log 2>&1 &
first=$!
for _ in $(seq 1 600); do [ -e started ] && break; sleep 0.05; done
mkdir second
second() {
  (cd second && exec "$jobferry" --data_url="$scratch/data" --train_url="$scratch/two/out" "$@" -- true)
}
expect 78 'another job .* holds' second --lock_wait=0
one_line
expect 78 'waiting up to 1 s' second --lock_wait=1
expect 0 '' second --break_lock
loses() {
  local code=0
  wait "$first" || code=$?
  echo "code $code"
  cat two/first.log
  [ "$code" -eq 78 ] && grep -q 'another job has taken' two/first.log
}
check "a job that lost its lock ends with 78" loses
check "no lock is left" absent two/out/.jobferry/lock.json

# kill -9 of the runner: the same host goes on at once.
mkdir dead
(cd dead && exec "$jobferry" --data_url="$scratch/data" --train_url="$scratch/dead/out" -- bash -c 'touch ../deadstarted; exec sleep 600') >dead/first.log 2>&1 &
first=$!
for _ in $(seq 1 600); do [ -e deadstarted ] && break; sleep 0.05; done
kill -9 "$first"
wait "$first" 2>/dev/null
check "a lock is left" test -s dead/out/.jobferry/lock.json
expect 0 '' job dead true --lock_wait=0

# The end of the time for DRAIN when all is confirmed: the store is opened anew for FINALIZE.
expect 0 '' job late 'echo 1 >x.tmp && mv x.tmp m-1_1.pt && sent 1' --drain_timeout=0
check "the run is marked finished" grep -q '"finished": true' late/out/.jobferry/latest.json
check "and its report is there" grep -q '"code": 0' late/out/report.json
# Two signals in DRAIN, which lasts while somebody else writes a file that is then taken away.
in_drain() {
  local code=0 i
  (cd drained && exec "$jobferry" --data_url="$scratch/data" --train_url="$scratch/drained/out" \
    -- bash -c 'cd "$JOBFERRY_CKPT_DIR" && echo 1 >x.tmp && mv x.tmp m-1_1.pt
    for i in $(seq 600); do [ -e ../held ] && break; sleep 0.05; done; touch ../ended') >drained.log 2>&1 &
  local pid=$!
  for ((i = 0; i < 600; i++)); do [ -s drained/out/.jobferry/latest.json ] && break; sleep 0.05; done
  exec 9>drained/ckpt/m-1_2.pt
  echo half >&9
  touch drained/held
  for ((i = 0; i < 600; i++)); do [ -e drained/ended ] && ! pgrep -P "$pid" >/dev/null && break; sleep 0.05; done
  sleep 0.5
  kill -TERM "$pid"
  sleep 0.1
  kill -TERM "$pid"
  rm drained/ckpt/m-1_2.pt
  exec 9>&-
  wait "$pid" || code=$?
  echo "code $code"
  cat drained.log
  [ "$code" -eq 75 ] && ! grep 'Sanitizer\|runtime error:' drained.log
}
mkdir drained
check "signals in DRAIN with all confirmed: 75" in_drain
check "its report is there" grep -q '"code": 75' drained/out/report.json
check "it is not marked finished" grep -q '"finished": false' drained/out/.jobferry/latest.json
expect 0 'goes on from' job drained true

# Users without names, and a file system that is read-only but for the job's folders.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
  chmod 755 "$scratch" # mktemp's is ours alone
  cp "$jobferry" jobferry-copy 2>/dev/null
  for uid in 1000 54321; do
    mkdir "uid$uid" && chown "$uid:0" "uid$uid"
    expect 0 '' setpriv --reuid="$uid" --regid=0 --clear-groups env jobferry="$scratch/jobferry-copy" scratch="$scratch" \
      bash -c 'cd "$scratch/uid'$uid'" && exec "$jobferry" --data_url="$scratch/data" --train_url="$PWD/out" -- bash -c "cat \"\$A\" >\"\$JOBFERRY_CKPT_DIR/m-1_1.safetensors\""'
    check "uid $uid publishes" published "uid$uid" m-1_1.safetensors "$A"
  done
fi
# Ten thousand tiny files: all are seen, of those that wait the newest go out.
expect 0 'not published: newer ones went first' job many 'mkdir .many && for i in {1..10000}; do echo $i >.many/m-1_$i.pt; done; mv .many/* .'
check "the last is published" test "$(cat many/out/ckpt/m-1_10000.pt)" = 10000
check "and the pointer verifies" verifies many

# The next start finds the last one's checkpoints in its folder, and in the store: nothing is to be
# sent, which is no trouble.
twice='cat "$A" >m-1_$JOBFERRY_ATTEMPT.safetensors; sent 1; [ $JOBFERRY_ATTEMPT -gt 1 ] || kill -9 $$'
expect 137 '' job twice "$twice"
expect 0 'attempt 2, goes on from .*m-1_1' job twice "$twice"
check "not a word of what is there already" bash -c "! grep -q 'is not in the store' '$output'"
check "it is told as confirmed" told twice m-1_1.safetensors confirmed format
check "in the one manifest it had" test "$(find twice/out/.jobferry/manifest -name '*.json' | wc -l)" -eq 2
check "both verify" verifies twice

# Retention in the store: nothing without a rule; with one, the newest and what is pointed at.
four='for i in 1 2 3 4; do cat "$A" >m-1_$i.safetensors; sent $i; done'
expect 64 'keep_remote' job badrule "$four" --keep_remote=newest:2
expect 0 '' job all "$four"
check "all are kept" bash -c '[ $(ls all/out/ckpt | wc -l) -eq 4 ]'
expect 64 'keep_remote' "$jobferry" cleanup --checkpoints all/out
expect 0 'to be deleted ckpt/m-1_2.safetensors' "$jobferry" cleanup --checkpoints --keep_remote=latest:2 all/out
check "a dry run deletes nothing" bash -c '[ $(ls all/out/ckpt | wc -l) -eq 4 ]'
expect 0 '"kind": ?"data"' "$jobferry" cleanup --checkpoints --keep_remote=latest:2 --json all/out
expect 0 'deleted ckpt/m-1_1.safetensors' "$jobferry" cleanup --checkpoints --keep_remote=latest:2 --yes all/out
check "the two newest are left" bash -c '[ "$(ls all/out/ckpt | tr "\n" " ")" = "m-1_3.safetensors m-1_4.safetensors " ]'
check "and verify" verifies all
expect 0 '' job keep "$four" --keep_remote=latest:1
check "a job keeps by the rule" bash -c '[ "$(ls keep/out/ckpt)" = m-1_4.safetensors ]'
check "and it verifies" verifies keep

# The best of COMMAND's are those that its metrics.jsonl says: told before, after, or never.
expect 0 'best:acc cannot rank this run.s checkpoints.*metrics.jsonl' job unranked "$four" --keep_remote=latest:1,best:acc:1
check "told once" test "$(grep -c 'cannot rank' "$output")" -eq 1
check "what nothing ranks stays" bash -c '[ $(ls unranked/out/ckpt | wc -l) -eq 4 ]'
best='tell() { echo "{\"checkpoint\": \"m-1_$1.safetensors\", \"acc\": 0.$2}" >>"$JOBFERRY_OUTPUT_DIR/metrics.jsonl"; }
  tell 1 5; cat "$A" >m-1_1.safetensors; sent 1; cat "$A" >m-1_2.safetensors; sent 2; tell 2 875
  cat "$A" >m-1_3.safetensors; sent 3; tell 3 7; cat "$A" >m-1_4.safetensors; sent 4; tell 4 625'
expect 0 '' job ranked "$best" --keep_remote=latest:1,best:acc:1
check "the best and the newest stay" bash -c '[ "$(ls ranked/out/ckpt | tr "\n" " ")" = "m-1_2.safetensors m-1_4.safetensors " ]'
check "their manifests have the metric, also one that came late" bash -c '[ "$(cat ranked/out/.jobferry/manifest/*/*.json | grep -cE "\"acc\": 0\.(875|625)")" -eq 2 ]'
check "and verify" verifies ranked
expect 0 'keep|deleted' "$jobferry" cleanup --checkpoints --keep_remote=best:acc:1 --yes ranked/out
check "the pointer's stays too" bash -c '[ $(ls ranked/out/ckpt | wc -l) -eq 2 ]'
finish
