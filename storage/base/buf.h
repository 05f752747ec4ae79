/*
 * buf.h - a growing byte buffer with a ceiling and sticky failure.
 *
 * Appends return nothing; the first one that would pass the ceiling, or finds no memory, marks the
 * buffer failed, later ones do nothing, and buf_ok() is asked once at the end (as ferror works).
 * data is always NUL-terminated, also when empty.
 */
#ifndef STORAGE_BUF_H
#define STORAGE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;    /* owned; never NULL after buf_init, but do not free it while length is 0 */
    size_t length; /* bytes, without the NUL */
    size_t capacity;
    size_t ceiling; /* length never passes it */
    bool failed;
};

void buf_init(struct buf *buf, size_t ceiling);
void buf_release(struct buf *buf); /* frees; the buffer may be used again after buf_init */
void buf_clear(struct buf *buf);   /* length 0, failure forgotten, memory kept */
void buf_add(struct buf *buf, const void *data, size_t size);
void buf_text(struct buf *buf, const char *text);
void buf_char(struct buf *buf, char c);
void buf_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_ok(const struct buf *buf);
/* Moves the bytes out as a malloc'ed NUL-terminated string and leaves the buffer empty. */
char *buf_detach(struct buf *buf);

#endif
