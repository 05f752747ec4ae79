#!/usr/bin/env bash
# Completion scripts, each loaded into its shell and asked for real. $1 is the binary.
set -u
jobferry=$1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
PATH=$(dirname "$jobferry"):$PATH
cd "$scratch" || exit 1
: >story.txt

# Whether a shell is there; in CI all must be.
have() {
  command -v "$1" >/dev/null && return
  echo "skipped: $1 is not installed"
  [ "${CI:-}" = true ] && check "$1 is installed" false
  return 1
}

expect 64 'one of bash, zsh, fish' jobferry completion tcsh && one_line
expect 64 'one of bash, zsh, fish' jobferry completion && one_line

# ---- bash: words as the shell splits them, the last one being completed
ask_bash() { # EXPECTED WORD...
  local expected=$1
  shift
  # shellcheck disable=SC2016 # for the inner shell
  expect 0 "^<$expected>\$" bash -c 'source <(jobferry completion bash)
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _jobferry && echo "<${COMPREPLY[*]}>"' bash "$@"
}
check "bash reads it" bash -n <(jobferry completion bash)
check "bash has it" bash -c 'source <(jobferry completion bash) && complete -p jobferry'
ask_bash 'completion' jobferry com
ask_bash '--recursive' jobferry cp --rec
ask_bash '--region=' jobferry ls --reg
ask_bash '--epochs=' jobferry --epo
ask_bash 'auto v4 obs v2 none' jobferry ls --sign =
ask_bash 'v4 v2' jobferry ls --sign = v
ask_bash 'show verify diff convert' jobferry ckpt ''
ask_bash '--json' jobferry ckpt show --j
ask_bash '' jobferry ckpt show --recursive
ask_bash 'train' jobferry help t
ask_bash 'story.txt' jobferry cp st
ask_bash 'zsh' jobferry completion z

# ---- fish tells what it would offer
ask_fish() { # EXPECTED LINE
  # shellcheck disable=SC2016
  expect 0 "^$1" fish --no-config -c 'jobferry completion fish | source; complete -C $argv[1]' "$2"
}
if have fish; then
  ask_fish 'completion.prints a' 'jobferry com'
  ask_fish '--recursive.everything' 'jobferry cp --rec'
  ask_fish '--lr' 'jobferry --l'
  ask_fish '--sign=v4' 'jobferry ls --sign='
  ask_fish 'verify.checks' 'jobferry ckpt '
  ask_fish '--json' 'jobferry ckpt show --j'
  ask_fish 'train$' 'jobferry help tr'
  ask_fish 'story.txt' 'jobferry cp st'
  check "fish offers no option of another command" fish --no-config -c \
    'jobferry completion fish | source; test -z (complete -C "jobferry ls --epo" | string collect -a)'
fi

# ---- zsh: a shell at a terminal of its own, with the tabulator pressed
cat >ask.zsh <<'END'
zmodload zsh/zpty
zpty -b shell zsh -f -i
zpty -w shell 'PS1=; autoload -U compinit; compinit -D -u; source <(jobferry completion zsh); echo REA""DY'
until [[ $seen == *READY* ]]; do zpty -r shell part && seen+=$part; done
zpty -w -n shell "$1"$'\t'
seen=
until [[ $seen == *$~2* ]]; do zpty -r shell part && seen+=$part || sleep 0.02; done
print -r -- found
END
ask_zsh() { # PATTERN LINE
  expect 0 '^found' timeout 60 zsh -f ask.zsh "$2" "$1"
}
if have zsh; then
  ask_zsh 'completion' 'jobferry com'
  ask_zsh '--recursive' 'jobferry cp --rec'
  ask_zsh '--lr' 'jobferry --l'
  ask_zsh 'auto *none *obs *v2 *v4' 'jobferry ls --sign='
  ask_zsh 'show *verify' 'jobferry ckpt '
  ask_zsh '--json' 'jobferry ckpt show --js'
  ask_zsh 'data' 'jobferry help dat'
  ask_zsh 'story.txt' 'jobferry cp st'
fi

finish
