/*
 * learn.c - what a store's answer teaches about it: its dialect, its clock, that keys have expired,
 * where the bucket is. Everything learnt is kept in the store, for the requests that follow.
 */
#include "storage/s3/attempt.h"

#include "storage/base/date.h"

#include <string.h>
#include <time.h>

#include "storage/storage_banned.h"

enum {
    SKEW_MIN_S = 240 /* stores allow 900; a Date header is good to seconds */
};

bool s3_learn_dialect(struct s3_store *store, const struct attempt *attempt,
                      const struct http_response *response)
{
    if (!response->is_obs || attempt->is_obs) {
        return false;
    }
    atomic_store(&store->is_obs, true);
    if (store->signature_is_auto) {
        atomic_store(&store->signature, (int)STORAGE_SIGN_OBS);
    }
    return true;
}

void s3_note_clock(struct s3_store *store, const struct http_response *response)
{
    int64_t date = 0;
    if (date_parse_http(&date, response->date)) {
        atomic_store(&store->seen_offset, date - (int64_t)time(NULL));
        atomic_store(&store->has_seen_offset, true);
    }
}

bool s3_clock_offset(const struct storage *base, int64_t *seconds)
{
    const struct s3_store *store = (const struct s3_store *)base;
    *seconds = atomic_load(&store->seen_offset);
    return atomic_load(&store->has_seen_offset);
}

/*
 * Only a refusal with a Date far from ours speaks of clocks; a cached answer would, too. The Date
 * is held against what the clock says now: a request may have been on its way for minutes. Each try
 * remembers the offset that it was signed with, so that of many in flight every one is sent again,
 * whoever of them learns the offset first.
 */
static bool learn_clock(struct s3_store *store, const struct attempt *attempt,
                        const struct http_response *response, const char *service_code)
{
    int64_t date = 0;
    bool is_named = strcmp(service_code, "RequestTimeTooSkewed") == 0;
    if (response->status != 403 || (service_code[0] && !is_named)) {
        return false;
    }
    int64_t now = (int64_t)time(NULL);
    bool has_date = date_parse_http(&date, response->date);
    int64_t skew = has_date ? date - (now + attempt->offset) : 0;
    if (skew > SKEW_MIN_S || skew < -SKEW_MIN_S) {
        atomic_store(&store->offset, attempt->offset + skew);
        return true;
    }
    /* Another has learnt it meanwhile, or this one was signed too long before it was read. */
    return is_named && (atomic_load(&store->offset) != attempt->offset ||
                        now + attempt->offset - attempt->now > SKEW_MIN_S);
}

/*
 * Keys that the store no longer takes are fetched again, once a request. A HEAD's refusal has no
 * words: then only temporary keys are doubted, and AWS says 400 to expired ones.
 */
static bool learn_keys(struct s3_store *store, const struct attempt *attempt,
                       const struct s3_request *request, const struct http_response *response,
                       const char *service_code, struct course *course)
{
    static const char *const words[] = {"ExpiredToken", "InvalidToken", "InvalidTokenId",
                                        "InvalidAccessKeyId", "TokenRefreshRequired"};
    if (attempt->signature == STORAGE_SIGN_NONE || course->renewed) {
        return false;
    }
    bool is_named = false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        is_named |= strcmp(service_code, words[i]) == 0;
    }
    bool in_doubt = !service_code[0] && strcmp(request->method, "HEAD") == 0 &&
                    (response->status == 403 || response->status == 400) &&
                    attempt->keys->session_token[0];
    if (!is_named && !in_doubt) {
        return false;
    }
    course->renewed = true;
    return credentials_renew(store->credentials, attempt->keys, !is_named);
}

static bool learn_place(struct s3_store *store, const struct attempt *attempt,
                        const struct http_response *response, const struct xml_error *document)
{
    bool is_redirect = response->status / 100 == 3 ||
                       strcmp(document->code, "AuthorizationHeaderMalformed") == 0 ||
                       strcmp(document->code, "IllegalLocationConstraintException") == 0 ||
                       (!document->code[0] && response->status == 400);
    if (!is_redirect) {
        return false;
    }
    const char *region = response->bucket_region[0] ? response->bucket_region : document->region;
    const char *host = document->endpoint[0] ? document->endpoint : response->location;
    pthread_mutex_lock(&store->lock);
    /* Another request may have learnt the same meanwhile. */
    bool learnt = strcmp(store->endpoint.host, attempt->endpoint.host) != 0 ||
                  strcmp(store->endpoint.region, attempt->endpoint.region) != 0 ||
                  endpoint_redirect(&store->endpoint, store->base.bucket, region, host);
    pthread_mutex_unlock(&store->lock);
    return learnt;
}

bool s3_learn(struct s3_store *store, const struct attempt *attempt,
              const struct s3_request *request, const struct http_response *response,
              const struct xml_error *document, struct course *course)
{
    bool is_new_dialect = s3_learn_dialect(store, attempt, response);
    return is_new_dialect || learn_clock(store, attempt, response, document->code) ||
           learn_keys(store, attempt, request, response, document->code, course) ||
           learn_place(store, attempt, response, document);
}
