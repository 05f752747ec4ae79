/*
 * history.h - what a training has told of itself over all its starts: the loss of its steps, the
 * accuracy of its evaluations, and where it was begun or gone on with. Curves are drawn from it.
 *
 * It lives in memory and, so that a later start goes on with the same curve, in a file of lines:
 *
 *   {"history":1,"loss_every":1,"acc_every":1}     the first
 *   {"run":"20261124T081500Z-k3f9qa","step":0}     a start: steps count over runs that extend one
 * another
 *   {"step":1,"loss":2.3021}
 *   {"step":1875,"acc":0.9761}
 *
 * A series holds HISTORY_MAX points at most; when it is full, points nearer to one another than
 * twice as many steps are dropped. So a history is the same whether its training was cut off or
 * not. A line that is not one of these, as a death leaves at the end, is passed over.
 */
#ifndef MODEL_HISTORY_H
#define MODEL_HISTORY_H

#include "model/model.h"

enum {
    HISTORY_MAX = 4096, /* points of a series */
    HISTORY_STARTS_MAX = 256
};

struct history_point {
    uint64_t step; /* cumulative */
    double value;
};

struct history_series {
    struct history_point points[HISTORY_MAX]; /* steps rise */
    size_t count;
    uint64_t every; /* steps between points, at least */
};

struct history_start {
    uint64_t step; /* done before it */
    char run[MODEL_RUN_MAX + 1];
};

struct history {
    struct history_series losses, accuracies;
    struct history_start starts[HISTORY_STARTS_MAX]; /* the newest; the last is this training's */
    size_t start_count;
};

/* Adds a point behind the last; *thinned gets whether room had to be made. */
void history_add(struct history_series *series, uint64_t step, double value, bool *thinned);

#endif
