/*
 * test_mnist.c - the lab on the real MNIST, when it lies beside the project: two epochs of one
 * seed, and an accuracy that only a right network reaches.
 */
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mnist_fixture.h"

static struct model_dataset *open_split(enum model_split split)
{
    struct model_dataset *dataset = NULL;
    struct model_error err = {0};
    if (model_dataset_open(&dataset, fixture_real_mnist(), split, false, &err) != MODEL_OK) {
        fail_msg("%s", err.message);
    }
    return dataset;
}

static void two_epochs_reach_the_labs_accuracy(void **state)
{
    (void)state;
    if (!fixture_real_mnist()) {
        skip();
    }
    struct model_dataset *train_set = open_split(MODEL_TRAIN);
    struct model_dataset *test_set = open_split(MODEL_TEST);
    const struct model_config config = MODEL_CONFIG_INIT;
    struct model *model = NULL;
    assert_int_equal(model_new(&model, &config, NULL), MODEL_OK);
    struct model_training training = {.epochs = 2};
    struct model_state end;
    struct model_metrics metrics;
    assert_int_equal(model_train(model, train_set, &training, &end, NULL), MODEL_OK);
    assert_int_equal(end.cumulative_step, 3750);
    assert_int_equal(model_evaluate(model, test_set, false, &metrics, NULL), MODEL_OK);
    assert_int_equal(metrics.samples, 10000);
    assert_true(metrics.accuracy >= 0.955);
    assert_int_equal(model_evaluate(model, test_set, true, &metrics, NULL), MODEL_OK);
    assert_int_equal(metrics.samples, 9984);
    model_free(model);
    model_dataset_free(train_set);
    model_dataset_free(test_set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_epochs_reach_the_labs_accuracy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
