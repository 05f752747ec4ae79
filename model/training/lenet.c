#include "model/training/lenet.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "model/base/random.h"

#include "model/model_banned.h"

enum {
    CONV1 = 6 * 1 * 5 * 5,
    CONV2 = 16 * 6 * 5 * 5,
    FC1 = 120 * 400,
    HIDDEN2 = 84,
    FC2 = HIDDEN2 * 120,
    FC3 = MODEL_CLASSES * HIDDEN2,
    AT_CONV1 = 0,
    AT_CONV2 = AT_CONV1 + CONV1,
    AT_FC1 = AT_CONV2 + CONV2,
    AT_FC1_BIAS = AT_FC1 + FC1,
    AT_FC2 = AT_FC1_BIAS + 120,
    AT_FC2_BIAS = AT_FC2 + FC2,
    AT_FC3 = AT_FC2_BIAS + 84,
    AT_FC3_BIAS = AT_FC3 + FC3
};
_Static_assert(AT_FC3_BIAS + MODEL_CLASSES == LENET_PARAMETERS, "the tensors fill the block");

const struct lenet_tensor lenet_tensors[LENET_TENSORS] = {
    {"conv1.weight", 4, {6, 1, 5, 5}, AT_CONV1, CONV1},
    {"conv2.weight", 4, {16, 6, 5, 5}, AT_CONV2, CONV2},
    {"fc1.weight", 2, {120, 400}, AT_FC1, FC1},
    {"fc1.bias", 1, {120}, AT_FC1_BIAS, 120},
    {"fc2.weight", 2, {84, 120}, AT_FC2, FC2},
    {"fc2.bias", 1, {84}, AT_FC2_BIAS, 84},
    {"fc3.weight", 2, {MODEL_CLASSES, 84}, AT_FC3, FC3},
    {"fc3.bias", 1, {MODEL_CLASSES}, AT_FC3_BIAS, MODEL_CLASSES},
};

void lenet_shape_init(struct lenet_shape *shape, size_t classes)
{
    assert(classes >= 1 && classes <= MODEL_CLASSES_MAX);
    shape->classes = classes;
    memcpy(shape->tensors, lenet_tensors, sizeof shape->tensors);
    struct lenet_tensor *weight = &shape->tensors[LENET_TENSORS - 2];
    struct lenet_tensor *bias = &shape->tensors[LENET_TENSORS - 1];
    weight->dims[0] = (int64_t)classes;
    weight->count = classes * HIDDEN2;
    bias->dims[0] = (int64_t)classes;
    bias->count = classes;
    bias->offset = weight->offset + weight->count;
    shape->parameters = bias->offset + bias->count;
}

struct lenet_parameters lenet_point(const struct lenet_shape *shape, float *block)
{
    return (struct lenet_parameters){
        .conv1_weight = block + AT_CONV1,
        .conv2_weight = block + AT_CONV2,
        .fc1_weight = block + AT_FC1,
        .fc1_bias = block + AT_FC1_BIAS,
        .fc2_weight = block + AT_FC2,
        .fc2_bias = block + AT_FC2_BIAS,
        .fc3_weight = block + AT_FC3,
        .fc3_bias = block + shape->tensors[LENET_TENSORS - 1].offset,
    };
}

struct lenet_parameters lenet_point_at(const struct lenet_shape *shape, const float *block)
{
    return lenet_point(shape, (float *)(uintptr_t)block);
}

/* Inputs of one neuron; those of a bias are its weight's, which stands before it. */
static double fan_in(const struct lenet_tensor *tensor)
{
    const struct lenet_tensor *weight = tensor->rank == 1 ? tensor - 1 : tensor;
    return (double)weight->count / (double)weight->dims[0];
}

static float draw(struct random *random, const struct lenet_tensor *tensor, enum model_init init)
{
    if (init == MODEL_HE_UNIFORM) {
        return (float)((2.0 * random_uniform(random) - 1.0) / sqrt(fan_in(tensor)));
    }
    return tensor->rank == 1 ? 0.0f : (float)random_normal(random, 0.01);
}

void lenet_draw(const struct lenet_shape *shape, float *block, uint64_t seed, enum model_init init)
{
    for (size_t t = 0; t < LENET_TENSORS; t++) {
        const struct lenet_tensor *tensor = &shape->tensors[t];
        struct random random;
        random_init(&random, seed, RANDOM_STREAM_WEIGHTS + t);
        for (size_t i = 0; i < tensor->count; i++) {
            block[tensor->offset + i] = draw(&random, tensor, init);
        }
    }
}
