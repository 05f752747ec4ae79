/*
 * checkpointer.h - what tests need of the checkpointer: its clocks.
 *
 * "When" is two questions: how long since the last save (a clock that never jumps), and how old a
 * file is (the wall clock, which file systems stamp with).
 */
#ifndef MODEL_CHECKPOINTER_H
#define MODEL_CHECKPOINTER_H

#include "model/model.h"

struct checkpointer_clock {
    double (*steady)(void *context); /* seconds since some moment */
    double (*wall)(void *context);   /* seconds since 1970 */
    void *context;
};

/* Replaces the system's clocks, and restarts both intervals from the new ones. */
void checkpointer_set_clock(struct model_callback *callback,
                            const struct checkpointer_clock *clock);

#endif
