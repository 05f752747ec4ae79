/*
 * atomic_file.h - a file that is whole or absent.
 *
 * Bytes go to a hidden temporary name in the same folder, ".<name>.XXXXXX.tmp"; commit makes them
 * durable (fsync), gives them their name (rename) and makes the name durable (fsync of the folder).
 * A death in between leaves the old file and a temporary; a failure leaves neither.
 */
#ifndef MODEL_ATOMIC_FILE_H
#define MODEL_ATOMIC_FILE_H

#include <limits.h>

#include "model/model.h"

struct atomic_file {
    int fd;           /* -1: not open */
    const char *path; /* the final name, borrowed */
    char temporary[PATH_MAX];
};

#define ATOMIC_FILE_INIT \
    {                    \
        .fd = -1         \
    }

/* What temporary names end with: ".XXXXXX.tmp". */
#define ATOMIC_FILE_SUFFIX ".tmp"

enum {
    ATOMIC_FILE_RANDOM = 6 /* characters of a temporary's name that mkostemps chose */
};

/* path is kept by reference until commit or release. Errors, here and below, are MODEL_DISK. */
enum model_code atomic_file_open(struct atomic_file *file, const char *path,
                                 struct model_error *err);
enum model_code atomic_file_write(struct atomic_file *file, const void *data, size_t size,
                                  struct model_error *err);
/* Mode 0644. The file is closed whatever comes back. */
enum model_code atomic_file_commit(struct atomic_file *file, struct model_error *err);
/* Removes the temporary of a file that was not committed; nothing otherwise. */
void atomic_file_release(struct atomic_file *file);

/* The four in one. */
enum model_code atomic_file_put(const char *path, const void *data, size_t size,
                                struct model_error *err);

/* Makes a folder and its parents where they are missing. */
enum model_code folder_make(const char *path, struct model_error *err);

#endif
