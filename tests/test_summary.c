/*
 * test_summary.c - event files for TensorBoard: framing and sums of every record, tags and steps of
 * a real training. (That TensorBoard itself reads them: tests/tensorboard.sh, by hand.)
 */
#include "training_fixture.h"

#include "model/callbacks/event_file.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64];
static char path[512];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/jobferry-summary-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* The one file in the folder, read whole; its name is to be one that TensorBoard looks for. */
static uint8_t *read_events(size_t *size)
{
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    size_t count = 0;
    for (const struct dirent *entry = readdir(listing); entry; entry = readdir(listing)) {
        if (entry->d_name[0] != '.') {
            assert_int_equal(strncmp(entry->d_name, "events.out.tfevents.", 20), 0);
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            count++;
        }
    }
    closedir(listing);
    assert_int_equal(count, 1);
    enum {
        MOST = 4 << 20
    };
    uint8_t *data = malloc(MOST);
    FILE *file = fopen(path, "rb");
    assert_non_null(data);
    assert_non_null(file);
    *size = fread(data, 1, MOST, file);
    fclose(file);
    return data;
}

static uint32_t masked(const uint8_t *data, size_t size)
{
    uint32_t crc = event_crc32c(data, size);
    return (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8);
}

/* Walks the records; counts those that hold the text. Every sum must fit. */
static size_t count_records(const uint8_t *data, size_t size, const char *text)
{
    size_t count = 0;
    for (size_t at = 0; at < size;) {
        uint64_t length = 0;
        uint32_t sum = 0;
        assert_true(size - at >= 16);
        memcpy(&length, data + at, 8);
        memcpy(&sum, data + at + 8, 4);
        assert_int_equal(sum, masked(data + at, 8));
        assert_true(length <= size - at - 16);
        memcpy(&sum, data + at + 12 + length, 4);
        assert_int_equal(sum, masked(data + at + 12, (size_t)length));
        count += memmem(data + at + 12, (size_t)length, text, strlen(text)) != NULL;
        at += 16 + (size_t)length;
    }
    return count;
}

static void crc32c_is_castagnolis(void **state)
{
    (void)state;
    const uint8_t zeros[32] = {0};
    assert_int_equal(event_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(event_crc32c(zeros, sizeof zeros), 0x8a9136aa); /* RFC 3720 B.4 */
    assert_int_equal(event_crc32c("", 0), 0);
}

static void a_training_leaves_its_curves(void **state)
{
    (void)state;
    struct model *model = training_quick_model(1);
    struct model_callback summary;
    struct model_error err = {0};
    struct model_state end;
    struct model_metrics metrics;
    assert_int_equal(model_summary_new(&summary, folder, 4, &err), MODEL_OK);
    struct model_training training = {.epochs = 2, .callbacks = &summary, .callback_count = 1};
    assert_int_equal(model_train(model, training_images, &training, &end, &err), MODEL_OK);
    assert_int_equal(model_evaluate(model, training_test_images, false, &metrics, &err), MODEL_OK);
    assert_int_equal(
        model_summary_evaluated(&summary, model, training_test_images, &end, &metrics, &err),
        MODEL_OK);
    model_summary_free(&summary);
    model_free(model);

    size_t size = 0;
    uint8_t *data = read_events(&size);
    /* Step 1, and those that 4 divides. */
    size_t steps = 1 + 2 * TRAINING_STEPS / 4;
    assert_int_equal(count_records(data, size, "brain.Event:2"), 1);
    assert_int_equal(count_records(data, size, "train/loss"), steps);
    assert_int_equal(count_records(data, size, "train/learning_rate"), steps);
    assert_int_equal(count_records(data, size, "train/images_per_second"), steps);
    assert_int_equal(count_records(data, size, "eval/accuracy"), 1);
    assert_int_equal(count_records(data, size, "eval/loss"), 1);
    assert_int_equal(count_records(data, size, "weights/"), 8);
    assert_int_equal(count_records(data, size, "gradients/"), 8);
    assert_int_equal(count_records(data, size, "\x89PNG"), 1);
    free(data);
}

static void histograms_pass_over_what_is_not_finite(void **state)
{
    (void)state;
    const float values[] = {0.0f, NAN, INFINITY, -1.0f, 1.0f, 1e30f, -1e30f, 1e-20f};
    struct event_file *file = NULL;
    assert_int_equal(event_file_new(&file, folder, NULL), MODEL_OK);
    assert_int_equal(event_file_histogram(file, "histogram", 1, values, 8, NULL), MODEL_OK);
    assert_int_equal(event_file_histogram(file, "histogram", 2, values + 1, 2, NULL), MODEL_OK);
    event_file_free(file);
    size_t size = 0;
    uint8_t *data = read_events(&size);
    double wanted[3] = {-1e30f, 1e30f, 6.0}; /* min, max, num, each behind its key */
    char text[27] = {9};
    memcpy(text + 1, &wanted[0], 8);
    text[9] = 17;
    memcpy(text + 10, &wanted[1], 8);
    text[18] = 25;
    memcpy(text + 19, &wanted[2], 8);
    assert_non_null(memmem(data, size, text, sizeof text));
    assert_int_equal(count_records(data, size, "histogram"), 2);
    free(data);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct model_callback summary;
    struct model_error err = {0};
    assert_int_equal(model_summary_new(&summary, folder, 0, &err), MODEL_ARGUMENT);
    assert_non_null(strstr(err.message, "collect_freq is 0"));
    assert_int_equal(model_summary_new(&summary, "/dev/null/x", 1, &err), MODEL_DISK);
    assert_null(summary.context);
    path[0] = '\0';
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_is_castagnolis),
        cmocka_unit_test_setup_teardown(a_training_leaves_its_curves, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(histograms_pass_over_what_is_not_finite, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, training_set_up, training_tear_down);
}
