#include "runner/job/ferry.h"

#include "runner/app.h"
#include "runner/job/naming_rule.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    PINS_MAX = 64, /* descriptors of units that are not complete yet */
    GRAPHS_MAX = 64
};

static const char default_globs[] = "*.ckpt *.pt *.pth *.safetensors *.meta";

static const double FOLDER_QUIET_S = 2.0;
static const double TOP_QUIET_S = 0.1;
static const double GRAPH_WAIT_S =
    3.0; /* for a graph that is written: its quiet time, and a look */
static const double IDLE_S = 60.0;
static const double END_WAIT_S = 10.0; /* for what others still write when the command has ended */

/* A file of a unit, as it was last given by the watch. */
struct part {
    char *name;
    int fd; /* -1: not held */
    uint64_t size;
    int64_t mtime_ns;
    bool is_fresh; /* not given to the publisher yet */
};

struct gathering {
    struct unit_name name;
    struct part *parts;
    size_t count;
    double touched;
    bool is_open; /* holds fresh parts */
    const char *evidence;
};

struct ferry {
    const char *folder;
    struct watch *watch;
    struct storage_filter *filter;
    struct naming_rule rule;
    struct publisher *publisher;
    struct log *log;
    double quiet_s;

    pthread_t thread;
    bool started;
    atomic_bool ending;

    struct gathering *list;
    size_t count, capacity;
    size_t pins;
    size_t usual; /* files of the last unit given */
    struct part graphs[GRAPHS_MAX];
    size_t graph_count;
    struct ferry_result result;
};

/* ---- patterns ---------------------------------------------------------------------------------
 */

struct storage_filter *ferry_filter(const char *globs, char *message, size_t size)
{
    struct storage_filter *filter = storage_filter_new();
    struct storage_error err;
    char *text = strdup(globs ? globs : default_globs);
    char *rest = NULL;
    for (char *one = text ? strtok_r(text, " ", &rest) : NULL; filter && one;
         one = strtok_r(NULL, " ", &rest)) {
        if (storage_filter_add(filter, one, false, &err)) {
            snprintf(message, size, "--checkpoint_glob: %s", err.message);
            storage_filter_free(filter);
            filter = NULL;
        }
    }
    free(text);
    return filter;
}

bool ferry_check(const struct ferry_options *options, char *message, size_t size)
{
    struct naming_rule rule;
    struct storage_filter *filter = ferry_filter(options->globs, message, size);
    bool ok =
        filter && naming_rule_init(&rule, options->step_pattern, options->group_by, message, size);
    if (ok) {
        naming_rule_release(&rule);
    }
    storage_filter_free(filter);
    return ok;
}

/* ---- gathering --------------------------------------------------------------------------------
 */

static void let_go(struct ferry *ferry, struct part *part)
{
    if (part->fd >= 0) {
        close(part->fd);
        ferry->pins--;
    }
    part->fd = -1;
}

/* Sets a part to what the watch has given; the descriptor is taken over, or closed. */
static bool set_part(struct ferry *ferry, struct part *part, const struct watch_file *file)
{
    let_go(ferry, part);
    if (!part->name) {
        part->name = strdup(file->name);
    }
    part->size = file->size;
    part->mtime_ns = file->mtime_ns;
    part->is_fresh = true;
    if (part->name && ferry->pins < PINS_MAX) {
        part->fd = file->fd;
        ferry->pins++;
    } else {
        close(file->fd);
    }
    return part->name != NULL;
}

static struct gathering *find_gathering(struct ferry *ferry, const struct unit_name *name)
{
    /* From the end: it is nearly always one of the last. */
    for (size_t i = ferry->count; i > 0; i--) {
        if (strcmp(ferry->list[i - 1].name.key, name->key) == 0) {
            return &ferry->list[i - 1];
        }
    }
    if (ferry->count == ferry->capacity) {
        size_t capacity = ferry->capacity ? ferry->capacity * 2 : 64;
        struct gathering *grown = realloc(ferry->list, capacity * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        ferry->list = grown;
        ferry->capacity = capacity;
    }
    ferry->list[ferry->count] = (struct gathering){.name = *name};
    return &ferry->list[ferry->count++];
}

static struct part *find_part(struct gathering *gathering, const char *name)
{
    for (size_t i = gathering->count; i > 0; i--) {
        if (strcmp(gathering->parts[i - 1].name, name) == 0) {
            return &gathering->parts[i - 1];
        }
    }
    size_t count = gathering->count;
    if ((count & (count - 1)) == 0) {
        struct part *grown = realloc(gathering->parts, (count ? 2 * count : 1) * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        gathering->parts = grown;
    }
    gathering->parts[count] = (struct part){.fd = -1};
    return &gathering->parts[count];
}

static void take_graph(struct ferry *ferry, const struct watch_file *file)
{
    size_t i = 0;
    while (i < ferry->graph_count && strcmp(ferry->graphs[i].name, file->name) != 0) {
        i++;
    }
    if (i == GRAPHS_MAX) {
        close(file->fd);
        return;
    }
    if (i == ferry->graph_count) {
        ferry->graphs[i] = (struct part){.fd = -1};
    }
    if (set_part(ferry, &ferry->graphs[i], file) && i == ferry->graph_count) {
        ferry->graph_count++;
    }
}

static void take_file(struct ferry *ferry, const struct watch_file *file)
{
    struct unit_name name;
    char prefix[UNIT_NAME_MAX];
    const char *why = NULL;
    if (!storage_name_is_safe(file->name, &why) || !remote_name_is_text(file->name)) {
        log_warn(ferry->log, "%s is not published: its name has %s", file->name,
                 why ? why : "bytes that are not UTF-8");
        close(file->fd);
        return;
    }
    if (naming_rule_graph(file->name, prefix, sizeof prefix)) {
        take_graph(ferry, file);
        return;
    }
    naming_rule_read(&ferry->rule, file->name, &name);
    struct gathering *gathering = find_gathering(ferry, &name);
    struct part *part = gathering ? find_part(gathering, file->name) : NULL;
    if (!part) {
        close(file->fd);
        return;
    }
    bool is_new = part == gathering->parts + gathering->count;
    if (set_part(ferry, part, file)) {
        gathering->count += is_new;
        gathering->touched = clock_seconds();
        gathering->is_open = true;
        gathering->evidence = watch_reason_text(file->reason);
    }
}

/* ---- giving -----------------------------------------------------------------------------------
 */

/* The units of which files are being written, or were refused. */
struct pending {
    const struct ferry *ferry;
    char **keys;
    size_t count, capacity;
    const char *graphs[GRAPHS_MAX]; /* being written; the watch's names */
    size_t graph_count;
    bool failed; /* no memory: any may be */
};

static bool note_unit(void *context, const char *name, bool is_refused)
{
    struct pending *pending = context;
    struct unit_name unit;
    char prefix[UNIT_NAME_MAX];
    if (naming_rule_graph(name, prefix, sizeof prefix)) {
        if (!is_refused && pending->graph_count < GRAPHS_MAX) {
            pending->graphs[pending->graph_count++] = name;
        }
        return true; /* a bad one keeps no checkpoint back */
    }
    naming_rule_read(&pending->ferry->rule, name, &unit);
    if (pending->count == pending->capacity) {
        size_t capacity = pending->capacity ? 2 * pending->capacity : 16;
        char **grown = realloc(pending->keys, capacity * sizeof(char *));
        if (!grown) {
            pending->failed = true;
            return false;
        }
        pending->keys = grown;
        pending->capacity = capacity;
    }
    pending->keys[pending->count] = strdup(unit.key);
    pending->failed = !pending->keys[pending->count];
    pending->count += !pending->failed;
    return !pending->failed;
}

/* Whether the graph file is of the unit's prefix. */
static bool is_graph_of(const char *graph, const char *key)
{
    char prefix[UNIT_NAME_MAX];
    naming_rule_graph(graph, prefix, sizeof prefix);
    size_t length = strlen(prefix);
    return strncmp(key, prefix, length) == 0 && key[length] == '-';
}

static bool is_graph_pending(const struct pending *pending, const char *key)
{
    bool found = false;
    for (size_t i = 0; !found && i < pending->graph_count; i++) {
        found = is_graph_of(pending->graphs[i], key);
    }
    return found;
}

static bool is_pending(const struct pending *pending, const char *key)
{
    bool found = pending->failed;
    for (size_t i = 0; !found && i < pending->count; i++) {
        found = strcmp(pending->keys[i], key) == 0;
    }
    return found;
}

static void pending_release(struct pending *pending)
{
    for (size_t i = 0; i < pending->count; i++) {
        free(pending->keys[i]);
    }
    free(pending->keys);
}

/* When a unit with fresh parts may be complete: at once, or at that clock_seconds. */
static double complete_at(const struct ferry *ferry, const struct gathering *gathering,
                          const struct pending *pending)
{
    if (watch_heeded(ferry->watch) != WATCH_WRITER_LIVES || atomic_load(&ferry->ending)) {
        return 0;
    }
    double quiet =
        gathering->name.is_folder || ferry->rule.has_group ? FOLDER_QUIET_S : TOP_QUIET_S;
    quiet = ferry->quiet_s > 0 ? fmin(quiet, ferry->quiet_s) : quiet;
    bool has_graph = is_graph_pending(pending, gathering->name.key);
    return gathering->touched + (has_graph ? fmax(quiet, GRAPH_WAIT_S) : quiet);
}

static struct publication_file file_of(const struct ferry *ferry, struct part *part, char *path)
{
    bool has_path =
        part->is_fresh && storage_join(path, STORAGE_PATH_MAX, ferry->folder, part->name);
    return (struct publication_file){.name = part->name,
                                     .path = has_path ? path : NULL,
                                     .fd = part->fd,
                                     .size = part->size,
                                     .mtime_ns = part->mtime_ns};
}

/* Graph files whose prefix the unit's name begins with. */
static size_t add_graphs(struct ferry *ferry, const struct gathering *gathering,
                         struct publication_file *files, char (*paths)[STORAGE_PATH_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < ferry->graph_count; i++) {
        struct part *graph = &ferry->graphs[i];
        if (is_graph_of(graph->name, gathering->name.key)) {
            graph->is_fresh = true; /* the file itself, each time: the store may not have it yet */
            files[count] = file_of(ferry, graph, paths[count]);
            files[count].fd = graph->fd >= 0 ? dup(graph->fd) : -1;
            count++;
        }
    }
    return count;
}

static void give(struct ferry *ferry, struct gathering *gathering)
{
    size_t most = gathering->count + ferry->graph_count;
    struct publication_file *files = calloc(most, sizeof *files);
    char(*paths)[STORAGE_PATH_MAX] = calloc(most, sizeof *paths);
    size_t count = 0;
    for (; files && paths && count < gathering->count; count++) {
        struct part *part = &gathering->parts[count];
        files[count] = file_of(ferry, part, paths[count]);
        ferry->pins -= part->fd >= 0;
        part->fd = -1; /* the publisher's now */
    }
    gathering->is_open = false;
    if (count > 0) {
        count += add_graphs(ferry, gathering, files + count, paths + count);
        const struct publication_unit unit = {
            .name = gathering->count == 1 ? gathering->parts[0].name : gathering->name.key,
            .epoch = gathering->name.epoch,
            .step = gathering->name.step,
            .has_step = gathering->name.has_step,
            .files = files,
            .file_count = count,
            .evidence = gathering->evidence};
        if (publisher_add_unit(ferry->publisher, &unit)) {
            snprintf(ferry->result.newest, sizeof ferry->result.newest, "%s", unit.name);
            ferry->result.epoch = unit.epoch;
            ferry->result.step = unit.step;
            ferry->result.units++;
            ferry->usual = gathering->count;
        }
        for (size_t i = 0; i < gathering->count; i++) {
            gathering->parts[i].is_fresh = false;
        }
    }
    free(files);
    free(paths);
}

/* Whether the writer died before it came to all files of the unit, as far as can be known. */
static bool is_cut_short(const struct ferry *ferry, const struct gathering *gathering)
{
    return watch_heeded(ferry->watch) == WATCH_WRITER_DIED && gathering->count < ferry->usual;
}

/* Gives what is complete; returns when the next may be, as clock_seconds. */
static double give_complete(struct ferry *ferry)
{
    double next = clock_seconds() + IDLE_S;
    struct pending pending = {.ferry = ferry};
    watch_each_pending(ferry->watch, note_unit, &pending);
    for (size_t i = 0; i < ferry->count; i++) {
        struct gathering *gathering = &ferry->list[i];
        if (!gathering->is_open) {
            continue;
        }
        double at = complete_at(ferry, gathering, &pending);
        if (at > clock_seconds()) {
            next = fmin(next, at);
            continue;
        }
        if (is_pending(&pending, gathering->name.key)) {
            continue; /* the watch tells when that one is done */
        }
        if (is_cut_short(ferry, gathering)) {
            log_warn(ferry->log, "%s is not published: it has %zu of %zu files, its writer died",
                     gathering->name.key, gathering->count, ferry->usual);
            gathering->is_open = false;
            ferry->result.refused++;
            continue;
        }
        give(ferry, gathering);
    }
    pending_release(&pending);
    return next;
}

/* ---- the thread -------------------------------------------------------------------------------
 */

static bool note_one(void *context, const char *name, bool is_refused)
{
    (void)name;
    (void)is_refused;
    *(bool *)context = true;
    return false;
}

static void *ferry_main(void *context)
{
    struct ferry *ferry = context;
    struct watch_file file;
    double next = 0;
    double give_up = 0;
    for (;;) {
        bool ending = atomic_load(&ferry->ending);
        if (ending) {
            watch_look(ferry->watch);
        }
        while (watch_take(ferry->watch, &file)) {
            take_file(ferry, &file);
        }
        next = give_complete(ferry);
        if (ending) {
            /* What a process that the command left behind still writes is waited for, a little. */
            bool waits = false;
            double due = watch_due(ferry->watch);
            give_up = give_up > 0 ? give_up : clock_seconds() + END_WAIT_S;
            watch_each_pending(ferry->watch, note_one, &waits);
            if (!waits || due > END_WAIT_S || clock_seconds() >= give_up) {
                break;
            }
        }
        watch_wait(ferry->watch, fmin(next - clock_seconds(), watch_due(ferry->watch)));
    }
    ferry->result.refused += watch_refused(ferry->watch);
    return NULL;
}

struct ferry *ferry_new(const struct ferry_options *options, struct publisher *publisher,
                        struct log *log)
{
    char message[512];
    struct ferry *ferry = calloc(1, sizeof *ferry);
    if (!ferry) {
        return NULL;
    }
    if (!naming_rule_init(&ferry->rule, options->step_pattern, options->group_by, message,
                          sizeof message)) {
        free(ferry);
        return NULL;
    }
    ferry->folder = options->folder;
    ferry->publisher = publisher;
    ferry->log = log;
    ferry->quiet_s = options->quiet_s;
    ferry->filter = ferry_filter(options->globs, message, sizeof message);
    const struct watch_options watching = {.folder = options->folder,
                                           .filter = ferry->filter,
                                           .polls = options->polls,
                                           .skips_present = options->skips_present,
                                           .present_from = options->present_from,
                                           .quiet_s = options->quiet_s};
    ferry->watch = ferry->filter ? watch_new(&watching, log) : NULL;
    ferry->started = ferry->watch && pthread_create(&ferry->thread, NULL, ferry_main, ferry) == 0;
    if (!ferry->started) {
        ferry_free(ferry);
        return NULL;
    }
    return ferry;
}

void ferry_writer(struct ferry *ferry, enum watch_writer writer)
{
    watch_writer(ferry->watch, writer);
}

void ferry_finish(struct ferry *ferry)
{
    if (ferry->started) {
        atomic_store(&ferry->ending, true);
        watch_wake(ferry->watch);
        pthread_join(ferry->thread, NULL);
        ferry->started = false;
    }
}

void ferry_result(const struct ferry *ferry, struct ferry_result *result)
{
    *result = ferry->result;
}

void ferry_free(struct ferry *ferry)
{
    if (!ferry) {
        return;
    }
    ferry_finish(ferry);
    for (size_t i = 0; i < ferry->count; i++) {
        for (size_t j = 0; j < ferry->list[i].count; j++) {
            let_go(ferry, &ferry->list[i].parts[j]);
            free(ferry->list[i].parts[j].name);
        }
        free(ferry->list[i].parts);
    }
    for (size_t i = 0; i < ferry->graph_count; i++) {
        let_go(ferry, &ferry->graphs[i]);
        free(ferry->graphs[i].name);
    }
    free(ferry->list);
    watch_free(ferry->watch);
    storage_filter_free(ferry->filter);
    naming_rule_release(&ferry->rule);
    free(ferry);
}
