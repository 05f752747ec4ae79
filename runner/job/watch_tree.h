/*
 * watch_tree.h - what watch.c and watch_tree.c share: the names that are known, and how their files
 * are found.
 */
#ifndef RUNNER_WATCH_TREE_H
#define RUNNER_WATCH_TREE_H

#include "runner/app.h"
#include "runner/job/watch.h"

#include <stdatomic.h>
#include <sys/stat.h>

/* What was seen to happen to a file, weakest first. */
enum watch_sign {
    SIGN_NONE,
    SIGN_CLOSED, /* by one who wrote */
    SIGN_RENAMED /* to its name; or its folder was */
};

struct watch_entry {
    char *name; /* relative to the folder */
    ino_t inode;
    dev_t device;
    uint64_t size;
    int64_t mtime_ns;
    double changed; /* when that was last seen to change */
    double due;     /* not to be judged before */
    enum watch_sign sign;
    bool is_settled; /* given away or refused, in this state */
    bool is_refused;
    uint64_t round; /* of the look that saw it last */
};

struct watch {
    struct watch_options options;
    struct log *log;
    atomic_int writer;        /* enum watch_writer, as told last */
    enum watch_writer heeded; /* what it was when files were last judged */
    _Atomic double died;      /* when the writer ended; set before writer */

    struct watch_entry **table; /* by hash of the name, open addressing; at most half full */
    size_t table_size, count;
    size_t hand; /* where watch_take goes on */
    bool is_full;
    uint64_t refused;

    /* watch_tree.c's */
    int inotify;    /* -1: looking alone must do */
    int wake;       /* an eventfd */
    char **folders; /* by watch descriptor: relative names, "" the top; owned */
    size_t folder_count;
    size_t watched;    /* of those, in use */
    uint64_t round;    /* of looks */
    double looked;     /* when the last one ended */
    double look_pause; /* until the next */
    bool must_look;    /* events were lost, or a folder moved */
};

/* The entry of a name; with add it is made. NULL: unknown, or no memory. */
struct watch_entry *watch_find(struct watch *watch, const char *name, bool add);
void watch_forget(struct watch *watch, struct watch_entry *entry);
/* Takes note of a file as it is now. */
void watch_saw(struct watch *watch, struct watch_entry *entry, const struct stat *status,
               enum watch_sign sign);

/* Takes note of all events that are there. */
void watch_events(struct watch *watch);
bool watch_tree_open(struct watch *watch);
void watch_tree_close(struct watch *watch);

#endif
