/*
 * The S3 backend against a real store: run by with_minio.sh, which starts a MinIO of its own.
 */
#include "storage/backend.h"
#include "storage/crc.h"
#include "storage/s3/s3.h"
#include "storage/storage.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    MIB = 1024 * 1024,
    PART = 8 * MIB,
    SKIPPED = 77
};

static struct storage *open_as(const char *bucket, const struct storage_access *access,
                               const atomic_bool *stop)
{
    struct storage *store = NULL;
    struct storage_error err = {0};
    struct storage_url url = {.kind = STORAGE_S3};
    struct storage_config config = {.access = *access, .attempts_max = 3, .stop = stop};
    snprintf(url.bucket, sizeof url.bucket, "%s", bucket);
    config.access.endpoint = getenv("MINIO_ENDPOINT");
    config.access.ca_file = getenv("MINIO_CA_FILE");
    if (storage_open(&store, &url, &config, &err) != STORAGE_OK) {
        fail_msg("open: %s", err.message);
    }
    return store;
}

static struct storage_access root_access(void)
{
    return (struct storage_access){.access_key = getenv("MINIO_ROOT_USER"),
                                   .secret_key = getenv("MINIO_ROOT_PASSWORD")};
}

static struct storage *open_root(const char *bucket)
{
    struct storage_access access = root_access();
    return open_as(bucket, &access, NULL);
}

/* Fails the test with the error's own words. */
static void must(enum storage_code code, const struct storage_error *err)
{
    if (code != STORAGE_OK) {
        fail_msg("%s", err->message);
    }
}

static void put_text(struct storage *store, const char *key, const char *text)
{
    struct storage_error err;
    enum storage_verified verified = STORAGE_VERIFIED_SIZE;
    must(storage_put(store, key, text, strlen(text), &verified, &err), &err);
    assert_int_equal(verified, STORAGE_VERIFIED_CRC32);
}

static void assert_content(struct storage *store, const char *key, const char *text)
{
    struct storage_error err;
    char *data = NULL;
    size_t size = 0;
    must(storage_get(store, key, 1000, &data, &size, &err), &err);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
    free(data);
}

static size_t count_below(struct storage *store, const char *prefix)
{
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    struct storage_error err;
    size_t count = 0;
    must(storage_lister_open(&lister, store, prefix, true, &err), &err);
    for (;;) {
        must(storage_lister_next(lister, &entry, &err), &err);
        if (!entry.key) {
            break;
        }
        count++;
    }
    storage_lister_close(lister);
    return count;
}

static int make_bucket(void **state)
{
    struct storage *store = open_root("jf-test");
    struct storage_error err;
    must(storage_make_bucket(store, "", &err), &err);
    must(storage_make_bucket(store, "", &err), &err); /* ours already */
    *state = store;
    return 0;
}

static int close_bucket(void **state)
{
    storage_close(*state);
    return 0;
}

/* ---- objects -------------------------------------------------------------------------------- */

static void an_object_comes_back_as_it_went(void **state)
{
    struct storage *store = *state;
    struct storage_error err;
    struct storage_info info;
    put_text(store, "a/b.txt", "123456789");
    assert_content(store, "a/b.txt", "123456789");
    must(storage_stat(store, "a/b.txt", &info, &err), &err);
    assert_int_equal(info.size, 9);
    assert_true(info.has_crc32);
    assert_int_equal(info.crc32, 0xCBF43926);
    assert_string_equal(info.etag, "25f9e794323b453885f5181f1b624d0b");
    assert_true(info.mtime_ns > INT64_C(1600000000) * 1000000000);
    assert_false(info.is_directory);
    must(storage_stat(store, "", &info, &err), &err);
    assert_true(info.is_directory);
    must(storage_remove(store, "a/b.txt", &err), &err);
    must(storage_remove(store, "a/b.txt", &err), &err); /* gone is fine */
    assert_int_equal(storage_stat(store, "a/b.txt", &info, &err), STORAGE_NOT_FOUND);
}

static void an_empty_object_is_an_object(void **state)
{
    struct storage *store = *state;
    struct storage_error err;
    struct storage_info info;
    char byte = 'x';
    size_t got = 9;
    put_text(store, "empty", "");
    must(storage_stat(store, "empty", &info, &err), &err);
    assert_int_equal(info.size, 0);
    must(storage_read(store, "empty", 0, &byte, 1, NULL, &got, &info, &err), &err);
    assert_int_equal(got, 0);
    assert_true(info.etag[0]);
    must(storage_read(store, "empty", 0, &byte, 0, NULL, &got, &info, &err), &err);
    assert_int_equal(got, 0);
    assert_content(store, "empty", "");
}

static void ranges_end_with_the_object(void **state)
{
    struct storage *store = *state;
    struct storage_error err;
    struct storage_info info;
    char data[16];
    size_t got = 0;
    put_text(store, "range", "0123456789");
    must(storage_read(store, "range", 2, data, 3, NULL, &got, &info, &err), &err);
    assert_int_equal(got, 3);
    assert_memory_equal(data, "234", 3);
    assert_int_equal(info.size, 10);
    must(storage_read(store, "range", 7, data, 16, info.etag, &got, &info, &err), &err);
    assert_int_equal(got, 3);
    assert_memory_equal(data, "789", 3);
    must(storage_read(store, "range", 10, data, 16, info.etag, &got, &info, &err), &err);
    assert_int_equal(got, 0);
    must(storage_read(store, "range", 11, data, 1, NULL, &got, NULL, &err), &err);
    assert_int_equal(got, 0);
    assert_int_equal(storage_read(store, "range", 0, data, 1, "0123", &got, &info, &err),
                     STORAGE_CHANGED);
    assert_int_equal(storage_read(store, "range", 99, data, 1, "0123", &got, &info, &err),
                     STORAGE_CHANGED);
}

static void the_time_of_a_file_is_kept(void **state)
{
    struct storage *store = *state;
    struct storage_error err;
    struct storage_info info;
    struct upload_plan plan = {.size = 1, .part_size = PART, .mtime_ns = 1234567890123456789};
    struct upload *upload = NULL;
    enum storage_verified verified;
    const struct backend *backend = store->backend;
    must(backend->upload_begin(&upload, store, "mtime", &plan, &err), &err);
    must(backend->upload_part(upload, 1, "x", 1, storage_crc32(0, "x", 1), &err), &err);
    must(backend->upload_complete(upload, 1, storage_crc32(0, "x", 1), &verified, &err), &err);
    must(storage_stat(store, "mtime", &info, &err), &err);
    assert_true(info.mtime_ns == plan.mtime_ns);
}

static void wrong_sums_are_refused_by_the_store(void **state)
{
    struct storage *store = *state;
    struct storage_error err;
    struct storage_info info;
    struct upload_plan plan = {.size = 1, .part_size = PART};
    struct upload *upload = NULL;
    enum storage_verified verified;
    const struct backend *backend = store->backend;
    must(backend->upload_begin(&upload, store, "corrupt", &plan, &err), &err);
    must(backend->upload_part(upload, 1, "x", 1, 12345, &err), &err);
    assert_int_equal(backend->upload_complete(upload, 1, 12345, &verified, &err),
                     STORAGE_INTEGRITY);
    assert_int_equal(storage_stat(store, "corrupt", &info, &err), STORAGE_NOT_FOUND);
}

/* ---- keys and listings ---------------------------------------------------------------------- */

static void any_key_goes_and_comes(void **state)
{
    struct storage *store = *state;
    struct storage_error err;
    /* In the order of bytes. */
    static const char *const keys[] = {
        "odd/ leading",
        "odd/!'()*",
        "odd/%2F%20",
        "odd/+plus",
        "odd/<a>&amp;\"b\"",
        "odd/a b",
        "odd/a=b&c;d",
        "odd/a?b#c",
        "odd/back\\slash",
        "odd/ctrl\x01\x1f.x",
        "odd/line\nend",
        "odd/return\rend",
        "odd/tab\tend",
        "odd/trailing ",
        "odd/ze\xcc\x88ro",
        "odd/~tilde",
        "odd/\xc3\xbcml\xc3\xa4ut",
        "odd/\xe6\x95\xb0\xe6\x8d\xae",
        "odd/\xf0\x9f\x9a\xa2",
    };
    enum {
        COUNT = sizeof keys / sizeof *keys
    };
    for (size_t i = 0; i < COUNT; i++) {
        put_text(store, keys[i], keys[i]);
    }
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    must(storage_lister_open(&lister, store, "odd/", true, &err), &err);
    for (size_t i = 0; i < COUNT; i++) {
        must(storage_lister_next(lister, &entry, &err), &err);
        assert_non_null(entry.key);
        assert_string_equal(entry.key, keys[i]);
        assert_int_equal(entry.info.size, strlen(keys[i]));
    }
    must(storage_lister_next(lister, &entry, &err), &err);
    assert_null(entry.key);
    storage_lister_close(lister);
    for (size_t i = 0; i < COUNT; i++) {
        assert_content(store, keys[i], keys[i]);
    }
    size_t removed = 0;
    must(storage_remove_batch(store, keys, COUNT, &removed, &err), &err);
    assert_int_equal(removed, COUNT);
    assert_int_equal(count_below(store, "odd/"), 0);
}

enum {
    MANY = 2345
};

static void *put_many(void *context)
{
    struct storage *store = context;
    static atomic_uint next;
    for (unsigned i; (i = atomic_fetch_add(&next, 1)) < MANY;) {
        char key[32];
        snprintf(key, sizeof key, "many/%u/%05u", i % 3, i);
        put_text(store, key, "x");
    }
    return NULL;
}

static void long_listings_are_whole_and_in_order(void **state)
{
    struct storage *store = *state;
    struct storage_error err;
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, store), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    put_text(store, "many-beside", "x"); /* MinIO cannot have both "many" and "many/…" */
    put_text(store, "many/file", "x");

    static char keys[MANY + 1][32];
    static const char *pointers[MANY + 2];
    size_t count = 0;
    must(storage_lister_open(&lister, store, "many/", true, &err), &err);
    for (;;) {
        must(storage_lister_next(lister, &entry, &err), &err);
        if (!entry.key) {
            break;
        }
        assert_true(count <= MANY);
        assert_false(entry.is_prefix);
        snprintf(keys[count], sizeof keys[0], "%s", entry.key);
        assert_true(count == 0 || strcmp(keys[count - 1], keys[count]) < 0);
        pointers[count] = keys[count];
        count++;
    }
    storage_lister_close(lister);
    assert_int_equal(count, MANY + 1);

    static const char *const level[] = {"many/0/", "many/1/", "many/2/", "many/file"};
    must(storage_lister_open(&lister, store, "many/", false, &err), &err);
    for (size_t i = 0; i < 4; i++) {
        must(storage_lister_next(lister, &entry, &err), &err);
        assert_string_equal(entry.key, level[i]);
        assert_int_equal(entry.is_prefix, i < 3);
    }
    must(storage_lister_next(lister, &entry, &err), &err);
    assert_null(entry.key);
    storage_lister_close(lister);

    size_t removed = 0;
    pointers[count++] = "many/never-was";
    must(storage_remove_batch(store, pointers, count, &removed, &err), &err);
    assert_int_equal(removed, count);
    assert_int_equal(count_below(store, "many/"), 0);
    assert_int_equal(count_below(store, "many"), 1);
}

/* ---- parts ---------------------------------------------------------------------------------- */

static unsigned char *noise(size_t size)
{
    unsigned char *data = malloc(size);
    uint64_t state = 88172645463325252u;
    assert_non_null(data);
    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data[i] = (unsigned char)state;
    }
    return data;
}

struct sending {
    struct upload *upload;
    const unsigned char *data;
    size_t size;
    unsigned number;
    enum storage_code code;
    struct storage_error err;
};

static void *send_part(void *context)
{
    struct sending *sending = context;
    const struct backend *backend = sending->upload->store->backend;
    sending->code =
        backend->upload_part(sending->upload, sending->number, sending->data, sending->size,
                             storage_crc32(0, sending->data, sending->size), &sending->err);
    return NULL;
}

/* Uploads size bytes in parts, all at once, the last first. */
static struct upload *send_parts(struct storage *store, const char *key, const unsigned char *data,
                                 size_t size, bool known)
{
    struct storage_error err;
    struct upload_plan plan = {.size = known ? size : UINT64_MAX, .part_size = PART};
    struct upload *upload = NULL;
    struct sending sending[8];
    pthread_t threads[8];
    unsigned count = (unsigned)((size + PART - 1) / PART);
    assert_true(count <= 8);
    must(store->backend->upload_begin(&upload, store, key, &plan, &err), &err);
    for (unsigned i = count; i-- > 0;) {
        size_t offset = (size_t)i * PART;
        sending[i] = (struct sending){.upload = upload, .data = data + offset, .number = i + 1};
        sending[i].size = size - offset < PART ? size - offset : PART;
        assert_int_equal(pthread_create(&threads[i], NULL, send_part, &sending[i]), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        must(sending[i].code, &sending[i].err);
    }
    return upload;
}

static void check_parts(struct storage *store, bool known, enum storage_verified expected)
{
    struct storage_error err;
    struct storage_info info;
    size_t size = 20 * MIB + 7;
    unsigned char *data = noise(size);
    unsigned char *back = malloc(size);
    enum storage_verified verified;
    uint32_t crc = storage_crc32(0, data, size);
    size_t got = 0;
    assert_non_null(back);
    struct upload *upload = send_parts(store, "big", data, size, known);
    must(store->backend->upload_complete(upload, size, crc, &verified, &err), &err);
    assert_int_equal(verified, expected);
    must(storage_stat(store, "big", &info, &err), &err);
    assert_int_equal(info.size, size);
    assert_int_equal(info.has_crc32, expected == STORAGE_VERIFIED_CRC32);
    assert_true(!info.has_crc32 || info.crc32 == crc);
    must(storage_read(store, "big", 0, back, size, info.etag, &got, NULL, &err), &err);
    assert_int_equal(got, size);
    assert_memory_equal(data, back, size);
    must(storage_remove(store, "big", &err), &err);
    free(data);
    free(back);
}

static void parts_make_the_whole(void **state)
{
    check_parts(*state, true, STORAGE_VERIFIED_CRC32);
    check_parts(*state, false, STORAGE_VERIFIED_CRC32);
}

/* The bucket's open uploads, as the store counts them. */
static bool has_uploads(struct storage *store)
{
    const struct sign_pair query = {"uploads", NULL};
    struct s3_request request = {
        .method = "GET", .what = "bucket", .query = &query, .query_count = 1};
    struct http_response response;
    struct storage_error err;
    http_response_init(&response);
    must(s3_perform((struct s3_store *)store, &request, &response, &err), &err);
    bool any = strstr(response.body.data, "<UploadId>") != NULL;
    http_response_release(&response);
    return any;
}

static void an_aborted_upload_leaves_nothing(void **state)
{
    struct storage *store = *state;
    struct storage_error err;
    struct storage_info info;
    size_t size = 10 * MIB;
    unsigned char *data = noise(size);
    struct upload *upload = send_parts(store, "aborted", data, size, true);
    store->backend->upload_abort(upload);
    assert_int_equal(storage_stat(store, "aborted", &info, &err), STORAGE_NOT_FOUND);
    assert_false(has_uploads(store));

    /* A part that never came; and a store that says the sums differ. */
    enum storage_verified verified;
    upload = send_parts(store, "aborted", data, size, true);
    assert_int_equal(store->backend->upload_complete(upload, size + 1, 0, &verified, &err),
                     STORAGE_TRANSFER);
    upload = send_parts(store, "aborted", data, size, true);
    assert_int_not_equal(store->backend->upload_complete(upload, size, 1, &verified, &err),
                         STORAGE_OK);
    assert_int_equal(storage_stat(store, "aborted", &info, &err), STORAGE_NOT_FOUND);
    assert_false(has_uploads(store));
    free(data);
}

static void a_stop_ends_calls_and_still_cleans_up(void **state)
{
    (void)state;
    atomic_bool stop = false;
    struct storage_access access = root_access();
    struct storage *store = open_as("jf-test", &access, &stop);
    struct storage_error err;
    struct storage_info info;
    unsigned char *data = noise(10 * MIB);
    struct upload *upload = send_parts(store, "stopped", data, 10 * MIB, true);
    atomic_store(&stop, true);
    assert_int_equal(storage_stat(store, "x", &info, &err), STORAGE_STOPPED);
    store->backend->upload_abort(upload);
    assert_false(has_uploads(*state));
    storage_close(store);
    free(data);
}

/* ---- dialects ------------------------------------------------------------------------------- */

static void version_2_signatures_work(void **state)
{
    (void)state;
    struct storage_access access = root_access();
    access.signature = STORAGE_SIGN_V2;
    struct storage *store = open_as("jf-test", &access, NULL);
    struct storage_error err;
    enum storage_verified verified;
    must(storage_put(store, "v2 key+%", "abc", 3, &verified, &err), &err);
    assert_int_equal(verified, STORAGE_VERIFIED_MD5);
    assert_content(store, "v2 key+%", "abc");
    assert_int_equal(count_below(store, "v2 key"), 1);
    const char *keys[] = {"v2 key+%"};
    size_t removed = 0;
    must(storage_remove_batch(store, keys, 1, &removed, &err), &err);
    assert_int_equal(removed, 1);
    check_parts(store, true, STORAGE_VERIFIED_ETAG);
    storage_close(store);
}

static void bodies_need_not_be_signed(void **state)
{
    (void)state;
    struct storage_access access = root_access();
    access.unsigned_payload = true;
    struct storage *store = open_as("jf-test", &access, NULL);
    put_text(store, "unsigned", "abc");
    assert_content(store, "unsigned", "abc");
    storage_close(store);
}

/* ---- refusals ------------------------------------------------------------------------------- */

/* Each kind of request to bucket is refused with code and the service's word. */
static void assert_refused(const char *bucket, const struct storage_access *access,
                           enum storage_code code, const char *word)
{
    struct storage *store = open_as(bucket, access, NULL);
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    struct storage_info info;
    struct storage_error err[5];
    char byte = 0;
    size_t got = 0;
    enum storage_code codes[5];
    codes[0] = storage_stat(store, "key", &info, &err[0]);
    codes[1] = storage_read(store, "key", 0, &byte, 1, NULL, &got, NULL, &err[1]);
    must(storage_lister_open(&lister, store, "", true, &err[2]), &err[2]);
    codes[2] = storage_lister_next(lister, &entry, &err[2]);
    storage_lister_close(lister);
    codes[3] = storage_put(store, "key", "x", 1, NULL, &err[3]);
    codes[4] = storage_stat(store, "", &info, &err[4]);
    for (size_t i = 0; i < 5; i++) {
        if (codes[i] != code || strcmp(err[i].service_code, word) != 0) {
            fail_msg("%zu: %s", i, err[i].message);
        }
        assert_int_equal(err[i].code, code);
        assert_non_null(strstr(err[i].message, word));
        assert_true(err[i].http_status >= 400 && err[i].request_id[0] && err[i].hint[0]);
        assert_int_equal(strncmp(err[i].target, "s3://", 5), 0);
        assert_null(strstr(err[i].message, "after")); /* trying again does not help */
    }
    storage_close(store);
}

static void refusals_are_told_apart(void **state)
{
    (void)state;
    struct storage_access access = root_access();
    assert_refused("jf-nowhere", &access, STORAGE_NOT_FOUND, "NoSuchBucket");
    access.secret_key = "notthesecretkeyatall";
    assert_refused("jf-test", &access, STORAGE_DENIED, "SignatureDoesNotMatch");
    access.access_key = "nobodyknowsme";
    assert_refused("jf-test", &access, STORAGE_DENIED, "InvalidAccessKeyId");
    access = (struct storage_access){0};
    assert_refused("jf-test", &access, STORAGE_DENIED, "AccessDenied");
}

static void removing_from_nowhere_fails(void **state)
{
    (void)state;
    struct storage *store = open_root("jf-nowhere");
    struct storage_error err;
    const char *keys[] = {"a", "b"};
    size_t removed = 9;
    assert_int_equal(storage_remove(store, "a", &err), STORAGE_NOT_FOUND);
    assert_string_equal(err.service_code, "NoSuchBucket");
    assert_int_equal(storage_remove_batch(store, keys, 2, &removed, &err), STORAGE_NOT_FOUND);
    assert_int_equal(removed, 0);
    storage_close(store);
}

static void a_missing_key_is_not_a_missing_bucket(void **state)
{
    (void)state;
    struct storage *store = open_root("jf-test"); /* new: it does not know that the bucket is */
    struct storage_info info;
    struct storage_error err;
    char byte = 0;
    size_t got = 0;
    assert_int_equal(storage_stat(store, "never", &info, &err), STORAGE_NOT_FOUND);
    assert_string_equal(err.service_code, "NoSuchKey");
    assert_non_null(strstr(err.message, "HEAD s3://jf-test/never: 404 NoSuchKey"));
    assert_int_equal(storage_read(store, "never", 0, &byte, 1, NULL, &got, &info, &err),
                     STORAGE_NOT_FOUND);
    assert_string_equal(err.service_code, "NoSuchKey");
    storage_close(store);
}

static void nobody_may_read_what_is_public(void **state)
{
    (void)state;
    static const char policy[] =
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":"
        "{\"AWS\":[\"*\"]},\"Action\":[\"s3:GetObject\",\"s3:ListBucket\"],\"Resource\":"
        "[\"arn:aws:s3:::jf-public\",\"arn:aws:s3:::jf-public/*\"]}]}";
    struct storage *store = open_root("jf-public");
    struct storage_error err;
    const struct sign_pair query = {"policy", NULL};
    const struct sign_pair type = {"Content-Type", "application/json"};
    struct s3_request request = {.method = "PUT",
                                 .what = "bucket",
                                 .query = &query,
                                 .query_count = 1,
                                 .headers = &type,
                                 .header_count = 1,
                                 .body = policy,
                                 .body_size = sizeof policy - 1};
    struct http_response response;
    http_response_init(&response);
    must(storage_make_bucket(store, "", &err), &err);
    must(s3_perform((struct s3_store *)store, &request, &response, &err), &err);
    put_text(store, "MNIST/x", "public");
    http_response_release(&response);
    storage_close(store);

    struct storage_access access = {0};
    store = open_as("jf-public", &access, NULL);
    assert_content(store, "MNIST/x", "public");
    assert_int_equal(count_below(store, "MNIST/"), 1);
    assert_int_equal(storage_put(store, "MNIST/y", "x", 1, NULL, &err), STORAGE_DENIED);
    assert_non_null(strstr(err.hint, "no keys"));
    storage_close(store);
}

static void record_trace(void *context, const char *line)
{
    struct buf *buf = context;
    buf_format(buf, "%s\n", line);
}

static void the_trace_holds_no_secret(void **state)
{
    (void)state;
    struct storage *store = NULL;
    struct storage_info info;
    struct buf lines;
    struct storage_url url = {.kind = STORAGE_S3, .bucket = "jf-test"};
    struct storage_config config = {
        .access = root_access(), .trace = record_trace, .trace_context = &lines};
    buf_init(&lines, MIB);
    config.access.endpoint = getenv("MINIO_ENDPOINT");
    config.access.ca_file = getenv("MINIO_CA_FILE");
    assert_int_equal(storage_open(&store, &url, &config, NULL), STORAGE_OK);
    storage_stat(store, "traced", &info, NULL);
    storage_close(store);
    assert_non_null(strstr(lines.data, "/jf-test/traced: 404, 0 bytes out"));
    assert_null(strstr(lines.data, config.access.secret_key));
    assert_null(strstr(lines.data, "Signature"));
    buf_release(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_comes_back_as_it_went),
        cmocka_unit_test(an_empty_object_is_an_object),
        cmocka_unit_test(ranges_end_with_the_object),
        cmocka_unit_test(the_time_of_a_file_is_kept),
        cmocka_unit_test(wrong_sums_are_refused_by_the_store),
        cmocka_unit_test(any_key_goes_and_comes),
        cmocka_unit_test(long_listings_are_whole_and_in_order),
        cmocka_unit_test(parts_make_the_whole),
        cmocka_unit_test(an_aborted_upload_leaves_nothing),
        cmocka_unit_test(a_stop_ends_calls_and_still_cleans_up),
        cmocka_unit_test(version_2_signatures_work),
        cmocka_unit_test(bodies_need_not_be_signed),
        cmocka_unit_test(refusals_are_told_apart),
        cmocka_unit_test(removing_from_nowhere_fails),
        cmocka_unit_test(a_missing_key_is_not_a_missing_bucket),
        cmocka_unit_test(nobody_may_read_what_is_public),
        cmocka_unit_test(the_trace_holds_no_secret),
    };
    if (!getenv("MINIO_ENDPOINT")) {
        fprintf(stderr, "skipped: run me by tests/with_minio.sh\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, make_bucket, close_bucket);
}
