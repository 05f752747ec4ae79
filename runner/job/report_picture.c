#include "runner/job/report_picture.h"

#include "storage/storage.h"

#include <assert.h>
#include <string.h>

#include "runner/runner_banned.h"

enum {
    PNG_MAX = 8 + 25 + 12 + 11 + PICTURE_SIDE_MAX * (PICTURE_SIDE_MAX + 1) + 12
};

struct png {
    uint8_t data[PNG_MAX];
    size_t length;
};

static void put(struct png *png, const void *data, size_t size)
{
    memcpy(png->data + png->length, data, size);
    png->length += size;
}

static void put_number(struct png *png, uint32_t value)
{
    const uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                             (uint8_t)value};
    put(png, bytes, sizeof bytes);
}

static void put_chunk(struct png *png, const char *type, const uint8_t *data, size_t size)
{
    put_number(png, (uint32_t)size);
    size_t begin = png->length;
    put(png, type, 4);
    put(png, data, size);
    put_number(png, storage_crc32(0, png->data + begin, png->length - begin));
}

/* RFC 1950's check value. */
static uint32_t adler32(const uint8_t *data, size_t size)
{
    uint32_t a = 1;
    uint32_t b = 0;
    for (size_t i = 0; i < size; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static void build_png(struct png *png, const uint8_t *pixels, size_t side)
{
    static const uint8_t magic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    const uint8_t header[] = {
        0, 0, 0, (uint8_t)side, 0, 0, 0, (uint8_t)side, 8 /* bits */, 0 /* grey */, 0, 0, 0};
    uint8_t rows[PICTURE_SIDE_MAX * (PICTURE_SIDE_MAX + 1)];
    uint8_t stream[11 + sizeof rows];
    size_t size = side * (side + 1);
    for (size_t y = 0; y < side; y++) {
        rows[y * (side + 1)] = 0; /* no filter */
        memcpy(rows + y * (side + 1) + 1, pixels + y * side, side);
    }
    /* zlib header; one last stored block with its length and the complement; the rows; the check */
    const uint8_t head[] = {0x78,
                            0x01,
                            0x01,
                            (uint8_t)size,
                            (uint8_t)(size >> 8),
                            (uint8_t)~size,
                            (uint8_t)(~size >> 8)};
    uint32_t check = adler32(rows, size);
    const uint8_t tail[] = {(uint8_t)(check >> 24), (uint8_t)(check >> 16), (uint8_t)(check >> 8),
                            (uint8_t)check};
    memcpy(stream, head, sizeof head);
    memcpy(stream + sizeof head, rows, size);
    memcpy(stream + sizeof head + size, tail, sizeof tail);
    png->length = 0;
    put(png, magic, sizeof magic);
    put_chunk(png, "IHDR", header, sizeof header);
    put_chunk(png, "IDAT", stream, sizeof head + size + sizeof tail);
    put_chunk(png, "IEND", header, 0);
}

void report_picture_url(char *url, const uint8_t *pixels, size_t side)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char scheme[] = "data:image/png;base64,";
    struct png png;
    assert(side > 0 && side <= PICTURE_SIDE_MAX);
    build_png(&png, pixels, side);
    memcpy(url, scheme, sizeof scheme - 1);
    char *at = url + sizeof scheme - 1;
    for (size_t i = 0; i < png.length; i += 3) {
        size_t left = png.length - i;
        uint32_t three = (uint32_t)png.data[i] << 16 |
                         (left > 1 ? (uint32_t)png.data[i + 1] << 8 : 0) |
                         (left > 2 ? png.data[i + 2] : 0U);
        *at++ = digits[three >> 18];
        *at++ = digits[three >> 12 & 63];
        *at++ = left > 1 ? digits[three >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[three & 63] : '=';
    }
    *at = '\0';
}
