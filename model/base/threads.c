#include "model/base/threads.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_error.h"

#include "model/model_banned.h"

enum {
    /* Looks before sleeping: tens of microseconds, more than the gap between two phases of a step
       and too little to starve whoever else wants the core. */
    SPINS = 1000,
    CACHE_LINE = 64
};

/* A thread's share of the jobs of a round. */
struct share {
    _Alignas(CACHE_LINE) atomic_size_t next; /* job to take */
    size_t end;
};

struct workers {
    unsigned count;
    unsigned started; /* threads to join */
    pthread_mutex_t mutex;
    pthread_cond_t wake; /* a new round, or quit */
    pthread_cond_t idle; /* the last worker of a round is done */

    /* Written before `round` moves, read after it was seen to move. */
    workers_fn *job;
    void *context;
    struct share *shares; /* one a thread */
    bool quit;

    atomic_uint round;
    atomic_uint working; /* workers that have not finished this round */
    struct worker {
        struct workers *workers;
        pthread_t thread;
        unsigned number;
    } each[];
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* First the thread's own share, then what is left of the others'. */
static void take_jobs(struct workers *workers, unsigned thread)
{
    for (unsigned i = 0; i < workers->count; i++) {
        struct share *share = &workers->shares[(thread + i) % workers->count];
        for (;;) {
            size_t index = atomic_fetch_add_explicit(&share->next, 1, memory_order_relaxed);
            if (index >= share->end) {
                break;
            }
            workers->job(workers->context, index, thread);
        }
    }
}

static void share_out(struct workers *workers, size_t jobs)
{
    for (unsigned i = 0; i < workers->count; i++) {
        struct share *share = &workers->shares[i];
        atomic_store_explicit(&share->next, jobs * i / workers->count, memory_order_relaxed);
        share->end = jobs * (i + 1) / workers->count;
    }
}

/* Returns when the round is no longer `seen`. */
static void wait_for_round(struct workers *workers, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&workers->round, memory_order_acquire) != seen) {
            return;
        }
        relax();
    }
    pthread_mutex_lock(&workers->mutex);
    while (atomic_load_explicit(&workers->round, memory_order_acquire) == seen) {
        pthread_cond_wait(&workers->wake, &workers->mutex);
    }
    pthread_mutex_unlock(&workers->mutex);
}

static void *worker_main(void *context)
{
    struct worker *worker = context;
    struct workers *workers = worker->workers;
    for (unsigned seen = 0;; seen++) {
        wait_for_round(workers, seen);
        if (workers->quit) {
            return NULL;
        }
        take_jobs(workers, worker->number);
        if (atomic_fetch_sub_explicit(&workers->working, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&workers->mutex);
            pthread_cond_signal(&workers->idle);
            pthread_mutex_unlock(&workers->mutex);
        }
    }
}

static void start_round(struct workers *workers)
{
    pthread_mutex_lock(&workers->mutex);
    atomic_fetch_add_explicit(&workers->round, 1, memory_order_release);
    pthread_cond_broadcast(&workers->wake);
    pthread_mutex_unlock(&workers->mutex);
}

static void wait_until_idle(struct workers *workers)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&workers->working, memory_order_acquire) == 0) {
            return;
        }
        relax();
    }
    pthread_mutex_lock(&workers->mutex);
    while (atomic_load_explicit(&workers->working, memory_order_acquire) != 0) {
        pthread_cond_wait(&workers->idle, &workers->mutex);
    }
    pthread_mutex_unlock(&workers->mutex);
}

int thread_start(pthread_t *thread, void *(*work)(void *context), void *context)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(thread, NULL, work, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

static int start_worker(struct workers *workers, unsigned i)
{
    struct worker *worker = &workers->each[i];
    worker->workers = workers;
    worker->number = i + 1;
    return thread_start(&worker->thread, worker_main, worker);
}

enum model_code workers_new(struct workers **out, unsigned count, struct model_error *err)
{
    assert(count >= 1 && count <= WORKERS_MAX);
    *out = NULL;
    struct workers *workers =
        calloc(1, sizeof *workers + (size_t)(count - 1) * sizeof workers->each[0]);
    if (!workers) {
        return model_fail(err, MODEL_BUG, "making %u threads: no memory", count);
    }
    workers->count = count;
    workers->shares = aligned_alloc(CACHE_LINE, count * sizeof(struct share));
    if (!workers->shares) {
        free(workers);
        return model_fail(err, MODEL_BUG, "making %u threads: no memory", count);
    }
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_cond_init(&workers->wake, NULL);
    pthread_cond_init(&workers->idle, NULL);
    for (unsigned i = 0; i + 1 < count; i++) {
        int rc = start_worker(workers, i);
        if (rc != 0) {
            workers_free(workers);
            char text[128];
            model_fail(err, MODEL_BUG, "starting thread %u of %u: %s", i + 2, count,
                       strerror_r(rc, text, sizeof text));
            model_hint(err, "lower the number of threads");
            return MODEL_BUG;
        }
        workers->started++;
    }
    *out = workers;
    return MODEL_OK;
}

void workers_free(struct workers *workers)
{
    if (!workers) {
        return;
    }
    workers->quit = true;
    start_round(workers);
    for (unsigned i = 0; i < workers->started; i++) {
        pthread_join(workers->each[i].thread, NULL);
    }
    pthread_cond_destroy(&workers->idle);
    pthread_cond_destroy(&workers->wake);
    pthread_mutex_destroy(&workers->mutex);
    free(workers->shares);
    free(workers);
}

unsigned workers_count(const struct workers *workers)
{
    return workers->count;
}

void workers_run(struct workers *workers, workers_fn *job, void *context, size_t jobs)
{
    workers->job = job;
    workers->context = context;
    share_out(workers, jobs);
    if (workers->count == 1 || jobs <= 1) {
        take_jobs(workers, 0);
        return;
    }
    atomic_store_explicit(&workers->working, workers->count - 1, memory_order_relaxed);
    start_round(workers);
    take_jobs(workers, 0);
    wait_until_idle(workers);
}
