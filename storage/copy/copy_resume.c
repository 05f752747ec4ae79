/*
 * copy_resume.c - big objects that go on where an earlier process stopped.
 *
 * The journal is found by the target: beside a file, or in the destination's state folder. When it
 * speaks of the same source (place, key, size, and ETag or modification time) the upload it names
 * is taken up, and each part it lists is looked at before it is read from the source:
 *
 *   into a folder             the part is read back from the temporary file and its CRC-32 compared
 *   from a folder to a store  the part is read from the source, its CRC-32 compared, the store's
 *                             list asked: it is not sent again
 *   from store to store       the source is pinned by its ETag, so the list alone decides, unless
 *                             the check of the whole needs the bytes
 *
 * What does not check is copied as if it had never been. When anything else does not fit, the old
 * upload is aborted and the copy starts over. Nobody has to have a journal: without one, or with
 * one that another process holds, the copy is one of its own that cannot go on later.
 */
#include "storage/copy/copy_engine.h"
#include "storage/local/files.h"
#include "storage/storage_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    RESUME_PARTS = 4 /* objects of more parts than that have a journal */
};
static const uint64_t sync_bytes = 256ULL * 1024 * 1024; /* data that a dead machine may lose */

/* ---- which journal -------------------------------------------------------------------------- */

/* Beside the file that the object becomes. */
static struct journal *open_beside(const struct copy_engine *engine,
                                   const struct copy_object *object)
{
    char path[STORAGE_PATH_MAX];
    struct folder *folder = NULL;
    struct journal *journal = NULL;
    if (journal_name_beside(path, sizeof path, object->destination) &&
        folder_open_of(&folder, engine->folders, path, FOLDER_MAKE, NULL) == STORAGE_OK) {
        const char *slash = strrchr(path, '/');
        journal = journal_open_at(folder_fd(folder), slash ? slash + 1 : path);
    }
    folder_close(folder);
    return journal;
}

static struct journal *open_journal(const struct copy_engine *engine,
                                    const struct copy_object *object)
{
    char path[STORAGE_PATH_MAX];
    const struct storage *destination = engine->copy.destination;
    if (destination->kind == STORAGE_LOCAL) {
        return open_beside(engine, object);
    }
    bool named = journal_name_in(path, sizeof path, destination->state_folder, destination->place,
                                 destination->bucket, object->destination);
    return named && files_make_folder(destination->state_folder, NULL) == STORAGE_OK
               ? journal_open(path)
               : NULL;
}

/* ---- the same source? ----------------------------------------------------------------------- */

/* What the journal's head says of this object, all but the upload's token. False: too long. */
static bool describe(const struct copy_engine *engine, const struct copy_object *object,
                     struct journal_head *head)
{
    const struct storage *source = engine->copy.source;
    bool local = source->kind == STORAGE_LOCAL;
    char path[STORAGE_PATH_MAX] = "";
    memset(head, 0, sizeof *head);
    head->size = object->info.size;
    head->part_size = object->part_size;
    head->mtime_ns = local ? object->info.mtime_ns : 0;
    head->needs_sync = engine->copy.destination->kind == STORAGE_LOCAL;
    memcpy(head->etag, object->info.etag, sizeof head->etag);
    if (local && files_resolve(path, object->source, NULL) != STORAGE_OK) {
        return false;
    }
    /* the destination too, as a journal's name is cut; and what is said of the object */
    int length = snprintf(head->source, sizeof head->source, "%s %s %s %s %08x", source->place,
                          source->bucket, local ? path : object->source, object->destination,
                          engine->copy.destination->headers_sum);
    return length > 0 && (size_t)length < sizeof head->source;
}

static bool is_same_source(const struct journal_head *a, const struct journal_head *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->needs_sync == b->needs_sync &&
           strcmp(a->etag, b->etag) == 0 && strcmp(a->source, b->source) == 0;
}

/* Whether the destination takes parts of the journal's size. */
static bool is_part_size(const struct copy_engine *engine, const struct copy_object *object,
                         uint64_t part_size)
{
    bool to_store = engine->copy.destination->kind != STORAGE_LOCAL;
    uint64_t parts = (object->info.size + part_size - 1) / part_size;
    return part_size <= engine->copy.memory_max && part_size <= SIZE_MAX &&
           parts <= (to_store ? COPY_PARTS_MAX : JOURNAL_PARTS_MAX) &&
           (!to_store || part_size >= COPY_PART_LEAST);
}

void copy_resume_find(struct copy_engine *engine, struct copy_object *object)
{
    const struct backend *backend = engine->copy.destination->backend;
    const struct storage *source = engine->copy.source;
    if (object->info.size <= (uint64_t)RESUME_PARTS * object->part_size || !backend->upload_token ||
        (source->kind != STORAGE_LOCAL && !object->info.etag[0])) {
        return;
    }
    struct journal_head *head = malloc(sizeof *head);
    if (!head) {
        return;
    }
    if (describe(engine, object, head)) {
        object->journal = open_journal(engine, object);
    }
    const struct journal_head *old = object->journal ? journal_head(object->journal) : NULL;
    if (old && is_same_source(old, head) && is_part_size(engine, object, old->part_size)) {
        object->resumes = true;
        object->part_size = (size_t)old->part_size;
    }
    free(head);
}

/* ---- beginning ------------------------------------------------------------------------------ */

/* Removes what an upload that will not be taken up has left. */
static void discard_old(struct copy_engine *engine, struct copy_object *object)
{
    struct storage *destination = engine->copy.destination;
    const struct journal_head *old = journal_head(object->journal);
    struct upload *upload = NULL;
    struct storage_error ignored;
    if (old) {
        struct upload_plan plan = {.size = old->size,
                                   .part_size = (size_t)old->part_size,
                                   .resume = old->token,
                                   .folders = engine->folders};
        if (destination->backend->upload_begin(&upload, destination, object->destination, &plan,
                                               &ignored) == STORAGE_OK) {
            destination->backend->upload_abort(upload);
        }
    }
}

/* Writes the head for an upload just begun. Where that fails the copy does without. */
static enum storage_code start_journal(struct copy_engine *engine, struct copy_object *object,
                                       struct storage_error *err)
{
    struct storage *destination = engine->copy.destination;
    enum storage_code code = STORAGE_OK;
    struct journal_head *head = malloc(sizeof *head);
    bool ok = head && describe(engine, object, head);
    if (ok) {
        code = destination->backend->upload_token(object->upload, head->token, sizeof head->token,
                                                  err);
        ok = code == STORAGE_OK && journal_start(object->journal, head);
    }
    if (!ok) {
        journal_remove(object->journal);
        object->journal = NULL;
    }
    free(head);
    return code;
}

enum storage_code copy_resume_begin(struct copy_engine *engine, struct copy_object *object,
                                    const struct upload_plan *wanted, struct storage_error *err)
{
    struct storage *destination = engine->copy.destination;
    const struct backend *backend = destination->backend;
    struct upload_plan plan = *wanted;
    plan.folders = engine->folders;
    plan.is_kept = object->journal != NULL;
    if (object->journal) {
        const struct journal_head *old = journal_head(object->journal);
        if (object->resumes && old->part_size == object->part_size) {
            plan.resume = old->token;
            enum storage_code code = backend->upload_begin(&object->upload, destination,
                                                           object->destination, &plan, err);
            if (code == STORAGE_OK || code == STORAGE_UNREACHABLE || code == STORAGE_STOPPED) {
                return code;
            }
            plan.resume = NULL; /* it is gone, or may not be listed: begin anew */
        } else {
            discard_old(engine, object);
        }
        object->resumes = false;
    }
    enum storage_code code =
        backend->upload_begin(&object->upload, destination, object->destination, &plan, err);
    return code == STORAGE_OK && object->journal ? start_journal(engine, object, err) : code;
}

/* ---- parts ---------------------------------------------------------------------------------- */

bool copy_resume_recall(struct copy_worker *worker, struct copy_object *object, unsigned part,
                        size_t size)
{
    struct copy_engine *engine = worker->engine;
    if (!object->resumes || !worker->buffer) {
        return false;
    }
    struct journal_part old = journal_part(object->journal, part + 1);
    const struct backend *backend = object->upload->store->backend;
    bool to_folder = engine->copy.destination->kind == STORAGE_LOCAL;
    bool pinned = engine->copy.source->kind != STORAGE_LOCAL;
    bool wants_bytes =
        object->check.kind == STORAGE_VERIFIED_MD5 || object->check.kind == STORAGE_VERIFIED_ETAG;
    if (!old.is_done) {
        return false;
    }
    if (!to_folder && (!pinned || wants_bytes)) {
        struct storage_info info = {0};
        struct storage_error err;
        if (copy_read_part(worker, object, (uint64_t)part * object->part_size, size, &info, &err) !=
                STORAGE_OK ||
            storage_crc32(0, worker->buffer, size) != old.crc32) {
            return false;
        }
    }
    if (!backend->upload_keep(object->upload, part + 1, size, old.crc32, old.tag,
                              to_folder ? worker->buffer : NULL)) {
        return false;
    }
    object->part_crcs[part] = old.crc32;
    pthread_mutex_lock(&engine->lock);
    object->resumed += size;
    pthread_mutex_unlock(&engine->lock);
    return true;
}

/*
 * A disk that refuses to keep what is in says so once: to the next who asks it would say that all
 * is well. So this is the end of the object, whatever the sync before its name is given would say.
 */
enum storage_code copy_resume_note(struct copy_engine *engine, struct copy_object *object,
                                   unsigned part, size_t size, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    const struct backend *backend = object->upload->store->backend;
    char tag[JOURNAL_TAG_MAX] = "";
    if (!object->journal) {
        return STORAGE_OK;
    }
    backend->upload_part_tag(object->upload, part + 1, tag, sizeof tag);
    journal_add(object->journal, part + 1, object->part_crcs[part], tag);
    if (!backend->upload_sync) {
        return STORAGE_OK;
    }
    pthread_mutex_lock(&engine->lock);
    object->unsynced += size;
    bool mine = object->unsynced >= sync_bytes;
    object->unsynced = mine ? 0 : object->unsynced;
    pthread_mutex_unlock(&engine->lock);
    if (mine) {
        size_t count = journal_count(object->journal);
        code = backend->upload_sync(object->upload, err);
        if (code == STORAGE_OK) {
            journal_synced(object->journal, count);
        }
    }
    return code;
}

/* ---- ending --------------------------------------------------------------------------------- */

bool copy_resume_may_pass(enum storage_code code)
{
    return code == STORAGE_STOPPED || code == STORAGE_UNREACHABLE || code == STORAGE_TRANSFER ||
           code == STORAGE_DENIED;
}

void copy_resume_end(struct copy_object *object, bool keep)
{
    if (object->upload) {
        const struct backend *backend = object->upload->store->backend;
        if (keep && object->journal) {
            backend->upload_suspend(object->upload);
        } else {
            backend->upload_abort(object->upload);
        }
        object->upload = NULL;
    }
    if (keep) {
        journal_close(object->journal);
    } else {
        journal_remove(object->journal);
    }
    object->journal = NULL;
    object->resumes = false;
    object->unsynced = 0;
}
