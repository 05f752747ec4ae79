/* max(x, 0). */
#include "model/layers/layers.h"

#include "model/model_banned.h"

void relu_forward(size_t count, float *values)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = values[i] < 0.0f ? 0.0f : values[i];
    }
}

void relu_backward(size_t count, const float *values, float *gradient)
{
    for (size_t i = 0; i < count; i++) {
        gradient[i] = values[i] > 0.0f ? gradient[i] : 0.0f;
    }
}
