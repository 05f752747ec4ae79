#!/usr/bin/env bash
# What a start of a job leaves behind: log, events, metrics, report.json and report.html, here and
# in train_url, also when it fails or dies. On folders. $1: the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scratch" || exit 1
has() { grep -Eq -- "$1" "$2"; }
lacks() { ! grep -Eq -- "$1" "$2"; }
only() { # PATTERN: the one file that it names
  local files
  # shellcheck disable=SC2206
  files=($1)
  [ "${#files[@]}" -eq 1 ] && [ -e "${files[0]}" ] && echo "${files[0]}"
}
expect 0 'drew' "$jobferry" data digits digits --train=320 --test=64

# The built-in trainer.
expect 0 'Metrics' "$jobferry" --data_url=digits --train_url=out --work_dir=work --epochs=2 \
  --events=events --metrics_file=job.prom --hidden=hush --train_sk=verysecret --train_ak=verysecret
log=$(only 'out/log/*.log')
here=$(only 'work/.jobferry/log/*.log')
check "the log is here and there, the same" same_bytes "${log:-none}" "${here:-none}"
check "it has our lines with their time" has '^20[-0-9T:]+Z info: saved ' "$log"
check "the lab's lines as they are" has '^epoch: 2 step 10, loss is ' "$log"
check "and the metrics" has "^Metrics: \{'loss': " "$log"
check "the report is here and there" same_bytes work/report.json out/report.json
check "and for this run" same_bytes out/report.json "${log%.log}.report.json"
check "no secret and no unknown value in any of them" bash -c "! grep -rqE 'hush|verysecret' out/report.json out/report.html out/log events job.prom"
check "the page is there" has '^<!doctype html>' out/report.html
check "with the wrong predictions as pictures" has 'src="data:image/png;base64,iVBORw0KGgo' out/report.html
check "and nothing from elsewhere" lacks '(src|href)="?(https?:)?//' out/report.html
check "dataset and its manifest" has '"manifest_crc32": "[0-9a-f]{8}"' out/report.json
check "files and bytes of it" has '"files": 4' out/report.json
check "confusion" has '"confusion": \[' out/report.json
check "events: a line each" bash -c "! grep -vqE '^\{\"time\":\"20[-0-9T:]+Z\",\"event\":\"[a-z]+\",.*\}$' events"
for event in phase state dataset run epoch metrics checkpoint exposure exit; do
  check "event $event" has "\"event\":\"$event\"" events
done
check "metrics: the run" has '^jobferry_info\{version=".*",run="20.*",attempt="1"\} 1$' job.prom
check "metrics: epochs" has '^jobferry_epoch 2$' job.prom
check "metrics: checkpoints" has '^jobferry_checkpoints_total\{state="confirmed"\} 2$' job.prom
check "metrics: the end" has '^jobferry_exit_code 0$' job.prom
check "no half of a file is left" absent job.prom.part
expect 73 'write /nowhere/events' "$jobferry" --data_url=digits --train_url=x --work_dir=x --events=/nowhere/events
expect 73 'write /nowhere/m' "$jobferry" --data_url=digits --train_url=x --work_dir=x --metrics_file=/nowhere/m
expect 73 '' "$jobferry" --data_url=digits --train_url=x --work_dir=x --epochs=1 --ckpt_dir=digits/test/t10k-labels-idx1-ubyte.gz/x --events=failed
check "a preflight that failed is an event too" has '"event":"exit","code":73' failed

# A start that fails before train_url is its own leaves word there, and nothing of another's.
mkdir missed && echo mine >missed/report.json
expect 66 'nowhere' "$jobferry" --data_url=nowhere --train_url=missed --work_dir=x --verify_ssl=0
check "the log of a failed preflight is in train_url" has 'Z failure: .*nowhere' missed/log/jobferry.log
check "and its report" has '"code": 66' missed/log/jobferry.report.json
check "report.json there is another's still" has '^mine$' missed/report.json
expect 64 'checkpoint_glob' "$jobferry" --data_url=digits --train_url=missed --work_dir=x --checkpoint_glob='[' -- true
check "also when no URL was looked at yet" has 'Z failure: .*checkpoint_glob' missed/log/jobferry.log
mkdir over
expect 78 'overlap' "$jobferry" --data_url=over --train_url=over --work_dir=x
check "a data_url is never written into" test -z "$(ls -A over)"

# While COMMAND runs: what became of each checkpoint, told at once; and the log in train_url.
cat >wait_for.sh <<'END'
for _ in $(seq 1 600); do
  grep -Eqs "$1" "$2" && exit 0
  sleep 0.05
done
exit 9
END
# shellcheck disable=SC2016
expect 0 '' "$jobferry" --data_url=digits --train_url=live --work_dir=livework --events=live.events --metrics_file=live.prom -- \
  sh -c 'echo 1 >"$JOBFERRY_CKPT_DIR/x.tmp" && mv "$JOBFERRY_CKPT_DIR/x.tmp" "$JOBFERRY_CKPT_DIR/m-1_5.ckpt" &&
    sh "$0/wait_for.sh" "\"event\":\"checkpoint\",\"name\":\"m-1_5.ckpt\".*\"confirmed\".*\"pointed\":true" "$0/live.events" &&
    sh "$0/wait_for.sh" "confirmed\"[}] 1" "$0/live.prom"' "$PWD"
check "the log says it too" has '^20[-0-9T:]*Z info: published m-1_5.ckpt, verified by ' "$(only 'live/log/*.log')"
check "taken, then confirmed" test "$(grep '"event":"checkpoint"' live.events | sed 's/.*"state":"\([a-z]*\)".*/\1/' | tr '\n' ' ')" = "queued confirmed "
check "none waits at the end" has '^jobferry_checkpoints_waiting 0$' live.prom
check "the report has it once" test "$(grep -c '"name": "m-1_5.ckpt"' live/report.json)" -eq 1
check "the exposure names it" has '"newest_confirmed": "m-1_5.ckpt"' live/report.json
upload_and_die() { # OPTIONS…: killed by -9 when the log is there
  rm -rf dead deadwork
  "$jobferry" --data_url=digits --train_url=dead --work_dir=deadwork "$@" -- \
    sh -c 'echo said so; echo $$ >child; sleep 30; echo more' >/dev/null 2>&1 &
  local pid=$! result=0
  for _ in $(seq 1 600); do
    grep -qs '^said so$' dead/log/*.log && break
    sleep 0.05
  done
  grep -qs '^said so$' dead/log/*.log || result=1
  kill -9 "$pid" "$(cat child)"
  wait "$pid"
  return $result
}
check "a runner killed by -9 has left its log in train_url" upload_and_die --log_upload_interval=1 2>/dev/null

# COMMAND: both streams, to the terminal byte for byte and into the log; on failure too.
expect 3 '' "$jobferry" --data_url=digits --train_url=cmd --work_dir=cmdwork -- \
  sh -c 'echo said; echo cried >&2; printf unfinished; exit 3'
log=$(only 'cmd/log/*.log')
check "what it said" has '^said$' "$log"
check "what it cried" has '^cried$' "$log"
check "what it had no time to finish" has '^unfinished$' "$log"
check "why it ended" has 'Z failure: sh ended with exit code 3$' "$log"
check "a failed run has a report" has '"by": "command"' cmd/report.json
head -c 300000 /dev/urandom >bytes
"$jobferry" --data_url=digits --train_url=raw --work_dir=raw -- cat "$PWD/bytes" >back 2>/dev/null
check "stdout is COMMAND's, byte for byte" same_bytes bytes back

# A ceiling: the beginning and the end of a long story.
expect 0 '' "$jobferry" --data_url=digits --train_url=long --work_dir=longwork --log_max=64K -- seq 1 200000
sizes=$(cat longwork/.jobferry/log/*.log* | wc -c)
check "no more than the ceiling here" test "$sizes" -le 65536
log=$(only 'long/log/*.log')
check "the beginning" has '^7$' "$log"
check "the end" has '^200000$' "$log"
check "and what was left out is told" has '^\[jobferry: [0-9]+ bytes of the log were left out here\]$' "$log"

# Killed, and started again: one log of both starts; and from the store when the disk is new.
killed() {
  "$jobferry" --data_url=digits --train_url=twice --work_dir=twicework --epochs=100000 >/dev/null 2>killed.err &
  local pid=$!
  for _ in $(seq 1 600); do
    [ -e twice/.jobferry/latest.json ] && break
    sleep 0.05
  done
  kill -9 "$pid"
  wait "$pid"
  test -e twice/.jobferry/latest.json
}
check "killed while it trains" killed 2>/dev/null
log=$(only 'twicework/.jobferry/log/*.log')
check "its log is on the disk" has 'starts fresh' "$log"
stopped() { # after some seconds
  ! timeout -s TERM 5 "$jobferry" --data_url=digits --train_url=twice --work_dir="$1" --epochs=100000 >/dev/null 2>&1
}
check "started again and stopped" stopped twicework
log=$(only 'twice/log/*.log')
check "one log: the first start" has 'starts fresh' "$log"
check "and the second" has 'continuing run' "$log"
rm -rf twicework
check "once more on a new disk" stopped elsewhere
log=$(only 'twice/log/*.log')
check "one log still: the first start" has 'starts fresh' "$log"
check "the third" test "$(grep -c 'continuing run' "$log")" -eq 2

finish
