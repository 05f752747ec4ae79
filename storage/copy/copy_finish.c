/*
 * copy_finish.c - small files that become durable together.
 *
 * Making one file durable costs a journal commit of the file system, and its name another; many
 * small files wait for little else. So files that are whole and checked gather, up to a number of
 * files, of bytes and of milliseconds, and are completed as one: contents, then names, each folder
 * once. None is reported, and none counts as copied, before it is durable. A worker with nothing
 * better to do completes what there is, so nothing waits for more to come.
 */
#include "storage/copy/copy_engine.h"
#include "storage/storage_error.h"

#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

static const uint64_t ready_bytes_max = 64ULL * 1024 * 1024;
static const double ready_seconds_max = 0.2;

bool copy_may_wait(const struct copy_engine *engine, const struct copy_object *object)
{
    return engine->copy.destination->backend->upload_complete_many && !object->is_big &&
           !object->journal;
}

struct copy_object *copy_finish_take(struct copy_engine *engine)
{
    struct copy_object *ready = engine->ready_head;
    engine->ready_head = NULL;
    engine->ready_count = 0;
    engine->ready_bytes = 0;
    return ready;
}

void copy_finish_later(struct copy_engine *engine, struct copy_object *object, uint32_t crc32)
{
    struct copy_object *ready = NULL;
    double now = copy_now();
    object->crc32 = crc32;
    pthread_mutex_lock(&engine->lock);
    if (engine->ready_count == 0) {
        engine->ready_since = now;
    }
    object->next = engine->ready_head;
    engine->ready_head = object;
    engine->ready_count++;
    engine->ready_bytes += object->info.size;
    if (engine->ready_count >= COPY_FINISH_MAX || engine->ready_bytes >= ready_bytes_max ||
        now - engine->ready_since >= ready_seconds_max) {
        ready = copy_finish_take(engine);
    }
    pthread_mutex_unlock(&engine->lock);
    copy_run_finish(engine, ready);
}

/* What is completed together; as large as can ever be ready. */
struct batch {
    struct copy_object *objects[COPY_FINISH_MAX];
    struct upload *uploads[COPY_FINISH_MAX];
    uint64_t sizes[COPY_FINISH_MAX];
    enum storage_code codes[COPY_FINISH_MAX];
    struct storage_error errs[COPY_FINISH_MAX];
    size_t count;
};

static void fail_all(struct copy_engine *engine, struct copy_object *ready)
{
    while (ready) {
        struct copy_object *next = ready->next;
        struct storage_error err = {0};
        storage_fail(&err, STORAGE_BUG, "copy %s: no memory", ready->source);
        copy_end_failed(engine, ready, &err);
        ready = next;
    }
}

void copy_run_finish(struct copy_engine *engine, struct copy_object *ready)
{
    if (!ready) {
        return;
    }
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch) {
        fail_all(engine, ready);
        return;
    }
    for (; ready; ready = ready->next) {
        batch->objects[batch->count] = ready;
        batch->uploads[batch->count] = ready->upload;
        batch->sizes[batch->count] = ready->info.size;
        ready->upload = NULL; /* completing frees it, also when it fails */
        batch->count++;
    }
    engine->copy.destination->backend->upload_complete_many(
        batch->uploads, batch->sizes, batch->count, batch->codes, batch->errs);
    for (size_t i = 0; i < batch->count; i++) {
        struct copy_object *object = batch->objects[i];
        object->next = NULL;
        if (batch->codes[i] == STORAGE_OK) {
            copy_end_completed(engine, object, object->crc32, STORAGE_VERIFIED_SIZE);
        } else {
            copy_end_failed(engine, object, &batch->errs[i]);
        }
    }
    free(batch);
}
