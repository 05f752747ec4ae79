/* list.c - the lister of a store: rows, from pages fetched one by one, or ahead. See list.h. */
#include "storage/s3/list.h"

#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

struct s3_lister {
    struct storage_lister base;
    char prefix[STORAGE_KEY_MAX + 1];
    struct list_ahead *ahead;  /* NULL: pages come from the cursor */
    struct list_cursor cursor; /* unless pages are fetched ahead */
    bool is_ended;             /* after an error, too */
    struct xml_page page;
    size_t next; /* row of the page */
};

enum storage_code s3_lister_open(struct storage_lister **result, struct storage *base,
                                 const struct storage_listing *listing, struct storage_error *err)
{
    const char *prefix = listing->prefix;
    struct s3_store *store = (struct s3_store *)base;
    enum storage_code code = STORAGE_OK;
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
    memcpy(lister->prefix, prefix, strlen(prefix) + 1);
    xml_page_init(&lister->page);
    list_cursor_init(&lister->cursor, store, lister->prefix, listing->recursive, "");
    if (listing->whole && listing->recursive && store->config.connections_max > 1) {
        code = list_ahead_open(&lister->ahead, store, lister->prefix, err);
    }
    if (code != STORAGE_OK) {
        s3_lister_close(&lister->base);
        return code;
    }
    *result = &lister->base;
    return STORAGE_OK;
}

void s3_lister_close(struct storage_lister *base)
{
    struct s3_lister *lister = (struct s3_lister *)base;
    if (lister) {
        list_ahead_close(lister->ahead);
        list_cursor_release(&lister->cursor);
        xml_page_release(&lister->page);
        free(lister);
    }
}

static enum storage_code fetch_page(struct s3_lister *lister, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    lister->next = 0;
    lister->page.count = 0;
    if (lister->ahead) {
        code = list_ahead_take(lister->ahead, &lister->page, &lister->is_ended, err);
    } else if (lister->cursor.is_last) {
        lister->is_ended = true;
    } else {
        code = list_cursor_next(&lister->cursor, &lister->page, err);
    }
    if (code != STORAGE_OK) {
        lister->is_ended = true;
        lister->page.count = 0;
    }
    return code;
}

enum storage_code s3_lister_next(struct storage_lister *base, struct storage_entry *entry,
                                 struct storage_error *err)
{
    struct s3_lister *lister = (struct s3_lister *)base;
    *entry = (struct storage_entry){0};
    while (!lister->is_ended && lister->next == lister->page.count) { /* each page must advance */
        enum storage_code code = fetch_page(lister, err);
        if (code != STORAGE_OK) {
            return code;
        }
    }
    if (lister->is_ended) {
        return STORAGE_OK;
    }
    const struct xml_row *row = &lister->page.rows[lister->next];
    entry->key = xml_page_key(&lister->page, lister->next++);
    entry->is_prefix = row->is_prefix;
    entry->info.size = row->size;
    entry->info.mtime_ns = row->mtime_ns;
    memcpy(entry->info.etag, row->etag, sizeof entry->info.etag);
    if (strncmp(entry->key, lister->prefix, strlen(lister->prefix)) != 0) {
        return list_fail((struct s3_store *)base->store, lister->prefix,
                         "the store listed a key that does not begin so", err);
    }
    return STORAGE_OK;
}
