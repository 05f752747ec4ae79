#include "runner/job/publish.h"

#include "runner/app.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    PUBLICATIONS_MAX = 100000,
    KNOWN_MAX = 200000
};

static const double PAUSE_FIRST_S = 0.5; /* between tries; doubles up to PAUSE_MAX_S */
static const double PAUSE_MAX_S = 20.0;

/* A file held open until it is out. */
struct pinned {
    int fd; /* -1: none */
    char name[256];
};

struct unit {
    struct publication result;
    struct pinned file;
    struct pinned shared; /* the graph's file, a descriptor of its own */
    double loss, accuracy;
    double added; /* clock_seconds */
};

struct publisher {
    struct remote remote;
    const char *run;
    uint64_t attempt;
    const atomic_bool *stop_now;
    atomic_bool *give_up;
    struct log *log;

    pthread_t thread;
    pthread_mutex_t lock; /* guards the queue below */
    pthread_cond_t changed;
    bool ending; /* no more will be added; the thread ends when all is out */
    bool ended;
    struct unit *units;
    size_t unit_count, unit_capacity, unit_next;
    struct publication *results; /* made by publisher_finish */

    struct pinned shared;        /* the adding thread's alone */
    struct manifest_file *known; /* what manifests name */
    size_t known_count, known_capacity;
    uint64_t seq;
    struct pointer pointer;
};

static bool pin(struct publisher *publisher, struct pinned *file, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(file->name, sizeof file->name, "%s", slash ? slash + 1 : path);
    file->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0) {
        log_warn(publisher->log, "cannot publish %s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static void unpin(struct pinned *file)
{
    if (file->fd >= 0) {
        close(file->fd);
    }
    file->fd = -1;
}

/* CRC-32 and size of a pinned file; leaves its offset at the start. */
static bool measure(const struct pinned *file, uint32_t *crc32, uint64_t *size)
{
    enum {
        PIECE = 256 * 1024
    };
    char *piece = malloc(PIECE);
    *crc32 = 0;
    *size = 0;
    ssize_t got = -1;
    if (piece) {
        while ((got = pread(file->fd, piece, PIECE, (off_t)*size)) > 0) {
            *crc32 = storage_crc32(*crc32, piece, (size_t)got);
            *size += (uint64_t)got;
        }
    }
    free(piece);
    return got == 0 && lseek(file->fd, 0, SEEK_SET) == 0;
}

static struct manifest_file *find_known(const struct publisher *publisher, const char *name)
{
    for (size_t i = publisher->known_count; i > 0; i--) {
        if (strcmp(publisher->known[i - 1].name, name) == 0) {
            return &publisher->known[i - 1];
        }
    }
    return NULL;
}

static bool add_known(struct publisher *publisher, const struct manifest_file *file)
{
    const struct manifest_file *known = find_known(publisher, file->name);
    if (known && strcmp(known->key, file->key) == 0) {
        return true;
    }
    if (publisher->known_count == publisher->known_capacity) {
        size_t capacity = publisher->known_capacity ? publisher->known_capacity * 2 : 64;
        struct manifest_file *grown =
            capacity > KNOWN_MAX ? NULL : realloc(publisher->known, capacity * sizeof *grown);
        if (!grown) {
            return false;
        }
        publisher->known = grown;
        publisher->known_capacity = capacity;
    }
    publisher->known[publisher->known_count++] = *file;
    return true;
}

/*
 * Puts one file into the store unless a manifest already names those very bytes, and describes it.
 * A name that a manifest holds with other bytes goes to a key of its own.
 */
static enum storage_code put_file(struct publisher *publisher, const struct pinned *pinned,
                                  struct manifest_file *file, struct storage_error *err)
{
    char key[STORAGE_PATH_MAX];
    memset(file, 0, sizeof *file);
    snprintf(file->name, sizeof file->name, "%s", pinned->name);
    if (!measure(pinned, &file->crc32, &file->size)) {
        *err = (struct storage_error){.code = STORAGE_DISK, .system_errno = errno};
        snprintf(err->message, sizeof err->message, "read %s: %s", pinned->name, strerror(errno));
        return STORAGE_DISK;
    }
    const struct manifest_file *known = find_known(publisher, file->name);
    if (known && known->size == file->size && known->crc32 == file->crc32) {
        *file = *known;
        return STORAGE_OK;
    }
    if (known) {
        snprintf(file->key, sizeof file->key, ".jobferry/data/%s/%llu-%llu/%s", publisher->run,
                 (unsigned long long)publisher->attempt, (unsigned long long)publisher->seq,
                 file->name);
    } else {
        snprintf(file->key, sizeof file->key, "ckpt/%s", file->name);
    }
    remote_key(&publisher->remote, key, file->key);
    uint64_t size = 0;
    enum storage_code code =
        storage_put_stream(publisher->remote.store, key, pinned->fd, &size, &file->verified, err);
    if (!code && size != file->size) {
        *err = (struct storage_error){.code = STORAGE_CHANGED};
        snprintf(err->message, sizeof err->message, "publish %s: it changed while it was read",
                 file->name);
        code = STORAGE_CHANGED;
    }
    return code;
}

/* Payload, manifest, pointer of one unit. */
static enum storage_code publish(struct publisher *publisher, struct unit *unit,
                                 struct storage_error *err)
{
    struct manifest manifest = {
        .attempt = publisher->attempt,
        .seq = publisher->seq,
        .epoch = unit->result.epoch,
        .step = unit->result.step,
        .cumulative_step = unit->result.cumulative_step,
        .loss = unit->loss,
        .accuracy = unit->accuracy,
        .file_count = 1,
    };
    snprintf(manifest.run, sizeof manifest.run, "%s", publisher->run);
    enum storage_code code = put_file(publisher, &unit->file, &manifest.files[0], err);
    if (!code && unit->shared.fd >= 0) {
        code = put_file(publisher, &unit->shared, &manifest.files[1], err);
        manifest.file_count = 2;
    }
    if (code) {
        return code;
    }
    unit->result.size = manifest.files[0].size;
    unit->result.crc32 = manifest.files[0].crc32;
    struct pointer pointer = {
        .attempt = publisher->attempt,
        .cumulative_step = unit->result.cumulative_step,
    };
    snprintf(pointer.run, sizeof pointer.run, "%s", publisher->run);
    code = remote_put_manifest(&publisher->remote, &manifest, pointer.manifest, err);
    for (size_t i = 0; !code && i < manifest.file_count; i++) {
        if (!add_known(publisher, &manifest.files[i])) {
            code = STORAGE_BUG;
        }
    }
    if (!code) {
        code = remote_set_latest(&publisher->remote, &pointer, err);
    }
    if (!code) {
        publisher->pointer = pointer;
    }
    return code;
}

/* Waits on the condition for at most seconds; the lock is held. */
static void wait_for(struct publisher *publisher, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    double whole = floor(seconds);
    until.tv_sec += (time_t)whole;
    until.tv_nsec += (long)((seconds - whole) * 1e9);
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_cond_timedwait(&publisher->changed, &publisher->lock, &until);
}

/* Tries one unit until it is out or the time is up. Called with the lock held. */
static void publish_until_out(struct publisher *publisher, size_t index)
{
    double pause = PAUSE_FIRST_S;
    struct storage_error err = {0};
    enum publication_state state = PUBLICATION_QUEUED;
    publisher->seq++;
    while (state == PUBLICATION_QUEUED) {
        struct unit unit = publisher->units[index];
        pthread_mutex_unlock(&publisher->lock);
        enum storage_code code = publish(publisher, &unit, &err);
        if (!code) {
            unit.result.seconds_to_pointer = clock_seconds() - unit.added;
            state = PUBLICATION_CONFIRMED;
        } else {
            log_warn(publisher->log, "%s is not in the store yet: %s", unit.file.name,
                     err.message[0] ? err.message : storage_code_text(code));
        }
        pthread_mutex_lock(&publisher->lock);
        publisher->units[index].result = unit.result;
        if (state == PUBLICATION_QUEUED && atomic_load(publisher->give_up)) {
            state = PUBLICATION_FAILED;
        }
        if (state == PUBLICATION_QUEUED) {
            wait_for(publisher, pause);
            pause = fmin(pause * 2, PAUSE_MAX_S);
        }
    }
    publisher->units[index].result.state = state;
    unpin(&publisher->units[index].file);
    unpin(&publisher->units[index].shared);
}

static void *publisher_main(void *context)
{
    struct publisher *publisher = context;
    pthread_mutex_lock(&publisher->lock);
    for (;;) {
        if (publisher->unit_next < publisher->unit_count) {
            publish_until_out(publisher, publisher->unit_next++);
        } else if (publisher->ending) {
            break;
        } else {
            pthread_cond_wait(&publisher->changed, &publisher->lock);
        }
    }
    publisher->ended = true;
    pthread_cond_broadcast(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
    return NULL;
}

struct publisher *publisher_new(const struct remote *remote, const char *run, uint64_t attempt,
                                const atomic_bool *stop_now, atomic_bool *give_up, struct log *log)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher) {
        return NULL;
    }
    publisher->remote = *remote;
    publisher->run = run;
    publisher->attempt = attempt;
    publisher->stop_now = stop_now;
    publisher->give_up = give_up;
    publisher->log = log;
    publisher->shared.fd = -1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&publisher->lock, NULL);
    pthread_cond_init(&publisher->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&publisher->thread, NULL, publisher_main, publisher) != 0) {
        pthread_cond_destroy(&publisher->changed);
        pthread_mutex_destroy(&publisher->lock);
        free(publisher);
        return NULL;
    }
    return publisher;
}

bool publisher_know(struct publisher *publisher, const struct manifest *manifest)
{
    bool known = true;
    pthread_mutex_lock(&publisher->lock);
    for (size_t i = 0; i < manifest->file_count; i++) {
        known = add_known(publisher, &manifest->files[i]) && known;
    }
    pthread_mutex_unlock(&publisher->lock);
    return known;
}

bool publisher_add_shared(struct publisher *publisher, const char *path)
{
    struct pinned file;
    if (!pin(publisher, &file, path)) {
        return false;
    }
    unpin(&publisher->shared);
    publisher->shared = file;
    return true;
}

bool publisher_add(struct publisher *publisher, const char *path, const struct model_state *state,
                   double loss, double accuracy)
{
    struct unit unit = {.loss = loss, .accuracy = accuracy, .added = clock_seconds()};
    if (!pin(publisher, &unit.file, path)) {
        return false;
    }
    unit.shared = publisher->shared;
    if (unit.shared.fd >= 0) {
        unit.shared.fd = fcntl(publisher->shared.fd, F_DUPFD_CLOEXEC, 0);
    }
    snprintf(unit.result.name, sizeof unit.result.name, "%s", unit.file.name);
    unit.result.epoch = state->epoch;
    unit.result.step = state->step;
    unit.result.cumulative_step = state->cumulative_step;
    pthread_mutex_lock(&publisher->lock);
    bool added = true;
    if (publisher->unit_count == publisher->unit_capacity) {
        size_t capacity = publisher->unit_capacity ? publisher->unit_capacity * 2 : 16;
        struct unit *grown = capacity > PUBLICATIONS_MAX
                                 ? NULL
                                 : realloc(publisher->units, capacity * sizeof *grown);
        added = grown != NULL;
        if (grown) {
            publisher->units = grown;
            publisher->unit_capacity = capacity;
        }
    }
    if (added) {
        publisher->units[publisher->unit_count++] = unit;
        pthread_cond_broadcast(&publisher->changed);
    }
    pthread_mutex_unlock(&publisher->lock);
    if (!added) {
        log_warn(publisher->log, "cannot publish %s: no memory", path);
        unpin(&unit.file);
        unpin(&unit.shared);
    }
    return added;
}

bool publisher_finish(struct publisher *publisher, double timeout_s)
{
    pthread_mutex_lock(&publisher->lock);
    double deadline = clock_seconds() + timeout_s;
    publisher->ending = true;
    pthread_cond_broadcast(&publisher->changed);
    while (!publisher->ended) {
        /* Short waits: a second signal sets stop_now without telling the condition. */
        wait_for(publisher, 0.1);
        if (atomic_load(publisher->stop_now) || clock_seconds() >= deadline) {
            atomic_store(publisher->give_up, true);
            pthread_cond_broadcast(&publisher->changed);
        }
    }
    pthread_mutex_unlock(&publisher->lock);
    pthread_join(publisher->thread, NULL);
    publisher->results = calloc(publisher->unit_count + 1, sizeof *publisher->results);
    for (size_t i = 0; publisher->results && i < publisher->unit_count; i++) {
        publisher->results[i] = publisher->units[i].result;
    }
    return publisher->unit_count == 0 ||
           publisher->units[publisher->unit_count - 1].result.state == PUBLICATION_CONFIRMED;
}

enum storage_code publisher_mark_finished(struct publisher *publisher, struct storage_error *err)
{
    struct pointer pointer = publisher->pointer;
    if (!pointer.run[0]) {
        /* Nothing new was published: a finished run was found complete. */
        enum storage_code code = remote_latest(&publisher->remote, &pointer, err);
        if (code || strcmp(pointer.run, publisher->run) != 0) {
            return code;
        }
    }
    pointer.finished = true;
    return remote_set_latest(&publisher->remote, &pointer, err);
}

const struct publication *publisher_results(const struct publisher *publisher, size_t *count)
{
    *count = publisher->results ? publisher->unit_count : 0;
    return publisher->results;
}

void publisher_free(struct publisher *publisher)
{
    if (!publisher) {
        return;
    }
    unpin(&publisher->shared);
    for (size_t i = 0; i < publisher->unit_count; i++) {
        unpin(&publisher->units[i].file);
        unpin(&publisher->units[i].shared);
    }
    pthread_cond_destroy(&publisher->changed);
    pthread_mutex_destroy(&publisher->lock);
    free(publisher->units);
    free(publisher->results);
    free(publisher->known);
    free(publisher);
}
