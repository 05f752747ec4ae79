/*
 * checkpointer.c - MindSpore's ModelCheckpoint: when to save, under which name, what to evict.
 *
 * The rules are MindSpore 1.0's (train/callback/_checkpoint.py), made safe in three places: a file
 * is evicted after the new one is durable, never before; only "<prefix>-<epoch>_<step>.ckpt" is
 * ours, where 1.0 would also take lenet_1-… for lenet; and settings under which nothing would ever
 * be saved are refused. With async_save a file is told of, and others evicted for it, at the first
 * step after it is durable.
 *
 * Steps are counted within the run, and a continued run starts from a checkpoint, so it goes on
 * saving at the steps at which it would have saved had it not been interrupted.
 */
#include "model/callbacks/checkpointer.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "model/base/atomic_file.h"
#include "model/callbacks/async_writer.h"
#include "model/checkpoint/graph_meta.h"
#include "model/model_error.h"
#include "model/training/lenet.h"

#include "model/model_banned.h"

enum {
    PREFIX_MAX = 180, /* bytes; leaves room in a name of 255 for the rest and a temporary's */
    NAME_SIZE = 256,
    PATH_SIZE = 4096,
    SECONDS_OF_A_MINUTE = 60
};

struct checkpointer {
    struct model_checkpointing options; /* folder and prefix point into the two arrays */
    char folder[PATH_SIZE];
    char prefix[PREFIX_MAX + 1];
    struct checkpointer_clock clock;
    uint64_t saved_step; /* of the run, at the last save */
    double saved_at;     /* steady clock, at the last save or the construction */
    bool graph_written;
    const char *suffix;          /* of the format */
    struct async_writer *writer; /* NULL: saves are not asynchronous */
    char saving[NAME_SIZE];      /* of the save that is not finished: its name, */
    struct model_state saving_state;
    double since_last_save; /* and how long the one before lay back */
};

/* One file of ours in the folder. */
struct kept_file {
    char name[NAME_SIZE];
    uint64_t epoch;
    uint64_t step;
    struct timespec modified;
};

static double read_clock(clockid_t id)
{
    struct timespec now = {0};
    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double steady_seconds(void *context)
{
    (void)context;
    return read_clock(CLOCK_MONOTONIC);
}

static double wall_seconds(void *context)
{
    (void)context;
    return read_clock(CLOCK_REALTIME);
}

void checkpointer_set_clock(struct model_callback *callback, const struct checkpointer_clock *clock)
{
    struct checkpointer *self = callback->context;
    self->clock = *clock;
    self->saved_at = clock->steady(clock->context);
}

/* ---- files of ours ------------------------------------------------------------------------- */

/* Whether name is "<prefix>-<epoch>_<step>.ckpt"; fills epoch and step. */
static bool parse_name(const struct checkpointer *self, const char *name, uint64_t *epoch,
                       uint64_t *step)
{
    size_t length = strlen(self->prefix);
    if (strncmp(name, self->prefix, length) != 0 || name[length] != '-') {
        return false;
    }
    const char *at = name + length + 1;
    uint64_t *const numbers[] = {epoch, step};
    const char *const ends[] = {"_", self->suffix};
    for (size_t i = 0; i < 2; i++) {
        size_t digits = strspn(at, "0123456789");
        if (digits == 0 || digits > 19 || strncmp(at + digits, ends[i], strlen(ends[i])) != 0) {
            return false;
        }
        *numbers[i] = strtoull(at, NULL, 10);
        at += digits + strlen(ends[i]);
    }
    return *at == '\0';
}

/* By time of writing, as MindSpore; files of one tick of the file system by their numbers. */
static bool is_older(const struct kept_file *a, const struct kept_file *b)
{
    if (a->modified.tv_sec != b->modified.tv_sec) {
        return a->modified.tv_sec < b->modified.tv_sec;
    }
    if (a->modified.tv_nsec != b->modified.tv_nsec) {
        return a->modified.tv_nsec < b->modified.tv_nsec;
    }
    return a->epoch != b->epoch ? a->epoch < b->epoch : a->step < b->step;
}

/* The next file of ours in an open folder; false at its end. */
static bool next_file(const struct checkpointer *self, DIR *directory, struct kept_file *file)
{
    struct dirent *entry = NULL;
    while ((entry = readdir(directory))) {
        struct stat status;
        if (strlen(entry->d_name) < sizeof file->name &&
            parse_name(self, entry->d_name, &file->epoch, &file->step) &&
            fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode)) {
            memcpy(file->name, entry->d_name, strlen(entry->d_name) + 1);
            file->modified = status.st_mtim;
            return true;
        }
    }
    return false;
}

/*
 * The oldest of our files that are not `except` and not older than max_age seconds; count gets how
 * many of those there are.
 */
static size_t find_oldest(const struct checkpointer *self, DIR *directory, const char *except,
                          double max_age, struct kept_file *oldest)
{
    size_t count = 0;
    struct kept_file file;
    double now = self->clock.wall(self->clock.context);
    rewinddir(directory);
    while (next_file(self, directory, &file)) {
        double age = now - (double)file.modified.tv_sec - (double)file.modified.tv_nsec * 1e-9;
        if (strcmp(file.name, except) == 0 || age >= max_age) {
            continue;
        }
        if (count == 0 || is_older(&file, oldest)) {
            *oldest = file;
        }
        count++;
    }
    return count;
}

/* keep_checkpoint_max: the oldest go until no more than that are left, the new one among them. */
static void evict_over_max(const struct checkpointer *self, DIR *directory, const char *saved)
{
    struct kept_file oldest = {0};
    size_t max = (size_t)self->options.keep_checkpoint_max;
    while (find_oldest(self, directory, saved, HUGE_VAL, &oldest) >= max &&
           unlinkat(dirfd(directory), oldest.name, 0) == 0) {
    }
}

/*
 * keep_checkpoint_per_n_minutes: of the files of the last n minutes only the oldest stays (its
 * text says the latest, its code keeps the oldest), and the new one.
 */
static void evict_in_window(const struct checkpointer *self, DIR *directory, const char *saved)
{
    double window = (double)self->options.keep_checkpoint_per_n_minutes * SECONDS_OF_A_MINUTE;
    struct kept_file keep = {0};
    if (find_oldest(self, directory, saved, window, &keep) < 2) {
        return;
    }
    struct kept_file file;
    double now = self->clock.wall(self->clock.context);
    rewinddir(directory);
    while (next_file(self, directory, &file)) {
        double age = now - (double)file.modified.tv_sec - (double)file.modified.tv_nsec * 1e-9;
        if (age < window && strcmp(file.name, saved) != 0 && strcmp(file.name, keep.name) != 0) {
            unlinkat(dirfd(directory), file.name, 0);
        }
    }
}

/*
 * A file that cannot be deleted does not end a training, as in MindSpore; a disk that fills up for
 * it does, at the next save.
 */
static void evict(const struct checkpointer *self, const char *saved, double since_last_save)
{
    DIR *directory = opendir(self->folder);
    if (!directory) {
        return;
    }
    if (self->options.keep_checkpoint_max > 0) {
        evict_over_max(self, directory, saved);
    } else if (since_last_save <
               (double)self->options.keep_checkpoint_per_n_minutes * SECONDS_OF_A_MINUTE) {
        evict_in_window(self, directory, saved);
    }
    closedir(directory);
}

/* Removes the temporaries that a death of this prefix's writer left behind. */
static void remove_temporaries(const struct checkpointer *self)
{
    DIR *directory = opendir(self->folder);
    if (!directory) {
        return;
    }
    char start[PREFIX_MAX + 4];
    size_t start_length = (size_t)snprintf(start, sizeof start, ".%s-", self->prefix);
    struct dirent *entry = NULL;
    while ((entry = readdir(directory))) {
        size_t length = strlen(entry->d_name);
        size_t end = strlen(ATOMIC_FILE_SUFFIX);
        if (length > start_length + end && strncmp(entry->d_name, start, start_length) == 0 &&
            strcmp(entry->d_name + length - end, ATOMIC_FILE_SUFFIX) == 0) {
            unlinkat(dirfd(directory), entry->d_name, 0);
        }
    }
    closedir(directory);
}

/* ---- the callback -------------------------------------------------------------------------- */

static uint64_t step_of_run(const struct model_progress *progress)
{
    return progress->state.cumulative_step - progress->state.base_step;
}

static enum model_code make_path(const struct checkpointer *self, const char *name, char *path,
                                 struct model_error *err)
{
    int length = snprintf(path, PATH_SIZE, "%s/%s", self->folder, name);
    if (length < 0 || length >= PATH_SIZE) {
        return model_fail(err, MODEL_DISK, "write %s: the path of its folder is too long", name);
    }
    return MODEL_OK;
}

/* The file self->saving is durable: it is told of, and makes others superfluous. */
static void finish_save(struct checkpointer *self)
{
    char path[PATH_SIZE];
    if (self->options.on_saved && make_path(self, self->saving, path, NULL) == MODEL_OK) {
        self->options.on_saved(self->options.context, path, &self->saving_state);
    }
    evict(self, self->saving, self->since_last_save);
    self->saving[0] = '\0';
}

/* Fetches what the writer has done; with wait, also what it has yet to do. */
static enum model_code take_async(struct checkpointer *self, bool wait, struct model_error *err)
{
    enum model_code code = MODEL_OK;
    if (self->writer && async_writer_take(self->writer, wait, &code, err) && code == MODEL_OK) {
        finish_save(self);
    }
    return code;
}

static enum model_code save(struct checkpointer *self, const struct model_progress *progress,
                            struct model_error *err)
{
    char path[PATH_SIZE];
    enum model_code code = take_async(self, true, err);
    if (code != MODEL_OK) {
        return code;
    }
    snprintf(self->saving, sizeof self->saving, "%s-%" PRIu64 "_%" PRIu64 "%s", self->prefix,
             progress->state.epoch, progress->state.step, self->suffix);
    self->saving_state = progress->state;
    code = make_path(self, self->saving, path, err);
    if (code != MODEL_OK) {
        return code;
    }
    const struct model_saving *saving = &self->options.saving;
    const struct model_state *state = saving->weights_only ? NULL : &progress->state;
    if (self->writer) {
        async_writer_put(self->writer, progress->model, state, saving, path);
    } else {
        code = model_save_as(progress->model, state, saving, path, err);
    }
    if (code != MODEL_OK) {
        return code;
    }
    double now = self->clock.steady(self->clock.context);
    self->since_last_save = now - self->saved_at;
    self->saved_at = now;
    self->saved_step = step_of_run(progress);
    if (!self->writer) {
        finish_save(self);
    }
    return MODEL_OK;
}

static bool is_due(const struct checkpointer *self, uint64_t step)
{
    if (self->options.save_checkpoint_steps > 0) {
        return step >= self->saved_step + (uint64_t)self->options.save_checkpoint_steps;
    }
    return self->clock.steady(self->clock.context) - self->saved_at >
           (double)self->options.save_checkpoint_seconds;
}

static enum model_code write_graph(struct checkpointer *self, const struct model *model,
                                   struct model_error *err)
{
    char name[NAME_SIZE];
    char path[PATH_SIZE];
    char text[GRAPH_META_SIZE];
    snprintf(name, sizeof name, "%s-graph.meta", self->prefix);
    enum model_code code = make_path(self, name, path, err);
    if (code == MODEL_OK) {
        code = atomic_file_put(path, text, graph_meta_text(&model->shape, text, sizeof text), err);
    }
    if (code != MODEL_OK) {
        return code;
    }
    self->graph_written = true;
    if (self->options.on_saved) {
        self->options.on_saved(self->options.context, path, NULL);
    }
    return MODEL_OK;
}

static enum model_code on_begin(void *context, const struct model_progress *progress,
                                struct model_error *err)
{
    struct checkpointer *self = context;
    (void)err;
    /* What a run continues from is a checkpoint: it has been saved. */
    self->saved_step = step_of_run(progress);
    remove_temporaries(self);
    return MODEL_OK;
}

static enum model_code on_step_end(void *context, const struct model_progress *progress,
                                   struct model_error *err)
{
    struct checkpointer *self = context;
    if (!self->graph_written) {
        enum model_code code = write_graph(self, progress->model, err);
        if (code != MODEL_OK) {
            return code;
        }
    }
    enum model_code code = take_async(self, false, err);
    if (code != MODEL_OK) {
        return code;
    }
    return is_due(self, step_of_run(progress)) ? save(self, progress, err) : MODEL_OK;
}

static enum model_code on_end(void *context, const struct model_progress *progress,
                              struct model_error *err)
{
    struct checkpointer *self = context;
    enum model_code code =
        step_of_run(progress) != self->saved_step ? save(self, progress, err) : MODEL_OK;
    return code == MODEL_OK ? take_async(self, true, err) : code;
}

enum model_code model_checkpointer_finish(struct model_callback *callback, struct model_error *err)
{
    return callback->context ? take_async(callback->context, true, err) : MODEL_OK;
}

enum model_code model_checkpointer_breakpoint(struct model_callback *callback,
                                              const struct model *model,
                                              const struct model_state *state, char *path,
                                              size_t size, struct model_error *err)
{
    const struct checkpointer *self = callback->context;
    for (size_t i = 0; i < model->shape.parameters; i++) {
        if (!isfinite(model->weights[i])) {
            return model_fail(err, MODEL_DIVERGED, "save what is left: a weight is not finite");
        }
    }
    int length = snprintf(path, size, "%s/%s-%" PRIu64 "_%" PRIu64 "_breakpoint%s", self->folder,
                          self->prefix, state->epoch, state->step, self->suffix);
    if (length < 0 || (size_t)length >= size) {
        return model_fail(err, MODEL_DISK, "save what is left: the path of its folder is too long");
    }
    return model_save_as(model, state, &self->options.saving, path, err);
}

/* ---- construction -------------------------------------------------------------------------- */

/* CheckpointConfig's rules and precedence; the options as they will be followed. */
static enum model_code check(struct model_checkpointing *options, struct model_error *err)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"save_checkpoint_steps", options->save_checkpoint_steps},
        {"save_checkpoint_seconds", options->save_checkpoint_seconds},
        {"keep_checkpoint_max", options->keep_checkpoint_max},
        {"keep_checkpoint_per_n_minutes", options->keep_checkpoint_per_n_minutes},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i].value < 0) {
            return model_fail(err, MODEL_ARGUMENT, "%s is %" PRId64 ", it must be 0 or more",
                              numbers[i].name, numbers[i].value);
        }
    }
    if (options->save_checkpoint_steps == 0 && options->save_checkpoint_seconds == 0) {
        return model_fail(err, MODEL_ARGUMENT,
                          "save_checkpoint_steps and save_checkpoint_seconds are both 0: nothing "
                          "would ever be saved");
    }
    if (!options->prefix || strchr(options->prefix, '/')) {
        return model_fail(err, MODEL_ARGUMENT, "a checkpoint's prefix must not contain '/': %s",
                          options->prefix ? options->prefix : "(none)");
    }
    if (strlen(options->prefix) > PREFIX_MAX) {
        return model_fail(err, MODEL_ARGUMENT, "a checkpoint's prefix has %d bytes at most: %.40s…",
                          PREFIX_MAX, options->prefix);
    }
    if (!options->folder || !options->folder[0]) {
        return model_fail(err, MODEL_ARGUMENT, "the checkpoints' folder has no name");
    }
    if (options->saving.format == MODEL_FORMAT_SAFETENSORS && options->saving.crc_check) {
        return model_fail(err, MODEL_ARGUMENT,
                          "crc_check is of the ckpt format: MindSpore refuses it with safetensors");
    }
    if (options->keep_checkpoint_max == 0 && options->keep_checkpoint_per_n_minutes == 0) {
        options->keep_checkpoint_max = 1;
    }
    return MODEL_OK;
}

enum model_code model_checkpointer_new(struct model_callback *callback,
                                       const struct model_checkpointing *options,
                                       struct model_error *err)
{
    *callback = (struct model_callback){0};
    struct model_checkpointing checked = *options;
    enum model_code code = check(&checked, err);
    if (code == MODEL_OK) {
        code = folder_make(checked.folder, err);
    }
    if (code != MODEL_OK) {
        return code;
    }
    struct checkpointer *self = calloc(1, sizeof *self);
    if (!self) {
        return model_fail(err, MODEL_BUG, "keep checkpoints in %s: no memory", checked.folder);
    }
    snprintf(self->folder, sizeof self->folder, "%s", checked.folder);
    snprintf(self->prefix, sizeof self->prefix, "%s", checked.prefix);
    self->options = checked;
    self->suffix = checked.saving.format == MODEL_FORMAT_SAFETENSORS ? ".safetensors" : ".ckpt";
    self->options.folder = self->folder;
    self->options.prefix = self->prefix;
    self->clock = (struct checkpointer_clock){.steady = steady_seconds, .wall = wall_seconds};
    self->saved_at = steady_seconds(NULL);
    if (checked.async_save) {
        code = async_writer_new(&self->writer, err);
        if (code != MODEL_OK) {
            free(self);
            return code;
        }
    }
    *callback = (struct model_callback){
        .begin = on_begin, .step_end = on_step_end, .end = on_end, .context = self};
    return MODEL_OK;
}

void model_checkpointer_free(struct model_callback *callback)
{
    struct checkpointer *self = callback->context;
    if (self) {
        async_writer_free(self->writer);
    }
    free(self);
    *callback = (struct model_callback){0};
}
