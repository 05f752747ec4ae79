/*
 * copy_object.c - the work on one object: read, sum, check, write, and what follows.
 *
 * A small object is read and checked before its upload even begins. A big one's parts are written
 * as they come, and only the completion, which makes it visible, waits for the check of the whole.
 */
#include "storage/base/crc.h"
#include "storage/copy/copy_engine.h"
#include "storage/storage_error.h"

#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    MIB = 1024 * 1024
};

/* ---- reporting ------------------------------------------------------------------------------ */

void copy_report_progress(struct copy_engine *engine)
{
    if (!engine->copy.on_progress) {
        return;
    }
    pthread_mutex_lock(&engine->hooks);
    pthread_mutex_lock(&engine->lock);
    struct storage_progress progress = engine->progress;
    pthread_mutex_unlock(&engine->lock);
    engine->copy.on_progress(engine->copy.context, &progress);
    pthread_mutex_unlock(&engine->hooks);
}

static void report_object(struct copy_engine *engine, const struct storage_copied *copied)
{
    if (engine->copy.on_object) {
        pthread_mutex_lock(&engine->hooks);
        engine->copy.on_object(engine->copy.context, copied);
        pthread_mutex_unlock(&engine->hooks);
    }
    copy_report_progress(engine);
}

void copy_report_failure(struct copy_engine *engine, const char *source, const char *destination,
                         uint64_t size, const struct storage_error *err)
{
    if (err->code == STORAGE_STOPPED) {
        return;
    }
    pthread_mutex_lock(&engine->lock);
    engine->summary.failed++;
    if (engine->first_error.code == STORAGE_OK) {
        engine->first_error = *err;
    }
    pthread_mutex_unlock(&engine->lock);
    struct storage_copied copied = {
        .source = source, .destination = destination, .size = size, .error = err};
    report_object(engine, &copied);
}

static void report_success(struct copy_engine *engine, const struct copy_object *object,
                           const uint32_t *crc, enum storage_verified verified)
{
    pthread_mutex_lock(&engine->lock);
    engine->summary.objects++;
    engine->summary.bytes += object->info.size;
    engine->summary.resumed += object->resumed;
    engine->progress.done_objects++;
    engine->progress.done_bytes += object->info.size - object->moved;
    pthread_mutex_unlock(&engine->lock);
    struct storage_copied copied = {.source = object->source,
                                    .destination = object->destination,
                                    .size = object->info.size,
                                    .crc32 = crc ? *crc : 0,
                                    .has_crc32 = crc != NULL,
                                    .verified = verified,
                                    .info = &object->info,
                                    .resumed = object->resumed,
                                    .seconds = copy_now() - object->started};
    report_object(engine, &copied);
}

/* What may honestly be said of both ways: the source's check, the destination's, or the weaker. */
static enum storage_verified judge(const struct copy_engine *engine, enum storage_verified arrived,
                                   enum storage_verified stored)
{
    bool from_store = engine->copy.source->kind != STORAGE_LOCAL;
    bool to_store = engine->copy.destination->kind != STORAGE_LOCAL;
    if (from_store && to_store) {
        return arrived > stored ? arrived : stored;
    }
    return from_store ? arrived : stored;
}

/* ---- the end of an object ------------------------------------------------------------------- */

void copy_renew_info(struct copy_engine *engine, struct copy_object *object,
                     const struct storage_info *info)
{
    struct storage_info before = object->info;
    object->info = *info;
    if (!info->mtime_ns) {
        object->info.mtime_ns = before.mtime_ns;
    }
    if (!*info->etag) {
        memcpy(object->info.etag, before.etag, sizeof before.etag);
    }
    pthread_mutex_lock(&engine->lock);
    engine->progress.total_bytes += info->size - before.size;
    pthread_mutex_unlock(&engine->lock);
}

static void forget_work(struct copy_object *object, bool keep)
{
    copy_resume_end(object, keep);
    copy_check_release(&object->check);
    free(object->part_crcs);
    object->part_crcs = NULL;
}

/* An object that failed: once, and for a reason that may pass, it starts over; else it is out. */
void copy_end_failed(struct copy_engine *engine, struct copy_object *object,
                     const struct storage_error *err)
{
    struct storage *source = engine->copy.source;
    forget_work(object, copy_resume_may_pass(err->code));
    bool may_pass = err->code == STORAGE_INTEGRITY || err->code == STORAGE_CHANGED;
    if (may_pass && ++object->attempt < COPY_ATTEMPTS && !copy_is_stopped(engine)) {
        struct storage_info info = {0};
        struct storage_error later; /* err is the cause */
        if (source->backend->stat(source, object->source, &info, &later) == STORAGE_OK) {
            copy_renew_info(engine, object, &info);
            copy_put_back(engine, object);
            return;
        }
    }
    copy_report_failure(engine, object->source, object->destination, object->info.size, err);
    copy_object_done(engine, object);
    copy_object_free(object);
}

void copy_end_stored(struct copy_engine *engine, struct copy_object *object, const uint32_t *crc,
                     enum storage_verified verified)
{
    struct storage_error err = {0};
    if (engine->copy.remove_source && copy_remove_source(engine, object, &err) != STORAGE_OK) {
        copy_report_failure(engine, object->source, object->destination, object->info.size, &err);
    } else {
        report_success(engine, object, crc, verified);
    }
    copy_object_done(engine, object);
    copy_object_free(object);
}

void copy_end_completed(struct copy_engine *engine, struct copy_object *object, uint32_t crc32,
                        enum storage_verified stored)
{
    copy_resume_end(object, false);
    copy_end_stored(engine, object, &crc32, judge(engine, object->check.kind, stored));
}

/* The whole is in and checked: make it visible. sending: where it is read only now; or NULL. */
static void end_copied(struct copy_engine *engine, struct copy_object *object, uint32_t crc,
                       const struct copy_sending *sending)
{
    struct storage_error err = {0};
    enum storage_verified stored = STORAGE_VERIFIED_SIZE;
    struct upload *upload = object->upload;
    if (copy_may_wait(engine, object)) {
        copy_finish_later(engine, object, crc);
        return;
    }
    object->upload = NULL; /* completing frees it, also when it fails */
    enum storage_code code =
        upload->store->backend->upload_complete(upload, object->info.size, crc, &stored, &err);
    if (code != STORAGE_OK) {
        if (sending) {
            copy_send_cause(sending, code, &err);
        }
        copy_end_failed(engine, object, &err);
        return;
    }
    copy_end_completed(engine, object, crc, stored);
}

/* ---- steps ---------------------------------------------------------------------------------- */

enum storage_code copy_read_part(struct copy_worker *worker, const struct copy_object *object,
                                 uint64_t offset, size_t size, struct storage_info *info,
                                 struct storage_error *err)
{
    struct storage *source = worker->engine->copy.source;
    size_t got = 0;
    if (!worker->buffer) {
        return storage_fail(err, STORAGE_BUG, "read %s: no memory for %zu bytes", object->source,
                            size);
    }
    *info = object->info;
    /* There is no empty range to ask for; listings do not tell the time that a store keeps. Of a
     * file that is empty a byte is asked for: some that the kernel makes up are not. */
    size_t length = strlen(object->source);
    bool is_file = source->kind == STORAGE_LOCAL && length > 0 && object->source[length - 1] != '/';
    enum storage_code code =
        size == 0 && !is_file
            ? source->backend->stat(source, object->source, info, err)
            : source->backend->read(source, object->source, offset, worker->buffer, size ? size : 1,
                                    object->part_count == 1, object->info.etag, &got, info, err);
    if (code != STORAGE_OK) {
        return code;
    }
    if (info->size != object->info.size ||
        (source->kind == STORAGE_LOCAL && info->mtime_ns != object->info.mtime_ns)) {
        return storage_fail(err, STORAGE_CHANGED, "read %s: it changed while it was copied",
                            object->source);
    }
    if (got > size) {
        return storage_fail(err, STORAGE_TRANSFER, "read %s: it is told to be empty, but is not",
                            object->source);
    }
    if (got != size) {
        return storage_fail(err, STORAGE_TRANSFER, "read %s: %zu bytes came instead of %zu",
                            object->source, got, size);
    }
    return STORAGE_OK;
}

static enum storage_code begin_upload(struct copy_engine *engine, struct copy_object *object,
                                      struct storage_error *err)
{
    struct upload_plan plan = {.size = object->info.size,
                               .part_size = object->part_size,
                               .mtime_ns = object->info.mtime_ns};
    return copy_resume_begin(engine, object, &plan, err);
}

static enum storage_code upload_part(const struct copy_object *object, unsigned part,
                                     const void *data, size_t size, uint32_t crc,
                                     struct storage_error *err)
{
    const struct backend *backend = object->upload->store->backend;
    return backend->upload_part(object->upload, part + 1, data, size, crc, err);
}

/* The sum that the chosen check needs of each part by itself. */
static bool sum_part(struct copy_object *object, unsigned part, const void *data, size_t size)
{
    return object->check.kind != STORAGE_VERIFIED_ETAG ||
           digest_md5(object->check.part_sums[part], data, size);
}

static enum storage_code fail_memory(const struct copy_object *object, struct storage_error *err)
{
    return storage_fail(err, STORAGE_BUG, "copy %s: no memory for its sums", object->source);
}

/* A larger object of one part, as it comes: checked before it becomes visible. */
static void run_whole_stream(struct copy_worker *worker, struct copy_object *object)
{
    struct copy_engine *engine = worker->engine;
    struct storage_error err = {0};
    struct storage_info info = {0};
    uint32_t crc = 0;
    enum storage_code code = begin_upload(engine, object, &err);
    if (code == STORAGE_OK) {
        code = copy_stream_part(worker, object, 0, object->info.size, &crc, &info, &err);
    }
    if (code == STORAGE_OK) {
        copy_renew_info(engine, object, &info);
        object->upload->plan.mtime_ns = object->info.mtime_ns; /* known better by now */
        code = copy_check_finish(&object->check, &object->info, 1, crc, object->source, &err);
    }
    if (code == STORAGE_OK) {
        end_copied(engine, object, crc, NULL);
    } else {
        copy_end_failed(engine, object, &err);
    }
}

/* Sends a part that stays in its file. */
static enum storage_code send_part(struct copy_worker *worker, struct copy_object *object,
                                   unsigned part, size_t size, struct copy_sending *sending,
                                   struct storage_error *err)
{
    struct upload *upload = object->upload;
    enum storage_code code = copy_send_begin(worker, object, part, size, sending, err);
    if (code == STORAGE_OK) {
        code = upload->store->backend->upload_part_body(upload, part + 1, &sending->body, err);
    }
    return copy_send_cause(sending, code, err);
}

/* A larger file of one part. */
static void run_whole_send(struct copy_worker *worker, struct copy_object *object)
{
    struct storage_error err = {0};
    struct copy_sending sending = {0};
    size_t size = (size_t)object->info.size;
    enum storage_code code = begin_upload(worker->engine, object, &err);
    if (code == STORAGE_OK) {
        code = send_part(worker, object, 0, size, &sending, &err);
    }
    if (code == STORAGE_OK) {
        end_copied(worker->engine, object, sending.body.crc32, &sending);
    } else {
        copy_end_failed(worker->engine, object, &err);
    }
    copy_send_end(&sending);
}

static void run_whole(struct copy_worker *worker, struct copy_object *object)
{
    struct copy_engine *engine = worker->engine;
    struct storage_error err = {0};
    struct storage_info info = {0};
    size_t size = (size_t)object->info.size;
    size_t part_size = size;
    uint32_t crc = 0;
    object->part_size = engine->copy.part_size;
    object->part_count = 1;
    if (copy_may_stream(engine, object, size)) {
        run_whole_stream(worker, object);
        return;
    }
    if (copy_may_send(engine, size)) {
        run_whole_send(worker, object);
        return;
    }
    enum storage_code code = copy_read_part(worker, object, 0, size, &info, &err);
    if (code != STORAGE_OK) {
        goto done;
    }
    copy_renew_info(engine, object, &info);
    crc = storage_crc32(0, worker->buffer, size);
    copy_check_choose(&object->check, &object->info, engine->copy.source->kind, &part_size,
                      part_size);
    if (!copy_check_begin(&object->check, 1) || !sum_part(object, 0, worker->buffer, size)) {
        code = fail_memory(object, &err);
        goto done;
    }
    if (object->check.md5) {
        md5_add(object->check.md5, worker->buffer, size);
    }
    code = copy_check_finish(&object->check, &object->info, 1, crc, object->source, &err);
    if (code == STORAGE_OK) {
        code = begin_upload(engine, object, &err);
    }
    if (code == STORAGE_OK) {
        code = upload_part(object, 0, worker->buffer, size, crc, &err);
    }
done:
    if (code == STORAGE_OK) {
        end_copied(engine, object, crc, NULL);
    } else {
        copy_end_failed(engine, object, &err);
    }
}

/* Parts grow with the object, so that no upload has more than stores take. */
static size_t choose_part_size(const struct copy_engine *engine, const struct copy_object *object)
{
    size_t part_size = engine->copy.part_size;
    uint64_t least = (object->info.size + COPY_PARTS_MAX - 1) / COPY_PARTS_MAX;
    if (engine->copy.destination->kind != STORAGE_LOCAL && least > part_size) {
        part_size = (size_t)((least + MIB - 1) / MIB * MIB);
    }
    return part_size;
}

static enum storage_code begin_parts(struct copy_engine *engine, struct copy_object *object,
                                     struct storage_error *err)
{
    struct storage *source = engine->copy.source;
    size_t part_max =
        engine->copy.memory_max > SIZE_MAX ? SIZE_MAX : (size_t)engine->copy.memory_max;
    if (source->kind != STORAGE_LOCAL) {
        /* one request that pins the object and may bring its CRC-32 */
        struct storage_info info = {0};
        enum storage_code code = source->backend->stat(source, object->source, &info, err);
        if (code != STORAGE_OK) {
            return code;
        }
        copy_renew_info(engine, object, &info);
    }
    object->part_size = choose_part_size(engine, object);
    copy_resume_find(engine, object);
    copy_check_choose(&object->check, &object->info, source->kind, &object->part_size, part_max);
    if (object->part_size > part_max) {
        return storage_fail(err, STORAGE_USAGE,
                            "copy %s: it needs parts of %zu bytes, more than the memory allowed",
                            object->source, object->part_size);
    }
    uint64_t count = (object->info.size + object->part_size - 1) / object->part_size;
    if (count > UINT32_MAX) {
        return storage_fail(err, STORAGE_USAGE, "copy %s: too many parts", object->source);
    }
    object->part_count = count ? (unsigned)count : 1;
    object->part_crcs = calloc(object->part_count, sizeof *object->part_crcs);
    if (!object->part_crcs || !copy_check_begin(&object->check, object->part_count)) {
        return fail_memory(object, err);
    }
    return begin_upload(engine, object, err);
}

static void run_begin(struct copy_worker *worker, struct copy_object *object)
{
    struct storage_error err = {0};
    if (begin_parts(worker->engine, object, &err) == STORAGE_OK) {
        copy_put_open(worker->engine, object);
    } else {
        copy_end_failed(worker->engine, object, &err);
    }
}

/* Hashes the part when all before it are; gives up when the object has failed, or on a stop. */
static enum storage_code hash_in_turn(struct copy_engine *engine, struct copy_object *object,
                                      unsigned part, const void *data, size_t size,
                                      struct storage_error *err)
{
    pthread_mutex_lock(&engine->lock);
    while (object->check.turn != part && !object->failed && !copy_is_stopped(engine)) {
        copy_wait(engine, &engine->turn);
    }
    bool mine = object->check.turn == part && !object->failed;
    pthread_mutex_unlock(&engine->lock);
    if (!mine) {
        return storage_fail(err, STORAGE_STOPPED, "copy %s: stopped", object->source);
    }
    md5_add(object->check.md5, data, size); /* nobody else's turn comes before ours ends */
    pthread_mutex_lock(&engine->lock);
    object->check.turn++;
    pthread_cond_broadcast(&engine->turn);
    pthread_mutex_unlock(&engine->lock);
    return STORAGE_OK;
}

/* All parts are back: the object has failed, or its whole can be checked. */
static void end_parts(struct copy_engine *engine, struct copy_object *object)
{
    struct storage_error err = object->error;
    if (object->failed) {
        copy_end_failed(engine, object, &err);
        return;
    }
    uint32_t crc = object->part_crcs[0];
    for (unsigned i = 1; i < object->part_count; i++) {
        uint64_t rest = object->info.size - (uint64_t)i * object->part_size;
        crc = crc32_fold(crc, object->part_crcs[i],
                         rest < object->part_size ? rest : object->part_size);
    }
    if (copy_check_finish(&object->check, &object->info, object->part_count, crc, object->source,
                          &err) == STORAGE_OK) {
        end_copied(engine, object, crc, NULL);
    } else {
        copy_end_failed(engine, object, &err);
    }
}

/* Moves a part that is not yet in: read, summed, written; in the buffer, or as it comes. */
static enum storage_code move_part(struct copy_worker *worker, struct copy_object *object,
                                   unsigned part, size_t size, struct storage_error *err)
{
    struct copy_engine *engine = worker->engine;
    struct storage_info info = {0};
    uint64_t offset = (uint64_t)part * object->part_size;
    if (copy_may_send(engine, size)) {
        struct copy_sending sending = {0};
        enum storage_code code = send_part(worker, object, part, size, &sending, err);
        object->part_crcs[part] = sending.body.crc32;
        copy_send_end(&sending);
        return code;
    }
    if (copy_may_stream(engine, object, size)) {
        return copy_stream_part(worker, object, part, size, &object->part_crcs[part], &info, err);
    }
    enum storage_code code = copy_read_part(worker, object, offset, size, &info, err);
    if (code != STORAGE_OK) {
        return code;
    }
    object->part_crcs[part] = storage_crc32(0, worker->buffer, size);
    return sum_part(object, part, worker->buffer, size)
               ? upload_part(object, part, worker->buffer, size, object->part_crcs[part], err)
               : fail_memory(object, err);
}

static void run_part(struct copy_worker *worker, struct copy_object *object, unsigned part)
{
    struct copy_engine *engine = worker->engine;
    struct storage_error err = {0};
    uint64_t left = object->info.size - (uint64_t)part * object->part_size;
    size_t size = left < object->part_size ? (size_t)left : object->part_size;
    bool there = copy_resume_recall(worker, object, part, size);
    enum storage_code code = STORAGE_OK;
    if (!there) {
        code = move_part(worker, object, part, size, &err);
    } else if (!sum_part(object, part, worker->buffer, size)) {
        code = fail_memory(object, &err);
    }
    if (code == STORAGE_OK && !there) {
        code = copy_resume_note(engine, object, part, size, &err);
    }
    if (code == STORAGE_OK && object->check.md5) {
        code = hash_in_turn(engine, object, part, worker->buffer, size, &err);
    }
    if (!copy_part_done(engine, object, size, code, &err)) {
        copy_report_progress(engine);
        return;
    }
    end_parts(engine, object);
}

void copy_run(struct copy_worker *worker, const struct copy_task *task)
{
    switch (task->step) {
    case COPY_DOUBT:
        copy_run_doubt(worker->engine, task->object);
        break;
    case COPY_LOOK:
        copy_run_look(worker->engine, task->object);
        break;
    case COPY_REMOTE:
        task->object->started = copy_now();
        copy_run_remote(worker->engine, task->object);
        break;
    case COPY_WHOLE:
        task->object->started = copy_now();
        run_whole(worker, task->object);
        break;
    case COPY_BEGIN:
        task->object->started = copy_now();
        run_begin(worker, task->object);
        break;
    case COPY_FINISH:
        copy_run_finish(worker->engine, task->object);
        break;
    case COPY_PART:
        run_part(worker, task->object, task->part);
        break;
    }
}
