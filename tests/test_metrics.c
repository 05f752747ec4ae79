/* test_metrics.c - precision, recall and F1 of a confusion matrix, against numbers of MindSpore. */
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/*
 * 12 samples: truths 0 0 0 1 1 2 2 2 2 3 3 9, predictions 0 0 1 1 2 2 2 0 2 3 9 9. Classes 4 to 8
 * never occur. tests/mindspore/metrics.py prints what MindSpore 2.10 makes of them.
 */
static const uint8_t truths[] = {0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 9};
static const uint8_t predictions[] = {0, 0, 1, 1, 2, 2, 2, 0, 2, 3, 9, 9};

static void test_per_class(void **state)
{
    (void)state;
    static const double precision[MODEL_CLASSES] = {2.0 / 3, 0.5, 0.75, 1, 0, 0, 0, 0, 0, 0.5};
    static const double recall[MODEL_CLASSES] = {2.0 / 3, 0.5, 0.75, 0.5, 0, 0, 0, 0, 0, 1};
    static const double f1[MODEL_CLASSES] = {2.0 / 3, 0.5, 0.75, 2.0 / 3, 0, 0, 0, 0, 0, 2.0 / 3};
    struct model_metrics metrics = {.samples = sizeof truths};
    for (size_t i = 0; i < sizeof truths; i++) {
        metrics.confusion[truths[i]][predictions[i]]++;
    }
    for (size_t k = 0; k < MODEL_CLASSES; k++) {
        assert_float_equal(model_precision(&metrics, k), precision[k], 1e-12);
        assert_float_equal(model_recall(&metrics, k), recall[k], 1e-12);
        assert_float_equal(model_f1(&metrics, k), f1[k], 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_per_class)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
