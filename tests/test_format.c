/* test_format.c - numbers as Python prints them, and the lab's line. */
#include "model/model.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/random.h"

/* What Python 3's repr() gives. */
static const struct {
    double value;
    const char *text;
} known[] = {
    {0.0, "0.0"},
    {-0.0, "-0.0"},
    {1.0, "1.0"},
    {-1.5, "-1.5"},
    {0.1, "0.1"},
    {0.3, "0.3"},
    {0.1 + 0.2, "0.30000000000000004"},
    {100.0, "100.0"},
    {123456.789, "123456.789"},
    {0.01, "0.01"},
    {0.001, "0.001"},
    {0.0001, "0.0001"},
    {0.00012, "0.00012"},
    {1e-5, "1e-05"},
    {1.5e-7, "1.5e-07"},
    {1e15, "1000000000000000.0"},
    {9007199254740993.0, "9007199254740992.0"},
    {1e16, "1e+16"},
    {1.25e+16, "1.25e+16"},
    {1e22, "1e+22"},
    {1e23, "1e+23"},
    {1e100, "1e+100"},
    {DBL_MAX, "1.7976931348623157e+308"},
    {DBL_MIN, "2.2250738585072014e-308"},
    {5e-324, "5e-324"},
    {2.3025851249694824, "2.3025851249694824"},
    {(double)0.01f, "0.009999999776482582"},
    {(double)0.23394053f, "0.23394052684307098"},
    {9686.0 / 9984.0, "0.9701522435897436"},
    {9742.0 / 9984.0, "0.975761217948718"},
    {NAN, "nan"},
    {INFINITY, "inf"},
    {-INFINITY, "-inf"},
};

static void formats_as_python(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char text[32];
        model_format_double(text, sizeof text, known[i].value);
        assert_string_equal(text, known[i].text);
    }
}

/* Any double comes back from its text, which is never longer than 24 characters. */
static void text_reads_back_as_the_same_double(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, 1, 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_next(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) {
            continue;
        }
        char text[32];
        model_format_double(text, sizeof text, value);
        double back = strtod(text, NULL);
        if (back != value || signbit(back) != signbit(value) || strlen(text) > 24) {
            fail_msg("%a became %s", value, text);
        }
    }
}

/* ---- LossMonitor ------------------------------------------------------------------------------
 */

struct lines {
    int count;
    char last[128];
};

static void keep_line(void *context, const char *line)
{
    struct lines *lines = context;
    lines->count++;
    snprintf(lines->last, sizeof lines->last, "%s", line);
}

static void monitor_prints_the_labs_line(void **state)
{
    (void)state;
    struct lines lines = {0};
    struct model_callback callback;
    assert_int_equal(model_loss_monitor_new(&callback, 1875, keep_line, &lines, NULL), MODEL_OK);
    /* A run that extends another of 100 steps: its own steps count. */
    struct model_progress progress = {
        .state = {.epoch = 1, .step = 1874, .cumulative_step = 1974, .base_step = 100},
        .loss = (double)0.23394053f,
    };
    assert_int_equal(callback.step_end(callback.context, &progress, NULL), MODEL_OK);
    assert_int_equal(lines.count, 0);
    progress.state.step++;
    progress.state.cumulative_step++;
    assert_int_equal(callback.step_end(callback.context, &progress, NULL), MODEL_OK);
    assert_int_equal(lines.count, 1);
    assert_string_equal(lines.last, "epoch: 1 step 1875, loss is 0.23394052684307098");
    model_loss_monitor_free(&callback);
}

static void monitor_prints_never_at_zero(void **state)
{
    (void)state;
    struct lines lines = {0};
    struct model_callback callback;
    assert_int_equal(model_loss_monitor_new(&callback, 0, keep_line, &lines, NULL), MODEL_OK);
    struct model_progress progress = {.state = {.epoch = 1, .step = 1, .cumulative_step = 1}};
    assert_int_equal(callback.step_end(callback.context, &progress, NULL), MODEL_OK);
    assert_int_equal(lines.count, 0);
    model_loss_monitor_free(&callback);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_as_python),
        cmocka_unit_test(text_reads_back_as_the_same_double),
        cmocka_unit_test(monitor_prints_the_labs_line),
        cmocka_unit_test(monitor_prints_never_at_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
