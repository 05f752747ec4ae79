/* test_dataset.c - from files to numbers: folders, resize, rescale, binarise, the sum. */
#include "model/data/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cmocka.h>

#include "mnist_fixture.h"
#include "model/base/random.h"
#include "model/data/resize.h"

enum {
    FROM = 28,
    TO = 32,
    COUNT = 7
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

/* ---- resize --------------------------------------------------------------------------------- */

/*
 * The same rule written another way: the table of weights by line modulo 8 that the 28 to 32 ratio
 * repeats, instead of arithmetic on positions.
 */
static const int weights[8][2] = {{128, 1920}, {384, 1664}, {640, 1408}, {896, 1152},
                                  {1152, 896}, {1408, 640}, {1664, 384}, {1920, 128}};
static const int first_lines[TO] = {-1, 0,  1,  2,  3,  4,  5,  6,  6,  7,  8,  9,  10, 11, 12, 13,
                                    13, 14, 15, 16, 17, 18, 19, 20, 20, 21, 22, 23, 24, 25, 26, 27};

static int pixel_across(const uint8_t *in, int y, int x)
{
    int i = first_lines[x];
    if (i < 0) {
        return in[y * FROM] * 2048;
    }
    if (i >= FROM - 1) {
        return in[y * FROM + FROM - 1] * 2048;
    }
    return in[y * FROM + i] * weights[x % 8][0] + in[y * FROM + i + 1] * weights[x % 8][1];
}

static uint8_t pixel(const uint8_t *in, int y, int x)
{
    int i = first_lines[y];
    int top = i < 0 ? 0 : i;
    int bottom = i + 1 > FROM - 1 ? FROM - 1 : i + 1;
    int upper = (weights[y % 8][0] * (pixel_across(in, top, x) >> 4)) >> 16;
    int lower = (weights[y % 8][1] * (pixel_across(in, bottom, x) >> 4)) >> 16;
    return (uint8_t)((upper + lower + 2) >> 2);
}

static void resize_equals_an_independent_one(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, 1, 0);
    for (int round = 0; round < 50; round++) {
        uint8_t in[FROM * FROM];
        uint8_t out[TO * TO];
        for (size_t i = 0; i < sizeof in; i++) {
            /* Strong contrasts in half of the rounds, where rounding differs most. */
            uint8_t drawn = (uint8_t)random_below(&random, 256);
            in[i] = round % 2 ? drawn : (uint8_t)(drawn & 1 ? 255 : drawn & 2);
        }
        resize_28_to_32(in, out);
        for (int y = 0; y < TO; y++) {
            for (int x = 0; x < TO; x++) {
                if (out[y * TO + x] != pixel(in, y, x)) {
                    fail_msg("round %d, (%d, %d): %d, not %d", round, y, x, out[y * TO + x],
                             pixel(in, y, x));
                }
            }
        }
    }
}

/*
 * One white pixel at (1, 1), by hand. Its share of line d is 255·w/2048 in both directions:
 *   x = 1: 255·1664 = 424320;  y = 1: (1664·(424320 >> 4)) >> 16 = 673;  (673 + 2) >> 2 = 168
 *   x = 2: 255·640 = 163200;   y = 2: (640·(163200 >> 4)) >> 16 = 99;    (99 + 2) >> 2 = 25
 *   x = 2, y = 1: (1664·10200) >> 16 = 258; (258 + 2) >> 2 = 65
 *   x = 1, y = 2: (640·26520) >> 16 = 258; 65.   x = 0 and 3: its weight is 0 and it is no
 *   neighbour: 0 lies between columns -1 and 0, 3 between 2 and 3.
 */
static void resize_of_one_pixel_by_hand(void **state)
{
    (void)state;
    uint8_t in[FROM * FROM] = {0};
    uint8_t out[TO * TO];
    in[1 * FROM + 1] = 255;
    resize_28_to_32(in, out);
    static const uint8_t corner[4][4] = {{0, 0, 0, 0}, {0, 168, 65, 0}, {0, 65, 25, 0}, {0}};
    for (int y = 0; y < 4; y++) {
        assert_memory_equal(out + y * TO, corner[y], 4);
    }
    memset(in, 255, sizeof in);
    resize_28_to_32(in, out);
    for (size_t i = 0; i < sizeof out; i++) {
        assert_int_equal(out[i], 255);
    }
}

/* ---- opening -------------------------------------------------------------------------------- */

static struct model_dataset *open_split(const char *where, enum model_split split, bool binarize)
{
    struct model_dataset *dataset = NULL;
    struct model_error err = {0};
    if (model_dataset_open(&dataset, where, split, binarize, &err) != MODEL_OK) {
        fail_msg("%s", err.message);
    }
    return dataset;
}

static void holds_what_the_files_hold(void **state)
{
    (void)state;
    fixture_split(folder, "train", COUNT, 3);
    size_t size;
    uint8_t *images = fixture_images(COUNT, 3, &size);
    uint8_t *labels = fixture_labels(COUNT, 3, &size);
    struct model_dataset *dataset = open_split(folder, MODEL_TRAIN, false);
    assert_int_equal(model_dataset_size(dataset), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_memory_equal(model_dataset_image(dataset, i), images + 16 + i * FROM * FROM,
                            FROM * FROM);
        assert_int_equal(model_dataset_label(dataset, i), labels[8 + i]);
        uint8_t resized[TO * TO];
        resize_28_to_32(model_dataset_image(dataset, i), resized);
        assert_memory_equal(dataset->resized + i * TO * TO, resized, sizeof resized);
    }
    uLong sum = crc32(0, images + 16, COUNT * FROM * FROM);
    assert_int_equal(model_dataset_crc32(dataset), crc32(sum, labels + 8, COUNT));
    model_dataset_free(dataset);
    free(images);
    free(labels);
}

static void rescales_as_mindspore(void **state)
{
    (void)state;
    uint8_t resized[TO * TO] = {0, 255, 1, 128};
    float out[TO * TO];
    dataset_rescale(resized, out);
    uint32_t bits[2];
    memcpy(bits, out, sizeof bits);
    assert_int_equal(bits[0], 0xbed93270); /* the shift itself, float32 -0.4242129326 */
    assert_float_equal(out[1], 2.8214865f, 1e-6f);
    assert_float_equal(out[2], 0.0127282329f - 0.4242129326f, 1e-7f);
    assert_float_equal(out[3], 128 / 255.0f / 0.3081f - 0.1307f / 0.3081f, 1e-5f);
}

static void binarizes_on_request(void **state)
{
    (void)state;
    fixture_split(folder, "t10k", COUNT, 3);
    struct model_dataset *grey = open_split(folder, MODEL_TEST, false);
    struct model_dataset *binary = open_split(folder, MODEL_TEST, true);
    size_t changed = 0;
    for (size_t p = 0; p < FROM * FROM; p++) {
        uint8_t before = model_dataset_image(grey, 0)[p];
        uint8_t after = model_dataset_image(binary, 0)[p];
        assert_int_equal(after, before ? 255 : 0);
        changed += before != after;
    }
    assert_true(changed > 0);
    /* Another training set, so another sum: a resume must notice. */
    assert_int_not_equal(model_dataset_crc32(grey), model_dataset_crc32(binary));
    model_dataset_free(grey);
    model_dataset_free(binary);
}

static void finds_the_split_in_its_sub_folder(void **state)
{
    (void)state;
    char sub_folder[FIXTURE_PATH_MAX];
    fixture_path(sub_folder, folder, "train");
    assert_int_equal(mkdir(sub_folder, 0755), 0);
    fixture_split(sub_folder, "train", COUNT, 1);
    struct model_dataset *dataset = open_split(folder, MODEL_TRAIN, false);
    assert_int_equal(model_dataset_size(dataset), COUNT);
    model_dataset_free(dataset);

    /* What lies in the folder itself comes first. */
    fixture_split(folder, "train", COUNT + 1, 1);
    dataset = open_split(folder, MODEL_TRAIN, false);
    assert_int_equal(model_dataset_size(dataset), COUNT + 1);
    model_dataset_free(dataset);

    struct model_error err = {0};
    assert_int_equal(model_dataset_open(&dataset, folder, MODEL_TEST, false, &err),
                     MODEL_NOT_FOUND);
    assert_non_null(strstr(err.message, folder));
    assert_null(dataset);
}

static void refuses_counts_that_differ(void **state)
{
    (void)state;
    fixture_split(folder, "train", COUNT, 1);
    size_t size;
    uint8_t *labels = fixture_labels(COUNT - 1, 1, &size);
    fixture_write(folder, "train-labels-idx1-ubyte", labels, size, true);
    free(labels);
    struct model_dataset *dataset = NULL;
    struct model_error err = {0};
    assert_int_equal(model_dataset_open(&dataset, folder, MODEL_TRAIN, false, &err), MODEL_DATA);
    assert_null(dataset);
    assert_non_null(strstr(err.message, "train-labels-idx1-ubyte"));
    assert_non_null(strstr(err.message, "train-images-idx3-ubyte"));
    assert_non_null(strstr(err.message, "byte 4 is 6 labels, but there are 7 images"));
}

/* As many as the labels ask for, but never fewer than the lab's. */
static void classes_are_counted_from_the_labels(void **state)
{
    (void)state;
    static const struct {
        uint8_t label;
        size_t classes;
    } cases[] = {{0, 10}, {9, 10}, {10, 11}, {46, 47}, {63, 64}};
    fixture_split(folder, "train", COUNT, 1);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        size_t size;
        uint8_t *labels = fixture_labels(COUNT, 1, &size);
        memset(labels + 8, cases[c].label < 10 ? cases[c].label : 0, COUNT);
        labels[8 + 3] = cases[c].label;
        fixture_write(folder, "train-labels-idx1-ubyte", labels, size, c % 2 == 1);
        free(labels);
        struct model_dataset *dataset = open_split(folder, MODEL_TRAIN, false);
        assert_int_equal(model_dataset_classes(dataset), cases[c].classes);
        model_dataset_free(dataset);
    }
}

static void names_the_labels_when_only_they_are_missing(void **state)
{
    (void)state;
    fixture_split(folder, "train", COUNT, 1);
    char path[FIXTURE_PATH_MAX];
    fixture_path(path, folder, "train-labels-idx1-ubyte");
    assert_int_equal(remove(path), 0);
    struct model_dataset *dataset = NULL;
    struct model_error err = {0};
    assert_int_equal(model_dataset_open(&dataset, folder, MODEL_TRAIN, false, &err),
                     MODEL_NOT_FOUND);
    assert_non_null(strstr(err.message, "train-*-labels*idx1-ubyte*"));
}

static void opens_the_real_mnist(void **state)
{
    (void)state;
    if (!fixture_real_mnist()) {
        skip();
    }
    struct model_dataset *dataset = open_split(fixture_real_mnist(), MODEL_TEST, false);
    assert_int_equal(model_dataset_size(dataset), 10000);
    assert_int_equal(model_dataset_label(dataset, 0), 7);
    assert_int_equal(model_dataset_label(dataset, 9999), 6);
    model_dataset_free(dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_equals_an_independent_one),
        cmocka_unit_test(resize_of_one_pixel_by_hand),
        cmocka_unit_test(rescales_as_mindspore),
        cmocka_unit_test_setup_teardown(holds_what_the_files_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(binarizes_on_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finds_the_split_in_its_sub_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_counts_that_differ, set_up, tear_down),
        cmocka_unit_test_setup_teardown(classes_are_counted_from_the_labels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_the_labels_when_only_they_are_missing, set_up,
                                        tear_down),
        cmocka_unit_test(opens_the_real_mnist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
