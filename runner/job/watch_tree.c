/*
 * watch_tree.c - finding the files of a tree: inotify, and looks through it.
 *
 * A folder is watched before it is looked through, so what is made in between is seen by one of
 * both. What cannot be told event by event (the queue overflowed, a folder was renamed: its name
 * and those below are others now) has all watches made anew, and the tree looked through.
 */
#include "runner/job/watch_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    DEPTH_MAX = 32,
    EVENTS_ROOM = 64 * 1024
};

static const double LOOK_S = 10.0;
static const double LOOK_ALONE_S = 1.0;
static const double LOOK_SHARE = 200.0; /* a look's time is at most 1/200 of all: 0.5 % of a core */

static const uint32_t EVENTS = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM |
                               IN_DELETE | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK;

/* ---- names ---------------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    size_t tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

/* Names under which nobody means a complete file or folder. */
static bool is_passed_over(const char *name)
{
    return name[0] == '.' || name[0] == '\0' || strncmp(name, "tmp-", 4) == 0 ||
           ends_in(name, ".tmp") || ends_in(name, ".part") || ends_in(name, ".sagemaker-uploading");
}

static bool join_name(char *out, const char *folder, const char *name)
{
    return storage_join(out, STORAGE_PATH_MAX, folder, name);
}

/* ---- watches -------------------------------------------------------------------------------- */

/* Looking alone must do from here on. */
static void give_up_inotify(struct watch *watch, const char *why)
{
    log_warn(watch->log, "inotify cannot be had for %s (%s): it is looked through every %.0f s",
             watch->options.folder, why, LOOK_ALONE_S);
    close(watch->inotify);
    watch->inotify = -1;
}

/* Watches one folder by its relative name. */
static void add_watch(struct watch *watch, const char *folder, const char *path)
{
    if (watch->inotify < 0) {
        return;
    }
    if (watch->watched == WATCH_FOLDERS_MAX) {
        give_up_inotify(watch, "too many folders");
        return;
    }
    int number = inotify_add_watch(watch->inotify, path, EVENTS);
    if (number < 0) {
        if (errno == ENOSPC || errno == ENOMEM) {
            give_up_inotify(watch, strerror(errno));
        }
        return; /* it is gone again, or not ours to read */
    }
    if ((size_t)number >= watch->folder_count) {
        size_t count = (size_t)number + 64;
        char **grown = realloc(watch->folders, count * sizeof(char *));
        if (!grown) {
            give_up_inotify(watch, "no memory");
            return;
        }
        memset(grown + watch->folder_count, 0, (count - watch->folder_count) * sizeof(char *));
        watch->folders = grown;
        watch->folder_count = count;
    }
    watch->watched += watch->folders[number] == NULL;
    free(watch->folders[number]);
    watch->folders[number] = strdup(folder);
}

static void drop_watches(struct watch *watch)
{
    for (size_t i = 0; i < watch->folder_count; i++) {
        free(watch->folders[i]);
        watch->folders[i] = NULL;
    }
    watch->watched = 0;
}

/* ---- looking -------------------------------------------------------------------------------- */

static void look_at_file(struct watch *watch, const char *name, enum watch_sign sign)
{
    struct stat status;
    char path[STORAGE_PATH_MAX];
    if (!storage_filter_takes(watch->options.filter, name) ||
        !join_name(path, watch->options.folder, name) || stat(path, &status) != 0 ||
        !S_ISREG(status.st_mode)) {
        return;
    }
    struct watch_entry *entry = watch_find(watch, name, true);
    if (entry) {
        watch_saw(watch, entry, &status, sign);
    }
}

/* Watches and looks through one folder and those below. sign: what happened to the folder. */
static void look_through(struct watch *watch, const char *folder, enum watch_sign sign, int depth)
{
    char path[STORAGE_PATH_MAX];
    char name[STORAGE_PATH_MAX];
    if (depth > DEPTH_MAX || !join_name(path, watch->options.folder, folder)) {
        return;
    }
    add_watch(watch, folder, path);
    DIR *listing = opendir(path);
    if (!listing) {
        return;
    }
    for (const struct dirent *one = readdir(listing); one; one = readdir(listing)) {
        if (is_passed_over(one->d_name) || !join_name(name, folder, one->d_name)) {
            continue;
        }
        unsigned char type = one->d_type;
        if (type == DT_UNKNOWN) {
            struct stat status;
            bool is_folder =
                fstatat(dirfd(listing), one->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISDIR(status.st_mode);
            type = is_folder ? DT_DIR : DT_REG;
        }
        if (type == DT_DIR) {
            look_through(watch, name, sign, depth + 1);
        } else {
            look_at_file(watch, name, sign);
        }
    }
    closedir(listing);
}

/* Forgets the names that the last look has not seen. */
static void forget_unseen(struct watch *watch)
{
    for (size_t i = 0; i < watch->table_size; i++) {
        /* One that is moved into the hole is looked at next. */
        while (watch->table[i] && watch->table[i]->round != watch->round) {
            watch_forget(watch, watch->table[i]);
        }
    }
}

void watch_look(struct watch *watch)
{
    double began = clock_seconds();
    watch->round++;
    look_through(watch, "", SIGN_NONE, 0);
    forget_unseen(watch);
    watch->looked = clock_seconds();
    double pause = watch->options.look_s > 0 ? watch->options.look_s
                   : watch->inotify >= 0     ? LOOK_S
                                             : LOOK_ALONE_S;
    watch->look_pause = fmax(pause, (watch->looked - began) * LOOK_SHARE);
}

/* ---- events --------------------------------------------------------------------------------- */

static void take_event(struct watch *watch, const struct inotify_event *event)
{
    char name[STORAGE_PATH_MAX];
    if (event->mask & IN_Q_OVERFLOW) {
        watch->must_look = true;
        return;
    }
    if (event->wd < 0 || (size_t)event->wd >= watch->folder_count || !watch->folders[event->wd]) {
        return;
    }
    if (event->mask & IN_IGNORED) { /* the folder is gone */
        free(watch->folders[event->wd]);
        watch->folders[event->wd] = NULL;
        watch->watched--;
        return;
    }
    if (event->len == 0 || is_passed_over(event->name) ||
        !join_name(name, watch->folders[event->wd], event->name)) {
        return;
    }
    enum watch_sign sign = event->mask & IN_MOVED_TO      ? SIGN_RENAMED
                           : event->mask & IN_CLOSE_WRITE ? SIGN_CLOSED
                                                          : SIGN_NONE;
    if (event->mask & IN_ISDIR) {
        if (event->mask & IN_MOVED_FROM) {
            watch->must_look = true; /* what its watches say is of other names now */
        } else if (event->mask & (IN_CREATE | IN_MOVED_TO)) {
            look_through(watch, name, sign, 1);
        }
        return;
    }
    if (event->mask & (IN_DELETE | IN_MOVED_FROM)) {
        struct watch_entry *gone = watch_find(watch, name, false);
        if (gone) {
            watch_forget(watch, gone);
        }
        return;
    }
    look_at_file(watch, name, sign);
}

void watch_events(struct watch *watch)
{
    _Alignas(struct inotify_event) char room[EVENTS_ROOM];
    while (watch->inotify >= 0) {
        ssize_t got = read(watch->inotify, room, sizeof room);
        if (got <= 0) {
            break;
        }
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *event = (const void *)(room + at);
            take_event(watch, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
}

/* Begins anew: fresh watches, then a look. */
static void start_over(struct watch *watch)
{
    watch->must_look = false;
    if (watch->inotify >= 0) {
        close(watch->inotify);
        drop_watches(watch);
        watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    }
    watch_look(watch);
}

void watch_wait(struct watch *watch, double timeout_s)
{
    struct pollfd ready[2] = {{.fd = watch->wake, .events = POLLIN},
                              {.fd = watch->inotify, .events = POLLIN}};
    double until_look = watch->looked + watch->look_pause - clock_seconds();
    double wait_s = fmax(fmin(timeout_s, until_look), 0);
    uint64_t ignored = 0;
    if (poll(ready, 2, (int)ceil(wait_s * 1000)) > 0 && ready[0].revents) {
        ssize_t got = read(watch->wake, &ignored, sizeof ignored);
        (void)got; /* it is there, or another wait has taken it */
    }
    watch_events(watch);
    if (watch->must_look) {
        start_over(watch);
    } else if (clock_seconds() >= watch->looked + watch->look_pause) {
        watch_look(watch);
    }
}

void watch_wake(struct watch *watch)
{
    const uint64_t one = 1;
    ssize_t put = write(watch->wake, &one, sizeof one);
    (void)put; /* it can only be full of wakes */
}

bool watch_tree_open(struct watch *watch)
{
    watch->inotify = -1;
    watch->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->wake < 0) {
        return false;
    }
    if (!watch->options.polls) {
        watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (watch->inotify < 0) {
            give_up_inotify(watch, strerror(errno));
        }
    }
    watch_look(watch);
    for (size_t i = 0; i < watch->table_size; i++) {
        if (watch->table[i]) {
            watch->table[i]->is_settled = watch->options.skips_present ||
                                          watch->table[i]->mtime_ns < watch->options.present_from;
        }
    }
    return true;
}

void watch_tree_close(struct watch *watch)
{
    if (watch->wake >= 0) {
        close(watch->wake);
    }
    if (watch->inotify >= 0) {
        close(watch->inotify);
    }
    drop_watches(watch);
    free(watch->folders);
}
