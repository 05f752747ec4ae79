/*
 * changes.h - settings that differ from those a checkpoint was trained with (design.md §6).
 *
 * What changes the bits of the rest of the training is compared: batch size, seed, data, kernels,
 * and what the optimizer in use goes by. Left out are --threads, which change nothing; --init,
 * whose work is done; and the learning rate with its schedule, which a resume may set anew. Another
 * optimizer is refused when its state is loaded.
 */
#ifndef RUNNER_CHANGES_H
#define RUNNER_CHANGES_H

#include "runner/job/job.h"

/*
 * state is of the checkpoint that was just loaded into job->model. Differences are EXIT_CONFIG,
 * naming each with both values, or with --allow_change a warning of the same words. Settings that
 * an older checkpoint does not tell count as unchanged.
 */
enum exit_code changes_check(struct job *job, const struct model_state *state);

#endif
