/*
 * copy_doubt.c - objects that may turn out not to be needed, as the caller decides from a worker's
 * thread: it may have to ask the store, or to read a file.
 */
#include "storage/copy/copy_engine.h"

#include <stdlib.h>

#include "storage/storage_banned.h"

/* The object leaves as if it had never come. */
static void withdraw(struct copy_engine *engine, struct copy_object *object)
{
    pthread_mutex_lock(&engine->lock);
    engine->progress.total_objects--;
    engine->progress.total_bytes -= object->info.size;
    pthread_mutex_unlock(&engine->lock);
    copy_object_done(engine, object);
    copy_object_free(object);
}

void copy_run_doubt(struct copy_engine *engine, struct copy_object *object)
{
    struct storage_error err = {0};
    bool needed = true;
    const struct storage_item item = {.source = object->source,
                                      .destination = object->destination,
                                      .info = object->is_unseen ? NULL : &object->info,
                                      .there = object->there};
    enum storage_code code = engine->copy.is_needed(engine->copy.context, &item, &needed, &err);
    free(object->there);
    object->there = NULL;
    if (code != STORAGE_OK) {
        copy_end_failed(engine, object, &err);
    } else if (needed) {
        copy_put_back(engine, object);
    } else {
        withdraw(engine, object);
    }
}
