/*
 * publish.h - ferries checkpoints out while the training goes on.
 *
 * One thread takes the units that it is given, newest first; delivery.h says how each goes out.
 * Older ones follow when there is time: of those that wait only the newest few are held, the others
 * are skipped and counted; and once publisher_hurry was called only the newest goes out. A file is
 * pinned by an open descriptor from the moment it is given, so that local rotation cannot take it
 * away. Store trouble never stops the training: the thread tries again, with growing pauses, until
 * publisher_finish's time is up.
 */
#ifndef RUNNER_PUBLISH_H
#define RUNNER_PUBLISH_H

#include "runner/job/remote.h"
#include "runner/log.h"

#include <stdatomic.h>

struct publisher;

/* Where a checkpoint's way out has come to. */
enum publication_state {
    PUBLICATION_QUEUED,
    PUBLICATION_CONFIRMED,  /* payload and manifest are in the store, and the pointer was moved */
    PUBLICATION_FAILED,     /* the time was up first */
    PUBLICATION_SUPERSEDED, /* a newer one went out instead, or its files changed or went */
    PUBLICATION_FENCED      /* another job has taken this train_url */
};

/* One checkpoint, as the report tells it. */
struct publication {
    char name[256];
    uint64_t epoch, step, cumulative_step;
    uint64_t size;
    uint32_t crc32;
    enum storage_verified verified; /* the least of all its files */
    const char *evidence; /* why it was taken for complete: "saved", "rename", …; static */
    enum publication_state state;
    bool is_pointed;           /* the pointer moved to it; not to one that went out after a newer */
    double seconds_to_pointer; /* from its being added */
};

/*
 * Told of each checkpoint when it is taken, and again whenever its state has changed; index counts
 * them from 0. From any thread, one call at a time and in their order; it must not call the
 * publisher.
 */
typedef void publication_fn(void *context, size_t index, const struct publication *publication);

/*
 * Starts the thread. remote, run and log are borrowed until publisher_free. give_up is the stop
 * flag of remote's store: publisher_finish sets it when its time is up or *stop_now turns true,
 * which ends the request in flight. NULL without memory.
 */
struct publisher *publisher_new(const struct remote *remote, const char *run, uint64_t attempt,
                                const atomic_bool *stop_now, atomic_bool *give_up, struct log *log);

/* A file of a unit, as publisher_add_unit takes it. */
struct publication_file {
    const char *name; /* in the checkpoint folder */
    const char *path; /* where it is opened when it is not held; NULL: the store has it already */
    int fd;           /* -1: not held */
    uint64_t size;
    int64_t mtime_ns;
};

/* Several files that belong together. */
struct publication_unit {
    const char *name; /* for people */
    uint64_t epoch, step;
    bool has_step; /* the names tell epoch and step */
    const struct publication_file *files;
    size_t file_count;
    const char *evidence; /* static */
};

/* Nothing more is published once *lost is true. Before the first unit. */
void publisher_watch_lock(struct publisher *publisher, const atomic_bool *lost);

/* Before the first unit. */
void publisher_tell(struct publisher *publisher, publication_fn *told, void *context);

struct retention;
/* Deletes in the store, after each checkpoint, what need not stay. Before the first unit. */
void publisher_retain(struct publisher *publisher, const struct retention *retention);

/* Where COMMAND tells its checkpoints' metrics (unit_metrics.h); borrowed. Before the first unit.
 */
void publisher_metrics(struct publisher *publisher, const char *path);

/* What the pointer names now failed to verify: anything may be newer. Before the first unit. */
void publisher_distrust_pointer(struct publisher *publisher);

/* Tells of a manifest of an earlier attempt: what it names is never overwritten. */
bool publisher_know(struct publisher *publisher, const struct manifest *manifest);

/*
 * Adds the graph's file, which belongs to every later checkpoint; or a checkpoint with its state
 * and metrics (NaN: not known). Returns false, having logged why, when it cannot be opened.
 */
bool publisher_add_shared(struct publisher *publisher, const char *path);
bool publisher_add(struct publisher *publisher, const char *path, const struct model_state *state,
                   double loss, double accuracy);

/* Adds a unit; its descriptors are the publisher's from here on, also when this returns false. */
bool publisher_add_unit(struct publisher *publisher, const struct publication_unit *unit);

/* From here on only the newest goes out: there is little time. */
void publisher_hurry(struct publisher *publisher);
/* Whether another job was found to have taken this train_url. */
bool publisher_is_fenced(struct publisher *publisher);

/*
 * Waits until everything is out, at most timeout_s seconds, then ends the thread. Returns whether
 * the newest checkpoint is confirmed (true when there was none).
 */
bool publisher_finish(struct publisher *publisher, double timeout_s);

/* Marks the run finished in the pointer; after publisher_finish. remote: how train_url is reached
 * now, which may be another way than before. */
enum storage_code publisher_mark_finished(struct publisher *publisher, const struct remote *remote,
                                          struct storage_error *err);

void publisher_free(struct publisher *publisher); /* after publisher_finish; NULL is fine */

#endif
