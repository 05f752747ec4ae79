/*
 * The training loop.
 *
 * Where it stands is one struct model_state and nothing else: (epoch, step) say how far the run is,
 * cumulative_step alone says which images come next. Data-epoch e = cumulative_step /
 * steps_per_epoch has its own order (order.h), so going on in the middle of an epoch is computing
 * that order and starting at its place.
 */
#include "model/model.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/data/order.h"
#include "model/model_error.h"
#include "model/training/blocks.h"

#include "model/model_banned.h"

struct training {
    struct model *model;
    const struct model_dataset *dataset;
    const struct model_training *options;
    struct model_progress progress; /* progress.state is where we stand */
    uint32_t *order;                /* [dataset->count] of the data-epoch under way */
    bool order_is_filled;
    uint64_t epoch_steps; /* steps done since the epoch, or the resume inside it, began */
    double epoch_losses;  /* their sum */
    struct timespec epoch_began;
    bool stop_requested; /* by a callback */
};

static double seconds_since(const struct timespec *then)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + 1e-9 * (double)(now.tv_nsec - then->tv_nsec);
}

/* ---- callbacks ------------------------------------------------------------------------------ */

enum hook {
    HOOK_BEGIN,
    HOOK_STEP_END,
    HOOK_EPOCH_END,
    HOOK_END
};

static model_callback_fn *function_of(const struct model_callback *callback, enum hook hook)
{
    switch (hook) {
    case HOOK_BEGIN:
        return callback->begin;
    case HOOK_STEP_END:
        return callback->step_end;
    case HOOK_EPOCH_END:
        return callback->epoch_end;
    case HOOK_END:
        return callback->end;
    }
    return NULL;
}

static enum model_code call(const struct training *training, enum hook hook,
                            struct model_error *err)
{
    for (size_t i = 0; i < training->options->callback_count; i++) {
        const struct model_callback *callback = &training->options->callbacks[i];
        model_callback_fn *function = function_of(callback, hook);
        enum model_code code =
            function ? function(callback->context, &training->progress, err) : MODEL_OK;
        if (code != MODEL_OK) {
            return code;
        }
    }
    return MODEL_OK;
}

/* ---- one step ------------------------------------------------------------------------------- */

/* The samples of the batch that comes next. */
static const uint32_t *next_samples(struct training *training)
{
    const struct model_state *state = &training->progress.state;
    uint64_t batch = state->cumulative_step % state->steps_per_epoch;
    if (batch == 0 || !training->order_is_filled) {
        order_fill(training->order, training->dataset->count, state->seed,
                   state->cumulative_step / state->steps_per_epoch);
        training->order_is_filled = true;
    }
    return training->order + batch * state->batch_size;
}

/* Moves the state to the step that comes next; a finished epoch makes way for the next one. */
static void advance(struct training *training)
{
    struct model_state *state = &training->progress.state;
    if (state->epoch == 0 || state->step == state->steps_per_epoch) {
        state->epoch++;
        state->step = 0;
        training->epoch_steps = 0;
        training->epoch_losses = 0.0;
        clock_gettime(CLOCK_MONOTONIC, &training->epoch_began);
    }
    state->step++;
    state->cumulative_step++;
}

static void note_loss(struct training *training, float loss)
{
    struct model_progress *progress = &training->progress;
    training->epoch_steps++;
    training->epoch_losses += (double)loss;
    progress->loss = (double)loss;
    progress->epoch_loss = training->epoch_losses / (double)training->epoch_steps;
    progress->epoch_seconds = seconds_since(&training->epoch_began);
    double images = (double)training->epoch_steps * (double)progress->state.batch_size;
    progress->images_per_second =
        progress->epoch_seconds > 0.0 ? images / progress->epoch_seconds : 0.0;
}

static enum model_code take_step(struct training *training, struct model_error *err)
{
    struct model_state *state = &training->progress.state;
    struct model_state before = *state;
    const uint32_t *samples = next_samples(training);
    advance(training);
    training->progress.learning_rate = (double)model_learning_rate(training->model);
    float loss;
    if (!blocks_train(training->model, training->dataset, samples, state->batch_size, &loss)) {
        model_fail(err, MODEL_DIVERGED, "training, epoch %" PRIu64 " step %" PRIu64 ": %s",
                   state->epoch, state->step,
                   isfinite(loss) ? "a weight is no longer finite" : "the loss is not finite");
        model_hint(err, "a smaller learning rate usually helps");
        *state = before;
        return MODEL_DIVERGED;
    }
    note_loss(training, loss);
    enum model_code code = call(training, HOOK_STEP_END, err);
    if (code == MODEL_OK && state->step == state->steps_per_epoch) {
        code = call(training, HOOK_EPOCH_END, err);
    }
    return code;
}

/* ---- the run -------------------------------------------------------------------------------- */

static enum model_code check(const struct model *model, const struct model_dataset *dataset,
                             const struct model_training *options, struct model_error *err)
{
    if (options->epochs < 1) {
        return model_fail(err, MODEL_ARGUMENT, "epochs is 0; it must be at least 1");
    }
    if (dataset->count < model->config.batch_size) {
        model_fail(err, MODEL_ARGUMENT,
                   "training: %zu images are less than one batch of %u, and incomplete batches are "
                   "dropped",
                   dataset->count, model->config.batch_size);
        model_hint(err, "a smaller batch_size");
        return MODEL_ARGUMENT;
    }
    return model_check_labels(model, dataset, err);
}

/*
 * The steps done of the epoch under way. With another batch size than before, a finished epoch
 * stays finished, and the place in one under way is kept as far as it still has that many steps.
 */
static uint64_t steps_done(const struct model_state *start, uint64_t steps_per_epoch)
{
    bool is_finished = start->epoch > 0 && start->step >= start->steps_per_epoch;
    return is_finished || start->step > steps_per_epoch ? steps_per_epoch : start->step;
}

/* Where the run stands, with what is true of this model and dataset. */
static struct model_state first_state(const struct model *model,
                                      const struct model_dataset *dataset,
                                      const struct model_state *start)
{
    struct model_state state = *start;
    if (!start->present) {
        state = (struct model_state){.present = true};
        memcpy(state.run, start->run, sizeof state.run);
    }
    const struct model_config *config = &model->config;
    state.seed = config->seed;
    state.batch_size = config->batch_size;
    state.has_settings = true;
    state.weight_decay = config->weight_decay;
    state.loss_scale = config->loss_scale;
    state.dampening = config->dampening;
    state.beta1 = config->beta1;
    state.beta2 = config->beta2;
    state.eps = config->eps;
    state.use_nesterov = config->use_nesterov;
    state.data_crc32 = dataset->crc32;
    state.steps_per_epoch = dataset->count / state.batch_size;
    state.step = start->present ? steps_done(start, state.steps_per_epoch) : 0;
    memset(state.kernels, 0, sizeof state.kernels);
    memcpy(state.kernels, model->kernels->name,
           strnlen(model->kernels->name, sizeof state.kernels - 1));
    return state;
}

static bool is_complete(const struct model_progress *progress)
{
    const struct model_state *state = &progress->state;
    return state->epoch > progress->epochs ||
           (state->epoch == progress->epochs && state->step == state->steps_per_epoch);
}

/* From begin to end; a requested stop ends it like the last step, but says MODEL_STOPPED. */
static enum model_code run(struct training *training, struct model_error *err)
{
    const atomic_bool *stop = training->options->stop;
    bool is_stopped = false;
    enum model_code code = call(training, HOOK_BEGIN, err);
    while (code == MODEL_OK && !is_stopped && !training->stop_requested &&
           !is_complete(&training->progress)) {
        code = take_step(training, err);
        is_stopped = stop && atomic_load(stop) && !is_complete(&training->progress);
    }
    if (code == MODEL_OK) {
        code = call(training, HOOK_END, err);
    }
    if (code == MODEL_OK && is_stopped) {
        const struct model_state *state = &training->progress.state;
        code = model_fail(err, MODEL_STOPPED,
                          "training: stopped on request after epoch %" PRIu64 " step %" PRIu64,
                          state->epoch, state->step);
    }
    return code;
}

enum model_code model_train(struct model *model, const struct model_dataset *dataset,
                            const struct model_training *options, struct model_state *state,
                            struct model_error *err)
{
    enum model_code code = check(model, dataset, options, err);
    if (code != MODEL_OK) {
        *state = options->start;
        return code;
    }
    struct training training = {.model = model, .dataset = dataset, .options = options};
    training.progress.model = model;
    training.progress.request_stop = &training.stop_requested;
    training.progress.epochs = options->epochs;
    training.progress.state = first_state(model, dataset, &options->start);
    clock_gettime(CLOCK_MONOTONIC, &training.epoch_began);
    training.order = malloc(dataset->count * sizeof *training.order);
    code = training.order ? run(&training, err) : model_fail(err, MODEL_BUG, "training: no memory");
    *state = training.progress.state;
    free(training.order);
    return code;
}
