/*
 * completion.c - `jobferry completion SHELL`: a script that completes commands, options and their
 * choices in bash, zsh or fish, written from the tables of commands and of options, so that it is
 * never behind them.
 *
 * Options that take a value are offered as `--name=` without a blank behind, switches as `--name`.
 */
#include "runner/commands/commands.h"

#include <stdio.h>
#include <string.h>

#include "runner/runner_banned.h"

static bool has_option(const struct command *command, const struct option *option)
{
    return (option->commands & (unsigned)command->bit) != 0;
}

/* The first word of a command's name, and the second, "" when there is none. */
struct words {
    char first[32];
    char second[32];
};

static struct words split_name(const struct command *command)
{
    struct words words = {0};
    const char *space = strchr(command->name, ' ');
    int length = space ? (int)(space - command->name) : (int)strlen(command->name);
    snprintf(words.first, sizeof words.first, "%.*s", length, command->name);
    snprintf(words.second, sizeof words.second, "%s", space ? space + 1 : "");
    return words;
}

/* Whether an earlier command has the same first word: "ckpt" is offered once. */
static bool is_repeated(const struct app *app, size_t index)
{
    struct words own = split_name(&app->commands[index]);
    for (size_t i = 0; i < index; i++) {
        struct words other = split_name(&app->commands[i]);
        if (strcmp(own.first, other.first) == 0) {
            return true;
        }
    }
    return false;
}

static void print_choices(const char *choices, const char *separator)
{
    for (const char *at = choices; *at; at++) {
        if (*at == '|') {
            printf("%s", separator);
        } else {
            putchar(*at);
        }
    }
}

/* Text inside single quotes; `escaped` are characters that get a backslash. */
static void print_quoted(const char *text, const char *quote, const char *escaped)
{
    for (; *text; text++) {
        if (*text == '\'') {
            printf("%s", quote);
        } else {
            printf("%s%c", strchr(escaped, *text) ? "\\" : "", *text);
        }
    }
}

/* ---- bash ----------------------------------------------------------------------------------- */

static void print_bash_options(const struct command *command)
{
    printf("    '%s') echo '", command->name);
    const char *blank = "";
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (has_option(command, option)) {
            printf("%s--%s%s", blank, option->name, option->value ? "=" : "");
            blank = " ";
        }
    }
    printf("' ;;\n");
}

static const char bash_tail[] =
    /* bash splits words at '=': "--name=va" is three of them */
    "_jobferry() {\n"
    "  local cur=${COMP_WORDS[COMP_CWORD]} option='' first=${COMP_WORDS[1]} second='' command\n"
    "  if [ \"$cur\" = '=' ]; then\n"
    "    option=${COMP_WORDS[COMP_CWORD - 1]} cur=''\n"
    "  elif [ \"${COMP_WORDS[COMP_CWORD - 1]}\" = '=' ]; then\n"
    "    option=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "  fi\n"
    "  COMPREPLY=()\n"
    "  if [ -n \"$option\" ]; then\n"
    "    local choices\n"
    "    choices=$(_jobferry_choices \"$option\")\n"
    "    if [ -n \"$choices\" ]; then\n"
    "      mapfile -t COMPREPLY < <(compgen -W \"$choices\" -- \"$cur\")\n"
    "    else\n"
    "      mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "    fi\n"
    "    return\n"
    "  fi\n"
    "  if [ \"$COMP_CWORD\" -eq 1 ] && [ \"${cur:0:1}\" != - ]; then\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$(_jobferry_commands)\" -- \"$cur\")\n"
    "    return\n"
    "  fi\n"
    "  [ \"$first\" = help ] && first=''\n"
    "  second=$(_jobferry_seconds \"$first\")\n"
    "  if [ \"$COMP_CWORD\" -eq 2 ] && [ -n \"$second\" ]; then\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$second\" -- \"$cur\")\n"
    "    return\n"
    "  fi\n"
    "  command=$first\n"
    "  [ -n \"$second\" ] && [ \"$first\" != completion ] && command=\"$first ${COMP_WORDS[2]}\"\n"
    "  [ \"${first:0:1}\" = - ] && command=run\n"
    "  if [ \"${cur:0:1}\" = - ]; then\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$(_jobferry_options \"$command\")\" -- \"$cur\")\n"
    "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null\n"
    "  else\n"
    "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "  fi\n"
    "  return 0\n"
    "}\n"
    "complete -o filenames -o bashdefault -F _jobferry jobferry\n";

/* The second words of the commands that begin with a word; those of help are the first words. */
static void print_bash_seconds(const struct app *app)
{
    printf("_jobferry_seconds() {\n  case $1 in\n    '') _jobferry_commands ;;\n"
           "    completion) echo 'bash zsh fish' ;;\n");
    for (size_t i = 0; i < app->command_count; i++) {
        struct words words = split_name(&app->commands[i]);
        if (!words.second[0] || is_repeated(app, i)) {
            continue;
        }
        printf("    %s) echo '%s", words.first, words.second);
        for (size_t j = i + 1; j < app->command_count; j++) {
            struct words other = split_name(&app->commands[j]);
            if (strcmp(words.first, other.first) == 0) {
                printf(" %s", other.second);
            }
        }
        printf("' ;;\n");
    }
    printf("  esac\n}\n");
}

static void print_bash(const struct app *app)
{
    printf("# jobferry in bash: source <(jobferry completion bash)\n"
           "_jobferry_commands() {\n  echo 'help");
    for (size_t i = 0; i < app->command_count; i++) {
        if (!is_repeated(app, i)) {
            printf(" %s", split_name(&app->commands[i]).first);
        }
    }
    printf("'\n}\n");
    print_bash_seconds(app);
    printf("_jobferry_options() {\n  case $1 in\n");
    for (size_t i = 0; i < app->command_count; i++) {
        print_bash_options(&app->commands[i]);
    }
    printf("  esac\n}\n_jobferry_choices() {\n  case $1 in\n");
    for (size_t i = 0; i < options_count; i++) {
        if (options_table[i].choices) {
            printf("    --%s) echo '", options_table[i].name);
            print_choices(options_table[i].choices, " ");
            printf("' ;;\n");
        }
    }
    printf("  esac\n}\n%s", bash_tail);
}

/* ---- zsh ------------------------------------------------------------------------------------ */

static const char zsh_quote[] = "'\\''";

static void print_zsh_command(const struct command *command)
{
    printf("    '%s') _arguments -S ", command->name);
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (!has_option(command, option)) {
            continue;
        }
        if (option->letter) {
            printf("'-%c[", option->letter);
            print_quoted(option->help, zsh_quote, "[]:\\");
            printf("]%s' ", option->value ? ":value:" : "");
        }
        printf("'--%s%s[", option->name, option->value ? "=" : "");
        print_quoted(option->help, zsh_quote, "[]:\\");
        printf("]");
        if (option->choices && option->value) {
            printf(":value:(");
            print_choices(option->choices, " ");
            printf(")");
        } else if (option->value) {
            printf(":");
            print_quoted(option->value, zsh_quote, "[]:\\");
            printf(":_files");
        }
        printf("' ");
    }
    printf("'*: :_files' ;;\n");
}

static void print_zsh(const struct app *app)
{
    printf("#compdef jobferry\n"
           "# jobferry in zsh: source <(jobferry completion zsh), after compinit\n"
           "_jobferry() {\n  local name=$words[2]\n  local -a first\n  first=(\n"
           "    'help:tells what a command does'\n");
    for (size_t i = 0; i < app->command_count; i++) {
        if (!is_repeated(app, i)) {
            printf("    '%s:", split_name(&app->commands[i]).first);
            print_quoted(app->commands[i].purpose, zsh_quote, ":\\");
            printf("'\n");
        }
    }
    printf("  )\n"
           "  if [[ $words[2] == -* ]]; then\n    name=run\n"
           "  elif (( CURRENT == 2 )); then\n    _describe command first\n    return\n"
           "  fi\n"
           "  case $name in\n"
           "    help) _describe command first; return ;;\n"
           "    completion) (( CURRENT == 3 )) && { compadd bash zsh fish; return } ;;\n");
    for (size_t i = 0; i < app->command_count; i++) {
        struct words words = split_name(&app->commands[i]);
        if (words.second[0] && !is_repeated(app, i)) {
            printf("    %s) (( CURRENT == 3 )) && { compadd", words.first);
            for (size_t j = i; j < app->command_count; j++) {
                struct words other = split_name(&app->commands[j]);
                if (strcmp(words.first, other.first) == 0) {
                    printf(" %s", other.second);
                }
            }
            printf("; return }; name=\"$words[2] $words[3]\"; shift words; (( CURRENT-- )) ;;\n");
        }
    }
    /* _arguments takes the first of words for the command's name */
    printf("  esac\n  [[ $words[2] == -* ]] || { shift words; (( CURRENT-- )) }\n"
           "  case $name in\n");
    for (size_t i = 0; i < app->command_count; i++) {
        print_zsh_command(&app->commands[i]);
    }
    printf("  esac\n}\n"
           "if [[ $funcstack[1] == _jobferry ]]; then\n  _jobferry \"$@\"\n"
           "else\n  compdef _jobferry jobferry\nfi\n");
}

/* ---- fish ----------------------------------------------------------------------------------- */

static const char fish_quote[] = "\\'";

static void print_fish_option(const struct option *option, const char *condition)
{
    printf("complete -c jobferry -n '%s' -l %s", condition, option->name);
    if (option->letter) {
        printf(" -s %c", option->letter);
    }
    if (option->choices && option->value) {
        printf(" -x -a '");
        print_choices(option->choices, " ");
        printf("'");
    } else if (option->value) {
        printf(" -r");
    }
    printf(" -d '");
    print_quoted(option->help, fish_quote, "\\");
    printf("'\n");
}

static void print_fish(const struct app *app)
{
    printf("# jobferry in fish: jobferry completion fish | source\n"
           "function __jobferry_is\n"
           "    set -l words (commandline -opc) ''\n"
           "    set -e words[1]\n"
           "    if string match -q -- '-*' $words[1]\n"
           "        or test (count $words) -eq 1; and string match -q -- '-*' (commandline -ct)\n"
           "        test \"$argv\" = run\n"
           "    else\n"
           "        test \"$words[1..\"(count $argv)\"]\" = \"$argv\"\n"
           "    end\n"
           "end\n"
           "complete -c jobferry -n __fish_use_subcommand -f -a help -d 'tells what a command "
           "does'\n"
           "complete -c jobferry -n '__jobferry_is completion' -f -a 'bash zsh fish'\n");
    for (size_t i = 0; i < app->command_count; i++) {
        const struct command *command = &app->commands[i];
        struct words words = split_name(command);
        char condition[96];
        if (!is_repeated(app, i)) {
            printf("complete -c jobferry -n __fish_use_subcommand -f -a %s -d '", words.first);
            print_quoted(command->purpose, fish_quote, "\\");
            printf("'\ncomplete -c jobferry -n '__jobferry_is help' -f -a %s\n", words.first);
        }
        if (words.second[0]) {
            printf("complete -c jobferry -n '__jobferry_is %s \"\"' -f -a %s -d '", words.first,
                   words.second);
            print_quoted(command->purpose, fish_quote, "\\");
            printf("'\n");
        }
        snprintf(condition, sizeof condition, "__jobferry_is %s", command->name);
        for (size_t j = 0; j < options_count; j++) {
            if (has_option(command, &options_table[j])) {
                print_fish_option(&options_table[j], condition);
            }
        }
    }
}

enum exit_code command_completion(struct app *app)
{
    static const struct {
        const char *shell;
        void (*print)(const struct app *app);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    const char *shell = app->arguments->positional_count == 1 ? app->arguments->positional[0] : "";
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(shells[i].shell, shell) == 0) {
            shells[i].print(app);
            return EXIT_DONE;
        }
    }
    return app_fail(app, EXIT_USAGE, "completion takes one of bash, zsh, fish");
}
