#include "model/data/resize.h"

#include <string.h>

#include "model/model_banned.h"

enum {
    FROM = MODEL_IDX_SIDE,
    TO = MODEL_INPUT_SIDE
};

/*
 * Line 8g + j of the result lies between lines 7g + j - 1 and 7g + j of the source, at
 * (8g + j + 0.5)·28/32 - 0.5 = 7g + j - 1 + (15 - 2j)/16: near[] is the weight of the later line,
 * 11 bits, and what it leaves of 2048 that of the earlier.
 */
enum {
    GROUP_FROM = 7,
    GROUP_TO = 8,
    GROUPS = FROM / GROUP_FROM
};

static const int16_t near[GROUP_TO] = {15 * 128, 13 * 128, 11 * 128, 9 * 128,
                                       7 * 128,  5 * 128,  3 * 128,  1 * 128};
static const int16_t far[GROUP_TO] = {1 * 128, 3 * 128,  5 * 128,  7 * 128,
                                      9 * 128, 11 * 128, 13 * 128, 15 * 128};

/* A row: 8 + 11 bits, of which the lower 4 go. At the borders both neighbours are the same pixel,
   which is OpenCV's weight of (2048, 0) there. */
static void across(const uint8_t in[FROM], int16_t out[TO])
{
    uint8_t padded[1 + FROM + 1];
    padded[0] = in[0];
    memcpy(padded + 1, in, FROM);
    padded[1 + FROM] = in[FROM - 1];
    for (size_t g = 0; g < GROUPS; g++) {
        for (size_t j = 0; j < GROUP_TO; j++) {
            const uint8_t *at = padded + GROUP_FROM * g + j;
            out[GROUP_TO * g + j] = (int16_t)((at[0] * far[j] + at[1] * near[j]) >> 4);
        }
    }
}

void resize_28_to_32(const uint8_t *in, uint8_t *out)
{
    int16_t rows[1 + FROM + 1][TO];
    for (size_t y = 0; y < FROM; y++) {
        across(in + y * FROM, rows[1 + y]);
    }
    memcpy(rows[0], rows[1], sizeof rows[0]);
    memcpy(rows[1 + FROM], rows[FROM], sizeof rows[0]);
    /* Down: each product is cut to 2 fractional bits before they are added and rounded. */
    for (size_t y = 0; y < TO; y++) {
        const size_t j = y % GROUP_TO;
        const size_t row = GROUP_FROM * (y / GROUP_TO) + j;
        const int16_t *above = rows[row];
        const int16_t *below = rows[row + 1];
        for (size_t x = 0; x < TO; x++) {
            int sum = ((far[j] * above[x]) >> 16) + ((near[j] * below[x]) >> 16);
            out[y * TO + x] = (uint8_t)((sum + 2) >> 2);
        }
    }
}
