/* outgoing.c - the words of one try: target, headers, signature; see outgoing.h. */
#include "storage/s3/outgoing.h"

#include "storage/base/date.h"
#include "storage/base/digest.h"
#include "storage/base/url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "storage/storage_banned.h"

enum {
    TEXT_MAX = 64 * 1024
};

static const char unsigned_payload[] = "UNSIGNED-PAYLOAD";

void outgoing_init(struct outgoing *out)
{
    memset(out, 0, sizeof *out);
    buf_init(&out->url, OUTGOING_URL_MAX);
    buf_init(&out->path, OUTGOING_URL_MAX);
    buf_init(&out->resource, OUTGOING_URL_MAX);
    buf_init(&out->host, 1024);
    buf_init(&out->lines, TEXT_MAX);
    buf_init(&out->authorization, TEXT_MAX);
}

void outgoing_release(struct outgoing *out)
{
    buf_release(&out->url);
    buf_release(&out->path);
    buf_release(&out->resource);
    buf_release(&out->host);
    buf_release(&out->lines);
    buf_release(&out->authorization);
}

static bool outgoing_ok(const struct outgoing *out)
{
    return buf_ok(&out->url) && buf_ok(&out->path) && buf_ok(&out->resource) &&
           buf_ok(&out->host) && buf_ok(&out->lines) && buf_ok(&out->authorization) &&
           out->count < HTTP_HEADERS_MAX;
}

static void add_header(struct outgoing *out, const char *name, const char *value)
{
    if (out->count < HTTP_HEADERS_MAX) {
        out->headers[out->count++] = (struct sign_pair){name, value};
    }
}

/* OBS's own dialect has the same headers under another prefix. */
static bool speaks_obs(const struct attempt *attempt)
{
    return attempt->signature == STORAGE_SIGN_OBS ||
           (attempt->signature == STORAGE_SIGN_NONE && attempt->is_obs);
}

static void add_service_header(struct outgoing *out, const struct attempt *attempt,
                               const char *name, const char *value)
{
    if (speaks_obs(attempt) && strncmp(name, "x-amz-", 6) == 0 && out->count < HTTP_HEADERS_MAX) {
        char *renamed = out->names[out->count];
        snprintf(renamed, sizeof out->names[0], "x-obs-%s", name + 6);
        name = renamed;
    }
    add_header(out, name, value);
}

static void build_target(struct outgoing *out, const struct s3_store *store,
                         const struct attempt *attempt, const struct s3_request *request)
{
    const char *bucket = store->base.bucket;
    buf_format(&out->resource, "/%s/", bucket);
    buf_text(&out->path, attempt->endpoint.is_virtual ? "/" : out->resource.data);
    if (request->key) {
        url_encode_path(&out->path, request->key);
        url_encode_path(&out->resource, request->key);
    }
    endpoint_add_host(&out->host, &attempt->endpoint, bucket);
    buf_format(&out->url, "%s://%s%s", attempt->endpoint.is_https ? "https" : "http",
               out->host.data, out->path.data);
    for (size_t i = 0; i < request->query_count; i++) {
        buf_char(&out->url, i == 0 ? '?' : '&');
        url_encode_query(&out->url, request->query[i].name);
        if (request->query[i].value) {
            buf_char(&out->url, '=');
            url_encode_query(&out->url, request->query[i].value);
        }
    }
}

/* What the signature covers beside Host; in the order in which it is sent. */
static void build_headers(struct outgoing *out, const struct s3_store *store,
                          const struct attempt *attempt, const struct s3_request *request,
                          const char *payload)
{
    add_header(out, "Host", out->host.data);
    for (size_t i = 0; i < request->header_count; i++) {
        add_service_header(out, attempt, request->headers[i].name, request->headers[i].value);
    }
    struct sign_pair extras[EXTRAS_VALUES];
    size_t count = extras_list(&store->extras, request->copied, request->extras,
                               speaks_obs(attempt), extras, EXTRAS_VALUES);
    for (size_t i = 0; i < count; i++) {
        add_service_header(out, attempt, extras[i].name, extras[i].value);
    }
    if (attempt->signature == STORAGE_SIGN_NONE) {
        return;
    }
    if (attempt->signature == STORAGE_SIGN_V4) {
        date_format_amz(out->date, attempt->now);
        add_header(out, "x-amz-content-sha256", payload);
    } else {
        date_format_http(out->date, attempt->now);
    }
    add_service_header(out, attempt, "x-amz-date", out->date);
    if (attempt->keys->session_token[0]) {
        add_service_header(out, attempt, "x-amz-security-token", attempt->keys->session_token);
    }
}

/* Proxies and curl may touch others; those of S3 and of the body must arrive as they are. */
static bool is_covered(const char *name)
{
    return strncasecmp(name, "x-amz-", 6) == 0 || strcasecmp(name, "host") == 0 ||
           strcasecmp(name, "content-type") == 0 || strcasecmp(name, "content-md5") == 0;
}

static void keep_day_key(struct s3_store *store, const struct attempt *attempt,
                         const struct sign_day_key *day_key)
{
    if (strcmp(day_key->scope, attempt->day_key.scope) != 0) {
        pthread_mutex_lock(&store->lock);
        store->day_key = *day_key;
        pthread_mutex_unlock(&store->lock);
    }
}

static void sign(struct outgoing *out, struct s3_store *store, const struct attempt *attempt,
                 const struct s3_request *request, const char *payload)
{
    if (attempt->signature == STORAGE_SIGN_NONE) {
        return;
    }
    struct sign_pair covered[HTTP_HEADERS_MAX];
    size_t count = 0;
    struct buf canonical, string;
    buf_init(&canonical, 2 * TEXT_MAX);
    buf_init(&string, 2 * TEXT_MAX);
    struct sign_day_key day_key = attempt->day_key;
    struct sign_keys keys = {attempt->keys->access_key,
                             attempt->keys->secret_key,
                             attempt->endpoint.region,
                             "s3",
                             &day_key,
                             attempt->keys->generation};
    struct sign_request subject = {
        .method = request->method,
        .path = out->path.data,
        .resource = out->resource.data,
        .query = request->query,
        .query_count = request->query_count,
        .headers = out->headers,
        .header_count = out->count,
        .payload = payload,
    };
    if (attempt->signature == STORAGE_SIGN_V4) {
        for (size_t i = 0; i < out->count; i++) {
            if (is_covered(out->headers[i].name)) {
                covered[count++] = out->headers[i];
            }
        }
        subject.headers = covered;
        subject.header_count = count;
        sign_v4_canonical(&canonical, &subject);
        sign_v4_string(&string, canonical.data, &keys, attempt->now);
        sign_v4_authorization(&out->authorization, string.data, &subject, &keys, attempt->now);
    } else {
        enum sign_dialect dialect = attempt->signature == STORAGE_SIGN_OBS ? SIGN_OBS : SIGN_V2;
        sign_obs_canonical(&canonical, &subject, dialect);
        sign_obs_string(&string, canonical.data, &subject, ""); /* the date is a header of theirs */
        sign_obs_authorization(&out->authorization, string.data, &keys, dialect);
    }
    keep_day_key(store, attempt, &day_key);
    digest_wipe(&day_key, sizeof day_key);
    out->authorization.failed |= canonical.failed || string.failed;
    buf_release(&canonical);
    buf_release(&string);
    if (out->authorization.length > 0) {
        add_header(out, "Authorization", out->authorization.data);
    }
}

/* The headers as lines; pointers are taken when the text no longer moves. */
static void build_lines(struct outgoing *out)
{
    for (size_t i = 1; i < out->count; i++) {
        buf_format(&out->lines, "%s: %s", out->headers[i].name, out->headers[i].value);
        buf_add(&out->lines, "", 1);
    }
    const char *line = out->lines.data;
    for (size_t i = 1; i < out->count && buf_ok(&out->lines); i++) {
        out->pointers[i - 1] = line;
        line += strlen(line) + 1;
    }
}

/*
 * What x-amz-content-sha256 says: over TLS, and to OBS in any case, that the body is not signed;
 * else its SHA-256. hash keeps that for the next try. NULL: no SHA-256 here.
 */
static const char *choose_payload(const struct s3_store *store, const struct attempt *attempt,
                                  const struct s3_request *request, struct buf *hash)
{
    if (attempt->endpoint.is_https || attempt->is_obs || store->config.access.unsigned_payload) {
        return unsigned_payload;
    }
    if (request->read) {
        return request->sha256; /* NULL: whoever gives the body did not know better */
    }
    if (hash->length == 0) {
        uint8_t digest[SHA256_SIZE];
        const void *body = request->body ? request->body : "";
        if (!digest_sha256(digest, body, request->body_size)) {
            return NULL;
        }
        digest_add_hex(hash, digest, sizeof digest);
    }
    return buf_ok(hash) ? hash->data : NULL;
}

bool outgoing_build(struct outgoing *out, struct s3_store *store, const struct attempt *attempt,
                    const struct s3_request *request, struct buf *hash)
{
    const char *payload = choose_payload(store, attempt, request, hash);
    if (!payload) {
        return false;
    }
    build_target(out, store, attempt, request);
    build_headers(out, store, attempt, request, payload);
    sign(out, store, attempt, request, payload);
    build_lines(out);
    return outgoing_ok(out);
}
