#include "runner/job/keeper.h"

#include "runner/job/remote.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "runner/runner_banned.h"

static const double TICK_S = 1.0;
static const double REST = 19; /* times as long as an upload took */

struct keeper {
    struct report *report;
    struct log *log;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool ending;
    bool soon;
    size_t waiting;  /* checkpoints */
    atomic_bool cut; /* ends the upload under way */

    struct place train; /* its store NULL: nothing is put */
    char key[STORAGE_PATH_MAX];
    struct log_file *file;
    double interval_s;
    const atomic_bool *lost;
    uint64_t put;    /* bytes of the log that are there */
    double next;     /* clock_seconds of the next look at the log */
    bool has_warned; /* of a failure */
};

/* Whether the log should go now. Under the lock. */
static bool is_due(const struct keeper *keeper, double now)
{
    return keeper->train.store && keeper->waiting == 0 && (keeper->soon || now >= keeper->next) &&
           log_file_total(keeper->file) > keeper->put &&
           !(keeper->lost && atomic_load(keeper->lost));
}

/* Puts the log. Called with the lock held, which is let go meanwhile. */
static void put(struct keeper *keeper)
{
    struct storage_error err = {0};
    uint64_t total = log_file_total(keeper->file);
    double began = clock_seconds();
    atomic_store(&keeper->cut, false);
    keeper->soon = false;
    pthread_mutex_unlock(&keeper->lock);
    enum storage_code code = log_file_put(keeper->file, keeper->train.store, keeper->key, &err);
    if (code && !atomic_load(&keeper->cut) && !keeper->has_warned) {
        keeper->has_warned = true;
        log_warn(keeper->log, "the log is not in train_url yet: %s", err.message);
    }
    pthread_mutex_lock(&keeper->lock);
    keeper->put = code ? keeper->put : total;
    keeper->soon = keeper->soon || atomic_load(&keeper->cut); /* it gave way: again, then */
    double ended = clock_seconds();
    keeper->next = ended + fmax(keeper->interval_s, REST * (ended - began));
}

static void *keeper_main(void *context)
{
    struct keeper *keeper = context;
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->ending) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += (time_t)TICK_S;
        int timed_out = pthread_cond_timedwait(&keeper->changed, &keeper->lock, &until);
        if (!keeper->ending && is_due(keeper, clock_seconds())) {
            put(keeper);
        }
        if (timed_out) {
            pthread_mutex_unlock(&keeper->lock);
            report_tick(keeper->report);
            pthread_mutex_lock(&keeper->lock);
        }
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

struct keeper *keeper_new(struct report *report, struct log *log)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);
    pthread_condattr_t monotonic;
    sigset_t all;
    sigset_t before;
    if (!keeper) {
        return NULL;
    }
    keeper->report = report;
    keeper->log = log;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&keeper->thread, NULL, keeper_main, keeper) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!started) {
        pthread_cond_destroy(&keeper->changed);
        pthread_mutex_destroy(&keeper->lock);
        free(keeper);
        return NULL;
    }
    return keeper;
}

void keeper_upload(struct keeper *keeper, struct app *app, const struct keeper_upload *upload)
{
    struct place train = {0};
    /* The job has opened it a moment ago: what goes wrong here is told, and no more. */
    if (place_open(&train, app, SIDE_TRAIN, upload->train_text, &keeper->cut, 0)) {
        place_close(&train);
        return;
    }
    const struct remote remote = {.store = train.store, .root = train.url.key};
    pthread_mutex_lock(&keeper->lock);
    keeper->train = train;
    remote_key(&remote, keeper->key, upload->name);
    keeper->file = upload->file;
    keeper->interval_s = (double)upload->interval_s;
    keeper->lost = upload->lost;
    keeper->next = clock_seconds() + keeper->interval_s;
    pthread_mutex_unlock(&keeper->lock);
}

void keeper_soon(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->soon = true;
    pthread_cond_signal(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
}

void keeper_checkpoint(struct keeper *keeper, bool waits)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->waiting = waits ? keeper->waiting + 1 : keeper->waiting - 1;
    if (waits) {
        atomic_store(&keeper->cut, true);
    }
    pthread_mutex_unlock(&keeper->lock);
}

void keeper_free(struct keeper *keeper)
{
    if (!keeper) {
        return;
    }
    pthread_mutex_lock(&keeper->lock);
    keeper->ending = true;
    atomic_store(&keeper->cut, true);
    pthread_cond_signal(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    place_close(&keeper->train);
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}
