/* improvement.h - --monitor over the epochs: the best one's checkpoint, and an early end. */
#ifndef RUNNER_IMPROVEMENT_H
#define RUNNER_IMPROVEMENT_H

#include "runner/job/job.h"

struct improvement {
    struct model_early_stopping early;
    bool is_on;
};

void improvement_init(struct improvement *improvement, const struct settings *settings);

/*
 * After an epoch's evaluation: saves what is the best so far, asks the training to end when
 * patience is used up. metrics are NaN without test images: only --monitor=loss then works, said
 * once.
 */
enum model_code improvement_note(struct improvement *improvement, struct job *job,
                                 const struct model_progress *progress,
                                 const struct model_metrics *metrics, struct model_error *err);

#endif
