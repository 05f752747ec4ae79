/* saving.h - CheckpointConfig's options, checked and as the model takes them. */
#ifndef RUNNER_SAVING_H
#define RUNNER_SAVING_H

#include "runner/job/job.h"

/*
 * What MindSpore refuses is refused here (EXIT_USAGE, one line), before anything is fetched; and
 * what it ignores in silence gets one line of warning.
 */
enum exit_code saving_check(struct app *app);

/* folder, prefix, on_saved and context are the caller's. */
struct model_checkpointing saving_options(const struct settings *settings, int64_t steps_per_epoch);

#endif
