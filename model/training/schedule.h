/* schedule.h - a model's table of learning rates, for those who load one from a checkpoint. */
#ifndef MODEL_SCHEDULE_H
#define MODEL_SCHEDULE_H

#include "model/training/lenet.h"

enum {
    /* Rates of a table: 16 MiB, in memory and in every checkpoint. */
    SCHEDULE_STEPS_MAX = 1 << 22
};

/*
 * The model owns rates (malloc'ed) from here; NULL: its rate is config.learning_rate again. Beyond
 * its end the table's last rate goes on.
 */
void schedule_take(struct model *model, float *rates, size_t count, uint64_t step);

#endif
