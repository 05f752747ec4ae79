/*
 * environment.h - which of our environment is secret, and what a child may see of it.
 *
 * /proc/PID/environ shows the block that the kernel made at our start, to every process of the same
 * user; and a child inherits ours. So the secrets are moved out of the former and left out of the
 * latter.
 */
#ifndef RUNNER_ENVIRONMENT_H
#define RUNNER_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Moves the environment to memory of our own and overwrites the secrets in the kernel's block with
 * 'x'; getenv goes on as before. Once, before any thread. False: no memory, nothing was changed.
 */
bool environment_hide(void);

/* Whether the variable of this name (up to '=' or the end) holds one of our secrets. */
bool environment_is_secret(const char *variable);

enum {
    ENVIRONMENT_ADDED_MAX = 1024
};

/* An environment for a child. */
struct environment {
    char **variables; /* NULL-terminated; owned, and so is each */
    size_t count, room;
};

/* Ours, without secrets unless with_secrets. False: no memory. */
bool environment_init(struct environment *environment, bool with_secrets);
/* Sets a variable, over one of the same name. False: no memory, or over ENVIRONMENT_ADDED_MAX. */
bool environment_set(struct environment *environment, const char *name, const char *value);
void environment_release(struct environment *environment);

#endif
