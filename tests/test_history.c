/*
 * test_history.c - the history of a training: its file over kill, resume and extension, what is no
 * such file, its ceiling; and the pictures that are drawn from it.
 */
#include "training_fixture.h"

#include "model/callbacks/history.h"

#include <cairo.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[FIXTURE_PATH_MAX];
static char path[FIXTURE_PATH_MAX];

static int make_folder(void **state)
{
    (void)state;
    fixture_folder(folder);
    fixture_path(path, folder, "history.jsonl");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    fixture_remove(folder);
    return 0;
}

static char *text_of(const char *name, size_t *size)
{
    char file_path[FIXTURE_PATH_MAX];
    struct stat status;
    fixture_path(file_path, folder, name);
    FILE *file = fopen(file_path, "rb");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &status), 0);
    char *text = calloc(1, (size_t)status.st_size + 1);
    assert_non_null(text);
    *size = fread(text, 1, (size_t)status.st_size, file);
    fclose(file);
    return text;
}

/* A start of `run` after `from` at `begin`, `steps` steps, an evaluation each fourth; then the end.
 */
static void tell(const char *run, const char *from, uint64_t begin, uint64_t steps)
{
    const struct model_history_begin how = {.run = run, .from = from, .step = begin};
    struct model_callback history;
    assert_int_equal(model_history_new(&history, folder, &how, NULL), MODEL_OK);
    for (uint64_t step = begin + 1; step <= begin + steps; step++) {
        const struct model_progress progress = {.state = {.cumulative_step = step},
                                                .loss = 2.5 / (double)step};
        const struct model_metrics metrics = {.accuracy = 1.0 - 1.0 / (double)step};
        assert_int_equal(history.step_end(history.context, &progress, NULL), MODEL_OK);
        if (step % 4 == 0) {
            model_history_evaluated(&history, &progress.state, &metrics);
        }
    }
    assert_int_equal(model_history_finish(&history, NULL), MODEL_OK);
    model_history_free(&history);
}

static void assert_text(const char *wanted)
{
    size_t size = 0;
    char *text = text_of("history.jsonl", &size);
    assert_string_equal(text, wanted);
    free(text);
}

#define HEAD "{\"history\":1,\"loss_every\":1,\"acc_every\":1}\n"

static void test_a_run_and_one_that_extends_it(void **state)
{
    (void)state;
    tell("a", NULL, 0, 4);
    assert_text(HEAD "{\"run\":\"a\",\"step\":0}\n"
                     "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":1.25}\n"
                     "{\"step\":3,\"loss\":0.833333}\n{\"step\":4,\"loss\":0.625}\n"
                     "{\"step\":4,\"acc\":0.75}\n");
    tell("b", "a", 4, 1);
    assert_text(HEAD "{\"run\":\"a\",\"step\":0}\n"
                     "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":1.25}\n"
                     "{\"step\":3,\"loss\":0.833333}\n{\"step\":4,\"loss\":0.625}\n"
                     "{\"step\":4,\"acc\":0.75}\n"
                     "{\"run\":\"b\",\"step\":4}\n{\"step\":5,\"loss\":0.5}\n");
    /* Another way on from the first: what b did is no part of it. */
    tell("c", "a", 2, 1);
    assert_text(HEAD "{\"run\":\"a\",\"step\":0}\n"
                     "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":1.25}\n"
                     "{\"run\":\"c\",\"step\":2}\n{\"step\":3,\"loss\":0.833333}\n");
    tell("d", "unknown", 3, 1);
    assert_text(HEAD "{\"run\":\"d\",\"step\":3}\n{\"step\":4,\"loss\":0.625}\n"
                     "{\"step\":4,\"acc\":0.75}\n");
    tell("e", NULL, 0, 1);
    assert_text(HEAD "{\"run\":\"e\",\"step\":0}\n{\"step\":1,\"loss\":2.5}\n");
}

/* Apart from the marks of the starts, a death leaves no trace, however full the series is. */
static void test_cut_off_or_not_it_is_the_same(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {40, HISTORY_MAX, HISTORY_MAX + 1, 3 * HISTORY_MAX + 5};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t size = 0;
        tell("a", NULL, 0, lengths[i]);
        char *whole = text_of("history.jsonl", &size);
        tell("a", NULL, 0, lengths[i] * 3 / 4);
        tell("a", "a", lengths[i] / 2 + 3, lengths[i] - lengths[i] / 2 - 3);
        char *cut = text_of("history.jsonl", &size);
        char mark[64];
        int length = snprintf(mark, sizeof mark, "{\"run\":\"a\",\"step\":%llu}\n",
                              (unsigned long long)(lengths[i] / 2 + 3));
        char *at = strstr(cut, mark);
        assert_non_null(at);
        memmove(at, at + length, strlen(at + length) + 1);
        assert_string_equal(cut, whole);
        assert_true(strlen(whole) < (size_t)64 * (2 * HISTORY_MAX));
        free(whole);
        free(cut);
    }
}

/* A torn tail, lines of others, steps that go back, numbers that are none; and files of others. */
static void test_what_is_not_ours_is_passed_over(void **state)
{
    (void)state;
    static const char hostile[] = HEAD
        "{\"run\":\"a\",\"step\":0}\n{\"step\":2,\"loss\":1.5}\n{\"step\":1,\"loss\":9}\n"
        "{\"step\":2,\"loss\":8}\n{\"step\":3,\"loss\":nan}\n{\"step\":3,\"loss\":1e999}\n"
        "{\"step\":-3,\"loss\":1}\n{\"step\":99999999999999999999999,\"loss\":1}\n"
        "{\"run\":\"a\\\"b\",\"step\":1}\n{\"run\":\"0123456789012345678901234567890123\",\"step\":"
        "1}\n"
        "{\"step\":4,\"loss\":0.5,\"x\":1}\n\n[[[[[[\n{\"step\":5,\"loss\":0.25}\n{\"step\":6,\"lo";
    fixture_write(folder, "history.jsonl", hostile, sizeof hostile - 1, false);
    tell("a", "a", 6, 1);
    assert_text(
        HEAD "{\"run\":\"a\",\"step\":0}\n{\"step\":2,\"loss\":1.5}\n{\"step\":5,\"loss\":0.25}\n"
             "{\"run\":\"a\",\"step\":6}\n{\"step\":7,\"loss\":0.357143}\n");
    static const char *const others[] = {
        "",
        "\n",
        "PNG",
        "{\"run\":\"a\",\"step\":0}\n",
        "{\"history\":2,\"loss_every\":1,\"acc_every\":1}\n{\"run\":\"a\",\"step\":0}\n",
        "{\"history\":1,\"loss_every\":0,\"acc_every\":1}\n{\"run\":\"a\",\"step\":0}\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        fixture_write(folder, "history.jsonl", others[i], strlen(others[i]), false);
        tell("a", "a", 6, 1);
        assert_text(HEAD "{\"run\":\"a\",\"step\":6}\n{\"step\":7,\"loss\":0.357143}\n");
    }
    /* Endless, and all NUL: read to the ceiling and no further. */
    assert_int_equal(truncate(path, (off_t)1 << 32), 0);
    tell("a", "a", 6, 1);
    assert_text(HEAD "{\"run\":\"a\",\"step\":6}\n{\"step\":7,\"loss\":0.357143}\n");
    /* More starts than are kept. */
    for (unsigned i = 0; i < HISTORY_STARTS_MAX + 9; i++) {
        tell("a", "a", 7 + i, 1);
    }
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* A training told as a real one is, and drawn into both. */
static void draw(uint64_t epochs, bool evaluated, bool resumed)
{
    const struct model_history_begin how = {
        .run = "r", .from = resumed ? "r" : NULL, .step = resumed ? TRAINING_STEPS : 0};
    struct model_callback history;
    struct model_state end;
    struct model_metrics metrics;
    char file_path[FIXTURE_PATH_MAX];
    struct model *model = training_quick_model(1);
    assert_int_equal(model_history_new(&history, folder, &how, NULL), MODEL_OK);
    struct model_training training = {.epochs = epochs, .callbacks = &history, .callback_count = 1};
    assert_int_equal(model_train(model, training_images, &training, &end, NULL), MODEL_OK);
    if (evaluated) {
        assert_int_equal(model_evaluate(model, training_test_images, false, &metrics, NULL),
                         MODEL_OK);
        model_history_evaluated(&history, &end, &metrics);
    }
    fixture_path(file_path, folder, "curve.png");
    assert_int_equal(model_history_draw(&history, file_path, NULL), MODEL_OK);
    fixture_path(file_path, folder, "curve.svg");
    assert_int_equal(model_history_draw(&history, file_path, NULL), MODEL_OK);
    model_history_free(&history);
    model_free(model);
}

enum {
    BLUE,  /* losses */
    BROWN, /* accuracies */
    COLORS
};

/* Opens the PNG, asserts its size, and counts the pixels of the two lines. */
static void count_pixels(int height, size_t counts[COLORS])
{
    char file_path[FIXTURE_PATH_MAX];
    fixture_path(file_path, folder, "curve.png");
    cairo_surface_t *surface = cairo_image_surface_create_from_png(file_path);
    assert_int_equal(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
    assert_int_equal(cairo_image_surface_get_width(surface), 960);
    assert_int_equal(cairo_image_surface_get_height(surface), height);
    counts[BLUE] = counts[BROWN] = 0;
    for (int y = 0; y < height; y++) {
        const unsigned char *row = cairo_image_surface_get_data(surface) +
                                   (ptrdiff_t)y * cairo_image_surface_get_stride(surface);
        for (int x = 0; x < 960; x++) { /* blue, green, red, nothing */
            counts[BLUE] += row[4 * x] > row[4 * x + 2] + 60;
            counts[BROWN] += row[4 * x + 2] > row[4 * x] + 60;
        }
    }
    cairo_surface_destroy(surface);
}

static void test_pictures_of_a_training(void **state)
{
    (void)state;
    size_t one[COLORS];
    size_t many[COLORS];
    size_t size = 0;
    draw(1, true, false);
    count_pixels(642, one);
    assert_true(one[BLUE] > 300 && one[BROWN] > 5);
    char *svg = text_of("curve.svg", &size);
    assert_non_null(strstr(svg, "<svg"));
    assert_non_null(strstr(svg, "width=\"960"));
    assert_non_null(strstr(svg, "height=\"642"));
    assert_non_null(strstr(svg, "</svg>"));
    assert_null(strstr(svg, "dasharray"));
    free(svg);
    draw(20, true, false);
    count_pixels(642, many);
    assert_true(many[BLUE] > one[BLUE] + 300);
    draw(1, false, true); /* only in the history is it resumed; a dashed line says so */
    svg = text_of("curve.svg", &size);
    assert_non_null(strstr(svg, "dasharray"));
    free(svg);
    draw(1, false, false);
    count_pixels(428, one);
    assert_int_equal(one[BROWN], 0);
}

static void test_losses_without_measure(void **state)
{
    (void)state;
    static const double losses[] = {0.0, 1e-300, 1e300, 2.3, 1e30, -1.0};
    char file_path[FIXTURE_PATH_MAX];
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        const struct model_history_begin how = {.run = "r"};
        struct model_callback history;
        struct model_error err;
        assert_int_equal(model_history_new(&history, folder, &how, NULL), MODEL_OK);
        fixture_path(file_path, folder, "curve.png");
        unlink(file_path);
        assert_int_equal(model_history_draw(&history, file_path, &err), MODEL_ARGUMENT);
        for (size_t k = 0; k <= i; k++) {
            const struct model_progress progress = {.state = {.cumulative_step = 1 + k},
                                                    .loss = losses[i - k]};
            assert_int_equal(history.step_end(history.context, &progress, NULL), MODEL_OK);
        }
        assert_int_equal(model_history_draw(&history, file_path, &err), MODEL_OK);
        model_history_free(&history);
    }
}

/* A disk that is full, or no folder: the training goes on, the old picture stays. */
static void test_a_disk_that_refuses(void **state)
{
    (void)state;
    size_t size = 0;
    char other[FIXTURE_PATH_MAX];
    const struct model_history_begin how = {.run = "r"};
    const struct model_progress progress = {.state = {.cumulative_step = 1}, .loss = 1.0};
    struct model_callback history;
    struct model_error err = {0};
    draw(1, true, false);
    char *before = text_of("curve.svg", &size);
    struct rlimit old_limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    const struct rlimit limit = {.rlim_cur = 300, .rlim_max = old_limit.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(model_history_new(&history, folder, &how, &err), MODEL_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (struct model_progress step = progress; step.state.cumulative_step < 600;
         step.state.cumulative_step++) {
        assert_int_equal(history.step_end(history.context, &step, NULL), MODEL_OK);
    }
    enum model_code finished = model_history_finish(&history, &err);
    fixture_path(other, folder, "curve.svg");
    enum model_code drawn = model_history_draw(&history, other, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
    assert_int_equal(finished, MODEL_DISK);
    assert_non_null(strstr(err.message, "history.jsonl"));
    assert_int_equal(drawn, MODEL_DISK);
    model_history_free(&history);
    char *after = text_of("curve.svg", &size);
    assert_string_equal(before, after);
    free(before);
    free(after);

    assert_int_equal(model_history_new(&history, "/dev/null/x", &how, &err), MODEL_OK);
    assert_int_equal(history.step_end(history.context, &progress, NULL), MODEL_OK);
    assert_int_equal(model_history_finish(&history, &err), MODEL_DISK);
    assert_int_equal(model_history_draw(&history, "/dev/null/x/a.png", &err), MODEL_DISK);
    fixture_path(other, folder, "elsewhere.png");
    assert_int_equal(model_history_draw(&history, other, &err), MODEL_OK);
    model_history_free(&history);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_and_one_that_extends_it),   TEST(test_cut_off_or_not_it_is_the_same),
        TEST(test_what_is_not_ours_is_passed_over), TEST(test_pictures_of_a_training),
        TEST(test_losses_without_measure),          TEST(test_a_disk_that_refuses)};
    return cmocka_run_group_tests(tests, training_set_up, training_tear_down);
}
