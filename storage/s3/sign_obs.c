/*
 * sign_obs.c - OBS's own signature, and AWS's V2, of which it is a copy with other names.
 *
 * Source: OBS API reference, "Authentication of signature in a header", and for the parameters
 * that count also the list of Huawei's Python SDK (extension of the documented one).
 */
#include "storage/s3/sign.h"

#include "storage/base/digest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "storage/storage_banned.h"

/* Parameters that name a thing rather than filter a list; only these are signed. */
static const char *const sub_resources[] = {
    "CDNNotifyConfiguration",
    "acl",
    "append",
    "attname",
    "backtosource",
    "bucketstatus",
    "cors",
    "customdomain",
    "delete",
    "deletebucket",
    "encryption",
    "fileinterface",
    "inventory",
    "length",
    "lifecycle",
    "location",
    "logging",
    "metadata",
    "mirrorBackToSource",
    "modify",
    "name",
    "notification",
    "object-lock",
    "obsalias",
    "obsbucketalias",
    "obscompresspolicy",
    "obsworkflowtriggerpolicy",
    "partNumber",
    "policy",
    "policystatus",
    "position",
    "publicaccessblock",
    "quota",
    "rename",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "storageClass",
    "storageinfo",
    "storagePolicy",
    "tagging",
    "torrent",
    "truncate",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
    "x-image-process",
    "x-image-save-bucket",
    "x-image-save-object",
    "x-oss-process",
};

static const char *header_prefix(enum sign_dialect dialect)
{
    return dialect == SIGN_OBS ? "x-obs-" : "x-amz-";
}

static bool is_sub_resource(const char *name, enum sign_dialect dialect)
{
    if (strncasecmp(name, header_prefix(dialect), 6) == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof sub_resources / sizeof *sub_resources; i++) {
        if (strcmp(name, sub_resources[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* By name, then by place: of equal names only the first counts. */
static int compare_names(const void *left, const void *right)
{
    const struct sign_pair *a = *(const struct sign_pair *const *)left;
    const struct sign_pair *b = *(const struct sign_pair *const *)right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : a < b ? -1 : 1;
}

void sign_obs_canonical(struct buf *out, const struct sign_request *request,
                        enum sign_dialect dialect)
{
    const struct sign_pair *sorted[SIGN_PAIRS_MAX];
    size_t count = 0;
    assert(request->query_count <= SIGN_PAIRS_MAX);
    for (size_t i = 0; i < request->query_count; i++) {
        if (is_sub_resource(request->query[i].name, dialect)) {
            sorted[count++] = &request->query[i];
        }
    }
    qsort(sorted, count, sizeof(const struct sign_pair *), compare_names);
    sign_headers(out, request, header_prefix(dialect), false);
    buf_text(out, request->resource);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(sorted[i]->name, sorted[i - 1]->name) == 0) {
            continue;
        }
        buf_char(out, i > 0 ? '&' : '?');
        buf_text(out, sorted[i]->name);
        if (sorted[i]->value && *sorted[i]->value) {
            buf_format(out, "=%s", sorted[i]->value);
        }
    }
}

/* The value of a header, "" where it is not sent. */
static const char *header_value(const struct sign_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0) {
            return request->headers[i].value;
        }
    }
    return "";
}

void sign_obs_string(struct buf *out, const char *canonical, const struct sign_request *request,
                     const char *date)
{
    buf_format(out, "%s\n%s\n%s\n%s\n%s", request->method, header_value(request, "content-md5"),
               header_value(request, "content-type"), date, canonical);
}

void sign_obs_signature(struct buf *out, const char *string, const struct sign_keys *keys)
{
    uint8_t mac[SHA1_SIZE];
    if (!digest_hmac_sha1(mac, keys->secret_key, strlen(keys->secret_key), string,
                          strlen(string))) {
        out->failed = true;
        return;
    }
    digest_add_base64(out, mac, sizeof mac);
}

void sign_obs_authorization(struct buf *out, const char *string, const struct sign_keys *keys,
                            enum sign_dialect dialect)
{
    buf_format(out, "%s %s:", dialect == SIGN_OBS ? "OBS" : "AWS", keys->access_key);
    sign_obs_signature(out, string, keys);
}
