/*
 * strokes.h - figures as lines of a pen: the digits of a dataset, the letters of a title.
 */
#ifndef MODEL_STROKES_H
#define MODEL_STROKES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    STROKES_MAX = 3, /* of a figure */
    STROKE_POINTS_MAX = 12
};

/* A line through its points, straight from one to the next or smooth. */
struct stroke {
    bool smooth;
    uint8_t count;
    uint8_t points[STROKE_POINTS_MAX][2]; /* x right, y down; a digit or capital is 0..100 high */
};

struct figure {
    uint8_t count;
    struct stroke strokes[STROKES_MAX];
};

/* A stroke of a table: SMOOTH({x, y}, {x, y}, …). */
#define SMOOTH(...)                                                                    \
    {                                                                                  \
        .smooth = true, .count = STROKE_POINTS(__VA_ARGS__), .points = { __VA_ARGS__ } \
    }
#define LINES(...)                                                                      \
    {                                                                                   \
        .smooth = false, .count = STROKE_POINTS(__VA_ARGS__), .points = { __VA_ARGS__ } \
    }
#define STROKE_POINTS(...) (sizeof((const uint8_t[][2]){__VA_ARGS__}) / 2)

#endif
