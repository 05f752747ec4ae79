/*
 * fake_store.h - an object store in memory behind storage/backend.h, with faults on demand.
 *
 * It passes for S3 (keys, ETags, CRC-32s, one level of prefix listings left out) without any HTTP,
 * so that the copy engine can be tested on every kind of object and failure, also under TSan.
 */
#ifndef FAKE_STORE_H
#define FAKE_STORE_H

#include "storage/backend.h"

#include <pthread.h>

enum {
    FAKE_OBJECTS_MAX = 4096
};

enum fake_fault {
    FAKE_LIST_FAILS, /* with TRANSFER */
    FAKE_LIST_REPEATS,
    FAKE_LIST_GOES_BACK
};

struct fake_object {
    char *key;
    unsigned char *data;
    size_t size;
    char etag[STORAGE_ETAG_MAX + 1];
    bool has_crc32;
    uint32_t crc32;
    int64_t mtime_ns;
};

struct fake_store {
    struct storage base;
    pthread_mutex_t lock;
    struct fake_object objects[FAKE_OBJECTS_MAX]; /* sorted by key */
    size_t count;

    /* faults; -1 or 0: none */
    long flip_reads;        /* so many reads come with one bit flipped; -1: all */
    const char *fail_key;   /* reading this one is DENIED */
    long fail_parts_after;  /* parts after the n-th are refused with TRANSFER; 0: none */
    const char *change_key; /* its ETag differs from the second read on */
    unsigned read_delay_us;
    atomic_bool *stop_after; /* set once stop_reads reads were served */
    long stop_reads;
    bool may_remove;    /* else removing is DENIED */
    long list_fault_at; /* the n-th row of a listing is the fault; 0: none */
    enum fake_fault list_fault;
    void (*meanwhile)(void *context); /* called once, before the n-th read, part or abort */
    void *meanwhile_context;
    long meanwhile_at;
    bool refuse_uploads; /* beginning one is CONFLICT */

    /* what was seen */
    size_t part_size; /* of the newest upload's plan */
    long reads;
    long parts;
    long begun, completed, aborted;
    uint64_t reading, reading_peak; /* bytes asked for by the reads under way, and their most */
};

struct fake_store *fake_store_new(void);
void fake_store_free(struct fake_store *fake);

enum fake_sum {
    FAKE_NOTHING, /* an ETag that says nothing */
    FAKE_MD5,
    FAKE_ETAG, /* "<md5>-n" of parts of 8 MiB */
    FAKE_CRC32
};
void fake_store_add(struct fake_store *fake, const char *key, const void *data, size_t size,
                    enum fake_sum sum);
void fake_store_drop(struct fake_store *fake, const char *key);
const struct fake_object *fake_store_find(struct fake_store *fake, const char *key);

#endif
