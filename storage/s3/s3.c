/* s3.c - opening and closing a bucket; the table that makes it a backend. */
#include "storage/s3/s3.h"

#include "storage/base/digest.h"

#include "storage/credentials/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/storage_banned.h"

enum {
    BUDGET_START = 500 /* see request.c */
};

/* Bytes of one CopyObject or UploadPartCopy: S3's and OBS's limit. */
static const uint64_t server_copy_max = 5ULL << 30;

static void s3_close(struct storage *base);

static enum storage_code s3_presign(struct storage *base, const char *key, const char *method,
                                    int64_t expires_at, char *url, size_t size,
                                    struct storage_error *err)
{
    return s3_presign_at((struct s3_store *)base, key, method, (int64_t)time(NULL), expires_at, url,
                         size, err);
}

static const struct backend s3_backend = {
    .stat = s3_stat,
    .read = s3_read,
    .read_pieces = s3_read_pieces,
    .remove = s3_remove,
    .remove_batch = s3_remove_batch,
    .make_bucket = s3_make_bucket,
    .tag = s3_tag,
    .put_if = s3_put_if,
    .upload_begin = s3_upload_begin,
    .upload_part = s3_upload_part,
    .upload_part_body = s3_upload_part_body,
    .upload_body_wants = s3_upload_body_wants,
    .upload_complete = s3_upload_complete,
    .upload_abort = s3_upload_abort,
    .upload_token = s3_upload_token,
    .upload_part_tag = s3_upload_part_tag,
    .upload_keep = s3_upload_keep,
    .upload_suspend = s3_upload_suspend,
    .can_copy = s3_can_copy,
    .copy = s3_copy,
    .presign = s3_presign,
    .leftovers = s3_leftovers,
    .leftover_remove = s3_leftover_remove,
    .lister_open = s3_lister_open,
    .lister_next = s3_lister_next,
    .lister_close = s3_lister_close,
    .close = s3_close,
};

static void s3_close(struct storage *base)
{
    struct s3_store *store = (struct s3_store *)base;
    http_free(store->http);
    credentials_free(store->credentials);
    digest_wipe(&store->day_key, sizeof store->day_key);
    extras_release(&store->extras);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

static void set_limits(struct storage_config *config)
{
    config->connections_max = config->connections_max ? config->connections_max : 16;
    config->server_copy_max = config->server_copy_max ? config->server_copy_max : server_copy_max;
    config->attempts_max = config->attempts_max ? config->attempts_max : 6;
    config->connect_timeout_ms = config->connect_timeout_ms ? config->connect_timeout_ms : 10000;
    config->stall_timeout_s = config->stall_timeout_s ? config->stall_timeout_s : 30;
}

bool s3_pick_version(const struct s3_store *store, struct s3_request *request,
                     struct sign_pair *query)
{
    if (!store->extras.version_id) {
        return false;
    }
    *query = (struct sign_pair){"versionId", store->extras.version_id};
    request->query = query;
    request->query_count = 1;
    return true;
}

bool s3_speaks_checksums(const struct s3_store *store)
{
    int signature = atomic_load(&store->signature);
    return !atomic_load(&store->is_obs) &&
           (signature == STORAGE_SIGN_V4 || signature == STORAGE_SIGN_NONE);
}

bool s3_signs_bodies(struct s3_store *store)
{
    pthread_mutex_lock(&store->lock);
    bool is_https = store->endpoint.is_https;
    pthread_mutex_unlock(&store->lock);
    return !is_https && !store->config.access.unsigned_payload;
}

bool s3_shares_keys(const struct s3_store *a, const struct s3_store *b)
{
    return credentials_match(a->credentials, b->credentials);
}

/* A key that encrypts must not itself go over the wire in the clear. */
static enum storage_code check_key_is_safe(const struct s3_store *store,
                                           const struct storage_headers *headers,
                                           struct storage_error *err)
{
    const char *host = store->endpoint.host;
    bool is_loopback = strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost", 9) == 0 ||
                       strncmp(host, "[::1]", 5) == 0;
    if (!headers->sse_c_key || store->endpoint.is_https || is_loopback) {
        return STORAGE_OK;
    }
    return storage_fail(err, STORAGE_USAGE,
                        "open s3://%s: a key of encryption is sent over https only, and the "
                        "endpoint is http://%s",
                        store->base.bucket, host);
}

/* Which signature, and with whose keys; nothing is asked yet. */
static enum storage_code set_signature(struct s3_store *store, const struct storage_config *config,
                                       struct storage_error *err)
{
    const struct storage_access *access = &config->access;
    struct key_place place = {.region = store->endpoint.region,
                              .is_huawei = store->endpoint.is_obs,
                              .is_aws = endpoint_is_aws(&store->endpoint)};
    enum storage_signature wanted = access->signature;
    enum storage_code code = wanted == STORAGE_SIGN_NONE
                                 ? STORAGE_OK
                                 : credentials_open(&store->credentials, config, &place, err);
    bool has_keys = store->credentials != NULL;
    store->signature_is_auto = has_keys && wanted == STORAGE_SIGN_AUTO;
    if (!has_keys) {
        wanted = STORAGE_SIGN_NONE;
    } else if (wanted == STORAGE_SIGN_AUTO) {
        wanted = store->endpoint.is_obs ? STORAGE_SIGN_OBS : STORAGE_SIGN_V4;
    }
    atomic_init(&store->signature, (int)wanted);
    atomic_init(&store->is_unsigned, wanted == STORAGE_SIGN_NONE);
    return code;
}

int64_t s3_keys_expiry(struct storage *base)
{
    struct s3_store *store = (struct s3_store *)base;
    return store->credentials ? credentials_expiry(store->credentials) : 0;
}

enum storage_code s3_open(struct storage **result, const struct storage_url *url,
                          const struct storage_config *config, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    *result = NULL;
    struct s3_store *store = calloc(1, sizeof *store);
    if (!store) {
        return storage_fail(err, STORAGE_BUG, "open s3://%s: no memory", url->bucket);
    }
    pthread_mutex_init(&store->lock, NULL);
    xml_start();
    store->base.backend = &s3_backend;
    store->base.kind = STORAGE_S3;
    memcpy(store->base.bucket, url->bucket, sizeof store->base.bucket);
    code = endpoint_resolve(&store->endpoint, url->bucket, &config->access, err);
    if (code != STORAGE_OK) {
        goto done;
    }
    code = check_key_is_safe(store, &config->headers, err);
    if (code == STORAGE_OK) {
        code = extras_init(&store->extras, &config->headers, err);
    }
    if (code != STORAGE_OK) {
        goto done;
    }
    store->config = *config;
    store->config.headers = (struct storage_headers){0}; /* borrowed until now, as the keys are */
    set_limits(&store->config);
    atomic_init(&store->is_obs, store->endpoint.is_obs);
    atomic_init(&store->budget, BUDGET_START);
    snprintf(store->base.place, sizeof store->base.place, "%s://%s",
             store->endpoint.is_https ? "https" : "http", store->endpoint.host);
    struct http_options options = {
        .connections_max = store->config.connections_max,
        .bandwidth = store->config.bandwidth_max,
        .connect_timeout_ms = store->config.connect_timeout_ms,
        .stall_timeout_s = store->config.stall_timeout_s,
        .ca_file = config->access.ca_file,
        .tls_insecure = config->access.tls_insecure,
        .stop = config->stop,
    };
    code = set_signature(store, config, err);
    if (code != STORAGE_OK) {
        goto done;
    }
    code = http_new(&store->http, &options, err);
    /* Borrowed until now: a later use would be a use after free. */
    bool unsigned_payload = config->access.unsigned_payload;
    store->config.access = (struct storage_access){.unsigned_payload = unsigned_payload};
done:
    if (code != STORAGE_OK) {
        s3_close(&store->base);
        return code;
    }
    *result = &store->base;
    return STORAGE_OK;
}
