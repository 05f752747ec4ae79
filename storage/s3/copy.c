/*
 * copy.c - copies that the store makes by itself, so that no byte of them passes here.
 *
 * One CopyObject up to the size that one request may copy, else a multipart upload whose parts are
 * UploadPartCopy, several at a time. Both are pinned to the source's ETag. Of one request the store
 * keeps what the source is said to be; for parts that is asked for and said again. Where the caller
 * says something of it himself, his words replace the source's, as S3 has it.
 *
 * What proves a copy: equal CRC-32 sums or MD5 ETags of both objects, else the size.
 */
#include "storage/s3/upload.h"

#include "storage/base/date.h"
#include "storage/base/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    COPY_THREADS = 8, /* parts at a time: the store works, we wait */
    PARTS_MAX = 10000,
    MIB = 1024 * 1024,
    SOURCE_MAX = 8 * 1024,     /* bytes of a copy's source: bucket, key and version, encoded */
    DESCRIBED_MAX = 16 * 1024, /* of headers that are said again; stores take 2 KiB of metadata */
    HEADERS_MAX = 40,
    MD5_HEX = 32
};
/* Bytes of a part: large, as each costs a request, and small enough that a failed one is cheap. */
static const uint64_t part_wanted = 512ULL * MIB;

struct copying {
    struct s3_store *store;
    struct s3_store *from;
    const char *key;
    const struct storage_info *info; /* of the source */
    struct buf source;               /* the value of x-amz-copy-source */
    char match[STORAGE_ETAG_MAX + 3];
    char mtime[32];

    /* in parts */
    char id[UPLOAD_ID_MAX];
    uint64_t part_size;
    unsigned part_count;
    char (*etags)[STORAGE_ETAG_MAX + 1];
    atomic_uint next;
    atomic_bool failed;
    pthread_mutex_t lock; /* over what follows */
    enum storage_code code;
    struct storage_error err; /* the first */
};

bool s3_can_copy(const struct storage *from, const struct storage *to)
{
    return strcmp(from->place, to->place) == 0 &&
           s3_shares_keys((const struct s3_store *)from, (const struct s3_store *)to);
}

static enum storage_code copying_init(struct copying *copying, struct s3_store *store,
                                      const char *key, struct s3_store *from, const char *from_key,
                                      const struct storage_info *info, struct storage_error *err)
{
    memset(copying, 0, sizeof *copying);
    copying->store = store;
    copying->from = from;
    copying->key = key;
    copying->info = info;
    pthread_mutex_init(&copying->lock, NULL);
    buf_init(&copying->source, SOURCE_MAX);
    buf_format(&copying->source, "/%s/", from->base.bucket);
    url_encode_path(&copying->source, from_key);
    if (from->extras.version_id) {
        buf_text(&copying->source, "?versionId=");
        url_encode_query(&copying->source, from->extras.version_id);
    }
    snprintf(copying->match, sizeof copying->match, "\"%s\"", info->etag);
    if (info->mtime_ns && !store->extras.has_mtime) {
        date_format_decimal(copying->mtime, sizeof copying->mtime, info->mtime_ns);
    }
    return buf_ok(&copying->source)
               ? STORAGE_OK
               : storage_fail(err, STORAGE_USAGE, "copy s3://%s/%s: its name is too long",
                              from->base.bucket, from_key);
}

static void copying_release(struct copying *copying)
{
    buf_release(&copying->source);
    free(copying->etags);
    pthread_mutex_destroy(&copying->lock);
}

static enum storage_code copying_fail(const struct copying *copying, enum storage_code code,
                                      const char *why, struct storage_error *err)
{
    const struct s3_store *store = copying->store;
    storage_fail(err, code, "copy to s3://%s/%s: %s", store->base.bucket, copying->key, why);
    struct s3_request request = {.method = "PUT", .what = "object", .key = copying->key};
    s3_name_error(store, &request, err);
    return code;
}

static size_t add_source(const struct copying *copying, struct sign_pair *headers)
{
    size_t count = 0;
    headers[count++] = (struct sign_pair){"x-amz-copy-source", copying->source.data};
    if (copying->info->etag[0]) {
        headers[count++] = (struct sign_pair){"x-amz-copy-source-if-match", copying->match};
    }
    return count;
}

/* A copy's refusal that is about the source's ETag tells of a change. */
static enum storage_code judge_copy(enum storage_code code, struct storage_error *err)
{
    if (code != STORAGE_OK && err->http_status == 412) {
        err->code = STORAGE_CHANGED;
        return STORAGE_CHANGED;
    }
    return code;
}

/* ---- proof ----------------------------------------------------------------------------------- */

static bool is_md5(const char *etag)
{
    return strlen(etag) == MD5_HEX && strspn(etag, "0123456789abcdef") == MD5_HEX;
}

/* Looks at both objects; the source's sum is asked for only where the copy has one to compare. */
static enum storage_code compare_by_stat(const struct copying *copying, const char *from_key,
                                         struct storage_info *info, enum storage_verified *verified,
                                         struct storage_error *err)
{
    struct storage_info now, source;
    enum storage_code code = s3_stat(&copying->store->base, copying->key, &now, err);
    if (code != STORAGE_OK) {
        return code;
    }
    bool differs = now.size != info->size;
    *verified = STORAGE_VERIFIED_SIZE;
    if (!differs && now.has_crc32) {
        code = s3_stat(&copying->from->base, from_key, &source, err);
        if (code == STORAGE_OK && source.has_crc32 && strcmp(source.etag, info->etag) == 0) {
            *verified = STORAGE_VERIFIED_CRC32;
            differs = source.crc32 != now.crc32;
        }
    }
    info->has_crc32 = now.has_crc32;
    info->crc32 = now.crc32;
    return differs ? copying_fail(copying, STORAGE_INTEGRITY, "the copy has other bytes", err)
                   : STORAGE_OK;
}

/* ---- one request ----------------------------------------------------------------------------- */

static enum storage_code copy_whole(struct copying *copying, const char *from_key,
                                    struct storage_info *info, enum storage_verified *verified,
                                    struct storage_error *err)
{
    struct s3_store *store = copying->store;
    struct http_response response;
    struct xml_completed copied;
    struct sign_pair headers[6];
    uint32_t crc32 = 0;
    bool replaces = store->extras.described_count > 0 || store->extras.content_type;
    struct s3_request request = {.method = "PUT",
                                 .what = "copy",
                                 .key = copying->key,
                                 .headers = headers,
                                 .extras = EXTRAS_KEY | EXTRAS_SOURCE |
                                           (replaces ? EXTRAS_NEW : EXTRAS_COPY),
                                 .copied = &copying->from->extras,
                                 .error_in_200 = true,
                                 .is_long = true};
    request.header_count = add_source(copying, headers);
    headers[request.header_count++] =
        (struct sign_pair){"x-amz-metadata-directive", replaces ? "REPLACE" : "COPY"};
    if (replaces) {
        headers[request.header_count++] =
            (struct sign_pair){"Content-Type", extras_content_type(&store->extras, copying->key)};
    }
    if (replaces && copying->mtime[0]) {
        headers[request.header_count++] = (struct sign_pair){"x-amz-meta-mtime", copying->mtime};
    }
    http_response_init(&response);
    enum storage_code code = judge_copy(s3_perform(store, &request, &response, err), err);
    if (code == STORAGE_OK &&
        !xml_completed_parse(&copied, response.body.data, response.body.length)) {
        code =
            copying_fail(copying, STORAGE_TRANSFER, "the answer does not say that it is done", err);
    }
    http_response_release(&response);
    if (code != STORAGE_OK) {
        return code;
    }
    bool is_full = strcmp(copied.checksum_type, "COMPOSITE") != 0;
    bool has_crc32 = is_full && s3_parse_crc32(&crc32, copied.crc32);
    if (!info->etag_is_opaque && is_md5(info->etag) && strcasecmp(info->etag, copied.etag) == 0) {
        *verified = STORAGE_VERIFIED_MD5;
    } else if (has_crc32 && info->has_crc32 && crc32 == info->crc32) {
        *verified = STORAGE_VERIFIED_CRC32;
    } else {
        return compare_by_stat(copying, from_key, info, verified, err);
    }
    info->has_crc32 = has_crc32;
    info->crc32 = crc32;
    return STORAGE_OK;
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* Begins the upload with what the source is said to be, or what the caller says instead. */
static enum storage_code begin(struct copying *copying, const struct buf *described,
                               struct storage_error *err)
{
    struct s3_store *store = copying->store;
    struct http_response response;
    struct sign_pair headers[HEADERS_MAX];
    bool replaces = store->extras.described_count > 0 || store->extras.content_type;
    const struct sign_pair query = {"uploads", NULL};
    struct s3_request request = {.method = "POST",
                                 .what = "upload",
                                 .key = copying->key,
                                 .query = &query,
                                 .query_count = 1,
                                 .headers = headers,
                                 .extras = EXTRAS_KEY | (replaces ? EXTRAS_NEW : EXTRAS_COPY)};
    if (replaces) {
        headers[request.header_count++] =
            (struct sign_pair){"Content-Type", extras_content_type(&store->extras, copying->key)};
        if (copying->mtime[0]) {
            headers[request.header_count++] =
                (struct sign_pair){"x-amz-meta-mtime", copying->mtime};
        }
    }
    for (size_t at = 0; !replaces && at < described->length && request.header_count < HEADERS_MAX;
         request.header_count++) {
        const char *name = described->data + at;
        const char *value = name + strlen(name) + 1;
        headers[request.header_count] = (struct sign_pair){name, value};
        at += strlen(name) + 1 + strlen(value) + 1;
    }
    http_response_init(&response);
    enum storage_code code = s3_perform(store, &request, &response, err);
    if (code == STORAGE_OK && !xml_upload_id_parse(copying->id, sizeof copying->id,
                                                   response.body.data, response.body.length)) {
        code = copying_fail(copying, STORAGE_TRANSFER, "the answer holds no upload id", err);
    }
    http_response_release(&response);
    return code;
}

static enum storage_code copy_part(struct copying *copying, unsigned part,
                                   struct storage_error *err)
{
    struct http_response response;
    struct xml_completed copied;
    struct sign_pair headers[4];
    char number[16];
    char range[64];
    uint64_t first = part * copying->part_size;
    uint64_t left = copying->info->size - first;
    uint64_t size = left < copying->part_size ? left : copying->part_size;
    snprintf(number, sizeof number, "%u", part + 1);
    snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, first, first + size - 1);
    const struct sign_pair query[] = {{"partNumber", number}, {"uploadId", copying->id}};
    struct s3_request request = {.method = "PUT",
                                 .what = "part",
                                 .key = copying->key,
                                 .query = query,
                                 .query_count = 2,
                                 .headers = headers,
                                 .extras = EXTRAS_KEY | EXTRAS_SOURCE,
                                 .copied = &copying->from->extras,
                                 .error_in_200 = true,
                                 .is_long = true};
    request.header_count = add_source(copying, headers);
    headers[request.header_count++] = (struct sign_pair){"x-amz-copy-source-range", range};
    http_response_init(&response);
    enum storage_code code = judge_copy(s3_perform(copying->store, &request, &response, err), err);
    if (code == STORAGE_OK &&
        !xml_completed_parse(&copied, response.body.data, response.body.length)) {
        code = copying_fail(copying, STORAGE_TRANSFER, "the answer does not say that a part is in",
                            err);
    }
    if (code == STORAGE_OK) {
        memcpy(copying->etags[part], copied.etag, sizeof copied.etag);
    }
    http_response_release(&response);
    return code;
}

static void *run_parts(void *context)
{
    struct copying *copying = context;
    for (;;) {
        unsigned part = atomic_fetch_add(&copying->next, 1);
        struct storage_error err = {0};
        if (part >= copying->part_count || atomic_load(&copying->failed)) {
            return NULL;
        }
        enum storage_code code = copy_part(copying, part, &err);
        if (code != STORAGE_OK) {
            pthread_mutex_lock(&copying->lock);
            if (copying->code == STORAGE_OK) {
                copying->code = code;
                copying->err = err;
            }
            atomic_store(&copying->failed, true);
            pthread_mutex_unlock(&copying->lock);
        }
    }
}

static enum storage_code copy_all_parts(struct copying *copying, struct storage_error *err)
{
    pthread_t threads[COPY_THREADS];
    unsigned started = 0;
    unsigned wanted = copying->part_count < COPY_THREADS ? copying->part_count : COPY_THREADS;
    unsigned connections = copying->store->config.connections_max;
    wanted = wanted < connections ? wanted : connections;
    while (started + 1 < wanted &&
           pthread_create(&threads[started], NULL, run_parts, copying) == 0) {
        started++;
    }
    run_parts(copying);
    while (started > 0) {
        pthread_join(threads[--started], NULL);
    }
    if (copying->code != STORAGE_OK) {
        *err = copying->err;
    }
    return copying->code;
}

static enum storage_code complete(struct copying *copying, struct storage_error *err)
{
    enum {
        PART_XML_MAX = 400 /* bytes: an ETag, each byte an entity, and its elements */
    };
    struct http_response response;
    struct xml_completed completed;
    struct buf body;
    const struct sign_pair query = {"uploadId", copying->id};
    const struct sign_pair type = {"Content-Type", "application/xml"};
    buf_init(&body, (size_t)copying->part_count * (PART_XML_MAX + 6 * STORAGE_ETAG_MAX));
    buf_text(&body, "<CompleteMultipartUpload>");
    for (unsigned i = 0; i < copying->part_count; i++) {
        buf_text(&body, "<Part><ETag>\"");
        body.failed |= !xml_escape(&body, copying->etags[i]);
        buf_format(&body, "\"</ETag><PartNumber>%u</PartNumber></Part>", i + 1);
    }
    buf_text(&body, "</CompleteMultipartUpload>");
    struct s3_request request = {.method = "POST",
                                 .what = "upload",
                                 .key = copying->key,
                                 .query = &query,
                                 .query_count = 1,
                                 .headers = &type,
                                 .header_count = 1,
                                 .body = body.data,
                                 .body_size = body.length,
                                 .error_in_200 = true,
                                 .is_long = true};
    http_response_init(&response);
    enum storage_code code = buf_ok(&body) ? s3_perform(copying->store, &request, &response, err)
                                           : copying_fail(copying, STORAGE_BUG, "no memory", err);
    if (code == STORAGE_OK &&
        !xml_completed_parse(&completed, response.body.data, response.body.length)) {
        code = copying_fail(copying, STORAGE_TRANSFER,
                            "the answer does not say that it is complete", err);
    }
    http_response_release(&response);
    buf_release(&body);
    return code;
}

/* Whether etag is the MD5 of the parts' MD5s, which stores without encryption give as ETags. */
static bool is_composite(const struct copying *copying, const char *etag)
{
    uint8_t md5[MD5_SIZE];
    char suffix[16];
    bool ok = true;
    struct md5 *sum = md5_new();
    for (unsigned i = 0; sum && ok && i < copying->part_count; i++) {
        ok = is_md5(copying->etags[i]);
        for (size_t j = 0; ok && j < MD5_SIZE; j++) {
            char digits[3] = {copying->etags[i][2 * j], copying->etags[i][2 * j + 1], '\0'};
            md5[j] = (uint8_t)strtoul(digits, NULL, 16);
        }
        md5_add(sum, md5, ok ? MD5_SIZE : 0);
    }
    ok = sum && md5_finish(sum, md5) && ok;
    md5_free(sum);
    snprintf(suffix, sizeof suffix, "-%u", copying->part_count);
    return ok && upload_is_etag(etag, md5, suffix);
}

/*
 * A Complete whose answer did not come, or was that there is no such upload any more, may have been
 * carried out. The object tells: OBS names the upload, others have the ETag of our parts.
 */
static bool is_completed(struct copying *copying, enum storage_code code,
                         const struct storage_error *err)
{
    struct http_response response;
    struct storage_error unused;
    struct s3_request head = {
        .method = "HEAD", .what = "object", .key = copying->key, .extras = EXTRAS_KEY};
    if (code != STORAGE_UNREACHABLE && code != STORAGE_TRANSFER &&
        strcmp(err->service_code, "NoSuchUpload") != 0) {
        return false;
    }
    http_response_init(&response);
    bool found =
        s3_perform(copying->store, &head, &response, &unused) == STORAGE_OK &&
        response.content_length == copying->info->size &&
        (strcmp(response.upload_id, copying->id) == 0 || is_composite(copying, response.etag));
    http_response_release(&response);
    return found;
}

static void abort_upload(struct copying *copying)
{
    struct http_response response;
    const struct sign_pair query = {"uploadId", copying->id};
    struct s3_request request = {.method = "DELETE",
                                 .what = "upload",
                                 .key = copying->key,
                                 .query = &query,
                                 .query_count = 1,
                                 .ignores_stop = true};
    struct storage_error ignored;
    http_response_init(&response);
    s3_perform(copying->store, &request, &response, &ignored);
    http_response_release(&response);
}

/* What the source is said to be, and that it still is what was listed. */
static enum storage_code describe(struct copying *copying, const char *from_key,
                                  struct buf *described, struct storage_error *err)
{
    struct http_response response;
    struct sign_pair version;
    struct s3_request head = {
        .method = "HEAD", .what = "object", .key = from_key, .extras = EXTRAS_KEY};
    s3_pick_version(copying->from, &head, &version);
    http_response_init(&response);
    response.described = described;
    enum storage_code code = s3_perform(copying->from, &head, &response, err);
    if (code == STORAGE_OK && (response.content_length != copying->info->size ||
                               strcmp(response.etag, copying->info->etag) != 0)) {
        code = copying_fail(copying, STORAGE_CHANGED, "the source changed", err);
    }
    if (code == STORAGE_OK && !buf_ok(described)) {
        code = copying_fail(copying, STORAGE_USAGE, "the source is said to be too much", err);
    }
    http_response_release(&response);
    return code;
}

static enum storage_code copy_parts(struct copying *copying, const char *from_key,
                                    struct storage_info *info, enum storage_verified *verified,
                                    struct storage_error *err)
{
    uint64_t limit = copying->store->config.server_copy_max;
    uint64_t least = (info->size + PARTS_MAX - 1) / PARTS_MAX;
    uint64_t size = least > part_wanted ? (least + MIB - 1) / MIB * MIB : part_wanted;
    struct buf described;
    copying->part_size = size < limit ? size : limit;
    if ((info->size + copying->part_size - 1) / copying->part_size > PARTS_MAX) {
        return copying_fail(copying, STORAGE_USAGE, "an object has at most 10,000 parts", err);
    }
    copying->part_count = (unsigned)((info->size + copying->part_size - 1) / copying->part_size);
    copying->etags = calloc(copying->part_count, sizeof *copying->etags);
    if (!copying->etags) {
        return copying_fail(copying, STORAGE_BUG, "no memory", err);
    }
    buf_init(&described, DESCRIBED_MAX);
    enum storage_code code = describe(copying, from_key, &described, err);
    if (code == STORAGE_OK) {
        code = begin(copying, &described, err);
    }
    buf_release(&described);
    if (code != STORAGE_OK) {
        return code;
    }
    code = copy_all_parts(copying, err);
    if (code == STORAGE_OK) {
        code = complete(copying, err);
        code = code != STORAGE_OK && is_completed(copying, code, err) ? STORAGE_OK : code;
    }
    if (code != STORAGE_OK) {
        abort_upload(copying);
        return code;
    }
    return compare_by_stat(copying, from_key, info, verified, err);
}

enum storage_code s3_copy(struct storage *base, const char *to_key, struct storage *from,
                          const char *from_key, struct storage_info *info,
                          enum storage_verified *verified, struct storage_error *err)
{
    struct copying copying;
    enum storage_code code = copying_init(&copying, (struct s3_store *)base, to_key,
                                          (struct s3_store *)from, from_key, info, err);
    if (code == STORAGE_OK) {
        code = info->size <= copying.store->config.server_copy_max
                   ? copy_whole(&copying, from_key, info, verified, err)
                   : copy_parts(&copying, from_key, info, verified, err);
    }
    copying_release(&copying);
    return code;
}
