/*
 * test_mindspore.c - checkpoints that a real MindSpore 2.10 wrote (tests/mindspore/make_golden.py)
 * load here, and the network computes from them what MindSpore computed.
 */
#include "lab_fixture.h"
#include "model/checkpoint/checkpoint.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DATA TEST_SOURCE_DIR "/tests/data/"

static struct model_checkpoint *read_golden(const char *path)
{
    struct model_checkpoint *checkpoint = NULL;
    struct model_error err = {0};
    assert_int_equal(model_checkpoint_read(&checkpoint, path, &err), MODEL_OK);
    return checkpoint;
}

/* What the golden's .expected.txt says. */
struct expected {
    double logits[LAB_INPUTS][MODEL_CLASSES];
    double moments_sum, learning_rate, momentum;
};

static void read_expected(struct expected *expected)
{
    char line[1024];
    size_t rows = 0;
    FILE *file = fopen(DATA "mindspore-2.10-lenet.expected.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "logits ", 7) == 0) {
            assert_true(rows < LAB_INPUTS);
            char *at = line + 7;
            for (size_t c = 0; c < MODEL_CLASSES; c++) {
                expected->logits[rows][c] = strtod(at, &at);
            }
            rows++;
        } else if (strncmp(line, "moments_sum ", 12) == 0) {
            expected->moments_sum = strtod(line + 12, NULL);
        } else if (strncmp(line, "learning_rate ", 14) == 0) {
            expected->learning_rate = strtod(line + 14, NULL);
        } else if (strncmp(line, "momentum ", 9) == 0) {
            expected->momentum = strtod(line + 9, NULL);
        }
    }
    fclose(file);
    assert_int_equal(rows, LAB_INPUTS);
}

static void test_mindspores_lenet_computes_the_same(void **unused)
{
    (void)unused;
    struct model_error err = {0};
    struct expected expected = {0};
    float logits[LAB_INPUTS][MODEL_CLASSES];
    struct model_config config = MODEL_CONFIG_INIT;
    config.learning_rate = 0.5f;
    config.momentum = 0.5f;
    config.threads = 1;
    struct model *model = NULL;
    assert_int_equal(model_new(&model, &config, NULL), MODEL_OK);
    struct model_checkpoint *checkpoint = read_golden(DATA "mindspore-2.10-lenet.ckpt");
    assert_int_equal(model_checkpoint_completeness(checkpoint), MODEL_UNVERIFIED);
    assert_int_equal(model_checkpoint_count(checkpoint), 19); /* the lab's 18 and global_step */
    struct model_state state;
    model_checkpoint_state(checkpoint, &state);
    assert_false(state.present);

    assert_int_equal(model_load(model, checkpoint, false, &err), MODEL_OK);
    read_expected(&expected);
    lab_logits(model, logits[0]);
    double largest = 0.0;
    for (size_t i = 0; i < LAB_INPUTS; i++) {
        for (size_t c = 0; c < MODEL_CLASSES; c++) {
            assert_true(fabs((double)logits[i][c] - expected.logits[i][c]) <= 1e-4);
            largest = fmax(largest, fabs(expected.logits[i][c]));
        }
    }
    assert_true(largest > 0.5); /* or 1e-4 would say nothing */
    assert_true(fabs(lab_moments_sum(model) - expected.moments_sum) <= 1e-9 * expected.moments_sum);
    assert_true(expected.moments_sum > 1.0);
    assert_true(fabs((double)model_learning_rate(model) - expected.learning_rate) < 1e-9);
    assert_true(fabs((double)model->config.momentum - expected.momentum) < 1e-8);
    model_free(model);
    model_checkpoint_free(checkpoint);
}

static void test_mindspores_types_and_trailer(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        const char *type;
        size_t rank;
        size_t size;
    } tensors[] = {
        {"Int8", "Int8", 2, 6},        {"Int16", "Int16", 2, 12},
        {"Int32", "Int32", 2, 24},     {"Int64", "Int64", 2, 48},
        {"UInt8", "UInt8", 2, 6},      {"UInt16", "UInt16", 2, 12},
        {"UInt32", "UInt32", 2, 24},   {"UInt64", "UInt64", 2, 48},
        {"Float16", "Float16", 2, 12}, {"Float32", "Float32", 2, 24},
        {"Float64", "Float64", 2, 48}, {"BFloat16", "BFloat16", 2, 12},
        {"Bool", "Bool", 2, 6},        {"scalar", "Float32", 0, 4},
        {"one", "Float32", 1, 4},      {"epoch_num", "Int64", 0, 8},
        {"step_num", "Int64", 0, 8},   {"lr", "Float32", 0, 4},
        {"on", "Bool", 0, 1},          {"text", "str", 0, 16},
    };
    struct model_checkpoint *checkpoint = read_golden(DATA "mindspore-2.10-types.ckpt");
    assert_int_equal(model_checkpoint_completeness(checkpoint), MODEL_VERIFIED_TRAILER);
    assert_int_equal(model_checkpoint_count(checkpoint), sizeof tensors / sizeof tensors[0]);
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++) {
        const struct model_tensor *tensor = model_checkpoint_tensor(checkpoint, i);
        assert_string_equal(tensor->name, tensors[i].name);
        assert_string_equal(tensor->type, tensors[i].type);
        assert_int_equal(tensor->rank, tensors[i].rank);
        assert_int_equal(tensor->size, tensors[i].size);
    }
    int64_t steps = 0;
    memcpy(&steps, checkpoint_find(checkpoint, "step_num")->data, sizeof steps);
    assert_int_equal(steps, 5625);
    model_checkpoint_free(checkpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mindspores_lenet_computes_the_same),
        cmocka_unit_test(test_mindspores_types_and_trailer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
