/*
 * endpoint.h - where a bucket is: host, region, and how the bucket is named in a request.
 *
 * Pure functions; nothing is looked up. A redirect changes an endpoint only within the domain it
 * already has, so no store can send our signatures elsewhere.
 */
#ifndef STORAGE_S3_ENDPOINT_H
#define STORAGE_S3_ENDPOINT_H

#include "storage/base/buf.h"
#include "storage/storage.h"

enum {
    ENDPOINT_HOST_MAX = 253, /* bytes of a DNS name: RFC 1035 */
    ENDPOINT_REGION_MAX = 63
};

struct endpoint {
    bool is_https;
    bool is_obs;                          /* a host of Huawei Cloud's */
    bool is_virtual;                      /* "bucket.host/key", else "host/bucket/key" */
    char host[ENDPOINT_HOST_MAX + 8 + 1]; /* with ":port" unless it is the scheme's own */
    char region[ENDPOINT_REGION_MAX + 1];
};

/*
 * From what a user gave, as storage_access describes. A malformed endpoint, and virtual addressing
 * of an IP address, are STORAGE_USAGE.
 */
enum storage_code endpoint_resolve(struct endpoint *endpoint, const char *bucket,
                                   const struct storage_access *access, struct storage_error *err);

/*
 * Follows what a store said about where the bucket is: a region ("" unknown), a host or URL (""
 * unknown). Returns whether anything has changed; words that are malformed, or lead out of the
 * domain, change nothing.
 */
bool endpoint_redirect(struct endpoint *endpoint, const char *bucket, const char *region,
                       const char *host);

/* Whether the host is one of AWS's. */
bool endpoint_is_aws(const struct endpoint *endpoint);

/* Appends the Host of requests for bucket. */
void endpoint_add_host(struct buf *out, const struct endpoint *endpoint, const char *bucket);

#endif
