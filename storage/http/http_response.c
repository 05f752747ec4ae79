/*
 * http_response.c - what is kept of an answer's headers.
 *
 * One table row per header: its name and the field that holds its text. The few that are numbers
 * or flags follow in http_response_header.
 */
#include "storage/http/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "storage/storage_banned.h"

struct text_header {
    const char *name;
    size_t offset; /* of the field in struct http_response */
    size_t size;
};

#define TEXT_HEADER(name, field)                                                              \
    {                                                                                         \
        name, offsetof(struct http_response, field), sizeof((struct http_response *)0)->field \
    }

static const struct text_header text_headers[] = {
    TEXT_HEADER("etag", etag),
    TEXT_HEADER("x-amz-request-id", request_id),
    TEXT_HEADER("x-obs-request-id", request_id),
    TEXT_HEADER("date", date),
    TEXT_HEADER("last-modified", last_modified),
    TEXT_HEADER("location", location),
    TEXT_HEADER("x-amz-bucket-region", bucket_region),
    TEXT_HEADER("x-amz-checksum-crc32", crc32),
    TEXT_HEADER("x-amz-checksum-type", checksum_type),
    TEXT_HEADER("x-obs-uploadid", upload_id),
    TEXT_HEADER("x-amz-meta-mtime", mtime),
    TEXT_HEADER("x-obs-meta-mtime", mtime),
};

enum {
    NUMBER_MAX = 20 /* digits of UINT64_MAX */
};

void http_response_init(struct http_response *response)
{
    memset(response, 0, sizeof *response);
    buf_init(&response->body, HTTP_BODY_MAX);
}

void http_response_release(struct http_response *response)
{
    buf_release(&response->body);
}

void http_response_clear(struct http_response *response)
{
    struct buf body = response->body;
    struct buf *described = response->described;
    memset(response, 0, sizeof *response);
    response->body = body;
    response->described = described;
    if (described) {
        buf_clear(described);
    }
    buf_clear(&response->body);
}

static bool parse_number(const char *text, size_t size, uint64_t *number)
{
    uint64_t value = 0;
    if (size == 0 || size > NUMBER_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

/* "HTTP/1.1 206 Partial Content" */
static void take_status(struct http_response *response, const char *line, size_t size)
{
    http_response_clear(response);
    const char *space = memchr(line, ' ', size);
    uint64_t status = 0;
    if (space && size - (size_t)(space - line) >= 4 && parse_number(space + 1, 3, &status)) {
        response->status = (int)status;
    }
}

/* W/"abc" and "abc" are abc. */
static void take_etag(const char **value, size_t *size)
{
    if (*size > 2 && strncmp(*value, "W/", 2) == 0) {
        *value += 2;
        *size -= 2;
    }
    if (*size >= 2 && (*value)[0] == '"' && (*value)[*size - 1] == '"') {
        *value += 1;
        *size -= 2;
    }
}

static bool name_is(const char *line, size_t size, const char *name)
{
    return strlen(name) == size && strncasecmp(line, name, size) == 0;
}

static void take_number(struct http_response *response, const char *line, size_t name_size,
                        const char *value, size_t size)
{
    uint64_t number = 0;
    if (name_is(line, name_size, "content-length")) {
        response->has_content_length = parse_number(value, size, &response->content_length);
    } else if (name_is(line, name_size, "transfer-encoding")) {
        response->is_chunked = memmem(value, size, "chunked", 7) != NULL;
    } else if (name_is(line, name_size, "content-range")) {
        const char *slash = memchr(value, '/', size);
        if (slash) {
            response->has_range_total =
                parse_number(slash + 1, size - (size_t)(slash + 1 - value), &response->range_total);
        }
    } else if (name_is(line, name_size, "retry-after")) {
        if (parse_number(value, size, &number)) {
            response->retry_after_s = number > UINT32_MAX ? UINT32_MAX : (unsigned)number;
        } else if (size < sizeof response->retry_at) {
            memcpy(response->retry_at, value, size);
            response->retry_at[size] = '\0';
        }
    }
}

/* SSE-KMS and SSE-C, in AWS's words and in OBS's; plain AES256 keeps the MD5. */
static bool is_opaque_encryption(const char *line, size_t name_size, const char *value, size_t size)
{
    if (name_is(line, name_size, "x-amz-server-side-encryption") ||
        name_is(line, name_size, "x-obs-server-side-encryption")) {
        return memmem(value, size, "kms", 3) != NULL;
    }
    return name_is(line, name_size, "x-amz-server-side-encryption-customer-algorithm") ||
           name_is(line, name_size, "x-obs-server-side-encryption-customer-algorithm");
}

static void take_description(struct buf *described, const char *line, size_t name_size,
                             const char *value, size_t size)
{
    static const char *const names[] = {"cache-control",    "content-disposition",
                                        "content-encoding", "content-language",
                                        "content-type",     "expires"};
    static const char meta[] = "x-amz-meta-";
    bool is_meta = name_size > sizeof meta - 1 && (strncasecmp(line, meta, sizeof meta - 1) == 0 ||
                                                   strncasecmp(line, "x-obs-meta-", 11) == 0);
    bool is_named = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        is_named |= name_is(line, name_size, names[i]);
    }
    if (is_meta) {
        buf_text(described, meta);
        line += sizeof meta - 1;
        name_size -= sizeof meta - 1;
    }
    if (is_meta || is_named) {
        buf_add(described, line, name_size);
        buf_add(described, "", 1);
        buf_add(described, value, size);
        buf_add(described, "", 1);
    }
}

void http_response_header(struct http_response *response, const char *line, size_t size)
{
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r' || line[size - 1] == ' ' ||
                        line[size - 1] == '\t')) {
        size--;
    }
    if (size >= 5 && strncmp(line, "HTTP/", 5) == 0) {
        take_status(response, line, size);
        return;
    }
    const char *colon = memchr(line, ':', size);
    if (!colon) {
        return;
    }
    size_t name_size = (size_t)(colon - line);
    const char *value = colon + 1;
    const char *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    size_t value_size = (size_t)(end - value);
    if (name_is(line, name_size, "x-obs-request-id")) {
        response->is_obs = true;
    }
    if (is_opaque_encryption(line, name_size, value, value_size)) {
        response->etag_is_opaque = true;
    }
    if (response->described) {
        take_description(response->described, line, name_size, value, value_size);
    }
    for (size_t i = 0; i < sizeof text_headers / sizeof *text_headers; i++) {
        const struct text_header *header = &text_headers[i];
        if (!name_is(line, name_size, header->name)) {
            continue;
        }
        if (header->offset == offsetof(struct http_response, etag)) {
            take_etag(&value, &value_size);
        }
        if (value_size < header->size) {
            char *field = (char *)response + header->offset;
            memcpy(field, value, value_size);
            field[value_size] = '\0';
        }
        return;
    }
    take_number(response, line, name_size, value, value_size);
}
