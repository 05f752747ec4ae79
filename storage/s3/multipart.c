/*
 * multipart.c - the life of an upload, and the parts of one that is more than a part.
 *
 * What fits one part is kept until the upload is completed and then sent as one PUT (put.c), since
 * nothing may be visible before. The rest is S3's multipart upload, begun by the first part. The
 * sums that prove it are put.c's, part by part; the whole is known by the CRC-32 that the store
 * made of it, or by an ETag that is the MD5 of the parts' MD5s, which is how S3 makes it.
 */
#include "storage/s3/upload.h"

#include "storage/base/date.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "storage/storage_banned.h"

enum {
    PARTS_MAX = 10000,                   /* S3 and OBS */
    COMPLETE_BODY_MAX = 4 * 1024 * 1024, /* 10,000 parts of 300 bytes, and some */
};

static struct s3_store *store_of(const struct s3_upload *upload)
{
    return (struct s3_store *)upload->base.store;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static enum storage_code request_id(struct s3_upload *upload, bool use_crc,
                                    struct storage_error *err)
{
    struct s3_store *store = store_of(upload);
    struct http_response response;
    struct sign_pair headers[4];
    const struct sign_pair query = {"uploads", NULL};
    struct s3_request request = {.method = "POST",
                                 .what = "upload",
                                 .key = upload->key,
                                 .query = &query,
                                 .query_count = 1,
                                 .headers = headers,
                                 .extras = EXTRAS_NEW | EXTRAS_KEY};
    headers[request.header_count++] =
        (struct sign_pair){"Content-Type", extras_content_type(&store->extras, upload->key)};
    if (upload->mtime[0]) {
        headers[request.header_count++] = (struct sign_pair){"x-amz-meta-mtime", upload->mtime};
    }
    if (use_crc) {
        headers[request.header_count++] = (struct sign_pair){"x-amz-checksum-algorithm", "CRC32"};
        headers[request.header_count++] = (struct sign_pair){"x-amz-checksum-type", "FULL_OBJECT"};
    }
    http_response_init(&response);
    enum storage_code code = s3_perform(store, &request, &response, err);
    if (code == STORAGE_OK && !xml_upload_id_parse(upload->id, sizeof upload->id,
                                                   response.body.data, response.body.length)) {
        code = upload_fail(upload, STORAGE_TRANSFER, "the answer holds no upload id", err);
    }
    upload->is_crc = use_crc && strcmp(response.checksum_type, "FULL_OBJECT") == 0;
    http_response_release(&response);
    return code;
}

enum storage_code upload_ensure_id(struct s3_upload *upload, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    pthread_mutex_lock(&upload->lock);
    if (upload->refusal) {
        *err = *upload->refusal;
        code = err->code;
    } else if (!upload->id[0]) {
        bool use_crc = upload_may_use_crc(upload);
        code = request_id(upload, use_crc, err);
        if (code != STORAGE_OK && use_crc && upload_refuses_crc(upload, err)) {
            code = request_id(upload, false, err);
        }
        upload->refusal = code != STORAGE_OK ? malloc(sizeof *upload->refusal) : NULL;
        if (upload->refusal) {
            *upload->refusal = *err;
        }
    }
    pthread_mutex_unlock(&upload->lock);
    return code;
}

struct part *upload_part_at(struct s3_upload *upload, unsigned number)
{
    if (number > upload->capacity) {
        size_t capacity = upload->capacity ? upload->capacity : 16;
        while (capacity < number) {
            capacity *= 2;
        }
        struct part *parts = realloc(upload->parts, capacity * sizeof *parts);
        if (!parts) {
            return NULL;
        }
        memset(parts + upload->capacity, 0, (capacity - upload->capacity) * sizeof *parts);
        upload->parts = parts;
        upload->capacity = capacity;
    }
    return &upload->parts[number - 1];
}

/* Takes a part that is in into the table. */
static enum storage_code keep_part(struct s3_upload *upload, unsigned number,
                                   const struct part *part, struct storage_error *err)
{
    pthread_mutex_lock(&upload->lock);
    struct part *at = upload_part_at(upload, number);
    if (at) {
        *at = *part;
        upload->count = number > upload->count ? number : upload->count;
    }
    pthread_mutex_unlock(&upload->lock);
    return at ? STORAGE_OK : upload_fail(upload, STORAGE_BUG, "no memory", err);
}

/* data, or body where that is NULL. */
static enum storage_code send_part(struct s3_upload *upload, unsigned number, const void *data,
                                   const struct upload_body *body, struct part *part,
                                   struct storage_error *err)
{
    struct http_response response;
    char digits[16];
    char sum[SUM_TEXT];
    struct sign_pair headers[2] = {{"Content-Type", "application/octet-stream"}};
    snprintf(digits, sizeof digits, "%u", number);
    const struct sign_pair query[] = {{"partNumber", digits}, {"uploadId", upload->id}};
    bool use_md5 = false;
    if (!upload->is_crc && body) {
        use_md5 = body->has_md5;
        memcpy(part->md5, body->md5, sizeof part->md5);
    } else if (!upload->is_crc) {
        use_md5 = digest_md5(part->md5, data, (size_t)part->size);
    }
    struct s3_request request = {.method = "PUT",
                                 .what = "part",
                                 .key = upload->key,
                                 .query = query,
                                 .query_count = 2,
                                 .headers = headers,
                                 .header_count = 1,
                                 .extras = EXTRAS_KEY,
                                 .body = data,
                                 .body_size = (size_t)part->size};
    if (body) {
        request.read = body->read;
        request.context = body->context;
        request.sha256 = *body->sha256 ? body->sha256 : NULL;
    }
    if (upload->is_crc) {
        upload_crc32_text(sum, part->crc32);
        headers[request.header_count++] = (struct sign_pair){"x-amz-checksum-crc32", sum};
    } else if (use_md5) {
        upload_md5_text(sum, part->md5);
        headers[request.header_count++] = (struct sign_pair){"Content-MD5", sum};
    }
    http_response_init(&response);
    enum storage_code code = s3_perform(store_of(upload), &request, &response, err);
    if (code == STORAGE_OK) {
        uint32_t theirs = 0;
        part->is_done = true;
        part->is_md5 = use_md5 && upload_is_etag(response.etag, part->md5, "");
        memcpy(part->etag, response.etag, sizeof part->etag);
        if (upload->is_crc && s3_parse_crc32(&theirs, response.crc32) && theirs != part->crc32) {
            code = upload_fail(upload, STORAGE_INTEGRITY,
                               "the store has other bytes of a part than were sent", err);
        } else if (!part->etag[0]) {
            code = upload_fail(upload, STORAGE_TRANSFER, "a part was taken without an ETag", err);
        }
    }
    http_response_release(&response);
    return code;
}

static bool is_only_part(const struct upload_plan *plan, unsigned number, size_t size)
{
    return plan->size != UINT64_MAX ? plan->size <= plan->part_size
                                    : number == 1 && size < plan->part_size;
}

static enum storage_code add_part(struct s3_upload *upload, unsigned number, const void *data,
                                  const struct upload_body *body, struct part *part,
                                  struct storage_error *err)
{
    assert(number > 0);
    if (is_only_part(&upload->base.plan, number, (size_t)part->size)) {
        assert(number == 1 && !upload->whole);
        upload->is_whole = true;
        upload->whole = part->size > 0 ? data : NULL;
        upload->whole_size = (size_t)part->size;
        upload->whole_crc32 = part->crc32;
        if (body) {
            upload->body = *body;
        }
        return STORAGE_OK;
    }
    if (number > PARTS_MAX) {
        enum storage_code code =
            upload_fail(upload, STORAGE_USAGE, "an object has at most 10,000 parts", err);
        storage_hint(err, "use a larger --part_size");
        return code;
    }
    enum storage_code code = upload_ensure_id(upload, err);
    if (code == STORAGE_OK) {
        code = send_part(upload, number, data, body, part, err);
    }
    if (code == STORAGE_OK) {
        code = keep_part(upload, number, part, err);
    }
    return code;
}

enum storage_code s3_upload_part(struct upload *base, unsigned number, const void *data,
                                 size_t size, uint32_t crc32, struct storage_error *err)
{
    struct part part = {.size = size, .crc32 = crc32};
    return add_part((struct s3_upload *)base, number, data, NULL, &part, err);
}

enum storage_code s3_upload_part_body(struct upload *base, unsigned number,
                                      const struct upload_body *body, struct storage_error *err)
{
    struct part part = {.size = body->size, .crc32 = body->crc32};
    return add_part((struct s3_upload *)base, number, NULL, body, &part, err);
}

void s3_upload_body_wants(struct upload *base, struct body_wants *wants)
{
    struct s3_upload *upload = (struct s3_upload *)base;
    struct s3_store *store = store_of(upload);
    bool has_crc = false;
    if (is_only_part(&base->plan, 1, (size_t)base->plan.size)) {
        has_crc =
            s3_speaks_checksums(store) && atomic_load(&store->checksums) == S3_CHECKSUMS_HONOURED;
    } else { /* if it fails, so will the part, and say why */
        struct storage_error ignored;
        has_crc = upload_ensure_id(upload, &ignored) == STORAGE_OK && upload->is_crc;
    }
    wants->sha256 = s3_signs_bodies(store);
    wants->md5 = !has_crc;
}

/* ---- completing ------------------------------------------------------------------------------ */

static void build_complete(struct s3_upload *upload, struct buf *body)
{
    char sum[SUM_TEXT];
    buf_text(body, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < upload->count; i++) {
        const struct part *part = &upload->parts[i];
        buf_text(body, "<Part><ETag>\"");
        if (!xml_escape(body, part->etag)) {
            body->failed = true;
        }
        buf_text(body, "\"</ETag>");
        if (upload->is_crc) {
            upload_crc32_text(sum, part->crc32);
            buf_format(body, "<ChecksumCRC32>%s</ChecksumCRC32>", sum);
        }
        buf_format(body, "<PartNumber>%zu</PartNumber></Part>", i + 1);
    }
    buf_text(body, "</CompleteMultipartUpload>");
}

/* Whether etag is the MD5 of the parts' MD5s, which were the store's as well. */
static bool is_composite_etag(const struct s3_upload *upload, const char *etag)
{
    uint8_t md5[MD5_SIZE];
    char suffix[16];
    bool ok = upload->count > 0;
    struct md5 *sum = md5_new();
    if (!sum) {
        return false;
    }
    for (size_t i = 0; ok && i < upload->count; i++) {
        ok = upload->parts[i].is_md5;
        md5_add(sum, upload->parts[i].md5, MD5_SIZE);
    }
    ok = md5_finish(sum, md5) && ok;
    md5_free(sum);
    snprintf(suffix, sizeof suffix, "-%zu", upload->count);
    return ok && upload_is_etag(etag, md5, suffix);
}

static bool all_parts_md5(const struct s3_upload *upload)
{
    for (size_t i = 0; i < upload->count; i++) {
        if (!upload->parts[i].is_md5) {
            return false;
        }
    }
    return upload->count > 0;
}

static enum storage_code verify_completed(struct s3_upload *upload,
                                          const struct xml_completed *completed, uint64_t size,
                                          uint32_t crc32, enum storage_verified *verified,
                                          struct storage_error *err)
{
    uint32_t theirs = 0;
    bool is_full = strcmp(completed->checksum_type, "COMPOSITE") != 0;
    if (upload->is_crc && is_full && s3_parse_crc32(&theirs, completed->crc32)) {
        *verified = STORAGE_VERIFIED_CRC32;
        return theirs == crc32 ? STORAGE_OK
                               : upload_fail(upload, STORAGE_INTEGRITY,
                                             "the store has other bytes than were sent", err);
    }
    if (is_composite_etag(upload, completed->etag)) {
        *verified = STORAGE_VERIFIED_ETAG;
        return STORAGE_OK;
    }
    enum storage_code code = upload_verify_by_stat(upload, size, crc32, verified, err);
    if (code == STORAGE_OK && *verified == STORAGE_VERIFIED_SIZE && all_parts_md5(upload)) {
        *verified = STORAGE_VERIFIED_MD5; /* each part's, and the size of the whole */
    }
    return code;
}

/*
 * Complete may have succeeded although no answer, or one that says so badly, came: a second one is
 * told NoSuchUpload. The object itself tells, when it can be known for ours: OBS names the upload,
 * else by its sum or composite ETag. Returns whether it is there; *verified says how we know.
 */
static bool is_completed(struct s3_upload *upload, uint64_t size, uint32_t crc32,
                         enum storage_verified *verified)
{
    struct s3_store *store = store_of(upload);
    struct storage_error unused;
    struct http_response response;
    const struct sign_pair checksum = {"x-amz-checksum-mode", "ENABLED"};
    struct s3_request head = {
        .method = "HEAD", .what = "object", .key = upload->key, .headers = &checksum};
    head.header_count = s3_speaks_checksums(store) ? 1 : 0;
    head.extras = EXTRAS_KEY;
    http_response_init(&response);
    bool found = s3_perform(store, &head, &response, &unused) == STORAGE_OK &&
                 response.content_length == size;
    uint32_t theirs = 0;
    bool is_full = strcmp(response.checksum_type, "COMPOSITE") != 0;
    bool has_crc = is_full && s3_parse_crc32(&theirs, response.crc32);
    if (found && has_crc) {
        *verified = STORAGE_VERIFIED_CRC32;
        found = theirs == crc32;
    } else if (found && is_composite_etag(upload, response.etag)) {
        *verified = STORAGE_VERIFIED_ETAG;
    } else if (found && response.upload_id[0]) {
        *verified = all_parts_md5(upload) ? STORAGE_VERIFIED_MD5 : STORAGE_VERIFIED_SIZE;
        found = strcmp(response.upload_id, upload->id) == 0;
    } else {
        found = false;
    }
    http_response_release(&response);
    return found;
}

/* Whether a Complete that failed so may have been carried out all the same. */
static bool is_outcome_unknown(enum storage_code code, const struct storage_error *err)
{
    return code == STORAGE_UNREACHABLE || code == STORAGE_TRANSFER ||
           strcmp(err->service_code, "NoSuchUpload") == 0;
}

static enum storage_code complete_parts(struct s3_upload *upload, uint64_t size, uint32_t crc32,
                                        enum storage_verified *verified, struct storage_error *err)
{
    struct http_response response;
    struct xml_completed completed;
    struct buf body;
    char sum[SUM_TEXT];
    const struct sign_pair query = {"uploadId", upload->id};
    struct sign_pair headers[3] = {{"Content-Type", "application/xml"}};
    struct s3_request request = {.method = "POST",
                                 .what = "upload",
                                 .key = upload->key,
                                 .query = &query,
                                 .query_count = 1,
                                 .headers = headers,
                                 .header_count = 1,
                                 .extras = upload->is_crc ? EXTRAS_KEY : 0, /* to compare sums */
                                 .error_in_200 = true,
                                 .is_long = true};
    if (upload->is_crc) {
        upload_crc32_text(sum, crc32);
        headers[request.header_count++] = (struct sign_pair){"x-amz-checksum-crc32", sum};
        headers[request.header_count++] = (struct sign_pair){"x-amz-checksum-type", "FULL_OBJECT"};
    }
    buf_init(&body, COMPLETE_BODY_MAX);
    http_response_init(&response);
    build_complete(upload, &body);
    request.body = body.data;
    request.body_size = body.length;
    enum storage_code code = buf_ok(&body) ? s3_perform(store_of(upload), &request, &response, err)
                                           : upload_fail(upload, STORAGE_BUG, "no memory", err);
    if (code == STORAGE_OK &&
        !xml_completed_parse(&completed, response.body.data, response.body.length)) {
        code = upload_fail(upload, STORAGE_TRANSFER, "the answer does not say that it is complete",
                           err);
    }
    if (code == STORAGE_OK) {
        code = verify_completed(upload, &completed, size, crc32, verified, err);
    } else if (is_outcome_unknown(code, err) && is_completed(upload, size, crc32, verified)) {
        code = STORAGE_OK;
    }
    http_response_release(&response);
    buf_release(&body);
    return code;
}

/* Whether the parts are all there and make up the size. */
static bool is_gapless(const struct s3_upload *upload, uint64_t size)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < upload->count; i++) {
        if (!upload->parts[i].is_done) {
            return false;
        }
        sum += upload->parts[i].size;
    }
    return sum == size;
}

enum storage_code s3_upload_complete(struct upload *base, uint64_t size, uint32_t crc32,
                                     enum storage_verified *verified, struct storage_error *err)
{
    struct s3_upload *upload = (struct s3_upload *)base;
    enum storage_verified how = STORAGE_VERIFIED_SIZE;
    enum storage_code code = STORAGE_OK;
    if (!upload->id[0]) { /* one part, or none */
        assert(size == upload->whole_size);
        upload->whole_crc32 = upload->is_whole ? upload->whole_crc32 : 0;
        code = upload_put_whole(upload, &how, err);
        if (code != STORAGE_OK && upload_may_use_crc(upload) && upload_refuses_crc(upload, err)) {
            code = upload_put_whole(upload, &how, err);
        }
    } else if (!is_gapless(upload, size)) {
        code = upload_fail(upload, STORAGE_TRANSFER, "a part is missing", err);
    } else {
        code = complete_parts(upload, size, crc32, &how, err);
    }
    if (verified) {
        *verified = how;
    }
    bool may_pass = code == STORAGE_UNREACHABLE || code == STORAGE_TRANSFER ||
                    code == STORAGE_STOPPED || code == STORAGE_DENIED;
    if (code == STORAGE_OK || (base->plan.is_kept && may_pass)) {
        upload->id[0] = '\0'; /* there is nothing to abort */
    }
    s3_upload_abort(base);
    return code;
}

/* ---- life cycle ------------------------------------------------------------------------------ */

enum storage_code s3_upload_begin(struct upload **result, struct storage *base, const char *key,
                                  const struct upload_plan *plan, struct storage_error *err)
{
    *result = NULL;
    assert(plan->part_size > 0);
    if (!key[0] || strlen(key) > STORAGE_KEY_MAX) {
        return storage_fail(err, STORAGE_USAGE, "PUT s3://%s/%.64s: a key has 1 to 1024 bytes",
                            base->bucket, key);
    }
    if (!xml_is_utf8(key)) { /* a store would call it a wrong signature */
        return storage_fail(err, STORAGE_HOSTILE, "PUT s3://%s/%s: the name is refused: not UTF-8",
                            base->bucket, key);
    }
    struct s3_upload *upload = calloc(1, sizeof *upload);
    if (!upload) {
        return storage_fail(err, STORAGE_BUG, "PUT s3://%s/%s: no memory", base->bucket, key);
    }
    upload->base.store = base;
    upload->base.plan = *plan;
    snprintf(upload->key, sizeof upload->key, "%s", key);
    if (plan->mtime_ns != 0 && !((struct s3_store *)base)->extras.has_mtime) {
        date_format_decimal(upload->mtime, sizeof upload->mtime, plan->mtime_ns);
    }
    pthread_mutex_init(&upload->lock, NULL);
    upload->base.plan.resume = NULL; /* borrowed until here */
    enum storage_code code = plan->resume ? upload_reopen(upload, plan->resume, err) : STORAGE_OK;
    if (code != STORAGE_OK) {
        s3_upload_suspend(&upload->base);
        return code;
    }
    *result = &upload->base;
    return STORAGE_OK;
}

void s3_upload_abort(struct upload *base)
{
    struct s3_upload *upload = (struct s3_upload *)base;
    if (!upload) {
        return;
    }
    if (upload->id[0]) {
        /* Parts cost money until they are gone; a stop is no reason to leave them. */
        struct http_response response;
        const struct sign_pair query = {"uploadId", upload->id};
        struct s3_request request = {.method = "DELETE",
                                     .what = "upload",
                                     .key = upload->key,
                                     .query = &query,
                                     .query_count = 1,
                                     .ignores_stop = true};
        struct storage_error ignored;
        http_response_init(&response);
        s3_perform(store_of(upload), &request, &response, &ignored);
        http_response_release(&response);
    }
    pthread_mutex_destroy(&upload->lock);
    free(upload->refusal);
    free(upload->parts);
    free(upload);
}
