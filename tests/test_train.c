/*
 * The training loop: same bits for any number of threads and any interruption, learning,
 * divergence, and the options that are refused.
 */
#include "training_fixture.h"

#include "model/kernels/kernels.h"
#include "model/training/optimizer.h"

#include <math.h>

/* ---- exactness ------------------------------------------------------------------------------ */

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    /* 16: one block; 33: an uneven rest; 200: more blocks than threads. */
    static const uint32_t batch_sizes[] = {1, 16, 32, 33, 200};
    for (size_t k = 0; kernels_here(k); k++) {
        for (size_t b = 0; b < sizeof batch_sizes / sizeof batch_sizes[0]; b++) {
            struct model *first = NULL;
            for (unsigned threads = 1; threads <= 4; threads *= 2) {
                struct model_config config = MODEL_CONFIG_INIT;
                config.kernels = kernels_here(k)->name;
                config.threads = threads;
                config.batch_size = batch_sizes[b];
                config.learning_rate = 0.05f;
                struct model *model = training_model(&config);
                training_run(model, NULL, batch_sizes[b] == 1 ? 1 : 2);
                if (first) {
                    training_assert_same_bits(first, model);
                    model_free(model);
                } else {
                    first = model;
                }
            }
            model_free(first);
        }
    }
}

/*
 * A batch of more blocks than are held at once: its gradient is that of all its blocks in their
 * order, as if there were room for all of them.
 */
static void rounds_of_a_large_batch_leave_no_trace(void **state)
{
    (void)state;
    enum {
        BLOCKS = 2 * LENET_ROUND + 3,
        BATCH = BLOCKS * LENET_BLOCK - 5
    };
    static uint32_t samples[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        samples[i] = (uint32_t)(i * 7 % TRAINING_COUNT);
    }
    for (size_t k = 0; kernels_here(k); k++) {
        const struct lenet_kernels *kernels = kernels_here(k);
        struct model_config config = MODEL_CONFIG_INIT;
        config.threads = 2;
        config.kernels = kernels->name;
        struct model *model = training_model(&config);
        struct model *expected = training_model(&config);
        char *slots = aligned_alloc(64, BLOCKS * kernels->slot_size);
        assert_non_null(slots);
        double loss_sum = 0.0;
        for (size_t block = 0; block < BLOCKS; block++) {
            size_t start = block * LENET_BLOCK;
            size_t count = BATCH - start < LENET_BLOCK ? BATCH - start : LENET_BLOCK;
            const uint8_t *images[LENET_BLOCK];
            uint8_t labels[LENET_BLOCK];
            for (size_t i = 0; i < count; i++) {
                images[i] = dataset_pixels(training_images, samples[start + i]);
                labels[i] = model_dataset_label(training_images, samples[start + i]);
            }
            loss_sum += kernels->train(&expected->shape, expected->weights, images, labels, count,
                                       1.0f / BATCH, slots + block * kernels->slot_size,
                                       expected->workspaces[0]);
        }
        for (size_t piece = 0; piece < kernels->pieces(&expected->shape); piece++) {
            kernels->gather(&expected->shape, slots, BLOCKS, piece, false, expected->gradients);
        }
        struct optimizer_rule rule = optimizer_begin(expected);
        optimizer_step(&rule, LENET_PARAMETERS, expected->gradients, expected->moments,
                       expected->second, expected->weights);
        optimizer_end(expected, &rule);
        float loss;
        assert_true(blocks_train(model, training_images, samples, BATCH, &loss));
        assert_float_equal(loss, loss_sum / BATCH, 1e-6);
        training_assert_same_bits(model, expected);
        free(slots);
        model_free(model);
        model_free(expected);
    }
}

static void two_and_two_epochs_are_four(void **state)
{
    (void)state;
    struct model *whole = training_quick_model(2);
    struct model_state end = training_run(whole, NULL, 4);
    assert_int_equal(end.epoch, 4);
    assert_int_equal(end.step, TRAINING_STEPS);
    assert_int_equal(end.cumulative_step, 4 * TRAINING_STEPS);

    /* Continued: the same run. */
    struct model *model = training_quick_model(1);
    struct model_state half = training_run(model, NULL, 2);
    end = training_run(model, &half, 4);
    assert_int_equal(end.epoch, 4);
    assert_int_equal(end.cumulative_step, 4 * TRAINING_STEPS);
    training_assert_same_bits(whole, model);
    model_free(model);

    /* Extended: a new run, whose epochs start at 1 again. */
    model = training_quick_model(1);
    half = training_run(model, NULL, 2);
    struct model_state next = {
        .present = true, .cumulative_step = half.cumulative_step, .base_step = 2 * TRAINING_STEPS};
    end = training_run(model, &next, 2);
    assert_int_equal(end.epoch, 2);
    assert_int_equal(end.step, TRAINING_STEPS);
    assert_int_equal(end.cumulative_step, 4 * TRAINING_STEPS);
    assert_int_equal(end.base_step, 2 * TRAINING_STEPS);
    training_assert_same_bits(whole, model);
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
    struct model *whole = training_quick_model(1);
    training_run(whole, NULL, 3);
    for (uint64_t at = 1; at < 3 * TRAINING_STEPS; at++) {
        struct model *model = training_quick_model(2);
        struct stopper stopper = {.at = at};
        struct model_callback callback = {.step_end = stop_at, .context = &stopper};
        struct model_training training = {
            .epochs = 3, .callbacks = &callback, .callback_count = 1, .stop = &stopper.stop};
        struct model_state stopped;
        struct model_error err = {0};
        assert_int_equal(model_train(model, training_images, &training, &stopped, &err),
                         MODEL_STOPPED);
        assert_int_equal(stopped.cumulative_step, at);
        assert_int_equal(stopped.epoch, (at - 1) / TRAINING_STEPS + 1);
        assert_int_equal(stopped.step, (at - 1) % TRAINING_STEPS + 1);
        assert_non_null(strstr(err.message, "stopped on request"));
        struct model_state end = training_run(model, &stopped, 3);
        assert_int_equal(end.cumulative_step, 3 * TRAINING_STEPS);
        training_assert_same_bits(whole, model);
        model_free(model);
    }
    model_free(whole);
}

static void state_tells_what_was_trained(void **state)
{
    (void)state;
    struct model *model = training_quick_model(1);
    struct model_state start = {.present = false, .run = "20261124T081500Z-k3f9qa", .epoch = 99};
    struct model_state end = training_run(model, &start, 1);
    assert_true(end.present);
    assert_string_equal(end.run, "20261124T081500Z-k3f9qa");
    assert_int_equal(end.epoch, 1);
    assert_int_equal(end.steps_per_epoch, TRAINING_STEPS);
    assert_int_equal(end.seed, 1);
    assert_int_equal(end.batch_size, 32);
    assert_int_equal(end.data_crc32, model_dataset_crc32(training_images));
    assert_string_equal(end.kernels, kernels_here(0)->name);
    /* What is done already is not done again. */
    struct model *before = training_quick_model(1);
    training_run(before, &start, 1);
    struct model_state again = training_run(model, &end, 1);
    assert_int_equal(again.cumulative_step, end.cumulative_step);
    training_assert_same_bits(before, model);
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
    struct model *model = training_model(&config);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_state start = {.present = true,
                                    .epoch = 1,
                                    .step = cases[i].step,
                                    .steps_per_epoch = cases[i].steps_per_epoch,
                                    .cumulative_step = 5};
        struct model_state end = training_run(model, &start, 2);
        assert_int_equal(end.epoch, 2);
        assert_int_equal(end.step, 4);
        assert_int_equal(end.steps_per_epoch, 4);
        assert_int_equal(end.cumulative_step, 5 + cases[i].more);
    }
    model_free(model);
}

/* ---- learning ------------------------------------------------------------------------------- */

static void learns_a_few_images_by_heart(void **state)
{
    (void)state;
    struct model_dataset few = *training_images;
    few.count = 64;
    struct model *model = training_quick_model(2);
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
        struct model *model = training_quick_model(1);
        model_set_learning_rate(model, rates[i]);
        assert_float_equal(model_learning_rate(model), rates[i], 0.0f);
        uint64_t steps = 0;
        struct model_callback callback = {.step_end = count_finite, .context = &steps};
        struct model_training training = {
            .epochs = 100, .callbacks = &callback, .callback_count = 1};
        struct model_state end;
        struct model_error err = {0};
        assert_int_equal(model_train(model, training_images, &training, &end, &err),
                         MODEL_DIVERGED);
        assert_int_equal(end.cumulative_step, steps);
        assert_non_null(strstr(err.message, "finite"));
        model_free(model);
    }
}

/* The step whose loss is not finite is not taken at all. */
static void a_loss_that_is_not_finite_changes_nothing(void **state)
{
    (void)state;
    struct model *model = training_quick_model(1);
    struct model *before = training_quick_model(1);
    lenet_point(&model->shape, model->weights).fc3_bias[3] = INFINITY;
    lenet_point(&before->shape, before->weights).fc3_bias[3] = INFINITY;
    struct model_training training = {.epochs = 1};
    struct model_state end;
    struct model_error err = {0};
    assert_int_equal(model_train(model, training_images, &training, &end, &err), MODEL_DIVERGED);
    assert_non_null(strstr(err.message, "epoch 1 step 1: the loss is not finite"));
    assert_int_equal(end.cumulative_step, 0);
    training_assert_same_bits(before, model);
    model_free(model);
    model_free(before);
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
    config.batch_size = TRAINING_COUNT + 1;
    struct model *model = training_model(&config);
    struct model_training training = {.epochs = 1};
    struct model_state end;
    struct model_metrics metrics;
    struct model_error err = {0};
    assert_int_equal(model_train(model, training_images, &training, &end, &err), MODEL_ARGUMENT);
    assert_non_null(strstr(err.message, "200 images are less than one batch of 201"));
    assert_int_equal(model_evaluate(model, training_test_images, true, &metrics, &err),
                     MODEL_ARGUMENT);
    assert_int_equal(model_evaluate(model, training_test_images, false, &metrics, &err), MODEL_OK);
    training.epochs = 0;
    assert_int_equal(model_train(model, training_images, &training, &end, &err), MODEL_ARGUMENT);
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
        cmocka_unit_test(learns_a_few_images_by_heart),
        cmocka_unit_test(divergence_ends_before_any_callback_sees_it),
        cmocka_unit_test(a_loss_that_is_not_finite_changes_nothing),
        cmocka_unit_test(refuses_values_by_name),
        cmocka_unit_test(refuses_what_is_less_than_a_batch),
    };
    return cmocka_run_group_tests(tests, training_set_up, training_tear_down);
}
