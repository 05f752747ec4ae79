/* compare.c - whether an object is the same on both sides; the rules are told in storage.h. */
#include "storage/storage_error.h"
#include "storage/sync/sync.h"

#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    MIB = 1024 * 1024,
    PIECE = MIB
};
static const size_t part_ceiling = 512 * (size_t)MIB; /* of a multipart ETag; none is kept */
static const int64_t second_ns = 1000000000;
static const int64_t millisecond_ns = 1000000;

static bool same_etag(const struct storage_info *a, const struct storage_info *b)
{
    return *a->etag && !a->etag_is_opaque && !b->etag_is_opaque && strcmp(a->etag, b->etag) == 0;
}

/* By the clock of the store that holds the destination: its object is younger, or may be. */
static enum sync_verdict compare_ages(const struct storage_info *source,
                                      const struct storage_info *there)
{
    if (there->mtime_ns > source->mtime_ns) {
        return SYNC_SAME;
    }
    /* stores tell whole seconds or milliseconds: the truth lies up to so much later */
    int64_t grain = there->mtime_ns % second_ns == 0        ? second_ns
                    : there->mtime_ns % millisecond_ns == 0 ? millisecond_ns
                                                            : 1;
    bool may_be_younger = there->mtime_ns + grain > source->mtime_ns;
    if (may_be_younger && same_etag(source, there)) {
        return SYNC_SAME;
    }
    return may_be_younger && source->mtime_ns ? SYNC_DOUBTFUL : SYNC_DIFFERENT;
}

enum sync_verdict sync_compare(const struct storage_sync *sync, const struct storage_info *source,
                               const struct storage_info *there, const struct sync_line *line)
{
    bool from_store = sync->copy.source->kind != STORAGE_LOCAL;
    bool to_store = sync->copy.destination->kind != STORAGE_LOCAL;
    if (source->size != there->size || there->is_directory != source->is_directory) {
        return SYNC_DIFFERENT;
    }
    if (sync->compare == STORAGE_COMPARE_SIZE_ONLY) {
        return SYNC_SAME;
    }
    if (sync->compare == STORAGE_COMPARE_CHECKSUM) {
        return SYNC_DOUBTFUL;
    }
    if (!from_store && !to_store) {
        return source->mtime_ns == there->mtime_ns ? SYNC_SAME : SYNC_DIFFERENT;
    }
    if (sync->compare == STORAGE_COMPARE_EXACT_MTIME) {
        return SYNC_DOUBTFUL;
    }
    if (to_store) {
        return compare_ages(source, there);
    }
    if (!line || !*source->etag) {
        return SYNC_DOUBTFUL;
    }
    bool same = line->size == source->size && line->mtime_ns == there->mtime_ns &&
                strcmp(line->etag, source->etag) == 0;
    return same ? SYNC_SAME : SYNC_DIFFERENT;
}

/* ---- closely -------------------------------------------------------------------------------- */

/* Asks a store for all it knows; what lies in a folder is known. */
static enum storage_code look(struct storage *store, const char *key,
                              const struct storage_info *listed, struct storage_info *info,
                              struct storage_error *err)
{
    *info = *listed;
    return store->kind == STORAGE_LOCAL ? STORAGE_OK : store->backend->stat(store, key, info, err);
}

/* Reads a file into the sums that `check` and crc want, part after part. */
static enum storage_code sum_file(struct storage *store, const char *key, uint64_t size,
                                  size_t part_size, struct copy_check *check, uint32_t *crc,
                                  struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    struct md5 *part = NULL;
    char *data = malloc(PIECE);
    *crc = 0;
    for (uint64_t offset = 0; data && code == STORAGE_OK && offset < size;) {
        bool by_parts = check->kind == STORAGE_VERIFIED_ETAG;
        uint64_t left = by_parts ? part_size - offset % part_size : size - offset;
        size_t wanted = left < PIECE ? (size_t)left : PIECE;
        size_t got = 0;
        code = storage_read(store, key, offset, data, wanted, NULL, &got, NULL, err);
        if (code == STORAGE_OK && got == 0) {
            code = storage_fail(err, STORAGE_CHANGED, "read %s: it became shorter", key);
        }
        if (code != STORAGE_OK) {
            break;
        }
        *crc = storage_crc32(*crc, data, got);
        if (check->md5) {
            md5_add(check->md5, data, got);
        }
        part = by_parts && !part ? md5_new() : part;
        if (part) {
            md5_add(part, data, got);
        }
        uint64_t index = offset / part_size;
        offset += got;
        if (part && (offset % part_size == 0 || offset == size)) {
            md5_finish(part, check->part_sums[index]);
            md5_free(part);
            part = NULL;
        }
    }
    if (!data) {
        code = storage_fail(err, STORAGE_BUG, "read %s: no memory", key);
    }
    md5_free(part);
    free(data);
    return code;
}

/* Whether a file has the sum that the store keeps of its object; no when it keeps none. */
static enum storage_code compare_file(struct storage *files, const char *path,
                                      const struct storage_info *object, bool *same,
                                      struct storage_error *err)
{
    struct copy_check check;
    size_t part_size = COPY_PART_DEFAULT;
    uint32_t crc = 0;
    copy_check_choose(&check, object, STORAGE_S3, &part_size, part_ceiling);
    bool by_parts = check.kind == STORAGE_VERIFIED_ETAG;
    unsigned parts = by_parts ? (unsigned)((object->size + part_size - 1) / part_size) : 1;
    enum storage_code code = STORAGE_OK;
    *same = false;
    if (check.kind == STORAGE_VERIFIED_SIZE) {
        return STORAGE_OK;
    }
    if (!copy_check_begin(&check, parts)) {
        code = storage_fail(err, STORAGE_BUG, "read %s: no memory", path);
        goto done;
    }
    code = sum_file(files, path, object->size, part_size, &check, &crc, err);
    if (code == STORAGE_OK) {
        *same = copy_check_finish(&check, object, parts, crc, path, NULL) == STORAGE_OK &&
                check.kind != STORAGE_VERIFIED_SIZE;
    }
done:
    copy_check_release(&check);
    return code;
}

static enum storage_code compare_files(const struct storage_sync *sync, const char *source_key,
                                       const char *there_key, uint64_t size, bool *same,
                                       struct storage_error *err)
{
    struct copy_check none = {.kind = STORAGE_VERIFIED_SIZE};
    uint32_t sums[2] = {0};
    enum storage_code code =
        sum_file(sync->copy.source, source_key, size, PIECE, &none, &sums[0], err);
    if (code == STORAGE_OK) {
        code = sum_file(sync->copy.destination, there_key, size, PIECE, &none, &sums[1], err);
    }
    *same = code == STORAGE_OK && sums[0] == sums[1];
    return code;
}

static enum storage_code compare_sums(const struct storage_sync *sync, const char *source_key,
                                      const struct storage_info *source, const char *there_key,
                                      const struct storage_info *there, bool *same,
                                      struct storage_error *err)
{
    bool from_store = sync->copy.source->kind != STORAGE_LOCAL;
    bool to_store = sync->copy.destination->kind != STORAGE_LOCAL;
    if (from_store && to_store) {
        *same = source->has_crc32 && there->has_crc32 ? source->crc32 == there->crc32
                                                      : same_etag(source, there);
        return STORAGE_OK;
    }
    if (from_store) {
        return compare_file(sync->copy.destination, there_key, source, same, err);
    }
    if (to_store) {
        return compare_file(sync->copy.source, source_key, there, same, err);
    }
    return compare_files(sync, source_key, there_key, source->size, same, err);
}

enum storage_code sync_compare_closely(const struct storage_sync *sync, const char *source_key,
                                       struct storage_info *source, const char *there_key,
                                       const struct storage_info *there, bool *same,
                                       struct storage_error *err)
{
    struct storage_info now_there = *there;
    struct storage_info now = *source;
    *same = false;
    enum storage_code code = look(sync->copy.source, source_key, source, &now, err);
    if (code == STORAGE_OK) {
        code = look(sync->copy.destination, there_key, there, &now_there, err);
    }
    if (code == STORAGE_NOT_FOUND) {
        return STORAGE_OK; /* gone meanwhile: the copy will tell */
    }
    if (code != STORAGE_OK) {
        return code;
    }
    *source = now;
    if (now.size != now_there.size) {
        return STORAGE_OK;
    }
    if (sync->compare == STORAGE_COMPARE_CHECKSUM) {
        return compare_sums(sync, source_key, &now, there_key, &now_there, same, err);
    }
    /* an object may keep no time of its own: then both say when they were written */
    *same =
        (now.mtime_ns != 0 && now.mtime_ns == now_there.mtime_ns) || same_etag(&now, &now_there);
    return STORAGE_OK;
}
