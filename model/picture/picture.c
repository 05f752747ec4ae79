/*
 * picture.c - predictions as the lab draws them, through cairo (the only file that knows it).
 *
 * A grid as square as it goes; each image enlarged without smoothing, so that a pixel stays a
 * square, under its title. The title is drawn with our own strokes: cairo's text would need fonts,
 * which a small container has not, and fontconfig, which prints when it finds no place to cache.
 */
#include <assert.h>
#include <cairo.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/base/atomic_file.h"
#include "model/model_error.h"
#include "model/picture/picture.h"
#include "model/picture/picture_letters.h"

#include "model/model_banned.h"

/* Lengths in pixels of the PNG. */
enum {
    IMAGES_MAX = 1024,
    SIDE_MAX = 32767,    /* cairo's ceiling */
    PNG_SIDE_MAX = 4096, /* of a picture that is read */
    SCALE = 6,
    IMAGE = SCALE * MODEL_IDX_SIDE,
    GAP = 24,    /* around and between the cells */
    TITLE = 28,  /* height of a title's line, above its image */
    BASELINE = 9 /* of a title, above its image */
};

#define FIGURE_SCALE 0.105 /* pixels for one of the hundred that a digit is high */
#define PEN          1.5

struct color {
    double red, green, blue;
};

static const struct color paper = {1.0, 1.0, 1.0};
static const struct color frame = {0.80, 0.82, 0.86};
static const struct color right = {0.11, 0.31, 0.85}; /* blue */
static const struct color wrong = {0.86, 0.15, 0.15}; /* red */

static void use_color(cairo_t *cairo, const struct color *color)
{
    cairo_set_source_rgb(cairo, color->red, color->green, color->blue);
}

/* A grey image of 28×28 bytes, its left upper corner at (x, y). */
static void draw_image(cairo_t *cairo, const uint8_t *pixels, double x, double y)
{
    uint32_t rgb[MODEL_IDX_SIDE * MODEL_IDX_SIDE];
    for (size_t i = 0; i < sizeof rgb / sizeof rgb[0]; i++) {
        rgb[i] = pixels[i] * UINT32_C(0x010101);
    }
    cairo_surface_t *image = cairo_image_surface_create_for_data(
        (unsigned char *)rgb, CAIRO_FORMAT_RGB24, MODEL_IDX_SIDE, MODEL_IDX_SIDE,
        MODEL_IDX_SIDE * (int)sizeof rgb[0]);
    cairo_save(cairo);
    cairo_translate(cairo, x, y);
    cairo_scale(cairo, SCALE, SCALE);
    cairo_set_source_surface(cairo, image, 0.0, 0.0);
    cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_NEAREST);
    cairo_paint(cairo);
    cairo_restore(cairo);
    /* Before rgb goes out of scope, nothing may refer to it any more. */
    cairo_surface_finish(image);
    cairo_surface_destroy(image);
    use_color(cairo, &frame);
    cairo_set_line_width(cairo, 1.0);
    cairo_rectangle(cairo, x - 0.5, y - 0.5, IMAGE + 1.0, IMAGE + 1.0);
    cairo_stroke(cairo);
}

/*
 * A smooth stroke as cubic Béziers: Catmull and Rom's spline through the points has at b the slope
 * (c - a) / 2, so the control points are a sixth of (c - a) away. A stroke that ends where it began
 * is closed without a corner.
 */
static void smooth_path(cairo_t *cairo, const struct stroke *stroke)
{
    const uint8_t(*p)[2] = stroke->points;
    size_t last = stroke->count - 1u;
    bool closed = memcmp(p[0], p[last], sizeof p[0]) == 0;
    for (size_t i = 0; i < last; i++) {
        const uint8_t *a = p[i > 0 ? i - 1 : (closed ? last - 1 : 0)];
        const uint8_t *b = p[i];
        const uint8_t *c = p[i + 1];
        const uint8_t *d = p[i + 2 <= last ? i + 2 : (closed ? 1 : last)];
        cairo_curve_to(cairo, b[0] + (c[0] - a[0]) / 6.0, b[1] + (c[1] - a[1]) / 6.0,
                       c[0] - (d[0] - b[0]) / 6.0, c[1] - (d[1] - b[1]) / 6.0, c[0], c[1]);
    }
}

/* A figure whose sheet's left upper corner is (x, y). */
static void draw_figure(cairo_t *cairo, const struct figure *figure, double x, double y)
{
    cairo_save(cairo);
    cairo_translate(cairo, x, y);
    cairo_scale(cairo, FIGURE_SCALE, FIGURE_SCALE);
    for (size_t s = 0; s < figure->count; s++) {
        const struct stroke *stroke = &figure->strokes[s];
        cairo_move_to(cairo, stroke->points[0][0], stroke->points[0][1]);
        if (stroke->smooth) {
            smooth_path(cairo, stroke);
        } else {
            for (size_t i = 1; i < stroke->count; i++) {
                cairo_line_to(cairo, stroke->points[i][0], stroke->points[i][1]);
            }
        }
    }
    cairo_restore(cairo);
    cairo_stroke(cairo);
}

/* A title in the middle over an image whose left upper corner is (x, y). */
static void draw_title(cairo_t *cairo, unsigned prediction, unsigned truth, double x, double y)
{
    char title[48];
    double width = 0.0;
    bool known = truth != MODEL_NO_LABEL;
    snprintf(title, sizeof title, known ? "prediction: %u, truth: %u" : "prediction: %u",
             prediction, truth);
    for (const char *c = title; *c; c++) {
        width += letter_find(*c)->advance * FIGURE_SCALE;
    }
    use_color(cairo, !known || prediction == truth ? &right : &wrong);
    cairo_set_line_width(cairo, PEN);
    cairo_set_line_cap(cairo, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
    x += floor((IMAGE - width) / 2.0);
    for (const char *c = title; *c; c++) {
        const struct letter *letter = letter_find(*c);
        draw_figure(cairo, &letter->figure, x - letter->left * FIGURE_SCALE,
                    y - BASELINE - 100.0 * FIGURE_SCALE);
        x += letter->advance * FIGURE_SCALE;
    }
}

static void draw_grid(cairo_t *cairo, const struct model_dataset *dataset,
                      const struct model_grid *grid, size_t columns)
{
    use_color(cairo, &paper);
    cairo_paint(cairo);
    for (size_t i = 0; i < grid->count; i++) {
        size_t row = i / columns;
        size_t image = grid->images[i];
        double x = GAP + (double)(i % columns) * (IMAGE + GAP);
        double y = GAP + TITLE + (double)row * (IMAGE + GAP + TITLE);
        draw_image(cairo, model_dataset_image(dataset, image), x, y);
        draw_title(cairo, grid->predictions[i], model_dataset_label(dataset, image), x, y);
    }
}

/* Where the PNG's bytes go, and what went wrong there. */
struct output {
    struct atomic_file file;
    enum model_code code;
    struct model_error *err;
};

static cairo_status_t write_bytes(void *closure, const unsigned char *data, unsigned length)
{
    struct output *output = closure;
    output->code = atomic_file_write(&output->file, data, length, output->err);
    return output->code == MODEL_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static enum model_code write_png(cairo_surface_t *surface, const char *path,
                                 struct model_error *err)
{
    struct output output = {.file = ATOMIC_FILE_INIT, .err = err};
    enum model_code code = atomic_file_open(&output.file, path, err);
    if (code == MODEL_OK) {
        cairo_status_t status = cairo_surface_write_to_png_stream(surface, write_bytes, &output);
        code = output.code;
        if (code == MODEL_OK && status != CAIRO_STATUS_SUCCESS) {
            code = model_fail(err, MODEL_BUG, "draw %s: %s", path, cairo_status_to_string(status));
        }
    }
    if (code == MODEL_OK) {
        code = atomic_file_commit(&output.file, err);
    }
    atomic_file_release(&output.file);
    return code;
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
    if (width > SIDE_MAX || height > SIDE_MAX) {
        return model_fail(err, MODEL_ARGUMENT,
                          "draw %s: %zu images in %zu columns give %zux%zu pixels, more than %d",
                          path, grid->count, columns, width, height, SIDE_MAX);
    }
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    cairo_t *cairo = cairo_create(surface);
    draw_grid(cairo, dataset, grid, columns);
    cairo_surface_flush(surface);
    enum model_code code = MODEL_OK;
    if (cairo_status(cairo) != CAIRO_STATUS_SUCCESS) {
        code = model_fail(err, MODEL_BUG, "draw %s: %s", path,
                          cairo_status_to_string(cairo_status(cairo)));
    } else {
        code = write_png(surface, path, err);
    }
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
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

/* Width and height from the first 24 bytes (PNG, section 11.2.2), before memory is given for them.
 */
static enum model_code check_png(const char *path, struct model_error *err)
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
static uint8_t area_mean(const uint8_t *data, size_t stride, uint32_t side, uint32_t x, uint32_t y)
{
    assert(side > 0);
    uint64_t sum = 0;
    uint64_t weights = (uint64_t)side * side;
    for (uint32_t v = y * side / MODEL_IDX_SIDE; v < side && v * MODEL_IDX_SIDE < (y + 1) * side;
         v++) {
        const uint8_t *row = data + v * stride;
        for (uint32_t u = x * side / MODEL_IDX_SIDE;
             u < side && u * MODEL_IDX_SIDE < (x + 1) * side; u++) {
            uint32_t pixel;
            memcpy(&pixel, row + 4 * (size_t)u, sizeof pixel);
            sum += (uint64_t)overlap(x, u, side) * overlap(y, v, side) * grey_of(pixel);
        }
    }
    return (uint8_t)((sum + weights / 2) / weights);
}

/* A side×side surface onto pixels[28][28], over white where it is transparent. */
static enum model_code flatten(cairo_surface_t *png, const char *path, uint8_t *pixels,
                               struct model_error *err)
{
    int side = cairo_image_surface_get_width(png);
    cairo_surface_t *flat = cairo_image_surface_create(CAIRO_FORMAT_RGB24, side, side);
    cairo_t *cairo = cairo_create(flat);
    enum model_code code = MODEL_OK;
    use_color(cairo, &paper);
    cairo_paint(cairo);
    cairo_set_source_surface(cairo, png, 0.0, 0.0);
    cairo_paint(cairo);
    cairo_surface_flush(flat);
    if (cairo_status(cairo) != CAIRO_STATUS_SUCCESS) {
        code = model_fail(err, MODEL_BUG, "read image %s: %s", path,
                          cairo_status_to_string(cairo_status(cairo)));
    } else {
        const uint8_t *data = cairo_image_surface_get_data(flat);
        size_t stride = (size_t)cairo_image_surface_get_stride(flat);
        for (uint32_t i = 0; i < MODEL_IDX_SIDE * MODEL_IDX_SIDE; i++) {
            pixels[i] =
                area_mean(data, stride, (uint32_t)side, i % MODEL_IDX_SIDE, i / MODEL_IDX_SIDE);
        }
    }
    cairo_destroy(cairo);
    cairo_surface_destroy(flat);
    return code;
}

enum model_code picture_read_grey(const char *path, uint8_t *pixels, struct model_error *err)
{
    enum model_code code = check_png(path, err);
    if (code != MODEL_OK) {
        return code;
    }
    cairo_surface_t *png = cairo_image_surface_create_from_png(path);
    cairo_status_t status = cairo_surface_status(png);
    code = status == CAIRO_STATUS_SUCCESS
               ? flatten(png, path, pixels, err)
               : model_fail(err, MODEL_DATA, "read image %s: it is damaged (%s)", path,
                            cairo_status_to_string(status));
    cairo_surface_destroy(png);
    return code;
}
