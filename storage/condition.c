/*
 * condition.c - small objects written on a condition, which locks and pointers are made of.
 *
 * A request that got no answer may have been carried out, and its repetition is then refused for
 * what the first did. So after any failure but a plain refusal the object is looked at: when it
 * has the very bytes that were to be written, they were.
 */
#include "storage/backend.h"
#include "storage/storage_error.h"

#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum storage_code storage_get_tagged(struct storage *store, const char *key, size_t size_max,
                                     char **data, size_t *size, char tag[STORAGE_ETAG_MAX + 1],
                                     struct storage_error *err)
{
    struct storage_info info;
    *data = NULL;
    *size = 0;
    tag[0] = '\0';
    if (size_max > STORAGE_PUT_IF_MAX) {
        return storage_fail(err, STORAGE_USAGE, "read %s: no such ceiling", key);
    }
    char *bytes = malloc(size_max + 1);
    if (!bytes) {
        return storage_fail(err, STORAGE_BUG, "read %s: no memory", key);
    }
    enum storage_code code =
        storage_read(store, key, 0, bytes, size_max + 1, NULL, size, &info, err);
    if (code == STORAGE_OK && *size > size_max) {
        code = storage_fail(err, STORAGE_TRANSFER, "read %s: it has more than %zu bytes", key,
                            size_max);
    }
    if (code != STORAGE_OK) {
        free(bytes);
        return code;
    }
    bytes[*size] = '\0';
    store->backend->tag(tag, &info, bytes, *size);
    *data = bytes;
    return STORAGE_OK;
}

/* Whether the object has these bytes; then tag gets its tag. */
static bool is_there(struct storage *store, const char *key, const void *data, size_t size,
                     char tag[STORAGE_ETAG_MAX + 1])
{
    char *there = NULL;
    size_t there_size = 0;
    char there_tag[STORAGE_ETAG_MAX + 1];
    bool same = storage_get_tagged(store, key, STORAGE_PUT_IF_MAX, &there, &there_size, there_tag,
                                   NULL) == STORAGE_OK &&
                there && there_size == size && memcmp(there, data, size) == 0;
    if (same) {
        memcpy(tag, there_tag, sizeof there_tag);
    }
    free(there);
    return same;
}

enum storage_code storage_put_if(struct storage *store, const char *key, const void *data,
                                 size_t size, const char *tag, char new_tag[STORAGE_ETAG_MAX + 1],
                                 struct storage_error *err)
{
    err = STORAGE_ERROR_OR_OWN(err);
    if (size > STORAGE_PUT_IF_MAX) {
        return storage_fail(err, STORAGE_USAGE, "write %s: more than %d bytes", key,
                            STORAGE_PUT_IF_MAX);
    }
    enum storage_code code = store->backend->put_if(store, key, data, size, tag, new_tag, err);
    bool is_doubtful =
        code == STORAGE_CHANGED || code == STORAGE_UNREACHABLE || code == STORAGE_TRANSFER;
    return is_doubtful && is_there(store, key, data, size, new_tag) ? STORAGE_OK : code;
}
