/*
 * presign.c - URLs that carry their own permission: whoever has one may make that one request with
 * it until it expires, with curl or a browser.
 *
 * SigV4 (S3 API reference, "Authenticating Requests: Using Query Parameters") signs a date and a
 * duration of at most a week; OBS's signature and V2 (OBS API reference, "Authentication of
 * Signature in a URL") sign the second at which it ends. Nothing is asked of the store.
 */
#include "storage/s3/s3.h"

#include "storage/base/date.h"
#include "storage/base/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    WEEK_S = 604800, /* S3's limit */
    PIECE_MAX = 32 * 1024,
    PARAMETERS_MAX = 8
};

enum text {
    HOST,
    PATH,
    RESOURCE,
    CREDENTIAL,
    CANONICAL,
    STRING,
    MAC,
    TEXTS
};

/* A URL under way. */
struct presign {
    const struct s3_store *store;
    struct endpoint endpoint;
    enum storage_signature signature;
    struct credentials_keys *keys; /* held */
    struct buf texts[TEXTS];
    struct sign_pair query[PARAMETERS_MAX];
    size_t count;
    char date[DATE_AMZ_SIZE];
    char number[24];
};

static void add(struct presign *presign, const char *name, const char *value)
{
    presign->query[presign->count++] = (struct sign_pair){name, value};
}

static struct sign_keys keys_of(const struct presign *presign)
{
    return (struct sign_keys){presign->keys->access_key,
                              presign->keys->secret_key,
                              presign->endpoint.region,
                              "s3",
                              NULL,
                              0};
}

static void sign_v4(struct presign *presign, const char *method, int64_t now, int64_t seconds)
{
    const struct sign_pair host = {"host", presign->texts[HOST].data};
    struct sign_keys keys = keys_of(presign);
    date_format_amz(presign->date, now);
    buf_format(&presign->texts[CREDENTIAL], "%s/", keys.access_key);
    sign_v4_scope(&presign->texts[CREDENTIAL], &keys, now);
    snprintf(presign->number, sizeof presign->number, "%" PRId64, seconds);
    add(presign, "X-Amz-Algorithm", "AWS4-HMAC-SHA256");
    add(presign, "X-Amz-Credential", presign->texts[CREDENTIAL].data);
    add(presign, "X-Amz-Date", presign->date);
    add(presign, "X-Amz-Expires", presign->number);
    if (presign->keys->session_token[0]) {
        add(presign, "X-Amz-Security-Token", presign->keys->session_token);
    }
    add(presign, "X-Amz-SignedHeaders", "host");
    const struct sign_request request = {.method = method,
                                         .path = presign->texts[PATH].data,
                                         .query = presign->query,
                                         .query_count = presign->count,
                                         .headers = &host,
                                         .header_count = 1,
                                         .payload = "UNSIGNED-PAYLOAD"};
    sign_v4_canonical(&presign->texts[CANONICAL], &request);
    sign_v4_string(&presign->texts[STRING], presign->texts[CANONICAL].data, &keys, now);
    sign_v4_signature(&presign->texts[MAC], presign->texts[STRING].data, &keys, now);
    add(presign, "X-Amz-Signature", presign->texts[MAC].data);
}

static void sign_obs(struct presign *presign, const char *method, int64_t expires_at)
{
    bool is_obs = presign->signature == STORAGE_SIGN_OBS;
    struct sign_keys keys = keys_of(presign);
    snprintf(presign->number, sizeof presign->number, "%" PRId64, expires_at);
    add(presign, is_obs ? "AccessKeyId" : "AWSAccessKeyId", keys.access_key);
    add(presign, "Expires", presign->number);
    if (presign->keys->session_token[0]) {
        add(presign, is_obs ? "x-obs-security-token" : "x-amz-security-token",
            presign->keys->session_token);
    }
    const struct sign_request request = {.method = method,
                                         .resource = presign->texts[RESOURCE].data,
                                         .query = presign->query,
                                         .query_count = presign->count};
    sign_obs_canonical(&presign->texts[CANONICAL], &request, is_obs ? SIGN_OBS : SIGN_V2);
    sign_obs_string(&presign->texts[STRING], presign->texts[CANONICAL].data, &request,
                    presign->number);
    sign_obs_signature(&presign->texts[MAC], presign->texts[STRING].data, &keys);
    add(presign, "Signature", presign->texts[MAC].data);
}

static enum storage_code write_url(struct presign *presign, char *url, size_t size,
                                   struct storage_error *err)
{
    struct buf text;
    buf_init(&text, size - 1);
    buf_format(&text, "%s://%s%s", presign->endpoint.is_https ? "https" : "http",
               presign->texts[HOST].data, presign->texts[PATH].data);
    for (size_t i = 0; i < presign->count; i++) {
        buf_char(&text, i == 0 ? '?' : '&');
        url_encode_query(&text, presign->query[i].name);
        buf_char(&text, '=');
        url_encode_query(&text, presign->query[i].value);
    }
    bool ok = buf_ok(&text);
    for (size_t i = 0; i < TEXTS; i++) {
        ok = ok && buf_ok(&presign->texts[i]);
    }
    snprintf(url, size, "%s", ok ? text.data : "");
    buf_release(&text);
    return ok ? STORAGE_OK
              : storage_fail(err, STORAGE_BUG, "presign s3://%s: no memory, or no room",
                             presign->store->base.bucket);
}

/* Host and path as a request has them, and the resource that OBS signs. */
static void name_target(struct presign *presign, const char *key)
{
    const char *bucket = presign->store->base.bucket;
    endpoint_add_host(&presign->texts[HOST], &presign->endpoint, bucket);
    buf_format(&presign->texts[RESOURCE], "/%s/", bucket);
    buf_text(&presign->texts[PATH],
             presign->endpoint.is_virtual ? "/" : presign->texts[RESOURCE].data);
    url_encode_path(&presign->texts[RESOURCE], key);
    url_encode_path(&presign->texts[PATH], key);
}

enum storage_code s3_presign_at(struct s3_store *store, const char *key, const char *method,
                                int64_t now, int64_t expires_at, char *url, size_t size,
                                struct storage_error *err)
{
    struct presign presign = {.store = store};
    presign.signature = (enum storage_signature)atomic_load(&store->signature);
    bool is_v4 = presign.signature == STORAGE_SIGN_V4;
    enum storage_code code = STORAGE_OK;
    for (size_t i = 0; i < TEXTS; i++) {
        buf_init(&presign.texts[i], PIECE_MAX);
    }
    if (store->credentials) {
        code = credentials_take(store->credentials, &presign.keys, err);
    }
    if (code != STORAGE_OK) {
        goto done;
    }
    if (presign.signature == STORAGE_SIGN_NONE || !presign.keys || !presign.keys->access_key[0]) {
        code = storage_fail(err, STORAGE_DENIED, "presign s3://%s/%s: no keys were given",
                            store->base.bucket, key);
        goto done;
    }
    if (expires_at <= now || (is_v4 && expires_at - now > WEEK_S)) {
        code = storage_fail(err, STORAGE_USAGE, "presign s3://%s/%s: it must end after now%s",
                            store->base.bucket, key, is_v4 ? ", and within a week" : "");
        goto done;
    }
    pthread_mutex_lock(&store->lock);
    presign.endpoint = store->endpoint;
    pthread_mutex_unlock(&store->lock);
    name_target(&presign, key);
    if (store->extras.version_id) {
        add(&presign, "versionId", store->extras.version_id);
    }
    if (is_v4) {
        sign_v4(&presign, method, now, expires_at - now);
    } else {
        sign_obs(&presign, method, expires_at);
    }
    code = write_url(&presign, url, size, err);
done:
    credentials_give(presign.keys);
    for (size_t i = 0; i < TEXTS; i++) {
        buf_release(&presign.texts[i]);
    }
    return code;
}
