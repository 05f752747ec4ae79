/* order.h - the order in which an epoch visits the samples. */
#ifndef MODEL_ORDER_H
#define MODEL_ORDER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Fills order[count] with the samples of data-epoch `epoch` (from 0): a random permutation, then
 * the lab's shuffle buffer of 64 samples over it, as MindSpore's RandomSampler and shuffle(64)
 * do. It depends on (count, seed, epoch) alone, not on epochs before, so a training goes on
 * anywhere without replaying what came earlier. count < 2^32.
 */
void order_fill(uint32_t *order, size_t count, uint64_t seed, uint64_t epoch);

#endif
