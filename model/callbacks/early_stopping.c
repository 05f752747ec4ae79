/*
 * early_stopping.c - MindSpore's EarlyStopping (train/callback/_early_stop.py): a value is better
 * when it passes the best so far by more than min_delta; patience epochs in a row without one end
 * the training.
 */
#include "model/model.h"

#include <math.h>

#include "model/model_banned.h"

void model_early_stopping_init(struct model_early_stopping *watch)
{
    watch->best = watch->larger_is_better ? -HUGE_VAL : HUGE_VAL;
    watch->wait = 0;
}

bool model_early_stopping_update(struct model_early_stopping *watch, double value, bool *is_best)
{
    double delta = fabs(watch->min_delta);
    *is_best = watch->larger_is_better ? value > watch->best + delta : value < watch->best - delta;
    watch->wait++;
    if (*is_best) {
        watch->best = value;
        watch->wait = 0;
    }
    return watch->patience > 0 && watch->wait >= watch->patience;
}
