/*
 * gzip.h - CRC-32, and files that are gzipped or plain; the one place of model/ that knows zlib.
 *
 * Reading:  gzip_open, gzip_read until all is there, gzip_end, gzip_close (in any case).
 * Writing:  gzip_writer_open, gzip_writer_add…, gzip_writer_commit, gzip_writer_free (in any case).
 *
 * Faults of a file's content are MODEL_DATA with one line that names the file and the byte: of the
 * content, unpacked, where the content is short or long; of the file itself where gzip is broken.
 */
#ifndef MODEL_GZIP_H
#define MODEL_GZIP_H

#include "model/model.h"

struct gzFile_s; /* zlib's gzFile points to it */

/* CRC-32 (IEEE 802.3) of size bytes, going on from crc; begin with 0. By ISA-L: zlib's takes five
   times as long. */
uint32_t gzip_crc32(uint32_t crc, const void *data, size_t size);

struct gzip_reader {
    struct gzFile_s *file; /* NULL: not open */
    const char *path;      /* borrowed */
    size_t offset;         /* bytes of content read so far */
};

/*
 * Opens a file, plain or gzipped: told by its first bytes, not by its name (zlib's gzread). path is
 * kept by reference. MODEL_NOT_FOUND or MODEL_DISK.
 */
enum model_code gzip_open(struct gzip_reader *reader, const char *path, struct model_error *err);

/* Reads size bytes; the number that came is less only at the end of the content or at a fault. */
size_t gzip_read(struct gzip_reader *reader, void *out, size_t size);

/* What made a gzip_read fall short; wanted is the content's size if the file were whole. */
enum model_code gzip_fail(const struct gzip_reader *reader, size_t wanted, struct model_error *err);

/* The content must end here, and gzip's own length and check sum must hold. */
enum model_code gzip_end(struct gzip_reader *reader, struct model_error *err);

/* Also after a failed gzip_open; twice is fine. */
void gzip_close(struct gzip_reader *reader);

struct gzip_writer;

/*
 * Begins a gzip file that is whole or absent (atomic_file.h), without name and time in its header:
 * the same content gives the same bytes. path is kept by reference. *writer is NULL on failure.
 * MODEL_DISK, or MODEL_BUG where memory is out; the same below.
 */
enum model_code gzip_writer_open(struct gzip_writer **writer, const char *path,
                                 struct model_error *err);
enum model_code gzip_writer_add(struct gzip_writer *writer, const void *data, size_t size,
                                struct model_error *err);
/* Makes the file durable and gives it its name. */
enum model_code gzip_writer_commit(struct gzip_writer *writer, struct model_error *err);
/* NULL is fine. What was not committed is gone. */
void gzip_writer_free(struct gzip_writer *writer);

#endif
