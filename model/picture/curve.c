/*
 * curve.c - the loss of each step over the accuracy of each epoch, on one axis of steps.
 *
 * The raw losses are a light line, under a mean over their neighbours, which is what the eye looks
 * for. Where the training was gone on with, a dashed line stands across both.
 */
#include "model/picture/curve.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/model_error.h"
#include "model/picture/canvas.h"

#include "model/model_banned.h"

/* Lengths in pixels. */
enum {
    WIDTH = 960,
    LEFT = 76,
    RIGHT = 28,
    LOSS_TOP = 84,
    LOSS_HEIGHT = 280,
    ACCURACY_TOP = LOSS_TOP + LOSS_HEIGHT + 64,
    ACCURACY_HEIGHT = 150,
    FOOT = 64, /* below the lowest panel */
    DOTS_MAX = 60,
    SMOOTH_PARTS = 60 /* the mean is over a 60th of the points */
};

#define TITLE_SIZE 13.0 /* pixels that a digit is high */
#define TEXT_SIZE  9.5
#define SPAN_MIN   0.1 /* of the scale of accuracies */
#define RATIO_MAX  2.0 /* of the scale's end and the loss that all but one in 200 stay below */

static const struct color ink = {0.16, 0.18, 0.21};
static const struct color soft = {0.42, 0.46, 0.51};
static const struct color grid = {0.90, 0.91, 0.93};
static const struct color raw = {0.70, 0.79, 0.95};
static const struct color mean = {0.11, 0.31, 0.85};
static const struct color accuracy = {0.70, 0.33, 0.12};

/* A rectangle of the sheet, and what it shows of both axes. */
struct panel {
    double top, height;
    double x_from, x_to, y_from, y_to;
};

static double x_of(const struct panel *panel, double step)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (step - panel->x_from) / (panel->x_to - panel->x_from);
}

static double y_of(const struct panel *panel, double value)
{
    return panel->top + panel->height * (panel->y_to - value) / (panel->y_to - panel->y_from);
}

/* 1, 2 or 5 times a power of ten, so that about `parts` of them make the span. */
static double nice_step(double span, double parts)
{
    double power = pow(10.0, floor(log10(span / parts)));
    double factor = span / parts / power;
    return power * (factor < 1.5 ? 1.0 : factor < 3.5 ? 2.0 : factor < 7.5 ? 5.0 : 10.0);
}

/* Widens from..to to whole steps, and tells their size. */
static double nice_range(double *from, double *to, double parts)
{
    double step = nice_step(*to - *from, parts);
    *from = floor(*from / step + 1e-9) * step;
    *to = ceil(*to / step - 1e-9) * step;
    return step;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* At (x, y), or to the left of it (-1), or around it (0). */
static void put_text(struct canvas *canvas, const char *text, double x, double y, double size,
                     int side)
{
    double width = canvas_text_width(text, size);
    canvas_text(canvas, text, side < 0 ? x - width : side == 0 ? x - width / 2.0 : x, y, size);
}

static void put_stroke(struct canvas *canvas, double x1, double y1, double x2, double y2,
                       double pen, double dash)
{
    const double points[2][2] = {{x1, y1}, {x2, y2}};
    canvas_line(canvas, points, 2, pen, dash);
}

/* A tick's number, with the decimals that its step asks for. */
static void number_text(char *text, size_t size, double value, double step)
{
    if (fabs(value) >= 1e6 || step < 1e-4) {
        snprintf(text, size, "%.3g", value);
    } else {
        int decimals = step >= 1.0 ? 0 : (int)ceil(-log10(step) - 1e-9);
        snprintf(text, size, "%.*f", decimals, value);
    }
}

static void put_y_axis(struct canvas *canvas, const struct panel *panel, double step)
{
    char text[32];
    for (int i = 0; panel->y_from + i * step < panel->y_to + step / 2.0; i++) {
        double value = panel->y_from + i * step;
        double y = floor(y_of(panel, value)) + 0.5;
        canvas_color(canvas, &grid);
        put_stroke(canvas, LEFT, y, WIDTH - RIGHT, y, 1.0, 0.0);
        canvas_color(canvas, &soft);
        number_text(text, sizeof text, value, step);
        put_text(canvas, text, LEFT - 10.0, y + TEXT_SIZE / 2.0, TEXT_SIZE, -1);
    }
}

/* Steps are whole, and so are their ticks. */
static void put_x_axis(struct canvas *canvas, const struct panel *panel, bool is_lowest)
{
    char text[32];
    double step = fmax(1.0, nice_step(panel->x_to - panel->x_from, 8.0));
    double bottom = panel->top + panel->height;
    double first = ceil(panel->x_from / step) * step;
    for (int i = 0; first + i * step <= panel->x_to; i++) {
        double at = first + i * step;
        double x = floor(x_of(panel, at)) + 0.5;
        canvas_color(canvas, &grid);
        put_stroke(canvas, x, panel->top, x, bottom, 1.0, 0.0);
        canvas_color(canvas, &soft);
        put_stroke(canvas, x, bottom, x, bottom + 5.0, 1.0, 0.0);
        number_text(text, sizeof text, at, step);
        put_text(canvas, text, x, bottom + 10.0 + TEXT_SIZE, TEXT_SIZE, 0);
    }
    if (is_lowest) {
        canvas_color(canvas, &ink);
        put_text(canvas, "steps, one batch each", (LEFT + WIDTH - RIGHT) / 2.0,
                 bottom + 24.0 + 2.0 * TEXT_SIZE, TEXT_SIZE, 0);
    }
}

static void put_series(struct canvas *canvas, const struct panel *panel,
                       const struct history_point *points, size_t count, double pen,
                       double (*place)[2])
{
    canvas_clip(canvas, LEFT - 4.0, panel->top - 4.0, WIDTH - LEFT - RIGHT + 8.0,
                panel->height + 8.0);
    for (size_t i = 0; i < count; i++) {
        place[i][0] = x_of(panel, (double)points[i].step);
        /* The end of the scale, where one is beyond it: cairo's numbers end at 2^23 pixels. */
        place[i][1] = y_of(panel, fmin(points[i].value, panel->y_to));
        if (count <= DOTS_MAX) {
            canvas_dot(canvas, place[i][0], place[i][1], pen + 1.5);
        }
    }
    canvas_line(canvas, (const double(*)[2])place, count, pen, 0.0);
    canvas_unclip(canvas);
}

/* Where this and earlier processes took the training up again. */
static void put_resumes(struct canvas *canvas, const struct panel *panel,
                        const struct history *history)
{
    canvas_color(canvas, &soft);
    for (size_t i = 0; i < history->start_count; i++) {
        double step = (double)history->starts[i].step;
        if (history->starts[i].step > 0 && step >= panel->x_from && step <= panel->x_to) {
            double x = floor(x_of(panel, step)) + 0.5;
            put_stroke(canvas, x, panel->top, x, panel->top + panel->height, 1.2, 4.0);
        }
    }
}

/* Texts and samples of lines, from the right. */
static double put_key(struct canvas *canvas, const char *text, const struct color *color,
                      double pen, double dash, double x, double y)
{
    canvas_color(canvas, &ink);
    put_text(canvas, text, x, y, TEXT_SIZE, -1);
    x -= canvas_text_width(text, TEXT_SIZE) + 8.0;
    canvas_color(canvas, color);
    put_stroke(canvas, x - 26.0, y - TEXT_SIZE / 2.0, x, y - TEXT_SIZE / 2.0, pen, dash);
    return x - 26.0 - 22.0;
}

/* ---- the loss -------------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/*
 * Where the scale of losses ends: above all of them, unless a few are far above the rest, as before
 * a training breaks. values is scratch.
 */
static double loss_ceiling(const struct history_series *losses, double *values)
{
    for (size_t i = 0; i < losses->count; i++) {
        values[i] = losses->points[i].value;
    }
    qsort(values, losses->count, sizeof *values, compare_numbers);
    double most = values[losses->count - 1];
    double usual = values[(losses->count - 1) * 199 / 200];
    return usual > 0.0 && most > RATIO_MAX * usual ? RATIO_MAX * usual : most;
}

/* Means over the points of half a window on each side, as far as there are any. */
static void smooth(struct history_point *out, const struct history_series *losses, double top)
{
    size_t half = losses->count / SMOOTH_PARTS / 2;
    for (size_t i = 0; i < losses->count; i++) {
        size_t first = i < half ? 0 : i - half;
        size_t last = losses->count - 1 - i < half ? losses->count - 1 : i + half;
        double sum = 0.0;
        for (size_t k = first; k <= last; k++) {
            sum += fmin(losses->points[k].value, top);
        }
        out[i] = (struct history_point){losses->points[i].step, sum / (double)(last - first + 1)};
    }
}

static void draw_losses(struct canvas *canvas, const struct history *history, struct panel *panel,
                        bool is_lowest, double (*place)[2], struct history_point *means)
{
    const struct history_series *losses = &history->losses;
    double key = WIDTH - RIGHT;
    bool is_many = losses->count > DOTS_MAX;
    panel->y_from = 0.0;
    panel->y_to = loss_ceiling(losses, place[0]);
    panel->y_to = panel->y_to > 0.0 ? panel->y_to : 1.0;
    double step = nice_range(&panel->y_from, &panel->y_to, 5.0);
    put_y_axis(canvas, panel, step);
    put_x_axis(canvas, panel, is_lowest);
    put_resumes(canvas, panel, history);
    canvas_color(canvas, is_many ? &raw : &mean);
    put_series(canvas, panel, losses->points, losses->count, 1.0, place);
    if (is_many) {
        smooth(means, losses, panel->y_to);
        canvas_color(canvas, &mean);
        put_series(canvas, panel, means, losses->count, 1.8, place);
        key = put_key(canvas, "smoothed", &mean, 1.8, 0.0, key, panel->top - 14.0);
        key = put_key(canvas, "each step", &raw, 1.4, 0.0, key, panel->top - 14.0);
    }
    if (history->start_count > 1) {
        put_key(canvas, "resumed", &soft, 1.2, 4.0, key, panel->top - 14.0);
    }
    canvas_color(canvas, &ink);
    put_text(canvas, "loss", LEFT, panel->top - 14.0, TEXT_SIZE, 1);
}

/* ---- the accuracy ---------------------------------------------------------------------------- */

static void draw_accuracies(struct canvas *canvas, const struct history *history,
                            struct panel *panel, double (*place)[2])
{
    const struct history_series *series = &history->accuracies;
    char text[96];
    double best = 0.0;
    panel->y_from = 1.0;
    panel->y_to = 0.0;
    for (size_t i = 0; i < series->count; i++) {
        panel->y_from = fmin(panel->y_from, series->points[i].value);
        panel->y_to = fmax(panel->y_to, series->points[i].value);
        best = fmax(best, series->points[i].value);
    }
    if (panel->y_to - panel->y_from < SPAN_MIN) { /* one dot, or a line that is all but level */
        panel->y_from = fmax(0.0, panel->y_from - SPAN_MIN / 2.0);
        panel->y_to = fmin(1.0, panel->y_from + SPAN_MIN);
        panel->y_from = panel->y_to - SPAN_MIN;
    }
    double step = nice_range(&panel->y_from, &panel->y_to, 4.0);
    put_y_axis(canvas, panel, step);
    put_x_axis(canvas, panel, true);
    put_resumes(canvas, panel, history);
    canvas_color(canvas, &accuracy);
    put_series(canvas, panel, series->points, series->count, 1.8, place);
    canvas_color(canvas, &ink);
    put_text(canvas, "accuracy on the test images", LEFT, panel->top - 14.0, TEXT_SIZE, 1);
    snprintf(text, sizeof text, "last %.4f, best %.4f", series->points[series->count - 1].value,
             best);
    put_text(canvas, text, WIDTH - RIGHT, panel->top - 14.0, TEXT_SIZE, -1);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void draw(struct canvas *canvas, const struct history *history, double (*place)[2],
                 struct history_point *means)
{
    const struct history_series *losses = &history->losses;
    bool evaluated = history->accuracies.count > 0;
    char title[64];
    double first = (double)losses->points[0].step;
    struct panel panel = {.top = LOSS_TOP,
                          .height = LOSS_HEIGHT,
                          .x_from = first > 1.0 ? first : 0.0,
                          .x_to = (double)losses->points[losses->count - 1].step};
    if (panel.x_to <= panel.x_from) {
        panel.x_to = panel.x_from + 1.0;
    }
    canvas_color(canvas, &ink);
    snprintf(title, sizeof title, "LeNet5, run %s", history->starts[history->start_count - 1].run);
    put_text(canvas, title, LEFT, 36.0, TITLE_SIZE, 1);
    draw_losses(canvas, history, &panel, !evaluated, place, means);
    if (evaluated) {
        panel.top = ACCURACY_TOP;
        panel.height = ACCURACY_HEIGHT;
        draw_accuracies(canvas, history, &panel, place);
    }
}

enum model_code curve_draw(const struct history *history, const char *path, struct model_error *err)
{
    if (history->losses.count == 0) {
        return model_fail(err, MODEL_ARGUMENT, "draw %s: no step was trained", path);
    }
    struct canvas *canvas = NULL;
    double(*place)[2] = calloc(HISTORY_MAX, sizeof *place);
    struct history_point *means = calloc(HISTORY_MAX, sizeof *means);
    size_t height = FOOT + (history->accuracies.count ? ACCURACY_TOP + ACCURACY_HEIGHT
                                                      : LOSS_TOP + LOSS_HEIGHT);
    enum model_code code = MODEL_OK;
    if (!place || !means) {
        code = model_fail(err, MODEL_BUG, "draw %s: no memory", path);
        goto done;
    }
    code = canvas_new(&canvas, path, WIDTH, height, err);
    if (code == MODEL_OK) {
        draw(canvas, history, place, means);
        code = canvas_commit(canvas, err);
    }
done:
    canvas_free(canvas);
    free(place);
    free(means);
    return code;
}
