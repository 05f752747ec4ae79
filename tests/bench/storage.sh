#!/usr/bin/env bash
# Measures jobferry's copies against s5cmd, rclone, mc and the aws client, and prints Markdown tables.
#
#   tests/bench/storage.sh                                everything: an hour and more
#   W1_MIB=256 W2_COUNT=500 W3_COUNT=10 W4_COUNT=500 W5_KEYS=2000 MEDIA=tmpfs SCHEMES=http \
#     MODES=default tests/bench/storage.sh                a minute
#
# All programs speak to one MinIO on loopback (and for single reads to one nginx); each reads what it
# wrote itself. They take turns within a repetition, and who begins rotates. On disk every program's
# time includes making its target durable, as `sync -f` does. What counts is each program's fastest
# repetition. A program that is not in PATH is left out, said so, and is no row's best peer.
#
#   WORKLOADS  W1 one object · W2 many of 64 KiB · W3 200 of 8 MiB · W4 sync, nothing to do · W5 list
#   SCHEMES    http https        MODES  default tuned        MEDIA  tmpfs disk
#   PEERS      s5cmd rclone mc aws        REPEAT  repetitions        TURN  who begins the first (0: jobferry)
#   RESULTS    a file that results are added to, and that the tables are made of: so a long run can be
#              cut into slices, each in a minute when the machine is free. With MEDIA=' ' and RESULTS
#              nothing is measured, only printed
#   JOBFERRY, AWS  the programs   TMPFS, DISK  folders of the two media
set -u
cd "$(dirname "$0")/../.." || exit 1

WORKLOADS=${WORKLOADS:-W1 W2 W3 W4 W5} SCHEMES=${SCHEMES:-http https}
MODES=${MODES:-default tuned} MEDIA=${MEDIA:-tmpfs disk} PEERS=${PEERS:-s5cmd rclone mc aws}
REPEAT=${REPEAT:-3} TURN=${TURN:-0} TMPFS=${TMPFS:-/dev/shm} DISK=${DISK:-/var/tmp}
W1_MIB=${W1_MIB:-4096} W2_COUNT=${W2_COUNT:-10000} W3_COUNT=${W3_COUNT:-200}
W4_COUNT=${W4_COUNT:-50000} W5_KEYS=${W5_KEYS:-100000}
JOBFERRY=${JOBFERRY:-$PWD/build/release/jobferry} AWS=${AWS:-/usr/bin/aws}

work=$(mktemp -d) results=${RESULTS:-} server='' web='' folder=''
# shellcheck disable=SC2317 # called by the trap
cleanup() {
  [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
  [ -n "$web" ] && kill "$web" 2>/dev/null
  rm -rf "$work" ${folder:+"$folder"}
}
trap cleanup EXIT
trap 'exit 130' INT TERM
results=${results:-$work/results}

note() { echo "$*" >&2; }
die() { note "$*" && exit 1; }

[ -x "$JOBFERRY" ] || die "no $JOBFERRY: cmake --preset release && cmake --build --preset release"
command -v minio >/dev/null || die "no minio in PATH"
cc -O2 -D_GNU_SOURCE -o "$work/measure" tests/bench/measure.c || exit 1
programs=jobferry
for peer in $PEERS; do
  if command -v "$([ "$peer" = aws ] && echo "$AWS" || echo "$peer")" >/dev/null; then
    programs+=" $peer"
  else
    note "$peer is not in PATH: left out"
  fi
done

# ---- servers ---------------------------------------------------------------------------------

export MINIO_ROOT_USER=benchbench MINIO_ROOT_PASSWORD=benchbench MINIO_BROWSER=off MINIO_UPDATE=off
export AWS_ACCESS_KEY_ID=benchbench AWS_SECRET_ACCESS_KEY=benchbench AWS_REGION=us-east-1
export AWS_DEFAULT_REGION=us-east-1 AWS_CONFIG_FILE=$work/aws.default
export MC_CONFIG_DIR=$work/mc RCLONE_CONFIG=$work/rclone.conf
unset AWS_PROFILE AWS_SESSION_TOKEN

start_minio() { # SCHEME
  local port=$((21000 + RANDOM % 9000)) scheme=$1
  mkdir -p "$folder/minio" "$work/certs.$scheme"
  if [ "$scheme" = https ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bench \
      -addext 'subjectAltName=IP:127.0.0.1' -keyout "$work/certs.https/private.key" \
      -out "$work/certs.https/public.crt" 2>/dev/null || exit 1
    export AWS_CA_BUNDLE=$work/certs.https/public.crt
    mkdir -p "$work/mc/certs/CAs" && cp "$AWS_CA_BUNDLE" "$work/mc/certs/CAs/"
  fi
  minio server --quiet --address "127.0.0.1:$port" --certs-dir "$work/certs.$scheme" \
    "$folder/minio" >"$work/minio.log" 2>&1 &
  server=$!
  endpoint=$scheme://127.0.0.1:$port
  for _ in $(seq 1 150); do
    curl -sk -o /dev/null --noproxy '*' "$endpoint/minio/health/live" && break
    kill -0 "$server" 2>/dev/null || die "minio: $(cat "$work/minio.log")"
    sleep 0.1
  done
  export S3_ENDPOINT_URL=$endpoint AWS_ENDPOINT_URL=$endpoint
  tls_s5cmd=() tls_rclone=()
  # s5cmd takes no certificate, only none at all; that makes its TLS no slower
  [ "$scheme" = https ] && tls_s5cmd=(--no-verify-ssl) && tls_rclone=(--ca-cert "$AWS_CA_BUNDLE")
  printf '[m]\ntype = s3\nprovider = Minio\nenv_auth = true\nendpoint = %s\n' "$endpoint" \
    >"$RCLONE_CONFIG"
  [[ $programs == *mc* ]] && mc alias set m "$endpoint" benchbench benchbench >/dev/null 2>&1
  "$JOBFERRY" mb s3://bench >/dev/null 2>&1
}

start_nginx() {
  local port=$((31000 + RANDOM % 9000))
  mkdir -p "$work/web"
  cat >"$work/web/nginx.conf" <<END
worker_processes 2; pid $work/web/pid; error_log $work/web/log; daemon off; user root;
events { worker_connections 512; }
http { access_log off; sendfile on; tcp_nopush on;
  server { listen 127.0.0.1:$port; location /bench/ { alias $folder/source/; } } }
END
  nginx -c "$work/web/nginx.conf" 2>/dev/null &
  web=$!
  files=http://127.0.0.1:$port
  sleep 0.5
}

# ---- data ------------------------------------------------------------------------------------

cut_noise() { # COUNT SIZE FOLDER: files of noise, a thousand a folder
  local i count
  for ((i = 0; i * 1000 < $1; i++)); do
    count=$(($1 - i * 1000 < 1000 ? $1 - i * 1000 : 1000))
    mkdir -p "$3/$i"
    head -c $((count * $2)) /dev/urandom | split -b "$2" -a 3 -d - "$3/$i/"
  done
}

make_data() {
  local source=$folder/source
  mkdir -p "$source"
  # A virtual machine's memory costs most the first time that it is touched: that is nobody's copy.
  if [ "$medium" = tmpfs ]; then
    local touched=0
    [[ $WORKLOADS != *W2* ]] || touched=$((W2_COUNT / 5))
    [[ $WORKLOADS != *W3* ]] || touched=$((W3_COUNT * 24))
    [[ $WORKLOADS != *W1* ]] || touched=$((W1_MIB * 3))
    head -c "$touched"M /dev/zero >"$folder/touched"
    rm "$folder/touched"
  fi
  for workload in $WORKLOADS; do
    note "$(date +%T) making the data of $workload"
    case $workload in
      W1) head -c "$W1_MIB"M /dev/urandom >"$source/W1" ;;
      W2) cut_noise "$W2_COUNT" 65536 "$source/W2" ;;
      W3) cut_noise "$W3_COUNT" 8388608 "$source/W3" ;;
      W4) cut_noise "$W4_COUNT" 100 "$source/W4" ;;
      W5) cut_noise "$W5_KEYS" 1 "$source/W5" ;;
    esac
  done
}

# ---- the programs, as their documents advise ---------------------------------------------------

# Sets `command` for: PROGRAM MODE up|down|sync|list LOCAL KEY IS_FOLDER
choose_command() {
  local program=$1 mode=$2 way=$3 path=$4 key=$5 many=$6 star='' slash='' recursive=() tune=()
  [ "$many" = yes ] && star='/*' slash=/
  case $program in
    jobferry)
      [ "$mode" = tuned ] && [ "$way" != list ] && tune=(--connections=32 --part_size=16MiB)
      [ "$mode" = tuned ] && [[ $endpoint == http:* ]] && tune+=(--unsigned_payload)
      [ "$many" = yes ] && recursive=(-r)
      case $way in
        up) command=("$JOBFERRY" cp "${recursive[@]}" "${tune[@]}" "$path" "s3://bench/$key") ;;
        down) command=("$JOBFERRY" cp "${recursive[@]}" "${tune[@]}" "s3://bench/$key" "$path") ;;
        sync) command=("$JOBFERRY" sync "$path" "s3://bench/$key") ;;
        list) command=("$JOBFERRY" ls -r "s3://bench/$key/") ;;
      esac
      ;;
    s5cmd)
      local s5=(s5cmd "${tls_s5cmd[@]}")
      [ "$mode" = tuned ] && s5+=(--numworkers 64)
      [ "$mode" = tuned ] && [ "$many" = no ] && tune=(--concurrency 16 --part-size 16)
      case $way in
        up) command=("${s5[@]}" cp "${tune[@]}" "$path$star" "s3://bench/$key$slash") ;;
        down) command=("${s5[@]}" cp "${tune[@]}" "s3://bench/$key$star" "$path$slash") ;;
        sync) command=("${s5[@]}" sync "$path/" "s3://bench/$key/") ;;
        list) command=("${s5[@]}" ls "s3://bench/$key/*") ;;
      esac
      ;;
    rclone)
      local copy=copyto
      [ "$many" = yes ] && copy=copy
      tune=(--quiet "${tls_rclone[@]}")
      [ "$mode" = tuned ] && tune+=(--transfers 32 --checkers 32 --fast-list --no-traverse
        --s3-no-check-bucket --s3-upload-concurrency 16 --s3-chunk-size 16M --multi-thread-streams 16)
      case $way in
        up) command=(rclone "$copy" "${tune[@]}" "$path" "m:bench/$key") ;;
        down) command=(rclone "$copy" "${tune[@]}" "m:bench/$key" "$path") ;;
        sync) command=(rclone sync "${tune[@]/--no-traverse/--fast-list}" "$path" "m:bench/$key") ;;
        list) command=(rclone lsf -R "${tune[@]/--no-traverse/--fast-list}" "m:bench/$key") ;;
      esac
      ;;
    mc)
      [ "$many" = yes ] && recursive=(--recursive)
      case $way in # it sizes itself: nothing to tune
        up) command=(mc --quiet cp "${recursive[@]}" "$path$slash" "m/bench/$key$slash") ;;
        down) command=(mc --quiet cp "${recursive[@]}" "m/bench/$key$slash" "$path$slash") ;;
        sync) command=(mc --quiet mirror "$path" "m/bench/$key") ;;
        list) command=(mc ls --recursive "m/bench/$key/") ;;
      esac
      ;;
    aws)
      [ "$many" = yes ] && recursive=(--recursive)
      local s3=(env AWS_CONFIG_FILE="$work/aws.$mode" "$AWS" --endpoint-url "$endpoint" s3)
      case $way in
        up) command=("${s3[@]}" cp --only-show-errors "${recursive[@]}" "$path" "s3://bench/$key") ;;
        down) command=("${s3[@]}" cp --only-show-errors "${recursive[@]}" "s3://bench/$key" "$path") ;;
        sync) command=("${s3[@]}" sync --only-show-errors "$path" "s3://bench/$key") ;;
        list) command=("${s3[@]}" ls --recursive "s3://bench/$key/") ;;
      esac
      ;;
  esac
}
printf '[default]\n' >"$work/aws.default"
printf '[default]\ns3 =\n  max_concurrent_requests = 32\n  multipart_chunksize = 16MB\n%s\n' \
  '  multipart_threshold = 16MB' >"$work/aws.tuned"

# ---- runs ------------------------------------------------------------------------------------

# Runs `command` as ROW of PROGRAM; TARGET is what must be durable on disk.
run() { # ROW PROGRAM TARGET
  local durable=() line
  [ "$medium" = disk ] && [ -n "$3" ] && durable=(--sync "$3")
  : >"$work/cost"
  "$work/measure" "${durable[@]}" "$work/cost" "${command[@]}" >"$work/stdout" 2>"$work/stderr"
  line=$(cat "$work/cost")
  [ "${line##* }" = 0 ] || note "  $1 $2: exit ${line##* }: $(tail -n 1 "$work/stderr")"
  printf '%s\t%s\t%s\n' "$1" "$2" "${line// /$'\t'}" >>"$results"
}

rotate() { # REPETITION: the programs, beginning with another each time
  local all i
  read -ra all <<<"$programs"
  for ((i = 0; i < ${#all[@]}; i++)); do echo "${all[(i + $1 + TURN) % ${#all[@]}]}"; done
}

transfer() { # WORKLOAD MODE
  local many=yes source=$folder/source/$1 repetition program
  [ "$1" = W1 ] && many=no
  for ((repetition = 0; repetition < REPEAT; repetition++)); do
    note "$(date +%T) $medium $scheme $2 $1, repetition $((repetition + 1))"
    for program in $(rotate "$repetition"); do
      rm -rf "$folder/minio/bench/$program" "$folder/target"
      mkdir "$folder/target"
      choose_command "$program" "$2" up "$source" "$program/$1" $many
      run "$medium|$scheme|$2|$1 up" "$program" ""
      [ "$medium" = disk ] && sync -f "$folder" # what the server still has to write is not theirs
      choose_command "$program" "$2" down "$folder/target/$1" "$program/$1" $many
      run "$medium|$scheme|$2|$1 down" "$program" "$folder/target"
      rm -rf "$folder/minio/bench/$program" "$folder/target"
    done
  done
}

look() { # WORKLOAD MODE WAY
  local repetition program source=$folder/source/$1
  [ -d "$folder/minio/bench/$1" ] ||
    "$JOBFERRY" cp -r --connections=32 "$source" "s3://bench/$1" >/dev/null 2>&1
  for ((repetition = 0; repetition < REPEAT; repetition++)); do
    note "$(date +%T) $medium $scheme $2 $1, repetition $((repetition + 1))"
    for program in $(rotate "$repetition"); do
      choose_command "$program" "$2" "$3" "$source" "$1" yes
      run "$medium|$scheme|$2|$1 $3" "$program" ""
    done
  done
}

# One object from a plain web server: who can read there at all.
read_web() {
  local repetition program target=$folder/target/W1
  for ((repetition = 0; repetition < REPEAT; repetition++)); do
    note "$(date +%T) $medium nginx W1, repetition $((repetition + 1))"
    for program in curl $(rotate "$repetition"); do
      rm -rf "$folder/target" && mkdir "$folder/target"
      case $program in
        curl) command=(curl -s -o "$target" "$files/bench/W1") ;;
        jobferry) command=("$JOBFERRY" cp --sign=none --addressing=path --server="$files"
          s3://bench/W1 "$target") ;;
        s5cmd) command=(s5cmd --no-sign-request --endpoint-url "$files" cp s3://bench/W1 "$target") ;;
        rclone) command=(rclone copyto --http-url "$files/bench" :http:W1 "$target") ;;
        aws) command=("$AWS" --endpoint-url "$files" s3 cp --no-sign-request --only-show-errors
          s3://bench/W1 "$target") ;;
        *) continue ;;
      esac
      run "$medium|nginx|default|W1 down" "$program" "$folder/target"
    done
  done
  rm -rf "$folder/target"
}

# ---- tables ----------------------------------------------------------------------------------

print_tables() {
  sort -s -t "$(printf '\t')" -k1,1 "$results" | awk -F '\t' -v peers="$programs curl" '
    function best(row, field,   i, name, value, least) {
      least = 0
      for (i = 2; i <= count; i++) {
        name = order[i]
        if (name == "curl" || !((row, name) in wall)) continue
        value = field == 1 ? wall[row, name] : field == 2 ? cpu[row, name] \
              : field == 3 ? user[row, name] : rss[row, name]
        if (least == 0 || value < least) least = value
      }
      return least
    }
    function ratio(ours, theirs) { return theirs > 0 ? sprintf("%.2f", ours / theirs) : "–" }
    BEGIN { count = split(peers, order, " ") }
    $7 == 0 && (!(($1, $2) in wall) || $3 < wall[$1, $2]) {
      wall[$1, $2] = $3; user[$1, $2] = $4; cpu[$1, $2] = $4 + $5; rss[$1, $2] = $6 / 1024
    }
    !($1 in seen) { seen[$1] = 1; rows[++row_count] = $1 }
    END {
      for (r = 1; r <= row_count; r++) {
        split(rows[r], part, "|")
        if (part[1] != medium) {
          medium = part[1]
          printf "\n### %s\n\nEach cell: wall s / user+sys s / user s / peak MiB. " \
                 "Ratios: ours to the best peer, each column by itself.\n\n", medium
          printf "| workload | over | settings |"
          for (i = 1; i <= count; i++) printf " %s |", order[i]
          printf " wall | CPU | user | RSS |\n|---|---|---|"
          for (i = 1; i <= count + 4; i++) printf "---|"
          printf "\n"
        }
        printf "| %s | %s | %s |", part[4], part[2], part[3]
        for (i = 1; i <= count; i++) {
          key = rows[r] SUBSEP order[i]
          if (key in wall) printf " %.2f / %.2f / %.2f / %.0f |", wall[key], cpu[key], user[key], rss[key]
          else printf " – |"
        }
        key = rows[r] SUBSEP "jobferry"
        printf " %s | %s | %s | %s |\n", ratio(wall[key], best(rows[r], 1)),
          ratio(cpu[key], best(rows[r], 2)), ratio(user[key], best(rows[r], 3)),
          ratio(rss[key], best(rows[r], 4))
      }
    }'
}

# Memory decides what fits on tmpfs: the source, MinIO's copy, the target, at once.
fit_memory() {
  local free needed=$((W1_MIB * 3))
  free=$(df -m --output=avail "$TMPFS" | tail -n 1)
  free=$((free < $(awk '/MemAvailable/ {print int($2 / 1024)}' /proc/meminfo) ? free :
    $(awk '/MemAvailable/ {print int($2 / 1024)}' /proc/meminfo)))
  if ((needed + W3_COUNT * 24 + 3000 > free)); then
    W1_MIB=$(((free - W3_COUNT * 24 - 3000) / 3))
    ((W1_MIB > 64)) || die "only $free MiB free in $TMPFS"
    echo "(W1 was cut to $W1_MIB MiB: $free MiB of memory are free.)"
  fi
}

echo "MinIO $(minio --version | sed -n 's/minio version \([^ ]*\).*/\1/p'), $(nproc) cores," \
  "$(sed -n 's/model name.*: //p' /proc/cpuinfo | head -n 1), load $(cut -d ' ' -f 1-3 /proc/loadavg)," \
  "$(date -u +%FT%H:%MZ); W1 $W1_MIB MiB, W2 $W2_COUNT × 64 KiB, W3 $W3_COUNT × 8 MiB," \
  "W4 $W4_COUNT objects, W5 $W5_KEYS keys, best of $REPEAT"
for medium in $MEDIA; do
  [ "$medium" = tmpfs ] && fit_memory
  folder=$(mktemp -d -p "$([ "$medium" = tmpfs ] && echo "$TMPFS" || echo "$DISK")" jobferry-bench.XXXXXX)
  make_data
  for scheme in $SCHEMES; do
    start_minio "$scheme"
    for mode in $MODES; do
      for workload in $WORKLOADS; do
        case $workload in
          W4) look W4 "$mode" sync ;;
          W5) look W5 "$mode" list ;;
          *) transfer "$workload" "$mode" ;;
        esac
      done
    done
    kill "$server" && wait "$server" 2>/dev/null
    server=''
    rm -rf "$folder/minio"
  done
  if [[ $WORKLOADS == *W1* ]] && command -v nginx >/dev/null; then
    start_nginx
    read_web
    kill "$web" && wait "$web" 2>/dev/null
    web=''
  fi
  rm -rf "$folder"
done
print_tables
