#include "runner/job/unit_metrics.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

enum {
    LINES_MAX = 100000,
    LINE_BYTES_MAX = 64 * 1024 /* longer ones are passed over */
};

struct line {
    char *checkpoint; /* NULL: epoch and step tell */
    bool has_epoch, has_step;
    uint64_t epoch, step;
    double loss, accuracy; /* NaN: not told */
};

struct unit_metrics {
    struct line *lines;
    size_t count, capacity;
};

/* ---- reading --------------------------------------------------------------------------------- */

static double real_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static bool count_of(const json_t *object, const char *key, uint64_t *count)
{
    const json_t *value = json_object_get(object, key);
    bool is_count = json_is_integer(value) && json_integer_value(value) >= 0;
    *count = is_count ? (uint64_t)json_integer_value(value) : 0;
    return is_count;
}

/* Whether the object is a line of ours; then its checkpoint's name is the line's own. */
static bool read_line(struct line *line, const json_t *object)
{
    const char *checkpoint = json_string_value(json_object_get(object, "checkpoint"));
    *line = (struct line){.loss = real_of(object, "loss"), .accuracy = real_of(object, "acc")};
    line->accuracy = isnan(line->accuracy) ? real_of(object, "accuracy") : line->accuracy;
    line->has_epoch = count_of(object, "epoch", &line->epoch);
    line->has_step = count_of(object, "step", &line->step);
    if ((isnan(line->loss) && isnan(line->accuracy)) ||
        (!checkpoint && !line->has_epoch && !line->has_step)) {
        return false;
    }
    line->checkpoint = checkpoint ? strdup(checkpoint) : NULL;
    size_t length = line->checkpoint ? strlen(line->checkpoint) : 0;
    while (length > 0 && line->checkpoint[length - 1] == '/') {
        line->checkpoint[--length] = '\0';
    }
    return true;
}

static bool add_line(struct unit_metrics *metrics, const struct line *line)
{
    if (metrics->count == metrics->capacity) {
        size_t capacity = metrics->capacity ? metrics->capacity * 2 : 64;
        struct line *grown =
            capacity > LINES_MAX * 2 ? NULL : realloc(metrics->lines, capacity * sizeof *grown);
        if (!grown) {
            return false;
        }
        metrics->lines = grown;
        metrics->capacity = capacity;
    }
    metrics->lines[metrics->count++] = *line;
    return true;
}

struct unit_metrics *unit_metrics_read(const char *path)
{
    FILE *in = fopen(path, "re");
    struct unit_metrics *metrics = in ? calloc(1, sizeof *metrics) : NULL;
    char *text = metrics ? malloc(LINE_BYTES_MAX) : NULL;
    while (text && fgets(text, LINE_BYTES_MAX, in)) {
        json_t *object = json_loads(text, 0, NULL); /* a line that is not written yet is none */
        struct line line;
        if (json_is_object(object) && read_line(&line, object) && !add_line(metrics, &line)) {
            free(line.checkpoint);
        }
        json_decref(object);
    }
    free(text);
    if (in) {
        fclose(in);
    }
    return metrics;
}

void unit_metrics_free(struct unit_metrics *metrics)
{
    for (size_t i = 0; metrics && i < metrics->count; i++) {
        free(metrics->lines[i].checkpoint);
    }
    if (metrics) {
        free(metrics->lines);
    }
    free(metrics);
}

/* ---- which line is whose --------------------------------------------------------------------- */

/* Whether path ends in the name's first bytes, at a folder's border. */
static bool ends_in(const char *path, const char *name, size_t length)
{
    size_t all = strlen(path);
    return length > 0 && all >= length && strncmp(path + all - length, name, length) == 0 &&
           (all == length || path[all - length - 1] == '/');
}

/* Whether a line's checkpoint is this file, or the folder it lies in. */
static bool is_file(const char *checkpoint, const struct manifest_file *file)
{
    const char *slash = strrchr(file->name, '/');
    bool is_first = strncmp(file->key, "ckpt/", 5) == 0; /* else a name that was written again */
    return is_first && (ends_in(checkpoint, file->name, strlen(file->name)) ||
                        (slash && ends_in(checkpoint, file->name, (size_t)(slash - file->name))));
}

static bool is_of(const struct line *line, const struct manifest *manifest)
{
    if (!line->checkpoint) {
        /* A name that tells no step is numbered: that is no step of COMMAND's. */
        bool is_numbered = manifest->epoch == 0 && manifest->step == manifest->seq;
        return !is_numbered && (!line->has_epoch || line->epoch == manifest->epoch) &&
               (!line->has_step || line->step == manifest->step);
    }
    for (size_t i = 0; i < manifest->file_count; i++) {
        if (is_file(line->checkpoint, &manifest->files[i])) {
            return true;
        }
    }
    return false;
}

bool unit_metrics_fill(const struct unit_metrics *metrics, struct manifest *manifest)
{
    for (size_t i = metrics ? metrics->count : 0; i > 0; i--) {
        const struct line *line = &metrics->lines[i - 1];
        if (is_of(line, manifest)) {
            manifest->loss = line->loss;
            manifest->accuracy = line->accuracy;
            return true;
        }
    }
    return false;
}

enum storage_code unit_metrics_complete(const char *path, const struct remote *remote,
                                        const char *run, struct ledger *ledger,
                                        struct storage_error *err)
{
    struct unit_metrics *metrics = unit_metrics_read(path);
    enum storage_code code = STORAGE_OK;
    for (size_t i = 0; metrics && !code && i < ledger->count; i++) {
        struct manifest *manifest = &ledger->records[i].manifest;
        char name[REMOTE_KEY_MAX];
        if (strcmp(manifest->run, run) == 0 && isnan(manifest->loss) && isnan(manifest->accuracy) &&
            unit_metrics_fill(metrics, manifest)) {
            code = remote_put_manifest(remote, manifest, name, err);
        }
    }
    unit_metrics_free(metrics);
    return code;
}
