/* picture_letters.h - the letters that a picture's titles need, as strokes. */
#ifndef MODEL_PICTURE_LETTERS_H
#define MODEL_PICTURE_LETTERS_H

#include "model/data/strokes.h"

struct letter {
    char character;
    uint8_t left;    /* where its ink begins on the sheet */
    uint8_t advance; /* from there to where the next letter's ink begins */
    struct figure figure;
};

/* The letter of a character: a digit, a small letter, one of " .,:-+LNTZ"; a space for any other.
 */
const struct letter *letter_find(char character);

#endif
