/*
 * ckpt_wire.h - one chunk of a .ckpt: bytes to entry and back (protobuf-c lives behind this).
 *
 * A .ckpt has no header, no length and no end mark: it is one serialised Checkpoint message a
 * tensor (or a slice of one), laid end to end:
 *
 *   0A len ( 0A len tag   12 len ( (08 varint)*dims   12 len type   1A len content ) )
 *
 * We walk these chunks ourselves, so that an error can say which one and at which byte, and leave
 * what is inside to protobuf-c.
 */
#ifndef MODEL_CKPT_WIRE_H
#define MODEL_CKPT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One chunk's content; the pointers belong to `message`. */
struct wire_entry {
    const char *tag;
    const char *type;
    const int64_t *dims;
    size_t rank; /* as written: a scalar has one dim of 0, or none */
    const void *content;
    size_t content_size;
    void *message; /* NULL: nothing to release */
};

enum wire_result {
    WIRE_ENTRY,
    WIRE_END,    /* position is the end of the data */
    WIRE_CUT,    /* the chunk is longer than what is left */
    WIRE_NO_CKPT /* the bytes are not such a chunk */
};

/* Reads the chunk at *position and moves *position behind it. Release the entry. */
enum wire_result wire_read(const uint8_t *data, size_t size, size_t *position,
                           struct wire_entry *entry);
void wire_release(struct wire_entry *entry);

/* Bytes of the chunk of an entry. */
size_t wire_size(const struct wire_entry *entry);
/* Lays the chunk of an entry down at out, which has room for wire_size bytes; returns those. */
size_t wire_pack(const struct wire_entry *entry, uint8_t *out);

#endif
