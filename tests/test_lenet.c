/*
 * test_lenet.c - the whole network: its tensors, its initial values, and forward and backward of
 * every kernel this machine runs against an independent one in double precision, written as the
 * lab writes it (relu, then pooling; plain loops).
 */
#include "model/training/lenet.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/random.h"
#include "model/data/dataset.h"
#include "model/kernels/kernels.h"
#include "model/layers/gemm.h"

/* ---- the independent network ------------------------------------------------------------------
 */

/* out[O][H-4][W-4], relu'd, of in[C][H][W]. */
static void naive_convolution(const double *weight, size_t channels, size_t side, size_t outputs,
                              const double *in, double *out)
{
    size_t out_side = side - 4;
    for (size_t o = 0; o < outputs; o++) {
        for (size_t y = 0; y < out_side; y++) {
            for (size_t x = 0; x < out_side; x++) {
                double sum = 0.0;
                for (size_t c = 0; c < channels; c++) {
                    for (size_t k = 0; k < 25; k++) {
                        sum += weight[(o * channels + c) * 25 + k] *
                               in[(c * side + y + k / 5) * side + x + k % 5];
                    }
                }
                out[(o * out_side + y) * out_side + x] = sum > 0.0 ? sum : 0.0;
            }
        }
    }
}

static void naive_pool(size_t channels, size_t side, const double *in, double *out)
{
    for (size_t y = 0; y < channels * side / 2; y++) {
        for (size_t x = 0; x < side / 2; x++) {
            const double *top = in + 2 * y * side + 2 * x;
            *out++ = fmax(fmax(top[0], top[1]), fmax(top[side], top[side + 1]));
        }
    }
}

static void naive_dense(const double *weight, const double *bias, size_t inputs, size_t outputs,
                        const double *in, double *out)
{
    for (size_t o = 0; o < outputs; o++) {
        out[o] = bias[o];
        for (size_t i = 0; i < inputs; i++) {
            out[o] += weight[o * inputs + i] * in[i];
        }
    }
}

static void naive_forward(size_t classes, const double *p, const float *image, double *logits)
{
    double in[32 * 32];
    double map1[6 * 28 * 28];
    double pool1[6 * 14 * 14];
    double map2[16 * 10 * 10];
    double pool2[400];
    double fc1[120];
    double fc2[84];
    for (size_t i = 0; i < 32 * 32; i++) {
        in[i] = (double)image[i];
    }
    naive_convolution(p, 1, 32, 6, in, map1);
    naive_pool(6, 28, map1, pool1);
    naive_convolution(p + 150, 6, 14, 16, pool1, map2);
    naive_pool(16, 10, map2, pool2);
    naive_dense(p + 2550, p + 50550, 400, 120, pool2, fc1);
    naive_dense(p + 50670, p + 60750, 120, 84, fc1, fc2);
    naive_dense(p + 60834, p + 60834 + 84 * classes, 84, classes, fc2, logits);
}

static double naive_loss(size_t classes, const double *p, const float *images,
                         const uint8_t *labels, size_t count)
{
    double loss = 0.0;
    for (size_t i = 0; i < count; i++) {
        double logits[MODEL_CLASSES_MAX];
        naive_forward(classes, p, images + i * LENET_INPUTS, logits);
        double sum = 0.0;
        for (size_t j = 0; j < classes; j++) {
            sum += exp(logits[j]);
        }
        loss += log(sum) - logits[labels[i]];
    }
    return loss;
}

/* ---- what the tests share ---------------------------------------------------------------------
 */

static struct lenet_shape shape;
static float parameters[LENET_PARAMETERS_MAX];
static double wide[LENET_PARAMETERS_MAX];
static float inputs[LENET_BLOCK * LENET_INPUTS];
static uint8_t labels[LENET_BLOCK];
static uint8_t pixels[LENET_BLOCK][LENET_INPUTS];
static const uint8_t *images[LENET_BLOCK];

/* A network of so many classes, and images with labels of them all. */
static void draw(size_t classes)
{
    lenet_shape_init(&shape, classes);
    struct random random;
    random_init(&random, 3, 0);
    for (size_t t = 0; t < LENET_TENSORS; t++) {
        /* About 1/sqrt(fan in): signals of size one all the way, so every gradient counts. */
        static const double sigmas[LENET_TENSORS] = {0.2, 0.1, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1};
        for (size_t i = 0; i < shape.tensors[t].count; i++) {
            size_t at = shape.tensors[t].offset + i;
            parameters[at] = (float)random_normal(&random, sigmas[t]);
            wide[at] = (double)parameters[at];
        }
    }
    for (size_t i = 0; i < LENET_BLOCK; i++) {
        for (size_t p = 0; p < LENET_INPUTS; p++) {
            pixels[i][p] = (uint8_t)random_below(&random, 256);
        }
        images[i] = pixels[i];
        labels[i] = (uint8_t)random_below(&random, classes);
        dataset_rescale(pixels[i], inputs + i * LENET_INPUTS);
    }
}

static int set_up(void **state)
{
    (void)state;
    gemm_set_up();
    draw(MODEL_CLASSES);
    return 0;
}

/* The lab's, EMNIST's balanced set, and both ends. */
static const size_t class_counts[] = {MODEL_CLASSES, 47, 1, MODEL_CLASSES_MAX};

/* Zeroed, as lenet.h wants it. */
static void *make_workspace(const struct lenet_kernels *kernels)
{
    size_t size = (kernels->workspace_size + 63) / 64 * 64;
    void *workspace = aligned_alloc(64, size);
    assert_non_null(workspace);
    memset(workspace, 0, size);
    return workspace;
}

/* The gradient of a block, for kernels whose slot and gradients held NaN before. */
static double gradient_of(const struct lenet_kernels *kernels, size_t first, size_t count,
                          float scale, float *gradients, void *workspace)
{
    void *slot = aligned_alloc(64, kernels->slot_size);
    assert_non_null(slot);
    memset(slot, 0xFF, kernels->slot_size);
    memset(gradients, 0xFF, shape.parameters * sizeof *gradients);
    double loss = kernels->train(&shape, parameters, images + first, labels + first, count, scale,
                                 slot, workspace);
    for (size_t piece = 0; piece < kernels->pieces(&shape); piece++) {
        kernels->gather(&shape, slot, 1, piece, false, gradients);
    }
    free(slot);
    return loss;
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void tensors_fill_the_block_in_order(void **state)
{
    (void)state;
    static const char *const names[LENET_TENSORS] = {"conv1.weight", "conv2.weight", "fc1.weight",
                                                     "fc1.bias",     "fc2.weight",   "fc2.bias",
                                                     "fc3.weight",   "fc3.bias"};
    size_t offset = 0;
    for (size_t t = 0; t < LENET_TENSORS; t++) {
        const struct lenet_tensor *tensor = &lenet_tensors[t];
        int64_t count = 1;
        for (size_t d = 0; d < tensor->rank; d++) {
            count *= tensor->dims[d];
        }
        assert_string_equal(tensor->name, names[t]);
        assert_int_equal(tensor->offset, offset);
        assert_int_equal(tensor->count, count);
        offset += tensor->count;
    }
    assert_int_equal(offset, LENET_PARAMETERS);
    struct lenet_parameters named = lenet_point(&shape, parameters);
    assert_ptr_equal(named.fc1_bias, parameters + lenet_tensors[3].offset);
    assert_ptr_equal(named.fc3_bias, parameters + lenet_tensors[7].offset);
}

static void initial_values_are_the_labs(void **state)
{
    (void)state;
    static float drawn[LENET_PARAMETERS];
    static float again[LENET_PARAMETERS];
    lenet_draw(&shape, drawn, 1, MODEL_NORMAL);
    for (size_t t = 0; t < LENET_TENSORS; t++) {
        const struct lenet_tensor *tensor = &lenet_tensors[t];
        double sum = 0.0;
        double squares = 0.0;
        for (size_t i = 0; i < tensor->count; i++) {
            double value = (double)drawn[tensor->offset + i];
            sum += value;
            squares += value * value;
        }
        double count = (double)tensor->count;
        double sigma = sqrt(squares / count);
        if (tensor->rank == 1) {
            assert_true(sigma == 0.0);
            continue;
        }
        /* Five standard errors. */
        assert_true(fabs(sigma - 0.01) < 5 * 0.01 / sqrt(2 * count));
        assert_true(fabs(sum / count) < 5 * 0.01 / sqrt(count));
    }
    assert_memory_not_equal(drawn, drawn + lenet_tensors[1].offset, 150 * sizeof drawn[0]);
    lenet_draw(&shape, again, 1, MODEL_NORMAL);
    assert_memory_equal(drawn, again, sizeof drawn);
    lenet_draw(&shape, again, 2, MODEL_NORMAL);
    assert_memory_not_equal(drawn, again, 150 * sizeof drawn[0]);
}

/* Uniform within 1/sqrt(inputs), biases too: variance a third of the bound's square. */
static void he_uniform_values_are_mindspores(void **state)
{
    (void)state;
    static const double fan_in[LENET_TENSORS] = {25, 150, 400, 400, 120, 120, 84, 84};
    static float drawn[LENET_PARAMETERS];
    lenet_draw(&shape, drawn, 1, MODEL_HE_UNIFORM);
    for (size_t t = 0; t < LENET_TENSORS; t++) {
        const struct lenet_tensor *tensor = &lenet_tensors[t];
        double bound = 1.0 / sqrt(fan_in[t]);
        double squares = 0.0;
        double largest = 0.0;
        for (size_t i = 0; i < tensor->count; i++) {
            double value = (double)drawn[tensor->offset + i];
            squares += value * value;
            largest = fmax(largest, fabs(value));
        }
        double count = (double)tensor->count;
        assert_true(largest <= bound * (1 + 1e-6) && largest > bound * 0.5);
        /* Five standard errors: the variance of a square is 4/45 of the bound's fourth power. */
        assert_true(fabs(squares / count / (bound * bound) - 1.0 / 3) < 5 * sqrt(4.0 / 45 / count));
    }
}

static void pieces_cover_the_parameters(void **state)
{
    (void)state;
    for (size_t k = 0; kernels_here(k); k++) {
        for (size_t c = 0; c < 4; c++) {
            struct lenet_shape of;
            lenet_shape_init(&of, class_counts[c]);
            size_t offset = 0;
            for (size_t i = 0; i < kernels_here(k)->pieces(&of); i++) {
                struct lenet_piece piece = kernels_here(k)->piece(&of, i);
                assert_int_equal(piece.offset, offset);
                offset += piece.count;
            }
            assert_int_equal(offset, 60834 + 85 * class_counts[c]);
            assert_int_equal(of.parameters, offset);
        }
    }
}

static void check_forward(void)
{
    for (size_t k = 0; kernels_here(k); k++) {
        void *workspace = make_workspace(kernels_here(k));
        for (size_t count = LENET_BLOCK; count > 0; count -= count > 5 ? 5 : count) {
            float logits[LENET_BLOCK * MODEL_CLASSES_MAX];
            kernels_here(k)->forward(&shape, parameters, images, count, logits, workspace);
            for (size_t i = 0; i < count; i++) {
                double expected[MODEL_CLASSES_MAX];
                naive_forward(shape.classes, wide, inputs + i * LENET_INPUTS, expected);
                for (size_t j = 0; j < shape.classes; j++) {
                    assert_float_equal(logits[i * shape.classes + j], expected[j], 2e-5);
                }
            }
        }
        free(workspace);
    }
}

static void forward_equals_the_independent_network(void **state)
{
    (void)state;
    for (size_t c = 4; c-- > 0;) { /* ends as set_up began */
        draw(class_counts[c]);
        check_forward();
    }
}

/* d(loss)/d(parameter at) of the first count images, in double. */
static double numeric_gradient(size_t at, size_t count)
{
    const double h = 1e-6;
    double before = wide[at];
    wide[at] = before + h;
    double above = naive_loss(shape.classes, wide, inputs, labels, count);
    wide[at] = before - h;
    double below = naive_loss(shape.classes, wide, inputs, labels, count);
    wide[at] = before;
    return (above - below) / (2 * h);
}

static void check_gradient(void)
{
    enum {
        COUNT = 3,
        PROBES = 12, /* of each tensor */
        KERNELS_MAX = 8
    };
    static float gradients[KERNELS_MAX][LENET_PARAMETERS_MAX];
    const float scale = 0.25f;
    size_t kernels = 0;
    for (; kernels_here(kernels); kernels++) {
        void *workspace = make_workspace(kernels_here(kernels));
        double loss =
            gradient_of(kernels_here(kernels), 0, COUNT, scale, gradients[kernels], workspace);
        assert_float_equal(loss, naive_loss(shape.classes, wide, inputs, labels, COUNT), 1e-4);
        free(workspace);
    }
    struct random random;
    random_init(&random, 9, 0);
    for (size_t t = 0; t < LENET_TENSORS; t++) {
        double largest = 0.0;
        for (size_t i = 0; i < shape.tensors[t].count; i++) {
            for (size_t k = 0; k < kernels; k++) {
                float gradient = gradients[k][shape.tensors[t].offset + i];
                assert_true(isfinite(gradient));
                largest = fmax(largest, fabs((double)gradient));
            }
        }
        assert_true(largest > 1e-3);
        for (size_t probe = 0; probe < PROBES; probe++) {
            size_t at = shape.tensors[t].offset + random_below(&random, shape.tensors[t].count);
            double numeric = (double)scale * numeric_gradient(at, COUNT);
            for (size_t k = 0; k < kernels; k++) {
                if (fabs(numeric - (double)gradients[k][at]) > 1e-4 * largest) {
                    fail_msg("%s, %s[%zu]: %g, numerically %g", kernels_here(k)->name,
                             shape.tensors[t].name, at - shape.tensors[t].offset,
                             (double)gradients[k][at], numeric);
                }
            }
        }
    }
}

static void gradient_equals_the_numeric_one(void **state)
{
    (void)state;
    static const size_t counts[] = {47, MODEL_CLASSES};
    for (size_t c = 0; c < 2; c++) {
        draw(counts[c]);
        check_gradient();
    }
}

/* A block's gradient is the sum over its images, whatever the workspace was used for before. */
static void gradient_of_a_block_is_the_sum(void **state)
{
    (void)state;
    static float whole[LENET_PARAMETERS];
    static float one[LENET_PARAMETERS];
    static double sum[LENET_PARAMETERS];
    for (size_t k = 0; kernels_here(k); k++) {
        const struct lenet_kernels *kernels = kernels_here(k);
        void *workspace = make_workspace(kernels);
        double loss = gradient_of(kernels, 0, LENET_BLOCK, 1.0f, whole, workspace);
        memset(sum, 0, sizeof sum);
        for (size_t i = 0; i < LENET_BLOCK; i++) {
            loss -= gradient_of(kernels, i, 1, 1.0f, one, workspace);
            for (size_t p = 0; p < LENET_PARAMETERS; p++) {
                sum[p] += (double)one[p];
            }
        }
        assert_float_equal(loss, 0.0, 1e-4);
        for (size_t p = 0; p < LENET_PARAMETERS; p++) {
            if (!(fabs(sum[p] - (double)whole[p]) <= 1e-4 * (1.0 + fabs(sum[p])))) {
                fail_msg("%s, parameter %zu: %g, not %g", kernels->name, p, (double)whole[p],
                         sum[p]);
            }
        }
        free(workspace);
    }
}

/* The generator is a contract too: another sequence would change what a seed means. */
static void random_numbers_are_the_published_ones(void **state)
{
    (void)state;
    /* xoshiro256** from the state 1, 2, 3, 4, worked out from its authors' C; the first is
       rotl(2·5, 7)·9 = 11520. */
    struct random random = {{1, 2, 3, 4}};
    assert_true(random_next(&random) == 11520);
    assert_true(random_next(&random) == 0);
    assert_true(random_next(&random) == 1509978240);
    assert_true(random_next(&random) == UINT64_C(1215971899390074240));
    size_t seen[3] = {0};
    for (int i = 0; i < 3000; i++) {
        seen[random_below(&random, 3)]++;
        double uniform = random_uniform(&random);
        assert_true(uniform >= 0.0 && uniform < 1.0);
    }
    for (int i = 0; i < 3; i++) {
        assert_in_range(seen[i], 850, 1150);
    }
    /* A bound of 3/4 of all numbers: without drawing again, half instead of a third lie below 2^62.
     */
    size_t low = 0;
    for (int i = 0; i < 3000; i++) {
        low += random_below(&random, UINT64_C(3) << 62) < UINT64_C(1) << 62;
    }
    assert_in_range(low, 850, 1150);
    assert_true(random_below(&random, 1) == 0);
    struct random other;
    random_init(&random, 1, 2);
    random_init(&other, 2, 1);
    assert_true(random_next(&random) != random_next(&other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_fill_the_block_in_order),
        cmocka_unit_test(initial_values_are_the_labs),
        cmocka_unit_test(he_uniform_values_are_mindspores),
        cmocka_unit_test(pieces_cover_the_parameters),
        cmocka_unit_test(forward_equals_the_independent_network),
        cmocka_unit_test(gradient_equals_the_numeric_one),
        cmocka_unit_test(gradient_of_a_block_is_the_sum),
        cmocka_unit_test(random_numbers_are_the_published_ones),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
