/*
 * list.c - listing by pages, one in memory at a time.
 *
 * Version 2 with continuation tokens, or version 1 with markers: on OBS, whose file system buckets
 * know no other, and wherever a page says that more follows but gives no token. Keys are asked for
 * as they are; only when a page cannot be read as XML, or holds U+FFFD, which servers put for
 * characters that XML lacks, is it asked for again with encoding-type=url, and so are those after
 * it (on OBS's file systems that mode repeats one page for ever, so it is never the first choice).
 */
#include "storage/s3/s3.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    EMPTY_PAGES_MAX = 1000, /* pages in a row without anything new, each with a new token */
    KEY_TEXT_MAX = XML_TEXT_MAX
};

struct s3_lister {
    struct storage_lister base;
    char prefix[STORAGE_KEY_MAX + 1];
    bool is_recursive;
    bool is_version1;
    bool is_encoded; /* ask with encoding-type=url */
    bool is_last;    /* no page follows the present one */
    bool is_started;
    unsigned empty_pages;
    struct xml_page page;
    size_t next;       /* row of the page */
    struct buf marker; /* or token of the next page */
    struct buf last;   /* the last key that was given out */
};

enum storage_code s3_lister_open(struct storage_lister **result, struct storage *base,
                                 const struct storage_listing *listing, struct storage_error *err)
{
    const char *prefix = listing->prefix;
    struct s3_store *store = (struct s3_store *)base;
    *result = NULL;
    if (strlen(prefix) > STORAGE_KEY_MAX) {
        return storage_fail(err, STORAGE_USAGE,
                            "list s3://%s/%.64s…: the prefix is longer than a "
                            "key can be",
                            base->bucket, prefix);
    }
    struct s3_lister *lister = calloc(1, sizeof *lister);
    if (!lister) {
        return storage_fail(err, STORAGE_BUG, "list s3://%s/%s: no memory", base->bucket, prefix);
    }
    lister->base.store = base;
    snprintf(lister->prefix, sizeof lister->prefix, "%s", prefix);
    lister->is_recursive = listing->recursive;
    lister->is_version1 = atomic_load(&store->is_obs);
    xml_page_init(&lister->page);
    buf_init(&lister->marker, KEY_TEXT_MAX);
    buf_init(&lister->last, KEY_TEXT_MAX);
    *result = &lister->base;
    return STORAGE_OK;
}

void s3_lister_close(struct storage_lister *base)
{
    struct s3_lister *lister = (struct s3_lister *)base;
    if (lister) {
        xml_page_release(&lister->page);
        buf_release(&lister->marker);
        buf_release(&lister->last);
        free(lister);
    }
}

static enum storage_code fail_page(const struct s3_lister *lister, const char *why,
                                   struct storage_error *err)
{
    enum storage_code code = storage_fail(err, STORAGE_TRANSFER, "list s3://%s/%s: %s",
                                          lister->base.store->bucket, lister->prefix, why);
    if (err) {
        struct s3_request request = {.method = "GET", .what = "list", .key = lister->prefix};
        s3_name_error((struct s3_store *)lister->base.store, &request, err);
    }
    return code;
}

/* One request for the page at the marker. *is_read: its answer was a list page. */
static enum storage_code request_page(struct s3_lister *lister, bool *is_read,
                                      struct storage_error *err)
{
    struct s3_store *store = (struct s3_store *)lister->base.store;
    struct http_response response;
    struct sign_pair query[6];
    size_t count = 0;
    /* The dialect may have become known with the first answer. */
    lister->is_version1 |= !lister->is_started && atomic_load(&store->is_obs);
    if (!lister->is_version1) {
        query[count++] = (struct sign_pair){"list-type", "2"};
    }
    query[count++] = (struct sign_pair){"prefix", lister->prefix};
    query[count++] = (struct sign_pair){"max-keys", "1000"};
    if (!lister->is_recursive) {
        query[count++] = (struct sign_pair){"delimiter", "/"};
    }
    if (lister->marker.length > 0) {
        const char *name = lister->is_version1 ? "marker" : "continuation-token";
        query[count++] = (struct sign_pair){name, lister->marker.data};
    }
    if (lister->is_encoded) {
        query[count++] = (struct sign_pair){"encoding-type", "url"};
    }
    struct s3_request request = {
        .method = "GET", .what = "list", .query = query, .query_count = count};
    http_response_init(&response);
    enum storage_code code = s3_perform(store, &request, &response, err);
    *is_read = code == STORAGE_OK && xml_page_parse(&lister->page, response.body.data,
                                                    response.body.length, lister->is_encoded);
    http_response_release(&response);
    return code;
}

/* Where the next page begins; an error when that is where this one did. */
static enum storage_code advance(struct s3_lister *lister, struct storage_error *err)
{
    const struct xml_page *page = &lister->page;
    const char *next = page->token.data;
    lister->is_last = !page->truncated;
    if (lister->is_last) {
        return STORAGE_OK;
    }
    if (lister->is_version1 || page->token.length == 0) {
        /* Without NextMarker the last row, prefixes among them, is the marker. */
        next = page->marker.length > 0 ? page->marker.data
               : page->count > 0       ? xml_page_key(page, page->count - 1)
                                       : "";
        bool was_version1 = lister->is_version1;
        lister->is_version1 = true;
        if (was_version1 && strcmp(next, lister->marker.data) <= 0) {
            return fail_page(lister, "the store gave the same page twice", err);
        }
    } else if (strcmp(next, lister->marker.data) == 0) {
        return fail_page(lister, "the store gave the same page twice", err);
    }
    bool is_empty =
        page->count == 0 || strcmp(xml_page_key(page, page->count - 1), lister->last.data) <= 0;
    lister->empty_pages = is_empty ? lister->empty_pages + 1 : 0;
    if (!*next || lister->empty_pages > EMPTY_PAGES_MAX) {
        return fail_page(lister, "the store says that more follows but gives nothing", err);
    }
    buf_clear(&lister->marker);
    buf_text(&lister->marker, next);
    return STORAGE_OK;
}

static enum storage_code fetch_page(struct s3_lister *lister, struct storage_error *err)
{
    bool is_read = false;
    lister->next = 0;
    enum storage_code code = request_page(lister, &is_read, err);
    if (code == STORAGE_OK && !lister->is_encoded && (!is_read || lister->page.doubtful)) {
        lister->is_encoded = true;
        code = request_page(lister, &is_read, err);
    }
    if (code != STORAGE_OK) {
        return code;
    }
    if (!is_read) {
        return fail_page(lister, "the answer is not a list page", err);
    }
    if (lister->page.count > 0 && strcmp(xml_page_key(&lister->page, 0), lister->last.data) < 0) {
        return fail_page(lister, "the store does not list in the order of keys", err);
    }
    lister->is_started = true;
    return advance(lister, err);
}

/* The next row that was not given out before; false at the page's end. */
static bool next_row(struct s3_lister *lister, struct storage_entry *entry)
{
    const struct xml_page *page = &lister->page;
    while (lister->next < page->count) {
        const struct xml_row *row = &page->rows[lister->next];
        const char *key = xml_page_key(page, lister->next++);
        if (lister->last.length > 0 && strcmp(key, lister->last.data) == 0) {
            continue; /* a common prefix may end one page and begin the next */
        }
        buf_clear(&lister->last);
        buf_text(&lister->last, key);
        *entry = (struct storage_entry){.key = key, .is_prefix = row->is_prefix};
        entry->info.size = row->size;
        entry->info.mtime_ns = row->mtime_ns;
        memcpy(entry->info.etag, row->etag, sizeof entry->info.etag);
        return true;
    }
    return false;
}

enum storage_code s3_lister_next(struct storage_lister *base, struct storage_entry *entry,
                                 struct storage_error *err)
{
    struct s3_lister *lister = (struct s3_lister *)base;
    while (!next_row(lister, entry)) { /* bounded: each page must advance */
        if (lister->is_last) {
            *entry = (struct storage_entry){0};
            return STORAGE_OK;
        }
        enum storage_code code = fetch_page(lister, err);
        if (code != STORAGE_OK) {
            lister->is_last = true; /* an error ends the listing */
            xml_page_release(&lister->page);
            xml_page_init(&lister->page);
            return code;
        }
    }
    if (strncmp(entry->key, lister->prefix, strlen(lister->prefix)) != 0) {
        return fail_page(lister, "the store listed a key that does not begin so", err);
    }
    return STORAGE_OK;
}
