/*
 * copy_queue.c - who does what next.
 *
 * Fresh objects as listed (bounded) wait in lists by size; the biggest are begun first, since what
 * is big and comes last is waited for by all, and smaller ones fill in where no more big ones may
 * be under way. Those that start over go in front of their list. Open objects have parts to hand
 * out. While there are fresh ones, at most half of the workers are on parts, so that neither many
 * small objects nor one big one holds up the other.
 *
 * Parts of one object are handed out in ascending order, each with its buffer. So the lowest part
 * that is not yet back is always in the hands of a worker that waits for nobody; that is why
 * waiting for one's turn to be hashed cannot lock up.
 */
#include "storage/copy/copy_engine.h"
#include "storage/storage_error.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/storage_banned.h"

enum {
    WORKERS_FIRST = 8,
    OBJECT_WORTH = 64 * 1024 /* bytes that cost about as much as it does to have one object more */
};

/* ---- objects -------------------------------------------------------------------------------- */

struct copy_object *copy_object_new(const char *source, const char *destination,
                                    const struct storage_info *info)
{
    struct copy_object *object = calloc(1, sizeof *object);
    if (!object) {
        return NULL;
    }
    if (info) {
        object->info = *info;
    }
    object->source = strdup(source);
    object->destination = strdup(destination);
    if (!object->source || !object->destination) {
        copy_object_free(object);
        return NULL;
    }
    return object;
}

void copy_object_free(struct copy_object *object)
{
    if (!object) {
        return;
    }
    copy_resume_end(object, true); /* one that has not ended by itself was stopped */
    copy_check_release(&object->check);
    free(object->part_crcs);
    free(object->there);
    free(object->source);
    free(object->destination);
    free(object);
}

static void free_list(struct copy_object *object)
{
    while (object) {
        struct copy_object *next = object->next;
        copy_object_free(object);
        object = next;
    }
}

/* ---- life cycle ----------------------------------------------------------------------------- */

bool copy_engine_init(struct copy_engine *engine, const struct storage_copy *copy)
{
    memset(engine, 0, sizeof *engine);
    engine->copy = *copy;
    atomic_init(&engine->is_remote, copy_may_be_remote(copy));
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    bool ok = pthread_mutex_init(&engine->lock, NULL) == 0 &&
              pthread_mutex_init(&engine->hooks, NULL) == 0 &&
              pthread_cond_init(&engine->work, &monotonic) == 0 &&
              pthread_cond_init(&engine->room, &monotonic) == 0 &&
              pthread_cond_init(&engine->turn, &monotonic) == 0;
    pthread_condattr_destroy(&monotonic);
    return ok;
}

void copy_engine_release(struct copy_engine *engine)
{
    for (unsigned i = 0; i < COPY_CLASSES; i++) {
        free_list(engine->fresh[i].head);
    }
    free_list(engine->open_head);
    free_list(engine->ready_head);
    pthread_mutex_destroy(&engine->lock);
    pthread_mutex_destroy(&engine->hooks);
    pthread_cond_destroy(&engine->work);
    pthread_cond_destroy(&engine->room);
    pthread_cond_destroy(&engine->turn);
}

static bool is_set(const atomic_bool *flag)
{
    return flag && atomic_load_explicit(flag, memory_order_relaxed);
}

bool copy_is_stopped(const struct copy_engine *engine)
{
    return is_set(engine->copy.stop) || is_set(engine->copy.source->stop) ||
           is_set(engine->copy.destination->stop);
}

void copy_wait(struct copy_engine *engine, pthread_cond_t *condition)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += COPY_WAIT_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(condition, &engine->lock, &until);
}

double copy_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* 0 for empty ones, else one more than the power of two that the size reaches. */
static struct copy_list *list_of(struct copy_engine *engine, const struct copy_object *object)
{
    unsigned class = 0;
    for (uint64_t size = object->info.size; size > 0; size /= 2) {
        class ++;
    }
    return &engine->fresh[class];
}

/* ---- putting -------------------------------------------------------------------------------- */

bool copy_put_fresh(struct copy_engine *engine, struct copy_object *object)
{
    pthread_mutex_lock(&engine->lock);
    while (engine->fresh_count >= COPY_QUEUE_MAX && !copy_is_stopped(engine)) {
        copy_wait(engine, &engine->room);
    }
    bool taken = !copy_is_stopped(engine);
    if (taken) {
        struct copy_list *list = list_of(engine, object);
        if (list->tail) {
            list->tail->next = object;
        } else {
            list->head = object;
        }
        list->tail = object;
        engine->fresh_count++;
        engine->pending++;
        engine->progress.total_objects++;
        engine->progress.total_bytes += object->info.size;
        pthread_cond_signal(&engine->work);
    }
    pthread_mutex_unlock(&engine->lock);
    return taken;
}

void copy_put_back(struct copy_engine *engine, struct copy_object *object)
{
    pthread_mutex_lock(&engine->lock);
    struct copy_list *list = list_of(engine, object);
    object->next = list->head;
    list->head = object;
    list->tail = list->tail ? list->tail : object;
    engine->fresh_count++;
    engine->open_count -= object->is_big;
    object->is_big = false;
    object->part_count = 0;
    object->next_part = 0;
    object->failed = false;
    engine->progress.done_bytes -= object->moved;
    object->moved = 0;
    object->resumed = 0;
    pthread_cond_broadcast(&engine->work);
    pthread_mutex_unlock(&engine->lock);
}

void copy_put_open(struct copy_engine *engine, struct copy_object *object)
{
    pthread_mutex_lock(&engine->lock);
    struct copy_object **end = &engine->open_head;
    while (*end) {
        end = &(*end)->next;
    }
    object->next = NULL;
    *end = object;
    pthread_cond_broadcast(&engine->work);
    pthread_mutex_unlock(&engine->lock);
}

void copy_end_listing(struct copy_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->listed = true;
    engine->progress.listed = true;
    pthread_cond_broadcast(&engine->work);
    pthread_mutex_unlock(&engine->lock);
    copy_report_progress(engine); /* the totals are known, long before a big part is done */
}

/* ---- taking --------------------------------------------------------------------------------- */

/* Whether the worker may have a buffer of size, and if so, promises it. */
static bool reserve(struct copy_worker *worker, size_t size)
{
    struct copy_engine *engine = worker->engine;
    if (size <= worker->capacity) {
        return true;
    }
    if (engine->memory_used - worker->capacity + size > engine->copy.memory_max) {
        return false;
    }
    engine->memory_used += size - worker->capacity;
    free(worker->buffer);
    worker->buffer = NULL; /* allocated by the caller, without the lock */
    worker->capacity = size;
    return true;
}

static bool is_small(const struct copy_engine *engine, const struct copy_object *object)
{
    return object->info.size <= engine->copy.part_size;
}

/* What is to be done about a fresh object. */
static enum copy_step step_of(const struct copy_engine *engine, const struct copy_object *object)
{
    bool remote = !object->is_unseen && !object->is_streamed && atomic_load(&engine->is_remote);
    return object->there              ? COPY_DOUBT
           : object->is_unseen        ? COPY_LOOK
           : remote                   ? COPY_REMOTE
           : is_small(engine, object) ? COPY_WHOLE
                                      : COPY_BEGIN;
}

/* Takes the first of a list, if the worker may. */
static bool take_first(struct copy_worker *worker, struct copy_list *list, struct copy_task *task)
{
    struct copy_engine *engine = worker->engine;
    struct copy_object *object = list->head;
    enum copy_step step = step_of(engine, object);
    size_t size = step == COPY_WHOLE && object->info.size ? (size_t)object->info.size : 1;
    if (step == COPY_BEGIN ? engine->open_count >= COPY_OPEN_MAX : !reserve(worker, size)) {
        return false;
    }
    list->head = object->next;
    list->tail = object->next ? list->tail : NULL;
    engine->fresh_count--;
    engine->open_count += step == COPY_BEGIN;
    object->is_big = step == COPY_BEGIN;
    object->next = NULL;
    pthread_cond_signal(&engine->room);
    task->step = step;
    task->object = object;
    return true;
}

/* The biggest that may be begun. */
static bool take_fresh(struct copy_worker *worker, struct copy_task *task)
{
    struct copy_engine *engine = worker->engine;
    for (unsigned i = COPY_CLASSES; i-- > 0 && engine->fresh_count > 0;) {
        if (engine->fresh[i].head && take_first(worker, &engine->fresh[i], task)) {
            return true;
        }
    }
    return false;
}

/* The part at index of an object has so many bytes. */
static size_t size_of_part(const struct copy_object *object, unsigned part)
{
    uint64_t left = object->info.size - (uint64_t)part * object->part_size;
    return left < object->part_size ? (size_t)left : object->part_size;
}

static bool take_part(struct copy_worker *worker, struct copy_task *task)
{
    struct copy_engine *engine = worker->engine;
    struct copy_object *object = engine->open_head;
    if (!object || !reserve(worker, size_of_part(object, object->next_part))) {
        return false;
    }
    task->step = COPY_PART;
    task->object = object;
    task->part = object->next_part++;
    object->in_flight++;
    engine->parts_in_flight++;
    engine->open_head = object->next;
    object->next = NULL;
    if (object->next_part < object->part_count) { /* to the end: the next part is another's */
        struct copy_object **end = &engine->open_head;
        while (*end) {
            end = &(*end)->next;
        }
        *end = object;
    }
    return true;
}

static bool take_ready(struct copy_worker *worker, struct copy_task *task)
{
    task->step = COPY_FINISH;
    task->object = copy_finish_take(worker->engine);
    return task->object != NULL;
}

static bool choose(struct copy_worker *worker, struct copy_task *task)
{
    const struct copy_engine *engine = worker->engine;
    if (engine->parts_in_flight * 2 < engine->copy.workers) {
        return take_part(worker, task) || take_fresh(worker, task) || take_ready(worker, task);
    }
    return take_fresh(worker, task) || take_part(worker, task) || take_ready(worker, task);
}

/* Gives the worker's memory back to the others. */
static void surrender(struct copy_worker *worker)
{
    struct copy_engine *engine = worker->engine;
    if (worker->capacity > 0) {
        free(worker->buffer);
        worker->buffer = NULL;
        engine->memory_used -= worker->capacity;
        worker->capacity = 0;
        pthread_cond_broadcast(&engine->work); /* one of them may wait for just that */
    }
}

bool copy_take(struct copy_worker *worker, struct copy_task *task)
{
    struct copy_engine *engine = worker->engine;
    bool taken = false;
    memset(task, 0, sizeof *task);
    pthread_mutex_lock(&engine->lock);
    engine->working -= worker->is_working;
    worker->is_working = false;
    while (!copy_is_stopped(engine) && !taken && !(engine->listed && engine->pending == 0)) {
        taken = engine->working < engine->climb.width && choose(worker, task);
        if (!taken) {
            surrender(worker);
            copy_wait(engine, &engine->work);
        }
    }
    if (!taken) {
        surrender(worker);
    }
    worker->is_working = taken;
    engine->working += taken;
    pthread_mutex_unlock(&engine->lock);
    if (taken && !worker->buffer && worker->capacity > 0) {
        worker->buffer = malloc(worker->capacity);
    }
    return taken;
}

static void *worker_run(void *context)
{
    struct copy_worker *worker = context;
    struct copy_task task;
    while (copy_take(worker, &task)) {
        copy_run(worker, &task);
    }
    return NULL;
}

/* Starts workers up to what the climb allows; fewer do as well. Lock held. */
static void start_workers(struct copy_engine *engine)
{
    while (engine->started < engine->climb.width) {
        struct copy_worker *worker = &engine->workers[engine->started];
        worker->engine = engine;
        if (pthread_create(&worker->thread, NULL, worker_run, worker) != 0) {
            break;
        }
        engine->started++;
    }
}

bool copy_prepare_workers(struct copy_engine *engine, unsigned workers_max)
{
    engine->workers = calloc(workers_max, sizeof *engine->workers);
    if (!engine->workers) {
        return false;
    }
    pthread_mutex_lock(&engine->lock);
    climb_init(&engine->climb, WORKERS_FIRST, workers_max, copy_now());
    start_workers(engine);
    bool is_any = engine->started > 0;
    pthread_mutex_unlock(&engine->lock);
    if (!is_any) {
        free(engine->workers);
        engine->workers = NULL;
    }
    return is_any;
}

void copy_join_workers(struct copy_engine *engine)
{
    unsigned joined = 0;
    for (bool all = false; !all;) { /* one that works may start another */
        pthread_mutex_lock(&engine->lock);
        all = joined == engine->started;
        pthread_mutex_unlock(&engine->lock);
        if (!all) {
            pthread_join(engine->workers[joined++].thread, NULL);
        }
    }
    free(engine->workers);
    engine->workers = NULL;
}

/* Something is done, of so many bytes: there may be room for more workers. Lock held. */
static void note_work(struct copy_engine *engine, uint64_t bytes)
{
    unsigned width = engine->climb.width;
    climb_note(&engine->climb, copy_now(), (double)(bytes + OBJECT_WORTH));
    if (engine->climb.width > width) {
        start_workers(engine);
        pthread_cond_broadcast(&engine->work);
    }
}

/* ---- coming back ---------------------------------------------------------------------------- */

static void close_object(struct copy_engine *engine, const struct copy_object *object)
{
    struct copy_object **link = &engine->open_head;
    while (*link && *link != object) {
        link = &(*link)->next;
    }
    if (*link) {
        *link = object->next;
    }
}

bool copy_part_done(struct copy_engine *engine, struct copy_object *object, size_t moved,
                    enum storage_code code, const struct storage_error *err)
{
    pthread_mutex_lock(&engine->lock);
    object->in_flight--;
    engine->parts_in_flight--;
    if (code == STORAGE_OK) {
        object->moved += moved;
        engine->progress.done_bytes += moved;
        note_work(engine, moved);
    } else if (!object->failed) {
        object->failed = true;
        object->error = *err;
        close_object(engine, object);
        pthread_cond_broadcast(&engine->turn);
    }
    bool last =
        object->in_flight == 0 && (object->failed || object->next_part == object->part_count);
    pthread_mutex_unlock(&engine->lock);
    return last;
}

void copy_object_done(struct copy_engine *engine, const struct copy_object *object)
{
    pthread_mutex_lock(&engine->lock);
    engine->pending--;
    engine->open_count -= object->is_big;
    if (!object->is_big) {
        note_work(engine, object->info.size);
    }
    if (object->is_big || (engine->listed && engine->pending == 0)) {
        pthread_cond_broadcast(&engine->work);
    }
    pthread_mutex_unlock(&engine->lock);
}
