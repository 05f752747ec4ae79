/*
 * canvas.h - a white sheet that is drawn on and becomes a file, PNG or SVG: what the rest of model/
 * knows of cairo.
 *
 * Lengths are pixels, y goes down. Text is drawn with our own strokes (picture_letters.h): cairo's
 * would need fonts, which a small container has not, and fontconfig, which prints when it finds no
 * place to cache. Drawing cannot fail; canvas_commit tells what went wrong on the way.
 */
#ifndef MODEL_CANVAS_H
#define MODEL_CANVAS_H

#include "model/model.h"

struct color {
    double red, green, blue;
};

struct canvas;

enum {
    CANVAS_SIDE_MAX = 32767 /* cairo's ceiling */
};

/*
 * A sheet that will be the file path, an SVG when that ends in .svg, else a PNG. path is borrowed
 * until canvas_free. MODEL_DISK where no file can be made beside it.
 */
enum model_code canvas_new(struct canvas **canvas, const char *path, size_t width, size_t height,
                           struct model_error *err);
/* Puts the file there, whole or not at all. Nothing can be drawn after it. */
enum model_code canvas_commit(struct canvas *canvas, struct model_error *err);
void canvas_free(struct canvas *canvas); /* NULL is fine */

/* Of all that is drawn from now on. */
void canvas_color(struct canvas *canvas, const struct color *color);
/* Lines are drawn within a rectangle alone, until canvas_unclip. */
void canvas_clip(struct canvas *canvas, double x, double y, double width, double height);
void canvas_unclip(struct canvas *canvas);

/* The outline of a rectangle, pen wide. */
void canvas_frame(struct canvas *canvas, double x, double y, double width, double height,
                  double pen);
void canvas_dot(struct canvas *canvas, double x, double y, double radius);
/* A line through points[count], pen wide; with dash > 0 in dashes of that length. */
void canvas_line(struct canvas *canvas, const double (*points)[2], size_t count, double pen,
                 double dash);
/* Text whose digits are size high, from x, standing on y. */
void canvas_text(struct canvas *canvas, const char *text, double x, double y, double size);
double canvas_text_width(const char *text, double size);
/* A grey image of side × side bytes, each a square of scale pixels, unsmoothed. */
void canvas_image(struct canvas *canvas, const uint8_t *pixels, size_t side, double x, double y,
                  double scale);

/*
 * Reads a PNG, what is transparent on white: rgb[side][side] as 0xRRGGBB, to be freed. That it is a
 * PNG and square, of that side, has been looked at. MODEL_DATA when it is damaged.
 */
enum model_code canvas_read_png(uint32_t **rgb, const char *path, size_t side,
                                struct model_error *err);

#endif
