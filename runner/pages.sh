#!/usr/bin/env bash
# Writes manual pages and completions from what the command itself tells, that is from its tables of
# commands and options: pages.sh FOLDER [EMULATOR] JOBFERRY.
#
#   FOLDER/man1/jobferry.1.gz, jobferry-cp.1.gz …   FOLDER/{bash,zsh,fish}/…
set -euo pipefail
folder=$1
shift
jobferry=("$@")
rm -rf "$folder"
mkdir -p "$folder"/{man1,bash,zsh,fish}
version=$("${jobferry[@]}" --version)
version=${version#jobferry }
# A build that is to be repeated says its date.
date=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%d)

# Text that roff shall print as it stands.
roff='function roff(text) {
  gsub(/\\/, "\\e", text); gsub(/-/, "\\-", text); gsub(/'"'"'/, "\\(aq", text)
  gsub(/…/, "...", text)
  return text ~ /^\./ ? "\\&" text : text
}'

# `jobferry help COMMAND` as a page: usage, purpose, options, example.
command_page() { # NAME
  # shellcheck disable=SC2086 # two words: "ckpt show"
  "${jobferry[@]}" help $1 | awk -v name="$1" -v version="$version" -v date="$date" "$roff"'
    BEGIN { page = name; gsub(/ /, "-", page) }
    NR == 1 { sub(/^usage: /, ""); usage = $0; next }
    NR == 2 {
      printf ".TH JOBFERRY\\-%s 1 \"%s\" \"jobferry %s\" \"jobferry\"\n", toupper(page), date, version
      printf ".SH NAME\njobferry\\-%s \\- %s\n.SH SYNOPSIS\n%s\n", roff(page), roff($0), roff(usage)
      printf ".SH DESCRIPTION\n%s\n.SH OPTIONS\n", roff($0)
      next
    }
    /^example: / { sub(/^example: /, ""); printf ".SH EXAMPLE\n%s\n", roff($0); next }
    /^$/ { next }
    # an option: at most "-r, --recursive", then its help behind two blanks, or on the next line
    /^  (-.,|    ?)? *--/ {
      line = $0; sub(/^ +/, "", line)
      split_at = match(line, /  +/)
      left = split_at ? substr(line, 1, split_at - 1) : line
      right = split_at ? substr(line, split_at + RLENGTH) : ""
      printf ".TP\n.B %s\n", roff(left)
      if (right != "") print roff(right)
      next
    }
    { sub(/^ +/, ""); print roff($0) }
    END { printf ".SH SEE ALSO\n.BR jobferry (1)\n" }' |
    gzip -9n >"$folder/man1/jobferry-${1// /-}.1.gz"
}

commands=()
while IFS= read -r line; do
  commands+=("$line")
done < <("${jobferry[@]}" help | sed -n 's/^  \([a-z]\+\( [a-z]\+\)\?\)  *[^ ].*/\1/p')
for command in "${commands[@]}"; do
  # "ls" is followed by blanks up to its column, so what sed takes may be "ls lists": ask
  # shellcheck disable=SC2086
  "${jobferry[@]}" help $command >/dev/null 2>&1 || command=${command%% *}
  command_page "$command"
done

"${jobferry[@]}" help | awk -v version="$version" -v date="$date" "$roff"'
  NR == 1 {
    text = $0; sub(/^[^:]*: /, "", text)
    printf ".TH JOBFERRY 1 \"%s\" \"jobferry %s\" \"jobferry\"\n", date, version
    printf ".SH NAME\njobferry \\- %s\n.SH SYNOPSIS\n.B jobferry\n", roff(text)
    printf "[run] \\-\\-data_url=URL \\-\\-train_url=URL [options] [\\-\\- COMMAND [ARG...]]\n.br\n"
    printf ".B jobferry\nCOMMAND [options] [arguments]\n.SH COMMANDS\n"
    next
  }
  /^  [a-z]/ {
    line = $0; sub(/^ +/, "", line)
    split_at = match(line, /  +/)
    if (split_at) { name = substr(line, 1, split_at - 1); text = substr(line, split_at + RLENGTH) }
    else { n = split(line, w, " "); name = w[1] " " w[2]; text = substr(line, length(name) + 2) }
    page = name; gsub(/ /, "-", page)
    printf ".TP\n.BR jobferry\\-%s (1)\n%s\n", roff(page), roff(text)
    next
  }
  /^$/ { next }
  { printf ".SH DESCRIPTION\n%s\n", roff($0) }
  END {
    printf ".SH EXIT STATUS\n0 done; 64 usage; 65 corrupt data; 66 source missing; 69 store unreachable; 73 local disk;\n"
    printf "74 transfer not completed; 75 and 79 stopped by a signal, newest checkpoint confirmed or not;\n"
    printf "76 integrity; 77 access denied; 78 configuration; 80 quality gate; 81 training diverged; 82 time limit.\n"
  }' | gzip -9n >"$folder/man1/jobferry.1.gz"

"${jobferry[@]}" completion bash >"$folder/bash/jobferry"
"${jobferry[@]}" completion zsh >"$folder/zsh/_jobferry"
"${jobferry[@]}" completion fish >"$folder/fish/jobferry.fish"
touch "$folder/done"
