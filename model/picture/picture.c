/*
 * picture.c - predictions as the lab draws them, and the PNG files that infer reads.
 *
 * A grid as square as it goes; each image enlarged without smoothing, so that a pixel stays a
 * square, under its title.
 */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_error.h"
#include "model/picture/canvas.h"
#include "model/picture/picture.h"

#include "model/model_banned.h"

/* Lengths in pixels of the PNG. */
enum {
    IMAGES_MAX = 1024,
    PNG_SIDE_MAX = 4096, /* of a picture that is read */
    SCALE = 6,
    IMAGE = SCALE * MODEL_IDX_SIDE,
    GAP = 24,    /* around and between the cells */
    TITLE = 28,  /* height of a title's line, above its image */
    BASELINE = 9 /* of a title, above its image */
};

#define TITLE_SIZE 10.5 /* pixels that a digit is high */

static const struct color frame = {0.80, 0.82, 0.86};
static const struct color right = {0.11, 0.31, 0.85}; /* blue */
static const struct color wrong = {0.86, 0.15, 0.15}; /* red */

/* A title in the middle over an image whose left upper corner is (x, y). */
static void draw_title(struct canvas *canvas, unsigned prediction, unsigned truth, double x,
                       double y)
{
    char title[48];
    bool known = truth != MODEL_NO_LABEL;
    snprintf(title, sizeof title, known ? "prediction: %u, truth: %u" : "prediction: %u",
             prediction, truth);
    canvas_color(canvas, !known || prediction == truth ? &right : &wrong);
    x += floor((IMAGE - canvas_text_width(title, TITLE_SIZE)) / 2.0);
    canvas_text(canvas, title, x, y - BASELINE, TITLE_SIZE);
}

static void draw_grid(struct canvas *canvas, const struct model_dataset *dataset,
                      const struct model_grid *grid, size_t columns)
{
    for (size_t i = 0; i < grid->count; i++) {
        size_t row = i / columns;
        size_t image = grid->images[i];
        double x = GAP + (double)(i % columns) * (IMAGE + GAP);
        double y = GAP + TITLE + (double)row * (IMAGE + GAP + TITLE);
        canvas_image(canvas, model_dataset_image(dataset, image), MODEL_IDX_SIDE, x, y, SCALE);
        canvas_color(canvas, &frame);
        canvas_frame(canvas, x - 0.5, y - 0.5, IMAGE + 1.0, IMAGE + 1.0, 1.0);
        draw_title(canvas, grid->predictions[i], model_dataset_label(dataset, image), x, y);
    }
}

enum model_code model_draw_grid(const char *path, const struct model_dataset *dataset,
                                const struct model_grid *grid, struct model_error *err)
{
    size_t columns = grid->columns ? grid->columns : (size_t)ceil(sqrt((double)grid->count));
    if (grid->count == 0 || grid->count > IMAGES_MAX || columns == 0 || columns > IMAGES_MAX) {
        return model_fail(err, MODEL_ARGUMENT,
                          "draw %s: %zu images in %zu columns, each must be 1 to %d", path,
                          grid->count, columns, IMAGES_MAX);
    }
    columns = columns < grid->count ? columns : grid->count;
    size_t rows = (grid->count + columns - 1) / columns;
    size_t width = GAP + columns * (IMAGE + GAP);
    size_t height = GAP + rows * (IMAGE + GAP + TITLE);
    if (width > CANVAS_SIDE_MAX || height > CANVAS_SIDE_MAX) {
        return model_fail(err, MODEL_ARGUMENT,
                          "draw %s: %zu images in %zu columns give %zux%zu pixels, more than %d",
                          path, grid->count, columns, width, height, CANVAS_SIDE_MAX);
    }
    struct canvas *canvas = NULL;
    enum model_code code = canvas_new(&canvas, path, width, height, err);
    if (code == MODEL_OK) {
        draw_grid(canvas, dataset, grid, columns);
        code = canvas_commit(canvas, err);
    }
    canvas_free(canvas);
    return code;
}

enum model_code model_draw_predictions(const char *path, const struct model_dataset *dataset,
                                       size_t first, size_t count, const uint8_t *predictions,
                                       struct model_error *err)
{
    size_t size = model_dataset_size(dataset);
    size_t images[IMAGES_MAX];
    if (count == 0 || count > IMAGES_MAX) {
        return model_fail(err, MODEL_ARGUMENT, "draw %s: %zu images, it must be 1 to %d", path,
                          count, IMAGES_MAX);
    }
    if (first > size || count > size - first) {
        return model_fail(err, MODEL_ARGUMENT, "draw %s: images %zu to %zu of a dataset of %zu",
                          path, first, first + count - 1, size);
    }
    for (size_t i = 0; i < count; i++) {
        images[i] = first + i;
    }
    const struct model_grid grid = {.images = images, .predictions = predictions, .count = count};
    return model_draw_grid(path, dataset, &grid, err);
}

/* ---- reading a picture ----------------------------------------------------------------------- */

/* The side, from the first 24 bytes (PNG, section 11.2.2), before memory is given for it. */
static enum model_code check_png(const char *path, uint32_t *side, struct model_error *err)
{
    static const uint8_t signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    uint8_t head[24] = {0};
    FILE *file = fopen(path, "rb");
    if (!file) {
        return model_fail_errno(err, "open image", path, errno);
    }
    size_t got = fread(head, 1, sizeof head, file);
    fclose(file);
    if (got < sizeof head || memcmp(head, signature, sizeof signature) != 0) {
        return model_fail(err, MODEL_DATA, "read image %s: it is no PNG", path);
    }
    uint32_t width =
        (uint32_t)head[16] << 24 | (uint32_t)head[17] << 16 | (uint32_t)head[18] << 8 | head[19];
    uint32_t height =
        (uint32_t)head[20] << 24 | (uint32_t)head[21] << 16 | (uint32_t)head[22] << 8 | head[23];
    if (width != height || width == 0 || width > PNG_SIDE_MAX) {
        return model_fail(err, MODEL_DATA,
                          "read image %s: it is %u by %u pixels; it must be square, 1 to %d", path,
                          width, height, PNG_SIDE_MAX);
    }
    *side = width;
    return MODEL_OK;
}

/* Pillow's convert("L"): ITU-R 601-2 in 16 bits. */
static uint8_t grey_of(uint32_t rgb)
{
    uint32_t red = rgb >> 16 & 0xFF;
    uint32_t green = rgb >> 8 & 0xFF;
    uint32_t blue = rgb & 0xFF;
    return (uint8_t)((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16);
}

/* Adds to a pixel of 28×28 the part of an axis that source pixel s covers, in 1/side. */
static uint32_t overlap(uint32_t target, uint32_t s, uint32_t side)
{
    uint32_t from = target * side > s * MODEL_IDX_SIDE ? target * side : s * MODEL_IDX_SIDE;
    uint32_t to_target = (target + 1) * side;
    uint32_t to_source = (s + 1) * MODEL_IDX_SIDE;
    uint32_t to = to_target < to_source ? to_target : to_source;
    return to > from ? to - from : 0;
}

/* One pixel of 28×28: the mean of the area it covers of side×side, weights in integers. */
static uint8_t area_mean(const uint32_t *rgb, uint32_t side, uint32_t x, uint32_t y)
{
    assert(side > 0);
    uint64_t sum = 0;
    uint64_t weights = (uint64_t)side * side;
    for (uint32_t v = y * side / MODEL_IDX_SIDE; v < side && v * MODEL_IDX_SIDE < (y + 1) * side;
         v++) {
        for (uint32_t u = x * side / MODEL_IDX_SIDE;
             u < side && u * MODEL_IDX_SIDE < (x + 1) * side; u++) {
            uint32_t pixel = rgb[(size_t)v * side + u];
            sum += (uint64_t)overlap(x, u, side) * overlap(y, v, side) * grey_of(pixel);
        }
    }
    return (uint8_t)((sum + weights / 2) / weights);
}

enum model_code picture_read_grey(const char *path, uint8_t *pixels, struct model_error *err)
{
    uint32_t side = 0;
    uint32_t *rgb = NULL;
    enum model_code code = check_png(path, &side, err);
    if (code == MODEL_OK) {
        code = canvas_read_png(&rgb, path, side, err);
    }
    for (uint32_t i = 0; i < MODEL_IDX_SIDE * MODEL_IDX_SIDE && code == MODEL_OK; i++) {
        pixels[i] = area_mean(rgb, side, i % MODEL_IDX_SIDE, i / MODEL_IDX_SIDE);
    }
    free(rgb);
    return code;
}
