/*
 * schedule.c - learning rates that change: one rate a step, as a table, which is what MindSpore's
 * optimizers hold ("learning_rate" [steps], indexed by "global_step") and a checkpoint tells.
 *
 * Formulas: nn.WarmUpLR, nn.ExponentialDecayLR with is_stair, nn.CosineDecayLR
 * (nn/learning_rate_schedule.py). A decay begins to count when the warm-up is over.
 */
#include "model/training/schedule.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "model/model_error.h"

#include "model/model_banned.h"

static double rate_at(const struct model_schedule *schedule, double rate, uint64_t step)
{
    static const double pi = 3.14159265358979323846;
    if (step < schedule->warmup_steps) {
        return rate * (double)step / (double)schedule->warmup_steps;
    }
    step -= schedule->warmup_steps;
    switch (schedule->kind) {
    case MODEL_SCHEDULE_CONSTANT:
        break;
    case MODEL_SCHEDULE_STEP:
        return rate * pow((double)schedule->decay_rate,
                          floor((double)step / (double)schedule->decay_steps));
    case MODEL_SCHEDULE_COSINE: {
        double least = (double)schedule->min_lr;
        double done =
            step < schedule->decay_steps ? (double)step / (double)schedule->decay_steps : 1.0;
        return least + 0.5 * (rate - least) * (1.0 + cos(done * pi));
    }
    }
    return rate;
}

static enum model_code check(const struct model_schedule *schedule, float rate, uint64_t steps,
                             struct model_error *err)
{
    if (steps < 1 || steps > SCHEDULE_STEPS_MAX) {
        return model_fail(err, MODEL_ARGUMENT,
                          "a schedule of learning rates has 1 to %d steps, not %" PRIu64,
                          SCHEDULE_STEPS_MAX, steps);
    }
    if (schedule->kind != MODEL_SCHEDULE_CONSTANT && schedule->decay_steps == 0) {
        return model_fail(err, MODEL_ARGUMENT, "decay_steps is 0; it must be at least 1");
    }
    if (schedule->kind == MODEL_SCHEDULE_STEP &&
        !(isfinite(schedule->decay_rate) && schedule->decay_rate > 0.0f)) {
        return model_fail(err, MODEL_ARGUMENT,
                          "decay_rate is %g; it must be finite and more than 0",
                          (double)schedule->decay_rate);
    }
    if (schedule->kind == MODEL_SCHEDULE_COSINE &&
        !(schedule->min_lr >= 0.0f && schedule->min_lr < rate)) {
        return model_fail(err, MODEL_ARGUMENT,
                          "min_lr is %g; it must be at least 0 and less than the learning rate, %g",
                          (double)schedule->min_lr, (double)rate);
    }
    return MODEL_OK;
}

enum model_code model_set_schedule(struct model *model, const struct model_schedule *schedule,
                                   float learning_rate, uint64_t steps, uint64_t step,
                                   struct model_error *err)
{
    enum model_code code = check(schedule, learning_rate, steps, err);
    if (code != MODEL_OK) {
        return code;
    }
    float *rates = calloc((size_t)steps, sizeof *rates);
    if (!rates) {
        return model_fail(err, MODEL_BUG, "making the schedule of learning rates: no memory");
    }
    for (uint64_t i = 0; i < steps; i++) {
        rates[i] = (float)rate_at(schedule, (double)learning_rate, i);
    }
    schedule_take(model, rates, (size_t)steps, step);
    return MODEL_OK;
}

void schedule_take(struct model *model, float *rates, size_t count, uint64_t step)
{
    free(model->rates);
    model->rates = rates;
    model->rate_count = count;
    model->global_step = step;
}

float model_learning_rate(const struct model *model)
{
    if (!model->rates) {
        return model->config.learning_rate;
    }
    uint64_t last = model->rate_count - 1;
    return model->rates[model->global_step < last ? model->global_step : last];
}

bool model_has_schedule(const struct model *model)
{
    return model->rates != NULL;
}

void model_set_learning_rate(struct model *model, float learning_rate)
{
    schedule_take(model, NULL, 0, model->global_step);
    model->config.learning_rate = learning_rate;
}

void model_set_momentum(struct model *model, float momentum)
{
    model->config.momentum = momentum;
}

float model_momentum(const struct model *model)
{
    return model->config.momentum;
}
