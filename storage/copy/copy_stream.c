/*
 * copy_stream.c - parts that go between the wire and a file without being kept.
 *
 * Each piece is summed while it is in the processor's cache, then written where it belongs; a part
 * of 8 MiB held in memory first would leave the cache twice, and many of them are what a copy's
 * memory is made of. Parts of one file get in each other's way, for the kernel lets one thread at a
 * time write to a file: they are written in pieces of 256 KiB, each gathered in the cache first. A
 * part that breaks is begun again, with its sums; what was written of it is written over, and
 * nothing is visible before the whole has been checked.
 *
 * Not for an object of several parts whose only sum is an MD5: that wants all bytes in order.
 *
 * To a store a part is read twice, first for its sums, then piece by piece as it is sent; both come
 * from the page cache. The store is told a sum of what it gets: so what was sent is what was
 * summed, and what was summed was read from a file that did not change meanwhile.
 */
#include "storage/copy/copy_engine.h"
#include "storage/storage_error.h"

#include <string.h>

#include "storage/storage_banned.h"

static const uint64_t stream_least = 1024 * 1024; /* less is in the cache anyway */

enum {
    SUM_PIECE = 256 * 1024,  /* half of a small second-level cache */
    WRITE_PIECE = SUM_PIECE, /* of a file that other parts are written to as well */
};

/* ---- from the wire -------------------------------------------------------------------------- */

struct stream {
    struct copy_engine *engine;
    struct copy_object *object;
    uint64_t offset; /* of the part */
    struct storage_info info;
    uint32_t crc;
    struct md5 *md5; /* of the part; NULL: not wanted */
    char *held;      /* the worker's: what is to be written from held_from on */
    size_t held_size;
    size_t held_most; /* 0: nothing is held */
    uint64_t held_from;
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
    stream->held_size = 0;
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

static enum storage_code write_piece(struct stream *stream, uint64_t offset, const void *data,
                                     size_t size)
{
    struct upload *upload = stream->object->upload;
    return upload->store->backend->upload_piece(upload, stream->offset + offset, data, size,
                                                &stream->error);
}

static enum storage_code write_held(struct stream *stream)
{
    size_t size = stream->held_size;
    stream->held_size = 0;
    return size > 0 ? write_piece(stream, stream->held_from, stream->held, size) : STORAGE_OK;
}

/* Writes a piece, or holds it until enough have come. */
static enum storage_code add_piece(struct stream *stream, uint64_t offset, const void *data,
                                   size_t size)
{
    enum storage_code code =
        size > stream->held_most - stream->held_size ? write_held(stream) : STORAGE_OK;
    if (code != STORAGE_OK || size > stream->held_most) {
        return code == STORAGE_OK ? write_piece(stream, offset, data, size) : code;
    }
    if (stream->held_size == 0) {
        stream->held_from = offset;
    }
    memcpy(stream->held + stream->held_size, data, size);
    stream->held_size += size;
    return STORAGE_OK;
}

static bool take(void *context, uint64_t offset, const void *data, size_t size)
{
    struct stream *stream = context;
    enum storage_code code = offset == 0 ? begin(stream) : STORAGE_OK;
    if (code == STORAGE_OK) {
        stream->crc = storage_crc32(stream->crc, data, size);
        if (stream->md5) {
            md5_add(stream->md5, data, size);
        }
        if (stream->object->check.md5) {
            md5_add(stream->object->check.md5, data, size);
        }
        code = add_piece(stream, offset, data, size);
    }
    stream->failed = code != STORAGE_OK;
    return !stream->failed;
}

enum storage_code copy_stream_part(struct copy_worker *worker, struct copy_object *object,
                                   unsigned part, uint64_t size, uint32_t *crc,
                                   struct storage_info *info, struct storage_error *err)
{
    struct storage *source = worker->engine->copy.source;
    struct stream stream = {
        .engine = worker->engine, .object = object, .offset = (uint64_t)part * object->part_size};
    if (object->is_big && worker->buffer) {
        stream.held = worker->buffer;
        stream.held_most = worker->capacity < WRITE_PIECE ? worker->capacity : WRITE_PIECE;
    }
    enum storage_code code = source->backend->read_pieces(
        source, object->source, stream.offset, size, object->part_count == 1, object->info.etag,
        take, &stream, &stream.info, err);
    if (code == STORAGE_OK) {
        code = write_held(&stream);
        stream.failed = code != STORAGE_OK;
    }
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

/* ---- to the wire ---------------------------------------------------------------------------- */

bool copy_may_send(const struct copy_engine *engine, uint64_t size)
{
    return size >= stream_least && engine->copy.source->backend->reader_open &&
           engine->copy.destination->backend->upload_part_body;
}

static bool give(void *context, uint64_t offset, void *data, size_t size)
{
    struct copy_sending *sending = context;
    struct storage_error again; /* a second one is a consequence of the first, or the same */
    struct storage_error *err = sending->error.code == STORAGE_OK ? &sending->error : &again;
    return sending->backend->reader_read(sending->reader, sending->offset + offset, data, size,
                                         err) == STORAGE_OK;
}

/* The sums of a body under way; NULL: not wanted. */
struct body_sums {
    struct sha256 *sha256;
    struct md5 *md5;
};

static enum storage_code read_body(struct copy_worker *worker, struct copy_sending *sending,
                                   const struct body_sums *sums, struct storage_error *err)
{
    struct upload_body *body = &sending->body;
    size_t most = worker->capacity < SUM_PIECE ? worker->capacity : SUM_PIECE;
    for (size_t done = 0; done < body->size;) {
        size_t piece = body->size - done < most ? body->size - done : most;
        enum storage_code code = sending->backend->reader_read(
            sending->reader, sending->offset + done, worker->buffer, piece, err);
        if (code != STORAGE_OK) {
            return code;
        }
        body->crc32 = storage_crc32(body->crc32, worker->buffer, piece);
        if (sums->sha256) {
            sha256_add(sums->sha256, worker->buffer, piece);
        }
        if (sums->md5) {
            md5_add(sums->md5, worker->buffer, piece);
        }
        done += piece;
        if (copy_is_stopped(worker->engine)) {
            return storage_fail(err, STORAGE_STOPPED, "read: stopped on request");
        }
    }
    return STORAGE_OK;
}

/* Sums the body, as its upload wants it. */
static enum storage_code sum_body(struct copy_worker *worker, const struct copy_object *object,
                                  struct copy_sending *sending, struct storage_error *err)
{
    struct upload_body *body = &sending->body;
    struct body_wants wants = {0};
    uint8_t digest[SHA256_SIZE];
    struct buf hex;
    object->upload->store->backend->upload_body_wants(object->upload, &wants);
    struct body_sums sums = {.sha256 = wants.sha256 ? sha256_new() : NULL,
                             .md5 = wants.md5 ? md5_new() : NULL}; /* some machines have no MD5 */
    enum storage_code code = read_body(worker, sending, &sums, err);
    if (code == STORAGE_OK && wants.sha256) {
        buf_init(&hex, sizeof body->sha256 - 1);
        if (sums.sha256 && sha256_finish(sums.sha256, digest)) {
            digest_add_hex(&hex, digest, sizeof digest);
            memcpy(body->sha256, hex.data, hex.length + 1);
        } else {
            code = storage_fail(err, STORAGE_BUG, "copy %s: no SHA-256 to be had", object->source);
        }
        buf_release(&hex);
    }
    body->has_md5 = sums.md5 && md5_finish(sums.md5, body->md5);
    sha256_free(sums.sha256);
    md5_free(sums.md5);
    return code;
}

/* Whether a file is still what was listed. */
static enum storage_code check_file(const struct copy_object *object,
                                    const struct storage_info *info, struct storage_error *err)
{
    return info->size == object->info.size && info->mtime_ns == object->info.mtime_ns
               ? STORAGE_OK
               : storage_fail(err, STORAGE_CHANGED, "read %s: it changed while it was copied",
                              object->source);
}

enum storage_code copy_send_begin(struct copy_worker *worker, const struct copy_object *object,
                                  unsigned part, size_t size, struct copy_sending *sending,
                                  struct storage_error *err)
{
    struct storage *source = worker->engine->copy.source;
    struct storage_info info = {0};
    *sending = (struct copy_sending){.backend = source->backend,
                                     .offset = (uint64_t)part * object->part_size};
    sending->body = (struct upload_body){.read = give, .context = sending, .size = size};
    enum storage_code code =
        worker->buffer
            ? source->backend->reader_open(&sending->reader, source, object->source, &info, err)
            : storage_fail(err, STORAGE_BUG, "copy %s: no memory", object->source);
    if (code == STORAGE_OK) {
        code = check_file(object, &info, err);
    }
    if (code == STORAGE_OK) {
        code = sum_body(worker, object, sending, err);
    }
    if (code == STORAGE_OK) {
        code = source->backend->reader_look(sending->reader, &info, err);
    }
    return code == STORAGE_OK ? check_file(object, &info, err) : code;
}

enum storage_code copy_send_cause(const struct copy_sending *sending, enum storage_code code,
                                  struct storage_error *err)
{
    if (code != STORAGE_OK && sending->error.code != STORAGE_OK) {
        *err = sending->error;
        code = err->code;
    }
    return code;
}

void copy_send_end(struct copy_sending *sending)
{
    if (sending->reader) {
        sending->backend->reader_close(sending->reader);
    }
}
