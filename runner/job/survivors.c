#include "runner/job/survivors.h"

#include "runner/job/evidence.h"
#include "runner/job/naming_rule.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    UNITS_MAX = 100000
};

struct unit {
    char *key; /* owned */
    char *main;
    uint64_t epoch, step;
    int64_t newest_ns; /* of its files */
    bool is_broken;    /* one of them is cut */
    bool is_proven;    /* all of them are whole by their format */
};

struct search {
    const struct ferry_options *options;
    struct naming_rule rule;
    struct storage_filter *filter;
    struct storage *store;
    int64_t since_ns;
    struct unit *units;
    size_t count, capacity;
};

static enum file_shape shape_of(const struct search *search, const char *name, uint64_t size)
{
    char path[STORAGE_PATH_MAX];
    int fd = storage_join(path, sizeof path, search->options->folder, name)
                 ? open(path, O_RDONLY | O_CLOEXEC)
                 : -1;
    enum file_shape shape = fd < 0 ? SHAPE_BROKEN : file_shape(fd, name, size);
    if (fd >= 0) {
        close(fd);
    }
    return shape;
}

/* The unit of this key, made when it is new; NULL without memory. */
static struct unit *find_unit(struct search *search, const char *key)
{
    for (size_t i = search->count; i > 0; i--) {
        if (strcmp(search->units[i - 1].key, key) == 0) {
            return &search->units[i - 1];
        }
    }
    if (search->count == search->capacity) {
        size_t capacity = search->capacity ? search->capacity * 2 : 64;
        struct unit *grown =
            capacity > UNITS_MAX ? NULL : realloc(search->units, capacity * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        search->units = grown;
        search->capacity = capacity;
    }
    struct unit *unit = &search->units[search->count];
    *unit = (struct unit){.key = strdup(key), .is_proven = true};
    search->count += unit->key != NULL;
    return unit->key ? unit : NULL;
}

/* Takes note of one file; false without memory. */
static bool take(struct search *search, const char *name, const struct storage_info *info)
{
    struct unit_name read;
    char prefix[UNIT_NAME_MAX];
    if (info->mtime_ns < search->since_ns || naming_rule_graph(name, prefix, sizeof prefix)) {
        return true;
    }
    naming_rule_read(&search->rule, name, &read);
    struct unit *unit = read.has_step ? find_unit(search, read.key) : NULL;
    if (!unit) {
        return !read.has_step;
    }
    const char *dot = strrchr(name, '.');
    bool is_main = !dot || strcmp(dot, ".meta") != 0;
    if (!unit->main || (is_main && strcmp(name, unit->main) < 0)) {
        free(unit->main);
        unit->main = strdup(name);
    }
    enum file_shape shape = shape_of(search, name, info->size);
    unit->epoch = read.epoch;
    unit->step = read.step;
    unit->newest_ns = info->mtime_ns > unit->newest_ns ? info->mtime_ns : unit->newest_ns;
    unit->is_broken = unit->is_broken || shape == SHAPE_BROKEN;
    unit->is_proven = unit->is_proven && shape == SHAPE_WHOLE;
    return unit->main != NULL;
}

static bool look(struct search *search)
{
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    size_t length = strlen(search->options->folder);
    enum storage_code code =
        storage_lister_open(&lister, search->store, search->options->folder, true, NULL);
    bool good = true;
    while (!code && good) {
        code = storage_lister_next(lister, &entry, NULL);
        if (code || !entry.key) {
            break;
        }
        const char *name = entry.key + length;
        name += *name == '/';
        if (!entry.is_prefix && name[0] != '.' && !strstr(name, "/.") &&
            storage_filter_takes(search->filter, name)) {
            good = take(search, name, &entry.info);
        }
    }
    storage_lister_close(lister);
    return good && code == STORAGE_OK;
}

static void choose(const struct search *search, struct survivor *newest)
{
    int64_t last = 0; /* when anything was written last */
    for (size_t i = 0; i < search->count; i++) {
        last = search->units[i].newest_ns > last ? search->units[i].newest_ns : last;
    }
    for (size_t i = 0; i < search->count; i++) {
        const struct unit *unit = &search->units[i];
        bool is_newer = !newest->name[0] || unit->epoch > newest->epoch ||
                        (unit->epoch == newest->epoch && unit->step > newest->step);
        if (!unit->is_broken && (unit->is_proven || unit->newest_ns < last) && is_newer) {
            snprintf(newest->name, sizeof newest->name, "%s", unit->main);
            newest->epoch = unit->epoch;
            newest->step = unit->step;
        }
    }
}

bool survivors_newest(struct survivor *newest, const struct ferry_options *options,
                      int64_t since_ns)
{
    char message[512];
    struct search search = {.options = options, .since_ns = since_ns};
    struct storage_url url = {.kind = STORAGE_LOCAL};
    const struct storage_config config = {0};
    memset(newest, 0, sizeof *newest);
    snprintf(url.key, sizeof url.key, "%s", options->folder);
    if (!naming_rule_init(&search.rule, options->step_pattern, options->group_by, message,
                          sizeof message)) {
        return false;
    }
    search.filter = ferry_filter(options->globs, message, sizeof message);
    bool good = search.filter && storage_open(&search.store, &url, &config, NULL) == STORAGE_OK &&
                look(&search);
    if (good) {
        choose(&search, newest);
    }
    for (size_t i = 0; i < search.count; i++) {
        free(search.units[i].key);
        free(search.units[i].main);
    }
    free(search.units);
    storage_close(search.store);
    storage_filter_free(search.filter);
    naming_rule_release(&search.rule);
    return good;
}
