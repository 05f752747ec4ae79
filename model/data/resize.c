#include "model/data/resize.h"

#include "model/model_banned.h"

enum {
    FROM = MODEL_IDX_SIDE,
    TO = MODEL_INPUT_SIDE
};

/* Where line d of the result lies between two lines of the source: weights sum to 2048. */
struct place {
    int first; /* -1..27; first + 1 is the other */
    int first_weight;
    int second_weight;
};

static struct place place_of(int d)
{
    /* (d + 0.5)·28/32 - 0.5 in 1/16: (2d + 1)·7 - 8, from -1 to 433. */
    int sixteenths = (2 * d + 1) * 7 - 8;
    int first = sixteenths < 0 ? -1 : sixteenths / 16;
    int fraction = sixteenths - 16 * first;
    return (struct place){first, (16 - fraction) * 128, fraction * 128};
}

static int clamp(int line)
{
    return line < 0 ? 0 : line > FROM - 1 ? FROM - 1 : line;
}

void resize_28_to_32(const uint8_t *in, uint8_t *out)
{
    /* Across: 8 + 11 bits. At the borders both neighbours are the same pixel, which is OpenCV's
       weight of (2048, 0) there. */
    int across[FROM][TO];
    for (int x = 0; x < TO; x++) {
        struct place place = place_of(x);
        int left = clamp(place.first);
        int right = clamp(place.first + 1);
        for (int y = 0; y < FROM; y++) {
            across[y][x] = in[y * FROM + left] * place.first_weight +
                           in[y * FROM + right] * place.second_weight;
        }
    }
    /* Down: each product is cut to 2 fractional bits before they are added and rounded. */
    for (int y = 0; y < TO; y++) {
        struct place place = place_of(y);
        const int *top = across[clamp(place.first)];
        const int *bottom = across[clamp(place.first + 1)];
        for (int x = 0; x < TO; x++) {
            int sum = ((place.first_weight * (top[x] >> 4)) >> 16) +
                      ((place.second_weight * (bottom[x] >> 4)) >> 16);
            out[y * TO + x] = (uint8_t)((sum + 2) >> 2);
        }
    }
}
