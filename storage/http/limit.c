/* limit.c - see limit.h. */
#include "storage/http/limit.h"

#include <time.h>

#include "storage/storage_banned.h"

enum {
    LOOK_MS = 50 /* how long a stop may go unseen */
};
static const int64_t second_ns = 1000000000;

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * second_ns + now.tv_nsec;
}

void limit_init(struct limit *limit, uint64_t rate)
{
    limit->rate = rate;
    atomic_init(&limit->paid_ns, 0);
}

bool limit_take(struct limit *limit, size_t size, const atomic_bool *stop)
{
    if (limit->rate == 0) {
        return true;
    }
    int64_t cost = (int64_t)((double)size / (double)limit->rate * (double)second_ns);
    int64_t now = clock_ns();
    int64_t paid = atomic_load(&limit->paid_ns);
    int64_t until = 0;
    do {
        until = (paid > now ? paid : now) + cost;
    } while (!atomic_compare_exchange_weak(&limit->paid_ns, &paid, until));
    for (; now < until; now = clock_ns()) {
        if (stop && atomic_load_explicit(stop, memory_order_relaxed)) {
            return false;
        }
        int64_t left = until - now;
        int64_t piece = left < LOOK_MS * 1000000LL ? left : LOOK_MS * 1000000LL;
        struct timespec time = {.tv_nsec = (long)piece};
        nanosleep(&time, NULL);
    }
    return true;
}
