/*
 * delivery.h - one unit's way into the store: data, verify, manifest, pointer, in that order
 * (design.md §5).
 *
 * What a manifest names is never overwritten. A name that comes for the first time is stored at
 * `ckpt/<file>`; one that a manifest holds with other bytes gets a key of its own under
 * `.jobferry/data/`, and when the pointer has moved `ckpt/<file>` is refreshed by a copy in the
 * store, for people to find. The manifests that named the old bytes are withdrawn first; where that
 * would take a manifest of which the new unit does not replace every file, or the one that
 * best.json points at, `ckpt/<file>` stays as it is.
 */
#ifndef RUNNER_DELIVERY_H
#define RUNNER_DELIVERY_H

#include "runner/job/ledger.h"
#include "runner/job/retention.h"
#include "runner/log.h"

#include <stdatomic.h>

/* A file of a unit. */
struct unit_file {
    char *name; /* in the checkpoint folder; owned */
    char *path; /* where it is opened when it is not held open; owned; NULL: carried */
    int fd;     /* held open; -1: not. Owned */
    uint64_t size;
    int64_t mtime_ns;
};

/* Several files that belong together. A file without fd and path is carried: the store has it. */
struct unit {
    char name[256]; /* for people */
    uint64_t epoch, step, cumulative_step;
    bool has_step;
    double loss, accuracy; /* NaN: not known */
    struct unit_file *files;
    size_t file_count;
    uint64_t seq; /* of its manifest */
};
void unit_release(struct unit *unit);

struct delivery {
    struct remote remote;
    const char *run;
    uint64_t attempt;
    const atomic_bool *stop; /* ends what is being sent */
    const atomic_bool *lost; /* the lock is another's now: nothing may be published; or NULL */
    struct log *log;
    struct retention retention; /* of this run's checkpoints; zeroed: all stay */
    const char *metrics_path;   /* unit_metrics.h; NULL: units bring their own */
    bool has_told_unranked;
    struct ledger ledger;
    bool knows_all;                /* manifests of all runs are in the ledger */
    struct pointer began, pointer; /* when we began; as we moved it last, run "" before that */
    uint64_t pointed_epoch, pointed_step; /* of what it points at */
    bool pointed_has_step;
};

/* What a delivery came to. */
struct delivered {
    uint64_t size;                  /* of all files */
    uint32_t crc32;                 /* of the first file */
    enum storage_verified verified; /* the least of all files */
    bool is_pointed;
};

/*
 * Delivers a unit, or goes on where the last try ended: what is in is not sent again. The pointer
 * is moved unless what it points at is newer: a later epoch and step, where both names tell.
 *
 * STORAGE_CHANGED: a file was written to meanwhile; STORAGE_NOT_FOUND: it is gone. Both are for
 * good. STORAGE_CONFLICT: another job has the pointer, or the lock.
 */
enum storage_code deliver(struct delivery *delivery, struct unit *unit, struct delivered *result,
                          struct storage_error *err);
/*
 * After the last unit: metrics that came after their checkpoints go into their manifests, and
 * retention is done once more. Failures are told, and no more.
 */
void delivery_conclude(struct delivery *delivery);
void delivery_release(struct delivery *delivery);

#endif
