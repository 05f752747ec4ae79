/*
 * copy_remote.c - objects that need no stream: the store copies them by itself. And the end of a
 * move, which is a copy and then the removal of its source.
 */
#include "storage/copy/copy_engine.h"
#include "storage/storage_error.h"

#include <string.h>

#include "storage/storage_banned.h"

bool copy_may_be_remote(const struct storage_copy *copy)
{
    const struct backend *backend = copy->destination->backend;
    return backend->copy && copy->source->backend == backend &&
           backend->can_copy(copy->source, copy->destination);
}

void copy_run_look(struct copy_engine *engine, struct copy_object *object)
{
    struct storage *source = engine->copy.source;
    struct storage_info info = {0};
    struct storage_error err = {0};
    enum storage_code code = source->backend->stat(source, object->source, &info, &err);
    if (code == STORAGE_OK && info.is_directory) {
        code = storage_fail(&err, STORAGE_USAGE, "copy %s: it is a folder", object->source);
    }
    if (code == STORAGE_OK) {
        object->is_unseen = false;
        copy_renew_info(engine, object, &info);
        copy_put_back(engine, object);
    } else {
        copy_end_failed(engine, object, &err);
    }
}

/* Whether the store does not copy at all. */
static bool is_unable(const struct storage_error *err)
{
    return err->http_status == 405 || err->http_status == 501;
}

/*
 * Whether it said no to copying rather than to the object: a right that reading and writing do not
 * need, a header or a size it does not take.
 */
static bool is_refusal(enum storage_code code, const struct storage_error *err)
{
    return code == STORAGE_DENIED || code == STORAGE_USAGE || is_unable(err) ||
           err->http_status == 400;
}

void copy_run_remote(struct copy_engine *engine, struct copy_object *object)
{
    struct storage *to = engine->copy.destination;
    struct storage_error err = {0};
    enum storage_verified verified = STORAGE_VERIFIED_SIZE;
    enum storage_code code = to->backend->copy(to, object->destination, engine->copy.source,
                                               object->source, &object->info, &verified, &err);
    if (code == STORAGE_OK) {
        copy_end_stored(engine, object, object->info.has_crc32 ? &object->info.crc32 : NULL,
                        verified);
    } else if (is_refusal(code, &err)) {
        if (is_unable(&err)) {
            atomic_store(&engine->is_remote, false);
        }
        object->is_streamed = true;
        copy_put_back(engine, object);
    } else {
        copy_end_failed(engine, object, &err);
    }
}

/* ---- moves ---------------------------------------------------------------------------------- */

/* Whether what lies at the source now is what was copied. Unknown parts are no difference. */
static bool is_same(const struct storage_info *copied, const struct storage_info *now)
{
    bool same_time =
        !copied->mtime_ns || !now->mtime_ns || *now->etag || copied->mtime_ns == now->mtime_ns;
    return copied->size == now->size && strcmp(copied->etag, now->etag) == 0 && same_time;
}

enum storage_code copy_remove_source(struct copy_engine *engine, const struct copy_object *object,
                                     struct storage_error *err)
{
    struct storage *source = engine->copy.source;
    struct storage_info now = {0};
    struct storage_error why = {0};
    enum storage_code code = source->backend->stat(source, object->source, &now, &why);
    if (code == STORAGE_OK && !is_same(&object->info, &now)) {
        return storage_fail(err, STORAGE_CHANGED,
                            "move %s: it was copied, but has changed since and so stays",
                            object->source);
    }
    if (code == STORAGE_OK) {
        code = source->backend->remove(source, object->source, &why);
    }
    if (code != STORAGE_OK && err) {
        *err = why;
        storage_hint(err, "the object was copied, but its source stays where it is");
    }
    return code;
}
