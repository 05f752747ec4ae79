/*
 * copy_stream.c - parts that go from the wire into a file without being kept.
 *
 * Each piece is summed while it is in the processor's cache, then written where it belongs; a part
 * of 8 MiB held in memory first would leave the cache twice, and many of them are what a copy's
 * memory is made of. A part that breaks is begun again, with its sums; what was written of it is
 * written over, and nothing is visible before the whole has been checked.
 *
 * Not for an object of several parts whose only sum is an MD5: that wants all bytes in order.
 */
#include "storage/copy/copy_engine.h"
#include "storage/storage_error.h"

#include <string.h>

#include "storage/storage_banned.h"

static const uint64_t stream_least = 1024 * 1024; /* less is in the cache anyway */

struct stream {
    struct copy_engine *engine;
    struct copy_object *object;
    uint64_t offset; /* of the part */
    struct storage_info info;
    uint32_t crc;
    struct md5 *md5; /* of the part; NULL: not wanted */
    bool failed;
    struct storage_error error;
};

bool copy_may_stream(const struct copy_engine *engine, const struct copy_object *object,
                     uint64_t size)
{
    return size >= stream_least && engine->copy.source->backend->read_pieces &&
           engine->copy.destination->backend->upload_piece &&
           (!object->is_big || object->check.kind != STORAGE_VERIFIED_MD5);
}

/* A small object, which nobody has looked at yet, learns with its first piece what it can be
 * checked by. */
static enum storage_code choose_check(struct stream *stream)
{
    struct copy_object *object = stream->object;
    size_t part_size = (size_t)object->info.size;
    copy_check_release(&object->check);
    copy_check_choose(&object->check, &stream->info, stream->engine->copy.source->kind, &part_size,
                      part_size);
    return copy_check_begin(&object->check, 1)
               ? STORAGE_OK
               : storage_fail(&stream->error, STORAGE_BUG, "copy %s: no memory for its sums",
                              object->source);
}

static enum storage_code begin(struct stream *stream)
{
    struct copy_object *object = stream->object;
    enum storage_code code = STORAGE_OK;
    stream->crc = 0;
    md5_free(stream->md5);
    stream->md5 = NULL;
    if (stream->info.size != object->info.size) {
        return storage_fail(&stream->error, STORAGE_CHANGED,
                            "read %s: it changed while it was copied", object->source);
    }
    if (!object->is_big) {
        code = choose_check(stream);
    }
    if (code == STORAGE_OK && object->check.kind == STORAGE_VERIFIED_ETAG &&
        !(stream->md5 = md5_new())) {
        code = storage_fail(&stream->error, STORAGE_BUG, "copy %s: no memory for its sums",
                            object->source);
    }
    return code;
}

static bool take(void *context, uint64_t offset, const void *data, size_t size)
{
    struct stream *stream = context;
    struct upload *upload = stream->object->upload;
    enum storage_code code = offset == 0 ? begin(stream) : STORAGE_OK;
    if (code == STORAGE_OK) {
        stream->crc = storage_crc32(stream->crc, data, size);
        if (stream->md5) {
            md5_add(stream->md5, data, size);
        }
        if (stream->object->check.md5) {
            md5_add(stream->object->check.md5, data, size);
        }
        code = upload->store->backend->upload_piece(upload, stream->offset + offset, data, size,
                                                    &stream->error);
    }
    stream->failed = code != STORAGE_OK;
    return !stream->failed;
}

enum storage_code copy_stream_part(struct copy_engine *engine, struct copy_object *object,
                                   unsigned part, uint64_t size, uint32_t *crc,
                                   struct storage_info *info, struct storage_error *err)
{
    struct storage *source = engine->copy.source;
    struct stream stream = {
        .engine = engine, .object = object, .offset = (uint64_t)part * object->part_size};
    enum storage_code code = source->backend->read_pieces(
        source, object->source, stream.offset, size, object->part_count == 1, object->info.etag,
        take, &stream, &stream.info, err);
    if (stream.failed) {
        *err = stream.error;
        code = stream.error.code;
    }
    if (code == STORAGE_OK && stream.info.size != object->info.size) {
        code = storage_fail(err, STORAGE_CHANGED, "read %s: it changed while it was copied",
                            object->source);
    }
    if (code == STORAGE_OK && stream.md5 &&
        !md5_finish(stream.md5, object->check.part_sums[part])) {
        code = storage_fail(err, STORAGE_BUG, "copy %s: no MD5 to be had", object->source);
    }
    if (code == STORAGE_OK) {
        struct upload *upload = object->upload;
        code = upload->store->backend->upload_part(upload, part + 1, NULL, (size_t)size, stream.crc,
                                                   err);
    }
    *crc = stream.crc;
    *info = stream.info;
    md5_free(stream.md5);
    return code;
}
