#include "model/training/optimizer.h"

#include <stdint.h>
#include <string.h>

#include "model/model_banned.h"

struct optimizer_rule optimizer_begin(const struct model *model)
{
    const struct model_config *config = &model->config;
    struct optimizer_rule rule = {
        .kind = config->optimizer,
        .is_nesterov = config->use_nesterov,
        .has_momentum = config->momentum > 0.0f,
        .rate = model_learning_rate(model),
        .momentum = config->momentum,
        .decay = config->weight_decay * config->loss_scale,
        .unscale = 1.0f / config->loss_scale,
        .damp = 1.0f - config->dampening,
        .beta1 = config->beta1,
        .rest1 = 1.0f - config->beta1,
        .rest2 = 1.0f - config->beta2,
        .eps = config->eps,
        .beta1_power = model->beta1_power,
        .beta2_power = model->beta2_power,
    };
    if (rule.kind == MODEL_ADAM) {
        rule.beta1_power *= config->beta1;
        rule.beta2_power *= config->beta2;
        rule.rate = rule.rate * sqrtf(1.0f - rule.beta2_power) / (1.0f - rule.beta1_power);
    }
    return rule;
}

void optimizer_end(struct model *model, const struct optimizer_rule *rule)
{
    model->beta1_power = rule->beta1_power;
    model->beta2_power = rule->beta2_power;
    model->global_step++;
}

/* 1 for NaN and the infinities, whose exponent bits are all set; no branch, so loops vectorise. */
static uint32_t is_not_finite(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & UINT32_C(0x7f800000)) == UINT32_C(0x7f800000);
}

bool optimizer_step(const struct optimizer_rule *rule, size_t count, const float *gradients,
                    float *first, float *second, float *weights)
{
    const struct optimizer_rule local = *rule; /* that no store to an array could change it */
    uint32_t broken = 0;
    switch (local.kind) {
    case MODEL_MOMENTUM:
        for (size_t i = 0; i < count; i++) {
            weights[i] = optimizer_momentum(&local, gradients[i], weights[i], &first[i]);
            broken |= is_not_finite(weights[i]);
        }
        break;
    case MODEL_SGD:
        for (size_t i = 0; i < count; i++) {
            weights[i] = optimizer_sgd(&local, gradients[i], weights[i], &first[i], &second[i]);
            broken |= is_not_finite(weights[i]);
        }
        break;
    case MODEL_ADAM:
        for (size_t i = 0; i < count; i++) {
            weights[i] = optimizer_adam(&local, gradients[i], weights[i], &first[i], &second[i]);
            broken |= is_not_finite(weights[i]);
        }
        break;
    }
    return broken == 0;
}
