/* history.c - the file of history.h, kept while a training goes on. */
#include "model/callbacks/history.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/atomic_file.h"
#include "model/model_error.h"
#include "model/picture/curve.h"

#include "model/model_banned.h"

enum {
    PATH_SIZE = 4096,
    LINE_MAX_SIZE = 160,     /* ours are shorter */
    FILE_MAX_SIZE = 4 << 20, /* bytes that are read; ours are a tenth of it at most */
    BUFFER = 8192            /* bytes of lines between writes */
};

struct keeper {
    struct history history;
    char path[PATH_SIZE];
    FILE *file; /* NULL: it could not be written, problem says why */
    enum model_code code;
    struct model_error problem;
};

/* ---- points ---------------------------------------------------------------------------------- */

static bool is_due(const struct history_series *series, uint64_t step)
{
    return series->count == 0 || (step > series->points[series->count - 1].step &&
                                  step - series->points[series->count - 1].step >= series->every);
}

/* Twice as many steps between points, until half the room is free. */
static void make_room(struct history_series *series)
{
    while (series->count > HISTORY_MAX / 2) {
        size_t count = series->count;
        series->every *= 2;
        series->count = 0;
        for (size_t i = 0; i < count; i++) {
            if (is_due(series, series->points[i].step)) {
                series->points[series->count++] = series->points[i];
            }
        }
    }
}

void history_add(struct history_series *series, uint64_t step, double value, bool *thinned)
{
    *thinned = series->count == HISTORY_MAX;
    if (*thinned) {
        make_room(series);
    }
    if (is_due(series, step)) {
        series->points[series->count++] = (struct history_point){step, value};
    }
}

/* Started over and over without a step between is one start. */
static void add_start(struct history *history, const char *run, uint64_t step)
{
    size_t count = history->start_count;
    if (count > 0 && history->starts[count - 1].step == step &&
        strcmp(history->starts[count - 1].run, run) == 0) {
        return;
    }
    if (history->start_count == HISTORY_STARTS_MAX) {
        memmove(history->starts, history->starts + 1,
                (HISTORY_STARTS_MAX - 1) * sizeof *history->starts);
        history->start_count--;
    }
    struct history_start *start = &history->starts[history->start_count++];
    start->step = step;
    snprintf(start->run, sizeof start->run, "%s", run);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Takes a text where a line is just now. */
static bool take(const char **at, const char *text)
{
    size_t length = strlen(text);
    if (strncmp(*at, text, length) != 0) {
        return false;
    }
    *at += length;
    return true;
}

static bool take_count(const char **at, uint64_t *count)
{
    char *end = NULL;
    errno = 0;
    *count = **at >= '0' && **at <= '9' ? strtoull(*at, &end, 10) : 0;
    *at = end ? end : *at;
    return end && errno == 0 && *count < UINT64_MAX / 2;
}

static bool take_number(const char **at, double *number)
{
    char *end = NULL;
    *number = strtod(*at, &end);
    bool some = end != *at;
    *at = end;
    return some && isfinite(*number);
}

static void read_line(struct history *history, const char *line)
{
    const char *at = line;
    uint64_t step = 0;
    double value = 0.0;
    bool thinned = false;
    char run[MODEL_RUN_MAX + 1];
    if (take(&at, "{\"run\":\"")) {
        size_t length = strcspn(at, "\"\\");
        if (length > 0 && length < sizeof run) {
            snprintf(run, sizeof run, "%.*s", (int)length, at);
            at += length;
            if (take(&at, "\",\"step\":") && take_count(&at, &step) && take(&at, "}\n")) {
                add_start(history, run, step);
            }
        }
        return;
    }
    if (!take(&at, "{\"step\":") || !take_count(&at, &step)) {
        return;
    }
    bool is_loss = take(&at, ",\"loss\":");
    if ((is_loss || take(&at, ",\"acc\":")) && take_number(&at, &value) && take(&at, "}\n")) {
        history_add(is_loss ? &history->losses : &history->accuracies, step, value, &thinned);
    }
}

static bool read_head(struct history *history, const char *line)
{
    const char *at = line;
    uint64_t losses = 0;
    uint64_t accuracies = 0;
    if (take(&at, "{\"history\":1,\"loss_every\":") && take_count(&at, &losses) &&
        take(&at, ",\"acc_every\":") && take_count(&at, &accuracies) && take(&at, "}\n") &&
        losses > 0 && accuracies > 0) {
        history->losses.every = losses;
        history->accuracies.every = accuracies;
        return true;
    }
    return false;
}

/* What is not ours is no history. */
static void read_file(struct history *history, const char *path)
{
    char line[LINE_MAX_SIZE];
    size_t size = 0;
    FILE *file = fopen(path, "re");
    if (file && fgets(line, sizeof line, file) && read_head(history, line)) {
        while (size < FILE_MAX_SIZE && fgets(line, sizeof line, file)) {
            size += strlen(line) + 1; /* a line of NUL bytes counts too */
            read_line(history, line);
        }
    }
    if (file) {
        fclose(file);
    }
}

static void drop_beyond(struct history_series *series, uint64_t step)
{
    while (series->count > 0 && series->points[series->count - 1].step > step) {
        series->count--;
    }
}

/* Leaves what led to `step` of the run `from`; nothing where that is not known. */
static void keep_until(struct history *history, const char *from, uint64_t step)
{
    while (history->start_count > 0 &&
           strcmp(history->starts[history->start_count - 1].run, from) != 0) {
        history->start_count--;
    }
    if (history->start_count == 0) {
        history->losses = (struct history_series){.every = 1};
        history->accuracies = (struct history_series){.every = 1};
        return;
    }
    while (history->start_count > 0 && history->starts[history->start_count - 1].step > step) {
        history->start_count--;
    }
    drop_beyond(&history->losses, step);
    drop_beyond(&history->accuracies, step);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_loss(FILE *out, const struct history_point *point)
{
    fprintf(out, "{\"step\":%" PRIu64 ",\"loss\":%.6g}\n", point->step, point->value);
}

static void write_accuracy(FILE *out, const struct history_point *point)
{
    fprintf(out, "{\"step\":%" PRIu64 ",\"acc\":%.6g}\n", point->step, point->value);
}

/* All that is known, by its steps. */
static void write_all(const struct history *history, FILE *out)
{
    const struct history_series *losses = &history->losses;
    const struct history_series *accuracies = &history->accuracies;
    size_t l = 0;
    size_t a = 0;
    fprintf(out, "{\"history\":1,\"loss_every\":%" PRIu64 ",\"acc_every\":%" PRIu64 "}\n",
            losses->every, accuracies->every);
    for (size_t s = 0; s <= history->start_count; s++) {
        /* What was before this start; behind the last, the rest. */
        uint64_t until = s < history->start_count ? history->starts[s].step : UINT64_MAX;
        while ((l < losses->count && losses->points[l].step <= until) ||
               (a < accuracies->count && accuracies->points[a].step <= until)) {
            if (a == accuracies->count ||
                (l < losses->count && losses->points[l].step <= accuracies->points[a].step)) {
                write_loss(out, &losses->points[l++]);
            } else {
                write_accuracy(out, &accuracies->points[a++]);
            }
        }
        if (s < history->start_count) {
            fprintf(out, "{\"run\":\"%s\",\"step\":%" PRIu64 "}\n", history->starts[s].run, until);
        }
    }
}

static void note_problem(struct keeper *keeper, const char *operation)
{
    if (keeper->code == MODEL_OK) {
        model_fail_errno(&keeper->problem, operation, keeper->path, errno);
        keeper->code = keeper->problem.code = MODEL_DISK;
    }
    if (keeper->file) {
        fclose(keeper->file);
        keeper->file = NULL;
    }
}

/* The file anew, whole or as it was; then it is open for what comes. */
static void rewrite(struct keeper *keeper)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (keeper->file) {
        fclose(keeper->file);
        keeper->file = NULL;
    }
    if (memory) {
        write_all(&keeper->history, memory);
    }
    if (!memory || fclose(memory) != 0) {
        note_problem(keeper, "write");
    } else if (keeper->code == MODEL_OK) {
        keeper->code = atomic_file_put(keeper->path, text, size, &keeper->problem);
    }
    free(text);
    if (keeper->code == MODEL_OK) {
        keeper->file = fopen(keeper->path, "ae");
        if (!keeper->file) {
            note_problem(keeper, "open");
        } else {
            setvbuf(keeper->file, NULL, _IOFBF, BUFFER);
        }
    }
}

static void flush(struct keeper *keeper)
{
    if (keeper->file && fflush(keeper->file) != 0) {
        note_problem(keeper, "write");
    }
}

static void add(struct keeper *keeper, struct history_series *series, uint64_t step, double value,
                void (*write_point)(FILE *out, const struct history_point *point))
{
    bool thinned = false;
    size_t before = series->count;
    history_add(series, step, value, &thinned);
    if (thinned && keeper->file) {
        rewrite(keeper);
    } else if (series->count > before && keeper->file) {
        write_point(keeper->file, &series->points[before]);
    }
}

/* ---- the callback ---------------------------------------------------------------------------- */

static enum model_code step_end(void *context, const struct model_progress *progress,
                                struct model_error *err)
{
    (void)err;
    struct keeper *keeper = context;
    add(keeper, &keeper->history.losses, progress->state.cumulative_step, progress->loss,
        write_loss);
    return MODEL_OK;
}

/* Begins in memory; the file is what it may be. */
static void begin_history(struct keeper *keeper, const char *folder,
                          const struct model_history_begin *begin)
{
    keeper->history.losses.every = keeper->history.accuracies.every = 1;
    if (begin->from) {
        read_file(&keeper->history, keeper->path);
        keep_until(&keeper->history, begin->from, begin->step);
    }
    add_start(&keeper->history, begin->run, begin->step);
    keeper->code = folder_make(folder, &keeper->problem);
    if (keeper->code == MODEL_OK) {
        rewrite(keeper);
    }
}

enum model_code model_history_new(struct model_callback *callback, const char *folder,
                                  const struct model_history_begin *begin, struct model_error *err)
{
    *callback = (struct model_callback){0};
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper) {
        return model_fail(err, MODEL_BUG, "keep a history in %s: no memory", folder);
    }
    int length = snprintf(keeper->path, sizeof keeper->path, "%s/history.jsonl", folder);
    if (length < 0 || (size_t)length >= sizeof keeper->path) {
        free(keeper);
        return model_fail(err, MODEL_DISK, "keep a history in %s: the path is too long", folder);
    }
    begin_history(keeper, folder, begin);
    *callback = (struct model_callback){.step_end = step_end, .context = keeper};
    return MODEL_OK;
}

void model_history_evaluated(struct model_callback *callback, const struct model_state *state,
                             const struct model_metrics *metrics)
{
    struct keeper *keeper = callback->context;
    add(keeper, &keeper->history.accuracies, state->cumulative_step, metrics->accuracy,
        write_accuracy);
    flush(keeper);
}

void model_history_flush(struct model_callback *callback)
{
    flush(callback->context);
}

enum model_code model_history_finish(struct model_callback *callback, struct model_error *err)
{
    struct keeper *keeper = callback->context;
    flush(keeper);
    if (keeper->code != MODEL_OK && err) {
        *err = keeper->problem;
    }
    return keeper->code;
}

enum model_code model_history_draw(const struct model_callback *callback, const char *path,
                                   struct model_error *err)
{
    const struct keeper *keeper = callback->context;
    return curve_draw(&keeper->history, path, err);
}

void model_history_free(struct model_callback *callback)
{
    struct keeper *keeper = callback->context;
    if (keeper && keeper->file) {
        fclose(keeper->file);
    }
    free(keeper);
    *callback = (struct model_callback){0};
}
