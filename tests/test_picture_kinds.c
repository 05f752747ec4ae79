/*
 * test_picture_kinds.c - PNG files of the colour types and depths that cairo
 * itself does not write, made here byte by byte: what they become, and that damaged ones are
 * refused.
 */
#include "model/data/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/data/gzip.h"

enum {
    SIDE = MODEL_IDX_SIDE,
    PIXEL_MAX = 8, /* bytes: four channels of 16 bits */
    ROW_MAX = 1 + SIDE * PIXEL_MAX,
    FILE_MAX = SIDE * ROW_MAX + 2048
};

/* A kind of PNG; its left half has one pixel, its right half another. */
struct kind {
    const char *name;
    uint8_t depth;
    uint8_t type; /* PNG, 11.2.2: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha */
    uint8_t bits; /* of a pixel */
    uint8_t left[PIXEL_MAX];
    uint8_t right[PIXEL_MAX];
    uint8_t left_grey;
    uint8_t right_grey;
};

static const struct kind kinds[] = {
    {"grey 1", 1, 0, 1, {0}, {1}, 0, 255},
    {"grey 2", 2, 0, 2, {1}, {2}, 85, 170},
    {"grey 4", 4, 0, 4, {4}, {12}, 68, 204},
    {"grey 8", 8, 0, 8, {64}, {192}, 64, 192},
    {"grey 16", 16, 0, 16, {64, 64}, {192, 192}, 64, 192},
    {"palette 1", 1, 3, 1, {0}, {1}, 48, 208},
    {"palette 8", 8, 3, 8, {1}, {0}, 208, 48},
    {"grey and alpha 8", 8, 4, 16, {64, 255}, {0, 0}, 64, 255},
    {"grey and alpha 16", 16, 4, 32, {64, 64, 255, 255}, {0, 0, 0, 0}, 64, 255},
    {"RGB 16", 16, 2, 48, {64, 64, 64, 64, 64, 64}, {192, 192, 192, 192, 192, 192}, 64, 192},
    {"RGB and alpha 16", 16, 6, 64, {64, 64, 64, 64, 64, 64, 255, 255}, {0}, 64, 255},
};

static char path[] = "/tmp/jobferry-kinds-XXXXXX";
static uint8_t file[FILE_MAX];
static size_t length;

static void put(const void *bytes, size_t size)
{
    assert_true(length + size <= sizeof file);
    memcpy(file + length, bytes, size);
    length += size;
}

static void put_number(uint32_t number)
{
    const uint8_t bytes[] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                             (uint8_t)(number >> 8), (uint8_t)number};
    put(bytes, sizeof bytes);
}

static void put_chunk(const char *type, const uint8_t *bytes, size_t size)
{
    put_number((uint32_t)size);
    size_t begin = length;
    put(type, 4);
    put(bytes, size);
    put_number(gzip_crc32(0, file + begin, length - begin));
}

/* The pixels as a zlib stream (RFC 1950) of one stored block; its Adler-32. */
static void put_pixels(const struct kind *kind)
{
    static uint8_t stream[FILE_MAX];
    static uint8_t rows[SIDE * ROW_MAX];
    size_t row = 1 + (SIDE * (size_t)kind->bits + 7) / 8;
    memset(rows, 0, sizeof rows);
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++) {
        const uint8_t *pixel = i % SIDE < SIDE / 2 ? kind->left : kind->right;
        size_t bit = i % SIDE * kind->bits;
        uint8_t *at = rows + i / SIDE * row + 1 + bit / 8;
        if (kind->bits < 8) {
            *at |= (uint8_t)(pixel[0] << (8 - kind->bits - bit % 8));
        } else {
            memcpy(at, pixel, kind->bits / 8);
        }
    }
    uint32_t low = 1;
    uint32_t high = 0;
    for (size_t i = 0; i < SIDE * row; i++) {
        low = (low + rows[i]) % 65521;
        high = (high + low) % 65521;
    }
    uint16_t size = (uint16_t)(SIDE * row);
    const uint8_t head[] = {0x78,
                            0x01,
                            0x01,
                            (uint8_t)size,
                            (uint8_t)(size >> 8),
                            (uint8_t)~size,
                            (uint8_t)((uint16_t)~size >> 8)};
    const uint8_t sum[] = {(uint8_t)(high >> 8), (uint8_t)high, (uint8_t)(low >> 8), (uint8_t)low};
    memcpy(stream, head, sizeof head);
    memcpy(stream + sizeof head, rows, size);
    memcpy(stream + sizeof head + size, sum, sizeof sum);
    put_chunk("IDAT", stream, sizeof head + size + sizeof sum);
}

static void make(const struct kind *kind, uint32_t width, uint32_t height)
{
    static const uint8_t palette[] = {48, 48, 48, 208, 208, 208};
    uint8_t header[13] = {(uint8_t)(width >> 24),
                          (uint8_t)(width >> 16),
                          (uint8_t)(width >> 8),
                          (uint8_t)width,
                          (uint8_t)(height >> 24),
                          (uint8_t)(height >> 16),
                          (uint8_t)(height >> 8),
                          (uint8_t)height,
                          kind->depth,
                          kind->type};
    length = 0;
    put("\x89PNG\r\n\x1a\n", 8);
    put_chunk("IHDR", header, sizeof header);
    if (kind->type == 3) {
        put_chunk("PLTE", palette, sizeof palette);
    }
    put_pixels(kind);
    put_chunk("IEND", palette, 0);
}

static enum model_code read_file(size_t size, uint8_t *left, uint8_t *right,
                                 struct model_error *err)
{
    struct model_dataset *dataset = NULL;
    const char *paths[] = {path};
    bool dark_on_light = false;
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(file, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
    enum model_code code = model_dataset_pictures(&dataset, paths, 1, false, &dark_on_light, err);
    if (code == MODEL_OK) {
        *left = model_dataset_image(dataset, 0)[(SIDE / 2) * SIDE + 3];
        *right = model_dataset_image(dataset, 0)[(SIDE / 2) * SIDE + SIDE - 4];
        model_dataset_free(dataset);
    }
    return code;
}

static bool is_near(int a, int b)
{
    return a - b <= 1 && b - a <= 1; /* newer cairos keep 16 bits and round later */
}

static void test_every_kind_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint8_t left = 0;
        uint8_t right = 0;
        struct model_error err = {0};
        make(&kinds[i], SIDE, SIDE);
        enum model_code code = read_file(length, &left, &right, &err);
        if (code != MODEL_OK || !is_near(left, kinds[i].left_grey) ||
            !is_near(right, kinds[i].right_grey)) {
            fail_msg("%s: code %d, %d and %d %s", kinds[i].name, (int)code, left, right,
                     err.message);
        }
    }
}

/* Cut at any byte before the pixels are whole. */
static void test_a_cut_is_told(void **state)
{
    (void)state;
    uint8_t left = 0;
    uint8_t right = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        make(&kinds[i], SIDE, SIDE);
        size_t end = length - 12 - 8; /* IEND; the sums of IDAT */
        for (size_t size = 0; size < end; size += 1 + size / 8) {
            struct model_error err = {0};
            enum model_code code = read_file(size, &left, &right, &err);
            if (code != MODEL_DATA || !strstr(err.message, path)) {
                fail_msg("%s cut at %zu: code %d %s", kinds[i].name, size, (int)code, err.message);
            }
        }
    }
}

/* A small file that says it is huge must not cost the memory of it. */
static void test_huge_sides_are_refused(void **state)
{
    (void)state;
    static const uint32_t sides[][2] = {
        {0, 0},         {0x7FFFFFFF, 0x7FFFFFFF}, {0xFFFFFFFF, 0xFFFFFFFF},
        {60000, 60000}, {0x7FFFFFFF, 28},         {28, 0x7FFFFFFF},
    };
    uint8_t left = 0;
    uint8_t right = 0;
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        struct model_error err = {0};
        make(&kinds[3], sides[i][0], sides[i][1]);
        enum model_code code = read_file(length, &left, &right, &err);
        if (code != MODEL_DATA) {
            fail_msg("%u by %u: code %d %s", sides[i][0], sides[i][1], (int)code, err.message);
        }
    }
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
        cmocka_unit_test(test_every_kind_is_read),
        cmocka_unit_test(test_a_cut_is_told),
        cmocka_unit_test(test_huge_sides_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
