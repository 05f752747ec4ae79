/* publish.c - the queue of units and the thread that delivers them. */
#include "runner/job/publish.h"

#include "runner/app.h"
#include "runner/job/delivery.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    PUBLICATIONS_MAX = 100000,
    WAITING_MAX = 8, /* units that wait; older ones are skipped */
    PINS_MAX = 256   /* descriptors; files beyond are opened when it is their turn */
};

static const double PAUSE_FIRST_S = 0.5; /* between tries; doubles up to PAUSE_MAX_S */
static const double PAUSE_MAX_S = 20.0;

struct entry {
    struct publication result;
    struct unit unit; /* released when its state is no more QUEUED */
    double added;     /* clock_seconds */
};

struct publisher {
    struct delivery delivery; /* the thread's, once there is a unit */
    const atomic_bool *stop_now;
    atomic_bool *give_up;
    struct log *log;

    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool ending; /* no more will be added; the thread ends when all is out */
    bool ended;
    bool hurries;
    bool fenced;
    struct entry *entries;
    size_t count, capacity;
    size_t busy; /* the entry that is being delivered; SIZE_MAX: none */
    size_t pins;
    uint64_t skipped;
    uint64_t seq;
    publication_fn *told; /* NULL: nobody is */
    void *told_context;

    char *shared_path; /* the graph's file; the adding thread's alone */
};

/* ---- choosing ---------------------------------------------------------------------------------
 */

/* Whether a goes before b: it came later, unless its name says that it is of an earlier step. */
static bool is_newer(const struct unit *a, const struct unit *b)
{
    if (a->has_step && b->has_step) {
        return a->epoch != b->epoch ? a->epoch > b->epoch : a->step >= b->step;
    }
    return true;
}

/* The newest that waits, or count. Under the lock. */
static size_t find_newest(const struct publisher *publisher)
{
    size_t newest = publisher->count;
    for (size_t i = 0; i < publisher->count; i++) {
        if (publisher->entries[i].result.state == PUBLICATION_QUEUED &&
            (newest == publisher->count ||
             is_newer(&publisher->entries[i].unit, &publisher->entries[newest].unit))) {
            newest = i;
        }
    }
    return newest;
}

/* Under the lock. */
static void tell(const struct publisher *publisher, const struct entry *entry)
{
    if (publisher->told) {
        publisher->told(publisher->told_context, (size_t)(entry - publisher->entries),
                        &entry->result);
    }
}

/* Under the lock. */
static void settle(struct publisher *publisher, struct entry *entry, enum publication_state state)
{
    for (size_t i = 0; i < entry->unit.file_count; i++) {
        publisher->pins -= entry->unit.files[i].fd >= 0;
    }
    unit_release(&entry->unit);
    entry->result.state = state;
    publisher->skipped += state == PUBLICATION_SUPERSEDED;
    tell(publisher, entry);
}

/* Skips the oldest that wait, beyond most; the newest and the one under way stay. Under the lock.
 */
static void skip_oldest(struct publisher *publisher, size_t most)
{
    size_t newest = find_newest(publisher);
    size_t waiting = 0;
    for (size_t i = publisher->count; i > 0; i--) {
        struct entry *entry = &publisher->entries[i - 1];
        if (entry->result.state != PUBLICATION_QUEUED || i - 1 == publisher->busy ||
            i - 1 == newest) {
            continue;
        }
        if (++waiting >= most) {
            settle(publisher, entry, PUBLICATION_SUPERSEDED);
        }
    }
}

/* ---- the thread -------------------------------------------------------------------------------
 */

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

/* What a failed delivery means for its unit. Under the lock. */
static enum publication_state judge_failure(struct publisher *publisher, enum storage_code code)
{
    switch (code) {
    case STORAGE_CHANGED: /* whoever watches gives it again, as it is then */
    case STORAGE_NOT_FOUND:
        return PUBLICATION_SUPERSEDED;
    case STORAGE_CONFLICT:
        publisher->fenced = true;
        return PUBLICATION_FENCED;
    default:
        return atomic_load(publisher->give_up) ? PUBLICATION_FAILED : PUBLICATION_QUEUED;
    }
}

/*
 * One try at a unit. Called with the lock held, which is let go meanwhile: the unit is taken out of
 * the queue's memory, which may move.
 */
static void try_once(struct publisher *publisher, size_t index)
{
    struct storage_error err = {0};
    struct delivered delivered = {0};
    struct unit unit = publisher->entries[index].unit;
    publisher->busy = index;
    pthread_mutex_unlock(&publisher->lock);
    enum storage_code code = deliver(&publisher->delivery, &unit, &delivered, &err);
    if (code) {
        log_warn(publisher->log, "%s is not in the store%s: %s", unit.name,
                 code == STORAGE_CHANGED || code == STORAGE_NOT_FOUND ? "" : " yet",
                 err.message[0] ? err.message : storage_code_text(code));
    } else {
        log_info(publisher->log, "published %s, verified by %s", unit.name,
                 storage_verified_name(delivered.verified));
    }
    pthread_mutex_lock(&publisher->lock);
    struct entry *entry = &publisher->entries[index];
    publisher->busy = SIZE_MAX;
    if (!code) {
        entry->result.size = delivered.size;
        entry->result.crc32 = delivered.crc32;
        entry->result.verified = delivered.verified;
        entry->result.is_pointed = delivered.is_pointed;
        entry->result.seconds_to_pointer = clock_seconds() - entry->added;
        settle(publisher, entry, PUBLICATION_CONFIRMED);
        return;
    }
    enum publication_state state = judge_failure(publisher, code);
    if (state != PUBLICATION_QUEUED) {
        settle(publisher, entry, state);
    }
}

static void *publisher_main(void *context)
{
    struct publisher *publisher = context;
    double pause = PAUSE_FIRST_S;
    pthread_mutex_lock(&publisher->lock);
    for (;;) {
        if (publisher->hurries) {
            skip_oldest(publisher, 1);
        }
        size_t index = find_newest(publisher);
        if (index == publisher->count) {
            if (publisher->ending) {
                break;
            }
            pthread_cond_wait(&publisher->changed, &publisher->lock);
            continue;
        }
        if (publisher->fenced || atomic_load(publisher->give_up)) {
            settle(publisher, &publisher->entries[index],
                   publisher->fenced ? PUBLICATION_FENCED : PUBLICATION_FAILED);
            continue;
        }
        try_once(publisher, index);
        if (publisher->entries[index].result.state == PUBLICATION_QUEUED) {
            wait_for(publisher, pause);
            pause = fmin(pause * 2, PAUSE_MAX_S);
        } else {
            pause = PAUSE_FIRST_S;
        }
    }
    bool is_calm = !publisher->fenced && !publisher->hurries && !atomic_load(publisher->give_up);
    pthread_mutex_unlock(&publisher->lock);
    if (is_calm) {
        delivery_conclude(&publisher->delivery);
    }
    pthread_mutex_lock(&publisher->lock);
    publisher->ended = true;
    pthread_cond_broadcast(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
    return NULL;
}

/* ---- before the first unit --------------------------------------------------------------------
 */

struct publisher *publisher_new(const struct remote *remote, const char *run, uint64_t attempt,
                                const atomic_bool *stop_now, atomic_bool *give_up, struct log *log)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);
    struct storage_error err;
    if (!publisher) {
        return NULL;
    }
    publisher->delivery = (struct delivery){
        .remote = *remote, .run = run, .attempt = attempt, .stop = give_up, .log = log};
    publisher->busy = SIZE_MAX;
    publisher->stop_now = stop_now;
    publisher->give_up = give_up;
    publisher->log = log;
    struct delivery *delivery = &publisher->delivery;
    if (!remote_latest(remote, &delivery->began, &err) && strcmp(delivery->began.run, run) == 0) {
        delivery->pointer = delivery->began; /* what it names may be newer than what comes first */
    }
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

void publisher_tell(struct publisher *publisher, publication_fn *told, void *context)
{
    publisher->told = told;
    publisher->told_context = context;
}

void publisher_watch_lock(struct publisher *publisher, const atomic_bool *lost)
{
    publisher->delivery.lost = lost;
}

void publisher_retain(struct publisher *publisher, const struct retention *retention)
{
    publisher->delivery.retention = *retention;
}

void publisher_metrics(struct publisher *publisher, const char *path)
{
    publisher->delivery.metrics_path = path;
}

void publisher_distrust_pointer(struct publisher *publisher)
{
    memset(&publisher->delivery.pointer, 0, sizeof publisher->delivery.pointer);
}

bool publisher_know(struct publisher *publisher, const struct manifest *manifest)
{
    struct delivery *delivery = &publisher->delivery;
    char name[REMOTE_KEY_MAX];
    remote_manifest_name(name, manifest);
    if (strcmp(name, delivery->pointer.manifest) == 0) {
        delivery->pointed_epoch = manifest->epoch;
        delivery->pointed_step = manifest->step;
        delivery->pointed_has_step = true;
    }
    /* A name that tells no step is numbered, over all attempts. */
    publisher->seq = manifest->seq > publisher->seq ? manifest->seq : publisher->seq;
    return ledger_add(&delivery->ledger, name, manifest);
}

/* ---- adding -----------------------------------------------------------------------------------
 */

static bool make_room(struct publisher *publisher)
{
    if (publisher->count < publisher->capacity) {
        return true;
    }
    size_t capacity = publisher->capacity ? publisher->capacity * 2 : 16;
    struct entry *grown =
        capacity > PUBLICATIONS_MAX ? NULL : realloc(publisher->entries, capacity * sizeof *grown);
    if (grown) {
        publisher->entries = grown;
        publisher->capacity = capacity;
    }
    return grown != NULL;
}

/* Takes the files over, descriptors and all; on failure what was taken is in unit too. */
static bool take_files(struct unit *unit, const struct publication_unit *given)
{
    bool ok = true;
    unit->files = calloc(given->file_count, sizeof *unit->files);
    for (size_t i = 0; i < given->file_count; i++) {
        const struct publication_file *file = &given->files[i];
        if (!unit->files) {
            if (file->fd >= 0) {
                close(file->fd);
            }
            ok = false;
            continue;
        }
        unit->files[i] = (struct unit_file){.name = strdup(file->name),
                                            .path = file->path ? strdup(file->path) : NULL,
                                            .fd = file->fd,
                                            .size = file->size,
                                            .mtime_ns = file->mtime_ns};
        ok = ok && unit->files[i].name && (!file->path || unit->files[i].path);
        unit->file_count++;
    }
    return ok && given->file_count > 0;
}

static bool add_entry(struct publisher *publisher, struct entry *entry)
{
    struct unit *unit = &entry->unit;
    snprintf(entry->result.name, sizeof entry->result.name, "%s", unit->name);
    entry->result.epoch = unit->epoch;
    entry->result.step = unit->step;
    entry->result.cumulative_step = unit->cumulative_step;
    entry->added = clock_seconds();
    pthread_mutex_lock(&publisher->lock);
    bool added = make_room(publisher);
    if (added) {
        unit->seq = ++publisher->seq;
        for (size_t i = 0; i < unit->file_count; i++) {
            struct unit_file *file = &unit->files[i];
            if (file->fd >= 0 && file->path && publisher->pins >= PINS_MAX) {
                close(file->fd);
                file->fd = -1;
            }
            publisher->pins += file->fd >= 0;
        }
        publisher->entries[publisher->count++] = *entry;
        tell(publisher, &publisher->entries[publisher->count - 1]);
        skip_oldest(publisher, WAITING_MAX);
        pthread_cond_broadcast(&publisher->changed);
    }
    pthread_mutex_unlock(&publisher->lock);
    if (!added) {
        log_warn(publisher->log, "cannot publish %s: no memory", unit->name);
        unit_release(unit);
    }
    return added;
}

bool publisher_add_unit(struct publisher *publisher, const struct publication_unit *given)
{
    struct entry entry = {.result = {.evidence = given->evidence},
                          .unit = {.epoch = given->epoch,
                                   .step = given->step,
                                   .has_step = given->has_step,
                                   .loss = (double)NAN,
                                   .accuracy = (double)NAN}};
    snprintf(entry.unit.name, sizeof entry.unit.name, "%s", given->name);
    if (!take_files(&entry.unit, given)) {
        unit_release(&entry.unit);
        return false;
    }
    return add_entry(publisher, &entry);
}

/* Opens a file that is complete. */
static bool open_complete(struct publisher *publisher, const char *path,
                          struct publication_file *file)
{
    struct stat status;
    const char *slash = strrchr(path, '/');
    *file = (struct publication_file){.name = slash ? slash + 1 : path, .path = path};
    file->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0 || fstat(file->fd, &status) != 0) {
        log_warn(publisher->log, "cannot publish %s: %s", path, strerror(errno));
        return false;
    }
    file->size = (uint64_t)status.st_size;
    file->mtime_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    return true;
}

bool publisher_add_shared(struct publisher *publisher, const char *path)
{
    free(publisher->shared_path);
    publisher->shared_path = strdup(path);
    return publisher->shared_path != NULL;
}

bool publisher_add(struct publisher *publisher, const char *path, const struct model_state *state,
                   double loss, double accuracy)
{
    struct publication_file files[2];
    struct publication_unit given = {.files = files, .file_count = 1};
    struct entry entry = {.result = {.evidence = "saved"},
                          .unit = {.epoch = state->epoch,
                                   .step = state->step,
                                   .cumulative_step = state->cumulative_step,
                                   .loss = loss,
                                   .accuracy = accuracy}};
    if (!open_complete(publisher, path, &files[0])) {
        return false;
    }
    if (publisher->shared_path && open_complete(publisher, publisher->shared_path, &files[1])) {
        given.file_count = 2;
    }
    snprintf(entry.unit.name, sizeof entry.unit.name, "%s", files[0].name);
    if (!take_files(&entry.unit, &given)) {
        unit_release(&entry.unit);
        return false;
    }
    return add_entry(publisher, &entry);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

void publisher_hurry(struct publisher *publisher)
{
    pthread_mutex_lock(&publisher->lock);
    publisher->hurries = true;
    pthread_cond_broadcast(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
}

bool publisher_is_fenced(struct publisher *publisher)
{
    pthread_mutex_lock(&publisher->lock);
    bool fenced = publisher->fenced;
    pthread_mutex_unlock(&publisher->lock);
    return fenced;
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
    if (publisher->skipped > 0) {
        log_info(publisher->log, "%llu checkpoints were not published: newer ones went first",
                 (unsigned long long)publisher->skipped);
    }
    /* One that changed or went was replaced by what was given later, or by nothing. */
    size_t last = publisher->count;
    while (last > 0 && publisher->entries[last - 1].result.state == PUBLICATION_SUPERSEDED) {
        last--;
    }
    return last == 0 || publisher->entries[last - 1].result.state == PUBLICATION_CONFIRMED;
}

enum storage_code publisher_mark_finished(struct publisher *publisher, const struct remote *remote,
                                          struct storage_error *err)
{
    struct delivery *delivery = &publisher->delivery;
    struct pointer pointer = delivery->pointer;
    if (!pointer.run[0]) {
        /* Nothing new was published: a finished run was found complete. */
        enum storage_code code = remote_latest(remote, &pointer, err);
        if (code || strcmp(pointer.run, delivery->run) != 0) {
            return code;
        }
    }
    pointer.finished = true;
    return remote_move_latest(remote, &pointer, &delivery->began, err);
}

void publisher_free(struct publisher *publisher)
{
    if (!publisher) {
        return;
    }
    for (size_t i = 0; i < publisher->count; i++) {
        unit_release(&publisher->entries[i].unit);
    }
    pthread_cond_destroy(&publisher->changed);
    pthread_mutex_destroy(&publisher->lock);
    delivery_release(&publisher->delivery);
    free(publisher->shared_path);
    free(publisher->entries);
    free(publisher);
}
