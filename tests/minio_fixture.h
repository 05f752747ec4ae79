/*
 * minio_fixture.h - the S3 backend before the MinIO that with_minio.sh starts for each program.
 *
 * Failures of the fixture are failures of the test.
 */
#ifndef MINIO_FIXTURE_H
#define MINIO_FIXTURE_H

#include "storage/backend.h"
#include "storage/base/crc.h"
#include "storage/s3/s3.h"
#include "storage/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    MIB = 1024 * 1024,
    MINIO_SKIPPED = 77 /* the exit code that ctest takes for "skipped" */
};

/* False, and said so, where with_minio.sh did not start the program. */
bool minio_is_there(void);

/* A store on bucket; close it. stop may be NULL. */
struct storage *minio_open_as(const char *bucket, const struct storage_access *access,
                              const atomic_bool *stop);
struct storage *minio_open_root(const char *bucket);
struct storage_access minio_root_access(void);

/* Fails the test with the error's own words. */
void minio_must(enum storage_code code, const struct storage_error *err);

/* Puts an object and holds the store to the CRC-32 of it; the object holds exactly text. */
void minio_put_text(struct storage *store, const char *key, const char *text);
void minio_assert_content(struct storage *store, const char *key, const char *text);

/* How many objects lie below prefix. */
size_t minio_count_below(struct storage *store, const char *prefix);

/* cmocka's setup and teardown of a group: *state is a store on the bucket "jf-test". */
int minio_make_bucket(void **state);
int minio_close_bucket(void **state);

#endif
