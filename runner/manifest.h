/*
 * manifest.h - the list of what a copy has copied, to check a store or a folder against later.
 *
 * A text file of one JSON object a line:
 *
 *     {"name": "train/x.gz", "size": 1648877, "crc32": "89abcdef", "verified": "crc32"}
 *     {"manifest": 1, "files": 1, "bytes": 1648877, "complete": true}
 *
 * Names are relative to where the copy went. One that is not UTF-8 is given as "name_hex" instead.
 * "crc32" is left out where it is not known: a store that copied by itself and keeps no sum. The
 * last line is the proof that the file is whole; complete is false when something was not copied.
 *
 * It is written under a temporary name and appears when it is whole and durable.
 */
#ifndef RUNNER_MANIFEST_H
#define RUNNER_MANIFEST_H

#include "storage/storage.h"

/* ---- writing -------------------------------------------------------------------------------- */

struct manifest_writer;

/*
 * Begins the manifest that will be at path (borrowed). root is what destinations are relative to.
 * NULL: errno says why not.
 */
struct manifest_writer *manifest_begin(const char *path, const char *root);
/* Adds a line. A failure shows in manifest_publish. */
void manifest_add(struct manifest_writer *writer, const struct storage_copied *copied);
/* Writes the last line and publishes; frees the writer. False: errno says why, and path is as it
 * was. */
bool manifest_publish(struct manifest_writer *writer, bool complete);
/* Ends it without a trace. NULL is fine. */
void manifest_discard(struct manifest_writer *writer);

/* ---- reading -------------------------------------------------------------------------------- */

struct manifest_file {
    char name[STORAGE_PATH_MAX]; /* safe to be joined to a folder */
    uint64_t size;
    uint32_t crc32;
    bool has_crc32;
};

struct manifest_reader;

/* NULL: errno says why not. */
struct manifest_reader *manifest_open(const char *path);
void manifest_close(struct manifest_reader *reader); /* NULL is fine */

enum manifest_answer {
    MANIFEST_FILE,
    MANIFEST_END, /* the last line was there, and fits what came before */
    MANIFEST_BAD  /* message says what is wrong */
};
enum manifest_answer manifest_next(struct manifest_reader *reader, struct manifest_file *file);
/* After MANIFEST_END: whether the copy had copied all. */
bool manifest_is_complete(const struct manifest_reader *reader);
const char *manifest_message(const struct manifest_reader *reader);

#endif
