/*
 * url.c - what people type (s3://bucket/key, obs://…, file:///path, a path), percent-encoding, and
 * names that may be written below a destination.
 *
 * Keys in s3:// URLs are taken byte for byte: "%20" in one means the three characters, as in the
 * other S3 command lines; '?' and '#' are parts of a key.
 */
#include "storage/base/url.h"

#include "storage/storage_error.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "storage/storage_banned.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* ---- percent-encoding ----------------------------------------------------------------------- */

static void encode(struct buf *out, const char *text, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    for (const char *at = text; *at; at++) {
        char c = *at;
        if (is_letter(c) || is_digit(c) || strchr("-_.~", c) || (c == '/' && keep_slash)) {
            buf_char(out, c);
        } else {
            unsigned byte = (unsigned char)c;
            char escaped[3] = {'%', digits[byte >> 4], digits[byte & 15]};
            buf_add(out, escaped, sizeof escaped);
        }
    }
}

void url_encode_path(struct buf *out, const char *text)
{
    encode(out, text, true);
}

void url_encode_query(struct buf *out, const char *text)
{
    encode(out, text, false);
}

/* The value of a hex digit, or -1. */
static int hex_value(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool url_decode(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        if (*in == '+') {
            *out++ = ' ';
        } else if (*in == '%') {
            int high = hex_value(in[1]);
            int low = high < 0 ? -1 : hex_value(in[2]);
            if (low < 0 || high + low == 0) {
                return false;
            }
            *out++ = (char)(unsigned char)(high * 16 + low);
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    return true;
}

/* ---- URLs ----------------------------------------------------------------------------------- */

static enum storage_code refuse(struct storage_error *err, const char *text, const char *why)
{
    /* Keys written before an '@', as people do in https:// URLs, must not reach a log. */
    const char *authority = strstr(text, "://");
    const char *at = authority ? strchr(authority, '@') : NULL;
    if (at && (size_t)(at - authority - 3) < strcspn(authority + 3, "/")) {
        text = at;
    }
    enum storage_code code = storage_fail(err, STORAGE_USAGE, "parse '%.1024s': %s", text, why);
    if (err) {
        snprintf(err->operation, sizeof err->operation, "parse URL");
        snprintf(err->target, sizeof err->target, "%s", text);
    }
    storage_hint(err, "write s3://bucket/key, obs://bucket/key, file:///path or a path; a path "
                      "with a colon as ./a:b");
    return code;
}

/*
 * The length of a scheme that text begins with, 0 when it is a path. "a:b" is a path, "a:/b" is
 * not, and our own schemes are schemes even when the slashes are forgotten.
 */
static size_t scheme_length(const char *text)
{
    if (!is_letter(text[0])) {
        return 0;
    }
    size_t length = 1;
    while (is_letter(text[length]) || is_digit(text[length]) ||
           (text[length] && strchr("+-.", text[length]))) {
        length++;
    }
    if (text[length] != ':') {
        return 0;
    }
    bool ours = (length == 2 && strncasecmp(text, "s3", 2) == 0) ||
                (length == 3 && strncasecmp(text, "obs", 3) == 0) ||
                (length == 4 && strncasecmp(text, "file", 4) == 0);
    return ours || text[length + 1] == '/' ? length : 0;
}

/*
 * Why no store takes a bucket of this name; NULL: some may. The rules are the union of what AWS
 * (also its old names), OBS, MinIO and Ceph accept.
 */
static const char *bucket_fault(const char *name, size_t length)
{
    if (length == 0) {
        return "the bucket is missing";
    }
    if (length < 3 || length > STORAGE_BUCKET_MAX) {
        return "a bucket name has 3 to 63 characters";
    }
    for (size_t i = 0; i < length; i++) {
        if (!is_letter(name[i]) && !is_digit(name[i]) && (i == 0 || !strchr("-_.", name[i]))) {
            return "a bucket name is letters, digits, '-' and '.'";
        }
        if (name[i] == '.' && name[i - 1] == '.') {
            return "a bucket name has no two dots in a row";
        }
    }
    return NULL;
}

static enum storage_code parse_path(struct storage_url *url, const char *text, const char *path,
                                    struct storage_error *err)
{
    size_t length = strlen(path);
    if (length >= STORAGE_PATH_MAX) {
        return refuse(err, text, "the path is longer than 4095 bytes");
    }
    url->kind = STORAGE_LOCAL;
    memcpy(url->key, path, length + 1);
    return STORAGE_OK;
}

enum storage_code storage_url_parse(struct storage_url *url, const char *text,
                                    struct storage_error *err)
{
    memset(url, 0, sizeof *url);
    if (!text || !*text) {
        return refuse(err, "", "it is empty");
    }
    size_t scheme = scheme_length(text);
    if (scheme == 0) {
        return parse_path(url, text, text, err);
    }
    bool local = scheme == 4 && strncasecmp(text, "file", 4) == 0;
    bool bucket_scheme = (scheme == 2 && strncasecmp(text, "s3", 2) == 0) ||
                         (scheme == 3 && strncasecmp(text, "obs", 3) == 0);
    if (!local && !bucket_scheme) {
        return refuse(err, text, "this scheme is not known");
    }
    const char *rest = text + scheme + 1;
    if (rest[0] != '/' || rest[1] != '/') {
        return refuse(err, text, "two slashes must follow the colon");
    }
    rest += 2;
    if (local) {
        if (rest[0] != '/') {
            return refuse(err, text, "file: takes an absolute path after two slashes");
        }
        return parse_path(url, text, rest, err);
    }
    size_t bucket = strcspn(rest, "/");
    const char *fault = bucket_fault(rest, bucket);
    if (fault) {
        return refuse(err, text, fault);
    }
    const char *key = rest[bucket] == '/' ? rest + bucket + 1 : rest + bucket;
    size_t key_length = strlen(key);
    if (key_length > STORAGE_KEY_MAX) {
        return refuse(err, text, "the key is longer than 1024 bytes");
    }
    url->kind = STORAGE_S3;
    memcpy(url->bucket, rest, bucket);
    memcpy(url->key, key, key_length + 1);
    return STORAGE_OK;
}

void storage_url_format(const struct storage_url *url, char *text, size_t size)
{
    if (url->kind == STORAGE_LOCAL) {
        snprintf(text, size, "%s", url->key);
    } else {
        snprintf(text, size, "s3://%s/%s", url->bucket, url->key);
    }
}

/* ---- names ---------------------------------------------------------------------------------- */

bool storage_join(char *out, size_t size, const char *base, const char *name)
{
    size_t base_length = strlen(base);
    bool slash = base_length > 0;
    while (base_length > 0 && base[base_length - 1] == '/') {
        base_length--;
    }
    while (slash && *name == '/') {
        name++;
    }
    size_t name_length = strlen(name);
    if (base_length + slash + name_length >= size) {
        return false;
    }
    for (size_t i = 0; i < base_length; i++) {
        out[i] = base[i]; /* out may be base */
    }
    out[base_length] = slash ? '/' : '\0';
    memcpy(out + base_length + slash, name, name_length + 1);
    return true;
}

/* Why name must not be written below a destination; NULL: it may. */
static const char *name_fault(const char *name)
{
    if (!*name) {
        return "it is empty";
    }
    if (*name == '/') {
        return "it is absolute";
    }
    for (const char *at = name; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c < 0x20 || c == 0x7f) {
            return "it holds a control character";
        }
    }
    for (const char *segment = name; *segment;) {
        size_t length = strcspn(segment, "/");
        if (length == 0) {
            return "it holds an empty segment (//)";
        }
        if (strncmp(segment, "..", length) == 0 && length <= 2) {
            return length == 2 ? "it holds a '..' segment" : "it holds a '.' segment";
        }
        segment += length + (segment[length] == '/');
    }
    return NULL;
}

bool storage_name_is_safe(const char *name, const char **why)
{
    const char *fault = name_fault(name);
    if (why) {
        *why = fault;
    }
    return !fault;
}
