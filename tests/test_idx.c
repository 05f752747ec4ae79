/* test_idx.c - IDX files: found by MindSpore's rule, read plain and gzipped, refused when bad. */
#include "model/data/idx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "mnist_fixture.h"

enum {
    COUNT = 5,
    PIXELS = 28 * 28
};

static char folder[FIXTURE_PATH_MAX];

static int set_up(void **state)
{
    (void)state;
    fixture_folder(folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_remove(folder);
    return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void reads_plain_and_gzipped(void **state)
{
    (void)state;
    size_t size;
    uint8_t *images = fixture_images(COUNT, 1, &size);
    for (int gzip = 0; gzip <= 1; gzip++) {
        char path[FIXTURE_PATH_MAX];
        fixture_write(folder, "images", images, size, gzip);
        fixture_path(path, folder, "images");
        uint8_t *bytes = NULL;
        size_t count = 0;
        assert_int_equal(idx_read(&bytes, &count, path, IDX_IMAGES, NULL), MODEL_OK);
        assert_int_equal(count, COUNT);
        assert_memory_equal(bytes, images + 16, COUNT * PIXELS);
        free(bytes);
    }
    free(images);
}

/* More than the reader's first buffer: it must grow without losing a byte. */
static void reads_a_file_larger_than_the_first_buffer(void **state)
{
    (void)state;
    enum {
        MANY = 4000
    };
    size_t size;
    uint8_t *images = fixture_images(MANY, 1, &size);
    char path[FIXTURE_PATH_MAX];
    fixture_write(folder, "many", images, size, false);
    fixture_path(path, folder, "many");
    uint8_t *bytes = NULL;
    size_t count = 0;
    assert_int_equal(idx_read(&bytes, &count, path, IDX_IMAGES, NULL), MODEL_OK);
    assert_int_equal(count, MANY);
    assert_memory_equal(bytes, images + 16, size - 16);
    free(bytes);
    free(images);
}

/* One change to a good file, and what the message must then say. */
struct fault {
    const char *what;
    enum idx_kind kind;
    int offset; /* of the byte to change; -1 none */
    uint8_t value;
    int size_change; /* bytes added at the end, or cut */
    const char *message;
};

static const struct fault faults[] = {
    {"images' magic", IDX_IMAGES, 3, 1, 0,
     "the magic number at byte 0 is 0x00000801, not 0x00000803 of IDX images"},
    {"labels' magic", IDX_LABELS, 0, 9, 0,
     "the magic number at byte 0 is 0x09000801, not 0x00000801 of IDX labels"},
    {"27 rows", IDX_IMAGES, 11, 27, 0, "the images' number of rows at byte 8 is 27, not 28"},
    {"27 columns", IDX_IMAGES, 15, 27, 0, "the images' number of columns at byte 12 is 27, not 28"},
    {"no images", IDX_IMAGES, 7, 0, 0, "the count of images at byte 4 is 0"},
    {"too many", IDX_IMAGES, 4, 0xFF, 0, "the count of images at byte 4 is 4278190085"},
    {"one image more than there is", IDX_IMAGES, 7, 6, 0, "the file ends at byte 3936 of 4720"},
    {"a million images promised", IDX_IMAGES, 5, 0x0F, 0, "the file ends at byte 3936 of 770"},
    {"one image fewer than there is", IDX_IMAGES, 7, 4, 0, "the file goes on after byte 3152"},
    {"a byte short", IDX_IMAGES, -1, 0, -1, "the file ends at byte 3935 of 3936"},
    {"a byte too long", IDX_IMAGES, -1, 0, 1, "the file goes on after byte 3936"},
    {"within the header", IDX_IMAGES, -1, 0, -3930, "the file ends at byte 6 of 16"},
    {"within the magic", IDX_IMAGES, -1, 0, -3933, "the file ends at byte 3 of 16"},
    {"empty", IDX_LABELS, -1, 0, -13, "the file ends at byte 0 of 8"},
    {"labels a byte short", IDX_LABELS, -1, 0, -1, "the file ends at byte 12 of 13"},
    {"label 64", IDX_LABELS, 10, 64, 0, "the label at byte 10 is 64; it must be 0 to 63"},
    {"label 255, last", IDX_LABELS, 12, 255, 0, "the label at byte 12 is 255; it must be 0 to 63"},
};

static void expect_fault(const char *path, enum idx_kind kind, const char *what,
                         const char *message)
{
    struct model_error err = {0};
    uint8_t *bytes = NULL;
    size_t count = 0;
    enum model_code code = idx_read(&bytes, &count, path, kind, &err);
    if (code != MODEL_DATA || !strstr(err.message, message) || !strstr(err.message, path) ||
        strchr(err.message, '\n')) {
        fail_msg("%s: code %d, \"%s\"", what, code, err.message);
    }
    assert_null(bytes);
    assert_int_equal(count, 0);
}

static void names_file_and_offset_of_each_fault(void **state)
{
    (void)state;
    char path[FIXTURE_PATH_MAX];
    fixture_path(path, folder, "bad");
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        const struct fault *fault = &faults[i];
        size_t size;
        uint8_t *bytes = fault->kind == IDX_IMAGES ? fixture_images(COUNT, 1, &size)
                                                   : fixture_labels(COUNT, 1, &size);
        bytes = realloc(bytes, size + 1);
        assert_non_null(bytes);
        bytes[size] = 0;
        if (fault->offset >= 0) {
            bytes[fault->offset] = fault->value;
        }
        for (int gzip = 0; gzip <= 1; gzip++) {
            fixture_write(folder, "bad", bytes, (size_t)((long)size + fault->size_change), gzip);
            expect_fault(path, fault->kind, fault->what, fault->message);
        }
        free(bytes);
    }
}

static size_t read_back(const char *path, uint8_t *bytes, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, capacity, file);
    fclose(file);
    return size;
}

static void refuses_gzip_cut_short_anywhere(void **state)
{
    (void)state;
    size_t size;
    uint8_t *labels = fixture_labels(COUNT, 1, &size);
    char path[FIXTURE_PATH_MAX];
    fixture_path(path, folder, "labels.gz");
    fixture_write(folder, "labels.gz", labels, size, true);
    free(labels);
    uint8_t gzipped[256];
    size_t gzipped_size = read_back(path, gzipped, sizeof gzipped);
    /* From the magic on; the last eight are gzip's own sum and length. */
    for (size_t kept = 2; kept < gzipped_size; kept++) {
        fixture_write(folder, "labels.gz", gzipped, kept, false);
        struct model_error err = {0};
        uint8_t *bytes = NULL;
        size_t count = 0;
        if (idx_read(&bytes, &count, path, IDX_LABELS, &err) != MODEL_DATA) {
            fail_msg("%zu of %zu bytes were accepted", kept, gzipped_size);
        }
        if (!strstr(err.message, path) || !strstr(err.message, " byte ")) {
            fail_msg("%zu bytes: \"%s\"", kept, err.message);
        }
    }
    fixture_write(folder, "labels.gz", gzipped, gzipped_size - 1, false);
    char message[128];
    snprintf(message, sizeof message,
             "the gzip data is cut short at byte %zu, after 13 bytes of content", gzipped_size - 1);
    expect_fault(path, IDX_LABELS, "cut in the trailer", message);
    gzipped[gzipped_size - 8] ^= 1;
    fixture_write(folder, "labels.gz", gzipped, gzipped_size, false);
    expect_fault(path, IDX_LABELS, "gzip's sum flipped", "the gzip data is damaged before byte ");
}

static void reports_a_missing_file_as_such(void **state)
{
    (void)state;
    char path[FIXTURE_PATH_MAX];
    fixture_path(path, folder, "absent");
    struct model_error err = {0};
    uint8_t *bytes = NULL;
    size_t count = 0;
    assert_int_equal(idx_read(&bytes, &count, path, IDX_IMAGES, &err), MODEL_NOT_FOUND);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(idx_read(&bytes, &count, folder, IDX_IMAGES, &err), MODEL_DISK);
}

/* ---- finding -------------------------------------------------------------------------------- */

static void expect_found(enum model_split split, enum idx_kind kind, const char *name)
{
    char found[FIXTURE_PATH_MAX];
    char wanted[FIXTURE_PATH_MAX];
    assert_int_equal(idx_find(found, sizeof found, folder, split, kind, NULL), MODEL_OK);
    fixture_path(wanted, folder, name);
    assert_string_equal(found, wanted);
}

static void finds_by_name_plain_before_gzipped(void **state)
{
    (void)state;
    static const char *const others[] = {"train-images", "my-train-images-idx3-ubyte",
                                         "t10k-labels-idx1-ubyte", "train-images-idx1-ubyte"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        fixture_write(folder, others[i], "x", 1, false);
    }
    char found[FIXTURE_PATH_MAX];
    struct model_error err;
    assert_int_equal(idx_find(found, sizeof found, folder, MODEL_TRAIN, IDX_IMAGES, &err),
                     MODEL_NOT_FOUND);
    assert_non_null(strstr(err.message, folder));
    assert_non_null(strstr(err.message, "train-*-images*idx3-ubyte*"));

    fixture_write(folder, "train-images-idx3-ubyte.bak", "x", 1, false);
    expect_found(MODEL_TRAIN, IDX_IMAGES, "train-images-idx3-ubyte.bak");
    fixture_write(folder, "train-images-idx3-ubyte.gz", "x", 1, false);
    expect_found(MODEL_TRAIN, IDX_IMAGES, "train-images-idx3-ubyte.gz");
    fixture_write(folder, "train-images.idx3-ubyte", "x", 1, false);
    expect_found(MODEL_TRAIN, IDX_IMAGES, "train-images.idx3-ubyte");
    fixture_write(folder, "train-images-idx3-ubyte", "x", 1, false);
    expect_found(MODEL_TRAIN, IDX_IMAGES, "train-images-idx3-ubyte");
    expect_found(MODEL_TEST, IDX_LABELS, "t10k-labels-idx1-ubyte");
}

static void looks_at_regular_files_only(void **state)
{
    (void)state;
    char path[FIXTURE_PATH_MAX];
    fixture_path(path, folder, "train-labels-idx1-ubyte");
    assert_int_equal(mkfifo(path, 0600), 0);
    fixture_write(folder, "train-labels-idx1-ubyte.gz", "x", 1, false);
    expect_found(MODEL_TRAIN, IDX_LABELS, "train-labels-idx1-ubyte.gz");
}

static void reports_a_missing_folder_as_such(void **state)
{
    (void)state;
    char found[FIXTURE_PATH_MAX];
    char absent[FIXTURE_PATH_MAX];
    fixture_path(absent, folder, "absent");
    struct model_error err;
    assert_int_equal(idx_find(found, sizeof found, absent, MODEL_TRAIN, IDX_IMAGES, &err),
                     MODEL_NOT_FOUND);
    assert_non_null(strstr(err.message, absent));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_plain_and_gzipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_a_file_larger_than_the_first_buffer, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_file_and_offset_of_each_fault, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_gzip_cut_short_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reports_a_missing_file_as_such, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finds_by_name_plain_before_gzipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(looks_at_regular_files_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reports_a_missing_folder_as_such, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
