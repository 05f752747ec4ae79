/*
 * rm.c - `jobferry rm [-r] URL...`: objects and files, what wildcards name, and with -r all below a
 * prefix or folder. ".jobferry/" below what is named is what resumes hang on, and stays.
 */
#include "runner/commands/commands.h"
#include "runner/commands/naming.h"
#include "runner/json_line.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    BATCH = 1000 /* keys of one request */
};

struct removal {
    struct app *app;
    uint64_t total;
    enum exit_code code; /* of the first failure */
};

static void fail(struct removal *removal, enum exit_code code)
{
    removal->code = removal->code ? removal->code : code;
}

/* ---- many objects --------------------------------------------------------------------------- */

struct batch {
    struct removal *removal;
    struct storage *store;
    char *keys[BATCH];
    size_t count;
};

static void send(struct batch *batch)
{
    struct storage_error err;
    size_t removed = 0;
    if (batch->count > 0 && storage_remove_batch(batch->store, (const char *const *)batch->keys,
                                                 batch->count, &removed, &err)) {
        fail(batch->removal, app_fail_storage(batch->removal->app, &err));
    }
    batch->removal->total += removed;
    for (size_t i = 0; i < batch->count; i++) {
        free(batch->keys[i]);
    }
    batch->count = 0;
}

static void add(struct batch *batch, const char *key)
{
    batch->keys[batch->count] = strdup(key);
    if (!batch->keys[batch->count]) {
        fail(batch->removal, app_fail(batch->removal->app, EXIT_BUG, "rm %s: no memory", key));
        return;
    }
    if (++batch->count == BATCH) {
        send(batch);
    }
}

static bool is_private(const char *key, const char *prefix)
{
    const char *name = key + strlen(prefix);
    return strncmp(name, ".jobferry/", 10) == 0 || strstr(name, "/.jobferry/") != NULL;
}

static void remove_prefix(struct removal *removal, const struct place *place)
{
    char prefix[STORAGE_PATH_MAX];
    struct batch batch = {.removal = removal, .store = place->store};
    struct storage_lister *lister = NULL;
    struct storage_entry entry = {0};
    struct storage_error err;
    const char *key = place->url.key;
    if (!storage_join(prefix, sizeof prefix, key, "")) {
        fail(removal, app_fail(removal->app, EXIT_USAGE, "rm %s: it is too long", place->text));
        return;
    }
    const struct storage_listing listing = {
        .prefix = *key ? prefix : "", .recursive = true, .whole = true};
    enum storage_code result = storage_lister_open_as(&lister, place->store, &listing, &err);
    while (!result) {
        result = storage_lister_next(lister, &entry, &err);
        if (result || !entry.key) {
            break;
        }
        if (!is_private(entry.key, *key ? prefix : "")) {
            add(&batch, entry.key);
        }
    }
    send(&batch);
    storage_lister_close(lister);
    if (result) {
        fail(removal, app_fail_storage(removal->app, &err));
    }
}

/* Links are removed, never followed: what they lead to is not below the folder. */
static void remove_folder(struct removal *removal, const char *path)
{
    char *name = strdup(path);
    char *const roots[] = {name, NULL};
    FTS *tree = name ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
    for (FTSENT *entry = NULL; tree && (entry = fts_read(tree)) != NULL;) {
        bool is_gone = true;
        switch (entry->fts_info) {
        case FTS_D:
            if (entry->fts_level > 0 && strcmp(entry->fts_name, ".jobferry") == 0) {
                fts_set(tree, entry, FTS_SKIP);
            }
            break;
        case FTS_DP:
            rmdir(entry->fts_accpath); /* one that still holds something stays */
            break;
        case FTS_DNR:
        case FTS_ERR:
        case FTS_NS:
            errno = entry->fts_errno;
            is_gone = entry->fts_level == 0 && errno == ENOENT; /* said as "nothing is there" */
            break;
        default:
            is_gone = unlink(entry->fts_accpath) == 0;
            removal->total += is_gone;
        }
        if (!is_gone) {
            fail(removal,
                 app_fail(removal->app, EXIT_DISK, "rm %s: %s", entry->fts_path, strerror(errno)));
        }
    }
    if (tree) {
        fts_close(tree);
    }
    free(name);
}

static void remove_below(struct removal *removal, const struct place *place)
{
    uint64_t before = removal->total;
    enum exit_code code = removal->code;
    if (place->url.kind == STORAGE_LOCAL) {
        remove_folder(removal, *place->url.key ? place->url.key : ".");
    } else {
        remove_prefix(removal, place);
    }
    if (removal->total == before && removal->code == code) {
        fail(removal, app_fail(removal->app, EXIT_MISSING, "rm %s: nothing is there", place->text));
    }
}

/* ---- one word ------------------------------------------------------------------------------- */

static void remove_matching(struct removal *removal, struct place *place, const char *word)
{
    struct naming naming = {.view = {.app = removal->app, .source = *place},
                            .is_bare = true,
                            .words = &word,
                            .word_count = 1};
    struct batch batch = {.removal = removal, .store = place->store};
    struct storage_error err = {0};
    enum storage_code result = STORAGE_OK;
    for (;;) {
        struct storage_item item = {0};
        result = naming_next_word(&naming, &item, &err);
        if (result || !item.source) {
            break;
        }
        add(&batch, item.source);
    }
    send(&batch);
    if (result) {
        fail(removal, app_fail_storage(removal->app, &err));
    }
    naming.view.source.store = NULL; /* place's */
    naming_release(&naming);
}

static void remove_one(struct removal *removal, const struct place *place)
{
    struct storage_info info;
    struct storage_error err;
    /* a version may be the mark of a deletion, which cannot be looked at */
    bool is_looked_at = !removal->app->settings->objects.version_id;
    if ((is_looked_at && storage_stat(place->store, place->url.key, &info, &err)) ||
        storage_remove(place->store, place->url.key, &err)) {
        fail(removal, app_fail_storage(removal->app, &err));
    } else {
        removal->total++;
    }
}

static void remove_word(struct removal *removal, const char *word)
{
    struct app *app = removal->app;
    const struct settings *settings = app->settings;
    struct place place = {0};
    enum exit_code code = place_open(&place, app, SIDE_DATA, word, app->stop, 0);
    const char *key = place.url.key;
    bool is_pattern = !settings->raw && naming_is_pattern(key);
    bool is_all = place.url.kind == STORAGE_S3 ? !*key : strcmp(key, "/") == 0;
    if (code) {
        fail(removal, code);
    } else if (is_pattern && settings->recursive) {
        fail(removal,
             app_fail(app, EXIT_USAGE,
                      "rm %s: wildcards go without -r; --raw takes the name as it is", place.text));
    } else if (is_pattern) {
        remove_matching(removal, &place, word);
    } else if (settings->recursive && is_all && !settings->yes) {
        fail(removal, app_fail(app, EXIT_USAGE, "rm -r %s would empty it all; say so with --yes",
                               place.text));
    } else if (settings->recursive) {
        remove_below(removal, &place);
    } else if (!*key) {
        fail(removal, app_fail(app, EXIT_USAGE, "rm %s: the URL must name an object", place.text));
    } else {
        remove_one(removal, &place);
    }
    place_close(&place);
}

enum exit_code command_rm(struct app *app)
{
    const struct arguments *arguments = app->arguments;
    const struct settings *settings = app->settings;
    struct removal removal = {.app = app};
    if (arguments->positional_count == 0) {
        return app_fail(app, EXIT_USAGE, "rm takes one URL or more");
    }
    if (settings->objects.version_id && (settings->recursive || arguments->positional_count > 1)) {
        return app_fail(app, EXIT_USAGE, "rm --version_id takes one object");
    }
    for (size_t i = 0; i < arguments->positional_count && !atomic_load(app->stop); i++) {
        remove_word(&removal, arguments->positional[i]);
    }
    if (settings->json) {
        json_line_print(json_pack("{s{sI}}", "summary", "deleted", (json_int_t)removal.total));
    } else if (removal.total != 1) {
        log_info(&app->log, "removed %llu objects", (unsigned long long)removal.total);
    }
    return removal.code;
}
