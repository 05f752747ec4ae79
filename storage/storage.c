/*
 * storage.c - the public functions on one object or listing: checks, and dispatch to the backend.
 * Copies are in copy.c.
 */
#include "storage/storage.h"

#include "storage/backend.h"
#include "storage/base/digest.h"
#include "storage/storage_error.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_banned.h"

enum {
    PUT_PART = 64 * 1024 * 1024,         /* bytes; what fits is one request */
    STREAM_PART = 32 * 1024 * 1024,      /* bytes; times 10,000 parts: a stream may have 312 GiB */
    STREAM_PART_LEAST = 5 * 1024 * 1024, /* S3's limit for every part but the last */
    STREAM_PARTS_MAX = 10000,            /* S3's and OBS's limit */
    STREAM_POLL_MS = 100
};

/* A sum of what the place says of the objects it writes; of a secret key only that. */
static uint32_t sum_headers(const struct storage_headers *headers)
{
    const char *texts[] = {headers->content_type,  headers->cache_control, headers->metadata,
                           headers->storage_class, headers->acl,           headers->sse,
                           headers->sse_kms_key_id};
    uint8_t key[SHA256_SIZE] = {0};
    uint32_t sum = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *text = texts[i] ? texts[i] : "";
        sum = storage_crc32(sum, text, strlen(text) + 1);
    }
    if (headers->sse_c_key && !digest_sha256(key, headers->sse_c_key, STORAGE_SSE_C_KEY_SIZE)) {
        key[0] = 1; /* that there is one, at least */
    }
    return storage_crc32(sum, key, sizeof key);
}

enum storage_code storage_open(struct storage **store, const struct storage_url *url,
                               const struct storage_config *config, struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    *store = NULL;
    enum storage_code code = url->kind == STORAGE_LOCAL ? local_open(store, config, err)
                                                        : s3_open(store, url, config, err);
    if (code == STORAGE_OK) {
        (*store)->stop = config->stop;
        (*store)->stream_part = config->stream_part ? config->stream_part : STREAM_PART;
        if ((*store)->stream_part < STREAM_PART_LEAST) {
            (*store)->stream_part = STREAM_PART_LEAST;
        }
        (*store)->headers_sum = sum_headers(&config->headers);
        (*store)->state_folder = config->state_folder ? strdup(config->state_folder) : NULL;
    }
    return code;
}

void storage_close(struct storage *store)
{
    if (store) {
        free(store->state_folder);
        store->backend->close(store);
    }
}

int64_t storage_keys_expiry(struct storage *store)
{
    return store->kind == STORAGE_S3 ? s3_keys_expiry(store) : 0;
}

bool storage_clock_offset(const struct storage *store, int64_t *seconds)
{
    *seconds = 0;
    return store->kind == STORAGE_S3 && s3_clock_offset(store, seconds);
}

enum storage_kind storage_kind(const struct storage *store)
{
    return store->kind;
}

const char *storage_verified_name(enum storage_verified verified)
{
    static const char *const names[] = {
        [STORAGE_VERIFIED_CRC32] = "crc32",
        [STORAGE_VERIFIED_MD5] = "md5",
        [STORAGE_VERIFIED_ETAG] = "etag",
        [STORAGE_VERIFIED_SIZE] = "size",
    };
    return names[verified];
}

/* ---- looking -------------------------------------------------------------------------------- */

enum storage_code storage_stat(struct storage *store, const char *key, struct storage_info *info,
                               struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    return store->backend->stat(store, key, info, err);
}

enum storage_code storage_lister_open(struct storage_lister **lister, struct storage *store,
                                      const char *prefix, bool recursive, struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    const struct storage_listing listing = {.prefix = prefix, .recursive = recursive};
    return store->backend->lister_open(lister, store, &listing, err);
}

enum storage_code storage_lister_open_as(struct storage_lister **lister, struct storage *store,
                                         const struct storage_listing *listing,
                                         struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    return store->backend->lister_open(lister, store, listing, err);
}

enum storage_code storage_lister_next(struct storage_lister *lister, struct storage_entry *entry,
                                      struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    return lister->store->backend->lister_next(lister, entry, err);
}

void storage_lister_close(struct storage_lister *lister)
{
    if (lister) {
        lister->store->backend->lister_close(lister);
    }
}

/* ---- reading -------------------------------------------------------------------------------- */

enum storage_code storage_read(struct storage *store, const char *key, uint64_t offset, void *data,
                               size_t size, const char *etag, size_t *got,
                               struct storage_info *info, struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    *got = 0;
    return store->backend->read(store, key, offset, data, size, false, etag, got, info, err);
}

enum storage_code storage_get(struct storage *store, const char *key, size_t size_max, char **data,
                              size_t *size, struct storage_error *err)
{
    *data = NULL;
    *size = 0;
    if (size_max > SIZE_MAX / 2) {
        return storage_fail(err, STORAGE_USAGE, "read %s: no such ceiling", key);
    }
    /* one byte more than allowed shows that there is more; pages never touched cost nothing */
    char *bytes = malloc(size_max + 1);
    if (!bytes) {
        return storage_fail(err, STORAGE_BUG, "read %s: no memory for %zu bytes", key, size_max);
    }
    size_t got = 0;
    enum storage_code code =
        storage_read(store, key, 0, bytes, size_max + 1, NULL, &got, NULL, err);
    if (code == STORAGE_OK && got > size_max) {
        code = storage_fail(err, STORAGE_TRANSFER, "read %s: it has more than %zu bytes", key,
                            size_max);
    }
    if (code != STORAGE_OK) {
        free(bytes);
        return code;
    }
    bytes[got] = '\0';
    char *fitting = realloc(bytes, got + 1);
    *data = fitting ? fitting : bytes;
    *size = got;
    return STORAGE_OK;
}

/* ---- writing -------------------------------------------------------------------------------- */

enum storage_code storage_put(struct storage *store, const char *key, const void *data, size_t size,
                              enum storage_verified *verified, struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    struct upload_plan plan = {.size = size, .part_size = PUT_PART};
    struct upload *upload = NULL;
    uint32_t whole = 0;
    size_t offset = 0;
    enum storage_verified ignored;
    enum storage_code code = store->backend->upload_begin(&upload, store, key, &plan, err);
    if (code != STORAGE_OK) {
        return code;
    }
    for (unsigned number = 1; code == STORAGE_OK && (offset < size || number == 1); number++) {
        const char *part = (const char *)data + offset;
        size_t part_size = size - offset < PUT_PART ? size - offset : PUT_PART;
        uint32_t crc = storage_crc32(0, part, part_size);
        whole = storage_crc32(whole, part, part_size);
        code = store->backend->upload_part(upload, number, part, part_size, crc, err);
        offset += part_size;
    }
    if (code != STORAGE_OK) {
        store->backend->upload_abort(upload);
        return code;
    }
    return store->backend->upload_complete(upload, size, whole, verified ? verified : &ignored,
                                           err);
}

/* Fills data from fd until it is full or the stream ends; looks at the stop flag meanwhile. */
static enum storage_code read_stream(const struct storage *store, int fd, char *data, size_t size,
                                     size_t *got, struct storage_error *err)
{
    *got = 0;
    while (*got < size) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (store->stop && atomic_load_explicit(store->stop, memory_order_relaxed)) {
            return storage_fail(err, STORAGE_STOPPED, "read the stream: stopped on request");
        }
        int polled = poll(&ready, 1, STREAM_POLL_MS);
        if (polled == 0 || (polled < 0 && errno == EINTR)) {
            continue;
        }
        ssize_t count = read(fd, data + *got, size - *got);
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (count < 0) {
            return storage_fail_errno(err, "read", "the stream", errno);
        }
        if (count == 0) {
            break;
        }
        *got += (size_t)count;
    }
    return STORAGE_OK;
}

enum storage_code storage_put_stream(struct storage *store, const char *key, int fd, uint64_t *size,
                                     enum storage_verified *verified, struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    size_t part = store->stream_part;
    struct upload_plan plan = {.size = UINT64_MAX, .part_size = part};
    struct upload *upload = NULL;
    uint32_t whole = 0;
    size_t got = 0;
    enum storage_verified ignored;
    *size = 0;
    char *data = malloc(part);
    if (!data) {
        return storage_fail(err, STORAGE_BUG, "write %s: no memory", key);
    }
    enum storage_code code = read_stream(store, fd, data, part, &got, err);
    if (code == STORAGE_OK) {
        plan.size = got < part ? got : UINT64_MAX; /* a short stream is one request */
        code = store->backend->upload_begin(&upload, store, key, &plan, err);
    }
    for (unsigned number = 1; code == STORAGE_OK && (got > 0 || number == 1); number++) {
        if (number > STREAM_PARTS_MAX) {
            code = storage_fail(err, STORAGE_USAGE, "write %s: the stream is longer than %d parts",
                                key, STREAM_PARTS_MAX);
            break;
        }
        uint32_t crc = storage_crc32(0, data, got);
        whole = storage_crc32(whole, data, got);
        *size += got;
        code = store->backend->upload_part(upload, number, data, got, crc, err);
        bool last = got < part;
        got = 0;
        if (code == STORAGE_OK && !last) {
            code = read_stream(store, fd, data, part, &got, err);
        }
    }
    if (code == STORAGE_OK) {
        code = store->backend->upload_complete(upload, *size, whole, verified ? verified : &ignored,
                                               err);
    } else if (upload) {
        store->backend->upload_abort(upload);
    }
    free(data);
    return code;
}

enum storage_code storage_probe_upload(struct storage *store, const char *key,
                                       struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    return store->kind == STORAGE_S3 ? s3_probe_upload(store, key, err) : STORAGE_OK;
}

/* ---- permitting ----------------------------------------------------------------------------- */

enum storage_code storage_presign(struct storage *store, const char *key, const char *method,
                                  int64_t expires_at, char *url, size_t size,
                                  struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    url[0] = '\0';
    if (!store->backend->presign) {
        return storage_fail(err, STORAGE_USAGE, "presign %s: a file has no URL to give away", key);
    }
    return store->backend->presign(store, key, method, expires_at, url, size, err);
}

/* ---- removing, making ----------------------------------------------------------------------- */

enum storage_code storage_remove(struct storage *store, const char *key, struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    return store->backend->remove(store, key, err);
}

enum storage_code storage_remove_batch(struct storage *store, const char *const *keys, size_t count,
                                       size_t *removed, struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    *removed = 0;
    return store->backend->remove_batch(store, keys, count, removed, err);
}

enum storage_code storage_make_bucket(struct storage *store, const char *key,
                                      struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    return store->backend->make_bucket(store, key, err);
}

/* ---- left-overs ----------------------------------------------------------------------------- */

enum storage_code storage_leftovers(struct storage *store, const char *prefix,
                                    storage_leftover_fn *take, void *context,
                                    struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    return store->backend->leftovers(store, prefix, take, context, err);
}

enum storage_code storage_leftover_remove(struct storage *store,
                                          const struct storage_leftover *leftover,
                                          struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    return store->backend->leftover_remove(store, leftover, err);
}
