/* The optimizer's settings in a checkpoint's state: kept, absent in older files, never half there.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "checkpoint_fixture.h"

static const char *const settings[] = {
    "jobferry.weight_decay", "jobferry.loss_scale", "jobferry.dampening",   "jobferry.beta1",
    "jobferry.beta2",        "jobferry.eps",        "jobferry.use_nesterov"};

enum {
    SETTINGS = sizeof settings / sizeof settings[0]
};

static struct model_state settled(void)
{
    struct model_state state = made_state;
    state.weight_decay = 0.001f;
    state.loss_scale = 64.0f;
    state.dampening = 0.25f;
    state.beta1 = 0.8f;
    state.beta2 = 0.99f;
    state.eps = 1e-6f;
    state.use_nesterov = true;
    return state;
}

/* Writes our file, less the entries of names[from..to), and reads it back. */
static enum model_code write_without(size_t from, size_t to, const struct model_state *state,
                                     struct model_state *got, struct model_error *err)
{
    static const struct model_saving plain = {.format = MODEL_FORMAT_CKPT};
    struct model *model = make_model(0.01f);
    struct checkpoint_content content;
    checkpoint_gather(&content, model, state, false);
    size_t count = 0;
    for (size_t i = 0; i < content.count; i++) {
        bool keep = true;
        for (size_t s = from; s < to; s++) {
            keep = keep && strcmp(content.tensors[i].name, settings[s]) != 0;
        }
        content.tensors[count] = content.tensors[i];
        count += keep;
    }
    assert_int_equal(count, content.count - (to - from));
    assert_int_equal(ckpt_write(content.tensors, count, &plain, path, err), MODEL_OK);
    model_free(model);
    struct model_checkpoint *checkpoint = NULL;
    enum model_code code = model_checkpoint_read(&checkpoint, path, err);
    if (code == MODEL_OK) {
        model_checkpoint_state(checkpoint, got);
        assert_int_equal(model_checkpoint_completeness(checkpoint), MODEL_VERIFIED_OWN);
    }
    model_checkpoint_free(checkpoint);
    return code;
}

static void test_they_come_back(void **unused)
{
    (void)unused;
    const struct model_state state = settled();
    struct model_state got;
    struct model_error err;
    assert_int_equal(write_without(0, 0, &state, &got, &err), MODEL_OK);
    assert_true(got.present && got.has_settings && got.use_nesterov);
    assert_true(got.weight_decay == 0.001f && got.loss_scale == 64.0f && got.dampening == 0.25f);
    assert_true(got.beta1 == 0.8f && got.beta2 == 0.99f && got.eps == 1e-6f);
}

static void test_a_file_of_before_is_whole_without_them(void **unused)
{
    (void)unused;
    const struct model_state state = settled();
    struct model_state got;
    struct model_error err;
    assert_int_equal(write_without(0, SETTINGS, &state, &got, &err), MODEL_OK);
    assert_true(got.present);
    assert_false(got.has_settings);
    assert_int_equal(got.cumulative_step, state.cumulative_step);
    assert_string_equal(got.kernels, state.kernels);
}

static void test_one_that_is_missing_is_damage(void **unused)
{
    (void)unused;
    const struct model_state state = settled();
    for (size_t i = 1; i < SETTINGS; i++) {
        struct model_state got;
        struct model_error err;
        assert_int_equal(write_without(i, i + 1, &state, &got, &err), MODEL_CORRUPT);
        assert_non_null(strstr(err.message, settings[i]));
    }
}

static void test_what_cannot_be_is_damage(void **unused)
{
    (void)unused;
    const float bad[] = {-1.0f, (float)NAN, HUGE_VALF};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct model_state state = settled();
        struct model_state got;
        struct model_error err;
        state.beta2 = bad[i];
        assert_int_equal(write_without(0, 0, &state, &got, &err), MODEL_CORRUPT);
        assert_non_null(strstr(err.message, "jobferry.beta2 holds what cannot be"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_they_come_back),
        cmocka_unit_test(test_a_file_of_before_is_whole_without_them),
        cmocka_unit_test(test_one_that_is_missing_is_damage),
        cmocka_unit_test(test_what_cannot_be_is_damage),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
