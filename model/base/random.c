#include "model/base/random.h"

#include <assert.h>
#include <math.h>

#include "model/model_banned.h"

/* S. Vigna's splitmix64: one step of its counter, and its mixing of the result. */
static uint64_t splitmix_next(uint64_t *counter)
{
    uint64_t z = *counter += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

void random_init(struct random *random, uint64_t seed, uint64_t stream)
{
    /* The seed is mixed before the stream joins it, so (1, 2) and (2, 1) have nothing in common. */
    uint64_t counter = seed;
    counter = splitmix_next(&counter) + stream;
    for (int i = 0; i < 4; i++) {
        random->words[i] = splitmix_next(&counter);
    }
}

uint64_t random_next(struct random *random)
{
    uint64_t *s = random->words;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
    assert(bound > 0);
    /* The lowest 2^64 mod bound values would make small remainders likelier: drawn again. */
    uint64_t unfair = (UINT64_MAX - bound + 1) % bound;
    uint64_t drawn;
    do {
        drawn = random_next(random);
    } while (drawn < unfair);
    return drawn % bound;
}

double random_uniform(struct random *random)
{
    return (double)(random_next(random) >> 11) * 0x1p-53;
}

double random_normal(struct random *random, double sigma)
{
    double x;
    double square;
    do {
        x = 2.0 * random_uniform(random) - 1.0;
        double y = 2.0 * random_uniform(random) - 1.0;
        square = x * x + y * y;
    } while (square >= 1.0 || square == 0.0);
    return sigma * x * sqrt(-2.0 * log(square) / square);
}
