#include "model/training/blocks.h"

#include <assert.h>
#include <math.h>

#include "model/base/threads.h"
#include "model/training/optimizer.h"

#include "model/model_banned.h"

enum {
    PIECES_MAX = 64
};

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t blocks_of(size_t count)
{
    return (count + LENET_BLOCK - 1) / LENET_BLOCK;
}

/* ---- training ------------------------------------------------------------------------------- */

/*
 * A batch goes in rounds of at most LENET_ROUND blocks; the gradients of a later round are added to
 * those of the rounds before. Every sum is over the blocks in their order, whatever the size of a
 * round.
 */
struct step {
    struct model *model;
    struct optimizer_rule rule;
    const struct model_dataset *dataset;
    const uint32_t *samples;
    size_t count;
    size_t first_block; /* of the round */
    size_t blocks;      /* of the round */
    bool is_last_round;
    double losses[LENET_ROUND]; /* a block's sum of losses */
    bool is_finite[PIECES_MAX];
};

static void train_block(void *context, size_t index, unsigned thread)
{
    struct step *step = context;
    const struct model *model = step->model;
    size_t start = (step->first_block + index) * LENET_BLOCK;
    size_t count = lesser(LENET_BLOCK, step->count - start);
    const uint8_t *images[LENET_BLOCK];
    uint8_t labels[LENET_BLOCK];
    for (size_t i = 0; i < count; i++) {
        size_t sample = step->samples[start + i];
        images[i] = dataset_pixels(step->dataset, sample);
        labels[i] = model_dataset_label(step->dataset, sample);
    }
    float scale = model->config.loss_scale / (float)step->count;
    char *slot = (char *)model->slots + index * model->kernels->slot_size;
    step->losses[index] = model->kernels->train(&model->shape, model->weights, images, labels,
                                                count, scale, slot, model->workspaces[thread]);
}

/* Puts one piece of the gradient together; after the last round updates its parameters. */
static void finish_piece(void *context, size_t index, unsigned thread)
{
    (void)thread;
    struct step *step = context;
    struct model *model = step->model;
    model->kernels->gather(&model->shape, model->slots, step->blocks, index, step->first_block > 0,
                           model->gradients);
    if (step->is_last_round) {
        struct lenet_piece piece = model->kernels->piece(&model->shape, index);
        step->is_finite[index] =
            optimizer_step(&step->rule, piece.count, model->gradients + piece.offset,
                           model->moments + piece.offset, model->second + piece.offset,
                           model->weights + piece.offset);
    }
}

bool blocks_train(struct model *model, const struct model_dataset *dataset, const uint32_t *samples,
                  size_t count, float *loss)
{
    assert(count >= 1);
    struct step step = {.model = model, .dataset = dataset, .samples = samples, .count = count};
    step.rule = optimizer_begin(model);
    size_t pieces = model->kernels->pieces(&model->shape);
    assert(pieces <= PIECES_MAX);
    double loss_sum = 0.0;
    for (size_t left = blocks_of(count); left > 0; left -= step.blocks) {
        step.blocks = lesser(left, LENET_ROUND);
        workers_run(model->workers, train_block, &step, step.blocks);
        for (size_t i = 0; i < step.blocks; i++) {
            loss_sum += step.losses[i];
        }
        *loss = (float)(loss_sum / (double)count);
        step.is_last_round = left == step.blocks;
        if (step.is_last_round && !isfinite(*loss)) {
            return false;
        }
        workers_run(model->workers, finish_piece, &step, pieces);
        step.first_block += step.blocks;
    }
    for (size_t i = 0; i < pieces; i++) {
        if (!step.is_finite[i]) {
            return false;
        }
    }
    optimizer_end(model, &step.rule);
    return true;
}

/* ---- inference ------------------------------------------------------------------------------ */

struct inference {
    struct model *model;
    const struct model_dataset *dataset;
    size_t first;
    size_t count;
    float *logits;
};

static void forward_block(void *context, size_t index, unsigned thread)
{
    struct inference *inference = context;
    struct model *model = inference->model;
    size_t start = index * LENET_BLOCK;
    size_t count = lesser(LENET_BLOCK, inference->count - start);
    const uint8_t *images[LENET_BLOCK];
    for (size_t i = 0; i < count; i++) {
        images[i] = dataset_pixels(inference->dataset, inference->first + start + i);
    }
    model->kernels->forward(&model->shape, model->weights, images, count,
                            inference->logits + start * model->shape.classes,
                            model->workspaces[thread]);
}

void blocks_forward(struct model *model, const struct model_dataset *dataset, size_t first,
                    size_t count, float *logits)
{
    struct inference inference = {
        .model = model, .dataset = dataset, .first = first, .count = count};
    inference.logits = logits;
    workers_run(model->workers, forward_block, &inference, blocks_of(count));
}
