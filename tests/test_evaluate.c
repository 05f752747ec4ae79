/*
 * Evaluation and prediction, against sums written out here.
 */
#include "training_fixture.h"

#include <math.h>

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
    struct model *model = training_quick_model(2);
    training_run(model, NULL, 2);
    float logits[TRAINING_TEST_COUNT * MODEL_CLASSES];
    assert_int_equal(
        model_predict(model, training_test_images, 0, TRAINING_TEST_COUNT, logits, NULL), MODEL_OK);
    /* 90 images in batches of 32: 32, 32, and 26 that count as much. */
    double batch_losses[3] = {0};
    size_t correct[3] = {0};
    for (size_t i = 0; i < TRAINING_TEST_COUNT; i++) {
        const float *row = logits + i * MODEL_CLASSES;
        uint8_t label = model_dataset_label(training_test_images, i);
        size_t best = 0;
        for (size_t j = 1; j < MODEL_CLASSES; j++) {
            best = row[j] > row[best] ? j : best;
        }
        batch_losses[i / 32] += loss_of(row, label) / (i < 64 ? 32 : 26);
        correct[i / 32] += best == label;
    }
    struct model_metrics metrics;
    assert_int_equal(model_evaluate(model, training_test_images, false, &metrics, NULL), MODEL_OK);
    assert_int_equal(metrics.samples, TRAINING_TEST_COUNT);
    assert_float_equal(metrics.loss, (batch_losses[0] + batch_losses[1] + batch_losses[2]) / 3,
                       1e-6);
    assert_float_equal(metrics.accuracy,
                       (double)(correct[0] + correct[1] + correct[2]) / TRAINING_TEST_COUNT, 1e-12);
    assert_int_equal(model_evaluate(model, training_test_images, true, &metrics, NULL), MODEL_OK);
    assert_int_equal(metrics.samples, 64);
    assert_float_equal(metrics.loss, (batch_losses[0] + batch_losses[1]) / 2, 1e-6);
    assert_float_equal(metrics.accuracy, (double)(correct[0] + correct[1]) / 64, 1e-12);
    model_free(model);
}

/* 47 outputs, of which ten have labels here: the logits of an image are its own, and all counted.
 */
static void more_classes_are_evaluated(void **state)
{
    (void)state;
    struct model_config config = MODEL_CONFIG_INIT;
    config.classes = 47;
    config.threads = 2;
    config.init = MODEL_HE_UNIFORM;
    struct model *model = training_model(&config);
    static float logits[TRAINING_TEST_COUNT * 47];
    assert_int_equal(
        model_predict(model, training_test_images, 0, TRAINING_TEST_COUNT, logits, NULL), MODEL_OK);
    uint64_t expected[47][47] = {{0}};
    for (size_t i = 0; i < TRAINING_TEST_COUNT; i++) {
        size_t best = 0;
        for (size_t j = 1; j < 47; j++) {
            best = logits[i * 47 + j] > logits[i * 47 + best] ? j : best;
        }
        expected[model_dataset_label(training_test_images, i)][best]++;
    }
    struct model_metrics metrics;
    assert_int_equal(model_evaluate(model, training_test_images, false, &metrics, NULL), MODEL_OK);
    assert_int_equal(metrics.classes, 47);
    for (size_t i = 0; i < 47; i++) {
        assert_memory_equal(metrics.confusion[i], expected[i], sizeof expected[i]);
    }
    model_free(model);
}

static void labels_outside_the_classes_are_refused(void **state)
{
    (void)state;
    struct model_config config = MODEL_CONFIG_INIT;
    config.classes = 9;
    struct model *model = training_model(&config);
    struct model_metrics metrics;
    struct model_state end;
    const struct model_training training = {.epochs = 1};
    struct model_error err = {0};
    assert_int_equal(model_evaluate(model, training_test_images, false, &metrics, &err),
                     MODEL_DATA);
    assert_non_null(strstr(err.message, "labels up to 9"));
    assert_non_null(strstr(err.message, "9 classes"));
    assert_int_equal(model_train(model, training_images, &training, &end, &err), MODEL_DATA);
    model_free(model);
}

static void predicts_a_part_alike(void **state)
{
    (void)state;
    struct model *model = training_quick_model(2);
    float all[TRAINING_TEST_COUNT * MODEL_CLASSES];
    float part[40 * MODEL_CLASSES];
    assert_int_equal(model_predict(model, training_test_images, 0, TRAINING_TEST_COUNT, all, NULL),
                     MODEL_OK);
    assert_int_equal(model_predict(model, training_test_images, 50, 40, part, NULL), MODEL_OK);
    for (size_t i = 0; i < 40 * MODEL_CLASSES; i++) {
        assert_float_equal(part[i], all[50 * MODEL_CLASSES + i], 1e-5);
    }
    struct model_error err = {0};
    assert_int_equal(model_predict(model, training_test_images, 50, 41, part, &err),
                     MODEL_ARGUMENT);
    assert_int_equal(
        model_predict(model, training_test_images, TRAINING_TEST_COUNT + 1, 0, part, &err),
        MODEL_ARGUMENT);
    assert_int_equal(model_predict(model, training_test_images, 1, SIZE_MAX, part, &err),
                     MODEL_ARGUMENT);
    model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluation_is_the_mean_of_batch_means),
        cmocka_unit_test(more_classes_are_evaluated),
        cmocka_unit_test(labels_outside_the_classes_are_refused),
        cmocka_unit_test(predicts_a_part_alike),
    };
    return cmocka_run_group_tests(tests, training_set_up, training_tear_down);
}
