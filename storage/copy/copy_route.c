/*
 * copy_route.c - what a copy amounts to: one object or all below a prefix, and under which names.
 */
#include "storage/copy/copy_engine.h"
#include "storage/local/files.h"
#include "storage/storage_error.h"

#include <stdio.h>
#include <string.h>

#include "storage/storage_banned.h"

static const char private_folder[] = ".jobferry/";

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool ends_in_slash(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && text[length - 1] == '/';
}

/* A key as a person would write it, for messages. */
static void show(char *text, size_t size, const struct storage *store, const char *key)
{
    if (store->kind == STORAGE_LOCAL) {
        snprintf(text, size, "%s", *key ? key : ".");
    } else {
        snprintf(text, size, "s3://%s/%s", store->bucket, key);
    }
}

static enum storage_code fail_usage(struct storage_error *err, const struct storage *store,
                                    const char *key, const char *why)
{
    char shown[STORAGE_PATH_MAX + STORAGE_BUCKET_MAX + 8];
    show(shown, sizeof shown, store, key);
    return storage_fail(err, STORAGE_USAGE, "copy %.1900s: %s", shown, why);
}

static enum storage_code fail_folder(struct storage_error *err, const struct storage_copy *copy)
{
    enum storage_code code =
        fail_usage(err, copy->source, copy->source_key, "it is a folder, not an object");
    storage_hint(err, "to copy a folder's contents add -r");
    return code;
}

/* ---- the source ----------------------------------------------------------------------------- */

/* Whether anything lies below key, taken as a folder. */
static bool has_content(struct storage *store, const char *key)
{
    char prefix[STORAGE_PATH_MAX];
    struct storage_lister *lister = NULL;
    struct storage_entry entry = {0};
    if (!storage_join(prefix, sizeof prefix, key, "") ||
        storage_lister_open(&lister, store, prefix, true, NULL) != STORAGE_OK) {
        return false;
    }
    bool found = storage_lister_next(lister, &entry, NULL) == STORAGE_OK && entry.key;
    storage_lister_close(lister);
    return found;
}

/* A folder to be copied becomes a prefix: "" or ending in one slash. */
static enum storage_code set_prefix(struct copy_route *route, const struct storage_copy *copy,
                                    struct storage_error *err)
{
    const char *key = copy->source_key;
    if (!copy->recursive) {
        return fail_folder(err, copy);
    }
    if (ends_in_slash(key) || !*key) {
        snprintf(route->from, sizeof route->from, "%s", key);
    } else if (!storage_join(route->from, sizeof route->from, key, "")) {
        return fail_usage(err, copy->source, key, "its name is too long");
    }
    return STORAGE_OK;
}

static enum storage_code find_source(struct copy_route *route, const struct storage_copy *copy,
                                     struct storage_error *err)
{
    struct storage *source = copy->source;
    const char *key = copy->source_key;
    bool local = source->kind == STORAGE_LOCAL;
    if (strlen(key) >= sizeof route->from) {
        return fail_usage(err, source, "", "the source's name is too long");
    }
    if (!local && (!*key || ends_in_slash(key))) {
        return set_prefix(route, copy, err);
    }
    enum storage_code code = source->backend->stat(source, key, &route->info, err);
    if (code == STORAGE_OK && route->info.is_directory) {
        return set_prefix(route, copy, err);
    }
    if (code == STORAGE_OK) {
        route->single = true;
        snprintf(route->from, sizeof route->from, "%s", key);
        return STORAGE_OK;
    }
    /* no object; keys below it may be there, also where only listing is allowed */
    if (!local && copy->recursive && (code == STORAGE_NOT_FOUND || code == STORAGE_DENIED)) {
        return set_prefix(route, copy, err);
    }
    if (!local && code == STORAGE_NOT_FOUND && has_content(source, key)) {
        return fail_folder(err, copy);
    }
    return code;
}

/* ---- the destination ------------------------------------------------------------------------ */

static enum storage_code find_destination(struct copy_route *route, const struct storage_copy *copy,
                                          struct storage_error *err)
{
    struct storage *destination = copy->destination;
    const char *key = copy->destination_key;
    bool local = destination->kind == STORAGE_LOCAL;
    bool fits = (size_t)snprintf(route->to, sizeof route->to, "%s", key) < sizeof route->to;
    if (route->single && fits) {
        struct storage_info info = {0};
        const char *slash = strrchr(route->from, '/');
        const char *name = slash ? slash + 1 : route->from;
        const char *why = NULL;
        bool inside = !*key || ends_in_slash(key);
        if (!inside && local && storage_stat(destination, key, &info, NULL) == STORAGE_OK) {
            inside = info.is_directory;
        }
        if (inside && !storage_name_is_safe(name, &why)) {
            return storage_fail(err, STORAGE_HOSTILE, "copy %s: its name is refused: %s",
                                route->from, why);
        }
        fits = !inside || storage_join(route->to, sizeof route->to, key, name);
    }
    if (!fits || (!local && strlen(route->to) > STORAGE_KEY_MAX)) {
        return fail_usage(err, copy->source, copy->source_key, "the destination is too long");
    }
    return STORAGE_OK;
}

/* ---- overlap -------------------------------------------------------------------------------- */

/* Whether one of two folders lies in the other, or is it. Both end in '/' or are "". */
static bool is_nested(const char *a, const char *b)
{
    return starts_with(a, b) || starts_with(b, a);
}

static enum storage_code check_local_overlap(const struct copy_route *route, bool *overlaps,
                                             struct storage_error *err)
{
    char from[STORAGE_PATH_MAX];
    char to[STORAGE_PATH_MAX];
    char from_folder[STORAGE_PATH_MAX];
    char to_folder[STORAGE_PATH_MAX];
    enum storage_code code = files_resolve(from, route->from, err);
    if (code == STORAGE_OK) {
        code = files_resolve(to, route->to, err);
    }
    if (code != STORAGE_OK) {
        return code;
    }
    if (route->single) {
        *overlaps = strcmp(from, to) == 0;
    } else {
        *overlaps = storage_join(from_folder, sizeof from_folder, from, "") &&
                    storage_join(to_folder, sizeof to_folder, to, "") &&
                    is_nested(from_folder, to_folder);
    }
    return STORAGE_OK;
}

enum storage_code copy_check_overlap(const struct copy_route *route,
                                     const struct storage_copy *copy, struct storage_error *err)
{
    const struct storage *source = copy->source;
    const struct storage *destination = copy->destination;
    bool overlaps = false;
    if (source->kind != destination->kind || strcmp(source->bucket, destination->bucket) != 0 ||
        strcmp(source->place, destination->place) != 0) {
        return STORAGE_OK;
    }
    if (source->kind == STORAGE_LOCAL) {
        enum storage_code code = check_local_overlap(route, &overlaps, err);
        if (code != STORAGE_OK) {
            return code;
        }
    } else if (route->single) {
        overlaps = strcmp(route->from, route->to) == 0;
    } else {
        char to_folder[STORAGE_PATH_MAX];
        overlaps = storage_join(to_folder, sizeof to_folder, route->to, "") &&
                   is_nested(route->from, to_folder);
    }
    return overlaps ? fail_usage(err, source, copy->source_key,
                                 "source and destination are the same, or one lies in the other")
                    : STORAGE_OK;
}

enum storage_code copy_route_check_pair(const struct storage_copy *copy, const char *source,
                                        const char *destination, struct storage_error *err)
{
    struct copy_route route = {.single = true};
    if (strlen(source) >= sizeof route.from || strlen(destination) >= sizeof route.to) {
        return fail_usage(err, copy->source, "", "a name is too long");
    }
    snprintf(route.from, sizeof route.from, "%s", source);
    snprintf(route.to, sizeof route.to, "%s", destination);
    struct storage_copy pair = *copy;
    pair.source_key = source;
    return copy_check_overlap(&route, &pair, err);
}

enum storage_code copy_route_find(struct copy_route *route, const struct storage_copy *copy,
                                  struct storage_error *err)
{
    memset(route, 0, sizeof *route);
    enum storage_code code = find_source(route, copy, err);
    if (code == STORAGE_OK) {
        code = find_destination(route, copy, err);
    }
    if (code == STORAGE_OK) {
        code = copy_check_overlap(route, copy, err);
    }
    return code;
}

/* ---- names ---------------------------------------------------------------------------------- */

bool copy_is_draft(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *last = slash ? slash + 1 : name;
    return files_is_temporary(last) || journal_is_beside(last);
}

enum copy_verdict copy_route_name(const struct copy_route *route, const struct storage_copy *copy,
                                  const struct storage_entry *entry,
                                  char destination[STORAGE_PATH_MAX], struct storage_error *err)
{
    bool local = copy->destination->kind == STORAGE_LOCAL;
    const char *why = "it is not below what was asked for";
    bool below = starts_with(entry->key, route->from);
    const char *name = below ? entry->key + strlen(route->from) : entry->key;
    destination[0] = '\0';
    if (below && !*name) {
        return COPY_SKIP; /* the folder's own marker */
    }
    if (below && !copy->include_private && starts_with(name, private_folder)) {
        return COPY_SKIP;
    }
    if (below && !storage_filter_takes(copy->filter, name)) {
        return COPY_SKIP;
    }
    if (below && copy->source->kind == STORAGE_LOCAL && copy_is_draft(name)) {
        return COPY_SKIP;
    }
    if (copy->remove_source && entry->link == STORAGE_LINK_BEHIND) {
        storage_fail(err, STORAGE_CONFLICT,
                     "move %s: it lies behind a link to a folder, which a move leaves alone",
                     entry->key);
        return COPY_REFUSE;
    }
    if (entry->link >= STORAGE_LINK_UNFOLLOWED) {
        storage_fail(err, STORAGE_CONFLICT, "copy %s: %s", entry->key,
                     entry->link == STORAGE_LINK_UNFOLLOWED ? "it is a symbolic link"
                     : entry->link == STORAGE_LINK_LOOP
                         ? "it is a link to a folder that it lies in"
                         : "it is a link that leads nowhere, or cannot be looked at");
        return COPY_REFUSE;
    }
    if (!below || !storage_name_is_safe(name, &why)) {
        storage_fail(err, STORAGE_HOSTILE, "copy %s: the name is refused: %s", entry->key, why);
        return COPY_REFUSE;
    }
    if (!storage_join(destination, STORAGE_PATH_MAX, route->to, name) ||
        (!local && strlen(destination) > STORAGE_KEY_MAX)) {
        destination[0] = '\0';
        storage_fail(err, STORAGE_USAGE, "copy %s: its destination is too long", entry->key);
        return COPY_REFUSE;
    }
    if (!ends_in_slash(name)) {
        return COPY_TAKE;
    }
    if (entry->info.size == 0) {
        return local ? COPY_FOLDER : COPY_SKIP;
    }
    if (local) {
        storage_fail(err, STORAGE_CONFLICT,
                     "copy %s: its name is that of a folder, but it holds %llu bytes", entry->key,
                     (unsigned long long)entry->info.size);
        return COPY_REFUSE;
    }
    return COPY_TAKE;
}
