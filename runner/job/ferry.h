/*
 * ferry.h - from the folder that a command writes its checkpoints to, to the publisher.
 *
 * One thread: it watches (watch.h), puts the files of one step together (naming_rule.h) and gives
 * each unit to the publisher when it is complete: none of its files is being written, and nothing
 * new has come for a moment (two seconds for folders and --group_by, which grow file by file; a
 * tenth for files at the top). A unit to which a file comes later is given again, with it.
 *
 * `PREFIX-graph.meta` belongs to every unit whose name begins with "PREFIX-", and is none itself.
 */
#ifndef RUNNER_FERRY_H
#define RUNNER_FERRY_H

#include "runner/job/publish.h"
#include "runner/job/watch.h"

struct ferry;

struct ferry_options {
    const char *folder;       /* the checkpoint folder; it is there */
    const char *globs;        /* --checkpoint_glob: rclone's globs, separated by spaces; NULL: the
                                 default */
    const char *step_pattern; /* --step_pattern; NULL: the default */
    const char *group_by;     /* --group_by; NULL: the default */
    bool polls;               /* no inotify */
    bool skips_present;       /* what lies there now is another job's: not published */
    int64_t present_from;     /* so is what lies there now and is older (ns since 1970) */
    double quiet_s;           /* for tests; 0: watch.h's and the above */
};

/* The globs of --checkpoint_glob as a filter (NULL: the default ones); NULL: why not is written to
 * message. */
struct storage_filter *ferry_filter(const char *globs, char *message, size_t size);

/* Whether the patterns can be used; false: why not is written to message. */
bool ferry_check(const struct ferry_options *options, char *message, size_t size);

/*
 * Starts the thread. folder, the publisher and the log are borrowed until ferry_free. NULL without
 * memory, or when ferry_check would say no.
 */
struct ferry *ferry_new(const struct ferry_options *options, struct publisher *publisher,
                        struct log *log);

/* How the command ended; it may be told that another one lives, when it is tried again. */
void ferry_writer(struct ferry *ferry, enum watch_writer writer);

/*
 * Looks once more, gives what is complete to the publisher and ends the thread. Call it after the
 * command's end was told, and before publisher_finish.
 */
void ferry_finish(struct ferry *ferry);

/* After ferry_finish: the newest unit given, "" for none, its epoch and step; and how many files
 * were found incomplete, and not published. */
struct ferry_result {
    char newest[256];
    uint64_t epoch, step;
    uint64_t units;
    uint64_t refused;
};
void ferry_result(const struct ferry *ferry, struct ferry_result *result);

void ferry_free(struct ferry *ferry); /* after ferry_finish, or instead; NULL is fine */

#endif
