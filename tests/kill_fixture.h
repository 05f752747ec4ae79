/*
 * kill_fixture.h - copies that die in the middle: a child process copies and is killed by its own
 * hand (SIGKILL) as soon as so many bytes are in, with its other threads wherever they are then.
 */
#ifndef KILL_FIXTURE_H
#define KILL_FIXTURE_H

#include "storage/storage.h"

/* One copy; places are opened in the child, and again for the next run. */
struct kill_run {
    const struct storage_config *config; /* of both places */
    const struct storage_config *to;     /* of the destination, where it differs */
    const char *source;                  /* URLs or paths */
    const char *destination;
    size_t part_size;
    unsigned workers;
    uint64_t die_at;               /* bytes; 0: never */
    uint64_t stop_at;              /* the same, but a stop */
    void (*meddle)(void *context); /* called at each progress; NULL: nothing */
    void *context;
};

/* What a run that lived came to. */
struct kill_result {
    enum storage_code code;
    struct storage_error err;
    struct storage_summary summary;
    enum storage_verified verified;
    unsigned failed; /* objects named as failed */
};

/* Runs in a child, which must die of it. */
void kill_run_and_die(const struct kill_run *run);
/* Runs here. */
struct kill_result kill_run(const struct kill_run *run);

/* The next of a row of numbers below limit, the same in every run. */
uint64_t kill_random(uint64_t *state, uint64_t limit);

#endif
