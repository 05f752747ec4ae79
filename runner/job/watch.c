/* watch.c - what is known of each file, and when it is complete. watch_tree.c finds the files. */
#include "runner/job/evidence.h"
#include "runner/job/watch_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/runner_banned.h"

static const double QUIET_S = 2.0;
static const double RETRY_S = 0.25;   /* until it is asked again who writes */
static const double NEVER_S = 1000.0; /* longer than any wait */

const char *watch_reason_text(enum watch_reason reason)
{
    static const char *const texts[] = {
        [WATCH_FORMAT] = "format",
        [WATCH_RENAMED] = "rename",
        [WATCH_QUIET] = "quiet",
        [WATCH_ENDED] = "writer ended",
    };
    return texts[reason];
}

/* ---- names ---------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *name)
{
    return storage_crc32(0, name, strlen(name));
}

/* The place of a name in the table: its entry's, or an empty one. */
static size_t place_of(const struct watch *watch, const char *name)
{
    size_t place = hash_of(name) & (watch->table_size - 1);
    while (watch->table[place] && strcmp(watch->table[place]->name, name) != 0) {
        place = (place + 1) & (watch->table_size - 1);
    }
    return place;
}

static bool grow_table(struct watch *watch)
{
    size_t size = watch->table_size ? watch->table_size * 2 : 256;
    struct watch_entry **old = watch->table;
    size_t old_size = watch->table_size;
    struct watch_entry **table = calloc(size, sizeof(struct watch_entry *));
    if (!table) {
        return false;
    }
    watch->table = table;
    watch->table_size = size;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i]) {
            table[place_of(watch, old[i]->name)] = old[i];
        }
    }
    free(old);
    return true;
}

struct watch_entry *watch_find(struct watch *watch, const char *name, bool add)
{
    if (watch->count * 2 >= watch->table_size && !grow_table(watch)) {
        return NULL;
    }
    size_t place = place_of(watch, name);
    if (watch->table[place] || !add) {
        return watch->table[place];
    }
    if (watch->count == WATCH_FILES_MAX) {
        if (!watch->is_full) {
            log_warn(watch->log, "%s holds more than %d checkpoints: more are not looked at",
                     watch->options.folder, WATCH_FILES_MAX);
        }
        watch->is_full = true;
        return NULL;
    }
    struct watch_entry *entry = calloc(1, sizeof *entry);
    if (entry) {
        entry->name = strdup(name);
    }
    if (!entry || !entry->name) {
        free(entry);
        return NULL;
    }
    watch->table[place] = entry;
    watch->count++;
    return entry;
}

void watch_forget(struct watch *watch, struct watch_entry *entry)
{
    size_t hole = place_of(watch, entry->name);
    free(entry->name);
    free(entry);
    watch->table[hole] = NULL;
    watch->count--;
    /* Those behind it must still be found: each is placed anew. */
    for (size_t i = (hole + 1) & (watch->table_size - 1); watch->table[i];
         i = (i + 1) & (watch->table_size - 1)) {
        struct watch_entry *moved = watch->table[i];
        watch->table[i] = NULL;
        watch->table[place_of(watch, moved->name)] = moved;
    }
}

/* ---- what is seen of a file ------------------------------------------------------------------ */

static int64_t mtime_of(const struct stat *status)
{
    return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

static bool is_same(const struct watch_entry *entry, const struct stat *status)
{
    return entry->inode == status->st_ino && entry->device == status->st_dev &&
           entry->size == (uint64_t)status->st_size && entry->mtime_ns == mtime_of(status);
}

void watch_saw(struct watch *watch, struct watch_entry *entry, const struct stat *status,
               enum watch_sign sign)
{
    entry->round = watch->round;
    if (!is_same(entry, status)) {
        entry->inode = status->st_ino;
        entry->device = status->st_dev;
        entry->size = (uint64_t)status->st_size;
        entry->mtime_ns = mtime_of(status);
        entry->is_settled = entry->is_refused = false;
        entry->changed = clock_seconds();
        entry->due = 0;
        entry->sign = SIGN_NONE; /* whatever it was: it has been written to since */
    }
    if (sign != SIGN_NONE) {
        entry->sign = sign > entry->sign ? sign : entry->sign;
        entry->due = 0;
    }
}

/* ---- judging --------------------------------------------------------------------------------- */

enum verdict {
    TAKE,
    WAIT,
    REFUSE
};

/* What has only been left alone, without a proof, as its writer's end says. */
static enum verdict judge_quiet(const struct watch *watch, struct watch_entry *entry, double now,
                                enum watch_reason *reason)
{
    switch (watch->heeded) {
    case WATCH_WRITER_ENDED:
        *reason = WATCH_ENDED;
        return TAKE;
    case WATCH_WRITER_DIED:
        *reason = WATCH_QUIET;
        return entry->changed < watch->died - watch->options.quiet_s ? TAKE : REFUSE;
    case WATCH_WRITER_LIVES:
        break;
    }
    *reason = WATCH_QUIET;
    entry->due = entry->changed + watch->options.quiet_s;
    return now >= entry->due ? TAKE : WAIT;
}

static enum verdict judge(const struct watch *watch, struct watch_entry *entry, int fd,
                          enum watch_reason *reason)
{
    double now = clock_seconds();
    enum file_writers writers = file_writers(fd);
    bool ended = watch->heeded != WATCH_WRITER_LIVES;
    if (writers == WRITERS_SOME) {
        entry->due = now + RETRY_S;
        return WAIT;
    }
    enum file_shape shape = file_shape(fd, entry->name, entry->size);
    if (shape == SHAPE_BROKEN) {
        entry->due = entry->changed + watch->options.quiet_s;
        return ended || now >= entry->due ? REFUSE : WAIT;
    }
    /* Where nobody can tell who writes, even a proof waits: a writer may not be done. */
    if (shape == SHAPE_WHOLE && writers == WRITERS_NONE) {
        *reason = WATCH_FORMAT;
        return TAKE;
    }
    if (entry->sign == SIGN_RENAMED && writers == WRITERS_NONE) {
        *reason = WATCH_RENAMED;
        return TAKE;
    }
    enum verdict verdict = judge_quiet(watch, entry, now, reason);
    if (verdict == REFUSE && (shape == SHAPE_WHOLE || entry->sign == SIGN_RENAMED)) {
        *reason = shape == SHAPE_WHOLE ? WATCH_FORMAT : WATCH_RENAMED;
        return TAKE;
    }
    return verdict;
}

static void cannot_open(struct watch *watch, struct watch_entry *entry, const char *path,
                        int failure)
{
    switch (failure) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
        watch_forget(watch, entry);
        break;
    case EMFILE: /* descriptors will be given back */
    case ENFILE:
    case ENOMEM:
        entry->due = clock_seconds() + RETRY_S;
        break;
    default:
        entry->is_settled = entry->is_refused = true;
        log_warn(watch->log, "cannot publish %s: %s", path, strerror(failure));
    }
}

/* Opens and judges one file. True: it is complete, and *file is filled. */
static bool try_entry(struct watch *watch, struct watch_entry *entry, struct watch_file *file)
{
    struct stat status;
    char path[STORAGE_PATH_MAX];
    if (!storage_join(path, sizeof path, watch->options.folder, entry->name)) {
        entry->is_settled = true;
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        cannot_open(watch, entry, path, errno);
        return false;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        entry->is_settled = true;
        close(fd);
        return false;
    }
    watch_saw(watch, entry, &status, SIGN_NONE);
    enum verdict verdict = judge(watch, entry, fd, &file->reason);
    if (verdict == REFUSE) {
        entry->is_settled = entry->is_refused = true;
        watch->refused++;
        log_warn(watch->log, "%s is not published: it is incomplete, its writer %s", path,
                 watch->heeded == WATCH_WRITER_DIED ? "died while it was written" : "left it so");
    }
    if (verdict != TAKE) {
        close(fd);
        return false;
    }
    entry->is_settled = true;
    *file = (struct watch_file){.name = entry->name,
                                .fd = fd,
                                .size = entry->size,
                                .mtime_ns = entry->mtime_ns,
                                .reason = file->reason};
    return true;
}

/*
 * The writer's end changes what is to be thought of every file; but first all that it did before is
 * taken note of, else a file that it renamed last would be judged without that.
 */
static void heed_writer(struct watch *watch)
{
    enum watch_writer writer = (enum watch_writer)atomic_load(&watch->writer);
    if (writer == watch->heeded) {
        return;
    }
    watch_events(watch);
    for (size_t i = 0; i < watch->table_size; i++) {
        if (watch->table[i]) {
            watch->table[i]->due = 0;
        }
    }
    watch->heeded = writer;
}

enum watch_writer watch_heeded(const struct watch *watch)
{
    return watch->heeded;
}

bool watch_take(struct watch *watch, struct watch_file *file)
{
    heed_writer(watch);
    /* Round and round, so that a folder of ten thousand files is not begun anew for each. */
    for (size_t i = 0; i < watch->table_size; i++) {
        watch->hand = (watch->hand + 1) & (watch->table_size - 1);
        struct watch_entry *entry = watch->table[watch->hand];
        if (entry && !entry->is_settled && entry->due <= clock_seconds() &&
            try_entry(watch, entry, file)) {
            return true;
        }
    }
    return false;
}

void watch_each_pending(const struct watch *watch, watch_pending_fn *each, void *context)
{
    for (size_t i = 0; i < watch->table_size; i++) {
        const struct watch_entry *entry = watch->table[i];
        if (entry && (!entry->is_settled || entry->is_refused) &&
            !each(context, entry->name, entry->is_refused)) {
            break;
        }
    }
}

double watch_due(const struct watch *watch)
{
    double due = clock_seconds() + NEVER_S;
    for (size_t i = 0; i < watch->table_size; i++) {
        if (watch->table[i] && !watch->table[i]->is_settled) {
            due = fmin(due, watch->table[i]->due);
        }
    }
    return fmax(due - clock_seconds(), 0);
}

uint64_t watch_refused(const struct watch *watch)
{
    return watch->refused;
}

void watch_writer(struct watch *watch, enum watch_writer writer)
{
    if (writer != WATCH_WRITER_LIVES) {
        watch->died = clock_seconds();
    }
    atomic_store(&watch->writer, (int)writer);
    watch_wake(watch);
}

/* ---- life cycle ------------------------------------------------------------------------------ */

struct watch *watch_new(const struct watch_options *options, struct log *log)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch) {
        return NULL;
    }
    watch->options = *options;
    watch->options.quiet_s = options->quiet_s > 0 ? options->quiet_s : QUIET_S;
    watch->log = log;
    if (!grow_table(watch) || !watch_tree_open(watch)) {
        watch_free(watch);
        return NULL;
    }
    return watch;
}

void watch_free(struct watch *watch)
{
    if (!watch) {
        return;
    }
    watch_tree_close(watch);
    for (size_t i = 0; i < watch->table_size; i++) {
        if (watch->table[i]) {
            free(watch->table[i]->name);
            free(watch->table[i]);
        }
    }
    free(watch->table);
    free(watch);
}
