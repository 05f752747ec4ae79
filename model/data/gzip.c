#include "model/data/gzip.h"

#include <assert.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "model/base/atomic_file.h"
#include "model/model_error.h"

#include "model/model_banned.h"

enum {
    READ_PIECE = 1 << 20, /* bytes; zlib counts in int */
    OUTPUT_SIZE = 1 << 16,
    WINDOW = 15 + 16, /* zlib: largest window, gzip's header (no name, no time) */
    MEMORY = 9
};

struct gzip_writer {
    struct atomic_file file;
    z_stream stream;
    uint8_t output[OUTPUT_SIZE];
};

uint32_t gzip_crc32(uint32_t crc, const void *data, size_t size)
{
    return crc32_gzip_refl(crc, data, size);
}

/* ---- reading -------------------------------------------------------------------------------- */

enum model_code gzip_open(struct gzip_reader *reader, const char *path, struct model_error *err)
{
    errno = 0;
    *reader = (struct gzip_reader){.file = gzopen(path, "rbe"), .path = path};
    if (!reader->file) {
        return model_fail_errno(err, "opening", path, errno ? errno : ENOMEM);
    }
    return MODEL_OK;
}

size_t gzip_read(struct gzip_reader *reader, void *out, size_t size)
{
    size_t got = 0;
    while (got < size) {
        size_t left = size - got;
        int rc = gzread(reader->file, (char *)out + got,
                        left < READ_PIECE ? (unsigned)left : READ_PIECE);
        if (rc <= 0) {
            break;
        }
        got += (size_t)rc;
    }
    reader->offset += got;
    return got;
}

enum model_code gzip_fail(const struct gzip_reader *reader, size_t wanted, struct model_error *err)
{
    int zlib_code = Z_OK;
    const char *text = gzerror(reader->file, &zlib_code);
    if (zlib_code == Z_ERRNO) {
        return model_fail_errno(err, "reading", reader->path, errno);
    }
    long long gzip_offset = gzoffset(reader->file);
    if (zlib_code == Z_BUF_ERROR) {
        return model_fail(err, MODEL_DATA,
                          "reading %s: the gzip data is cut short at byte %lld, after %zu bytes of "
                          "content",
                          reader->path, gzip_offset, reader->offset);
    }
    if (zlib_code == Z_MEM_ERROR) {
        return model_fail(err, MODEL_BUG, "reading %s: no memory", reader->path);
    }
    if (zlib_code != Z_OK && zlib_code != Z_STREAM_END) {
        const char *reason = strstr(text, ": ");
        return model_fail(err, MODEL_DATA,
                          "reading %s: the gzip data is damaged before byte %lld: %s", reader->path,
                          gzip_offset, reason ? reason + 2 : text);
    }
    return model_fail(err, MODEL_DATA, "reading %s: the file ends at byte %zu of %zu", reader->path,
                      reader->offset, wanted);
}

enum model_code gzip_end(struct gzip_reader *reader, struct model_error *err)
{
    size_t size = reader->offset;
    uint8_t extra;
    if (gzip_read(reader, &extra, 1) > 0) {
        return model_fail(err, MODEL_DATA,
                          "reading %s: the file goes on after byte %zu, where its header ends it",
                          reader->path, size);
    }
    int zlib_code = Z_OK;
    gzerror(reader->file, &zlib_code);
    return zlib_code == Z_OK ? MODEL_OK : gzip_fail(reader, size, err);
}

void gzip_close(struct gzip_reader *reader)
{
    if (reader->file) {
        gzclose_r(reader->file);
        reader->file = NULL;
    }
}

/* ---- writing -------------------------------------------------------------------------------- */

enum model_code gzip_writer_open(struct gzip_writer **writer, const char *path,
                                 struct model_error *err)
{
    *writer = NULL;
    struct gzip_writer *opened = calloc(1, sizeof *opened);
    if (!opened || deflateInit2(&opened->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW, MEMORY,
                                Z_DEFAULT_STRATEGY) != Z_OK) {
        free(opened);
        return model_fail(err, MODEL_BUG, "write %s: no memory", path);
    }
    enum model_code code = atomic_file_open(&opened->file, path, err);
    if (code != MODEL_OK) {
        gzip_writer_free(opened);
        return code;
    }
    *writer = opened;
    return MODEL_OK;
}

/* Compresses size bytes, or with Z_FINISH ends the file. */
static enum model_code compress_bytes(struct gzip_writer *writer, const void *data, size_t size,
                                      int flush, struct model_error *err)
{
    assert(size <= UINT_MAX);
    writer->stream.next_in = (z_const Bytef *)data;
    writer->stream.avail_in = (uInt)size;
    do {
        writer->stream.next_out = writer->output;
        writer->stream.avail_out = OUTPUT_SIZE;
        int result = deflate(&writer->stream, flush);
        assert(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
        (void)result;
        enum model_code code = atomic_file_write(&writer->file, writer->output,
                                                 OUTPUT_SIZE - writer->stream.avail_out, err);
        if (code != MODEL_OK) {
            return code;
        }
    } while (writer->stream.avail_out == 0);
    return MODEL_OK;
}

enum model_code gzip_writer_add(struct gzip_writer *writer, const void *data, size_t size,
                                struct model_error *err)
{
    return compress_bytes(writer, data, size, Z_NO_FLUSH, err);
}

enum model_code gzip_writer_commit(struct gzip_writer *writer, struct model_error *err)
{
    enum model_code code = compress_bytes(writer, NULL, 0, Z_FINISH, err);
    return code == MODEL_OK ? atomic_file_commit(&writer->file, err) : code;
}

void gzip_writer_free(struct gzip_writer *writer)
{
    if (writer) {
        atomic_file_release(&writer->file);
        deflateEnd(&writer->stream);
        free(writer);
    }
}
