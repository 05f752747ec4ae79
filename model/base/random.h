/*
 * random.h - the one source of chance in model/: a small seeded generator whose numbers are the
 * same on every machine.
 *
 * xoshiro256** of D. Blackman and S. Vigna ("Scrambled linear pseudorandom number generators",
 * 2018), seeded through splitmix64 as its authors advise. Not for secrets.
 *
 * A stream is a second seed: streams of one seed are independent sequences, so that the initial
 * weights, the order of each epoch and the drawn digits never share numbers, and the order of epoch
 * 7 is known without drawing the six before it.
 */
#ifndef MODEL_RANDOM_H
#define MODEL_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t words[4];
};

/* Who draws: the upper half of a stream's number, so that no two users meet. */
#define RANDOM_STREAM_WEIGHTS (UINT64_C(1) << 40) /* + index of the tensor */
#define RANDOM_STREAM_ORDER   (UINT64_C(2) << 40) /* + epoch */
#define RANDOM_STREAM_DIGITS  (UINT64_C(3) << 40) /* + index of the digit */

/* Starts the sequence of (seed, stream); every pair is a valid start. */
void random_init(struct random *random, uint64_t seed, uint64_t stream);

/* 64 random bits. */
uint64_t random_next(struct random *random);

/* Uniform over 0..bound-1 without bias; bound >= 1. */
uint64_t random_below(struct random *random, uint64_t bound);

/* Uniform over [0, 1), in steps of 2^-53. */
double random_uniform(struct random *random);

/* Normal with mean 0 and standard deviation sigma: Marsaglia's polar method. */
double random_normal(struct random *random, double sigma);

#endif
