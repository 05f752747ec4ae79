/* test_checkpointer.c - when ModelCheckpoint saves, what it names and evicts. */
#include "model/callbacks/checkpointer.h"
#include "model/model.h"
#include "model/training/lenet.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    LIST_SIZE = 4096,
    STEPS_PER_EPOCH = 1875
};

static char folder[64];
static struct model *model;
static double now; /* what both clocks say */

static int set_up(void **state)
{
    (void)state;
    struct model_config config = MODEL_CONFIG_INIT;
    config.threads = 1;
    return model_new(&model, &config, NULL) == MODEL_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    model_free(model);
    return 0;
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/jobferry-checkpointer-XXXXXX");
    now = 1000000.0;
    return mkdtemp(folder) ? 0 : -1;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The folder's names, sorted, one space behind each. */
static void list_folder(char *list)
{
    char *names[64];
    size_t count = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            assert_true(count < 64);
            names[count] = strdup(entry->d_name);
            assert_non_null(names[count++]);
        }
    }
    closedir(directory);
    qsort(names, count, sizeof names[0], compare_names);
    size_t length = 0;
    list[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        length += (size_t)snprintf(list + length, LIST_SIZE - length, "%s ", names[i]);
        free(names[i]);
    }
}

static void assert_folder(const char *expected)
{
    char list[LIST_SIZE];
    list_folder(list);
    assert_string_equal(list, expected);
}

static void path_of(char *path, const char *name)
{
    snprintf(path, 320, "%s/%s", folder, name);
}

static void touch(const char *name, double modified)
{
    char path[320];
    path_of(path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    struct timespec times[2] = {{.tv_sec = (time_t)modified}, {.tv_sec = (time_t)modified}};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static int remove_folder(void **state)
{
    (void)state;
    char list[LIST_SIZE];
    list_folder(list);
    char *rest = list;
    for (char *name = strtok_r(rest, " ", &rest); name; name = strtok_r(rest, " ", &rest)) {
        char path[320];
        path_of(path, name);
        unlink(path);
    }
    return rmdir(folder);
}

static double tell_now(void *context)
{
    (void)context;
    return now;
}

/* ---- a training without training ------------------------------------------------------------ */

struct saves {
    char list[LIST_SIZE]; /* names told by on_saved, one space behind each */
    size_t length;
    bool all_there; /* whether each file was there when told of */
};

static void note_save(void *context, const char *path, const struct model_state *state)
{
    struct saves *saves = context;
    const char *name = strrchr(path, '/') + 1;
    saves->all_there = saves->all_there && access(path, R_OK) == 0 &&
                       (state == NULL) == (strstr(name, "-graph.meta") != NULL);
    saves->length +=
        (size_t)snprintf(saves->list + saves->length, LIST_SIZE - saves->length, "%s ", name);
    /* Stamp it with the clock of the test. */
    touch(name, now);
}

static struct model_progress progress_at(uint64_t step_of_run)
{
    struct model_progress progress = {.model = model, .epochs = 4};
    progress.state =
        (struct model_state){.present = true,
                             .run = "test",
                             .epoch = step_of_run ? (step_of_run - 1) / STEPS_PER_EPOCH + 1 : 0,
                             .step = step_of_run ? (step_of_run - 1) % STEPS_PER_EPOCH + 1 : 0,
                             .steps_per_epoch = STEPS_PER_EPOCH,
                             .cumulative_step = 5000 + step_of_run,
                             .base_step = 5000,
                             .kernels = "reference"};
    return progress;
}

/* Runs steps first+1 … last, seconds_per_step apart, and the end. */
static void run_steps(struct model_callback *callback, uint64_t first, uint64_t last,
                      double seconds_per_step)
{
    struct model_error err = {0};
    struct model_progress progress = progress_at(first);
    assert_int_equal(callback->begin(callback->context, &progress, &err), MODEL_OK);
    for (uint64_t step = first + 1; step <= last; step++) {
        now += seconds_per_step;
        progress = progress_at(step);
        assert_int_equal(callback->step_end(callback->context, &progress, &err), MODEL_OK);
    }
    progress = progress_at(last);
    assert_int_equal(callback->end(callback->context, &progress, &err), MODEL_OK);
}

/* The whole life of a checkpointer; what it told of goes to saves. */
static void train(struct model_checkpointing options, uint64_t first, uint64_t last,
                  double seconds_per_step, struct saves *saves)
{
    struct model_callback callback;
    struct model_error err = {0};
    const struct checkpointer_clock clock = {.steady = tell_now, .wall = tell_now};
    *saves = (struct saves){.all_there = true};
    options.folder = folder;
    options.on_saved = note_save;
    options.context = saves;
    assert_int_equal(model_checkpointer_new(&callback, &options, &err), MODEL_OK);
    checkpointer_set_clock(&callback, &clock);
    run_steps(&callback, first, last, seconds_per_step);
    model_checkpointer_free(&callback);
    assert_true(saves->all_there);
}

static void test_steps_count_from_the_last_save(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.save_checkpoint_steps = 1000;
    train(options, 0, 2 * STEPS_PER_EPOCH, 0.0, &saves);
    /* MindSpore's own example: 1875 steps an epoch, 2 epochs, every 1000, and the end. */
    assert_string_equal(saves.list, "lenet-graph.meta lenet-1_1000.ckpt lenet-2_125.ckpt "
                                    "lenet-2_1125.ckpt lenet-2_1875.ckpt ");
    assert_folder("lenet-1_1000.ckpt lenet-2_1125.ckpt lenet-2_125.ckpt lenet-2_1875.ckpt "
                  "lenet-graph.meta ");
}

static void test_the_end_is_saved_once(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.save_checkpoint_steps = STEPS_PER_EPOCH;
    train(options, 0, 2 * STEPS_PER_EPOCH, 0.0, &saves);
    assert_string_equal(saves.list, "lenet-graph.meta lenet-1_1875.ckpt lenet-2_1875.ckpt ");
}

static void test_a_training_without_a_step_saves_nothing(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    train(options, 0, 0, 0.0, &saves);
    assert_string_equal(saves.list, "");
    train(options, 700, 700, 0.0, &saves);
    assert_string_equal(saves.list, "");
    assert_folder("");
}

static void test_a_continued_run_saves_at_the_same_steps(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.save_checkpoint_steps = 1000;
    train(options, 1000, 2 * STEPS_PER_EPOCH, 0.0, &saves);
    assert_string_equal(saves.list, "lenet-graph.meta lenet-2_125.ckpt lenet-2_1125.ckpt "
                                    "lenet-2_1875.ckpt ");
}

static void test_seconds_pass_strictly(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.save_checkpoint_steps = 0;
    options.save_checkpoint_seconds = 30;
    /* 10 s a step: after 40 s each, not after 30; then the end. */
    train(options, 0, 10, 10.0, &saves);
    assert_string_equal(saves.list,
                        "lenet-graph.meta lenet-1_4.ckpt lenet-1_8.ckpt lenet-1_10.ckpt ");
}

static void test_steps_win_over_seconds(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.save_checkpoint_steps = 4;
    options.save_checkpoint_seconds = 1;
    train(options, 0, 6, 10.0, &saves);
    assert_string_equal(saves.list, "lenet-graph.meta lenet-1_4.ckpt lenet-1_6.ckpt ");
}

/* ---- eviction ------------------------------------------------------------------------------- */

static void test_the_oldest_go_and_only_ours(void **state)
{
    (void)state;
    static const char *const others[] = {
        "lenet_1-1_1.ckpt",   "lenet5-1_1.ckpt", "lenet_1_1.ckpt", "lenet-x_1.ckpt",
        "lenet-1_1.ckpt.bak", "lenet-1_1x.ckpt", "lenet-_1.ckpt",  "lenet-1_.ckpt",
        "lenet.ckpt",         "a.ckpt"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        touch(others[i], 10.0);
    }
    char before[LIST_SIZE];
    list_folder(before);
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.keep_checkpoint_max = 3;
    train(options, 0, 12, 1.0, &saves);
    char after[LIST_SIZE];
    list_folder(after);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_non_null(strstr(after, others[i]));
    }
    /* As text 10, 11, 12 sort before 2: their age decides. */
    static const char *const gone[] = {"lenet-1_1.ckpt ", "lenet-1_2.ckpt ", "lenet-1_9.ckpt "};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        assert_null(strstr(after, gone[i]));
    }
    assert_non_null(strstr(after, "lenet-1_10.ckpt lenet-1_11.ckpt lenet-1_12.ckpt "));
    assert_int_equal(strlen(after), strlen(before) + strlen("lenet-1_10.ckpt lenet-1_11.ckpt "
                                                            "lenet-1_12.ckpt lenet-graph.meta "));
}

static void test_files_of_one_moment_go_by_their_numbers(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.keep_checkpoint_max = 3;
    train(options, 1870, 1880, 0.0, &saves);
    assert_folder("lenet-2_3.ckpt lenet-2_4.ckpt lenet-2_5.ckpt lenet-graph.meta ");
}

static void test_the_new_file_is_never_evicted(void **state)
{
    (void)state;
    /* Files from the future: a clock that was set back. */
    touch("lenet-9_1.ckpt", now + 1e6);
    touch("lenet-9_2.ckpt", now + 2e6);
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.keep_checkpoint_max = 1;
    train(options, 0, 1, 1.0, &saves);
    assert_folder("lenet-1_1.ckpt lenet-graph.meta ");
}

static void test_neither_max_nor_minutes_keeps_one(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.keep_checkpoint_max = 0;
    train(options, 0, 3, 1.0, &saves);
    assert_folder("lenet-1_3.ckpt lenet-graph.meta ");
}

static void test_max_wins_over_minutes(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.keep_checkpoint_max = 2;
    options.keep_checkpoint_per_n_minutes = 60;
    train(options, 0, 5, 1.0, &saves);
    assert_folder("lenet-1_4.ckpt lenet-1_5.ckpt lenet-graph.meta ");
}

static void test_minutes_keep_the_oldest_of_each_window(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.keep_checkpoint_max = 0;
    options.keep_checkpoint_per_n_minutes = 10;
    /* A save every 3 minutes. Of what is younger than 10 minutes the oldest stays and the new one
       comes: 1 2 | 1 3 | 1 4 | 4 (1 is now older than 10) 5 | 4 6 | 4 7 | 7 8. */
    train(options, 0, 8, 180.0, &saves);
    assert_folder("lenet-1_1.ckpt lenet-1_4.ckpt lenet-1_7.ckpt lenet-1_8.ckpt lenet-graph.meta ");
}

static void test_saves_far_apart_are_all_kept(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.keep_checkpoint_max = 0;
    options.keep_checkpoint_per_n_minutes = 10;
    train(options, 0, 3, 600.0, &saves);
    assert_folder("lenet-1_1.ckpt lenet-1_2.ckpt lenet-1_3.ckpt lenet-graph.meta ");
}

static void test_left_temporaries_go(void **state)
{
    (void)state;
    touch(".lenet-1_1.ckpt.aB3dE6.tmp", 10.0);
    touch(".lenet-graph.meta.aB3dE6.tmp", 10.0);
    touch(".lenet_1-1_1.ckpt.aB3dE6.tmp", 10.0);
    struct saves saves;
    train((struct model_checkpointing)MODEL_CHECKPOINTING_INIT, 0, 1, 1.0, &saves);
    assert_folder(".lenet_1-1_1.ckpt.aB3dE6.tmp lenet-1_1.ckpt lenet-graph.meta ");
}

/* ---- async, formats, what an error leaves --------------------------------------------------- */

static void test_async_saves_the_same_files(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.keep_checkpoint_max = 2;
    options.async_save = true;
    train(options, 0, 5, 1.0, &saves);
    assert_string_equal(saves.list, "lenet-graph.meta lenet-1_1.ckpt lenet-1_2.ckpt lenet-1_3.ckpt "
                                    "lenet-1_4.ckpt lenet-1_5.ckpt ");
    assert_folder("lenet-1_4.ckpt lenet-1_5.ckpt lenet-graph.meta ");
}

static size_t read_file(const char *name, char *data, size_t size)
{
    char path[320];
    path_of(path, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size = fread(data, 1, size, file);
    fclose(file);
    return size;
}

/* What is written is what the model was at the step; Adam's has the most blocks. */
static void test_async_saves_a_copy(void **state)
{
    (void)state;
    static char files[2][1 << 20];
    struct model_config config = MODEL_CONFIG_INIT;
    config.optimizer = MODEL_ADAM;
    struct model *adam = NULL;
    assert_int_equal(model_new(&adam, &config, NULL), MODEL_OK);
    struct model_callback callback;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    struct model_progress progress = progress_at(1);
    progress.model = adam;
    options.folder = folder;
    for (int i = 0; i < 2; i++) {
        options.async_save = i == 1;
        assert_int_equal(model_checkpointer_new(&callback, &options, NULL), MODEL_OK);
        adam->weights[0] = adam->moments[0] = adam->second[0] = 1.0f;
        assert_int_equal(callback.step_end(callback.context, &progress, NULL), MODEL_OK);
        adam->weights[0] = adam->moments[0] = adam->second[0] = 2.0f;
        assert_int_equal(model_checkpointer_finish(&callback, NULL), MODEL_OK);
        model_checkpointer_free(&callback);
        assert_true(read_file("lenet-1_1.ckpt", files[i], sizeof files[i]) > 741000);
    }
    assert_memory_equal(files[0], files[1], sizeof files[0]);
    model_free(adam);
}

static void test_an_async_error_ends_the_training(void **state)
{
    (void)state;
    struct model_callback callback;
    struct model_error err = {0};
    struct saves saves = {.all_there = true};
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    char path[320];
    options.folder = folder;
    options.async_save = true;
    options.on_saved = note_save;
    options.context = &saves;
    path_of(path, "lenet-1_2.ckpt");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(model_checkpointer_new(&callback, &options, &err), MODEL_OK);
    struct model_progress progress = progress_at(1);
    assert_int_equal(callback.step_end(callback.context, &progress, &err), MODEL_OK);
    progress = progress_at(2);
    assert_int_equal(callback.step_end(callback.context, &progress, &err), MODEL_OK);
    progress = progress_at(3);
    assert_int_equal(callback.step_end(callback.context, &progress, &err), MODEL_DISK);
    assert_non_null(strstr(err.message, path));
    model_checkpointer_free(&callback);
    assert_string_equal(saves.list, "lenet-graph.meta lenet-1_1.ckpt ");
    assert_folder("lenet-1_1.ckpt lenet-1_2.ckpt lenet-graph.meta ");
    assert_int_equal(rmdir(path), 0);
}

static void test_safetensors_have_their_own_name(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.saving.format = MODEL_FORMAT_SAFETENSORS;
    options.keep_checkpoint_max = 2;
    touch("lenet-1_9.ckpt", 10.0); /* of another format: not counted, not evicted */
    train(options, 0, 3, 1.0, &saves);
    assert_folder("lenet-1_2.safetensors lenet-1_3.safetensors lenet-1_9.ckpt lenet-graph.meta ");
}

static void test_weights_alone_carry_no_state(void **state)
{
    (void)state;
    struct saves saves;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    struct model_checkpoint *checkpoint = NULL;
    struct model_state found;
    char path[320];
    options.saving.weights_only = true;
    options.saving.crc_check = true;
    train(options, 0, 1, 1.0, &saves);
    path_of(path, "lenet-1_1.ckpt");
    assert_int_equal(model_checkpoint_read(&checkpoint, path, NULL), MODEL_OK);
    model_checkpoint_state(checkpoint, &found);
    assert_false(found.present);
    model_checkpoint_free(checkpoint);
}

static void test_what_an_error_leaves(void **state)
{
    (void)state;
    struct model_callback callback;
    struct model_error err = {0};
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    const struct model_state at = progress_at(7).state;
    char path[320];
    options.folder = folder;
    assert_int_equal(model_checkpointer_new(&callback, &options, &err), MODEL_OK);
    assert_int_equal(model_checkpointer_breakpoint(&callback, model, &at, path, sizeof path, &err),
                     MODEL_OK);
    assert_folder("lenet-1_7_breakpoint.ckpt ");
    float weight = model->weights[3];
    model->weights[3] = NAN;
    assert_int_equal(model_checkpointer_breakpoint(&callback, model, &at, path, sizeof path, &err),
                     MODEL_DIVERGED);
    model->weights[3] = weight;
    model_checkpointer_free(&callback);
}

/* ---- errors --------------------------------------------------------------------------------- */

static void test_a_save_that_fails_evicts_nothing(void **state)
{
    (void)state;
    struct model_callback callback;
    struct model_error err = {0};
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    char path[320];
    options.folder = folder;
    options.keep_checkpoint_max = 1;
    touch("lenet-1_1.ckpt", 10.0);
    path_of(path, "lenet-1_2.ckpt");
    assert_int_equal(mkdir(path, 0700), 0); /* rename onto a folder fails, also for root */
    assert_int_equal(model_checkpointer_new(&callback, &options, &err), MODEL_OK);
    struct model_progress progress = progress_at(1);
    assert_int_equal(callback.begin(callback.context, &progress, &err), MODEL_OK);
    progress = progress_at(2);
    assert_int_equal(callback.step_end(callback.context, &progress, &err), MODEL_DISK);
    assert_non_null(strstr(err.message, path));
    model_checkpointer_free(&callback);
    assert_folder("lenet-1_1.ckpt lenet-1_2.ckpt lenet-graph.meta ");
    assert_int_equal(rmdir(path), 0);
}

static void test_settings_that_cannot_be_are_refused(void **state)
{
    (void)state;
    char long_prefix[256];
    memset(long_prefix, 'x', sizeof long_prefix - 1);
    long_prefix[sizeof long_prefix - 1] = '\0';
    const struct {
        struct model_checkpointing options;
        const char *message;
    } cases[] = {
        {{.prefix = "p", .save_checkpoint_steps = -1}, "save_checkpoint_steps is -1"},
        {{.prefix = "p", .save_checkpoint_seconds = -2}, "save_checkpoint_seconds is -2"},
        {{.prefix = "p", .save_checkpoint_steps = 1, .keep_checkpoint_max = -3},
         "keep_checkpoint_max is -3"},
        {{.prefix = "p", .save_checkpoint_steps = 1, .keep_checkpoint_per_n_minutes = -4},
         "keep_checkpoint_per_n_minutes is -4"},
        {{.prefix = "p"}, "nothing would ever be saved"},
        {{.prefix = "p", .keep_checkpoint_max = 5}, "nothing would ever be saved"},
        {{.prefix = "a/b", .save_checkpoint_steps = 1}, "must not contain '/'"},
        {{.prefix = NULL, .save_checkpoint_steps = 1}, "must not contain '/'"},
        {{.prefix = long_prefix, .save_checkpoint_steps = 1}, "bytes at most"},
        {{.prefix = "p",
          .save_checkpoint_steps = 1,
          .saving = {.format = MODEL_FORMAT_SAFETENSORS, .crc_check = true}},
         "crc_check is of the ckpt format"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_callback callback;
        struct model_error err = {0};
        struct model_checkpointing options = cases[i].options;
        options.folder = folder;
        assert_int_equal(model_checkpointer_new(&callback, &options, &err), MODEL_ARGUMENT);
        assert_non_null(strstr(err.message, cases[i].message));
        assert_null(callback.step_end);
        model_checkpointer_free(&callback);
    }
    struct model_callback callback;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    options.folder = "";
    assert_int_equal(model_checkpointer_new(&callback, &options, NULL), MODEL_ARGUMENT);
    options.folder = "/dev/null/x";
    assert_int_equal(model_checkpointer_new(&callback, &options, NULL), MODEL_DISK);
}

static void test_the_folder_is_made_with_its_parents(void **state)
{
    (void)state;
    struct model_callback callback;
    struct model_checkpointing options = MODEL_CHECKPOINTING_INIT;
    char path[320];
    path_of(path, "a/b//c/");
    options.folder = path;
    assert_int_equal(model_checkpointer_new(&callback, &options, NULL), MODEL_OK);
    model_checkpointer_free(&callback);
    assert_int_equal(rmdir(path), 0);
    path_of(path, "a/b");
    assert_int_equal(rmdir(path), 0);
    path_of(path, "a");
    assert_int_equal(rmdir(path), 0);
}

/* ---- the graph ------------------------------------------------------------------------------ */

static size_t read_graph(char *text, size_t size)
{
    size_t length = read_file("lenet-graph.meta", text, size - 1);
    text[length] = '\0';
    return length;
}

static void test_the_graph_is_the_same_text_every_time(void **state)
{
    (void)state;
    char first[8192];
    char second[8192];
    struct saves saves;
    train((struct model_checkpointing)MODEL_CHECKPOINTING_INIT, 0, 1, 1.0, &saves);
    size_t length = read_graph(first, sizeof first);
    train((struct model_checkpointing)MODEL_CHECKPOINTING_INIT, 500, 501, 1.0, &saves);
    assert_int_equal(read_graph(second, sizeof second), length);
    assert_string_equal(first, second);
    assert_non_null(strstr(first, "\nnetwork LeNet5\n"));
    assert_non_null(strstr(first, "\nparameter fc1.weight Float32 120,400\n"));
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_steps_count_from_the_last_save),
        IN_A_FOLDER(test_the_end_is_saved_once),
        IN_A_FOLDER(test_a_training_without_a_step_saves_nothing),
        IN_A_FOLDER(test_a_continued_run_saves_at_the_same_steps),
        IN_A_FOLDER(test_seconds_pass_strictly),
        IN_A_FOLDER(test_steps_win_over_seconds),
        IN_A_FOLDER(test_the_oldest_go_and_only_ours),
        IN_A_FOLDER(test_files_of_one_moment_go_by_their_numbers),
        IN_A_FOLDER(test_the_new_file_is_never_evicted),
        IN_A_FOLDER(test_neither_max_nor_minutes_keeps_one),
        IN_A_FOLDER(test_max_wins_over_minutes),
        IN_A_FOLDER(test_minutes_keep_the_oldest_of_each_window),
        IN_A_FOLDER(test_saves_far_apart_are_all_kept),
        IN_A_FOLDER(test_left_temporaries_go),
        IN_A_FOLDER(test_async_saves_the_same_files),
        IN_A_FOLDER(test_async_saves_a_copy),
        IN_A_FOLDER(test_an_async_error_ends_the_training),
        IN_A_FOLDER(test_safetensors_have_their_own_name),
        IN_A_FOLDER(test_weights_alone_carry_no_state),
        IN_A_FOLDER(test_what_an_error_leaves),
        IN_A_FOLDER(test_a_save_that_fails_evicts_nothing),
        IN_A_FOLDER(test_settings_that_cannot_be_are_refused),
        IN_A_FOLDER(test_the_folder_is_made_with_its_parents),
        IN_A_FOLDER(test_the_graph_is_the_same_text_every_time),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
