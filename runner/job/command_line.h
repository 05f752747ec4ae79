/*
 * command_line.h - COMMAND's words: where it lies, what is replaced in them, what is added.
 *
 * Its arguments are those after `--` with {data_dir} {ckpt_dir} {output_dir} {resume_ckpt}
 * replaced, then --data_url and --train_url with local folders when asked for, then what jobferry
 * did not know of its own arguments, byte for byte.
 */
#ifndef RUNNER_COMMAND_LINE_H
#define RUNNER_COMMAND_LINE_H

#include "runner/options.h"

/* What the words may speak of; absolute paths. */
struct command_places {
    const char *data_dir, *ckpt_dir, *output_dir;
    const char *resume_ckpt; /* "": none */
};

/*
 * Takes --data_url and --train_url from among the words after `--`, where platforms put them, when
 * neither a flag nor the environment sets them; they are then ours and no longer COMMAND's. Bits of
 * the result: 1 data_url, 2 train_url.
 */
unsigned command_line_adopt(struct arguments *arguments, bool has_data, bool has_train);

/*
 * The words to start COMMAND with: a NULL-terminated array of the caller's (command_line_free).
 * NULL: no memory.
 */
char **command_line_build(const struct arguments *arguments, const struct command_places *places);
void command_line_free(char **words);

/*
 * Finds a command as a shell does: a name with a slash is a path, any other is looked for in PATH.
 * Returns 0, ENOENT (exit 127), or EACCES (126) when all that was found cannot be executed.
 */
int command_line_find(const char *name, char *path, size_t size);

#endif
