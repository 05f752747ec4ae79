/*
 * test_layers.c - each layer against answers known by hand and against numeric gradients.
 *
 * A gradient is checked through the scalar L = sum(out · r) with fixed random r, whose gradient by
 * the layer's outputs is r: the layer's backward of r must equal (L(x + h) - L(x - h)) / 2h. The
 * layers are linear in each argument (relu and pooling in pieces), so a large h is exact but for
 * rounding.
 */
#include "model/layers/layers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/random.h"
#include "model/layers/gemm.h"
#include "model/model.h"
#include "model/training/optimizer.h"

enum {
    SIZE_MAX_TEST = 8192
};

static void fill(float *values, size_t count, uint64_t stream)
{
    struct random random;
    random_init(&random, 7, stream);
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)random_normal(&random, 1.0);
    }
}

static double dot(const float *a, const float *b, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* Compares gradient[count] with the numeric gradient of loss() by values[count]. */
static void check_gradient(const char *what, float *values, size_t count, const float *gradient,
                           double (*loss)(void *), void *context, float h)
{
    for (size_t i = 0; i < count; i++) {
        float before = values[i];
        values[i] = before + h;
        double above = loss(context);
        double step = (double)values[i];
        values[i] = before - h;
        double below = loss(context);
        step -= (double)values[i];
        values[i] = before;
        double numeric = (above - below) / step;
        if (fabs(numeric - (double)gradient[i]) > 1e-3 * (1.0 + fabs(numeric))) {
            fail_msg("%s[%zu]: %g, numerically %g", what, i, (double)gradient[i], numeric);
        }
    }
}

/* ---- convolution ---------------------------------------------------------------------------- */

static void convolves_without_flipping(void **state)
{
    (void)state;
    struct conv_shape shape = {.channels = 1, .height = 3, .width = 4, .outputs = 2, .kernel = 2};
    const float image[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const float weight[8] = {1, 2, 3, 4, 0, 1, 0, -1};
    float columns[24];
    float out[12];
    assert_int_equal(conv_columns_count(&shape), 24);
    conv_columns(&shape, image, columns);
    conv_forward(&shape, weight, columns, out);
    /* 1·1 + 2·2 + 3·5 + 4·6 = 44; … and above minus below: -4. */
    const float expected[12] = {44, 54, 64, 84, 94, 104, -4, -4, -4, -4, -4, -4};
    for (size_t i = 0; i < 12; i++) {
        assert_float_equal(out[i], expected[i], 0.0f);
    }
}

struct conv_case {
    struct conv_shape shape;
    float image[SIZE_MAX_TEST];
    float weight[SIZE_MAX_TEST];
    float columns[SIZE_MAX_TEST];
    float out[SIZE_MAX_TEST];
    float r[SIZE_MAX_TEST];
    size_t image_count, weight_count, out_count;
};

static double conv_loss(void *context)
{
    struct conv_case *c = context;
    conv_columns(&c->shape, c->image, c->columns);
    conv_forward(&c->shape, c->weight, c->columns, c->out);
    return dot(c->out, c->r, c->out_count);
}

static void check_convolution(size_t channels, size_t height, size_t width, size_t outputs,
                              size_t kernel)
{
    static struct conv_case c;
    static float d_weight[SIZE_MAX_TEST];
    static float d_image[SIZE_MAX_TEST];
    static float scratch[SIZE_MAX_TEST];
    c.shape = (struct conv_shape){channels, height, width, outputs, kernel};
    c.image_count = channels * height * width;
    c.weight_count = outputs * channels * kernel * kernel;
    c.out_count = outputs * (height - kernel + 1) * (width - kernel + 1);
    assert_in_range(conv_columns_count(&c.shape), 1, SIZE_MAX_TEST);
    fill(c.image, c.image_count, 1);
    fill(c.weight, c.weight_count, 2);
    fill(c.r, c.out_count, 3);

    conv_columns(&c.shape, c.image, c.columns);
    conv_backward_weight(&c.shape, c.r, c.columns, false, d_weight);
    check_gradient("conv weight", c.weight, c.weight_count, d_weight, conv_loss, &c, 0.5f);
    conv_backward_data(&c.shape, c.weight, c.r, scratch, d_image);
    check_gradient("conv image", c.image, c.image_count, d_image, conv_loss, &c, 0.5f);

    /* Adding the same once more doubles it. */
    float once = d_weight[c.weight_count - 1];
    conv_columns(&c.shape, c.image, c.columns);
    conv_backward_weight(&c.shape, c.r, c.columns, true, d_weight);
    assert_float_equal(d_weight[c.weight_count - 1], 2 * once, 1e-3f);
}

static void convolution_gradients(void **state)
{
    (void)state;
    check_convolution(1, 6, 7, 2, 3);
    check_convolution(3, 5, 5, 4, 5);
    /* The widths that conv_columns treats apart. */
    check_convolution(2, 14, 14, 3, 5);
    check_convolution(1, 8, 32, 2, 5);
}

/* ---- pooling and relu ------------------------------------------------------------------------ */

static void pooling_breaks_ties_by_columns(void **state)
{
    (void)state;
    /* Eight windows in one row of windows: which of 0 1 / 2 3 is taken. */
    const float in[2][16] = {
        {5, 5, 1, 5, 1, 5, 1, 1, 0, 0, 1, 2, 4, 3, -1, -2},
        {5, 5, 5, 1, 5, 5, 5, 1, 0, 0, 3, 4, 2, 1, -3, -1},
    };
    const uint8_t expected_where[8] = {0, 2, 2, 2, 0, 3, 0, 0};
    const float expected[8] = {5, 5, 5, 5, 0, 4, 4, -1};
    float out[8];
    uint8_t where[8];
    pool_forward(1, 2, 16, in[0], out, where);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(where[i], expected_where[i]);
        assert_float_equal(out[i], expected[i], 0.0f);
    }
}

struct pool_case {
    float in[2 * 4 * 6];
    float out[2 * 2 * 3];
    uint8_t where[2 * 2 * 3];
    float r[2 * 2 * 3];
};

static double pool_loss(void *context)
{
    struct pool_case *c = context;
    pool_forward(2, 4, 6, c->in, c->out, c->where);
    relu_forward(12, c->out);
    return dot(c->out, c->r, 12);
}

static void pooling_and_relu_gradients(void **state)
{
    (void)state;
    struct pool_case c;
    /* Distances of at least 0.25, none near 0: no maximum changes within h. */
    for (size_t i = 0; i < 48; i++) {
        c.in[i] = (float)(i * 7 % 48) * 0.25f - 8.1f;
    }
    fill(c.r, 12, 3);
    float d_out[12];
    float d_in[48];
    memset(d_in, 0xFF, sizeof d_in); /* every element must be written */
    memcpy(d_out, c.r, sizeof d_out);
    pool_loss(&c);
    relu_backward(12, c.out, d_out);
    pool_backward(2, 4, 6, d_out, c.where, d_in);
    check_gradient("pool", c.in, 48, d_in, pool_loss, &c, 0.05f);
}

static void relu_keeps_nan(void **state)
{
    (void)state;
    float values[4] = {NAN, -1.0f, 2.0f, -INFINITY};
    relu_forward(4, values);
    assert_true(isnan(values[0]));
    assert_float_equal(values[1], 0.0f, 0.0f);
    assert_float_equal(values[2], 2.0f, 0.0f);
    assert_float_equal(values[3], 0.0f, 0.0f);
    float gradient[4] = {1, 1, 1, 1};
    relu_backward(4, values, gradient);
    assert_float_equal(gradient[1], 0.0f, 0.0f);
    assert_float_equal(gradient[2], 1.0f, 0.0f);
}

/* ---- fully connected ------------------------------------------------------------------------- */

enum {
    IMAGES = 3,
    INPUTS = 7,
    OUTPUTS = 5
};

struct dense_case {
    float in[IMAGES * INPUTS];
    float weight[OUTPUTS * INPUTS];
    float bias[OUTPUTS];
    float out[IMAGES * OUTPUTS];
    float r[IMAGES * OUTPUTS];
};

static double dense_loss(void *context)
{
    struct dense_case *c = context;
    dense_forward(IMAGES, INPUTS, OUTPUTS, c->in, c->weight, c->bias, c->out);
    return dot(c->out, c->r, IMAGES * OUTPUTS);
}

static void dense_by_hand(void **state)
{
    (void)state;
    const float in[2] = {2, 3};
    const float weight[6] = {1, 2, 3, 4, 5, 6}; /* [3][2] */
    const float bias[3] = {10, 20, 30};
    float out[3];
    dense_forward(1, 2, 3, in, weight, bias, out);
    assert_float_equal(out[0], 18.0f, 0.0f);
    assert_float_equal(out[1], 38.0f, 0.0f);
    assert_float_equal(out[2], 58.0f, 0.0f);
}

static void dense_gradients(void **state)
{
    (void)state;
    struct dense_case c;
    float d_weight[OUTPUTS * INPUTS];
    float d_bias[OUTPUTS];
    float d_in[IMAGES * INPUTS];
    fill(c.in, IMAGES * INPUTS, 1);
    fill(c.weight, OUTPUTS * INPUTS, 2);
    fill(c.bias, OUTPUTS, 3);
    fill(c.r, IMAGES * OUTPUTS, 4);
    dense_backward(IMAGES, INPUTS, OUTPUTS, c.in, c.weight, c.r, d_weight, d_bias, d_in);
    check_gradient("dense weight", c.weight, OUTPUTS * INPUTS, d_weight, dense_loss, &c, 0.5f);
    check_gradient("dense bias", c.bias, OUTPUTS, d_bias, dense_loss, &c, 0.5f);
    check_gradient("dense in", c.in, IMAGES * INPUTS, d_in, dense_loss, &c, 0.5f);
}

/* ---- loss ------------------------------------------------------------------------------------ */

static void loss_of_known_logits(void **state)
{
    (void)state;
    const float logits[3][10] = {{0}, {1000, -1000, 0}, {-1e30f, 3e38f}};
    const uint8_t labels[3] = {4, 0, 0};
    double losses[3];
    loss_forward(3, 10, logits[0], labels, losses);
    assert_float_equal(losses[0], log(10.0), 1e-12);
    assert_float_equal(losses[1], 0.0, 1e-12);
    assert_true(losses[2] > 2.9e38 && isfinite(losses[2]));

    float d_logits[3][10];
    loss_backward(3, 10, logits[0], labels, 0.5f, d_logits[0]);
    assert_float_equal(d_logits[0][4], -0.45f, 1e-7f);
    assert_float_equal(d_logits[0][0], 0.05f, 1e-7f);
    assert_float_equal(d_logits[1][0], 0.0f, 1e-7f);
    assert_float_equal(d_logits[2][0], -0.5f, 1e-7f);
    assert_float_equal(d_logits[2][1], 0.5f, 1e-7f);
}

static void loss_shows_what_is_not_finite(void **state)
{
    (void)state;
    const uint8_t label = 1;
    double loss;
    const float with_nan[10] = {0, 0, NAN};
    loss_forward(1, 10, with_nan, &label, &loss);
    assert_true(!isfinite(loss));
    const float with_infinity[10] = {0, 0, INFINITY};
    loss_forward(1, 10, with_infinity, &label, &loss);
    assert_true(!isfinite(loss));
}

struct loss_case {
    float logits[IMAGES * 10];
    uint8_t labels[IMAGES];
};

static double mean_loss(void *context)
{
    struct loss_case *c = context;
    double losses[IMAGES];
    loss_forward(IMAGES, 10, c->logits, c->labels, losses);
    return (losses[0] + losses[1] + losses[2]) / IMAGES;
}

static void loss_gradient(void **state)
{
    (void)state;
    struct loss_case c = {.labels = {0, 9, 5}};
    fill(c.logits, IMAGES * 10, 5);
    float d_logits[IMAGES * 10];
    loss_backward(IMAGES, 10, c.logits, c.labels, 1.0f / IMAGES, d_logits);
    check_gradient("logits", c.logits, IMAGES * 10, d_logits, mean_loss, &c, 0.01f);
}

static void predicts_the_first_of_equals(void **state)
{
    (void)state;
    const float logits[5] = {1, 3, 2, 3, 0};
    assert_int_equal(loss_predict(5, logits), 1);
}

/* ---- optimizer ------------------------------------------------------------------------------- */

/* One step of g = 8, v = 2, w = 4 with lr 0.5, momentum 0.25, worked out by hand. */
static const struct optimizer_case {
    const char *what;
    float weight_decay;
    float loss_scale;
    bool use_nesterov;
    float moment;
    float weight;
} optimizer_cases[] = {
    {"plain", 0, 1, false, 0.25f * 2 + 8, 4 - 0.5f * 8.5f},
    {"decay: g = 8 + 0.5·4", 0.5f, 1, false, 0.25f * 2 + 10, 4 - 0.5f * 10.5f},
    {"scale: g = 8 / 4", 0, 4, false, 0.25f * 2 + 2, 4 - 0.5f * 2.5f},
    {"both: g = (8 + 0.5·4·4) / 4", 0.5f, 4, false, 0.25f * 2 + 4, 4 - 0.5f * 4.5f},
    {"nesterov", 0, 1, true, 8.5f, 4 - (0.5f * 8 + 8.5f * 0.25f * 0.5f)},
};

static void optimizer_steps_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof optimizer_cases / sizeof optimizer_cases[0]; i++) {
        const struct optimizer_case *c = &optimizer_cases[i];
        struct model_config config = MODEL_CONFIG_INIT;
        config.learning_rate = 0.5f;
        config.momentum = 0.25f;
        config.weight_decay = c->weight_decay;
        config.loss_scale = c->loss_scale;
        config.use_nesterov = c->use_nesterov;
        const float gradient = 8;
        float moment = 2;
        float weight = 4;
        struct model model = {.config = config};
        struct optimizer_rule rule = optimizer_begin(&model);
        assert_true(optimizer_step(&rule, 1, &gradient, &moment, NULL, &weight));
        if (moment != c->moment || weight != c->weight) {
            fail_msg("%s: v %g, w %g", c->what, (double)moment, (double)weight);
        }
    }
}

static void optimizer_tells_of_broken_weights(void **state)
{
    (void)state;
    const float broken[] = {NAN, INFINITY, -INFINITY, 3e38f};
    for (size_t i = 0; i < 4; i++) {
        struct model_config config = MODEL_CONFIG_INIT;
        config.learning_rate = 100.0f;
        float gradients[3] = {0, broken[i], 0};
        float moments[3] = {0};
        float weights[3] = {0};
        struct model model = {.config = config};
        struct optimizer_rule rule = optimizer_begin(&model);
        assert_false(optimizer_step(&rule, 3, gradients, moments, NULL, weights));
    }
}

int main(void)
{
    gemm_set_up();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolves_without_flipping),
        cmocka_unit_test(convolution_gradients),
        cmocka_unit_test(pooling_breaks_ties_by_columns),
        cmocka_unit_test(pooling_and_relu_gradients),
        cmocka_unit_test(relu_keeps_nan),
        cmocka_unit_test(dense_by_hand),
        cmocka_unit_test(dense_gradients),
        cmocka_unit_test(loss_of_known_logits),
        cmocka_unit_test(loss_shows_what_is_not_finite),
        cmocka_unit_test(loss_gradient),
        cmocka_unit_test(predicts_the_first_of_equals),
        cmocka_unit_test(optimizer_steps_by_hand),
        cmocka_unit_test(optimizer_tells_of_broken_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
