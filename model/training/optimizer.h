/*
 * optimizer.h - MindSpore's nn.Momentum, nn.SGD and nn.Adam, and the rates of a step.
 *
 * Float32 throughout, in the order of MindSpore's own operations (nn/optim/{momentum,sgd,adam}.py
 * and the CPU kernels behind them; tests/mindspore/make_optimizers.py holds ours against those):
 *
 *   all        g += weight_decay · loss_scale · w    (when weight_decay > 0; biases too)
 *              g *= 1 / loss_scale                   (when loss_scale is not 1)
 *   Momentum   v = momentum · v + g
 *              w -= rate · v,  with use_nesterov  w -= rate·g + momentum·v·rate
 *              (MindSpore's CPU kernel alone ignores use_nesterov; this is what it documents)
 *   SGD        momentum 0: w -= rate · g. Else a = g at a tensor's first step, then
 *              a = momentum · a + (1 - dampening) · g
 *              w -= rate · a,  with use_nesterov  w -= rate · (g + momentum · a)
 *   Adam       b1 *= beta1, b2 *= beta2 (from 1);  r = rate · sqrt(1 - b2) / (1 - b1)
 *              m += (g - m) · (1 - beta1);  v += (g·g - v) · (1 - beta2)
 *              w -= r · m / (sqrt(v) + eps),  with use_nesterov m · beta1 + (1 - beta1) · g for m
 *
 * A step is: optimizer_begin, optimizer_step over every part of the parameters in whatever split
 * (each parameter is on its own, so any split gives the same bits), optimizer_end.
 */
#ifndef MODEL_OPTIMIZER_H
#define MODEL_OPTIMIZER_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "model/training/lenet.h"

/* What is the same for all parameters of one step. */
struct optimizer_rule {
    enum model_optimizer kind;
    bool is_nesterov;
    bool has_momentum; /* SGD */
    float rate;        /* Adam: corrected for the moments' start at 0 */
    float momentum;
    float decay;                    /* weight_decay · loss_scale */
    float unscale;                  /* 1 / loss_scale */
    float damp;                     /* SGD: 1 - dampening */
    float beta1, rest1, rest2, eps; /* Adam: rest is 1 - beta */
    float beta1_power, beta2_power; /* Adam: after the step */
};

/* The rule of the model's next step. */
struct optimizer_rule optimizer_begin(const struct model *model);

/*
 * One step over count parameters; gradients are of loss · loss_scale. first and second are the
 * optimizer's state (struct model); Momentum leaves second alone. Returns whether every new weight
 * is finite.
 */
bool optimizer_step(const struct optimizer_rule *rule, size_t count, const float *gradients,
                    float *first, float *second, float *weights);

/* The step was taken: the model's counters and powers move on. */
void optimizer_end(struct model *model, const struct optimizer_rule *rule);

/* ---- one parameter: for kernels that update while the gradient is in a register -------------- */

static inline float optimizer_gradient(const struct optimizer_rule *rule, float g, float w)
{
    /* Adding 0·w or multiplying by 1 would keep the bits, but not of an infinite w. */
    g = rule->decay > 0.0f ? g + rule->decay * w : g;
    return g * rule->unscale;
}

/* Each returns the new weight. */
static inline float optimizer_momentum(const struct optimizer_rule *rule, float gradient, float w,
                                       float *moment)
{
    float g = optimizer_gradient(rule, gradient, w);
    float v = *moment * rule->momentum + g;
    *moment = v;
    return w -
           (rule->is_nesterov ? g * rule->rate + v * rule->momentum * rule->rate : v * rule->rate);
}

/* stat is 1 until the parameter's first step with momentum, then 0. */
static inline float optimizer_sgd(const struct optimizer_rule *rule, float gradient, float w,
                                  float *accum, float *stat)
{
    float g = optimizer_gradient(rule, gradient, w);
    float next = *stat > 0.0f ? g : *accum * rule->momentum + rule->damp * g;
    float a = rule->has_momentum ? next : *accum;
    *accum = a;
    *stat = rule->has_momentum ? 0.0f : *stat;
    float along = rule->is_nesterov ? g + rule->momentum * a : a;
    return w - rule->rate * (rule->has_momentum ? along : g);
}

static inline float optimizer_adam(const struct optimizer_rule *rule, float gradient, float w,
                                   float *moment1, float *moment2)
{
    float g = optimizer_gradient(rule, gradient, w);
    float m = *moment1 + (g - *moment1) * rule->rest1;
    float v = *moment2 + (g * g - *moment2) * rule->rest2;
    *moment1 = m;
    *moment2 = v;
    float along = rule->is_nesterov ? m * rule->beta1 + rule->rest1 * g : m;
    return w - rule->rate * along / (sqrtf(v) + rule->eps);
}

#endif
