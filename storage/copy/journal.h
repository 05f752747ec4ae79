/*
 * journal.h - what a big copy has got done, on disk, so that a new process can go on with it.
 *
 * A journal is a text file: a head that says what is copied and where the begun upload is, then one
 * line for each part that is in. Each line begins with its own CRC-32; a part's line is summed on
 * from its head's sum, so a line of another journal does not fit. Reading ends at the first line
 * that is cut or does not check, and writing goes on there: a torn tail is as if never written.
 *
 *     <crc32> jobferry-journal 1 boot=… synced=… size=… part_size=… mtime=… etag=… source=… token=…
 *     <crc32> part 3 89abcdef md5%3A…
 *     <crc32> sync 3
 *
 * A line is appended after the part's data has been handed over: to the store, or to the kernel.
 * Data in the kernel's hands outlives the process, not the machine, so where the target is a file
 * (head.needs_sync) the lines count for the boot in which they were written, and beyond it only as
 * far as a sync line says that their data was made durable before.
 *
 * Opening locks the file (flock) until it is closed: two processes never share one. Functions that
 * write return false when the disk does not take it; the copy then does without.
 */
#ifndef STORAGE_JOURNAL_H
#define STORAGE_JOURNAL_H

#include "storage/storage.h"

enum {
    JOURNAL_TOKEN_MAX = 1100, /* bytes of what an upload is found again by */
    JOURNAL_SOURCE_MAX = 5000,
    JOURNAL_TAG_MAX = 128,
    JOURNAL_PARTS_MAX = 1 << 20
};

/* What is copied, and into what. */
struct journal_head {
    uint64_t size;
    uint64_t part_size;
    int64_t mtime_ns; /* of a source that is a file; else 0 */
    bool needs_sync;  /* see above */
    char etag[STORAGE_ETAG_MAX + 1];
    char source[JOURNAL_SOURCE_MAX]; /* the place and the key, in words */
    char token[JOURNAL_TOKEN_MAX];   /* the backend's own words for the begun upload */
};

struct journal_part {
    bool is_done;
    uint32_t crc32;
    const char *tag; /* the backend's own words for the part, "" none; owned by the journal */
};

struct journal;

/*
 * Opens or makes the journal at path, locks and reads it. NULL: another process holds it, or there
 * can be none there. Damage is no failure: what checks is kept.
 */
struct journal *journal_open(const char *path);
/* The same in an open folder, of which it keeps a descriptor of its own. */
struct journal *journal_open_at(int folder, const char *name);
/* Ends it, file and lock; the file stays. NULL is fine. */
void journal_close(struct journal *journal);
/* Ends it and removes the file. NULL is fine. */
void journal_remove(struct journal *journal);

/* The head that was read or written; NULL: none yet. */
const struct journal_head *journal_head(const struct journal *journal);
/* Empties the file and writes a head. */
bool journal_start(struct journal *journal, const struct journal_head *head);

/* The line of a part (from 1) that was there at opening or was added; is_done false: none. */
struct journal_part journal_part(struct journal *journal, unsigned number);
/* Any thread may add. tag is at most JOURNAL_TAG_MAX - 1 bytes. */
bool journal_add(struct journal *journal, unsigned number, uint32_t crc32, const char *tag);

/* How many part lines there are; to be asked before their data is made durable … */
size_t journal_count(struct journal *journal);
/* … and told here after. */
bool journal_synced(struct journal *journal, size_t count);

/*
 * Where journals are: of a file in its folder, ".name.<CRC-32 of name>.journal"; of an object in
 * folder (NULL: false), under a sum of all that names it. False: no room, or no such sum here.
 */
bool journal_name_beside(char *path, size_t size, const char *file);
bool journal_name_in(char *path, size_t size, const char *folder, const char *place,
                     const char *bucket, const char *key);
/* Whether a file of this name may be a journal. */
bool journal_is_name(const char *name);
/* Whether it is exactly that of a journal beside a file (".name.<sum>.journal"), no user's own. */
bool journal_is_beside(const char *name);
/* Whether a process has the journal at path open. */
bool journal_is_held(const char *path);

#endif
