/* 2×2 maximum with stride 2. */
#include "model/layers/layers.h"

#include <string.h>

#include "model/model_banned.h"

void pool_forward(size_t channels, size_t height, size_t width, const float *in, float *out,
                  uint8_t *where)
{
    /* Channels lie one below the other, so they are just more rows. */
    for (size_t y = 0; y < channels * height / 2; y++) {
        const float *top = in + 2 * y * width;
        const float *bottom = top + width;
        for (size_t x = 0; x < width / 2; x++) {
            /* First the larger of each column, then the larger of the two columns. Which one wins
               is as good as random: bit operations, so that no branch is mispredicted. */
            unsigned left_is_low = bottom[2 * x] > top[2 * x];
            unsigned right_is_low = bottom[2 * x + 1] > top[2 * x + 1];
            float left = left_is_low ? bottom[2 * x] : top[2 * x];
            float right = right_is_low ? bottom[2 * x + 1] : top[2 * x + 1];
            unsigned is_right = right > left;
            unsigned is_low = (right_is_low & is_right) | (left_is_low & ~is_right);
            *out++ = is_right ? right : left;
            *where++ = (uint8_t)(is_low << 1 | is_right);
        }
    }
}

void pool_backward(size_t channels, size_t height, size_t width, const float *d_out,
                   const uint8_t *where, float *d_in)
{
    memset(d_in, 0, channels * height * width * sizeof *d_in);
    for (size_t y = 0; y < channels * height / 2; y++) {
        float *window = d_in + 2 * y * width;
        for (size_t x = 0; x < width / 2; x++) {
            uint8_t place = *where++;
            window[2 * x + (place >> 1) * width + (place & 1)] = *d_out++;
        }
    }
}
