/*
 * cleanup_checkpoints.h - `jobferry cleanup --checkpoints --keep_remote=RULES URL`: which
 * checkpoints of a train_url would go, or with --yes go, by the rules that a job follows
 * (runner/job/retention.h), for each run.
 */
#ifndef RUNNER_CLEANUP_CHECKPOINTS_H
#define RUNNER_CLEANUP_CHECKPOINTS_H

#include "runner/app.h"

/* The command's one word is the train_url. With --yes its lock is held meanwhile. */
enum exit_code cleanup_checkpoints(struct app *app);

#endif
