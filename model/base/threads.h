/*
 * threads.h - persistent threads that share the blocks of a batch.
 *
 * A step is two short phases of a fraction of a millisecond, thousands of times a minute: threads
 * are made once, wait a bounded time in a spin, then sleep. workers_run hands out jobs by number, a
 * share to each thread - the same one every time, so that what a job touches is still in that
 * processor's cache - and whoever is done takes from the others' shares. The order is not fixed;
 * whoever wants the same bits for any number of threads lets a job's result depend
 * on the job's number alone and adds up afterwards.
 *
 * The caller works too, as thread 0. One run at a time; only the thread that made the workers runs
 * them. Workers block all signals, so signals reach the caller's other threads.
 */
#ifndef MODEL_THREADS_H
#define MODEL_THREADS_H

#include "model/model.h"

#include <pthread.h>

enum {
    WORKERS_MAX = 256
};

/* Starts a thread with every signal blocked. Returns the error number of pthread_create. */
int thread_start(pthread_t *thread, void *(*work)(void *context), void *context);

struct workers;

/* Job `index` of a run, on thread 0..count-1: what is indexed by thread is that job's alone. */
typedef void workers_fn(void *context, size_t index, unsigned thread);

/* Starts count - 1 threads, 1 <= count <= WORKERS_MAX. MODEL_BUG when the system has no more. */
enum model_code workers_new(struct workers **workers, unsigned count, struct model_error *err);

/* Stops and joins them; NULL is fine. */
void workers_free(struct workers *workers);

unsigned workers_count(const struct workers *workers);

/* Runs job(context, 0..jobs-1, thread) and returns when all are done. */
void workers_run(struct workers *workers, workers_fn *job, void *context, size_t jobs);

#endif
