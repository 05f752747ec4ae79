/*
 * copy_engine.h - the parts of the copy engine; only copy*.c and sync/ include it.
 *
 *   copy.c         the public call: fills in defaults, starts workers, lists, sums up
 *   copy_route.c   what is copied where: the rules for names, and which pairs overlap
 *   copy_queue.c   who does what next, and within how much memory
 *   copy_object.c  the work itself: read, sum, check, write
 *   copy_stream.c  parts that go from the wire into a file without being kept
 *   copy_finish.c  small files that become durable together
 *   copy_check.c   how arrived bytes are held against what the source says of them
 *   copy_resume.c  big objects that go on where an earlier process stopped
 *   copy_doubt.c   objects that may turn out not to be needed
 *   copy_remote.c  objects that the store copies by itself; the end of a move
 *
 * The caller's thread lists the source and queues objects, a bounded number ahead. Of those workers
 * take the biggest first, small ones whole; a big one is begun by one worker and then opened to
 * all, who take its parts in ascending order. Workers are started as long as more of them get more
 * done (climb.h), up to the number allowed. The worker that ends the last part checks the whole and
 * completes it. An object whose bytes do not check, or whose source changed, starts over once.
 *
 * Memory: a worker owns one buffer; the sum of all their sizes never passes memory_max. A worker
 * with nothing to do gives its buffer back. What is streamed leaves its buffer untouched, and so
 * without pages.
 */
#ifndef STORAGE_COPY_ENGINE_H
#define STORAGE_COPY_ENGINE_H

#include "storage/backend.h"
#include "storage/base/climb.h"
#include "storage/base/digest.h"
#include "storage/copy/journal.h"
#include "storage/local/folders.h"

#include <pthread.h>

enum {
    COPY_QUEUE_MAX = 256,                /* objects listed ahead */
    COPY_CLASSES = 65,                   /* of sizes: empty, then by powers of two */
    COPY_OPEN_MAX = 4,                   /* big objects at once */
    COPY_PARTS_MAX = 10000,              /* of one upload: S3's and OBS's limit */
    COPY_PART_DEFAULT = 8 * 1024 * 1024, /* bytes */
    COPY_PART_LEAST = 5 * 1024 * 1024,   /* to S3; its limit for every part but the last */
    COPY_ATTEMPTS = 2,
    COPY_FINISH_MAX = 64, /* files completed together */
    COPY_WAIT_MS = 100    /* how long a stop may go unseen */
};

/* ---- checking ------------------------------------------------------------------------------- */

/* How the whole is checked; `kind` is what a success will be called. */
struct copy_check {
    enum storage_verified kind;
    struct md5 *md5;                /* MD5: of the bytes before part `turn` */
    unsigned turn;                  /* MD5: the part that comes next; under the engine's lock */
    uint8_t (*part_sums)[MD5_SIZE]; /* ETAG: one per part */
};

/*
 * Picks the best check that info allows. part_size is a wish on the way in and may come back as
 * another, at most part_max, with which a multipart ETag can be computed again. An object of one
 * part needs no memory here.
 */
void copy_check_choose(struct copy_check *check, const struct storage_info *info,
                       enum storage_kind source, size_t *part_size, size_t part_max);
/* Gets what the choice needs; false: no memory. */
bool copy_check_begin(struct copy_check *check, unsigned part_count);
void copy_check_release(struct copy_check *check); /* fine on a zeroed one */

/* Whether the bytes are those that info speaks of. size and crc32 are of what arrived. */
enum storage_code copy_check_finish(struct copy_check *check, const struct storage_info *info,
                                    unsigned part_count, uint32_t crc32, const char *source,
                                    struct storage_error *err);

/* ---- objects -------------------------------------------------------------------------------- */

struct copy_object {
    struct copy_object *next;
    char *source;      /* owned */
    char *destination; /* owned */
    struct storage_info info;
    struct storage_info *there; /* owned; not NULL: whether to copy is yet to be asked */
    bool is_unseen;             /* info is yet to be had */
    bool is_streamed;           /* the store refused to copy it by itself */
    unsigned attempt;
    double started; /* seconds on the monotonic clock */

    /* set once, before the object is opened */
    size_t part_size;
    unsigned part_count;
    uint32_t *part_crcs; /* each written by the worker of that part */
    struct upload *upload;
    struct copy_check check;
    struct journal *journal; /* owned; NULL: this copy cannot be gone on with */
    bool resumes;            /* the journal's parts are to be looked at */

    /* under the engine's lock */
    unsigned next_part; /* to be handed out */
    unsigned in_flight; /* parts handed out and not yet back */
    bool is_big;        /* counted in open_count */
    uint64_t moved;     /* bytes counted in the progress */
    uint64_t resumed;   /* of those, what was there already */
    uint64_t unsynced;  /* bytes noted since the destination was made durable */
    bool failed;
    struct storage_error error; /* the first, when failed */

    uint32_t crc32; /* of one that waits to be completed */
};

/* info may be NULL where nothing is known. NULL: no memory. */
struct copy_object *copy_object_new(const char *source, const char *destination,
                                    const struct storage_info *info);
/* Aborts an upload under way. NULL is fine. */
void copy_object_free(struct copy_object *object);

struct copy_list {
    struct copy_object *head, *tail;
};

/* ---- the engine ----------------------------------------------------------------------------- */

struct copy_engine {
    struct storage_copy copy; /* defaults filled in */
    struct folders *folders;  /* of a local destination; not owned; NULL: a store */
    atomic_bool is_remote;    /* the store copies by itself */

    pthread_mutex_t lock; /* over all that follows, up to hooks */
    pthread_cond_t work;  /* workers: there is something to take, or nothing more will come */
    pthread_cond_t room;  /* the lister: the queue has room */
    pthread_cond_t turn;  /* workers: a part was hashed, or its object failed */
    struct copy_list fresh[COPY_CLASSES]; /* listed, not begun, by size */
    unsigned fresh_count;
    struct copy_object *open_head; /* begun, with parts to hand out; taken round and round */
    unsigned open_count;           /* begun and not ended */
    unsigned parts_in_flight;
    unsigned pending;               /* queued or under way */
    struct copy_object *ready_head; /* whole and checked, to be completed together */
    unsigned ready_count;
    uint64_t ready_bytes;
    double ready_since; /* when the first of them came */
    bool listed;
    uint64_t memory_used;
    struct copy_worker *workers; /* of the thread that waits for them: room for all */
    unsigned started;            /* of them */
    unsigned working;            /* on a task */
    struct climb climb;          /* how many may be at once */
    struct storage_progress progress;
    struct storage_summary summary;
    struct storage_error first_error; /* code OK: none */

    pthread_mutex_t hooks; /* one hook at a time; taken before lock, never after */
};

struct copy_worker {
    struct copy_engine *engine;
    pthread_t thread;
    bool is_working; /* on a task; under the engine's lock */
    char *buffer;
    size_t capacity; /* of it, or promised to it */
};

enum copy_step {
    COPY_DOUBT,  /* is it to be copied? */
    COPY_LOOK,   /* at an object of which nothing is known */
    COPY_REMOTE, /* the store copies it by itself */
    COPY_WHOLE,  /* a small object, from beginning to end */
    COPY_BEGIN,  /* a big one: look at it, begin its upload */
    COPY_PART,
    COPY_FINISH /* complete all that are ready: object is their list */
};

struct copy_task {
    enum copy_step step;
    struct copy_object *object;
    unsigned part; /* from 0 */
};

bool copy_engine_init(struct copy_engine *engine, const struct storage_copy *copy);
/*
 * storage_copy, into folders that the caller holds; NULL: into a store, or those of this copy. They
 * are held against the root's path only by who made them.
 */
enum storage_code copy_into(const struct storage_copy *copy, struct folders *folders,
                            struct storage_summary *summary, struct storage_error *err);

void copy_engine_release(struct copy_engine *engine); /* also frees what is left in its lists */
bool copy_is_stopped(const struct copy_engine *engine);
/* Waits on one of the engine's conditions, lock held, at most COPY_WAIT_MS. */
void copy_wait(struct copy_engine *engine, pthread_cond_t *condition);

/* Queues an object, waiting for room. False: stopped, and the object is still the caller's. */
bool copy_put_fresh(struct copy_engine *engine, struct copy_object *object);
/* Queues an object that starts over. */
void copy_put_back(struct copy_engine *engine, struct copy_object *object);
/* Opens a big object's parts to all workers. */
void copy_put_open(struct copy_engine *engine, struct copy_object *object);
void copy_end_listing(struct copy_engine *engine);

/* Starts the first workers; false: there is none. copy_join_workers is then not owed. */
bool copy_prepare_workers(struct copy_engine *engine, unsigned workers_max);
/* Waits until all workers have nothing left to do. */
void copy_join_workers(struct copy_engine *engine);
/*
 * Gives a worker its next task, with a buffer large enough. False: nothing is left to do, or a
 * stop. (A buffer that could not be had is NULL; the step then fails.)
 */
bool copy_take(struct copy_worker *worker, struct copy_task *task);
/*
 * A part came back with code and err. True: it was the object's last under way, and the caller is
 * to finish the object.
 */
bool copy_part_done(struct copy_engine *engine, struct copy_object *object, size_t moved,
                    enum storage_code code, const struct storage_error *err);
/* An object has left the engine. */
void copy_object_done(struct copy_engine *engine, const struct copy_object *object);

/* Takes what is newly known of an object; what an answer does not say stays as it was. */
void copy_renew_info(struct copy_engine *engine, struct copy_object *object,
                     const struct storage_info *info);
/* An object's end, either way: tells, counts and frees it, or has it start over. */
void copy_end_stored(struct copy_engine *engine, struct copy_object *object, const uint32_t *crc,
                     enum storage_verified verified);
void copy_end_failed(struct copy_engine *engine, struct copy_object *object,
                     const struct storage_error *err);

/* Asks whether the object is needed, and takes it out of the engine when it is not. */
void copy_run_doubt(struct copy_engine *engine, struct copy_object *object);
/* Whether the store may be asked to copy by itself. */
bool copy_may_be_remote(const struct storage_copy *copy);
void copy_run_look(struct copy_engine *engine, struct copy_object *object);
void copy_run_remote(struct copy_engine *engine, struct copy_object *object);
/* Removes the source of a finished copy, as long as it still is what was copied. */
enum storage_code copy_remove_source(struct copy_engine *engine, const struct copy_object *object,
                                     struct storage_error *err);

/* Reads a part into the worker's buffer; *info is what the source said while giving it. */
enum storage_code copy_read_part(struct copy_worker *worker, const struct copy_object *object,
                                 uint64_t offset, size_t size, struct storage_info *info,
                                 struct storage_error *err);

/*
 * Going on. find opens the journal of a big object, whose part_size it may change to that of the
 * upload under way; begin begins the upload or takes that one up; recall says whether a part is in
 * already, with its sum in part_crcs, and its bytes in the buffer when the check wants them; note
 * writes a part down that is in, and fails where the disk does; end ends upload and journal, if
 * there are any, and keep leaves both for later. may_pass: a failure after which it is worth
 * keeping them.
 */
void copy_resume_find(struct copy_engine *engine, struct copy_object *object);
enum storage_code copy_resume_begin(struct copy_engine *engine, struct copy_object *object,
                                    const struct upload_plan *wanted, struct storage_error *err);
bool copy_resume_recall(struct copy_worker *worker, struct copy_object *object, unsigned part,
                        size_t size);
enum storage_code copy_resume_note(struct copy_engine *engine, struct copy_object *object,
                                   unsigned part, size_t size, struct storage_error *err);
void copy_resume_end(struct copy_object *object, bool keep);
bool copy_resume_may_pass(enum storage_code code);

/* Carries a task out. */
void copy_run(struct copy_worker *worker, const struct copy_task *task);
/*
 * Counts and reports an object that failed before it was queued, or at its end. A stop is neither
 * counted nor reported.
 */
void copy_report_failure(struct copy_engine *engine, const char *source, const char *destination,
                         uint64_t size, const struct storage_error *err);
void copy_report_progress(struct copy_engine *engine);
/* Seconds on the monotonic clock. */
double copy_now(void);

/* ---- completing ---- */

/* Whether completing several at once is cheaper, and this object may wait for that. */
bool copy_may_wait(const struct copy_engine *engine, const struct copy_object *object);
/* Takes an object that is whole and checked; completes what is ready when it is enough. */
void copy_finish_later(struct copy_engine *engine, struct copy_object *object, uint32_t crc32);
/* All that are ready, for who has nothing better to do; lock held. */
struct copy_object *copy_finish_take(struct copy_engine *engine);
void copy_run_finish(struct copy_engine *engine, struct copy_object *ready);
/* An object's upload has been completed: sums it up, and it is gone. */
void copy_end_completed(struct copy_engine *engine, struct copy_object *object, uint32_t crc32,
                        enum storage_verified stored);

/* ---- streams ---- */

/* Whether size bytes of an object may go to its upload piece by piece. */
bool copy_may_stream(const struct copy_engine *engine, const struct copy_object *object,
                     uint64_t size);
/* Reads and writes a part so; *crc is its sum, *info what the source said while giving it. */
enum storage_code copy_stream_part(struct copy_worker *worker, struct copy_object *object,
                                   unsigned part, uint64_t size, uint32_t *crc,
                                   struct storage_info *info, struct storage_error *err);

/* A part on its way from a file to a store. */
struct copy_sending {
    const struct backend *backend; /* the source's */
    struct source_reader *reader;
    uint64_t offset; /* of the part */
    struct upload_body body;
    struct storage_error error; /* of the first reading that failed while it was sent */
};

/* Whether size bytes may be sent without being kept. */
bool copy_may_send(const struct copy_engine *engine, uint64_t size);
/*
 * Opens the source and sums the part. The sending must not move until copy_send_end, which is owed
 * also after a failure, and not before the part, or the whole that it is, has been sent.
 */
enum storage_code copy_send_begin(struct copy_worker *worker, const struct copy_object *object,
                                  unsigned part, size_t size, struct copy_sending *sending,
                                  struct storage_error *err);
void copy_send_end(struct copy_sending *sending);
/* What a sending that failed with code and err failed of: its source, where that could not be read.
 */
enum storage_code copy_send_cause(const struct copy_sending *sending, enum storage_code code,
                                  struct storage_error *err);

/* ---- routes --------------------------------------------------------------------------------- */

/* What a copy amounts to, once the source has been looked at. */
struct copy_route {
    bool single;                 /* one object; else all below from */
    char from[STORAGE_PATH_MAX]; /* the key; or the prefix, "" or ending in '/' */
    char to[STORAGE_PATH_MAX];   /* the key; or what names are joined to */
    struct storage_info info;    /* of a single one */
};

/* Looks at both ends and applies the rules of storage_copy's documentation. */
enum storage_code copy_route_find(struct copy_route *route, const struct storage_copy *copy,
                                  struct storage_error *err);

/* Refuses a destination that is the source, lies in it, or holds it. */
enum storage_code copy_check_overlap(const struct copy_route *route,
                                     const struct storage_copy *copy, struct storage_error *err);

/* Refuses a pair that names one object, or one file, twice. */
enum storage_code copy_route_check_pair(const struct storage_copy *copy, const char *source,
                                        const char *destination, struct storage_error *err);

/* Whether a file of a folder is what copies have beside their targets: a draft, or a journal. */
bool copy_is_draft(const char *name);

/* Where one listed key goes. */
enum copy_verdict {
    COPY_TAKE,
    COPY_FOLDER, /* a folder's marker: make the folder */
    COPY_SKIP,
    COPY_REFUSE /* err says why */
};
enum copy_verdict copy_route_name(const struct copy_route *route, const struct storage_copy *copy,
                                  const struct storage_entry *entry,
                                  char destination[STORAGE_PATH_MAX], struct storage_error *err);

#endif
