/*
 * local.c - the file system behind backend.h. Keys are paths; an upload is a draft of files.h.
 *
 * Files have no ETag, so nothing here can be pinned by one. Instead a read looks at the file's size
 * and time before and after: one that was written to meanwhile is STORAGE_CHANGED. From one read to
 * the next the copy engine compares what they said.
 */
#include "storage/backend.h"
#include "storage/local/files.h"
#include "storage/local/leftovers.h"
#include "storage/storage_error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_banned.h"

enum {
    WRITE_BACK_FROM = 1024 * 1024 /* bytes worth a call that begins their way to the disk */
};

struct local_upload {
    struct upload base;
    struct files_draft draft;
    /* Over writes of pieces. The kernel lets one thread write to a file anyway, but has the others
     * spin for it: eight connections into one file spent five times the processor time of one. */
    pthread_mutex_t writing;
};

struct local_lister {
    struct storage_lister base;
    struct files_walk *walk;
    bool recursive;
};

/* The current folder has the empty key. */
static const char *path_of(const char *key)
{
    return *key ? key : ".";
}

static void fill_info(struct storage_info *info, const struct stat *status)
{
    memset(info, 0, sizeof *info);
    info->is_directory = S_ISDIR(status->st_mode);
    info->size = info->is_directory ? 0 : (uint64_t)status->st_size;
    info->mtime_ns = files_mtime_ns(status);
}

static enum storage_code local_stat(struct storage *store, const char *key,
                                    struct storage_info *info, struct storage_error *err)
{
    (void)store;
    struct stat status;
    if (stat(path_of(key), &status) != 0) {
        return storage_fail_errno(err, "open", path_of(key), errno);
    }
    fill_info(info, &status);
    return STORAGE_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

static enum storage_code fail_changed(struct storage_error *err, const char *key)
{
    return storage_fail(err, STORAGE_CHANGED, "read %s: it was written to meanwhile", key);
}

static enum storage_code read_range(int fd, const char *key, uint64_t offset, void *data,
                                    size_t size, size_t *got, struct storage_error *err)
{
    *got = 0;
    while (*got < size) {
        ssize_t count = pread(fd, (char *)data + *got, size - *got, (off_t)(offset + *got));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return storage_fail_errno(err, "read", key, errno);
        }
        if (count == 0) {
            break;
        }
        *got += (size_t)count;
    }
    return STORAGE_OK;
}

struct source_reader {
    int fd;
    char key[STORAGE_PATH_MAX]; /* for messages */
};

static enum storage_code reader_look(const struct source_reader *reader, struct storage_info *info,
                                     struct storage_error *err)
{
    struct stat status;
    if (fstat(reader->fd, &status) != 0) {
        return storage_fail_errno(err, "open", reader->key, errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return storage_fail(err, STORAGE_USAGE, "read %s: it is %s", reader->key,
                            S_ISDIR(status.st_mode) ? "a folder" : "no regular file");
    }
    fill_info(info, &status);
    return STORAGE_OK;
}

static void reader_close(struct source_reader *reader)
{
    if (reader) {
        close(reader->fd);
        free(reader);
    }
}

static enum storage_code reader_open(struct source_reader **result, struct storage *store,
                                     const char *key, struct storage_info *info,
                                     struct storage_error *err)
{
    (void)store;
    *result = NULL;
    struct source_reader *reader = malloc(sizeof *reader);
    if (!reader) {
        return storage_fail(err, STORAGE_BUG, "read %s: no memory", key);
    }
    snprintf(reader->key, sizeof reader->key, "%s", key);
    /* not to wait for the writer of a pipe */
    reader->fd = open(key, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (reader->fd < 0) {
        enum storage_code code = storage_fail_errno(err, "open", key, errno);
        free(reader);
        return code;
    }
    enum storage_code code = reader_look(reader, info, err);
    if (code != STORAGE_OK) {
        reader_close(reader);
        return code;
    }
    *result = reader;
    return STORAGE_OK;
}

static enum storage_code reader_read(const struct source_reader *reader, uint64_t offset,
                                     void *data, size_t size, struct storage_error *err)
{
    size_t got = 0;
    enum storage_code code = read_range(reader->fd, reader->key, offset, data, size, &got, err);
    return code == STORAGE_OK && got != size ? fail_changed(err, reader->key) : code;
}

static enum storage_code local_read(struct storage *store, const char *key, uint64_t offset,
                                    void *data, size_t size, bool whole, const char *etag,
                                    size_t *got, struct storage_info *info,
                                    struct storage_error *err)
{
    (void)whole;
    struct storage_info before = {0};
    struct storage_info after = {0};
    struct source_reader *reader = NULL;
    if (etag && *etag) {
        return fail_changed(err, key); /* what had an ETag was no file */
    }
    enum storage_code code = reader_open(&reader, store, key, &before, err);
    if (code != STORAGE_OK) {
        return code;
    }
    assert(reader);
    code = read_range(reader->fd, key, offset, data, size, got, err);
    if (code == STORAGE_OK) {
        code = reader_look(reader, &after, err);
    }
    if (code == STORAGE_OK && (before.size != after.size || before.mtime_ns != after.mtime_ns)) {
        code = fail_changed(err, key);
    }
    if (code == STORAGE_OK && info) {
        *info = before;
    }
    reader_close(reader);
    return code;
}

/* ---- removing ------------------------------------------------------------------------------- */

static enum storage_code local_remove(struct storage *store, const char *key,
                                      struct storage_error *err)
{
    (void)store;
    return files_remove_at(AT_FDCWD, key, key, err);
}

static enum storage_code local_remove_batch(struct storage *store, const char *const *keys,
                                            size_t count, size_t *removed,
                                            struct storage_error *err)
{
    enum storage_code first = STORAGE_OK;
    *removed = 0;
    for (size_t i = 0; i < count; i++) {
        enum storage_code code = local_remove(store, keys[i], first == STORAGE_OK ? err : NULL);
        *removed += code == STORAGE_OK;
        first = first == STORAGE_OK ? code : first;
    }
    return first;
}

static enum storage_code local_make_bucket(struct storage *store, const char *key,
                                           struct storage_error *err)
{
    (void)store;
    return files_make_folder(key, err);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void upload_free(struct local_upload *upload)
{
    pthread_mutex_destroy(&upload->writing);
    free(upload);
}

static enum storage_code local_upload_begin(struct upload **result, struct storage *store,
                                            const char *key, const struct upload_plan *plan,
                                            struct storage_error *err)
{
    *result = NULL;
    struct local_upload *upload = calloc(1, sizeof *upload);
    if (!upload) {
        return storage_fail(err, STORAGE_BUG, "create file %s: no memory", key);
    }
    upload->base.store = store;
    upload->base.plan = *plan;
    /* a small file is written at once anyway; reserving would only cost time */
    bool reserves = plan->size != UINT64_MAX && plan->size > plan->part_size;
    enum storage_code code =
        plan->resume
            ? files_draft_reopen(&upload->draft, plan->folders, key, plan->resume, err)
            : files_draft_open(&upload->draft, plan->folders, key, reserves ? plan->size : 0, err);
    if (code != STORAGE_OK) {
        free(upload);
        return code;
    }
    pthread_mutex_init(&upload->writing, NULL);
    *result = &upload->base;
    return STORAGE_OK;
}

static enum storage_code local_upload_part(struct upload *base, unsigned number, const void *data,
                                           size_t size, uint32_t crc32, struct storage_error *err)
{
    (void)crc32;
    struct local_upload *upload = (struct local_upload *)base;
    uint64_t offset = (uint64_t)(number - 1) * base->plan.part_size;
    enum storage_code code =
        data ? files_draft_write(&upload->draft, data, size, offset, err) : STORAGE_OK;
    if (code == STORAGE_OK && size >= WRITE_BACK_FROM) {
        /* begin writing back now, so that the last fsync is short; only a hint */
        sync_file_range(upload->draft.fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
    }
    return code;
}

static enum storage_code local_upload_piece(struct upload *base, uint64_t offset, const void *data,
                                            size_t size, struct storage_error *err)
{
    struct local_upload *upload = (struct local_upload *)base;
    pthread_mutex_lock(&upload->writing);
    enum storage_code code = files_draft_write(&upload->draft, data, size, offset, err);
    pthread_mutex_unlock(&upload->writing);
    return code;
}

static enum storage_code check_size(const struct local_upload *upload, uint64_t size,
                                    struct storage_error *err)
{
    struct stat status;
    if (fstat(upload->draft.fd, &status) != 0) {
        return storage_fail_errno(err, "write", upload->draft.path, errno);
    }
    return (uint64_t)status.st_size == size
               ? STORAGE_OK
               : storage_fail(err, STORAGE_INTEGRITY, "write %s: it has %lld bytes, not %llu",
                              upload->draft.path, (long long)status.st_size,
                              (unsigned long long)size);
}

static enum storage_code local_upload_complete(struct upload *base, uint64_t size, uint32_t crc32,
                                               enum storage_verified *verified,
                                               struct storage_error *err)
{
    (void)crc32;
    struct local_upload *upload = (struct local_upload *)base;
    enum storage_code code = check_size(upload, size, err);
    if (code == STORAGE_OK) {
        code = files_draft_publish(&upload->draft, base->plan.mtime_ns, err);
    }
    if (verified) {
        *verified = STORAGE_VERIFIED_SIZE;
    }
    files_draft_discard(&upload->draft);
    upload_free(upload);
    return code;
}

static void local_upload_complete_many(struct upload *const *uploads, const uint64_t *sizes,
                                       size_t count, enum storage_code *codes,
                                       struct storage_error *errs)
{
    struct files_publication *items = calloc(count, sizeof *items);
    if (!items) {
        for (size_t i = 0; i < count; i++) { /* slower, and without memory */
            codes[i] = local_upload_complete(uploads[i], sizes[i], 0, NULL, &errs[i]);
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct local_upload *upload = (struct local_upload *)uploads[i];
        items[i].draft = &upload->draft;
        items[i].mtime_ns = uploads[i]->plan.mtime_ns;
        items[i].code = check_size(upload, sizes[i], &items[i].err);
    }
    files_publish_many(items, count);
    for (size_t i = 0; i < count; i++) {
        codes[i] = items[i].code;
        errs[i] = items[i].err;
        upload_free((struct local_upload *)uploads[i]);
    }
    free(items);
}

static void local_upload_abort(struct upload *base)
{
    struct local_upload *upload = (struct local_upload *)base;
    files_draft_discard(&upload->draft);
    upload_free(upload);
}

/* ---- going on later ------------------------------------------------------------------------- */

static enum storage_code local_upload_token(struct upload *base, char *token, size_t size,
                                            struct storage_error *err)
{
    (void)err;
    const struct local_upload *upload = (const struct local_upload *)base;
    snprintf(token, size, "%s", files_draft_name(&upload->draft));
    return STORAGE_OK;
}

static void local_upload_part_tag(struct upload *base, unsigned number, char *tag, size_t size)
{
    (void)base;
    (void)number;
    snprintf(tag, size, "%s", "");
}

static bool local_upload_keep(struct upload *base, unsigned number, size_t size, uint32_t crc32,
                              const char *tag, void *data)
{
    (void)tag;
    const struct local_upload *upload = (const struct local_upload *)base;
    uint64_t offset = (uint64_t)(number - 1) * base->plan.part_size;
    size_t got = 0;
    return data && read_range(upload->draft.fd, "", offset, data, size, &got, NULL) == STORAGE_OK &&
           got == size && storage_crc32(0, data, size) == crc32;
}

static enum storage_code local_upload_sync(struct upload *base, struct storage_error *err)
{
    const struct local_upload *upload = (const struct local_upload *)base;
    if (fdatasync(upload->draft.fd) != 0) {
        return files_fail_write(err, "sync", upload->draft.path, errno);
    }
    return STORAGE_OK;
}

static void local_upload_suspend(struct upload *base)
{
    struct local_upload *upload = (struct local_upload *)base;
    files_draft_suspend(&upload->draft);
    upload_free(upload);
}

/* ---- listing -------------------------------------------------------------------------------- */

static enum storage_code local_lister_open(struct storage_lister **result, struct storage *store,
                                           const struct storage_listing *listing,
                                           struct storage_error *err)
{
    *result = NULL;
    struct local_lister *lister = calloc(1, sizeof *lister);
    if (!lister) {
        return storage_fail(err, STORAGE_BUG, "list %s: no memory", listing->prefix);
    }
    lister->base.store = store;
    lister->recursive = listing->recursive;
    enum storage_code code =
        files_walk_open(&lister->walk, listing->prefix, listing->recursive, listing->symlinks, err);
    if (code != STORAGE_OK) {
        free(lister);
        return code;
    }
    *result = &lister->base;
    return STORAGE_OK;
}

static enum storage_code local_lister_next(struct storage_lister *base, struct storage_entry *entry,
                                           struct storage_error *err)
{
    struct local_lister *lister = (struct local_lister *)base;
    struct files_entry found;
    memset(entry, 0, sizeof *entry);
    enum storage_code code = files_walk_next(lister->walk, &found, err);
    if (code != STORAGE_OK || !found.path) {
        return code;
    }
    fill_info(&entry->info, &found.status);
    entry->link = found.link;
    entry->key = found.path;
    entry->is_prefix = found.is_folder && !lister->recursive;
    return STORAGE_OK;
}

static void local_lister_close(struct storage_lister *base)
{
    struct local_lister *lister = (struct local_lister *)base;
    files_walk_close(lister->walk);
    free(lister);
}

/* ---- the place ------------------------------------------------------------------------------ */

static void local_close(struct storage *store)
{
    free(store);
}

static const struct backend local_backend = {
    .stat = local_stat,
    .read = local_read,
    .reader_open = reader_open,
    .reader_read = reader_read,
    .reader_look = reader_look,
    .reader_close = reader_close,
    .remove = local_remove,
    .remove_batch = local_remove_batch,
    .make_bucket = local_make_bucket,
    .tag = local_tag,
    .put_if = local_put_if,
    .upload_begin = local_upload_begin,
    .upload_part = local_upload_part,
    .upload_piece = local_upload_piece,
    .upload_complete = local_upload_complete,
    .upload_complete_many = local_upload_complete_many,
    .upload_abort = local_upload_abort,
    .upload_token = local_upload_token,
    .upload_part_tag = local_upload_part_tag,
    .upload_keep = local_upload_keep,
    .upload_sync = local_upload_sync,
    .upload_suspend = local_upload_suspend,
    .leftovers = local_leftovers,
    .leftover_remove = local_leftover_remove,
    .lister_open = local_lister_open,
    .lister_next = local_lister_next,
    .lister_close = local_lister_close,
    .close = local_close,
};

enum storage_code local_open(struct storage **result, const struct storage_config *config,
                             struct storage_error *err)
{
    (void)config;
    struct storage *store = calloc(1, sizeof *store);
    *result = store;
    if (!store) {
        return storage_fail(err, STORAGE_BUG, "open the file system: no memory");
    }
    store->backend = &local_backend;
    store->kind = STORAGE_LOCAL;
    return STORAGE_OK;
}
