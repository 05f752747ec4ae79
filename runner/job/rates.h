/* rates.h - --lr, --momentum and the schedule of learning rates, as options and checkpoints have
 * it. */
#ifndef RUNNER_RATES_H
#define RUNNER_RATES_H

#include "runner/job/job.h"

/* MindSpore's own defaults of lr and momentum where the options are silent. */
void rates_default(struct model_config *config, const struct arguments *arguments);

/*
 * Gives job->model its learning rate. A new run's is that of the options; a continued or extended
 * one's is the checkpoint's, loaded already, unless an option of it was given: then the options
 * are followed, a schedule from the run's beginning. One line says which. Bad values: EXIT_USAGE.
 */
enum exit_code rates_set(struct job *job, bool from_checkpoint);

#endif
