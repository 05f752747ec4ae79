/*
 * candidate.h - finding the checkpoint that a training could go on from.
 *
 * Newest means the highest cumulative step that verifies, among local files and the store's
 * manifests together; one that fails is named and passed over.
 */
#ifndef RUNNER_CANDIDATE_H
#define RUNNER_CANDIDATE_H

#include "runner/job/job.h"

/* A run on record, and the best checkpoint found for it. */
struct candidate {
    struct job *job;
    char run[MODEL_RUN_MAX + 1]; /* "" while no run is recorded */
    bool finished;
    uint64_t attempt;
    char path[JOB_PATH_MAX]; /* "": no checkpoint */
    struct model_state state;
    struct manifest manifest; /* the best that the store names below `below` */
    bool has_manifest;
    uint64_t below; /* cumulative steps that proved bad, and above, do not count */
};

/* Finds the newest run on record alone: run, finished and attempt. */
enum exit_code candidate_find_run(struct candidate *candidate);

void candidate_release(struct candidate *candidate);

/*
 * Finds the newest run on record, here and in the store, and its best checkpoint; what only the
 * store has is fetched into ckpt_dir. candidate->job is set, all else zero. No run, or a run
 * without a checkpoint, is no failure: run or path is then "".
 */
enum exit_code candidate_find_newest(struct candidate *candidate);

/*
 * A checkpoint by path or URL: path[JOB_PATH_MAX] gets where it lies here, below ckpt_dir as name
 * when it came from a store.
 */
enum exit_code candidate_fetch(struct job *job, const char *text, const char *name, char *path);

/* The checkpoint that --resume=FILE names; a URL is fetched first. */
enum exit_code candidate_find_named(struct candidate *candidate);

#endif
