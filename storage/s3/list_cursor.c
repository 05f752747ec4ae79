/*
 * list_cursor.c - one way through a listing's pages.
 *
 * Version 2 with continuation tokens, or version 1 with markers: on OBS, whose file system buckets
 * know no other, and wherever a page says that more follows but gives no token. Keys are asked for
 * as they are; only when a page cannot be read as XML, or holds U+FFFD, which servers put for
 * characters that XML lacks, is it asked for again with encoding-type=url, and so are those after
 * it (on OBS's file systems that mode repeats one page for ever, so it is never the first choice).
 *
 * Whether a store knows start-after is found out on a second page: asked for so, it must begin
 * behind the first. Where it does not, the token is used as ever, and nobody asks again. Nor is
 * MinIO asked: whoever begins anywhere has it walk from there to the end of the bucket, for pages
 * that it keeps for the token's bearer (cmd/metacache-server-pool.go); a second walk takes the time
 * that the first needs.
 */
#include "storage/s3/list.h"

#include <string.h>

#include "storage/storage_banned.h"

enum {
    EMPTY_PAGES_MAX = 1000 /* pages in a row without anything new, each with a new token */
};

void list_cursor_init(struct list_cursor *cursor, struct s3_store *store, const char *prefix,
                      bool is_recursive, const char *after)
{
    *cursor = (struct list_cursor){.store = store, .prefix = prefix, .is_recursive = is_recursive};
    cursor->is_version1 = atomic_load(&store->is_obs);
    buf_init(&cursor->marker, XML_TEXT_MAX);
    buf_init(&cursor->last, XML_TEXT_MAX);
    buf_text(&cursor->last, after);
}

void list_cursor_release(struct list_cursor *cursor)
{
    buf_release(&cursor->marker);
    buf_release(&cursor->last);
}

enum storage_code list_fail(const struct s3_store *store, const char *prefix, const char *why,
                            struct storage_error *err)
{
    enum storage_code code =
        storage_fail(err, STORAGE_TRANSFER, "list s3://%s/%s: %s", store->base.bucket, prefix, why);
    struct s3_request request = {.method = "GET", .what = "list", .key = prefix};
    s3_name_error(store, &request, err);
    return code;
}

/* One request for the page at the marker, or behind a key. *is_read: its answer was a page. */
static enum storage_code request_page(const struct list_cursor *cursor, const char *after,
                                      struct xml_page *page, bool *is_read,
                                      struct storage_error *err)
{
    struct http_response response;
    struct sign_pair query[6];
    size_t count = 0;
    if (!cursor->is_version1) {
        query[count++] = (struct sign_pair){"list-type", "2"};
    }
    query[count++] = (struct sign_pair){"prefix", cursor->prefix};
    query[count++] = (struct sign_pair){"max-keys", "1000"};
    if (!cursor->is_recursive) {
        query[count++] = (struct sign_pair){"delimiter", "/"};
    }
    if (*after) {
        query[count++] = (struct sign_pair){"start-after", after};
    } else if (cursor->marker.length > 0) {
        const char *name = cursor->is_version1 ? "marker" : "continuation-token";
        query[count++] = (struct sign_pair){name, cursor->marker.data};
    }
    if (cursor->is_encoded) {
        query[count++] = (struct sign_pair){"encoding-type", "url"};
    }
    struct s3_request request = {.method = "GET",
                                 .what = "list",
                                 .query = query,
                                 .query_count = count,
                                 .stop = cursor->stop};
    http_response_init(&response);
    enum storage_code code = s3_perform(cursor->store, &request, &response, err);
    *is_read = code == STORAGE_OK &&
               xml_page_parse(page, response.body.data, response.body.length, cursor->is_encoded);
    http_response_release(&response);
    return code;
}

/* The same, encoded where it must be. */
static enum storage_code read_page(struct list_cursor *cursor, const char *after,
                                   struct xml_page *page, struct storage_error *err)
{
    bool is_read = false;
    enum storage_code code = request_page(cursor, after, page, &is_read, err);
    if (code == STORAGE_OK && !cursor->is_encoded && (!is_read || page->doubtful)) {
        cursor->is_encoded = true;
        code = request_page(cursor, after, page, &is_read, err);
    }
    if (code == STORAGE_OK && !is_read) {
        code = list_fail(cursor->store, cursor->prefix, "the answer is not a list page", err);
    }
    return code;
}

/*
 * Whether a token leads back to a walk that the store goes on with: MinIO's is the base64 of a key
 * and "[minio_cache:..." (cmd/metacache-marker.go). These are that word's letters, by where in a
 * group of three bytes it begins.
 */
static bool names_a_walk(const char *token)
{
    return strstr(token, "bWluaW9fY2FjaG") || strstr(token, "1pbmlvX2NhY2hl") ||
           strstr(token, "taW5pb19jYWNoZ");
}

/* Asks for the second page by the key before it; *known says whether the answer is that page. */
static enum storage_code try_after(struct list_cursor *cursor, struct xml_page *page, bool *known,
                                   struct storage_error *err)
{
    enum storage_code code = read_page(cursor, cursor->last.data, page, err);
    *known = code == STORAGE_OK && page->count > 0 &&
             strcmp(xml_page_key(page, 0), cursor->last.data) > 0;
    bool is_answered = code == STORAGE_OK || err->http_status / 100 == 4 || err->http_status == 501;
    if (is_answered) {
        atomic_store(&cursor->store->start_after,
                     *known ? S3_START_AFTER_WORKS : S3_START_AFTER_FAILS);
        return STORAGE_OK;
    }
    return code;
}

/* Where the next page begins; an error when that is where this one did. */
static enum storage_code advance(struct list_cursor *cursor, const struct xml_page *page,
                                 struct storage_error *err)
{
    const char *next = page->token.data;
    cursor->is_last = !page->truncated;
    if (cursor->is_last) {
        return STORAGE_OK;
    }
    const char *repeated = NULL;
    if (cursor->is_version1 || page->token.length == 0) {
        /* Without NextMarker the last row, prefixes among them, is the marker. */
        next = page->marker.length > 0 ? page->marker.data
               : page->count > 0       ? xml_page_key(page, page->count - 1)
                                       : "";
        bool was_version1 = cursor->is_version1;
        cursor->is_version1 = true;
        repeated = was_version1 && strcmp(next, cursor->marker.data) <= 0 ? next : NULL;
    } else {
        repeated = strcmp(next, cursor->marker.data) == 0 ? next : NULL;
    }
    if (repeated) {
        return list_fail(cursor->store, cursor->prefix, "the store gave the same page twice", err);
    }
    bool is_empty =
        page->count == 0 || strcmp(xml_page_key(page, page->count - 1), cursor->last.data) <= 0;
    cursor->empty_pages = is_empty ? cursor->empty_pages + 1 : 0;
    if (!*next || cursor->empty_pages > EMPTY_PAGES_MAX) {
        return list_fail(cursor->store, cursor->prefix,
                         "the store says that more follows but gives nothing", err);
    }
    buf_clear(&cursor->marker);
    buf_text(&cursor->marker, next);
    return STORAGE_OK;
}

/* Leaves out what came before: a common prefix may end one page and begin the next. */
static void drop_repeated(struct list_cursor *cursor, struct xml_page *page)
{
    const char *last = cursor->last.data;
    size_t kept = 0;
    for (size_t i = 0; i < page->count; i++) {
        const char *key = xml_page_key(page, i);
        if (strcmp(key, last) > 0) {
            page->rows[kept++] = page->rows[i];
            last = key;
        }
    }
    page->count = kept;
    if (kept > 0) {
        buf_clear(&cursor->last);
        buf_text(&cursor->last, xml_page_key(page, kept - 1));
    }
}

enum storage_code list_cursor_next(struct list_cursor *cursor, struct xml_page *page,
                                   struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    bool is_known = false;
    const char *after = cursor->page_count == 0 ? cursor->last.data : "";
    /* The dialect may have become known with the first answer. */
    cursor->is_version1 |= cursor->page_count == 0 && atomic_load(&cursor->store->is_obs);
    if (cursor->may_try_after && cursor->page_count == 1 && !cursor->is_version1 &&
        cursor->last.length > 0 &&
        atomic_load(&cursor->store->start_after) == S3_START_AFTER_UNKNOWN) {
        if (names_a_walk(cursor->marker.data)) {
            atomic_store(&cursor->store->start_after, S3_START_AFTER_COSTS);
        } else {
            code = try_after(cursor, page, &is_known, err);
        }
    }
    if (code == STORAGE_OK && !is_known) {
        code = read_page(cursor, after, page, err);
        bool is_found_out = !cursor->is_version1 && atomic_load(&cursor->store->is_obs);
        if (code != STORAGE_OK && cursor->page_count == 0 && is_found_out) {
            cursor->is_version1 = true; /* OBS by another name, which the refusal told */
            code = read_page(cursor, after, page, err);
        }
    }
    if (code == STORAGE_OK && page->count > 0 &&
        strcmp(xml_page_key(page, 0), cursor->last.data) < 0) {
        code = list_fail(cursor->store, cursor->prefix,
                         "the store does not list in the order of keys", err);
    }
    if (code == STORAGE_OK) {
        code = advance(cursor, page, err);
    }
    if (code == STORAGE_OK) {
        drop_repeated(cursor, page);
        cursor->page_count++;
    }
    return code;
}
