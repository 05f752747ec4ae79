/*
 * test_kernels.c - the fast kernels against the reference on whole batches, tensor by tensor, and
 * how they are chosen.
 */
#include "training_fixture.h"

#include "model/kernels/kernels.h"

#include <math.h>

/* The largest difference of two gradients of a tensor, relative to the largest value in it. */
static double worst_difference(const struct lenet_tensor *tensor, const float *a, const float *b)
{
    double largest = 0.0;
    double worst = 0.0;
    for (size_t i = tensor->offset; i < tensor->offset + tensor->count; i++) {
        largest = fmax(largest, fabs((double)b[i]));
        double difference = fabs((double)a[i] - (double)b[i]);
        worst = difference <= worst ? worst : difference;
    }
    return worst / largest;
}

static struct model *model_of(const struct lenet_kernels *kernels, uint32_t batch_size,
                              uint32_t classes)
{
    struct model_config config = MODEL_CONFIG_INIT;
    config.kernels = kernels->name;
    config.batch_size = batch_size;
    config.classes = classes;
    config.threads = 2;
    struct model *model = training_model(&config);
    for (size_t i = 0; i < model->shape.parameters; i++) {
        model->weights[i] *= 10.0f;
    }
    return model;
}

static void gradients_equal_the_references(void **state)
{
    (void)state;
    static const struct {
        uint32_t batch_size, classes;
    } cases[] = {{1, 10},   {15, 10}, {16, 10},  {17, 10}, {32, 10}, {33, 10},
                 {100, 10}, {17, 47}, {100, 47}, {33, 64}, {17, 62}, {32, 27}};
    uint32_t samples[100];
    for (uint32_t i = 0; i < 100; i++) {
        samples[i] = i * 7 % TRAINING_COUNT;
    }
    for (size_t k = 0; kernels_here(k) != &lenet_reference; k++) {
        double worst[LENET_TENSORS] = {0};
        for (size_t b = 0; b < sizeof cases / sizeof cases[0]; b++) {
            const uint32_t count = cases[b].batch_size;
            struct model *model = model_of(kernels_here(k), count, cases[b].classes);
            struct model *reference = model_of(&lenet_reference, count, cases[b].classes);
            float loss;
            float reference_loss;
            assert_true(blocks_train(model, training_images, samples, count, &loss));
            assert_true(blocks_train(reference, training_images, samples, count, &reference_loss));
            assert_float_equal(loss, reference_loss, 1e-5);
            for (size_t t = 0; t < LENET_TENSORS; t++) {
                double difference = worst_difference(&model->shape.tensors[t], model->gradients,
                                                     reference->gradients);
                worst[t] = fmax(worst[t], difference);
                if (!(difference < 2e-5)) {
                    fail_msg("%s, batch of %u, %u classes, %s: %g", kernels_here(k)->name, count,
                             cases[b].classes, lenet_tensors[t].name, difference);
                }
            }
            model_free(model);
            model_free(reference);
        }
        for (size_t t = 0; t < LENET_TENSORS; t++) {
            print_message("%s %s: largest relative difference %.1e\n", kernels_here(k)->name,
                          lenet_tensors[t].name, worst[t]);
        }
    }
}

static void auto_is_the_best_and_says_which(void **state)
{
    (void)state;
    static const char *const names[] = {NULL, "", "auto"};
    for (size_t i = 0; i < 3; i++) {
        const struct lenet_kernels *kernels = NULL;
        assert_int_equal(kernels_find(&kernels, names[i], NULL), MODEL_OK);
        assert_ptr_equal(kernels, kernels_here(0));
        assert_string_not_equal(kernels->name, "reference");
    }
    struct model_config config = MODEL_CONFIG_INIT;
    struct model *model = training_model(&config);
    assert_string_equal(model_kernels(model), kernels_here(0)->name);
    model_free(model);
}

static void every_name_is_itself_or_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"avx512", "avx2", "neon", "baseline", "reference"};
    size_t here = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct lenet_kernels *kernels = NULL;
        struct model_error err = {0};
        if (kernels_find(&kernels, names[i], &err) == MODEL_OK) {
            assert_string_equal(kernels->name, names[i]);
            here++;
            continue;
        }
        assert_int_equal(err.code, MODEL_ARGUMENT);
        assert_null(kernels);
        assert_non_null(strstr(err.message, names[i]));
        assert_non_null(strstr(err.message, "processor"));
        assert_non_null(strstr(err.hint, "baseline"));
        assert_null(strstr(err.hint, names[i]));
    }
    assert_null(kernels_here(here));
    assert_true(here >= 2 && here < 5);
}

static void an_unknown_name_is_refused(void **state)
{
    (void)state;
    struct model_config config = MODEL_CONFIG_INIT;
    config.kernels = "fast";
    struct model *model = NULL;
    struct model_error err = {0};
    assert_int_equal(model_new(&model, &config, &err), MODEL_ARGUMENT);
    assert_null(model);
    assert_non_null(strstr(err.message, "fast"));
    assert_non_null(strstr(err.hint, "auto, "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_equal_the_references),
        cmocka_unit_test(auto_is_the_best_and_says_which),
        cmocka_unit_test(every_name_is_itself_or_refused),
        cmocka_unit_test(an_unknown_name_is_refused),
    };
    return cmocka_run_group_tests(tests, training_set_up, training_tear_down);
}
