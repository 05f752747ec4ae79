/*
 * condition.c - an object written on a condition: If-None-Match: * and If-Match on PUT, as AWS S3
 * and MinIO know them. OBS's documents name them only for GET, HEAD and copies.
 */
#include "storage/base/digest.h"
#include "storage/s3/upload.h"

#include <stdio.h>
#include <string.h>

#include "storage/storage_banned.h"

void s3_tag(char tag[STORAGE_ETAG_MAX + 1], const struct storage_info *info, const void *data,
            size_t size)
{
    (void)data;
    (void)size;
    snprintf(tag, STORAGE_ETAG_MAX + 1, "%s", info->etag);
}

enum storage_code s3_put_if(struct storage *base, const char *key, const void *data, size_t size,
                            const char *tag, char new_tag[STORAGE_ETAG_MAX + 1],
                            struct storage_error *err)
{
    struct s3_store *store = (struct s3_store *)base;
    struct http_response response;
    struct sign_pair headers[3];
    uint8_t md5[MD5_SIZE];
    char sum[SUM_TEXT];
    char match[STORAGE_ETAG_MAX + 3];
    struct s3_request request = {.method = "PUT",
                                 .what = "object",
                                 .key = key,
                                 .headers = headers,
                                 .extras = EXTRAS_NEW | EXTRAS_KEY,
                                 .body = data,
                                 .body_size = size};
    snprintf(match, sizeof match, "\"%s\"", tag ? tag : "");
    headers[request.header_count++] =
        (struct sign_pair){"Content-Type", extras_content_type(&store->extras, key)};
    headers[request.header_count++] =
        tag ? (struct sign_pair){"If-Match", match} : (struct sign_pair){"If-None-Match", "*"};
    if (digest_md5(md5, data, size)) { /* some machines have no MD5 */
        upload_md5_text(sum, md5);
        headers[request.header_count++] = (struct sign_pair){"Content-MD5", sum};
    }
    http_response_init(&response);
    enum storage_code code = s3_perform(store, &request, &response, err);
    if (code == STORAGE_OK) {
        memcpy(new_tag, response.etag, sizeof response.etag);
    } else if (response.status == 501) {
        code = err->code = STORAGE_USAGE; /* it knows no conditions */
    } else if (response.status == 409 || strcmp(err->service_code, "NoSuchKey") == 0) {
        code = err->code = STORAGE_CHANGED; /* two at once; one that was to be there is gone */
    }
    http_response_release(&response);
    return code;
}
