/*
 * test_train.c - the training loop: same bits for any number of threads and any interruption, the
 * order of callbacks, stopping, divergence, evaluation, and the options that are refused.
 */
#include "model/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mnist_fixture.h"
#include "model/blocks.h"
#include "model/optimizer.h"
#include "model/order.h"

enum {
    TRAIN = 200, /* images: 6 batches of 32, and 8 that are dropped */
    STEPS = 6,
    TEST = 90
};

static char folder[FIXTURE_PATH_MAX];
static struct model_dataset *train_set;
static struct model_dataset *test_set;

static struct model_dataset *open_split(enum model_split split)
{
    struct model_dataset *dataset = NULL;
    assert_int_equal(model_dataset_open(&dataset, folder, split, false, NULL), MODEL_OK);
    return dataset;
}

static int set_up(void **state)
{
    (void)state;
    fixture_folder(folder);
    fixture_split(folder, "train", TRAIN, 1);
    fixture_split(folder, "t10k", TEST, 2);
    train_set = open_split(MODEL_TRAIN);
    test_set = open_split(MODEL_TEST);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    model_dataset_free(train_set);
    model_dataset_free(test_set);
    fixture_remove(folder);
    return 0;
}

static struct model *make_model(const struct model_config *config)
{
    struct model *model = NULL;
    struct model_error err = {0};
    if (model_new(&model, config, &err) != MODEL_OK) {
        fail_msg("%s", err.message);
    }
    return model;
}

/* Weights ten times the lab's: they learn at once, without the lab's plateau of a thousand steps.
 */
static struct model *make_quick_model(unsigned threads)
{
    struct model_config config = MODEL_CONFIG_INIT;
    config.threads = threads;
    struct model *model = make_model(&config);
    for (size_t i = 0; i < LENET_PARAMETERS; i++) {
        model->weights[i] *= 10.0f;
    }
    return model;
}

static struct model_state train(struct model *model, const struct model_state *start,
                                uint64_t epochs)
{
    struct model_training training = {.epochs = epochs};
    if (start) {
        training.start = *start;
    }
    struct model_state state;
    struct model_error err = {0};
    if (model_train(model, train_set, &training, &state, &err) != MODEL_OK) {
        fail_msg("%s", err.message);
    }
    return state;
}

static void assert_same_bits(const struct model *a, const struct model *b)
{
    assert_memory_equal(a->weights, b->weights, LENET_PARAMETERS * sizeof(float));
    assert_memory_equal(a->moments, b->moments, LENET_PARAMETERS * sizeof(float));
}

/* ---- exactness ------------------------------------------------------------------------------ */

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    /* 16: one block; 33: an uneven rest; 200: more blocks than threads. */
    static const uint32_t batch_sizes[] = {1, 16, 32, 33, 200};
    for (size_t b = 0; b < sizeof batch_sizes / sizeof batch_sizes[0]; b++) {
        struct model *first = NULL;
        for (unsigned threads = 1; threads <= 4; threads *= 2) {
            struct model_config config = MODEL_CONFIG_INIT;
            config.threads = threads;
            config.batch_size = batch_sizes[b];
            config.learning_rate = 0.05f;
            struct model *model = make_model(&config);
            train(model, NULL, batch_sizes[b] == 1 ? 1 : 2);
            if (first) {
                assert_same_bits(first, model);
                model_free(model);
            } else {
                first = model;
            }
        }
        model_free(first);
    }
}

/*
 * A batch of more blocks than gradients are held at once: the same as adding all its blocks in
 * their order, written out here.
 */
static void rounds_of_a_large_batch_leave_no_trace(void **state)
{
    (void)state;
    enum {
        BATCH = (2 * LENET_ROUND + 3) * LENET_BLOCK - 5
    };
    static uint32_t samples[BATCH];
    static float inputs[LENET_BLOCK * LENET_INPUTS];
    static float sum[LENET_PARAMETERS];
    static float more[LENET_PARAMETERS];
    for (size_t i = 0; i < BATCH; i++) {
        samples[i] = (uint32_t)(i * 7 % TRAIN);
    }
    struct model *model = make_quick_model(2);
    struct model *expected = make_quick_model(1);
    double loss_sum = 0.0;
    for (size_t start = 0; start < BATCH; start += LENET_BLOCK) {
        size_t count = BATCH - start < LENET_BLOCK ? BATCH - start : LENET_BLOCK;
        uint8_t labels[LENET_BLOCK];
        for (size_t i = 0; i < count; i++) {
            dataset_input(train_set, samples[start + i], inputs + i * LENET_INPUTS);
            labels[i] = model_dataset_label(train_set, samples[start + i]);
        }
        loss_sum += expected->kernels->train(expected->weights, inputs, labels, count, 1.0f / BATCH,
                                             start ? more : sum, expected->benches[0]->workspace);
        for (size_t p = 0; start && p < LENET_PARAMETERS; p++) {
            sum[p] += more[p];
        }
    }
    optimizer_step(&expected->config, LENET_PARAMETERS, sum, expected->moments, expected->weights);
    float loss;
    assert_true(blocks_train(model, train_set, samples, BATCH, &loss));
    assert_float_equal(loss, loss_sum / BATCH, 1e-6);
    assert_same_bits(model, expected);
    model_free(model);
    model_free(expected);
}

static void two_and_two_epochs_are_four(void **state)
{
    (void)state;
    struct model *whole = make_quick_model(2);
    struct model_state end = train(whole, NULL, 4);
    assert_int_equal(end.epoch, 4);
    assert_int_equal(end.step, STEPS);
    assert_int_equal(end.cumulative_step, 4 * STEPS);

    /* Continued: the same run. */
    struct model *model = make_quick_model(1);
    struct model_state half = train(model, NULL, 2);
    end = train(model, &half, 4);
    assert_int_equal(end.epoch, 4);
    assert_int_equal(end.cumulative_step, 4 * STEPS);
    assert_same_bits(whole, model);
    model_free(model);

    /* Extended: a new run, whose epochs start at 1 again. */
    model = make_quick_model(1);
    half = train(model, NULL, 2);
    struct model_state next = {
        .present = true, .cumulative_step = half.cumulative_step, .base_step = 2 * STEPS};
    end = train(model, &next, 2);
    assert_int_equal(end.epoch, 2);
    assert_int_equal(end.step, STEPS);
    assert_int_equal(end.cumulative_step, 4 * STEPS);
    assert_int_equal(end.base_step, 2 * STEPS);
    assert_same_bits(whole, model);
    model_free(model);
    model_free(whole);
}

struct stopper {
    uint64_t at; /* cumulative step */
    atomic_bool stop;
};

static enum model_code stop_at(void *context, const struct model_progress *progress,
                               struct model_error *err)
{
    (void)err;
    struct stopper *stopper = context;
    if (progress->state.cumulative_step == stopper->at) {
        atomic_store(&stopper->stop, true);
    }
    return MODEL_OK;
}

static void resumes_exactly_after_any_step(void **state)
{
    (void)state;
    struct model *whole = make_quick_model(1);
    train(whole, NULL, 3);
    for (uint64_t at = 1; at < 3 * STEPS; at++) {
        struct model *model = make_quick_model(2);
        struct stopper stopper = {.at = at};
        struct model_callback callback = {.step_end = stop_at, .context = &stopper};
        struct model_training training = {
            .epochs = 3, .callbacks = &callback, .callback_count = 1, .stop = &stopper.stop};
        struct model_state stopped;
        struct model_error err = {0};
        assert_int_equal(model_train(model, train_set, &training, &stopped, &err), MODEL_STOPPED);
        assert_int_equal(stopped.cumulative_step, at);
        assert_int_equal(stopped.epoch, (at - 1) / STEPS + 1);
        assert_int_equal(stopped.step, (at - 1) % STEPS + 1);
        assert_non_null(strstr(err.message, "stopped on request"));
        struct model_state end = train(model, &stopped, 3);
        assert_int_equal(end.cumulative_step, 3 * STEPS);
        assert_same_bits(whole, model);
        model_free(model);
    }
    model_free(whole);
}

static void state_tells_what_was_trained(void **state)
{
    (void)state;
    struct model *model = make_quick_model(1);
    struct model_state start = {.present = false, .run = "20261124T081500Z-k3f9qa", .epoch = 99};
    struct model_state end = train(model, &start, 1);
    assert_true(end.present);
    assert_string_equal(end.run, "20261124T081500Z-k3f9qa");
    assert_int_equal(end.epoch, 1);
    assert_int_equal(end.steps_per_epoch, STEPS);
    assert_int_equal(end.seed, 1);
    assert_int_equal(end.batch_size, 32);
    assert_int_equal(end.data_crc32, model_dataset_crc32(train_set));
    assert_string_equal(end.kernels, "reference");
    /* What is done already is not done again. */
    struct model *before = make_quick_model(1);
    train(before, &start, 1);
    struct model_state again = train(model, &end, 1);
    assert_int_equal(again.cumulative_step, end.cumulative_step);
    assert_same_bits(before, model);
    model_free(model);
    model_free(before);
}

/* Another batch size on the way (the runner may allow it): no epoch is done twice or lost. */
static void goes_on_with_another_batch_size(void **state)
{
    (void)state;
    static const struct {
        uint64_t steps_per_epoch; /* before; now 4 */
        uint64_t step;
        uint64_t more; /* steps to the end of epoch 2 */
    } cases[] = {{6, 5, 4}, {6, 6, 4}, {2, 2, 4}, {6, 3, 1 + 4}, {2, 1, 3 + 4}};
    struct model_config config = MODEL_CONFIG_INIT;
    config.batch_size = 50;
    struct model *model = make_model(&config);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_state start = {.present = true,
                                    .epoch = 1,
                                    .step = cases[i].step,
                                    .steps_per_epoch = cases[i].steps_per_epoch,
                                    .cumulative_step = 5};
        struct model_state end = train(model, &start, 2);
        assert_int_equal(end.epoch, 2);
        assert_int_equal(end.step, 4);
        assert_int_equal(end.steps_per_epoch, 4);
        assert_int_equal(end.cumulative_step, 5 + cases[i].more);
    }
    model_free(model);
}

/* ---- order ---------------------------------------------------------------------------------- */

static void order_is_a_permutation_of_its_epoch(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 63, 64, 65, 1000};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        uint32_t order[1000];
        bool seen[1000] = {false};
        order_fill(order, counts[c], 1, 0);
        for (size_t i = 0; i < counts[c]; i++) {
            assert_true(order[i] < counts[c] && !seen[order[i]]);
            seen[order[i]] = true;
        }
    }
    uint32_t first[100];
    uint32_t second[100];
    order_fill(first, 100, 1, 0);
    order_fill(second, 100, 1, 1);
    assert_memory_not_equal(first, second, sizeof first);
    order_fill(second, 100, 2, 0);
    assert_memory_not_equal(first, second, sizeof first);
    order_fill(second, 100, 1, 0);
    assert_memory_equal(first, second, sizeof first);
}

/* A checkpoint of an earlier build must go on with the images it had coming. */
static void order_is_what_it_always_was(void **state)
{
    (void)state;
    uint32_t order[10];
    order_fill(order, 10, 1, 3);
    static const uint32_t expected[10] = {4, 1, 2, 9, 3, 6, 8, 5, 0, 7};
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(order[i], expected[i]);
    }
}

/* ---- learning ------------------------------------------------------------------------------- */

static void learns_a_few_images_by_heart(void **state)
{
    (void)state;
    struct model_dataset few = *train_set;
    few.count = 64;
    struct model *model = make_quick_model(2);
    struct model_training training = {.epochs = 30};
    struct model_state end;
    struct model_metrics before;
    struct model_metrics after;
    assert_int_equal(model_evaluate(model, &few, false, &before, NULL), MODEL_OK);
    assert_int_equal(model_train(model, &few, &training, &end, NULL), MODEL_OK);
    assert_int_equal(model_evaluate(model, &few, false, &after, NULL), MODEL_OK);
    assert_true(before.accuracy < 0.5);
    assert_float_equal(after.accuracy, 1.0, 0.0);
    assert_true(after.loss < 0.1);
    model_free(model);
}

/* ---- callbacks ------------------------------------------------------------------------------ */

struct trace {
    char text[256];
    char name;             /* of this callback */
    struct trace *into;    /* whose text is written */
    const char *fail_when; /* the event that fails, or NULL */
};

static enum model_code note(struct trace *trace, const char *event,
                            const struct model_progress *progress, struct model_error *err)
{
    (void)progress;
    size_t length = strlen(trace->into->text);
    snprintf(trace->into->text + length, sizeof trace->text - length, "%c%s ", trace->name, event);
    if (trace->fail_when && strcmp(event, trace->fail_when) == 0) {
        if (err) {
            snprintf(err->message, sizeof err->message, "no room");
        }
        return MODEL_DISK;
    }
    return MODEL_OK;
}

static enum model_code on_begin(void *context, const struct model_progress *progress,
                                struct model_error *err)
{
    assert_int_equal(progress->state.cumulative_step, 0);
    return note(context, "begin", progress, err);
}

static enum model_code on_step(void *context, const struct model_progress *progress,
                               struct model_error *err)
{
    assert_true(isfinite(progress->loss) && progress->loss > 0.0);
    assert_true(progress->epoch_loss > 0.0 && progress->epoch_seconds >= 0.0);
    char event[32];
    snprintf(event, sizeof event, "%d.%d", (int)progress->state.epoch, (int)progress->state.step);
    return note(context, event, progress, err);
}

static enum model_code on_epoch(void *context, const struct model_progress *progress,
                                struct model_error *err)
{
    assert_int_equal(progress->state.step, progress->state.steps_per_epoch);
    assert_true(progress->images_per_second > 0.0);
    return note(context, "epoch", progress, err);
}

static enum model_code on_end(void *context, const struct model_progress *progress,
                              struct model_error *err)
{
    return note(context, "end", progress, err);
}

static enum model_code run_traced(struct trace traces[2], uint64_t epochs, const atomic_bool *stop,
                                  struct model_error *err)
{
    struct model_config config = MODEL_CONFIG_INIT;
    config.batch_size = 100; /* two steps an epoch */
    config.threads = 1;
    struct model *model = make_model(&config);
    struct model_callback callbacks[3] = {
        {on_begin, on_step, on_epoch, on_end, &traces[0]},
        {.begin = NULL},
        {NULL, on_step, NULL, on_end, &traces[1]},
    };
    traces[0].name = 'a';
    traces[1].name = 'b';
    traces[0].into = traces[1].into = &traces[0];
    struct model_training training = {
        .epochs = epochs, .callbacks = callbacks, .callback_count = 3, .stop = stop};
    struct model_state end;
    enum model_code code = model_train(model, train_set, &training, &end, err);
    model_free(model);
    return code;
}

static void callbacks_come_in_order(void **state)
{
    (void)state;
    struct trace traces[2] = {{.name = 0}};
    assert_int_equal(run_traced(traces, 2, NULL, NULL), MODEL_OK);
    assert_string_equal(traces[0].text, "abegin a1.1 b1.1 a1.2 b1.2 aepoch a2.1 b2.1 a2.2 b2.2 "
                                        "aepoch aend bend ");
}

static void a_stop_still_calls_end(void **state)
{
    (void)state;
    struct trace traces[2] = {{.name = 0}};
    const atomic_bool stop = true;
    struct model_error err = {0};
    assert_int_equal(run_traced(traces, 1, &stop, &err), MODEL_STOPPED);
    assert_string_equal(traces[0].text, "abegin a1.1 b1.1 aend bend ");
}

static void a_failing_callback_ends_the_training(void **state)
{
    (void)state;
    struct trace traces[2] = {{.fail_when = "1.2"}, {.name = 0}};
    struct model_error err = {0};
    assert_int_equal(run_traced(traces, 2, NULL, &err), MODEL_DISK);
    assert_string_equal(err.message, "no room");
    assert_string_equal(traces[0].text, "abegin a1.1 b1.1 a1.2 ");
}

/* ---- divergence ------------------------------------------------------------------------------ */

static enum model_code count_finite(void *context, const struct model_progress *progress,
                                    struct model_error *err)
{
    (void)err;
    uint64_t *steps = context;
    *steps = progress->state.cumulative_step;
    assert_true(isfinite(progress->loss));
    for (size_t i = 0; i < LENET_PARAMETERS; i++) {
        assert_true(isfinite(progress->model->weights[i]));
    }
    return MODEL_OK;
}

static void divergence_ends_before_any_callback_sees_it(void **state)
{
    (void)state;
    static const float rates[] = {1e3f, 1e20f, 3e38f};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct model *model = make_quick_model(1);
        model_set_learning_rate(model, rates[i]);
        assert_float_equal(model_learning_rate(model), rates[i], 0.0f);
        uint64_t steps = 0;
        struct model_callback callback = {.step_end = count_finite, .context = &steps};
        struct model_training training = {
            .epochs = 100, .callbacks = &callback, .callback_count = 1};
        struct model_state end;
        struct model_error err = {0};
        assert_int_equal(model_train(model, train_set, &training, &end, &err), MODEL_DIVERGED);
        assert_int_equal(end.cumulative_step, steps);
        assert_non_null(strstr(err.message, "finite"));
        model_free(model);
    }
}

/* The step whose loss is not finite is not taken at all. */
static void a_loss_that_is_not_finite_changes_nothing(void **state)
{
    (void)state;
    struct model *model = make_quick_model(1);
    struct model *before = make_quick_model(1);
    lenet_point(model->weights).fc3_bias[3] = INFINITY;
    lenet_point(before->weights).fc3_bias[3] = INFINITY;
    struct model_training training = {.epochs = 1};
    struct model_state end;
    struct model_error err = {0};
    assert_int_equal(model_train(model, train_set, &training, &end, &err), MODEL_DIVERGED);
    assert_non_null(strstr(err.message, "epoch 1 step 1: the loss is not finite"));
    assert_int_equal(end.cumulative_step, 0);
    assert_same_bits(before, model);
    model_free(model);
    model_free(before);
}

/* ---- evaluation ------------------------------------------------------------------------------ */

static double loss_of(const float *logits, uint8_t label)
{
    double sum = 0.0;
    for (size_t j = 0; j < MODEL_CLASSES; j++) {
        sum += exp((double)logits[j]);
    }
    return log(sum) - (double)logits[label];
}

static void evaluation_is_the_mean_of_batch_means(void **state)
{
    (void)state;
    struct model *model = make_quick_model(2);
    train(model, NULL, 2);
    float logits[TEST * MODEL_CLASSES];
    assert_int_equal(model_predict(model, test_set, 0, TEST, logits, NULL), MODEL_OK);
    /* 90 images in batches of 32: 32, 32, and 26 that count as much. */
    double batch_losses[3] = {0};
    size_t correct[3] = {0};
    for (size_t i = 0; i < TEST; i++) {
        const float *row = logits + i * MODEL_CLASSES;
        uint8_t label = model_dataset_label(test_set, i);
        size_t best = 0;
        for (size_t j = 1; j < MODEL_CLASSES; j++) {
            best = row[j] > row[best] ? j : best;
        }
        batch_losses[i / 32] += loss_of(row, label) / (i < 64 ? 32 : 26);
        correct[i / 32] += best == label;
    }
    struct model_metrics metrics;
    assert_int_equal(model_evaluate(model, test_set, false, &metrics, NULL), MODEL_OK);
    assert_int_equal(metrics.samples, TEST);
    assert_float_equal(metrics.loss, (batch_losses[0] + batch_losses[1] + batch_losses[2]) / 3,
                       1e-6);
    assert_float_equal(metrics.accuracy, (double)(correct[0] + correct[1] + correct[2]) / TEST,
                       1e-12);
    assert_int_equal(model_evaluate(model, test_set, true, &metrics, NULL), MODEL_OK);
    assert_int_equal(metrics.samples, 64);
    assert_float_equal(metrics.loss, (batch_losses[0] + batch_losses[1]) / 2, 1e-6);
    assert_float_equal(metrics.accuracy, (double)(correct[0] + correct[1]) / 64, 1e-12);
    model_free(model);
}

static void predicts_a_part_alike(void **state)
{
    (void)state;
    struct model *model = make_quick_model(2);
    float all[TEST * MODEL_CLASSES];
    float part[40 * MODEL_CLASSES];
    assert_int_equal(model_predict(model, test_set, 0, TEST, all, NULL), MODEL_OK);
    assert_int_equal(model_predict(model, test_set, 50, 40, part, NULL), MODEL_OK);
    for (size_t i = 0; i < 40 * MODEL_CLASSES; i++) {
        assert_float_equal(part[i], all[50 * MODEL_CLASSES + i], 1e-5);
    }
    struct model_error err = {0};
    assert_int_equal(model_predict(model, test_set, 50, 41, part, &err), MODEL_ARGUMENT);
    assert_int_equal(model_predict(model, test_set, TEST + 1, 0, part, &err), MODEL_ARGUMENT);
    assert_int_equal(model_predict(model, test_set, 1, SIZE_MAX, part, &err), MODEL_ARGUMENT);
    model_free(model);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static struct model_config config_with(size_t which)
{
    struct model_config config = MODEL_CONFIG_INIT;
    switch (which) {
    case 0:
        config.seed = UINT64_C(1) << 63;
        break;
    case 1:
        config.batch_size = 0;
        break;
    case 2:
        config.batch_size = 65537;
        break;
    case 3:
        config.learning_rate = NAN;
        break;
    case 4:
        config.momentum = -0.5f;
        break;
    case 5:
        config.weight_decay = INFINITY;
        break;
    case 6:
        config.loss_scale = 0.0f;
        break;
    default:
        config.threads = 257;
    }
    return config;
}

static void refuses_values_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"seed is 9223372036854775808",
                                        "batch_size is 0",
                                        "batch_size is 65537",
                                        "learning_rate is nan",
                                        "momentum is -0.5",
                                        "weight_decay is inf",
                                        "loss_scale is 0",
                                        "threads is 257"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct model_config config = config_with(i);
        struct model *model = NULL;
        struct model_error err = {0};
        assert_int_equal(model_new(&model, &config, &err), MODEL_ARGUMENT);
        assert_null(model);
        if (!strstr(err.message, names[i])) {
            fail_msg("\"%s\" does not say \"%s\"", err.message, names[i]);
        }
    }
}

static void refuses_what_is_less_than_a_batch(void **state)
{
    (void)state;
    struct model_config config = MODEL_CONFIG_INIT;
    config.batch_size = TRAIN + 1;
    struct model *model = make_model(&config);
    struct model_training training = {.epochs = 1};
    struct model_state end;
    struct model_metrics metrics;
    struct model_error err = {0};
    assert_int_equal(model_train(model, train_set, &training, &end, &err), MODEL_ARGUMENT);
    assert_non_null(strstr(err.message, "200 images are less than one batch of 201"));
    assert_int_equal(model_evaluate(model, test_set, true, &metrics, &err), MODEL_ARGUMENT);
    assert_int_equal(model_evaluate(model, test_set, false, &metrics, &err), MODEL_OK);
    training.epochs = 0;
    assert_int_equal(model_train(model, train_set, &training, &end, &err), MODEL_ARGUMENT);
    assert_non_null(strstr(err.message, "epochs is 0"));
    model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(rounds_of_a_large_batch_leave_no_trace),
        cmocka_unit_test(two_and_two_epochs_are_four),
        cmocka_unit_test(resumes_exactly_after_any_step),
        cmocka_unit_test(state_tells_what_was_trained),
        cmocka_unit_test(goes_on_with_another_batch_size),
        cmocka_unit_test(order_is_a_permutation_of_its_epoch),
        cmocka_unit_test(order_is_what_it_always_was),
        cmocka_unit_test(learns_a_few_images_by_heart),
        cmocka_unit_test(callbacks_come_in_order),
        cmocka_unit_test(a_stop_still_calls_end),
        cmocka_unit_test(a_failing_callback_ends_the_training),
        cmocka_unit_test(divergence_ends_before_any_callback_sees_it),
        cmocka_unit_test(a_loss_that_is_not_finite_changes_nothing),
        cmocka_unit_test(evaluation_is_the_mean_of_batch_means),
        cmocka_unit_test(predicts_a_part_alike),
        cmocka_unit_test(refuses_values_by_name),
        cmocka_unit_test(refuses_what_is_less_than_a_batch),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
