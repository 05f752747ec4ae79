/*
 * copy_world.h - what a test of the copy engine needs: a temporary folder, a store in memory that
 * can fail on demand (fake_store.h), many bytes, and hooks that note what they are told.
 */
#ifndef COPY_WORLD_H
#define COPY_WORLD_H

#include "fake_store.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    MIB = 1024 * 1024,
    BIG = 20 * MIB + 3 /* three parts of 8 MiB */
};

struct world {
    char *folder;
    struct storage *local;
    struct fake_store *fake;
    unsigned char *big; /* BIG bytes */
    atomic_bool stop;
    size_t descriptors; /* open when it was made: as many are left when it goes */

    /* what the hooks saw */
    atomic_int in_hook;
    bool overlapped;
    unsigned copied, failed;
    enum storage_verified verified;
    enum storage_code failure;
    uint32_t crc32;
    char failed_source[256];
    struct storage_progress progress;
};

/* cmocka's setup and teardown: *state is the world. */
int world_make(void **state);
int world_free(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_make, world_free)

/* A recursive copy that reports to the world, whose counts begin at zero again. */
struct storage_copy world_copy(struct world *world, struct storage *from, const char *source,
                               struct storage *to, const char *destination);

/* How many descriptors this process has open. */
size_t world_count_descriptors(void);

/* The folder's file of that name holds exactly these bytes. */
void world_check_file(const struct world *world, const char *name, const void *data, size_t size);

#endif
