/*
 * extras.c - what the destination has and the source lacks. Keys wait in a file without a name
 * until everything else is done and known to have gone well.
 */
#include "storage/storage_error.h"
#include "storage/sync/sync.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    BATCH_KEYS = 1000,
    DELETE_DEFAULT = 1000
};

void sync_extras_add(struct sync_extras *extras, const char *key)
{
    extras->count++;
    if (extras->code != STORAGE_OK) {
        return;
    }
    if (!extras->names) {
        extras->names = tmpfile();
    }
    size_t size = strlen(key) + 1;
    if (!extras->names || fwrite(key, 1, size, extras->names) != size) {
        extras->code = storage_fail_errno(&extras->error, "keep the names to be deleted in",
                                          "a temporary file", errno);
    }
}

void sync_extras_release(struct sync_extras *extras)
{
    if (extras->names) {
        fclose(extras->names);
        extras->names = NULL;
    }
}

/* Why nothing may be deleted; NULL when it may. */
static const char *find_reason(const struct sync_state *state,
                               const struct storage_summary *summary, char *text, size_t size)
{
    uint64_t there = state->there.count;
    uint64_t limit = state->sync.delete_max;
    if (summary->failed > 0) {
        snprintf(text, size, "%" PRIu64 " objects failed", summary->failed);
        return text;
    }
    if (state->source.count == 0) {
        return "the source is empty";
    }
    if (limit == UINT64_MAX) {
        limit = there / 2 < DELETE_DEFAULT ? there / 2 : DELETE_DEFAULT;
    }
    if (state->extras.count > limit) {
        snprintf(text, size,
                 "that is more than may go of the %" PRIu64 " that are there (%" PRIu64 ")", there,
                 limit);
        return text;
    }
    return NULL;
}

static enum storage_code withhold(struct sync_state *state, struct storage_summary *summary,
                                  const char *reason, struct storage_error *err)
{
    summary->withheld = state->extras.count;
    storage_fail(err, STORAGE_WITHHELD,
                 "sync %s: nothing was deleted of %" PRIu64 " that the source lacks: %s",
                 state->route.to, state->extras.count, reason);
    storage_hint(err, "look with --dry_run; --max_delete allows more");
    return STORAGE_WITHHELD;
}

/* Removes the folders above a file that are empty now, unless the source has them. */
static void prune(struct sync_state *state, char *key)
{
    struct storage *source = state->source.store;
    size_t root = strlen(state->there.prefix);
    size_t length = strlen(key);
    char other[STORAGE_PATH_MAX];
    struct storage_info info;
    length -= length > root && key[length - 1] == '/'; /* an empty folder, itself removed */
    for (;;) {
        while (length > root && key[length - 1] != '/') {
            length--;
        }
        if (length <= root) {
            return;
        }
        key[length] = '\0';
        if (folders_remove(state->folders, key, NULL) != STORAGE_OK) {
            return; /* it holds something */
        }
        if (storage_join(other, sizeof other, state->source.prefix, key + root) &&
            storage_stat(source, other, &info, NULL) == STORAGE_OK) {
            folders_make(state->folders, key, NULL);
            return;
        }
        length--;
    }
}

/* From folders one by one: not through a link that was no link when they were listed. */
static enum storage_code remove_files(struct sync_state *state, char **keys, size_t count,
                                      size_t *removed, struct storage_error *err)
{
    enum storage_code first = STORAGE_OK;
    for (size_t i = 0; i < count; i++) {
        enum storage_code code =
            folders_remove(state->folders, keys[i], first == STORAGE_OK ? err : NULL);
        *removed += code == STORAGE_OK;
        first = first == STORAGE_OK ? code : first;
    }
    return first;
}

static enum storage_code remove_batch(struct sync_state *state, char **keys, size_t count,
                                      struct storage_summary *summary, struct storage_error *err)
{
    struct storage *store = state->there.store;
    size_t removed = 0;
    enum storage_code code = STORAGE_OK;
    if (!state->sync.dry_run) {
        code = state->folders
                   ? remove_files(state, keys, count, &removed, err)
                   : storage_remove_batch(store, (const char *const *)keys, count, &removed, err);
        summary->deleted += removed;
        summary->failed += count - removed;
    }
    for (size_t i = 0; i < count; i++) {
        if (removed == count || state->sync.dry_run) {
            sync_tell(state, STORAGE_ACTION_DELETE, NULL, keys[i], 0);
        }
        if (!state->sync.dry_run && state->folders) {
            prune(state, keys[i]);
        }
    }
    return code;
}

/* Reads keys back and removes them, some at a time. */
static enum storage_code remove_all(struct sync_state *state, char **keys,
                                    struct storage_summary *summary, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    size_t count = 0;
    size_t capacity = 0;
    char *key = NULL;
    const atomic_bool *stop = state->sync.copy.stop;
    rewind(state->extras.names);
    while (code == STORAGE_OK && getdelim(&key, &capacity, '\0', state->extras.names) > 0) {
        if (stop && atomic_load(stop)) {
            code = storage_fail(err, STORAGE_STOPPED, "sync: stopped on request");
            break;
        }
        keys[count++] = key;
        key = NULL;
        capacity = 0;
        if (count == BATCH_KEYS) {
            code = remove_batch(state, keys, count, summary, err);
            while (count > 0) {
                free(keys[--count]);
            }
        }
    }
    if (code == STORAGE_OK && count > 0) {
        code = remove_batch(state, keys, count, summary, err);
    }
    if (code == STORAGE_OK && ferror(state->extras.names)) {
        code = storage_fail_errno(err, "read", "the names to be deleted", EIO);
    }
    while (count > 0) {
        free(keys[--count]);
    }
    free(key);
    return code;
}

enum storage_code sync_extras_remove(struct sync_state *state, struct storage_summary *summary,
                                     struct storage_error *err)
{
    char text[160];
    if (state->extras.count == 0) {
        return STORAGE_OK;
    }
    const char *reason = find_reason(state, summary, text, sizeof text);
    if (reason) {
        return withhold(state, summary, reason, err);
    }
    if (state->extras.code != STORAGE_OK || fflush(state->extras.names) != 0) {
        *err = state->extras.error;
        summary->withheld = state->extras.count;
        return state->extras.code != STORAGE_OK
                   ? state->extras.code
                   : storage_fail_errno(err, "write", "the names to be deleted", errno);
    }
    char **keys = calloc(BATCH_KEYS, sizeof *keys);
    if (!keys) {
        return storage_fail(err, STORAGE_BUG, "sync: no memory");
    }
    enum storage_code code = remove_all(state, keys, summary, err);
    free(keys);
    return code;
}
