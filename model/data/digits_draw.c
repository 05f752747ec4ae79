/*
 * digits_draw.c - one digit as pixels.
 *
 * The points of a style are nudged, smooth strokes become short straight pieces, an affine map
 * brings all of them to the picture, and the ink of a pixel is what the nearest piece's distance
 * says: full within half the pen's width, none a pixel further, linear between.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "model/data/digits.h"

#include "model/model_banned.h"

enum {
    PIECES_A_SPAN = 5, /* straight pieces between two points of a smooth stroke */
    POINTS_MAX = (STROKE_POINTS_MAX - 1) * PIECES_A_SPAN + 1
};

/* How far chance may go. Lengths are in pixels of the 28 unless said otherwise. */
#define NUDGE     9.0  /* of each point, in hundredths of the digit's height */
#define HEIGHT    21.0 /* of a digit, plus or minus */
#define HEIGHT_BY 2.5
#define ASPECT    0.95 /* width to height, plus or minus */
#define ASPECT_BY 0.25
#define TURN      0.25 /* sine of the angle, to either side: 14 degrees */
#define SLANT     0.3  /* tangent, to either side */
#define SHIFT     2.0  /* of the middle, to every side */
#define WIDTH     2.0  /* of the pen, at least */
#define WIDTH_BY  2.2
#define INK       230.0 /* at least */
#define INK_BY    25.0
#define GRAIN     25.0 /* by how much the ink of a pixel may be paler */

enum {
    SPECKS_MAX = 12 /* dots of dirt */
};

struct point {
    double x;
    double y;
};

/* picture = origin + (x, y) of the style through a matrix. */
struct map {
    double xx, xy, yx, yy;
    struct point origin;
};

struct pen {
    double half_width;
    double ink[DIGIT_PIXELS]; /* 0..1 */
};

/* Uniform from -range to range. */
static double around(struct random *random, double range)
{
    return (2.0 * random_uniform(random) - 1.0) * range;
}

static struct map choose_map(struct random *random)
{
    double height = (HEIGHT + around(random, HEIGHT_BY)) / 100.0;
    double width = height * (ASPECT + around(random, ASPECT_BY));
    double sine = around(random, TURN);
    double cosine = sqrt(1.0 - sine * sine);
    double slant = around(random, SLANT);
    double middle = MODEL_IDX_SIDE / 2.0 - 0.5;
    /* Slant, then turn, about the sheet's middle (50, 50). */
    struct map map = {.xx = cosine * width,
                      .xy = (-slant * cosine - sine) * height,
                      .yx = sine * width,
                      .yy = (cosine - slant * sine) * height};
    map.origin.x = middle + around(random, SHIFT);
    map.origin.y = middle + around(random, SHIFT);
    map.origin.x -= 50.0 * (map.xx + map.xy);
    map.origin.y -= 50.0 * (map.yx + map.yy);
    return map;
}

static struct point apply(const struct map *map, struct point p)
{
    return (struct point){.x = map->origin.x + map->xx * p.x + map->xy * p.y,
                          .y = map->origin.y + map->yx * p.x + map->yy * p.y};
}

/* Catmull and Rom's cubic through b and c (1974), t from 0 at b to 1 at c; a and d its neighbours.
 */
static double spline(double a, double b, double c, double d, double t)
{
    return 0.5 * (2.0 * b + t * ((c - a) + t * ((2.0 * a - 5.0 * b + 4.0 * c - d) +
                                                t * (3.0 * b - a - 3.0 * c + d))));
}

/* The stroke's corners in the picture, nudged; returns how many. */
static size_t trace(const struct stroke *stroke, const struct map *map, struct random *random,
                    struct point *line)
{
    struct point corners[STROKE_POINTS_MAX];
    size_t last = stroke->count - 1u;
    for (size_t i = 0; i <= last; i++) {
        struct point p = {.x = stroke->points[i][0] + around(random, NUDGE),
                          .y = stroke->points[i][1] + around(random, NUDGE)};
        corners[i] = apply(map, p);
    }
    if (!stroke->smooth) {
        memcpy(line, corners, (last + 1) * sizeof *line);
        return last + 1;
    }
    size_t count = 0;
    for (size_t i = 0; i < last; i++) {
        const struct point *a = &corners[i > 0 ? i - 1 : 0];
        const struct point *b = &corners[i];
        const struct point *c = &corners[i + 1];
        const struct point *d = &corners[i + 2 <= last ? i + 2 : last];
        for (int piece = 0; piece < PIECES_A_SPAN; piece++) {
            double t = (double)piece / PIECES_A_SPAN;
            line[count++] = (struct point){.x = spline(a->x, b->x, c->x, d->x, t),
                                           .y = spline(a->y, b->y, c->y, d->y, t)};
        }
    }
    line[count++] = corners[last];
    assert(count <= POINTS_MAX);
    return count;
}

/* The pixels a range of coordinates may ink, cut to the picture. */
static int first_pixel(double low)
{
    return low <= 0.0 ? 0 : (low >= MODEL_IDX_SIDE ? MODEL_IDX_SIDE : (int)low);
}

static int end_pixel(double high)
{
    return high < 0.0 ? 0 : (high >= MODEL_IDX_SIDE - 1 ? MODEL_IDX_SIDE : (int)high + 1);
}

/* Inks the pixels near one straight piece. */
static void ink_piece(struct pen *pen, struct point a, struct point b)
{
    double reach = pen->half_width + 0.5;
    double dx = b.x - a.x;
    double dy = b.y - a.y;
    double length2 = dx * dx + dy * dy;
    int y_end = end_pixel((a.y > b.y ? a.y : b.y) + reach);
    int x_end = end_pixel((a.x > b.x ? a.x : b.x) + reach);
    for (int y = first_pixel((a.y < b.y ? a.y : b.y) - reach); y < y_end; y++) {
        for (int x = first_pixel((a.x < b.x ? a.x : b.x) - reach); x < x_end; x++) {
            double px = x - a.x;
            double py = y - a.y;
            /* The foot of the pixel on the piece, as a share of its length. */
            double foot = length2 > 0.0 ? (px * dx + py * dy) / length2 : 0.0;
            foot = foot < 0.0 ? 0.0 : (foot > 1.0 ? 1.0 : foot);
            px -= foot * dx;
            py -= foot * dy;
            double distance2 = px * px + py * py;
            if (distance2 >= reach * reach) {
                continue;
            }
            double ink = reach - sqrt(distance2);
            double *pixel = &pen->ink[y * MODEL_IDX_SIDE + x];
            ink = ink > 1.0 ? 1.0 : ink;
            *pixel = ink > *pixel ? ink : *pixel;
        }
    }
}

static void add_specks(uint8_t *pixels, struct random *random)
{
    uint64_t count = random_below(random, SPECKS_MAX + 1);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *pixel = &pixels[random_below(random, DIGIT_PIXELS)];
        uint8_t grey = (uint8_t)(40 + random_below(random, 160));
        *pixel = grey > *pixel ? grey : *pixel;
    }
}

void digit_draw(uint8_t *pixels, unsigned digit, struct random *random)
{
    assert(digit < MODEL_CLASSES);
    const struct digit_styles *styles = &digit_styles[digit];
    const struct figure *style = &styles->styles[random_below(random, styles->count)];
    const struct map map = choose_map(random);
    struct pen pen = {.half_width = (WIDTH + WIDTH_BY * random_uniform(random)) / 2.0};
    for (size_t s = 0; s < style->count; s++) {
        struct point line[POINTS_MAX];
        size_t count = trace(&style->strokes[s], &map, random, line);
        for (size_t i = 0; i + 1 < count; i++) {
            ink_piece(&pen, line[i], line[i + 1]);
        }
    }
    double full = INK + INK_BY * random_uniform(random);
    for (size_t i = 0; i < DIGIT_PIXELS; i++) {
        double value = 0.0;
        if (pen.ink[i] > 0.0) {
            value = pen.ink[i] * (full - GRAIN * random_uniform(random));
        }
        pixels[i] = (uint8_t)(value + 0.5);
    }
    add_specks(pixels, random);
}
