/* optimizer_entries.c - what an optimizer's state is called in a checkpoint. */
#include "model/checkpoint/checkpoint.h"

#include "model/model_banned.h"

const struct optimizer_entries optimizer_entries[] = {
    [MODEL_MOMENTUM] = {.scalars = {"momentum"}, .blocks = {"moments"}},
    [MODEL_SGD] = {.scalars = {"momentum"}, .blocks = {"accum", "stat"}},
    [MODEL_ADAM] = {.scalars = {"beta1_power", "beta2_power"}, .blocks = {"moment1", "moment2"}},
};

const char *model_optimizer_name(enum model_optimizer optimizer)
{
    static const char *const names[] = {
        [MODEL_MOMENTUM] = "momentum", [MODEL_SGD] = "sgd", [MODEL_ADAM] = "adam"};
    return names[optimizer];
}

const float *optimizer_scalar(const struct model *model, size_t i)
{
    if (model->config.optimizer == MODEL_ADAM) {
        return i == 0 ? &model->beta1_power : &model->beta2_power;
    }
    return &model->config.momentum;
}

float *optimizer_block(const struct model *model, size_t i)
{
    return i == 0 ? model->moments : model->second;
}
