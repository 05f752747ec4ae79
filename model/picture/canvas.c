/* canvas.c - the only file that knows cairo. */
#include "model/picture/canvas.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/atomic_file.h"
#include "model/model_error.h"
#include "model/picture/picture_letters.h"

#include "model/model_banned.h"

#define SHEET 100.0 /* height of a digit on the sheet of picture_letters.h */

static const struct color paper = {1.0, 1.0, 1.0};

struct canvas {
    struct atomic_file file;
    bool is_svg;
    cairo_surface_t *surface;
    cairo_t *cairo;
    enum model_code code; /* of what cairo wrote */
    struct model_error failure;
};

static cairo_status_t write_bytes(void *closure, const unsigned char *data, unsigned length)
{
    struct canvas *canvas = closure;
    if (canvas->code == MODEL_OK) {
        canvas->code = atomic_file_write(&canvas->file, data, length, &canvas->failure);
    }
    return canvas->code == MODEL_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static bool ends_in_svg(const char *path)
{
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".svg") == 0;
}

enum model_code canvas_new(struct canvas **canvas, const char *path, size_t width, size_t height,
                           struct model_error *err)
{
    struct canvas *sheet = calloc(1, sizeof *sheet);
    *canvas = sheet;
    if (!sheet) {
        return model_fail(err, MODEL_BUG, "draw %s: no memory", path);
    }
    sheet->is_svg = ends_in_svg(path);
    enum model_code code = atomic_file_open(&sheet->file, path, err);
    if (code != MODEL_OK) {
        free(sheet);
        *canvas = NULL;
        return code;
    }
    sheet->surface =
        sheet->is_svg
            ? cairo_svg_surface_create_for_stream(write_bytes, sheet, (double)width, (double)height)
            : cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    sheet->cairo = cairo_create(sheet->surface);
    cairo_set_line_cap(sheet->cairo, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(sheet->cairo, CAIRO_LINE_JOIN_ROUND);
    canvas_color(sheet, &paper);
    cairo_paint(sheet->cairo);
    return MODEL_OK;
}

enum model_code canvas_commit(struct canvas *canvas, struct model_error *err)
{
    cairo_status_t status = cairo_status(canvas->cairo);
    if (status == CAIRO_STATUS_SUCCESS && canvas->is_svg) {
        cairo_surface_finish(canvas->surface);
        status = cairo_surface_status(canvas->surface);
    } else if (status == CAIRO_STATUS_SUCCESS) {
        status = cairo_surface_write_to_png_stream(canvas->surface, write_bytes, canvas);
    }
    if (canvas->code != MODEL_OK) {
        if (err) {
            *err = canvas->failure;
        }
        return canvas->code;
    }
    if (status != CAIRO_STATUS_SUCCESS) {
        return model_fail(err, MODEL_BUG, "draw %s: %s", canvas->file.path,
                          cairo_status_to_string(status));
    }
    return atomic_file_commit(&canvas->file, err);
}

void canvas_free(struct canvas *canvas)
{
    if (canvas) {
        /* An SVG's last bytes are written here when it was not committed: the file is still open.
         */
        cairo_destroy(canvas->cairo);
        cairo_surface_destroy(canvas->surface);
        atomic_file_release(&canvas->file);
        free(canvas);
    }
}

/* ---- drawing --------------------------------------------------------------------------------- */

void canvas_color(struct canvas *canvas, const struct color *color)
{
    cairo_set_source_rgb(canvas->cairo, color->red, color->green, color->blue);
}

void canvas_clip(struct canvas *canvas, double x, double y, double width, double height)
{
    cairo_rectangle(canvas->cairo, x, y, width, height);
    cairo_clip(canvas->cairo);
}

void canvas_unclip(struct canvas *canvas)
{
    cairo_reset_clip(canvas->cairo);
}

void canvas_frame(struct canvas *canvas, double x, double y, double width, double height,
                  double pen)
{
    cairo_save(canvas->cairo);
    cairo_set_line_join(canvas->cairo, CAIRO_LINE_JOIN_MITER);
    cairo_set_line_width(canvas->cairo, pen);
    cairo_rectangle(canvas->cairo, x, y, width, height);
    cairo_stroke(canvas->cairo);
    cairo_restore(canvas->cairo);
}

void canvas_dot(struct canvas *canvas, double x, double y, double radius)
{
    cairo_new_sub_path(canvas->cairo);
    cairo_arc(canvas->cairo, x, y, radius, 0.0, 2.0 * M_PI);
    cairo_fill(canvas->cairo);
}

void canvas_line(struct canvas *canvas, const double (*points)[2], size_t count, double pen,
                 double dash)
{
    cairo_set_dash(canvas->cairo, &dash, dash > 0.0, 0.0);
    cairo_set_line_width(canvas->cairo, pen);
    for (size_t i = 0; i < count; i++) {
        cairo_line_to(canvas->cairo, points[i][0], points[i][1]);
    }
    cairo_stroke(canvas->cairo);
    cairo_set_dash(canvas->cairo, NULL, 0, 0.0);
}

void canvas_image(struct canvas *canvas, const uint8_t *pixels, size_t side, double x, double y,
                  double scale)
{
    cairo_t *cairo = canvas->cairo;
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)side, (int)side);
    unsigned char *data = cairo_image_surface_get_data(image);
    size_t stride = (size_t)cairo_image_surface_get_stride(image);
    for (size_t i = 0; data && i < side * side; i++) {
        uint32_t rgb = pixels[i] * UINT32_C(0x010101);
        memcpy(data + i / side * stride + i % side * sizeof rgb, &rgb, sizeof rgb);
    }
    cairo_surface_mark_dirty(image);
    cairo_save(cairo);
    cairo_translate(cairo, x, y);
    cairo_scale(cairo, scale, scale);
    cairo_set_source_surface(cairo, image, 0.0, 0.0);
    cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_NEAREST);
    cairo_paint(cairo);
    cairo_restore(cairo);
    cairo_surface_destroy(image);
}

/* ---- text ------------------------------------------------------------------------------------ */

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
static void draw_figure(cairo_t *cairo, const struct figure *figure, double x, double y,
                        double scale)
{
    cairo_save(cairo);
    cairo_translate(cairo, x, y);
    cairo_scale(cairo, scale, scale);
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

double canvas_text_width(const char *text, double size)
{
    double width = 0.0;
    for (const char *c = text; *c; c++) {
        width += letter_find(*c)->advance * size / SHEET;
    }
    return width;
}

void canvas_text(struct canvas *canvas, const char *text, double x, double y, double size)
{
    double scale = size / SHEET;
    cairo_set_line_width(canvas->cairo, size / 7.0);
    for (const char *c = text; *c; c++) {
        const struct letter *letter = letter_find(*c);
        draw_figure(canvas->cairo, &letter->figure, x - letter->left * scale, y - size, scale);
        x += letter->advance * scale;
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A side × side surface, over white where it is transparent. */
static enum model_code flatten(uint32_t *rgb, cairo_surface_t *png, const char *path, size_t side,
                               struct model_error *err)
{
    cairo_surface_t *flat = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)side, (int)side);
    cairo_t *cairo = cairo_create(flat);
    enum model_code code = MODEL_OK;
    cairo_set_source_rgb(cairo, paper.red, paper.green, paper.blue);
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
        for (size_t y = 0; y < side; y++) {
            memcpy(rgb + y * side, data + y * stride, side * sizeof *rgb);
        }
    }
    cairo_destroy(cairo);
    cairo_surface_destroy(flat);
    return code;
}

enum model_code canvas_read_png(uint32_t **rgb, const char *path, size_t side,
                                struct model_error *err)
{
    enum model_code code = MODEL_OK;
    cairo_surface_t *png = cairo_image_surface_create_from_png(path);
    cairo_status_t status = cairo_surface_status(png);
    *rgb = NULL;
    if (status != CAIRO_STATUS_SUCCESS) {
        code = model_fail(err, MODEL_DATA, "read image %s: it is damaged (%s)", path,
                          cairo_status_to_string(status));
    } else if (!(*rgb = malloc(side * side * sizeof **rgb))) {
        code = model_fail(err, MODEL_BUG, "read image %s: no memory", path);
    } else {
        code = flatten(*rgb, png, path, side, err);
    }
    if (code != MODEL_OK) {
        free(*rgb);
        *rgb = NULL;
    }
    cairo_surface_destroy(png);
    return code;
}
