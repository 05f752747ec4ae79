/*
 * sign_v4.c - AWS Signature Version 4 as S3 wants it.
 *
 * Source: AWS General Reference, "Create a signed AWS API request", and the S3 API reference,
 * "Authenticating Requests (AWS Signature Version 4)". A query is sorted by its encoded names, a
 * name without value is written "name=".
 */
#include "storage/s3/sign.h"

#include "storage/base/date.h"
#include "storage/base/digest.h"
#include "storage/base/url.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    QUERY_MAX = 64 * 1024 /* bytes of a query, encoded: a session token may be in it */
};

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void add_query(struct buf *out, const struct sign_request *request)
{
    const char *sorted[SIGN_PAIRS_MAX];
    size_t offsets[SIGN_PAIRS_MAX];
    size_t count = request->query_count;
    struct buf text;
    buf_init(&text, QUERY_MAX);
    assert(count <= SIGN_PAIRS_MAX);
    for (size_t i = 0; i < count; i++) {
        offsets[i] = text.length;
        url_encode_query(&text, request->query[i].name);
        /* Below every byte of a name, so that "a" sorts before "a-b" whatever follows it. */
        buf_char(&text, '\1');
        url_encode_query(&text, request->query[i].value ? request->query[i].value : "");
        buf_add(&text, "", 1);
    }
    if (!buf_ok(&text)) {
        out->failed = true;
        buf_release(&text);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = text.data + offsets[i];
    }
    qsort(sorted, count, sizeof *sorted, compare_texts);
    for (size_t i = 0; i < count; i++) {
        size_t name = strcspn(sorted[i], "\1");
        buf_text(out, i > 0 ? "&" : "");
        buf_add(out, sorted[i], name);
        buf_char(out, '=');
        buf_text(out, sorted[i] + name + 1);
    }
    buf_release(&text);
}

void sign_v4_canonical(struct buf *out, const struct sign_request *request)
{
    buf_format(out, "%s\n%s\n", request->method, request->path);
    add_query(out, request);
    buf_char(out, '\n');
    sign_headers(out, request, "", false);
    buf_char(out, '\n');
    sign_v4_signed_headers(out, request);
    buf_format(out, "\n%s", request->payload);
}

void sign_v4_signed_headers(struct buf *out, const struct sign_request *request)
{
    sign_headers(out, request, "", true);
}

void sign_v4_scope(struct buf *out, const struct sign_keys *keys, int64_t seconds)
{
    char date[DATE_AMZ_SIZE];
    date_format_amz(date, seconds);
    buf_format(out, "%.8s/%s/%s/aws4_request", date, keys->region, keys->service);
}

void sign_v4_string(struct buf *out, const char *canonical, const struct sign_keys *keys,
                    int64_t seconds)
{
    char date[DATE_AMZ_SIZE];
    uint8_t hash[SHA256_SIZE];
    date_format_amz(date, seconds);
    if (!digest_sha256(hash, canonical, strlen(canonical))) {
        out->failed = true;
        return;
    }
    buf_format(out, "AWS4-HMAC-SHA256\n%s\n", date);
    sign_v4_scope(out, keys, seconds);
    buf_char(out, '\n');
    digest_add_hex(out, hash, sizeof hash);
}

/* The day's key: four HMACs, of which only the first holds the secret. */
static bool derive_key(uint8_t key[SHA256_SIZE], const struct sign_keys *keys, const char *day)
{
    const char *const steps[] = {day, keys->region, keys->service, "aws4_request"};
    struct buf first;
    buf_init(&first, 4096);
    buf_format(&first, "AWS4%s", keys->secret_key);
    const void *last = first.data;
    size_t last_size = first.length;
    bool ok = buf_ok(&first);
    for (size_t i = 0; ok && i < sizeof steps / sizeof *steps; i++) {
        ok = digest_hmac_sha256(key, last, last_size, steps[i], strlen(steps[i]));
        last = key;
        last_size = SHA256_SIZE;
    }
    if (first.length > 0) {
        digest_wipe(first.data, first.length);
    }
    buf_release(&first);
    return ok;
}

void sign_v4_signature(struct buf *out, const char *string, const struct sign_keys *keys,
                       int64_t seconds)
{
    char day[DATE_AMZ_SIZE];
    struct sign_day_key wanted = {0};
    struct sign_day_key *kept = keys->day_key;
    uint8_t signature[SHA256_SIZE];
    date_format_amz(day, seconds);
    day[8] = '\0';
    int size = snprintf(wanted.scope, sizeof wanted.scope, "%" PRIu64 "/%s/%s/%s/%s",
                        keys->generation, keys->access_key, day, keys->region, keys->service);
    bool may_keep = kept && size > 0 && (size_t)size < sizeof wanted.scope;
    bool ok = true;
    if (may_keep && strcmp(kept->scope, wanted.scope) == 0) {
        memcpy(wanted.key, kept->key, sizeof wanted.key);
    } else {
        ok = derive_key(wanted.key, keys, day);
        if (ok && may_keep) {
            *kept = wanted;
        }
    }
    if (ok &&
        digest_hmac_sha256(signature, wanted.key, sizeof wanted.key, string, strlen(string))) {
        digest_add_hex(out, signature, sizeof signature);
    } else {
        out->failed = true;
    }
    digest_wipe(&wanted, sizeof wanted);
}

void sign_v4_authorization(struct buf *out, const char *string, const struct sign_request *request,
                           const struct sign_keys *keys, int64_t seconds)
{
    buf_format(out, "AWS4-HMAC-SHA256 Credential=%s/", keys->access_key);
    sign_v4_scope(out, keys, seconds);
    buf_text(out, ", SignedHeaders=");
    sign_v4_signed_headers(out, request);
    buf_text(out, ", Signature=");
    sign_v4_signature(out, string, keys, seconds);
}
