#include "model/data/order.h"

#include <assert.h>

#include "model/base/random.h"

#include "model/model_banned.h"

enum {
    SHUFFLE_BUFFER = 64 /* the lab's */
};

/* R. Durstenfeld's shuffle: every permutation is equally likely. */
static void permute(struct random *random, uint32_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
    }
    for (size_t left = count; left > 1; left--) {
        size_t drawn = random_below(random, left);
        uint32_t last = order[left - 1];
        order[left - 1] = order[drawn];
        order[drawn] = last;
    }
}

/*
 * A buffer takes the first samples; each round emits a random one, closes the gap with the last and
 * refills the last place from the rest, until the rest and then the buffer are empty. In place:
 * what is emitted is written behind what has been read.
 */
static void shuffle_through_buffer(struct random *random, uint32_t *order, size_t count)
{
    uint32_t buffer[SHUFFLE_BUFFER];
    size_t held = count < SHUFFLE_BUFFER ? count : SHUFFLE_BUFFER;
    for (size_t i = 0; i < held; i++) {
        buffer[i] = order[i];
    }
    size_t next = held;
    for (size_t emitted = 0; emitted < count; emitted++) {
        size_t drawn = random_below(random, held);
        order[emitted] = buffer[drawn];
        buffer[drawn] = buffer[held - 1];
        if (next < count) {
            buffer[held - 1] = order[next++];
        } else {
            held--;
        }
    }
}

void order_fill(uint32_t *order, size_t count, uint64_t seed, uint64_t epoch)
{
    assert(count <= UINT32_MAX);
    struct random random;
    random_init(&random, seed, RANDOM_STREAM_ORDER + epoch);
    permute(&random, order, count);
    shuffle_through_buffer(&random, order, count);
}
