/* naming.c - names from words and wildcards; those from files are in naming_file.c. */
#include "runner/commands/naming.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/runner_banned.h"

static const char wildcards[] = "*?[";

bool naming_is_pattern(const char *word)
{
    return word[strcspn(word, wildcards)] != '\0';
}

static enum storage_code fail(struct storage_error *err, enum storage_code code, const char *what,
                              const char *why)
{
    *err = (struct storage_error){.code = code};
    snprintf(err->operation, sizeof err->operation, "copy");
    snprintf(err->target, sizeof err->target, "%.1199s", what);
    snprintf(err->message, sizeof err->message, "copy %.1500s: %s", what, why);
    return code;
}

/* What the name of the item is and where it lands. A name that may not be written is its failure.
 */
static void place_item(struct naming *naming, const char *source, size_t root,
                       const struct storage_info *info, struct storage_item *item)
{
    const char *why = NULL;
    const char *key = naming->view.destination.url.key;
    *item = (struct storage_item){.source = source, .destination = naming->destination};
    if (info) {
        naming->info = *info;
        item->info = &naming->info;
    }
    naming->named++;
    if (naming->is_bare) {
        return;
    }
    if (!storage_name_is_safe(source + root, &why)) {
        fail(&naming->failure, STORAGE_HOSTILE, source, why);
        item->failure = &naming->failure;
    } else if (!storage_join(naming->destination, sizeof naming->destination, key, source + root)) {
        fail(&naming->failure, STORAGE_USAGE, source, "its destination is too long");
        item->failure = &naming->failure;
    }
}

/* ---- what is listed ------------------------------------------------------------------------- */

/* Whether key, or with recursive a folder it lies in, is what the pattern means. */
static bool is_meant(const struct naming *naming, const char *key)
{
    char folder[STORAGE_PATH_MAX];
    if (!*naming->pattern || fnmatch(naming->pattern, key, FNM_PATHNAME | FNM_NOESCAPE) == 0) {
        return true;
    }
    snprintf(folder, sizeof folder, "%s", key);
    for (char *slash = strrchr(folder, '/'); naming->recursive && slash;
         slash = strrchr(folder, '/')) {
        *slash = '\0';
        if ((size_t)(slash - folder) <= naming->root) {
            break;
        }
        if (fnmatch(naming->pattern, folder, FNM_PATHNAME | FNM_NOESCAPE) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_private(const struct naming *naming, const char *key)
{
    return strncmp(key + naming->root, ".jobferry/", 10) == 0;
}

/* The next object of the listing; none is a NULL source, and the listing is closed. */
static enum storage_code next_listed(struct naming *naming, struct storage_item *item,
                                     struct storage_error *err)
{
    struct storage_entry entry;
    for (;;) {
        enum storage_code code = storage_lister_next(naming->lister, &entry, err);
        if (code != STORAGE_OK || !entry.key) {
            storage_lister_close(naming->lister);
            naming->lister = NULL;
            return code;
        }
        size_t length = strlen(entry.key);
        bool is_folder = entry.is_prefix || (length > 0 && entry.key[length - 1] == '/');
        if (!is_folder && is_meant(naming, entry.key) && !is_private(naming, entry.key)) {
            place_item(naming, entry.key, naming->root, &entry.info, item);
            if (naming->moves && entry.link == STORAGE_LINK_BEHIND) {
                fail(&naming->failure, STORAGE_CONFLICT, entry.key,
                     "it lies behind a link to a folder, which a move leaves alone");
                item->failure = &naming->failure;
            }
            return STORAGE_OK;
        }
    }
}

/* Whether a local path, of which the end may not exist yet, lies in folder or is it. */
static bool lies_in(const char *path, const char *folder)
{
    char there[PATH_MAX];
    char here[PATH_MAX];
    char up[PATH_MAX];
    if (!realpath(folder, there)) {
        return false;
    }
    size_t length = strlen(there);
    snprintf(up, sizeof up, "%s", *path ? path : ".");
    while (!realpath(up, here)) {
        char *slash = strrchr(up, '/');
        snprintf(slash ? slash : up, 3, "%s", slash == up ? "/" : slash ? "" : ".");
    }
    return strncmp(here, there, length) == 0 && (here[length] == '/' || !here[length]);
}

/* Whether what the pattern means would grow while it is copied. */
static bool feeds_itself(const struct naming *naming, const char *prefix)
{
    const struct place *from = &naming->view.source;
    const struct place *to = &naming->view.destination;
    char name[STORAGE_PATH_MAX];
    if (from->url.kind != to->url.kind) {
        return false;
    }
    if (from->url.kind == STORAGE_LOCAL) {
        return lies_in(to->url.key, *prefix ? prefix : ".");
    }
    return strcmp(from->url.bucket, to->url.bucket) == 0 && to->url.key[0] &&
           storage_join(name, sizeof name, to->url.key, "name") &&
           strncmp(name, prefix, strlen(prefix)) == 0 && is_meant(naming, name);
}

static enum storage_code open_lister(struct naming *naming, const char *prefix, bool recursive,
                                     struct storage_error *err)
{
    if (recursive && feeds_itself(naming, prefix)) {
        return fail(err, STORAGE_USAGE, prefix, "the destination lies in what is to be copied");
    }
    const struct storage_listing listing = {
        .prefix = prefix, .recursive = recursive, .whole = true};
    return storage_lister_open_as(&naming->lister, naming->view.source.store, &listing, err);
}

/* ---- words ---------------------------------------------------------------------------------- */

/* Bytes up to the last '/' before end, the slash among them. */
static size_t folder_length(const char *key, size_t end)
{
    while (end > 0 && key[end - 1] != '/') {
        end--;
    }
    return end;
}

/* Keys are listed from the part that is fixed, one level where the rest of the pattern is one. */
static enum storage_code begin_pattern(struct naming *naming, const char *key,
                                       struct storage_error *err)
{
    char prefix[STORAGE_PATH_MAX];
    size_t fixed = strcspn(key, wildcards);
    bool is_deep = naming->recursive || strchr(key + fixed, '/');
    snprintf(naming->pattern, sizeof naming->pattern, "%s", key);
    snprintf(prefix, sizeof prefix, "%.*s", (int)fixed, key);
    naming->root = folder_length(key, fixed);
    if (naming->view.source.url.kind == STORAGE_S3) {
        return open_lister(naming, prefix, is_deep, err);
    }
    naming->next_match = 0;
    int result = glob(key, 0, NULL, &naming->matches);
    if (result == GLOB_NOSPACE) {
        return fail(err, STORAGE_BUG, key, "no memory");
    }
    return STORAGE_OK; /* what matches nothing, or may not be read, names nothing */
}

/* One of several words: an object, or with recursive a folder, under its own name. */
static enum storage_code begin_plain(struct naming *naming, const char *key,
                                     struct storage_item *item, struct storage_error *err)
{
    struct stat status;
    bool is_local = naming->view.source.url.kind == STORAGE_LOCAL;
    size_t length = strlen(key);
    while (length > 1 && key[length - 1] == '/') {
        length--;
    }
    bool is_folder = is_local ? stat(key, &status) == 0 && S_ISDIR(status.st_mode)
                              : length != strlen(key) || !*key;
    naming->root = folder_length(key, length);
    naming->pattern[0] = '\0';
    if (is_folder && naming->recursive) {
        snprintf(naming->source, sizeof naming->source, "%.*s/", (int)length, key);
        return open_lister(naming, *key ? naming->source : "", true, err);
    }
    snprintf(naming->source, sizeof naming->source, "%s", key);
    place_item(naming, naming->source, naming->root, NULL, item);
    if (is_folder) {
        fail(&naming->failure, STORAGE_USAGE, key, "it is a folder; to copy its contents add -r");
        item->failure = &naming->failure;
    }
    return STORAGE_OK;
}

static enum storage_code begin_word(struct naming *naming, const char *word,
                                    struct storage_item *item, struct storage_error *err)
{
    struct storage_url url;
    const struct storage_url *place = &naming->view.source.url;
    enum storage_code code = storage_url_parse(&url, word, err);
    if (code != STORAGE_OK) {
        return code;
    }
    if (url.kind != place->kind || strcmp(url.bucket, place->bucket) != 0) {
        return fail(err, STORAGE_USAGE, word, "all sources must be of one bucket, or all local");
    }
    return naming_is_pattern(url.key) && !naming->view.app->settings->raw
               ? begin_pattern(naming, url.key, err)
               : begin_plain(naming, url.key, item, err);
}

/* The next local path that a pattern matched: a file, or a folder whose listing begins. */
static enum storage_code next_match(struct naming *naming, struct storage_item *item,
                                    struct storage_error *err)
{
    struct stat status;
    const char *path = naming->matches.gl_pathv[naming->next_match++];
    if (strlen(path) >= sizeof naming->source || stat(path, &status) != 0) {
        return STORAGE_OK;
    }
    if (!S_ISDIR(status.st_mode)) {
        snprintf(naming->source, sizeof naming->source, "%s", path);
        place_item(naming, naming->source, naming->root, NULL, item);
    } else if (naming->recursive) {
        naming->pattern[0] = '\0';
        return open_lister(naming, path, true, err);
    }
    return STORAGE_OK;
}

enum storage_code naming_next_word(void *context, struct storage_item *item,
                                   struct storage_error *err)
{
    struct naming *naming = context;
    enum storage_code code = STORAGE_OK;
    while (code == STORAGE_OK && !item->source) {
        if (naming->lister) {
            code = next_listed(naming, item, err);
        } else if (naming->next_match < naming->matches.gl_pathc) {
            code = next_match(naming, item, err);
        } else if (naming->next_word < naming->word_count) {
            globfree(&naming->matches);
            naming->matches = (glob_t){0};
            code = begin_word(naming, naming->words[naming->next_word++], item, err);
        } else {
            break;
        }
    }
    if (code == STORAGE_OK && naming->named == 0) {
        return fail(err, STORAGE_NOT_FOUND, naming->words[0], "nothing matches");
    }
    return code;
}

void naming_release(struct naming *naming)
{
    storage_lister_close(naming->lister);
    globfree(&naming->matches);
    if (naming->file && naming->file != stdin) {
        fclose(naming->file);
    }
    free(naming->text);
    copy_view_release(&naming->view);
}
