/* test_picture.c - the grid of predictions: its size, its pixels, the colours of its titles. */
#include "model/data/dataset.h"
#include "model/model.h"

#include <cairo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    /* The layout, as picture.c has it. */
    SCALE = 6,
    IMAGE = 28 * SCALE,
    GAP = 24,
    TITLE = 28,
    COUNT = 9
};

static char folder[64];
static char path[96];
static uint8_t images[COUNT][28 * 28];
static uint8_t labels[COUNT] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
static struct model_dataset dataset = {.count = COUNT, .images = images[0], .labels = labels};

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/jobferry-picture-XXXXXX");
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/predictions.png", folder);
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t p = 0; p < sizeof images[i]; p++) {
            images[i][p] = (uint8_t)(p * 37 + i);
        }
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

struct rgb {
    int red, green, blue;
};

static struct rgb pixel_at(cairo_surface_t *surface, int x, int y)
{
    const unsigned char *row = cairo_image_surface_get_data(surface) +
                               (ptrdiff_t)y * cairo_image_surface_get_stride(surface);
    uint32_t value;
    memcpy(&value, row + (ptrdiff_t)x * 4, sizeof value);
    return (struct rgb){(int)(value >> 16 & 255), (int)(value >> 8 & 255), (int)(value & 255)};
}

/* How many pixels of cell (column, row)'s title are clearly blue, and clearly red. */
static void count_title(cairo_surface_t *surface, int column, int row, size_t *blue, size_t *red)
{
    int left = GAP + column * (IMAGE + GAP);
    int top = GAP + row * (IMAGE + GAP + TITLE);
    *blue = *red = 0;
    for (int y = top; y < top + TITLE - 2; y++) {
        for (int x = left; x < left + IMAGE; x++) {
            struct rgb p = pixel_at(surface, x, y);
            *blue += p.blue > p.red + 60;
            *red += p.red > p.blue + 60;
        }
    }
}

static cairo_surface_t *draw(size_t first, size_t count, const uint8_t *predictions)
{
    struct model_error err = {0};
    assert_int_equal(model_draw_predictions(path, &dataset, first, count, predictions, &err),
                     MODEL_OK);
    cairo_surface_t *surface = cairo_image_surface_create_from_png(path);
    assert_int_equal(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
    return surface;
}

static void test_a_grid_of_four(void **state)
{
    (void)state;
    const uint8_t predictions[4] = {3, 4, 0, 6}; /* images 3 to 6: the third is wrong */
    cairo_surface_t *surface = draw(3, 4, predictions);
    assert_int_equal(cairo_image_surface_get_width(surface), GAP + 2 * (IMAGE + GAP));
    assert_int_equal(cairo_image_surface_get_height(surface), GAP + 2 * (IMAGE + GAP + TITLE));
    for (int i = 0; i < 4; i++) {
        int left = GAP + i % 2 * (IMAGE + GAP);
        int top = GAP + TITLE + i / 2 * (IMAGE + GAP + TITLE);
        /* Every pixel of the image is a square of SCALE by SCALE, unsmoothed. */
        for (int y = 0; y < IMAGE; y++) {
            for (int x = 0; x < IMAGE; x++) {
                int grey = images[3 + i][y / SCALE * 28 + x / SCALE];
                struct rgb p = pixel_at(surface, left + x, top + y);
                assert_true(p.red == grey && p.green == grey && p.blue == grey);
            }
        }
        size_t blue = 0;
        size_t red = 0;
        count_title(surface, i % 2, i / 2, &blue, &red);
        if (i == 2) {
            assert_true(red > 50 && blue < red / 20);
        } else {
            assert_true(blue > 50 && red < blue / 20);
        }
    }
    cairo_surface_destroy(surface);
}

static void test_grids_are_as_square_as_they_go(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        int columns, rows;
    } cases[] = {{1, 1, 1}, {2, 2, 1}, {3, 2, 2}, {5, 3, 2}, {7, 3, 3}, {9, 3, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cairo_surface_t *surface = draw(0, cases[i].count, labels);
        assert_int_equal(cairo_image_surface_get_width(surface),
                         GAP + cases[i].columns * (IMAGE + GAP));
        assert_int_equal(cairo_image_surface_get_height(surface),
                         GAP + cases[i].rows * (IMAGE + GAP + TITLE));
        cairo_surface_destroy(surface);
    }
}

static void test_counts_beyond_the_dataset_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t first, count;
    } cases[] = {{0, 0}, {0, COUNT + 1}, {COUNT, 1}, {SIZE_MAX, 1}, {1, SIZE_MAX}, {0, 1025}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_error err = {0};
        assert_int_equal(
            model_draw_predictions(path, &dataset, cases[i].first, cases[i].count, labels, &err),
            MODEL_ARGUMENT);
        assert_non_null(strstr(err.message, path));
    }
}

static void test_a_disk_that_refuses(void **state)
{
    (void)state;
    struct model_error err = {0};
    char other[128];
    snprintf(other, sizeof other, "%s/none/a.png", folder);
    assert_int_equal(model_draw_predictions(other, &dataset, 0, 1, labels, &err), MODEL_DISK);

    struct rlimit old_limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    struct rlimit limit = {.rlim_cur = 500, .rlim_max = old_limit.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    snprintf(other, sizeof other, "%s/full.png", folder);
    enum model_code code = model_draw_predictions(other, &dataset, 0, COUNT, labels, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
    assert_int_equal(code, MODEL_DISK);
    assert_int_not_equal(access(other, F_OK), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* no temporary was left */
    assert_int_equal(mkdir(folder, 0700), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_grid_of_four),
        cmocka_unit_test(test_grids_are_as_square_as_they_go),
        cmocka_unit_test(test_counts_beyond_the_dataset_are_refused),
        cmocka_unit_test(test_a_disk_that_refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
