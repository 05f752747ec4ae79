/*
 * options.h - one table of options; parsing, defaults and help all come from it.
 *
 * Long options take `--name=value` and `--name value`, and both `-` and `_` in names. Switches
 * take no following word, `--name=0|1` is allowed. Secrets are marked, so that they can be wiped
 * from argv and left out of reports.
 */
#ifndef RUNNER_OPTIONS_H
#define RUNNER_OPTIONS_H

#include "runner/settings.h"

#include <stdio.h>

/* Which commands take an option: a set of these bits. */
enum command_bit {
    FOR_RUN = 1 << 0,
    FOR_TRAIN = 1 << 1,
    FOR_EVAL = 1 << 2,
    FOR_INFER = 1 << 3,
    FOR_CP = 1 << 4,
    FOR_LS = 1 << 5,
    FOR_STAT = 1 << 6,
    FOR_CAT = 1 << 7,
    FOR_PUT = 1 << 8,
    FOR_RM = 1 << 9,
    FOR_MB = 1 << 10,
    FOR_CKPT = 1 << 11,
    FOR_DIGITS = 1 << 12,
    FOR_DU = 1 << 13,
    FOR_COMPLETION = 1 << 14,
    FOR_CHECK = (1 << 15) | FOR_RUN, /* takes what run takes, and --json */
    FOR_MV = 1 << 20,
    FOR_PRESIGN = 1 << 21,
    FOR_SYNC = 1 << 22,
    FOR_CLEANUP = 1 << 24,
    FOR_DIFF = 1 << 26,
    FOR_CONVERT = 1 << 27
};

enum option_kind {
    OPTION_TEXT,
    OPTION_LIST, /* struct text_list: may be given several times */
    OPTION_SWITCH,
    OPTION_COUNT,   /* uint64_t */
    OPTION_INTEGER, /* int64_t */
    OPTION_REAL,    /* double */
    OPTION_SIZE,    /* uint64_t: bytes, as 64MiB, 8M or 1073741824 */
    OPTION_CHOICE   /* text, one of `choices` */
};

struct option {
    const char *name; /* with underscores */
    char letter;      /* short form, or 0 */
    enum option_kind kind;
    size_t offset;           /* in struct settings */
    unsigned commands;       /* set of command_bit */
    const char *value;       /* what the help calls the value; NULL for switches */
    const char *fallback;    /* the default, as text; NULL: none */
    const char *choices;     /* "a|b|c" for OPTION_CHOICE */
    double minimum, maximum; /* for numbers */
    bool secret;
    const char *help;
};

/* The table and its length. */
extern const struct option options_table[];
extern const size_t options_count;

enum {
    OPTIONS_MAX = 256,
    ARGUMENTS_MAX = 4096
};

/* What a command line came to. Pointers are into argv. */
struct arguments {
    struct settings settings;
    bool given[OPTIONS_MAX];               /* by index in options_table */
    const char *positional[ARGUMENTS_MAX]; /* words that are no options */
    size_t positional_count;
    char *unknown[ARGUMENTS_MAX]; /* `run` only: kept byte for byte, in order */
    size_t unknown_count;
    char **after_dashes; /* what follows `--`, NULL when there is none */
    size_t after_dashes_count;
};

/*
 * Parses argv[0..argc) for one command. keep_unknown collects unknown options and words in
 * `unknown` (argparse's parse_known_args) instead of refusing them. Returns false after writing
 * one line without newline to message: an unknown option with the nearest known one, a missing or
 * bad value.
 */
bool options_parse(struct arguments *arguments, enum command_bit command, int argc, char **argv,
                   bool keep_unknown, char *message, size_t message_size);

/* Whether the option of this name was on the command line. */
bool options_given(const struct arguments *arguments, const char *name);

/* Prints the options of a command, one or two lines each. */
void options_print_help(FILE *out, enum command_bit command);

/*
 * Overwrites every secret's value in argv with 'x', so that `ps` does not show it; parse a copy of
 * argv before. Returns whether there was one.
 */
bool options_hide_secrets(int argc, char **argv);

#endif
