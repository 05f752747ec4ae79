/*
 * resume.c - going on with an upload that another process began.
 *
 * It is found again by its id. What it has, the store lists (ListParts, page by page); a part is
 * kept when that list has it with the size it should have and the ETag that it was taken with. The
 * ETag is remembered as "md5:<etag>" where it was seen to be the part's MD5, so that the whole can
 * still be proved by a multipart ETag, else as "etag:<etag>".
 */
#include "storage/s3/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    PAGES_MAX = 10000, /* one part each at the worst */
};

static const char crc_token[] = "crc32:"; /* begun with sums of the whole asked for */
static const char plain_token[] = "plain:";
static const char md5_tag[] = "md5:";
static const char etag_tag[] = "etag:";

static const char *skip_prefix(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

/* ---- what it is found again by --------------------------------------------------------------- */

enum storage_code s3_upload_token(struct upload *base, char *token, size_t size,
                                  struct storage_error *err)
{
    struct s3_upload *upload = (struct s3_upload *)base;
    enum storage_code code = upload_ensure_id(upload, err);
    int length =
        snprintf(token, size, "%s%s", upload->is_crc ? crc_token : plain_token, upload->id);
    if (code == STORAGE_OK && (length < 0 || (size_t)length >= size)) {
        code = upload_fail(upload, STORAGE_TRANSFER, "its upload id is too long", err);
    }
    return code;
}

enum storage_code s3_probe_upload(struct storage *store, const char *key, struct storage_error *err)
{
    const struct upload_plan plan = {.size = UINT64_MAX, .part_size = 1};
    struct upload *base = NULL;
    enum storage_code code = s3_upload_begin(&base, store, key, &plan, err);
    if (code != STORAGE_OK) {
        return code;
    }
    struct s3_upload *upload = (struct s3_upload *)base;
    code = upload_ensure_id(upload, err);
    if (code == STORAGE_OK) {
        /* Not s3_upload_abort: whether it may be aborted is half of the question. */
        const struct storage_leftover leftover = {.key = key, .upload_id = upload->id};
        code = s3_leftover_remove(store, &leftover, err);
    }
    s3_upload_suspend(base);
    return code;
}

void s3_upload_part_tag(struct upload *base, unsigned number, char *tag, size_t size)
{
    struct s3_upload *upload = (struct s3_upload *)base;
    tag[0] = '\0';
    pthread_mutex_lock(&upload->lock);
    if (number <= upload->count && upload->parts[number - 1].is_done) {
        const struct part *part = &upload->parts[number - 1];
        snprintf(tag, size, "%s%s", part->is_md5 ? md5_tag : etag_tag, part->etag);
    }
    pthread_mutex_unlock(&upload->lock);
}

/* ---- what it has ----------------------------------------------------------------------------- */

static enum storage_code take_page(struct s3_upload *upload, const struct xml_parts *page,
                                   struct storage_error *err)
{
    for (size_t i = 0; i < page->count; i++) {
        struct part *part = upload_part_at(upload, page->rows[i].number);
        if (!part) {
            return upload_fail(upload, STORAGE_BUG, "no memory", err);
        }
        *part = (struct part){.size = page->rows[i].size, .is_listed = true};
        memcpy(part->etag, page->rows[i].etag, sizeof part->etag);
    }
    return STORAGE_OK;
}

static enum storage_code fetch_page(struct s3_upload *upload, uint64_t marker,
                                    struct xml_parts *page, struct storage_error *err)
{
    struct http_response response;
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)marker);
    const struct sign_pair query[] = {{"part-number-marker", digits}, {"uploadId", upload->id}};
    const struct sign_pair first = {"uploadId", upload->id};
    struct s3_request request = {.method = "GET",
                                 .what = "upload",
                                 .key = upload->key,
                                 .query = marker ? query : &first,
                                 .query_count = marker ? 2 : 1};
    http_response_init(&response);
    enum storage_code code =
        s3_perform((struct s3_store *)upload->base.store, &request, &response, err);
    if (code == STORAGE_OK && !xml_parts_parse(page, response.body.data, response.body.length)) {
        code = upload_fail(upload, STORAGE_TRANSFER, "the answer is no list of parts", err);
    }
    http_response_release(&response);
    return code;
}

enum storage_code upload_reopen(struct s3_upload *upload, const char *token,
                                struct storage_error *err)
{
    struct xml_parts page = {0};
    uint64_t marker = 0;
    enum storage_code code = STORAGE_OK;
    const char *id = skip_prefix(token, crc_token);
    upload->is_crc = id != NULL;
    id = id ? id : skip_prefix(token, plain_token);
    if (!id || !*id || strlen(id) >= sizeof upload->id) {
        return upload_fail(upload, STORAGE_NOT_FOUND, "no upload is named so", err);
    }
    snprintf(upload->id, sizeof upload->id, "%s", id);
    for (unsigned pages = 0; code == STORAGE_OK; pages++) {
        code = fetch_page(upload, marker, &page, err);
        if (code == STORAGE_OK) {
            code = take_page(upload, &page, err);
        }
        if (code != STORAGE_OK || !page.truncated) {
            break;
        }
        if (page.marker <= marker || pages >= PAGES_MAX) {
            code = upload_fail(upload, STORAGE_TRANSFER, "the list of its parts does not advance",
                               err);
        }
        marker = page.marker;
    }
    xml_parts_release(&page);
    return code;
}

static bool parse_md5(uint8_t md5[MD5_SIZE], const char *hex)
{
    for (size_t i = 0; i < MD5_SIZE; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i] ? hex[2 * i + 1] : '\0', '\0'};
        char *end = NULL;
        md5[i] = (uint8_t)strtoul(digits, &end, 16);
        if (end != digits + 2) {
            return false;
        }
    }
    return hex[2 * MD5_SIZE] == '\0';
}

bool s3_upload_keep(struct upload *base, unsigned number, size_t size, uint32_t crc32,
                    const char *tag, void *data)
{
    (void)data;
    struct s3_upload *upload = (struct s3_upload *)base;
    bool kept = false;
    const char *md5 = skip_prefix(tag, md5_tag);
    const char *etag = md5 ? md5 : skip_prefix(tag, etag_tag);
    pthread_mutex_lock(&upload->lock);
    struct part *part = number <= upload->capacity ? &upload->parts[number - 1] : NULL;
    if (part && part->is_listed && part->size == size && etag && strcmp(part->etag, etag) == 0) {
        part->is_md5 = md5 && parse_md5(part->md5, md5);
        part->crc32 = crc32;
        part->is_done = true;
        upload->count = number > upload->count ? number : upload->count;
        kept = true;
    }
    pthread_mutex_unlock(&upload->lock);
    return kept;
}

void s3_upload_suspend(struct upload *base)
{
    struct s3_upload *upload = (struct s3_upload *)base;
    upload->id[0] = '\0'; /* so there is nothing to abort */
    s3_upload_abort(base);
}
