/*
 * leftovers.c - uploads that were begun and neither completed nor aborted: a bucket keeps their
 * parts, and their bill, until somebody aborts them.
 *
 * ListMultipartUploads, page by page. MinIO lists a prefix only when it is a whole key, so when a
 * prefix gives nothing all is asked for and chosen from here; whoever may list only below a prefix
 * is refused that, and then nothing is what there is.
 */
#include "storage/copy/journal.h"
#include "storage/s3/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_banned.h"

enum {
    PAGES_MAX = 1000000
};

struct leftovers_walk {
    struct s3_store *store;
    const char *wanted; /* what keys begin with */
    const char *prefix; /* what the store is asked for: the same, or "" */
    char *key_marker;   /* owned; NULL: the first page */
    char *id_marker;    /* owned */
    storage_leftover_fn *take;
    void *context;
    uint64_t found; /* with the prefix, whether wanted or not */
};

static enum storage_code fail(const struct leftovers_walk *walk, const char *why,
                              struct storage_error *err)
{
    return storage_fail(err, STORAGE_TRANSFER, "list uploads of s3://%s/%s: %s",
                        walk->store->base.bucket, walk->wanted, why);
}

static enum storage_code fetch_page(struct leftovers_walk *walk, struct xml_pendings *page,
                                    struct storage_error *err)
{
    struct http_response response;
    struct sign_pair query[5];
    size_t count = 0;
    if (!atomic_load(&walk->store->is_obs)) { /* sorted by name, as signatures want them */
        query[count++] = (struct sign_pair){"encoding-type", "url"};
    }
    if (walk->key_marker) {
        query[count++] = (struct sign_pair){"key-marker", walk->key_marker};
    }
    if (walk->prefix[0]) {
        query[count++] = (struct sign_pair){"prefix", walk->prefix};
    }
    if (walk->id_marker) {
        query[count++] = (struct sign_pair){"upload-id-marker", walk->id_marker};
    }
    query[count++] = (struct sign_pair){"uploads", NULL};
    struct s3_request request = {
        .method = "GET", .what = "list", .query = query, .query_count = count};
    http_response_init(&response);
    enum storage_code code = s3_perform(walk->store, &request, &response, err);
    if (code == STORAGE_OK && !xml_pendings_parse(page, response.body.data, response.body.length)) {
        code = fail(walk, "the answer is no list of uploads", err);
    }
    http_response_release(&response);
    return code;
}

/* The journal that a copy from this machine has, or had, of uploads to key. */
static bool find_journal(char path[STORAGE_PATH_MAX], const struct storage *store, const char *key)
{
    return journal_name_in(path, STORAGE_PATH_MAX, store->state_folder, store->place, store->bucket,
                           key);
}

static enum storage_code take_page(struct leftovers_walk *walk, const struct xml_pendings *page,
                                   struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    char journal[STORAGE_PATH_MAX];
    for (size_t i = 0; i < page->count && code == STORAGE_OK; i++) {
        const struct xml_pending *row = &page->rows[i];
        struct storage_leftover leftover = {
            .key = row->key, .upload_id = row->id, .started_ns = row->started_ns};
        leftover.in_use =
            find_journal(journal, &walk->store->base, row->key) && journal_is_held(journal);
        walk->found++;
        if (strncmp(row->key, walk->wanted, strlen(walk->wanted)) == 0) {
            code = walk->take(walk->context, &leftover, err);
        }
    }
    return code;
}

/* Takes the page's markers for the next; they must be others than those of the page itself. */
static enum storage_code advance(struct leftovers_walk *walk, struct xml_pendings *page,
                                 struct storage_error *err)
{
    bool same_key =
        walk->key_marker && page->key_marker && strcmp(walk->key_marker, page->key_marker) == 0;
    bool same_id = walk->id_marker && page->id_marker
                       ? strcmp(walk->id_marker, page->id_marker) == 0
                       : walk->id_marker == page->id_marker;
    if (!page->key_marker || !page->key_marker[0] || (same_key && same_id)) {
        return fail(walk, "the list does not advance", err);
    }
    free(walk->key_marker);
    free(walk->id_marker);
    walk->key_marker = page->key_marker;
    walk->id_marker = page->id_marker;
    page->key_marker = NULL;
    page->id_marker = NULL;
    return STORAGE_OK;
}

static enum storage_code walk_pages(struct leftovers_walk *walk, struct storage_error *err)
{
    struct xml_pendings page = {0};
    enum storage_code code = STORAGE_OK;
    bool more = true;
    for (unsigned pages = 0; code == STORAGE_OK && more; pages++) {
        code = pages < PAGES_MAX ? fetch_page(walk, &page, err)
                                 : fail(walk, "the list does not end", err);
        if (code == STORAGE_OK) {
            code = take_page(walk, &page, err);
        }
        more = page.truncated;
        if (code == STORAGE_OK && more) {
            code = advance(walk, &page, err);
        }
    }
    xml_pendings_release(&page);
    free(walk->key_marker);
    free(walk->id_marker);
    walk->key_marker = NULL;
    walk->id_marker = NULL;
    return code;
}

enum storage_code s3_leftovers(struct storage *base, const char *prefix, storage_leftover_fn *take,
                               void *context, struct storage_error *err)
{
    struct leftovers_walk walk = {.store = (struct s3_store *)base,
                                  .wanted = prefix,
                                  .prefix = prefix,
                                  .take = take,
                                  .context = context};
    enum storage_code code = walk_pages(&walk, err);
    if (code == STORAGE_OK && walk.found == 0 && prefix[0]) {
        walk.prefix = "";
        code = walk_pages(&walk, err);
        code = code == STORAGE_DENIED && walk.found == 0 ? STORAGE_OK : code;
    }
    return code;
}

enum storage_code s3_leftover_remove(struct storage *base, const struct storage_leftover *leftover,
                                     struct storage_error *err)
{
    struct http_response response;
    char path[STORAGE_PATH_MAX];
    const struct sign_pair query = {"uploadId", leftover->upload_id};
    struct s3_request request = {.method = "DELETE",
                                 .what = "upload",
                                 .key = leftover->key,
                                 .query = &query,
                                 .query_count = 1};
    http_response_init(&response);
    enum storage_code code = s3_perform((struct s3_store *)base, &request, &response, err);
    http_response_release(&response);
    if (code == STORAGE_NOT_FOUND && strcmp(err->service_code, "NoSuchBucket") != 0) {
        code = STORAGE_OK; /* gone is what it was to be */
    }
    if (code == STORAGE_OK && find_journal(path, base, leftover->key) && !journal_is_held(path)) {
        unlink(path); /* nothing is left to go on with */
    }
    return code;
}
