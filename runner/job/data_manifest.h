/*
 * data_manifest.h - which data a run was given, told from a listing alone: nothing is downloaded.
 *
 * The CRC-32 goes over one line an object in the order of keys, "name TAB size TAB mark LF", where
 * name is relative to data_url and the mark is the ETag, or a file's mtime in ns since 1970. Equal
 * sums mean the same data; a sum that differs may also come from a file that was only touched, so
 * whoever decides by it errs towards work that was not needed.
 */
#ifndef RUNNER_DATA_MANIFEST_H
#define RUNNER_DATA_MANIFEST_H

#include "storage/storage.h"

struct data_manifest {
    uint64_t objects;
    uint64_t bytes;
    uint64_t largest; /* bytes */
    uint64_t there;   /* bytes of those that lie in local_dir with their size already */
    uint32_t crc32;
    bool complete; /* the listing came to its end */
};

/*
 * Lists what lies below url's key. local_dir, when not NULL, is where it is to be copied. deadline
 * (monotonic seconds, 0: none) ends the listing early: complete is then false, and no error. A
 * prefix that nothing has is no objects; a missing bucket or folder is STORAGE_NOT_FOUND.
 */
enum storage_code data_manifest_list(struct data_manifest *manifest, struct storage *store,
                                     const struct storage_url *url, const char *local_dir,
                                     double deadline, struct storage_error *err);

#endif
