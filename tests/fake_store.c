#include "fake_store.h"

#include "storage/base/crc.h"
#include "storage/base/digest.h"
#include "storage/storage_error.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ETAG_PART = 8 * 1024 * 1024
};

struct fake_upload {
    struct upload base;
    char *key;
    unsigned char *data;
    size_t size; /* of the room */
};

struct fake_lister {
    struct storage_lister base;
    char *prefix;
    long rows;
    char key[STORAGE_PATH_MAX];
};

/* The index of key, or of where it belongs. */
static size_t find(const struct fake_store *fake, const char *key, bool *found)
{
    size_t i = 0;
    while (i < fake->count && strcmp(fake->objects[i].key, key) < 0) {
        i++;
    }
    *found = i < fake->count && strcmp(fake->objects[i].key, key) == 0;
    return i;
}

static void fill_info(const struct fake_object *object, struct storage_info *info)
{
    memset(info, 0, sizeof *info);
    info->size = object->size;
    info->mtime_ns = object->mtime_ns;
    memcpy(info->etag, object->etag, sizeof info->etag);
    info->has_crc32 = object->has_crc32;
    info->crc32 = object->crc32;
}

static void make_etag(struct fake_object *object, enum fake_sum sum)
{
    unsigned char md5[MD5_SIZE];
    struct buf text;
    buf_init(&text, sizeof object->etag - 1);
    if (sum == FAKE_ETAG) {
        size_t parts = (object->size + ETAG_PART - 1) / ETAG_PART;
        unsigned char *sums = calloc(parts, MD5_SIZE);
        for (size_t i = 0; i < parts; i++) {
            size_t left = object->size - i * ETAG_PART;
            digest_md5(sums + i * MD5_SIZE, object->data + i * ETAG_PART,
                       left < ETAG_PART ? left : ETAG_PART);
        }
        digest_md5(md5, sums, parts * MD5_SIZE);
        digest_add_hex(&text, md5, sizeof md5);
        buf_format(&text, "-%zu", parts);
        free(sums);
    } else {
        digest_md5(md5, object->data, object->size);
        digest_add_hex(&text, md5, sizeof md5);
        if (sum == FAKE_NOTHING) {
            buf_text(&text, "-x");
        }
    }
    assert(buf_ok(&text));
    snprintf(object->etag, sizeof object->etag, "%s", text.data);
    buf_release(&text);
}

/* Takes data over. Lock held, or nobody else there. */
static void add(struct fake_store *fake, const char *key, unsigned char *data, size_t size,
                enum fake_sum sum, int64_t mtime_ns)
{
    bool found = false;
    size_t at = find(fake, key, &found);
    struct fake_object *object = &fake->objects[at];
    if (found) {
        free(object->data);
    } else {
        assert(fake->count < FAKE_OBJECTS_MAX);
        memmove(object + 1, object, (fake->count - at) * sizeof *object);
        fake->count++;
        object->key = strdup(key);
    }
    object->data = data;
    object->size = size;
    object->mtime_ns = mtime_ns;
    object->has_crc32 = sum == FAKE_CRC32;
    object->crc32 = storage_crc32(0, data, size);
    make_etag(object, sum);
}

void fake_store_add(struct fake_store *fake, const char *key, const void *data, size_t size,
                    enum fake_sum sum)
{
    unsigned char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    add(fake, key, copy, size, sum, 1234567890123456789);
}

void fake_store_drop(struct fake_store *fake, const char *key)
{
    bool found = false;
    size_t at = find(fake, key, &found);
    if (found) {
        free(fake->objects[at].key);
        free(fake->objects[at].data);
        fake->count--;
        memmove(&fake->objects[at], &fake->objects[at + 1],
                (fake->count - at) * sizeof *fake->objects);
    }
}

const struct fake_object *fake_store_find(struct fake_store *fake, const char *key)
{
    bool found = false;
    size_t at = find(fake, key, &found);
    return found ? &fake->objects[at] : NULL;
}

/* ---- the backend ---------------------------------------------------------------------------- */

static enum storage_code fake_stat(struct storage *store, const char *key,
                                   struct storage_info *info, struct storage_error *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    pthread_mutex_lock(&fake->lock);
    const struct fake_object *object = fake_store_find(fake, key);
    if (object) {
        fill_info(object, info);
    }
    pthread_mutex_unlock(&fake->lock);
    return object ? STORAGE_OK : storage_fail(err, STORAGE_NOT_FOUND, "HEAD %s: 404", key);
}

/* Copies the bytes out and applies the faults of reading. */
static enum storage_code serve(struct fake_store *fake, const struct fake_object *object,
                               uint64_t offset, void *data, size_t size, const char *etag,
                               size_t *got, struct storage_error *err)
{
    fake->reads++;
    if (fake->stop_after && fake->reads > fake->stop_reads) {
        atomic_store(fake->stop_after, true);
        return storage_fail(err, STORAGE_STOPPED, "GET %s: stopped", object->key);
    }
    if (fake->fail_key && strcmp(fake->fail_key, object->key) == 0) {
        return storage_fail(err, STORAGE_DENIED, "GET %s: 403", object->key);
    }
    if (etag && *etag && strcmp(etag, object->etag) != 0) {
        return storage_fail(err, STORAGE_CHANGED, "GET %s: 412", object->key);
    }
    *got = offset >= object->size         ? 0
           : object->size - offset < size ? (size_t)(object->size - offset)
                                          : size;
    memcpy(data, object->data + offset, *got);
    if (fake->flip_reads != 0 && *got > 0) {
        fake->flip_reads -= fake->flip_reads > 0;
        ((unsigned char *)data)[*got / 2] ^= 4;
    }
    return STORAGE_OK;
}

static void let_happen(struct fake_store *fake)
{
    pthread_mutex_lock(&fake->lock);
    bool now = fake->meanwhile_at > 0 && --fake->meanwhile_at == 0;
    pthread_mutex_unlock(&fake->lock);
    if (now) {
        fake->meanwhile(fake->meanwhile_context);
    }
}

static enum storage_code fake_read(struct storage *store, const char *key, uint64_t offset,
                                   void *data, size_t size, bool whole, const char *etag,
                                   size_t *got, struct storage_info *info,
                                   struct storage_error *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    enum storage_code code = STORAGE_NOT_FOUND;
    pthread_mutex_lock(&fake->lock);
    fake->reading += size;
    fake->reading_peak = fake->reading > fake->reading_peak ? fake->reading : fake->reading_peak;
    pthread_mutex_unlock(&fake->lock);
    if (fake->read_delay_us) {
        usleep(fake->read_delay_us);
    }
    let_happen(fake);
    pthread_mutex_lock(&fake->lock);
    bool found = false;
    fake->reading -= size;
    struct fake_object *object = &fake->objects[find(fake, key, &found)];
    if (found) {
        code = serve(fake, object, offset, data, size, etag, got, err);
        if (info) {
            fill_info(object, info);
            info->has_crc32 = info->has_crc32 && whole; /* as stores do it */
        }
        if (fake->change_key && strcmp(fake->change_key, key) == 0) {
            object->etag[0] = object->etag[0] == 'f' ? 'e' : 'f';
        }
    }
    pthread_mutex_unlock(&fake->lock);
    return found ? code : storage_fail(err, STORAGE_NOT_FOUND, "GET %s: 404", key);
}

static enum storage_code fake_remove(struct storage *store, const char *key,
                                     struct storage_error *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    if (!fake->may_remove) {
        return storage_fail(err, STORAGE_DENIED, "DELETE %s: 403", key);
    }
    pthread_mutex_lock(&fake->lock);
    fake_store_drop(fake, key);
    pthread_mutex_unlock(&fake->lock);
    return STORAGE_OK;
}

static enum storage_code fake_remove_batch(struct storage *store, const char *const *keys,
                                           size_t count, size_t *removed, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    for (size_t i = 0; i < count; i++) {
        enum storage_code one = fake_remove(store, keys[i], err);
        *removed += one == STORAGE_OK;
        code = one != STORAGE_OK ? one : code;
    }
    return code;
}

static enum storage_code fake_upload_begin(struct upload **result, struct storage *store,
                                           const char *key, const struct upload_plan *plan,
                                           struct storage_error *err)
{
    (void)err;
    struct fake_store *fake = (struct fake_store *)store;
    pthread_mutex_lock(&fake->lock);
    fake->part_size = plan->part_size;
    pthread_mutex_unlock(&fake->lock);
    if (fake->refuse_uploads) {
        return storage_fail(err, STORAGE_CONFLICT, "POST %s: 409", key);
    }
    struct fake_upload *upload = calloc(1, sizeof *upload);
    upload->base.store = store;
    upload->base.plan = *plan;
    upload->key = strdup(key);
    assert(plan->size != UINT64_MAX);
    upload->size = (size_t)plan->size;
    upload->data = malloc(upload->size + 1);
    pthread_mutex_lock(&fake->lock);
    fake->begun++;
    pthread_mutex_unlock(&fake->lock);
    *result = &upload->base;
    return STORAGE_OK;
}

static enum storage_code fake_upload_part(struct upload *base, unsigned number, const void *data,
                                          size_t size, uint32_t crc32, struct storage_error *err)
{
    struct fake_upload *upload = (struct fake_upload *)base;
    struct fake_store *fake = (struct fake_store *)base->store;
    size_t offset = (size_t)(number - 1) * base->plan.part_size;
    assert(offset + size <= upload->size);
    let_happen(fake);
    pthread_mutex_lock(&fake->lock);
    fake->parts++;
    bool refused = fake->fail_parts_after && fake->parts > fake->fail_parts_after;
    pthread_mutex_unlock(&fake->lock);
    if (refused) {
        return storage_fail(err, STORAGE_TRANSFER, "PUT part %u of %s: 500", number, upload->key);
    }
    if (crc32 != storage_crc32(0, data, size)) {
        return storage_fail(err, STORAGE_INTEGRITY, "PUT part %u: BadDigest", number);
    }
    memcpy(upload->data + offset, data, size);
    return STORAGE_OK;
}

static void free_upload(struct fake_upload *upload)
{
    free(upload->key);
    free(upload->data);
    free(upload);
}

static enum storage_code fake_upload_complete(struct upload *base, uint64_t size, uint32_t crc32,
                                              enum storage_verified *verified,
                                              struct storage_error *err)
{
    struct fake_upload *upload = (struct fake_upload *)base;
    struct fake_store *fake = (struct fake_store *)base->store;
    enum storage_code code = STORAGE_OK;
    pthread_mutex_lock(&fake->lock);
    if (size != upload->size || crc32 != storage_crc32(0, upload->data, upload->size)) {
        code = storage_fail(err, STORAGE_INTEGRITY, "complete %s: BadDigest", upload->key);
    } else {
        add(fake, upload->key, upload->data, upload->size, FAKE_CRC32, base->plan.mtime_ns);
        upload->data = NULL;
        fake->completed++;
        *verified = STORAGE_VERIFIED_CRC32;
    }
    pthread_mutex_unlock(&fake->lock);
    free_upload(upload);
    return code;
}

static void fake_upload_abort(struct upload *base)
{
    struct fake_store *fake = (struct fake_store *)base->store;
    let_happen(fake);
    pthread_mutex_lock(&fake->lock);
    fake->aborted++;
    pthread_mutex_unlock(&fake->lock);
    free_upload((struct fake_upload *)base);
}

static enum storage_code fake_lister_open(struct storage_lister **result, struct storage *store,
                                          const struct storage_listing *listing,
                                          struct storage_error *err)
{
    (void)err;
    assert(listing->recursive);
    struct fake_lister *lister = calloc(1, sizeof *lister);
    lister->base.store = store;
    lister->prefix = strdup(listing->prefix);
    *result = &lister->base;
    return STORAGE_OK;
}

/* Goes on behind the last key, as stores do, whatever was added or removed meanwhile. */
static enum storage_code fake_lister_next(struct storage_lister *base, struct storage_entry *entry,
                                          struct storage_error *err)
{
    struct fake_lister *lister = (struct fake_lister *)base;
    struct fake_store *fake = (struct fake_store *)base->store;
    enum storage_code code = STORAGE_OK;
    bool found = false;
    memset(entry, 0, sizeof *entry);
    pthread_mutex_lock(&fake->lock);
    size_t at = find(fake, lister->key, &found);
    at += found;
    while (at < fake->count &&
           strncmp(fake->objects[at].key, lister->prefix, strlen(lister->prefix)) != 0) {
        at++;
    }
    if (at < fake->count) {
        bool is_fault = ++lister->rows == fake->list_fault_at;
        if (is_fault && fake->list_fault == FAKE_LIST_FAILS) {
            code = storage_fail(err, STORAGE_TRANSFER, "GET ?list: 500");
        } else if (is_fault && at > 0) {
            at -= fake->list_fault == FAKE_LIST_GOES_BACK && at > 1 ? 2 : 1;
        }
        snprintf(lister->key, sizeof lister->key, "%s", fake->objects[at].key);
        entry->key = lister->key;
        fill_info(&fake->objects[at], &entry->info);
        entry->info.has_crc32 = false; /* listings do not tell */
    }
    pthread_mutex_unlock(&fake->lock);
    return code;
}

static void fake_lister_close(struct storage_lister *base)
{
    struct fake_lister *lister = (struct fake_lister *)base;
    free(lister->prefix);
    free(lister);
}

static const struct backend fake_backend = {
    .stat = fake_stat,
    .read = fake_read,
    .remove = fake_remove,
    .remove_batch = fake_remove_batch,
    .upload_begin = fake_upload_begin,
    .upload_part = fake_upload_part,
    .upload_complete = fake_upload_complete,
    .upload_abort = fake_upload_abort,
    .lister_open = fake_lister_open,
    .lister_next = fake_lister_next,
    .lister_close = fake_lister_close,
};

struct fake_store *fake_store_new(void)
{
    struct fake_store *fake = calloc(1, sizeof *fake);
    fake->base.backend = &fake_backend;
    fake->base.kind = STORAGE_S3;
    snprintf(fake->base.bucket, sizeof fake->base.bucket, "fake");
    snprintf(fake->base.place, sizeof fake->base.place, "%p", (void *)fake);
    pthread_mutex_init(&fake->lock, NULL);
    return fake;
}

void fake_store_free(struct fake_store *fake)
{
    for (size_t i = 0; i < fake->count; i++) {
        free(fake->objects[i].key);
        free(fake->objects[i].data);
    }
    pthread_mutex_destroy(&fake->lock);
    free(fake);
}
