/* object.c - looking at, reading and removing objects; making the bucket. */
#include "storage/s3/s3.h"

#include "storage/base/date.h"
#include "storage/base/digest.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    BATCH_MAX = 1000,                 /* keys of one DeleteObjects: S3 and OBS limit */
    BATCH_BODY_MAX = 8 * 1024 * 1024, /* keys of 1,024 bytes, each byte an entity */
    RANGE_TEXT = 64
};

bool s3_parse_crc32(uint32_t *crc32, const char *text)
{
    uint8_t bytes[4];
    if (!digest_decode_base64(bytes, sizeof bytes, text)) {
        return false;
    }
    *crc32 =
        (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    return true;
}

/* What an answer tells of the whole object; is_whole: its sum is that of the whole. */
static void fill_info(struct storage_info *info, const struct http_response *response,
                      bool is_whole)
{
    int64_t seconds = 0;
    *info = (struct storage_info){0};
    info->size = response->has_range_total      ? response->range_total
                 : response->has_content_length ? response->content_length
                                                : response->body_size;
    memcpy(info->etag, response->etag, sizeof info->etag);
    info->etag_is_opaque = response->etag_is_opaque;
    if (!date_parse_decimal(&info->mtime_ns, response->mtime)) {
        info->mtime_ns =
            date_parse_http(&seconds, response->last_modified) ? seconds * 1000000000 : 0;
    }
    /* A sum of sums ("COMPOSITE") ends in "-N" and so does not parse. */
    bool is_full = strcmp(response->checksum_type, "COMPOSITE") != 0;
    info->has_crc32 = is_whole && is_full && s3_parse_crc32(&info->crc32, response->crc32);
}

/* ---- stat ------------------------------------------------------------------------------------ */

/* A HEAD's answer has no document: asks for one where it matters which refusal it was. */
static enum storage_code explain_head(struct s3_store *store, const struct s3_request *head,
                                      struct storage_error *err)
{
    struct http_response response;
    struct storage_error full;
    char byte = 0;
    enum storage_code code = err->code;
    bool is_object = head->key && head->key[0];
    const struct sign_pair first_byte = {"Range", "bytes=0-0"};
    const struct sign_pair one_key = {"max-keys", "1"};
    struct s3_request get = {.method = "GET",
                             .what = head->what,
                             .key = head->key,
                             .query = head->query,
                             .query_count = head->query_count,
                             .extras = head->extras};
    if (is_object) {
        get.headers = &first_byte;
        get.header_count = 1;
        get.sink = &byte;
        get.sink_size = 1;
    } else {
        get.query = &one_key;
        get.query_count = 1;
    }
    http_response_init(&response);
    if (s3_perform(store, &get, &response, &full) != STORAGE_OK && full.service_code[0]) {
        *err = full;
        code = full.code;
    }
    http_response_release(&response);
    return code;
}

/* A missing object, or its bucket? Once anything in the bucket was seen the question is settled. */
static enum storage_code explain_missing(struct s3_store *store, const struct s3_request *head,
                                         struct storage_error *err)
{
    struct s3_request bucket = {.method = "HEAD", .what = "bucket"};
    bool is_object = head->key && head->key[0];
    bool is_missing_bucket = !is_object;
    if (is_object && !atomic_load(&store->is_found)) {
        struct http_response response;
        struct storage_error why;
        http_response_init(&response);
        s3_perform(store, &bucket, &response, &why);
        is_missing_bucket = response.status == 404;
        http_response_release(&response);
    }
    struct http_response answer = {.status = 404};
    struct xml_error document = {0};
    snprintf(answer.request_id, sizeof answer.request_id, "%s", err->request_id);
    snprintf(document.code, sizeof document.code, "%s",
             is_missing_bucket ? "NoSuchBucket" : "NoSuchKey");
    return s3_fail(store, head, &answer, &document, err);
}

enum storage_code s3_stat(struct storage *base, const char *key, struct storage_info *info,
                          struct storage_error *err)
{
    struct s3_store *store = (struct s3_store *)base;
    struct http_response response;
    const struct sign_pair checksum = {"x-amz-checksum-mode", "ENABLED"};
    struct s3_request head = {
        .method = "HEAD", .what = key[0] ? "object" : "bucket", .key = key, .headers = &checksum};
    struct sign_pair version;
    *info = (struct storage_info){0};
    if (key[0]) {
        head.extras = EXTRAS_KEY;
        s3_pick_version(store, &head, &version);
    }
    head.header_count = key[0] && s3_speaks_checksums(store) ? 1 : 0;
    http_response_init(&response);
    enum storage_code code = s3_perform(store, &head, &response, err);
    if (code == STORAGE_OK && key[0]) {
        fill_info(info, &response, true);
    } else if (code == STORAGE_OK) {
        info->is_directory = true;
    } else if (response.status == 404) {
        code = explain_missing(store, &head, err);
    } else if (response.status / 100 == 4 || response.status / 100 == 3) {
        code = explain_head(store, &head, err);
    }
    http_response_release(&response);
    return code;
}

/* ---- read ------------------------------------------------------------------------------------ */

static enum storage_code fail_changed(struct s3_store *store, const struct s3_request *request,
                                      struct storage_error *err)
{
    enum storage_code code =
        storage_fail(err, STORAGE_CHANGED, "GET s3://%s/%s: the object changed while it was read",
                     store->base.bucket, request->key);
    s3_name_error(store, request, err);
    err->http_status = 412;
    return code;
}

static bool is_other_etag(const char *wanted, const char *got)
{
    return wanted && *wanted && *got && strcmp(wanted, got) != 0;
}

/* The range lies behind the end: nothing to read, unless the object is another by now. */
static enum storage_code read_behind_end(struct s3_store *store, const struct s3_request *get,
                                         uint64_t offset, const char *etag,
                                         struct storage_info *info, struct storage_error *err)
{
    struct storage_info now;
    enum storage_code code = s3_stat(&store->base, get->key, &now, err);
    if (code != STORAGE_OK) {
        return code;
    }
    if (is_other_etag(etag, now.etag) || now.size > offset) {
        return fail_changed(store, get, err);
    }
    if (info) {
        *info = now;
    }
    return STORAGE_OK;
}

/* Whether the answer is the range that was asked for. */
static enum storage_code check_range(struct s3_store *store, const struct s3_request *get,
                                     const struct http_response *response, uint64_t offset,
                                     size_t size, struct storage_error *err)
{
    uint64_t total = response->has_range_total ? response->range_total : response->content_length;
    uint64_t left = total > offset ? total - offset : 0;
    uint64_t expected = left < size ? left : size;
    const char *fault = NULL;
    if (response->status != 206 && offset > 0) {
        fault = "the store ignored the range";
    } else if ((response->has_range_total || response->has_content_length) &&
               response->body_size != expected) {
        fault = "fewer bytes came than the object has";
    } else if (!response->has_range_total && !response->has_content_length &&
               !response->is_chunked) {
        /* Only the connection's end would end it, and who ended that nobody knows, even over TLS.
         */
        fault = "the answer does not say how long it is";
    }
    if (!fault) {
        return STORAGE_OK;
    }
    enum storage_code code = storage_fail(err, STORAGE_TRANSFER, "GET s3://%s/%s: %s",
                                          store->base.bucket, get->key, fault);
    s3_name_error(store, get, err);
    err->http_status = response->status;
    return code;
}

/* Whether the sum in an answer is that of the whole object. */
static bool is_sum_of_whole(const struct http_response *response, uint64_t got)
{
    return response->status == 200 || (response->has_range_total && response->range_total == got &&
                                       strcmp(response->checksum_type, "FULL_OBJECT") == 0);
}

/* A range to be read: into data, or by pieces. */
struct reading {
    uint64_t offset;
    uint64_t size;
    bool whole; /* the range is all: it need not be named */
    const char *etag;
    void *data;
    storage_piece_fn *take;
    void *context;
    struct http_response response;
    struct storage_info *info; /* NULL: not wanted */
};

static bool take_piece(void *context, uint64_t offset, const void *data, size_t size)
{
    struct reading *reading = context;
    if (offset == 0 && reading->info) {
        fill_info(reading->info, &reading->response,
                  is_sum_of_whole(&reading->response, reading->size));
    }
    return reading->take(reading->context, offset, data, size);
}

static enum storage_code read_range(struct s3_store *store, const char *key,
                                    struct reading *reading, uint64_t *got,
                                    struct storage_error *err)
{
    struct sign_pair headers[3];
    char range[RANGE_TEXT];
    char match[STORAGE_ETAG_MAX + 3];
    struct http_response *response = &reading->response;
    struct s3_request get = {.method = "GET",
                             .what = "object",
                             .key = key,
                             .headers = headers,
                             .sink = reading->data,
                             .sink_size = (size_t)reading->size,
                             .write = reading->take ? take_piece : NULL,
                             .context = reading};
    struct sign_pair version;
    *got = 0;
    get.extras = EXTRAS_KEY;
    s3_pick_version(store, &get, &version);
    if (reading->size == 0) {
        return read_behind_end(store, &get, UINT64_MAX, reading->etag, reading->info, err);
    }
    if (!reading->whole) { /* with a range no store sends the sum of the whole */
        snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, reading->offset,
                 reading->offset + reading->size - 1);
        headers[get.header_count++] = (struct sign_pair){"Range", range};
    }
    if (reading->etag && *reading->etag) {
        snprintf(match, sizeof match, "\"%s\"", reading->etag);
        headers[get.header_count++] = (struct sign_pair){"If-Match", match};
    }
    if (s3_speaks_checksums(store)) {
        headers[get.header_count++] = (struct sign_pair){"x-amz-checksum-mode", "ENABLED"};
    }
    http_response_init(response);
    enum storage_code code = s3_perform(store, &get, response, err);
    if (response->status == 416) {
        code = read_behind_end(store, &get, reading->offset, reading->etag, reading->info, err);
    } else if (response->status == 412 ||
               (code == STORAGE_OK && is_other_etag(reading->etag, response->etag))) {
        code = fail_changed(store, &get, err);
    } else if (code == STORAGE_OK) {
        code = check_range(store, &get, response, reading->offset, (size_t)reading->size, err);
        if (code == STORAGE_OK) {
            *got = response->body_size;
        }
        if (reading->info) {
            fill_info(reading->info, response, is_sum_of_whole(response, *got));
        }
    }
    http_response_release(response);
    return code;
}

enum storage_code s3_read(struct storage *base, const char *key, uint64_t offset, void *data,
                          size_t size, bool whole, const char *etag, size_t *got,
                          struct storage_info *info, struct storage_error *err)
{
    uint64_t arrived = 0;
    struct reading reading = {
        .offset = offset, .size = size, .whole = whole, .etag = etag, .data = data, .info = info};
    enum storage_code code = read_range((struct s3_store *)base, key, &reading, &arrived, err);
    *got = (size_t)arrived;
    return code;
}

enum storage_code s3_read_pieces(struct storage *base, const char *key, uint64_t offset,
                                 uint64_t size, bool whole, const char *etag,
                                 storage_piece_fn *take, void *context, struct storage_info *info,
                                 struct storage_error *err)
{
    uint64_t arrived = 0;
    struct reading reading = {.offset = offset,
                              .size = size,
                              .whole = whole,
                              .etag = etag,
                              .take = take,
                              .context = context,
                              .info = info};
    enum storage_code code = read_range((struct s3_store *)base, key, &reading, &arrived, err);
    if (code == STORAGE_OK && arrived != size) {
        code = storage_fail(err, STORAGE_TRANSFER, "read %s: %llu bytes came instead of %llu", key,
                            (unsigned long long)arrived, (unsigned long long)size);
    }
    return code;
}

/* ---- remove ---------------------------------------------------------------------------------- */

enum storage_code s3_remove(struct storage *base, const char *key, struct storage_error *err)
{
    struct s3_store *store = (struct s3_store *)base;
    struct http_response response;
    struct s3_request request = {.method = "DELETE", .what = "object", .key = key};
    struct sign_pair version;
    s3_pick_version(store, &request, &version);
    if (!key[0]) { /* it would be the bucket that goes */
        return storage_fail(err, STORAGE_USAGE, "DELETE s3://%s/: no key is given",
                            store->base.bucket);
    }
    http_response_init(&response);
    enum storage_code code = s3_perform(store, &request, &response, err);
    if (code == STORAGE_NOT_FOUND && strcmp(err->service_code, "NoSuchBucket") != 0) {
        code = STORAGE_OK;
    }
    http_response_release(&response);
    return code;
}

/* One DeleteObjects under way. */
struct batch {
    struct s3_store *store;
    struct buf body;
    const char *keys[BATCH_MAX];
    size_t count;
    size_t removed;
    enum storage_code code; /* of the first refusal */
    struct storage_error *err;
};

/* Keeps the first refusal, whose text is *why. */
static void keep_refusal(struct batch *batch, enum storage_code code,
                         const struct storage_error *why)
{
    if (code != STORAGE_OK && batch->code == STORAGE_OK) {
        batch->code = code;
        if (batch->err) {
            *batch->err = *why;
        }
    }
}

static void remove_one(struct batch *batch, const char *key)
{
    struct storage_error why;
    enum storage_code code = s3_remove(&batch->store->base, key, &why);
    batch->removed += code == STORAGE_OK;
    keep_refusal(batch, code, &why);
}

/* What the answer to a batch says of each key. */
static void take_result(struct batch *batch, const struct s3_request *request,
                        const struct http_response *response)
{
    struct storage_error why;
    struct xml_deleted deleted;
    enum storage_code code = STORAGE_OK;
    if (!xml_deleted_parse(&deleted, response->body.data, response->body.length)) {
        code = storage_fail(&why, STORAGE_TRANSFER,
                            "POST s3://%s/?delete: the answer is no "
                            "DeleteResult",
                            batch->store->base.bucket);
        s3_name_error(batch->store, request, &why);
    } else {
        size_t refused = deleted.refused < batch->count ? deleted.refused : batch->count;
        batch->removed += batch->count - refused;
        if (refused > 0) {
            struct s3_request one = {.method = "DELETE", .what = "object", .key = deleted.key};
            struct xml_error document = {0};
            memcpy(document.code, deleted.code, sizeof document.code);
            memcpy(document.message, deleted.message, sizeof document.message);
            code = s3_fail(batch->store, &one, response, &document, &why);
            code = code == STORAGE_TRANSFER ? STORAGE_CONFLICT : code; /* status is 200 here */
            why.code = code;
        }
    }
    keep_refusal(batch, code, &why);
}

static void send_batch(struct batch *batch)
{
    struct http_response response;
    struct storage_error why;
    struct buf sum;
    uint8_t md5[MD5_SIZE];
    if (batch->count == 0) {
        return;
    }
    buf_text(&batch->body, "</Delete>");
    buf_init(&sum, 64);
    if (digest_md5(md5, batch->body.data, batch->body.length)) {
        digest_add_base64(&sum, md5, sizeof md5);
    }
    const struct sign_pair query = {"delete", NULL};
    const struct sign_pair headers[] = {{"Content-Type", "application/xml"},
                                        {"Content-MD5", sum.data}};
    struct s3_request request = {.method = "POST",
                                 .what = "delete",
                                 .query = &query,
                                 .query_count = 1,
                                 .headers = headers,
                                 .header_count = 2,
                                 .body = batch->body.data,
                                 .body_size = batch->body.length};
    http_response_init(&response);
    enum storage_code code = s3_perform(batch->store, &request, &response, &why);
    if (code == STORAGE_OK) {
        take_result(batch, &request, &response);
    } else if (response.status == 405 || response.status == 501) {
        /* Google's store, for one, has no batches. */
        for (size_t i = 0; i < batch->count; i++) {
            remove_one(batch, batch->keys[i]);
        }
    } else {
        keep_refusal(batch, code, &why);
    }
    http_response_release(&response);
    buf_release(&sum);
    batch->count = 0;
}

enum storage_code s3_remove_batch(struct storage *base, const char *const *keys, size_t count,
                                  size_t *removed, struct storage_error *err)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch) {
        *removed = 0;
        return storage_fail(err, STORAGE_BUG, "remove objects: no memory");
    }
    batch->store = (struct s3_store *)base;
    batch->err = err;
    buf_init(&batch->body, BATCH_BODY_MAX);
    for (size_t i = 0; i < count; i++) {
        struct buf key;
        buf_init(&key, 16 * STORAGE_KEY_MAX);
        if (!keys[i][0] || !xml_escape(&key, keys[i]) || !buf_ok(&key)) {
            remove_one(batch, keys[i]); /* XML has no way to name it */
        } else {
            if (batch->count == 0) {
                buf_clear(&batch->body);
                buf_text(&batch->body, "<Delete><Quiet>true</Quiet>");
            }
            buf_format(&batch->body, "<Object><Key>%s</Key></Object>", key.data);
            batch->keys[batch->count++] = keys[i];
        }
        buf_release(&key);
        if (batch->count == BATCH_MAX) {
            send_batch(batch);
        }
    }
    send_batch(batch);
    assert(buf_ok(&batch->body));
    enum storage_code code = batch->code;
    *removed = batch->removed;
    buf_release(&batch->body);
    free(batch);
    return code;
}

/* ---- buckets --------------------------------------------------------------------------------- */

enum storage_code s3_make_bucket(struct storage *base, const char *key, struct storage_error *err)
{
    struct s3_store *store = (struct s3_store *)base;
    struct http_response response;
    char region[ENDPOINT_REGION_MAX + 1];
    char body[256];
    const struct sign_pair type = {"Content-Type", "application/xml"};
    struct s3_request request = {.method = "PUT", .what = "bucket", .headers = &type};
    (void)key; /* a bucket has no folders to make */
    pthread_mutex_lock(&store->lock);
    memcpy(region, store->endpoint.region, sizeof region);
    pthread_mutex_unlock(&store->lock);
    bool is_obs = atomic_load(&store->is_obs);
    /* us-east-1 must not be named; "auto" is no place. */
    if (strcmp(region, "us-east-1") != 0 && strcmp(region, "auto") != 0) {
        const char *element = is_obs ? "Location" : "LocationConstraint";
        snprintf(body, sizeof body,
                 "<CreateBucketConfiguration><%s>%s</%s></CreateBucketConfiguration>", element,
                 region, element);
        request.body = body;
        request.body_size = strlen(body);
        request.header_count = 1;
    }
    http_response_init(&response);
    enum storage_code code = s3_perform(store, &request, &response, err);
    if (code != STORAGE_OK && strcmp(err->service_code, "BucketAlreadyOwnedByYou") == 0) {
        code = STORAGE_OK;
    }
    http_response_release(&response);
    return code;
}
