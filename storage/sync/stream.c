/* stream.c - one side of a sync, in strict order. */
#include "storage/storage_error.h"
#include "storage/sync/sync.h"

#include <string.h>

#include "storage/storage_banned.h"

enum storage_code sync_stream_open(struct sync_stream *stream, enum storage_symlinks symlinks,
                                   struct storage_error *err)
{
    const struct storage_listing listing = {
        .prefix = stream->prefix, .recursive = true, .whole = true, .symlinks = symlinks};
    stream->name = "";
    return storage_lister_open_as(&stream->lister, stream->store, &listing, err);
}

void sync_stream_close(struct sync_stream *stream)
{
    storage_lister_close(stream->lister);
    stream->lister = NULL;
}

/* Our own files: of jobs, of syncs, and what a copy under way has in a folder. */
static bool is_ours(const struct sync_stream *stream, const char *name)
{
    bool is_draft = stream->store->kind == STORAGE_LOCAL && copy_is_draft(name);
    return strncmp(name, ".jobferry/", 10) == 0 || strstr(name, "/.jobferry/") != NULL ||
           strcmp(name, SYNC_RECORD_NAME) == 0 || is_draft;
}

static enum storage_code fail_order(const struct sync_stream *stream, const char *key, bool twice,
                                    struct storage_error *err)
{
    bool local = stream->store->kind == STORAGE_LOCAL;
    return storage_fail(err, STORAGE_TRANSFER, "list %s%s%s%s: %.300s came %s",
                        local ? "" : "s3://", stream->store->bucket, local ? "" : "/",
                        stream->prefix, key, twice ? "twice" : "after names that follow it");
}

enum storage_code sync_stream_next(struct sync_stream *stream, struct storage_error *err)
{
    size_t prefix = strlen(stream->prefix);
    for (;;) {
        enum storage_code code = storage_lister_next(stream->lister, &stream->entry, err);
        if (code == STORAGE_NOT_FOUND && stream->may_be_missing && !*stream->name) {
            stream->entry.key = NULL;
        } else if (code != STORAGE_OK) {
            return code;
        }
        const char *key = stream->entry.key;
        stream->ended = key == NULL;
        if (stream->ended) {
            return STORAGE_OK;
        }
        size_t length = strlen(key);
        if (strncmp(key, stream->prefix, prefix) != 0 || length >= sizeof stream->key) {
            return storage_fail(err, STORAGE_TRANSFER, "list %s: %.300s does not lie there",
                                stream->prefix, key);
        }
        int order = strcmp(key + prefix, stream->name);
        if (order <= 0 && *stream->name) {
            return fail_order(stream, key, order == 0, err);
        }
        memcpy(stream->key, key, length + 1);
        stream->name = stream->key + prefix;
        stream->entry.key = stream->key;
        if (*stream->name && !is_ours(stream, stream->name) &&
            storage_filter_takes(stream->filter, stream->name)) {
            stream->count++;
            return STORAGE_OK;
        }
    }
}
