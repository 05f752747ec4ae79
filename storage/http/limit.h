/*
 * limit.h - a rate that many threads share: who has moved bytes waits until they are paid for.
 *
 * Time is handed out in one line, so that however many wait the sum keeps the rate, and nobody
 * saves up for a burst.
 */
#ifndef STORAGE_HTTP_LIMIT_H
#define STORAGE_HTTP_LIMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct limit {
    uint64_t rate;           /* bytes a second; 0: no limit */
    _Atomic int64_t paid_ns; /* on the monotonic clock: all before is spent */
};

void limit_init(struct limit *limit, uint64_t rate);

/* Waits for size bytes' turn. False: *stop (NULL: never) turned true meanwhile. */
bool limit_take(struct limit *limit, size_t size, const atomic_bool *stop);

#endif
