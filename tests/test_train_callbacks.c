/*
 * The callbacks of the training loop: their order, what they see, and what a failing one ends.
 */
#include "training_fixture.h"

#include <math.h>

struct trace {
    char text[256];
    char name;             /* of this callback */
    struct trace *into;    /* whose text is written */
    const char *fail_when; /* the event that fails, or NULL */
};

static enum model_code note(struct trace *trace, const char *event,
                            const struct model_progress *progress, struct model_error *err)
{
    (void)progress;
    size_t length = strlen(trace->into->text);
    snprintf(trace->into->text + length, sizeof trace->text - length, "%c%s ", trace->name, event);
    if (trace->fail_when && strcmp(event, trace->fail_when) == 0) {
        if (err) {
            snprintf(err->message, sizeof err->message, "no room");
        }
        return MODEL_DISK;
    }
    return MODEL_OK;
}

static enum model_code on_begin(void *context, const struct model_progress *progress,
                                struct model_error *err)
{
    assert_int_equal(progress->state.cumulative_step, 0);
    return note(context, "begin", progress, err);
}

static enum model_code on_step(void *context, const struct model_progress *progress,
                               struct model_error *err)
{
    assert_true(isfinite(progress->loss) && progress->loss > 0.0);
    assert_true(progress->epoch_loss > 0.0 && progress->epoch_seconds >= 0.0);
    char event[32];
    snprintf(event, sizeof event, "%d.%d", (int)progress->state.epoch, (int)progress->state.step);
    return note(context, event, progress, err);
}

static enum model_code on_epoch(void *context, const struct model_progress *progress,
                                struct model_error *err)
{
    assert_int_equal(progress->state.step, progress->state.steps_per_epoch);
    assert_true(progress->images_per_second > 0.0);
    return note(context, "epoch", progress, err);
}

static enum model_code on_end(void *context, const struct model_progress *progress,
                              struct model_error *err)
{
    return note(context, "end", progress, err);
}

static enum model_code run_traced(struct trace traces[2], uint64_t epochs, const atomic_bool *stop,
                                  struct model_error *err)
{
    struct model_config config = MODEL_CONFIG_INIT;
    config.batch_size = 100; /* two steps an epoch */
    config.threads = 1;
    struct model *model = training_model(&config);
    struct model_callback callbacks[3] = {
        {on_begin, on_step, on_epoch, on_end, &traces[0]},
        {.begin = NULL},
        {NULL, on_step, NULL, on_end, &traces[1]},
    };
    traces[0].name = 'a';
    traces[1].name = 'b';
    traces[0].into = traces[1].into = &traces[0];
    struct model_training training = {
        .epochs = epochs, .callbacks = callbacks, .callback_count = 3, .stop = stop};
    struct model_state end;
    enum model_code code = model_train(model, training_images, &training, &end, err);
    model_free(model);
    return code;
}

static void callbacks_come_in_order(void **state)
{
    (void)state;
    struct trace traces[2] = {{.name = 0}};
    assert_int_equal(run_traced(traces, 2, NULL, NULL), MODEL_OK);
    assert_string_equal(traces[0].text, "abegin a1.1 b1.1 a1.2 b1.2 aepoch a2.1 b2.1 a2.2 b2.2 "
                                        "aepoch aend bend ");
}

static void a_stop_still_calls_end(void **state)
{
    (void)state;
    struct trace traces[2] = {{.name = 0}};
    const atomic_bool stop = true;
    struct model_error err = {0};
    assert_int_equal(run_traced(traces, 1, &stop, &err), MODEL_STOPPED);
    assert_string_equal(traces[0].text, "abegin a1.1 b1.1 aend bend ");
}

static void a_failing_callback_ends_the_training(void **state)
{
    (void)state;
    struct trace traces[2] = {{.fail_when = "1.2"}, {.name = 0}};
    struct model_error err = {0};
    assert_int_equal(run_traced(traces, 2, NULL, &err), MODEL_DISK);
    assert_string_equal(err.message, "no room");
    assert_string_equal(traces[0].text, "abegin a1.1 b1.1 a1.2 ");
}

static enum model_code request_stop(void *context, const struct model_progress *progress,
                                    struct model_error *err)
{
    (void)context;
    (void)err;
    *progress->request_stop = progress->state.epoch == 2;
    return MODEL_OK;
}

/* Unlike a stop from outside it is a good end, and the state says where. */
static void a_callback_may_end_the_training(void **state)
{
    (void)state;
    struct model *model = training_quick_model(1);
    const struct model_callback callback = {.epoch_end = request_stop};
    struct model_training training = {.epochs = 5, .callbacks = &callback, .callback_count = 1};
    struct model_state end;
    assert_int_equal(model_train(model, training_images, &training, &end, NULL), MODEL_OK);
    assert_int_equal(end.epoch, 2);
    assert_int_equal(end.step, TRAINING_STEPS);
    model_free(model);
}

/* Values of epochs, and what is made of them: b a better one, . none, s the stop. */
static void early_stopping_is_mindspores(void **state)
{
    (void)state;
    static const struct {
        struct model_early_stopping watch;
        double values[8];
        const char *expected;
    } cases[] = {
        {{.patience = 2}, {5, 4, 4, 3, 3, 3.5}, "bb.b.s"},
        {{.patience = 2, .min_delta = 1}, {5, 4, 3.5, 3}, "b.b."},
        {{.patience = 1, .larger_is_better = true}, {0.5, 0.6, 0.6}, "bbs"},
        {{.patience = 0}, {1, 2, 3, 0}, "b..b"},
        {{.patience = 3}, {1, (double)NAN, (double)NAN, (double)NAN}, "b..s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_early_stopping watch = cases[i].watch;
        model_early_stopping_init(&watch);
        for (size_t k = 0; cases[i].expected[k]; k++) {
            bool is_best = false;
            bool stop = model_early_stopping_update(&watch, cases[i].values[k], &is_best);
            assert_int_equal(stop ? 's' : is_best ? 'b' : '.', cases[i].expected[k]);
        }
    }
}

static void keep_line(void *context, const char *line)
{
    snprintf(context, 128, "%s", line);
}

static void time_monitor_tells_of_an_epoch(void **state)
{
    (void)state;
    char line[128] = "";
    struct model_time_monitor monitor = {.print = keep_line, .context = line};
    struct model_callback callback;
    const struct model_progress progress = {.epoch_seconds = 0.5, .state = {.steps_per_epoch = 4}};
    model_time_monitor_init(&callback, &monitor);
    assert_int_equal(callback.epoch_end(callback.context, &progress, NULL), MODEL_OK);
    assert_string_equal(line, "Train epoch time: 500.000 ms, per step time: 125.000 ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callbacks_come_in_order),
        cmocka_unit_test(a_stop_still_calls_end),
        cmocka_unit_test(a_failing_callback_ends_the_training),
        cmocka_unit_test(a_callback_may_end_the_training),
        cmocka_unit_test(early_stopping_is_mindspores),
        cmocka_unit_test(time_monitor_tells_of_an_epoch),
    };
    return cmocka_run_group_tests(tests, training_set_up, training_tear_down);
}
