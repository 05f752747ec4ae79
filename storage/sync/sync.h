/*
 * sync.h - the parts of storage_sync; only sync/ includes it.
 *
 *   sync.c      the public call: opens both sides, merges them, hands objects to the copy engine
 *   stream.c    one side, in strict order of names, what is left out left out
 *   compare.c   whether two of a name are the same: at once, or by a worker that asks and reads
 *   record.c    the last sync's record of a folder: read alongside, and written anew
 *   extras.c    what the destination has too much: kept until the end, then removed, or not
 *
 * The merge runs in storage_copy's thread as its `next`; what is in doubt goes to the workers
 * (`is_needed`). Nothing here grows with the number of objects: names wait in files without a name.
 */
#ifndef STORAGE_SYNC_SYNC_H
#define STORAGE_SYNC_SYNC_H

#include "storage/copy/copy_engine.h"

#include <stdio.h>

/* ---- stream.c ------------------------------------------------------------------------------- */

struct sync_stream {
    struct storage *store;
    struct storage_lister *lister;
    const struct storage_filter *filter;
    char prefix[STORAGE_PATH_MAX]; /* "" or ending in '/' */
    bool may_be_missing;           /* a folder that is not there is an empty one */
    bool ended;
    uint64_t count; /* names given out */
    char key[STORAGE_PATH_MAX + STORAGE_KEY_MAX];
    const char *name; /* key without the prefix; "" before the first */
    struct storage_entry entry;
};

/* Opens the listing of prefix, set by the caller with store, filter and may_be_missing. */
enum storage_code sync_stream_open(struct sync_stream *stream, enum storage_symlinks symlinks,
                                   struct storage_error *err);
/* Goes on to the next name, or sets ended. Out of order, or twice the same, is an error. */
enum storage_code sync_stream_next(struct sync_stream *stream, struct storage_error *err);
void sync_stream_close(struct sync_stream *stream);

/* ---- record.c ------------------------------------------------------------------------------- */

#define SYNC_RECORD_NAME ".jobferry-sync"

/* One object that lies in the folder as it lies in the store. */
struct sync_line {
    char name[STORAGE_PATH_MAX];
    uint64_t size;
    int64_t mtime_ns;                /* the file's */
    char etag[STORAGE_ETAG_MAX + 1]; /* "": forget the name */
};

struct sync_record;

/*
 * Opens the record in folder (a path ending in '/', or "") of syncs from source (a text). One that
 * is missing, damaged, or of another source is empty: it only saves asking. NULL: no memory.
 */
struct sync_record *sync_record_open(const char *folder, const char *source);
/*
 * The line of name, or NULL. Names must be asked for in order. Lines that are passed over and that
 * the filter takes are forgotten.
 */
const struct sync_line *sync_record_find(struct sync_record *record, const char *name,
                                         const struct storage_filter *filter);
/* Notes a line for the next record; from any thread, in any order. */
void sync_record_note(struct sync_record *record, const struct sync_line *line);
/* Writes the next record when it differs. */
enum storage_code sync_record_save(struct sync_record *record, struct folders *folders,
                                   struct storage_error *err);
void sync_record_close(struct sync_record *record); /* NULL is fine */

/* ---- compare.c ------------------------------------------------------------------------------ */

enum sync_verdict {
    SYNC_SAME,
    SYNC_DIFFERENT,
    SYNC_DOUBTFUL
};

/* line: what the record has of the name, or NULL. */
enum sync_verdict sync_compare(const struct storage_sync *sync, const struct storage_info *source,
                               const struct storage_info *there, const struct sync_line *line);
/*
 * Decides a doubt, with requests and reads. *source is brought up to date with what was learnt.
 */
enum storage_code sync_compare_closely(const struct storage_sync *sync, const char *source_key,
                                       struct storage_info *source, const char *there_key,
                                       const struct storage_info *there, bool *same,
                                       struct storage_error *err);

/* ---- extras.c ------------------------------------------------------------------------------- */

struct sync_extras {
    FILE *names; /* NUL-terminated keys; NULL until there is one */
    uint64_t count;
    enum storage_code code; /* of the first that could not be kept */
    struct storage_error error;
};

/* A zeroed one is empty. */
void sync_extras_add(struct sync_extras *extras, const char *key);
void sync_extras_release(struct sync_extras *extras);

/* ---- sync.c --------------------------------------------------------------------------------- */

struct sync_state {
    struct storage_sync sync;
    struct copy_route route; /* from and to are prefixes */
    struct sync_stream source, there;
    bool source_pending, there_pending; /* its name was not dealt with yet */
    bool is_ended;                      /* both listings came to a clean end */
    struct sync_record *record;         /* NULL: none is kept */
    struct folders *folders;            /* of a local destination; else NULL */
    struct sync_extras extras;
    atomic_uint_least64_t skipped;
    uint64_t planned, planned_bytes; /* under hooks */
    size_t
        file_ends[STORAGE_PATH_MAX]; /* where names end that the source's present one begins with */
    size_t file_end_count;
    char previous[STORAGE_PATH_MAX]; /* the source name before */
    char destination[STORAGE_PATH_MAX];
    struct storage_error failure;
    pthread_mutex_t hooks;
};

/* Tells a step. */
void sync_tell(struct sync_state *state, enum storage_action action, const char *source,
               const char *destination, uint64_t size);
/* Removes the extras from the destination, or says why not. */
enum storage_code sync_extras_remove(struct sync_state *state, struct storage_summary *summary,
                                     struct storage_error *err);

#endif
