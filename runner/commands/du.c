/*
 * du.c - `jobferry du URL`: how many objects and bytes lie below a prefix, and with --depth below
 * each of its prefixes.
 *
 * A listing comes in key order, so all that begins with "a/b/" comes in one run: one counter a
 * level is enough, however many objects there are. A level's line is printed when its run ends.
 */
#include "runner/commands/commands.h"
#include "runner/json_line.h"

#include <stdio.h>
#include <string.h>

#include "runner/runner_banned.h"

enum {
    DEPTH_MAX = 16 /* the option's maximum */
};

struct level {
    size_t length; /* of the prefix of `names` that it counts; with its slash */
    uint64_t bytes, objects;
};

struct usage {
    struct app *app;
    const struct place *place;
    size_t base;                      /* length of the prefix that everything begins with */
    char names[STORAGE_PATH_MAX + 2]; /* of the deepest open level */
    struct level levels[DEPTH_MAX];
    size_t open;
    uint64_t bytes, objects; /* in all */
};

static void print_usage(const struct usage *usage, const char *key, uint64_t bytes,
                        uint64_t objects)
{
    struct storage_url url = usage->place->url;
    char text[STORAGE_PATH_MAX + 80];
    char size[32];
    snprintf(url.key, sizeof url.key, "%s", key);
    storage_url_format(&url, text, sizeof text);
    if (usage->app->settings->json) {
        json_line_print(json_pack("{so sI sI}", "prefix", json_text(text), "bytes",
                                  (json_int_t)bytes, "objects", (json_int_t)objects));
        return;
    }
    if (usage->app->settings->human) {
        format_bytes(size, sizeof size, bytes);
    } else {
        snprintf(size, sizeof size, "%llu", (unsigned long long)bytes);
    }
    printf("%15s %12llu %s\n", size, (unsigned long long)objects, text);
}

/* Ends the levels whose prefix key does not begin with, deepest first; NULL: all. */
static void close_levels(struct usage *usage, const char *key)
{
    while (usage->open > 0) {
        struct level *level = &usage->levels[usage->open - 1];
        if (key && strncmp(key, usage->names, level->length) == 0) {
            return;
        }
        usage->names[level->length] = '\0';
        print_usage(usage, usage->names, level->bytes, level->objects);
        usage->open--;
    }
}

static void count_object(struct usage *usage, const struct storage_entry *entry)
{
    close_levels(usage, entry->key);
    size_t at = usage->open > 0 ? usage->levels[usage->open - 1].length : usage->base;
    while (usage->open < usage->app->settings->depth) {
        const char *slash = strchr(entry->key + at, '/');
        if (!slash || (size_t)(slash - entry->key) + 1 >= sizeof usage->names) {
            break;
        }
        at = (size_t)(slash - entry->key) + 1;
        memcpy(usage->names, entry->key, at);
        usage->levels[usage->open++] = (struct level){.length = at};
    }
    for (size_t i = 0; i < usage->open; i++) {
        usage->levels[i].bytes += entry->info.size;
        usage->levels[i].objects++;
    }
    usage->bytes += entry->info.size;
    usage->objects++;
}

static enum storage_code count_below(struct usage *usage, const char *prefix,
                                     struct storage_error *err)
{
    struct storage_lister *lister = NULL;
    const struct storage_listing listing = {.prefix = prefix, .recursive = true, .whole = true};
    enum storage_code code = storage_lister_open_as(&lister, usage->place->store, &listing, err);
    while (!code) {
        struct storage_entry entry;
        code = storage_lister_next(lister, &entry, err);
        if (!code && !entry.key) {
            break;
        }
        if (!code) {
            count_object(usage, &entry);
        }
    }
    storage_lister_close(lister);
    return code;
}

enum exit_code command_du(struct app *app)
{
    struct place place = {0};
    if (app->arguments->positional_count != 1) {
        return app_fail(app, EXIT_USAGE, "du takes one URL, not %zu words",
                        app->arguments->positional_count);
    }
    enum exit_code code =
        place_open(&place, app, SIDE_DATA, app->arguments->positional[0], app->stop, 0);
    if (code) {
        goto done;
    }
    const char *key = place.url.key;
    char prefix[STORAGE_PATH_MAX + 2];
    snprintf(prefix, sizeof prefix, "%s%s", key, key[0] && key[strlen(key) - 1] != '/' ? "/" : "");
    struct usage usage = {.app = app, .place = &place, .base = strlen(prefix)};
    struct storage_info info = {0};
    struct storage_error err = {0};
    struct storage_error none;
    enum storage_code result = count_below(&usage, prefix, &err);
    bool is_object =
        (result == STORAGE_OK || place.url.kind == STORAGE_LOCAL) && usage.objects == 0 && key[0] &&
        storage_stat(place.store, key, &info, &none) == STORAGE_OK && !info.is_directory;
    if (result && !is_object) {
        code = app_fail_storage(app, &err);
        goto done;
    }
    if (is_object) {
        usage.bytes = info.size;
        usage.objects = 1;
    } else if (usage.objects == 0 && place.url.kind == STORAGE_S3 && key[0]) {
        code = app_fail(app, EXIT_MISSING, "du %s: nothing is there", place.text);
        goto done;
    }
    close_levels(&usage, NULL);
    print_usage(&usage, key, usage.bytes, usage.objects);
done:
    place_close(&place);
    return code;
}
