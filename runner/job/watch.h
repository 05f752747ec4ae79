/*
 * watch.h - which files of a folder that somebody writes to are complete.
 *
 * inotify tells at once, and a look through the folder now and then finds what it did not tell;
 * where there is no inotify, or its limits are reached, looking alone must do. A closed file is not
 * a complete one: a writer that is killed closes its files too. So of each state of a file it is
 * asked, in this order:
 *
 *   - does anybody have it open, or mapped, for writing? Then it waits (evidence.h).
 *   - its format: what is cut is not taken, however it came to its name; what proves to be whole is
 *     taken at once;
 *   - was it renamed to its name, or its folder to its own? Then it is taken at once;
 *   - else, once it has not changed for the quiet time, when the writer lives or ended with 0. What
 *     changed within the quiet time before its writer died, or after, is never taken so.
 *
 * A file is given away as an open descriptor, so that its removal cannot hurt. The same file is
 * given again when it has changed: another inode, size or modification time.
 *
 * Hidden names, `tmp-*`, `*.tmp`, `*.part` and `*.sagemaker-uploading` are not looked at, in any
 * folder. Links to folders are not followed.
 *
 * One thread's alone, except watch_wake and watch_writer.
 */
#ifndef RUNNER_WATCH_H
#define RUNNER_WATCH_H

#include "runner/log.h"
#include "storage/storage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch;

enum watch_writer {
    WATCH_WRITER_LIVES,
    WATCH_WRITER_ENDED, /* with 0: what it left is meant to be so */
    WATCH_WRITER_DIED   /* by a signal, or with another code */
};

enum {
    WATCH_FILES_MAX = 200000, /* names known at a time; more are not looked at, said once */
    WATCH_FOLDERS_MAX = 8192  /* with inotify; more, and looking alone must do */
};

struct watch_options {
    const char *folder;                  /* borrowed */
    const struct storage_filter *filter; /* of names below it; borrowed */
    bool polls;                          /* no inotify */
    bool skips_present;                  /* what is there now is not given, until it changes */
    int64_t present_from; /* nor what is there now and was last written before (ns since 1970) */
    double quiet_s;       /* 0: 2 seconds */
    double look_s; /* between two looks through the folder; 0: 10 seconds, 1 without inotify */
};

/* Why a file was taken to be complete. */
enum watch_reason {
    WATCH_FORMAT,  /* its format proves it */
    WATCH_RENAMED, /* it came to its name whole */
    WATCH_QUIET,   /* nobody has written to it for a while */
    WATCH_ENDED    /* its writer ended with 0 */
};
const char *watch_reason_text(enum watch_reason reason); /* for people and reports */

struct watch_file {
    const char *name; /* relative to the folder; until the next call */
    int fd;           /* the caller's to close */
    uint64_t size;
    int64_t mtime_ns;
    enum watch_reason reason;
};

/*
 * Begins to watch; the folder must be there. What lies in it already is told of as complete where
 * its format or the quiet time says so. NULL without memory. Where inotify cannot be had that is
 * logged, in one line.
 */
struct watch *watch_new(const struct watch_options *options, struct log *log);
void watch_free(struct watch *watch); /* NULL is fine */

/* Waits for something to happen, at most timeout_s, and takes note of it. */
void watch_wait(struct watch *watch, double timeout_s);
/* Ends a watch_wait. */
void watch_wake(struct watch *watch);
void watch_writer(struct watch *watch, enum watch_writer writer);
/* Looks through the whole folder now. */
void watch_look(struct watch *watch);

/* Gives the next complete file; false: there is none now. */
bool watch_take(struct watch *watch, struct watch_file *file);
/* The writer as it was when watch_take judged last; all that it did before is known then. */
enum watch_writer watch_heeded(const struct watch *watch);
/*
 * Calls each for every file that is there and has not been given in its present state:
 * it is being written, or was refused. name is the watch's; each returns false to end.
 */
typedef bool watch_pending_fn(void *context, const char *name, bool is_refused);
void watch_each_pending(const struct watch *watch, watch_pending_fn *each, void *context);
/* Seconds until a file may be complete though nothing happens; a large number: never. */
double watch_due(const struct watch *watch);
/* Files that were cut, or whose writer died, and are not given. */
uint64_t watch_refused(const struct watch *watch);

#endif
