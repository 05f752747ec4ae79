/*
 * copy.c - storage_copy: a lister, a queue, workers. See copy_engine.h for the whole picture.
 */
#include "storage/copy/copy_engine.h"
#include "storage/storage_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    WORKERS_DEFAULT = 16,
    WORKERS_MAX = 1024
};
static const uint64_t memory_default = 256ULL * 1024 * 1024;

/* Fills in what was left zero, and makes one part fit into the memory allowed. */
static enum storage_code set_defaults(struct storage_copy *copy, struct storage_error *err)
{
    bool to_store = copy->destination->kind != STORAGE_LOCAL;
    if (!copy->workers) {
        copy->workers = WORKERS_DEFAULT;
    }
    if (copy->workers > WORKERS_MAX) {
        copy->workers = WORKERS_MAX;
    }
    if (!copy->part_size) {
        copy->part_size = COPY_PART_DEFAULT;
    }
    if (!copy->memory_max) {
        copy->memory_max = memory_default;
    }
    if (to_store && copy->part_size < COPY_PART_LEAST) {
        copy->part_size = COPY_PART_LEAST;
    }
    if (copy->part_size > copy->memory_max) {
        copy->part_size = (size_t)copy->memory_max;
    }
    if (to_store && copy->part_size < COPY_PART_LEAST) {
        return storage_fail(err, STORAGE_USAGE,
                            "copy: %llu bytes of memory do not hold one part of %d bytes",
                            (unsigned long long)copy->memory_max, COPY_PART_LEAST);
    }
    return STORAGE_OK;
}

/* ---- feeding -------------------------------------------------------------------------------- */

static enum storage_code queue_item(struct copy_engine *engine, const struct storage_item *item,
                                    struct storage_error *err)
{
    if (item->failure) {
        copy_report_failure(engine, item->source, item->destination,
                            item->info ? item->info->size : 0, item->failure);
        return STORAGE_OK;
    }
    struct copy_object *object = copy_object_new(item->source, item->destination, item->info);
    struct storage_info *there = item->there ? malloc(sizeof *there) : NULL;
    if (!object || (item->there && !there)) {
        copy_object_free(object);
        free(there);
        return storage_fail(err, STORAGE_BUG, "copy %s: no memory", item->source);
    }
    if (there) {
        *there = *item->there;
    }
    object->there = there;
    object->is_unseen = !item->info;
    if (!copy_put_fresh(engine, object)) {
        copy_object_free(object);
        return storage_fail(err, STORAGE_STOPPED, "copy %s: stopped on request", item->source);
    }
    return STORAGE_OK;
}

static enum storage_code feed_entry(struct copy_engine *engine, const struct copy_route *route,
                                    const struct storage_entry *entry, struct storage_error *err)
{
    char destination[STORAGE_PATH_MAX];
    struct storage_error failure = {0};
    const struct storage_item item = {
        .source = entry->key, .destination = destination, .info = &entry->info};
    switch (copy_route_name(route, &engine->copy, entry, destination, &failure)) {
    case COPY_TAKE:
        return queue_item(engine, &item, err);
    case COPY_SKIP:
        return STORAGE_OK;
    case COPY_FOLDER:
        if (folders_make(engine->folders, destination, &failure) == STORAGE_OK) {
            return STORAGE_OK;
        }
        break;
    case COPY_REFUSE:
        break;
    }
    copy_report_failure(engine, entry->key, destination, entry->info.size, &failure);
    return STORAGE_OK;
}

/* Queues what the caller names. */
static enum storage_code feed_items(struct copy_engine *engine, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    while (code == STORAGE_OK) {
        struct storage_item item = {0};
        code = engine->copy.next(engine->copy.context, &item, err);
        if (code != STORAGE_OK || !item.source) {
            break;
        }
        struct storage_error same = {0};
        /* resolving paths costs, and a file copied onto itself is harmless, unless it then goes */
        bool is_checked = engine->copy.remove_source || engine->copy.source->kind != STORAGE_LOCAL;
        if (!item.failure && is_checked &&
            copy_route_check_pair(&engine->copy, item.source, item.destination, &same) !=
                STORAGE_OK) {
            item.failure = &same;
        }
        code = queue_item(engine, &item, err);
        if (code == STORAGE_OK && copy_is_stopped(engine)) {
            code = storage_fail(err, STORAGE_STOPPED, "copy: stopped on request");
        }
    }
    return code;
}

/* Lists the source and queues what is to be copied. */
static enum storage_code feed(struct copy_engine *engine, const struct copy_route *route,
                              struct storage_error *err)
{
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    const struct storage_listing listing = {
        .prefix = route->from, .recursive = true, .whole = true, .symlinks = engine->copy.symlinks};
    if (engine->copy.next) {
        return feed_items(engine, err);
    }
    if (route->single) {
        const struct storage_item item = {
            .source = route->from, .destination = route->to, .info = &route->info};
        return queue_item(engine, &item, err);
    }
    enum storage_code code = storage_lister_open_as(&lister, engine->copy.source, &listing, err);
    while (code == STORAGE_OK) {
        code = storage_lister_next(lister, &entry, err);
        if (code != STORAGE_OK || !entry.key) {
            break;
        }
        code = feed_entry(engine, route, &entry, err);
        if (code == STORAGE_OK && copy_is_stopped(engine)) {
            code = storage_fail(err, STORAGE_STOPPED, "copy: stopped on request");
        }
    }
    storage_lister_close(lister);
    return code;
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* A single object needs no more workers than it has parts. */
static unsigned count_workers(const struct copy_engine *engine, const struct copy_route *route)
{
    uint64_t parts = route->info.size / engine->copy.part_size + 1;
    return route->single && parts < engine->copy.workers ? (unsigned)parts : engine->copy.workers;
}

/* Which of all that happened the caller is told first. */
static enum storage_code conclude(const struct copy_engine *engine, const struct copy_route *route,
                                  enum storage_code fed, struct storage_error *err)
{
    const struct storage_summary *summary = &engine->summary;
    if (copy_is_stopped(engine) || fed == STORAGE_STOPPED) {
        return storage_fail(err, STORAGE_STOPPED,
                            "copy: stopped on request, with %llu objects copied",
                            (unsigned long long)summary->objects);
    }
    if (engine->first_error.code != STORAGE_OK) {
        *err = engine->first_error;
        return engine->first_error.code;
    }
    if (fed != STORAGE_OK) {
        return fed; /* err was filled by the listing */
    }
    if (summary->objects == 0) {
        const struct storage *source = engine->copy.source;
        if (engine->copy.next) {
            return storage_fail(err, STORAGE_NOT_FOUND, "copy: nothing was named");
        }
        bool local = source->kind == STORAGE_LOCAL;
        return storage_fail(err, STORAGE_NOT_FOUND, "copy %s%s%s%s: nothing is there",
                            local ? "" : "s3://", source->bucket, local ? "" : "/", route->from);
    }
    return STORAGE_OK;
}

static uint64_t count_retries(const struct storage_copy *copy)
{
    uint64_t retries = atomic_load(&copy->source->retries);
    if (copy->destination != copy->source) {
        retries += atomic_load(&copy->destination->retries);
    }
    return retries;
}

static enum storage_code run(struct copy_engine *engine, const struct copy_route *route,
                             struct folders *folders, struct storage_error *err)
{
    engine->folders = folders;
    unsigned workers = count_workers(engine, route);
    if (!copy_prepare_workers(engine, workers)) {
        return storage_fail(err, STORAGE_BUG, "copy: no memory for workers, or no thread");
    }
    enum storage_code fed = feed(engine, route, err);
    copy_end_listing(engine);
    copy_join_workers(engine);
    return conclude(engine, route, fed, err);
}

/* The folder that all of a copy is written into. False: it is none, or too long a name. */
static bool find_root(char root[STORAGE_PATH_MAX], const struct storage_copy *copy,
                      const struct copy_route *route)
{
    const char *key = copy->next ? copy->destination_key : route->to;
    const char *slash = key && route->single ? strrchr(key, '/') : NULL;
    if (!key) {
        return false;
    }
    int length = !route->single ? (int)strlen(key) : slash ? (int)(slash - key) + 1 : 0;
    return snprintf(root, STORAGE_PATH_MAX, "%.*s", length, key) < STORAGE_PATH_MAX;
}

/* Into folders, or with a local destination and none given, into some of its own. */
static enum storage_code copy_routed(const struct storage_copy *copy,
                                     const struct copy_route *route, struct folders *folders,
                                     struct storage_summary *summary, struct storage_error *err)
{
    struct copy_engine engine;
    char root[STORAGE_PATH_MAX];
    struct folders *own = NULL;
    enum storage_code code = STORAGE_OK;
    if (copy->destination->kind == STORAGE_LOCAL && !folders) {
        own = folders_new(find_root(root, copy, route) ? root : NULL);
        folders = own;
        if (!own) {
            return storage_fail(err, STORAGE_BUG, "copy: no memory for folders");
        }
    }
    code = copy_engine_init(&engine, copy)
               ? run(&engine, route, folders, err)
               : storage_fail(err, STORAGE_BUG, "copy: no memory for locks");
    *summary = engine.summary;
    copy_engine_release(&engine);
    if (code == STORAGE_OK && own) {
        code = folders_check(own, err);
    }
    folders_free(own);
    return code;
}

enum storage_code copy_into(const struct storage_copy *copy, struct folders *folders,
                            struct storage_summary *summary, struct storage_error *err)
{
    struct storage_summary ignored;
    struct storage_copy filled = *copy;
    struct copy_route route;
    double started = copy_now();
    uint64_t retries = count_retries(copy);
    summary = summary ? summary : &ignored;
    memset(summary, 0, sizeof *summary);
    memset(&route, 0, sizeof route);
    enum storage_code code = set_defaults(&filled, err);
    if (code == STORAGE_OK && !filled.next) {
        code = copy_route_find(&route, &filled, err);
    }
    if (code == STORAGE_OK) {
        code = copy_routed(&filled, &route, folders, summary, err);
        summary->retries = count_retries(copy) - retries;
        summary->seconds = copy_now() - started;
    }
    if (code == STORAGE_OK) {
        memset(err, 0, sizeof *err); /* what looking at the source may have left there */
    }
    return code;
}

enum storage_code storage_copy(const struct storage_copy *copy, struct storage_summary *summary,
                               struct storage_error *err)
{
    return copy_into(copy, NULL, summary, STORAGE_ERROR_OR_OWN(err));
}
