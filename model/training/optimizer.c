#include "model/training/optimizer.h"

#include <stdint.h>
#include <string.h>

#include "model/model_banned.h"

/* 1 for NaN and the infinities, whose exponent bits are all set; no branch, so loops vectorise. */
static uint32_t is_not_finite(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & UINT32_C(0x7f800000)) == UINT32_C(0x7f800000);
}

bool optimizer_step(const struct model_config *config, size_t count, const float *gradients,
                    float *moments, float *weights)
{
    float rate = config->learning_rate;
    float momentum = config->momentum;
    float decay = config->weight_decay * config->loss_scale;
    float unscale = 1.0f / config->loss_scale;
    uint32_t broken = 0;
    for (size_t i = 0; i < count; i++) {
        float g = gradients[i];
        /* Adding 0·w or multiplying by 1 would keep the bits, but not of an infinite w. */
        g = decay > 0.0f ? g + decay * weights[i] : g;
        g = g * unscale;
        float v = moments[i] * momentum + g;
        float change = config->use_nesterov ? g * rate + v * momentum * rate : v * rate;
        float w = weights[i] - change;
        moments[i] = v;
        weights[i] = w;
        broken |= is_not_finite(w);
    }
    return broken == 0;
}
