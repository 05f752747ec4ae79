/*
 * put.c - one PUT for what fits one part, and how any upload is known to have arrived.
 *
 * To stores that keep CRC-32 sums ours is sent, and theirs comes back: they have the bytes that
 * were read. Whether a store does so is known from its first answer. Elsewhere, and always on OBS,
 * Content-MD5 is sent, and the ETag compared with it. Where nothing of that comes back, the size
 * is asked for and compared, and that is said.
 */
#include "storage/s3/upload.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "storage/storage_banned.h"

enum storage_code upload_fail(const struct s3_upload *upload, enum storage_code code,
                              const char *why, struct storage_error *err)
{
    storage_fail(err, code, "PUT s3://%s/%s: %s", upload->base.store->bucket, upload->key, why);
    struct s3_request request = {.method = "PUT", .what = "object", .key = upload->key};
    s3_name_error((struct s3_store *)upload->base.store, &request, err);
    return code;
}

void upload_crc32_text(char text[SUM_TEXT], uint32_t crc32)
{
    const uint8_t bytes[4] = {(uint8_t)(crc32 >> 24), (uint8_t)(crc32 >> 16), (uint8_t)(crc32 >> 8),
                              (uint8_t)crc32};
    struct buf out;
    buf_init(&out, SUM_TEXT - 1);
    digest_add_base64(&out, bytes, sizeof bytes);
    snprintf(text, SUM_TEXT, "%s", out.data);
    buf_release(&out);
}

void upload_md5_text(char text[SUM_TEXT], const uint8_t md5[MD5_SIZE])
{
    struct buf out;
    buf_init(&out, SUM_TEXT - 1);
    digest_add_base64(&out, md5, MD5_SIZE);
    snprintf(text, SUM_TEXT, "%s", out.data);
    buf_release(&out);
}

bool upload_is_etag(const char *etag, const uint8_t md5[MD5_SIZE], const char *suffix)
{
    struct buf out;
    buf_init(&out, 2 * MD5_SIZE + 16);
    digest_add_hex(&out, md5, MD5_SIZE);
    buf_text(&out, suffix);
    bool equal = strcasecmp(out.data, etag) == 0;
    buf_release(&out);
    return equal;
}

/* A store that refuses the checksum headers themselves is not asked to take them again. */
bool upload_refuses_crc(const struct s3_upload *upload, const struct storage_error *err)
{
    struct s3_store *store = (struct s3_store *)upload->base.store;
    int unknown = S3_CHECKSUMS_UNKNOWN;
    bool is_refusal =
        err->http_status == 501 ||
        (err->http_status == 400 && (strcmp(err->service_code, "InvalidArgument") == 0 ||
                                     strcmp(err->service_code, "InvalidRequest") == 0));
    return is_refusal &&
           atomic_compare_exchange_strong(&store->checksums, &unknown, (int)S3_CHECKSUMS_IGNORED);
}

bool upload_may_use_crc(const struct s3_upload *upload)
{
    const struct s3_store *store = (const struct s3_store *)upload->base.store;
    return s3_speaks_checksums(store) && atomic_load(&store->checksums) != S3_CHECKSUMS_IGNORED;
}

/* ---- the last resort ------------------------------------------------------------------------- */

/* Asks the store what it has now, when its answer to the upload did not say enough. */
enum storage_code upload_verify_by_stat(struct s3_upload *upload, uint64_t size, uint32_t crc32,
                                        enum storage_verified *verified, struct storage_error *err)
{
    struct storage_info info;
    enum storage_code code = s3_stat(upload->base.store, upload->key, &info, err);
    if (code != STORAGE_OK) {
        return code;
    }
    if (info.size != size || (info.has_crc32 && info.crc32 != crc32)) {
        return upload_fail(upload, STORAGE_INTEGRITY, "the store has other bytes than were sent",
                           err);
    }
    *verified = info.has_crc32 ? STORAGE_VERIFIED_CRC32 : STORAGE_VERIFIED_SIZE;
    return STORAGE_OK;
}

/* ---- one PUT --------------------------------------------------------------------------------- */

/* The MD5 of the only part. False: it is not known, or cannot be. */
static bool sum_whole(const struct s3_upload *upload, uint8_t md5[MD5_SIZE])
{
    if (upload->body.read) {
        memcpy(md5, upload->body.md5, MD5_SIZE);
        return upload->body.has_md5;
    }
    return digest_md5(md5, upload->whole ? upload->whole : "", upload->whole_size);
}

/* Compares what the answer to a PUT says with what was sent. */
static enum storage_code verify_put(struct s3_upload *upload, const struct http_response *response,
                                    bool used_crc, const uint8_t *md5,
                                    enum storage_verified *verified, struct storage_error *err)
{
    struct s3_store *store = (struct s3_store *)upload->base.store;
    uint8_t own[MD5_SIZE];
    uint32_t crc32 = 0;
    bool has_crc = used_crc && s3_parse_crc32(&crc32, response->crc32);
    if (used_crc) {
        atomic_store(&store->checksums,
                     (int)(has_crc ? S3_CHECKSUMS_HONOURED : S3_CHECKSUMS_IGNORED));
    }
    if (has_crc && crc32 != upload->whole_crc32) {
        return upload_fail(upload, STORAGE_INTEGRITY, "the store has other bytes than were sent",
                           err);
    }
    if (has_crc) {
        *verified = STORAGE_VERIFIED_CRC32;
        return STORAGE_OK;
    }
    if (!md5 && sum_whole(upload, own)) {
        md5 = own;
    }
    if (md5 && upload_is_etag(response->etag, md5, "")) {
        *verified = STORAGE_VERIFIED_MD5;
        return STORAGE_OK;
    }
    return upload_verify_by_stat(upload, upload->whole_size, upload->whole_crc32, verified, err);
}

enum storage_code upload_put_whole(struct s3_upload *upload, enum storage_verified *verified,
                                   struct storage_error *err)
{
    struct s3_store *store = (struct s3_store *)upload->base.store;
    struct http_response response;
    struct sign_pair headers[4];
    char sum[SUM_TEXT];
    uint8_t md5[MD5_SIZE];
    bool use_crc = upload_may_use_crc(upload);
    bool use_md5 = !use_crc && sum_whole(upload, md5);
    struct s3_request request = {.method = "PUT",
                                 .what = "object",
                                 .key = upload->key,
                                 .headers = headers,
                                 .extras = EXTRAS_NEW | EXTRAS_KEY,
                                 .body = upload->whole,
                                 .body_size = upload->whole_size,
                                 .read = upload->body.read,
                                 .context = upload->body.context,
                                 .sha256 = *upload->body.sha256 ? upload->body.sha256 : NULL};
    headers[request.header_count++] =
        (struct sign_pair){"Content-Type", extras_content_type(&store->extras, upload->key)};
    if (upload->mtime[0]) {
        headers[request.header_count++] = (struct sign_pair){"x-amz-meta-mtime", upload->mtime};
    }
    if (use_crc) {
        upload_crc32_text(sum, upload->whole_crc32);
        headers[request.header_count++] = (struct sign_pair){"x-amz-checksum-crc32", sum};
    } else if (use_md5) {
        upload_md5_text(sum, md5);
        headers[request.header_count++] = (struct sign_pair){"Content-MD5", sum};
    }
    http_response_init(&response);
    enum storage_code code = s3_perform(store, &request, &response, err);
    if (code == STORAGE_OK) {
        code = verify_put(upload, &response, use_crc, use_md5 ? md5 : NULL, verified, err);
    }
    http_response_release(&response);
    return code;
}
