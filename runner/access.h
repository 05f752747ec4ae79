/*
 * access.h - from flags, environment and profile files to one side's struct storage_access.
 *
 * The order of design.md §4: flags; that side's environment (JOBFERRY_DATA_… or JOBFERRY_TRAIN_…);
 * --profile; AWS_…; OBS_…; moxing's names; profile files; anonymous. Key, secret and token always
 * come from one source, never mixed.
 */
#ifndef RUNNER_ACCESS_H
#define RUNNER_ACCESS_H

#include "runner/log.h"
#include "runner/profile.h"
#include "runner/settings.h"

enum side {
    SIDE_DATA, /* where things come from */
    SIDE_TRAIN /* where they go */
};

struct access {
    struct storage_access storage; /* texts borrowed from flags, environment and profile */
    const char *source;            /* where the keys came from, for people: "--ak", "anonymous" */
    struct profile profile;        /* owned */
    char endpoint[512];            /* when one had to be put together */
};

/*
 * Resolves one side. Returns EXIT_DONE, or the code of a failure it has logged: a key without its
 * secret (64), a profile that no file has (78).
 */
enum exit_code access_resolve(struct access *access, const struct settings *settings,
                              enum side side, struct log *log);
void access_release(struct access *access);

#endif
