#include "storage/base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

/* What an empty buffer points at, so that data is a string from the start. Never written. */
static char empty[1];

void buf_init(struct buf *buf, size_t ceiling)
{
    assert(ceiling < SIZE_MAX / 4); /* doubling can not overflow */
    *buf = (struct buf){.data = empty, .ceiling = ceiling};
}

void buf_release(struct buf *buf)
{
    if (buf->capacity > 0) {
        free(buf->data);
    }
    buf_init(buf, buf->ceiling);
}

void buf_clear(struct buf *buf)
{
    buf->length = 0;
    buf->failed = false;
    if (buf->capacity > 0) {
        buf->data[0] = '\0';
    }
}

/* Makes room for extra more bytes and the NUL; false, and the mark, when that cannot be. */
static bool reserve(struct buf *buf, size_t extra)
{
    if (buf->failed || extra > buf->ceiling - buf->length) {
        buf->failed = true;
        return false;
    }
    size_t needed = buf->length + extra + 1;
    if (needed <= buf->capacity) {
        return true;
    }
    size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *data = realloc(buf->capacity > 0 ? buf->data : NULL, capacity);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void buf_add(struct buf *buf, const void *data, size_t size)
{
    if (size == 0 || !reserve(buf, size)) {
        return;
    }
    memcpy(buf->data + buf->length, data, size);
    buf->length += size;
    buf->data[buf->length] = '\0';
}

void buf_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_format(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    size_t room = buf->capacity - (buf->capacity > 0 ? buf->length : 0);
    va_start(arguments, format);
    int length = vsnprintf(room > 0 ? buf->data + buf->length : NULL, room, format, arguments);
    va_end(arguments);
    if (room > 0 && (length < 0 || (size_t)length >= room)) {
        buf->data[buf->length] = '\0'; /* what did not fit */
    }
    if (length < 0) {
        buf->failed = true;
        return;
    }
    bool fits = (size_t)length < room;
    if (!reserve(buf, (size_t)length)) {
        if (room > 0) {
            buf->data[buf->length] = '\0';
        }
        return;
    }
    if (fits) {
        buf->length += (size_t)length;
        return;
    }
    va_start(arguments, format);
    vsnprintf(buf->data + buf->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buf->length += (size_t)length;
}

bool buf_ok(const struct buf *buf)
{
    return !buf->failed;
}

char *buf_detach(struct buf *buf)
{
    char *data = buf->capacity > 0 ? buf->data : strdup("");
    buf_init(buf, buf->ceiling);
    return data;
}
