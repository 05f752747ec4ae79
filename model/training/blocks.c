#include "model/training/blocks.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "model/base/threads.h"
#include "model/training/optimizer.h"

#include "model/model_banned.h"

enum {
    /* Parameters a thread adds up and updates at a time: a few dozen pieces, all in cache. */
    PIECE = 2048,
    PIECES = (LENET_PARAMETERS + PIECE - 1) / PIECE
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
 * A batch goes in rounds of at most LENET_ROUND blocks. Slot 0 of the gradients holds the sum so
 * far; the first round starts it with block 0, a later round's blocks take the slots from 1 on.
 * Either way the sum is ((block 0 + block 1) + block 2) + …, whatever the size of a round.
 */
struct step {
    struct model *model;
    const struct model_dataset *dataset;
    const uint32_t *samples;
    size_t count;
    size_t first_block; /* of the round */
    size_t first_slot;  /* 0 in the first round, else 1 */
    size_t slots;       /* slots in use, slot 0 included */
    bool is_last_round;
    double losses[LENET_ROUND]; /* a slot's sum of losses */
    bool is_finite[PIECES];
};

static float *slot_of(const struct step *step, size_t slot)
{
    return step->model->gradients + slot * LENET_PARAMETERS;
}

static void train_block(void *context, size_t index, unsigned thread)
{
    struct step *step = context;
    struct lenet_bench *bench = step->model->benches[thread];
    size_t start = (step->first_block + index) * LENET_BLOCK;
    size_t count = lesser(LENET_BLOCK, step->count - start);
    for (size_t i = 0; i < count; i++) {
        size_t sample = step->samples[start + i];
        dataset_input(step->dataset, sample, bench->inputs + i * LENET_INPUTS);
        bench->labels[i] = model_dataset_label(step->dataset, sample);
    }
    float scale = step->model->config.loss_scale / (float)step->count;
    size_t slot = step->first_slot + index;
    step->losses[slot] =
        step->model->kernels->train(step->model->weights, bench->inputs, bench->labels, count,
                                    scale, slot_of(step, slot), bench->workspace);
}

/* Adds slots 1.. to slot 0 for one piece of the parameters; after the last round updates it. */
static void finish_piece(void *context, size_t index, unsigned thread)
{
    (void)thread;
    struct step *step = context;
    struct model *model = step->model;
    size_t start = index * PIECE;
    size_t count = lesser(PIECE, LENET_PARAMETERS - start);
    float *sum = slot_of(step, 0) + start;
    for (size_t slot = 1; slot < step->slots; slot++) {
        const float *more = slot_of(step, slot) + start;
        for (size_t i = 0; i < count; i++) {
            sum[i] += more[i];
        }
    }
    if (step->is_last_round) {
        step->is_finite[index] = optimizer_step(&model->config, count, sum, model->moments + start,
                                                model->weights + start);
    }
}

bool blocks_train(struct model *model, const struct model_dataset *dataset, const uint32_t *samples,
                  size_t count, float *loss)
{
    assert(count >= 1);
    struct step step = {.model = model, .dataset = dataset, .samples = samples, .count = count};
    double loss_sum = 0.0;
    for (size_t left = blocks_of(count); left > 0;) {
        size_t blocks = lesser(left, LENET_ROUND - step.first_slot);
        step.slots = step.first_slot + blocks;
        workers_run(model->workers, train_block, &step, blocks);
        for (size_t slot = step.first_slot; slot < step.slots; slot++) {
            loss_sum += step.losses[slot];
        }
        *loss = (float)(loss_sum / (double)count);
        step.is_last_round = left == blocks;
        if (step.is_last_round && !isfinite(*loss)) {
            return false;
        }
        workers_run(model->workers, finish_piece, &step, PIECES);
        step.first_block += blocks;
        step.first_slot = 1;
        left -= blocks;
    }
    for (size_t i = 0; i < PIECES; i++) {
        if (!step.is_finite[i]) {
            return false;
        }
    }
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
    struct lenet_bench *bench = model->benches[thread];
    size_t start = index * LENET_BLOCK;
    size_t count = lesser(LENET_BLOCK, inference->count - start);
    for (size_t i = 0; i < count; i++) {
        dataset_input(inference->dataset, inference->first + start + i,
                      bench->inputs + i * LENET_INPUTS);
    }
    model->kernels->forward(model->weights, bench->inputs, count,
                            inference->logits + start * MODEL_CLASSES, bench->workspace);
}

void blocks_forward(struct model *model, const struct model_dataset *dataset, size_t first,
                    size_t count, float *logits)
{
    struct inference inference = {
        .model = model, .dataset = dataset, .first = first, .count = count};
    inference.logits = logits;
    workers_run(model->workers, forward_block, &inference, blocks_of(count));
}
