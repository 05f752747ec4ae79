/*
 * The network composed of the layers, one after the other: im2col + sgemm, convolutions an image at
 * a time (their columns then stay in cache), the fully connected layers for the whole block.
 *
 * The lab has relu before the pooling; here it comes after. The bits are the same: the maximum of
 * clamped values is the clamped maximum, and where windows tie at or below zero, relu's gradient
 * is 0 whichever of them is taken. It is a quarter of the work and the unpooled maps need not be
 * kept.
 */
#include "model/training/lenet.h"

#include <assert.h>
#include <string.h>

#include "model/data/dataset.h"
#include "model/layers/layers.h"

#include "model/model_banned.h"

static const struct conv_shape conv1 = {
    .channels = 1, .height = 32, .width = 32, .outputs = 6, .kernel = 5};
static const struct conv_shape conv2 = {
    .channels = 6, .height = 14, .width = 14, .outputs = 16, .kernel = 5};

enum {
    MAP1 = 6 * 28 * 28,
    POOL1 = 6 * 14 * 14,
    MAP2 = 16 * 10 * 10,
    POOL2 = 16 * 5 * 5,
    COLUMNS = 1 * 5 * 5 * 28 * 28 /* conv1's; conv2's 150 × 100 are fewer */
};
_Static_assert(COLUMNS >= 6 * 5 * 5 * 10 * 10, "one buffer serves both convolutions");

struct workspace {
    float inputs[LENET_BLOCK][LENET_INPUTS];
    /* Kept for the way back. */
    float pool1[LENET_BLOCK][POOL1];
    float pool2[LENET_BLOCK][POOL2];
    uint8_t where1[LENET_BLOCK][POOL1];
    uint8_t where2[LENET_BLOCK][POOL2];
    float fc1[LENET_BLOCK][120];
    float fc2[LENET_BLOCK][84];
    float logits[LENET_BLOCK * MODEL_CLASSES_MAX]; /* [][classes] */
    double losses[LENET_BLOCK];

    float d_logits[LENET_BLOCK * MODEL_CLASSES_MAX];
    float d_fc2[LENET_BLOCK][84];
    float d_fc1[LENET_BLOCK][120];
    float d_pool2[LENET_BLOCK][POOL2];
    float d_pool1[POOL1];

    /* Of one image. */
    float map[MAP1]; /* a convolution's result, or the gradient by it */
    float columns[COLUMNS];
    float scratch[COLUMNS];
};

static void forward(size_t classes, const struct lenet_parameters *w, const float *inputs,
                    size_t count, float *logits, struct workspace *s)
{
    assert(count >= 1 && count <= LENET_BLOCK);
    for (size_t i = 0; i < count; i++) {
        conv_columns(&conv1, inputs + i * LENET_INPUTS, s->columns);
        conv_forward(&conv1, w->conv1_weight, s->columns, s->map);
        pool_forward(6, 28, 28, s->map, s->pool1[i], s->where1[i]);
        relu_forward(POOL1, s->pool1[i]);

        conv_columns(&conv2, s->pool1[i], s->columns);
        conv_forward(&conv2, w->conv2_weight, s->columns, s->map);
        pool_forward(16, 10, 10, s->map, s->pool2[i], s->where2[i]);
        relu_forward(POOL2, s->pool2[i]);
    }
    dense_forward(count, POOL2, 120, s->pool2[0], w->fc1_weight, w->fc1_bias, s->fc1[0]);
    dense_forward(count, 120, 84, s->fc1[0], w->fc2_weight, w->fc2_bias, s->fc2[0]);
    dense_forward(count, 84, classes, s->fc2[0], w->fc3_weight, w->fc3_bias, logits);
}

/* From the gradient by the logits in the workspace to those by all weights. */
static void backward(size_t classes, const struct lenet_parameters *w, const float *inputs,
                     size_t count, const struct lenet_parameters *d, struct workspace *s)
{
    dense_backward(count, 84, classes, s->fc2[0], w->fc3_weight, s->d_logits, d->fc3_weight,
                   d->fc3_bias, s->d_fc2[0]);
    dense_backward(count, 120, 84, s->fc1[0], w->fc2_weight, s->d_fc2[0], d->fc2_weight,
                   d->fc2_bias, s->d_fc1[0]);
    dense_backward(count, POOL2, 120, s->pool2[0], w->fc1_weight, s->d_fc1[0], d->fc1_weight,
                   d->fc1_bias, s->d_pool2[0]);
    relu_backward(count * POOL2, s->pool2[0], s->d_pool2[0]);

    for (size_t i = 0; i < count; i++) {
        bool add = i > 0;
        pool_backward(16, 10, 10, s->d_pool2[i], s->where2[i], s->map);
        conv_columns(&conv2, s->pool1[i], s->columns);
        conv_backward_weight(&conv2, s->map, s->columns, add, d->conv2_weight);
        conv_backward_data(&conv2, w->conv2_weight, s->map, s->scratch, s->d_pool1);

        relu_backward(POOL1, s->pool1[i], s->d_pool1);
        pool_backward(6, 28, 28, s->d_pool1, s->where1[i], s->map);
        conv_columns(&conv1, inputs + i * LENET_INPUTS, s->columns);
        conv_backward_weight(&conv1, s->map, s->columns, add, d->conv1_weight);
    }
}

/* ---- struct lenet_kernels ---------------------------------------------------------------------
 */

enum {
    /* Parameters put together at a time: a few dozen pieces, all in cache. */
    PIECE = 2048
};

/* The block's gradients. */
struct slot {
    _Alignas(64) float gradients[(LENET_PARAMETERS_MAX + 15) / 16 * 16];
};

static void rescale(const uint8_t *const *images, size_t count, struct workspace *s)
{
    for (size_t i = 0; i < count; i++) {
        dataset_rescale(images[i], s->inputs[i]);
    }
}

void lenet_reference_logits(const struct lenet_shape *shape, const float *parameters,
                            const float *inputs, size_t count, float *logits, void *workspace)
{
    struct lenet_parameters w = lenet_point_at(shape, parameters);
    forward(shape->classes, &w, inputs, count, logits, workspace);
}

static void reference_forward(const struct lenet_shape *shape, const float *parameters,
                              const uint8_t *const *images, size_t count, float *logits,
                              void *workspace)
{
    struct workspace *s = workspace;
    rescale(images, count, s);
    lenet_reference_logits(shape, parameters, s->inputs[0], count, logits, s);
}

static double reference_train(const struct lenet_shape *shape, const float *parameters,
                              const uint8_t *const *images, const uint8_t *labels, size_t count,
                              float scale, void *to, void *workspace)
{
    struct workspace *s = workspace;
    struct slot *slot = to;
    struct lenet_parameters w = lenet_point_at(shape, parameters);
    struct lenet_parameters d = lenet_point(shape, slot->gradients);
    rescale(images, count, s);
    forward(shape->classes, &w, s->inputs[0], count, s->logits, s);
    loss_forward(count, shape->classes, s->logits, labels, s->losses);
    loss_backward(count, shape->classes, s->logits, labels, scale, s->d_logits);
    backward(shape->classes, &w, s->inputs[0], count, &d, s);
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += s->losses[i];
    }
    return sum;
}

static size_t reference_pieces(const struct lenet_shape *shape)
{
    return (shape->parameters + PIECE - 1) / PIECE;
}

static struct lenet_piece reference_piece(const struct lenet_shape *shape, size_t index)
{
    size_t offset = index * PIECE;
    size_t left = shape->parameters - offset;
    return (struct lenet_piece){offset, left < PIECE ? left : PIECE};
}

static void reference_gather(const struct lenet_shape *shape, const void *from, size_t slot_count,
                             size_t index, bool add, float *gradients)
{
    const struct slot *slots = from;
    struct lenet_piece piece = reference_piece(shape, index);
    float *sum = gradients + piece.offset;
    size_t slot = 0;
    if (!add) {
        memcpy(sum, slots[slot++].gradients + piece.offset, piece.count * sizeof *sum);
    }
    for (; slot < slot_count; slot++) {
        const float *more = slots[slot].gradients + piece.offset;
        for (size_t i = 0; i < piece.count; i++) {
            sum[i] += more[i];
        }
    }
}

const struct lenet_kernels lenet_reference = {
    .name = "reference",
    .workspace_size = sizeof(struct workspace),
    .slot_size = sizeof(struct slot),
    .pieces = reference_pieces,
    .piece = reference_piece,
    .forward = reference_forward,
    .train = reference_train,
    .gather = reference_gather,
};
