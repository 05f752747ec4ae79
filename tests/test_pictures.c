/* test_pictures.c - PNG files as images: grey, transparency, size, paper, and what is no picture.
 */
#include "model/data/dataset.h"

#include <cairo.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/jobferry-pictures-XXXXXX";

/* A square of the given side in premultiplied ARGB, its left half left and its right half right. */
static void write_png(int width, int height, uint32_t left, uint32_t right)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, width, height);
    unsigned char *data = cairo_image_surface_get_data(surface);
    int stride = cairo_image_surface_get_stride(surface);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            memcpy(data + y * stride + 4 * x, x < width / 2 ? &left : &right, 4);
        }
    }
    cairo_surface_mark_dirty(surface);
    assert_int_equal(cairo_surface_write_to_png(surface, path), CAIRO_STATUS_SUCCESS);
    cairo_surface_destroy(surface);
}

/* Reads it; *left and *right get the pixels of both halves. */
static bool read_halves(bool invert, uint8_t *left, uint8_t *right)
{
    struct model_dataset *dataset = NULL;
    const char *paths[] = {path};
    bool dark_on_light = false;
    assert_int_equal(model_dataset_pictures(&dataset, paths, 1, invert, &dark_on_light, NULL),
                     MODEL_OK);
    assert_int_equal(model_dataset_size(dataset), 1);
    assert_int_equal(model_dataset_label(dataset, 0), MODEL_NO_LABEL);
    const uint8_t *pixels = model_dataset_image(dataset, 0);
    *left = pixels[14 * 28 + 3];
    *right = pixels[14 * 28 + 24];
    model_dataset_free(dataset);
    return dark_on_light;
}

static void test_colours_become_grey(void **state)
{
    (void)state;
    static const struct {
        uint32_t color;
        uint8_t grey; /* Pillow's convert("L") of it, on white */
    } cases[] = {{0xFFFF0000, 76},  {0xFF00FF00, 150}, {0xFF0000FF, 29},
                 {0xFF808080, 128}, {0xFF123456, 46},  {0x00000000, 255}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t left;
        uint8_t right;
        write_png(28, 28, cases[i].color, 0xFF000000);
        read_halves(false, &left, &right);
        assert_int_equal(left, cases[i].grey);
        assert_int_equal(right, 0);
        read_halves(true, &left, &right);
        assert_int_equal(left, 255 - cases[i].grey);
        assert_int_equal(right, 255);
    }
}

static void test_any_square_fits(void **state)
{
    (void)state;
    static const int sides[] = {1, 2, 27, 28, 29, 56, 100, 1000};
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        uint8_t left;
        uint8_t right;
        write_png(sides[i], sides[i], 0xFF404040, 0xFFC0C0C0);
        read_halves(false, &left, &right);
        assert_int_equal(left, sides[i] == 1 ? 0xC0 : 0x40);
        assert_int_equal(right, 0xC0);
    }
}

static void test_no_picture_is_told(void **state)
{
    (void)state;
    struct model_dataset *dataset = NULL;
    struct model_error err;
    const char *paths[] = {path};
    bool dark = false;
    write_png(28, 27, 0xFF000000, 0xFF000000);
    assert_int_equal(model_dataset_pictures(&dataset, paths, 1, false, &dark, &err), MODEL_DATA);
    assert_non_null(strstr(err.message, "28 by 27"));
    write_png(64, 64, 0xFF102030, 0xFF405060);
    assert_int_equal(truncate(path, 60), 0);
    assert_int_equal(model_dataset_pictures(&dataset, paths, 1, false, &dark, &err), MODEL_DATA);
    assert_int_equal(truncate(path, 20), 0);
    assert_int_equal(model_dataset_pictures(&dataset, paths, 1, false, &dark, &err), MODEL_DATA);
    assert_non_null(strstr(err.message, "no PNG"));
    paths[0] = "/nowhere/a.png";
    assert_int_equal(model_dataset_pictures(&dataset, paths, 1, false, &dark, &err),
                     MODEL_NOT_FOUND);
    assert_int_equal(model_dataset_pictures(&dataset, paths, 0, false, &dark, &err),
                     MODEL_ARGUMENT);
    assert_null(dataset);
}

/* The border is not counted: only what is brighter there than within draws the hint. */
static void test_paper_is_noticed(void **state)
{
    (void)state;
    const char *paths[] = {TEST_SOURCE_DIR "/tests/data/digit-7.png",
                           TEST_SOURCE_DIR "/tests/data/digit-7-paper.png"};
    struct model_dataset *dataset = NULL;
    bool dark = true;
    assert_int_equal(model_dataset_pictures(&dataset, paths, 1, false, &dark, NULL), MODEL_OK);
    assert_false(dark);
    model_dataset_free(dataset);
    assert_int_equal(model_dataset_pictures(&dataset, paths + 1, 1, false, &dark, NULL), MODEL_OK);
    assert_true(dark);
    model_dataset_free(dataset);
}

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colours_become_grey),
        cmocka_unit_test(test_any_square_fits),
        cmocka_unit_test(test_no_picture_is_told),
        cmocka_unit_test(test_paper_is_noticed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
