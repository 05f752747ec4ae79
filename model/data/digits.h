/*
 * digits.h - how a drawn digit comes about; model_make_digits writes many of them to files.
 *
 *   digit_styles   a few ways to write each digit, as strokes            (digits_strokes.c)
 *   digit_draw     one style, bent, slanted, moved, inked, speckled      (digits_draw.c)
 *   model_make_digits   labels and pictures into gzipped IDX files       (digits.c)
 *
 * Only + - * / and square roots are used on numbers, which IEEE 754 rounds one way, and nothing is
 * contracted (the build says so): the pixels are the same on every machine.
 */
#ifndef MODEL_DIGITS_H
#define MODEL_DIGITS_H

#include <stdint.h>

#include "model/base/random.h"
#include "model/data/strokes.h"
#include "model/model.h"

enum {
    DIGIT_STYLES_MAX = 4, /* of a digit */
    DIGIT_PIXELS = MODEL_IDX_SIDE * MODEL_IDX_SIDE
};

struct digit_styles {
    uint8_t count;
    struct figure styles[DIGIT_STYLES_MAX];
};

/* The ways of writing digit d, x from about 20 to 80. */
extern const struct digit_styles digit_styles[MODEL_CLASSES];

/* Draws a digit into pixels[28][28], ink 255 on 0; all its chances come from random. */
void digit_draw(uint8_t *pixels, unsigned digit, struct random *random);

#endif
