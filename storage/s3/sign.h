/*
 * sign.h - signatures of requests, as pure functions of (request, keys, time).
 *
 * Each dialect has three stages, so that a test can say which one is wrong:
 *
 *     canonical request  ->  string to sign  ->  authorization
 *
 * SigV4 (sign_v4.c) is HMAC-SHA256 over a digest of the canonical request, with a key derived for
 * the day, region and service. OBS's own signature and AWS's V2 (sign_obs.c) are one algorithm,
 * HMAC-SHA1 over the string itself; only the prefix of headers and the word before the key differ.
 *
 * Texts are appended to a struct buf; its sticky failure covers digests that the crypto library
 * refuses as well. Nothing here adds headers or reads a clock: who signs passes every header that
 * is to be covered, the dated one among them. Presigned URLs are made of the same stages.
 */
#ifndef STORAGE_S3_SIGN_H
#define STORAGE_S3_SIGN_H

#include "storage/base/buf.h"

#include <stdint.h>

/* A header, or a query parameter as the caller means it (not encoded); value NULL: a bare name. */
struct sign_pair {
    const char *name;
    const char *value;
};

enum {
    SIGN_PAIRS_MAX = 64 /* headers or parameters of one request */
};

/* What is signed. All is borrowed. */
struct sign_request {
    const char *method;
    const char *path;     /* SigV4: encoded once, exactly as sent */
    const char *resource; /* OBS, V2: "/bucket/key" encoded, "/bucket/" or "/", in any addressing */
    const struct sign_pair *query;
    size_t query_count;
    const struct sign_pair *headers; /* those to be covered; in SigV4 host must be among them */
    size_t header_count;
    const char *payload; /* SigV4: the body's SHA-256 in hex, or "UNSIGNED-PAYLOAD" */
};

/*
 * A derived key, good for one pair of keys, day, region and service; whoever keeps it wipes it.
 * Zeroed: none.
 */
struct sign_day_key {
    char scope[256]; /* "0/AKIA…/20241012/cn-north-4/s3" */
    uint8_t key[32];
};

struct sign_keys {
    const char *access_key;
    const char *secret_key;
    const char *region;           /* SigV4 */
    const char *service;          /* SigV4: "s3" */
    struct sign_day_key *day_key; /* SigV4: used when it is today's, else renewed; NULL: not kept */
    uint64_t generation; /* tells an access key's earlier secret from its later one: for day_key */
};

/* ---- AWS Signature Version 4, for S3: paths are neither normalised nor encoded twice ---- */

/* seconds since 1970 is the time in the x-amz-date header (or parameter) of the request. */
void sign_v4_canonical(struct buf *out, const struct sign_request *request);
void sign_v4_string(struct buf *out, const char *canonical, const struct sign_keys *keys,
                    int64_t seconds);
/* The signature alone, in hex, as a presigned URL carries it. */
void sign_v4_signature(struct buf *out, const char *string, const struct sign_keys *keys,
                       int64_t seconds);
/* The value of the Authorization header. */
void sign_v4_authorization(struct buf *out, const char *string, const struct sign_request *request,
                           const struct sign_keys *keys, int64_t seconds);
/* "20241012/cn-north-4/s3/aws4_request"; "host;x-amz-date": parts of a presigned URL as well. */
void sign_v4_scope(struct buf *out, const struct sign_keys *keys, int64_t seconds);
void sign_v4_signed_headers(struct buf *out, const struct sign_request *request);

/* ---- OBS, and AWS Signature Version 2 ---- */

enum sign_dialect {
    SIGN_OBS, /* headers x-obs-*, "OBS key:signature" */
    SIGN_V2   /* headers x-amz-*, "AWS key:signature" */
};

/* The headers of the dialect, then the resource with the parameters that count. */
void sign_obs_canonical(struct buf *out, const struct sign_request *request,
                        enum sign_dialect dialect);
/*
 * date is what stands on the Date line: the Date header's value, "" when x-obs-date or x-amz-date
 * is sent, the expiry in seconds in a presigned URL.
 */
void sign_obs_string(struct buf *out, const char *canonical, const struct sign_request *request,
                     const char *date);
/* The signature alone, in base64, as a presigned URL carries it (encoded once more there). */
void sign_obs_signature(struct buf *out, const char *string, const struct sign_keys *keys);
void sign_obs_authorization(struct buf *out, const char *string, const struct sign_keys *keys,
                            enum sign_dialect dialect);

/* ---- shared ---- */

/*
 * Appends headers as "name:value\n" sorted by lower-case name: values trimmed and runs of blanks
 * made one, those of equal names joined by ',' in their order. Only names that begin with prefix
 * ("" for all). names_only: the names joined by ';' instead.
 */
void sign_headers(struct buf *out, const struct sign_request *request, const char *prefix,
                  bool names_only);

#endif
