/*
 * runs.h - the local memory of runs: `<ckpt_dir>/.jobferry/run.json`.
 *
 * Only checkpoints of runs recorded here, or in the train_url, count for a resume: another job's
 * left-overs in the same folder never do. The file is small JSON, replaced atomically.
 */
#ifndef RUNNER_RUNS_H
#define RUNNER_RUNS_H

#include "model/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RUNS_MAX = 1000,
    PREFIX_MAX = 200
};

struct run_record {
    char run[MODEL_RUN_MAX + 1];
    char prefix[PREFIX_MAX + 1]; /* of its checkpoint files */
    char train_url[1200];        /* "" for `train` */
    uint64_t attempt;            /* starts of this run so far */
    int64_t started_ns;          /* when it was recorded here, ns since 1970 */
    bool finished;
};

struct runs {
    char path[4096];
    struct run_record *list; /* oldest first; owned */
    size_t count;
};

/*
 * Reads the file of a checkpoint folder. A missing file is no runs; one that is no JSON of ours is
 * too, and *damaged tells. Returns false without memory.
 */
bool runs_load(struct runs *runs, const char *ckpt_dir, bool *damaged);
void runs_release(struct runs *runs);

/* The record of a run, or NULL. */
struct run_record *runs_find(const struct runs *runs, const char *run);
/* The newest record with this train_url, or NULL. */
struct run_record *runs_newest(const struct runs *runs, const char *train_url);
/* Adds a record as of now (the oldest goes when there are RUNS_MAX); NULL without memory. */
struct run_record *runs_add(struct runs *runs, const struct run_record *record);
/* Writes the file, whole and durably or not at all. Returns 0 or errno. */
int runs_save(const struct runs *runs);

/*
 * When a run began in this folder, ns since 1970, by the clock that files get their times from. Of
 * a run that is not recorded here its name tells the second; 0: not a run's name.
 */
int64_t runs_started_ns(const struct runs *runs, const char *run);
/* A new run's name: UTC time and six random characters, "20261124T081500Z-k3f9qa". */
void runs_name(char *out, size_t size);

#endif
