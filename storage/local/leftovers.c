/*
 * leftovers.c - temporary files and journals below a folder, as copies that died have left them.
 */
#include "storage/local/leftovers.h"
#include "storage/copy/journal.h"
#include "storage/local/files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_banned.h"

/* A temporary file is in use while a copy holds the journal beside it. */
static bool is_in_use(const char *path, const char *name)
{
    char target[STORAGE_PATH_MAX];
    char journal[STORAGE_PATH_MAX];
    if (journal_is_name(name)) {
        return journal_is_held(path);
    }
    /* ".target.abcdef.part" */
    size_t length = strlen(name) - strlen(".abcdef.part") - 1;
    int all = snprintf(target, sizeof target, "%.*s%.*s", (int)(name - path), path, (int)length,
                       name + 1);
    return all > 0 && (size_t)all < sizeof target &&
           journal_name_beside(journal, sizeof journal, target) && journal_is_held(journal);
}

enum storage_code local_leftovers(struct storage *store, const char *prefix,
                                  storage_leftover_fn *take, void *context,
                                  struct storage_error *err)
{
    (void)store;
    struct files_walk *walk = NULL;
    struct files_entry entry;
    enum storage_code code = files_walk_open(&walk, prefix, true, STORAGE_SYMLINKS_SKIP, err);
    while (code == STORAGE_OK) {
        code = files_walk_next(walk, &entry, err);
        if (code != STORAGE_OK || !entry.path) {
            break;
        }
        const char *slash = strrchr(entry.path, '/');
        const char *name = slash ? slash + 1 : entry.path;
        if (entry.is_folder || !S_ISREG(entry.status.st_mode) ||
            !(files_is_temporary(name) || journal_is_beside(name))) {
            continue;
        }
        struct storage_leftover leftover = {.key = entry.path,
                                            .started_ns = files_mtime_ns(&entry.status),
                                            .size = (uint64_t)entry.status.st_size,
                                            .in_use = is_in_use(entry.path, name)};
        code = take(context, &leftover, err);
    }
    files_walk_close(walk);
    return code;
}

enum storage_code local_leftover_remove(struct storage *store,
                                        const struct storage_leftover *leftover,
                                        struct storage_error *err)
{
    return store->backend->remove(store, leftover->key, err);
}
