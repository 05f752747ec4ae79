/*
 * publish.h - ferries checkpoints out while the training goes on.
 *
 * One thread takes what publisher_add hands it, oldest first: payload, manifest, pointer, in that
 * order (design.md §5). A file is pinned by an open descriptor from the moment it is added, so that
 * local rotation cannot take it away. Store trouble never stops the training: the thread tries
 * again, with growing pauses, until publisher_finish's time is up.
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
    PUBLICATION_CONFIRMED, /* payload, manifest and pointer are in the store */
    PUBLICATION_FAILED     /* the time was up first */
};

/* One checkpoint, as the report tells it. */
struct publication {
    char name[256];
    uint64_t epoch, step, cumulative_step;
    uint64_t size;
    uint32_t crc32;
    enum publication_state state;
    double seconds_to_pointer; /* from its being added */
};

/*
 * Starts the thread. remote, run and log are borrowed until publisher_free. give_up is the stop
 * flag of remote's store: publisher_finish sets it when its time is up or *stop_now turns true,
 * which ends the request in flight. NULL without memory.
 */
struct publisher *publisher_new(const struct remote *remote, const char *run, uint64_t attempt,
                                const atomic_bool *stop_now, atomic_bool *give_up, struct log *log);

/* Tells of a manifest of an earlier attempt: what it names is never overwritten. */
bool publisher_know(struct publisher *publisher, const struct manifest *manifest);

/*
 * Adds the graph's file, which belongs to every later checkpoint; or a checkpoint with its state
 * and metrics (NaN: not known). Returns false, having logged why, when it cannot be opened.
 */
bool publisher_add_shared(struct publisher *publisher, const char *path);
bool publisher_add(struct publisher *publisher, const char *path, const struct model_state *state,
                   double loss, double accuracy);

/*
 * Waits until everything is out, at most timeout_s seconds, then ends the thread. Returns whether
 * the newest checkpoint is confirmed (true when there was none).
 */
bool publisher_finish(struct publisher *publisher, double timeout_s);

/* Marks the run finished in the pointer; after publisher_finish. */
enum storage_code publisher_mark_finished(struct publisher *publisher, struct storage_error *err);

/* What became of each; count goes to *count. Borrowed, valid after publisher_finish. */
const struct publication *publisher_results(const struct publisher *publisher, size_t *count);

void publisher_free(struct publisher *publisher); /* after publisher_finish; NULL is fine */

#endif
