/* optimizer.h - Momentum as MindSpore's nn.Momentum. */
#ifndef MODEL_OPTIMIZER_H
#define MODEL_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "model/model.h"

/*
 * One step over count parameters, in MindSpore's order, float32 throughout:
 *   g += weight_decay · loss_scale · w      (when weight_decay > 0; biases too)
 *   g *= 1 / loss_scale                     (when loss_scale is not 1)
 *   v  = momentum · v + g                   (no dampening)
 *   w -= learning_rate · v,  or with use_nesterov  w -= learning_rate·g + momentum·v·learning_rate
 * gradients are of loss · loss_scale. Each parameter is on its own, so any split of the block gives
 * the same bits. Returns whether every new weight is finite.
 */
bool optimizer_step(const struct model_config *config, size_t count, const float *gradients,
                    float *moments, float *weights);

#endif
