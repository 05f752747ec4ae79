#include "runner/job/lock.h"

#include "runner/job/processes.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    LOCK_MAX = 64 * 1024, /* bytes */
    REQUEST_MS = 4000     /* of one beat, with its tries: less than the time between two */
};

static const double LOOK_S = 0.5;   /* between two looks at another's lock */
static const double SETTLE_S = 1.0; /* advisory: until what was written is looked at again */

struct lock {
    struct app *app;
    struct place place; /* its own: beats do not wait behind uploads */
    char key[STORAGE_PATH_MAX];
    bool is_conditional;
    double beat_s, lease_s;
    char owner[24]; /* random: who we are */
    /* When this process began, once for all beats: qemu-user tells each thread its own beginning.
     */
    uint64_t pid_started;
    uint64_t heartbeat;
    char tag[STORAGE_ETAG_MAX + 1]; /* of what we wrote last */

    pthread_t thread;
    bool started;
    atomic_bool lost;
    pthread_mutex_t guard; /* over what follows */
    pthread_cond_t changed;
    bool ending;
    char run[MODEL_RUN_MAX + 1];
    uint64_t attempt;
};

/* ---- who ---------------------------------------------------------------------------------------
 */

static void read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    line[0] = '\0';
    if (file && !fgets(line, (int)size, file)) {
        line[0] = '\0';
    }
    if (file) {
        fclose(file);
    }
    line[strcspn(line, "\n")] = '\0';
}

/* The PID namespace: a pid of another one says nothing here. 0: unknown. */
static uint64_t pid_namespace(void)
{
    struct stat status;
    return stat("/proc/self/ns/pid", &status) == 0 ? (uint64_t)status.st_ino : 0;
}

/* When a process began, in ticks since boot; 0: there is none. */
static uint64_t start_of(pid_t pid)
{
    struct process process;
    return process_read(&process, pid) ? process.start_time : 0;
}

static bool is_dead(const json_t *lock)
{
    char host[256] = "";
    char boot[64];
    const char *theirs = json_string_value(json_object_get(lock, "host"));
    const char *their_boot = json_string_value(json_object_get(lock, "boot_id"));
    pid_t pid = (pid_t)json_integer_value(json_object_get(lock, "pid"));
    uint64_t started = (uint64_t)json_integer_value(json_object_get(lock, "pid_started"));
    uint64_t space = (uint64_t)json_integer_value(json_object_get(lock, "pid_namespace"));
    gethostname(host, sizeof host - 1);
    read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    if (!theirs || strcmp(theirs, host) != 0 || !their_boot || !boot[0] ||
        strcmp(their_boot, boot) != 0 || pid <= 0 || (space && space != pid_namespace())) {
        return false;
    }
    return (kill(pid, 0) != 0 && errno == ESRCH) || (started && start_of(pid) != started);
}

bool lock_is_of_the_dead(const char *text, size_t size)
{
    json_t *lock = json_loadb(text, size, 0, NULL);
    bool dead = lock && is_dead(lock);
    json_decref(lock);
    return dead;
}

/* ---- writing -----------------------------------------------------------------------------------
 */

/* The lock's text for the next beat; malloc'ed. */
static char *make_text(struct lock *lock)
{
    char host[256] = "";
    char boot[64];
    char now[32];
    gethostname(host, sizeof host - 1);
    read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    log_timestamp(now, sizeof now);
    pthread_mutex_lock(&lock->guard);
    json_t *root = json_pack(
        "{si ss sI ss ss sI sI sI ss sI ss sI}", "version", 1, "run", lock->run, "attempt",
        (json_int_t)lock->attempt, "host", host, "boot_id", boot, "pid", (json_int_t)getpid(),
        "pid_started", (json_int_t)lock->pid_started, "pid_namespace", (json_int_t)pid_namespace(),
        "owner", lock->owner, "heartbeat", (json_int_t)++lock->heartbeat, "updated", now,
        "lease_seconds", (json_int_t)ceil(lock->lease_s));
    pthread_mutex_unlock(&lock->guard);
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    json_decref(root);
    return text;
}

/* Writes the lock on the condition of tag (NULL: there is none), or without one. */
static enum storage_code write_lock(struct lock *lock, const char *tag, bool on_condition,
                                    struct storage_error *err)
{
    char *text = make_text(lock);
    enum storage_code code = STORAGE_BUG;
    if (text && on_condition) {
        code =
            storage_put_if(lock->place.store, lock->key, text, strlen(text), tag, lock->tag, err);
    } else if (text) {
        code = storage_put(lock->place.store, lock->key, text, strlen(text), NULL, err);
    }
    free(text);
    return code;
}

/* A lock that was looked at. */
struct seen {
    json_t *root; /* NULL: none, or damaged */
    bool is_there;
    char tag[STORAGE_ETAG_MAX + 1];
    uint32_t crc32; /* of its text: any change is a sign of life */
};

static enum storage_code look(struct lock *lock, struct seen *seen, struct storage_error *err)
{
    char *text = NULL;
    size_t size = 0;
    memset(seen, 0, sizeof *seen);
    enum storage_code code =
        storage_get_tagged(lock->place.store, lock->key, LOCK_MAX, &text, &size, seen->tag, err);
    if (code == STORAGE_NOT_FOUND && strcmp(err->service_code, "NoSuchBucket") != 0) {
        return STORAGE_OK;
    }
    if (!code) {
        seen->is_there = true;
        seen->crc32 = storage_crc32(0, text, size);
        seen->root = json_loadb(text, size, 0, NULL);
    }
    free(text);
    return code;
}

static bool is_ours(const struct lock *lock, const struct seen *seen)
{
    const char *owner = json_string_value(json_object_get(seen->root, "owner"));
    return owner && strcmp(owner, lock->owner) == 0;
}

/* ---- taking ------------------------------------------------------------------------------------
 */

/* Waits, a little at a time; false: told to stop. */
static bool pause_for(const struct lock *lock, double seconds)
{
    double until = clock_seconds() + seconds;
    while (clock_seconds() < until && !atomic_load(lock->app->stop)) {
        struct timespec piece = {.tv_nsec = 50 * 1000 * 1000};
        nanosleep(&piece, NULL);
    }
    return !atomic_load(lock->app->stop);
}

/*
 * The lock has just been written on a condition. A store that honours conditions refuses two that
 * do not hold; one that does not writes what is ours anyway. *taken: it is ours.
 */
static enum storage_code find_out(struct lock *lock, bool *taken, struct storage_error *err)
{
    char tag[STORAGE_ETAG_MAX + 1];
    memcpy(tag, lock->tag, sizeof tag);
    enum storage_code absent = write_lock(lock, NULL, true, err);
    enum storage_code other = absent == STORAGE_CHANGED
                                  ? write_lock(lock, "00000000000000000000000000000000", true, err)
                                  : absent;
    lock->is_conditional = other == STORAGE_CHANGED && tag[0];
    *taken = lock->is_conditional;
    memcpy(lock->tag, tag, sizeof tag);
    return absent == STORAGE_OK || absent == STORAGE_CHANGED || absent == STORAGE_USAGE ? STORAGE_OK
                                                                                        : absent;
}

/* Without conditions: whoever wrote last has it. */
static enum storage_code settle_advisory(struct lock *lock, bool *taken, struct storage_error *err)
{
    struct seen seen;
    log_warn(&lock->app->log, "the store does not write on conditions: the lock of %s is advisory",
             lock->place.text);
    enum storage_code code = write_lock(lock, NULL, false, err);
    if (!code) {
        pause_for(lock, SETTLE_S);
        code = look(lock, &seen, err);
    }
    if (!code) {
        *taken = is_ours(lock, &seen);
        json_decref(seen.root);
    }
    return code;
}

/* Writes over what was seen (a lock that may be taken, or none). */
static enum storage_code seize(struct lock *lock, const struct seen *seen, bool *taken,
                               struct storage_error *err)
{
    *taken = false;
    enum storage_code code = write_lock(lock, seen->is_there ? seen->tag : NULL, true, err);
    if (code == STORAGE_CHANGED) {
        return STORAGE_OK; /* somebody was faster: look again */
    }
    if (!code) {
        code = find_out(lock, taken, err);
    }
    if (code == STORAGE_USAGE) {
        code = STORAGE_OK;
    }
    return code || *taken ? code : settle_advisory(lock, taken, err);
}

static enum exit_code tell_held(struct lock *lock, const json_t *held, uint64_t waited_s)
{
    const char *host = json_string_value(json_object_get(held, "host"));
    const char *run = json_string_value(json_object_get(held, "run"));
    return app_fail(
        lock->app, EXIT_CONFIG,
        "another job (run %s, pid %lld on %s) holds %s and was alive within the last "
        "%llu s; wait for its end, give another train_url, or take it with --break_lock",
        run && *run ? run : "not named yet",
        (long long)json_integer_value(json_object_get(held, "pid")),
        host ? host : "an unknown host", lock->place.text, (unsigned long long)waited_s);
}

/* How long another's lock is to be watched before it may be taken. */
static double lease_of(const struct lock *lock, const struct seen *seen)
{
    double told = json_number_value(json_object_get(seen->root, "lease_seconds"));
    return told > 0 && told < 3600 ? told : lock->lease_s;
}

static enum exit_code wait_and_take(struct lock *lock, const struct lock_options *options)
{
    struct storage_error err = {0};
    struct seen seen = {0};
    enum storage_code code = STORAGE_OK;
    enum exit_code result = EXIT_DONE;
    double began = clock_seconds();
    double since = began; /* the lock has been as it is */
    uint32_t last = 0;
    bool taken = false;
    bool told = false;
    while (!taken && !code && !result) {
        code = look(lock, &seen, &err);
        if (code) {
            break;
        }
        if (seen.crc32 != last) {
            since = clock_seconds();
            last = seen.crc32;
        }
        bool is_free = !seen.is_there || options->breaks || (seen.root && is_dead(seen.root)) ||
                       clock_seconds() - since >= lease_of(lock, &seen);
        if (is_free) {
            code = seize(lock, &seen, &taken, &err);
        } else if (clock_seconds() - began >= (double)options->wait_s) {
            result = tell_held(lock, seen.root, options->wait_s);
        } else {
            if (!told) {
                log_info(&lock->app->log, "%s is locked: waiting up to %llu s for its holder's end",
                         lock->place.text, (unsigned long long)options->wait_s);
            }
            told = true;
            result = pause_for(lock, LOOK_S) ? EXIT_DONE : EXIT_PREEMPTED;
        }
        json_decref(seen.root);
        seen.root = NULL;
    }
    return code ? app_fail_storage(lock->app, &err) : result;
}

/* ---- keeping -----------------------------------------------------------------------------------
 */

/* One beat. False: it is another's. A store that does not answer is no loss yet. */
static bool beat(struct lock *lock)
{
    struct storage_error err = {0};
    struct seen seen;
    if (lock->is_conditional) {
        enum storage_code code = write_lock(lock, lock->tag, true, &err);
        if (code != STORAGE_CHANGED) {
            return true;
        }
    }
    /* Advisory, or changed: perhaps by a beat of ours that got there without an answer. */
    if (look(lock, &seen, &err)) {
        return true;
    }
    /* Where it is gone another has taken it, and is done already. */
    bool ours = is_ours(lock, &seen);
    json_decref(seen.root);
    if (ours && lock->is_conditional) {
        write_lock(lock, seen.tag, true, &err);
    } else if (ours) {
        write_lock(lock, NULL, false, &err);
    }
    return ours;
}

static void *lock_main(void *context)
{
    struct lock *lock = context;
    pthread_mutex_lock(&lock->guard);
    while (!lock->ending && !atomic_load(&lock->lost)) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        long ns = until.tv_nsec + (long)(fmod(lock->beat_s, 1) * 1e9);
        until.tv_sec += (time_t)lock->beat_s + ns / 1000000000;
        until.tv_nsec = ns % 1000000000;
        if (pthread_cond_timedwait(&lock->changed, &lock->guard, &until) == 0) {
            continue; /* woken: to end, perhaps */
        }
        pthread_mutex_unlock(&lock->guard);
        if (!beat(lock)) {
            log_warn(&lock->app->log,
                     "another job has taken the lock of %s: nothing more is "
                     "published from here",
                     lock->place.text);
            atomic_store(&lock->lost, true);
        }
        pthread_mutex_lock(&lock->guard);
    }
    pthread_mutex_unlock(&lock->guard);
    return NULL;
}

/* ---- life cycle --------------------------------------------------------------------------------
 */

static void make_owner(char *out, size_t size)
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != sizeof number) {
        number = (uint64_t)getpid() * 1000003 + (uint64_t)(clock_seconds() * 1e6);
    }
    snprintf(out, size, "%016llx", (unsigned long long)number);
}

static struct lock *lock_new(struct app *app, const struct lock_options *options)
{
    struct lock *lock = calloc(1, sizeof *lock);
    pthread_condattr_t monotonic;
    if (!lock) {
        return NULL;
    }
    lock->app = app;
    lock->beat_s = options->beat_s > 0 ? options->beat_s : LOCK_BEAT_S;
    lock->lease_s = options->lease_s > 0 ? options->lease_s : LOCK_LEASE_S;
    make_owner(lock->owner, sizeof lock->owner);
    lock->pid_started = start_of(getpid());
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&lock->guard, NULL);
    pthread_cond_init(&lock->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return lock;
}

static void lock_free(struct lock *lock)
{
    place_close(&lock->place);
    pthread_cond_destroy(&lock->changed);
    pthread_mutex_destroy(&lock->guard);
    free(lock);
}

enum exit_code lock_take(struct lock **result, struct app *app, const struct lock_options *options,
                         bool *is_conditional)
{
    *result = NULL;
    *is_conditional = false;
    struct lock *lock = lock_new(app, options);
    if (!lock) {
        return app_fail(app, EXIT_BUG, "lock train_url: no memory");
    }
    enum exit_code code =
        place_open(&lock->place, app, SIDE_TRAIN, options->train_text, NULL, REQUEST_MS);
    if (!code) {
        const struct remote remote = {.store = lock->place.store, .root = lock->place.url.key};
        remote_key(&remote, lock->key, ".jobferry/lock.json");
        code = wait_and_take(lock, options);
    }
    if (!code) {
        lock->started = pthread_create(&lock->thread, NULL, lock_main, lock) == 0;
        code = lock->started ? EXIT_DONE : app_fail(app, EXIT_BUG, "lock train_url: no thread");
    }
    if (code) {
        lock_free(lock);
        return code;
    }
    *is_conditional = lock->is_conditional;
    *result = lock;
    return EXIT_DONE;
}

void lock_name_run(struct lock *lock, const char *run, uint64_t attempt)
{
    pthread_mutex_lock(&lock->guard);
    snprintf(lock->run, sizeof lock->run, "%s", run);
    lock->attempt = attempt;
    pthread_mutex_unlock(&lock->guard);
}

const atomic_bool *lock_lost(const struct lock *lock)
{
    return &lock->lost;
}

void lock_release(struct lock *lock)
{
    struct storage_error err;
    struct seen seen;
    if (!lock) {
        return;
    }
    pthread_mutex_lock(&lock->guard);
    lock->ending = true;
    pthread_cond_broadcast(&lock->changed);
    pthread_mutex_unlock(&lock->guard);
    pthread_join(lock->thread, NULL);
    if (!atomic_load(&lock->lost) && !look(lock, &seen, &err)) {
        if (is_ours(lock, &seen)) {
            storage_remove(lock->place.store, lock->key, &err);
        }
        json_decref(seen.root);
    }
    lock_free(lock);
}
