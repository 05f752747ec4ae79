/*
 * The S3 backend against a real store (with_minio.sh starts it): objects, keys, listings.
 */
#include "minio_fixture.h"

#include <pthread.h>

enum {
    PART = 8 * MIB
};

/* ---- objects -------------------------------------------------------------------------------- */

static void an_object_comes_back_as_it_went(void **state)
{
    struct storage *store = *state;
    struct storage_error err;
    struct storage_info info;
    minio_put_text(store, "a/b.txt", "123456789");
    minio_assert_content(store, "a/b.txt", "123456789");
    minio_must(storage_stat(store, "a/b.txt", &info, &err), &err);
    assert_int_equal(info.size, 9);
    assert_true(info.has_crc32);
    assert_int_equal(info.crc32, 0xCBF43926);
    assert_string_equal(info.etag, "25f9e794323b453885f5181f1b624d0b");
    assert_true(info.mtime_ns > INT64_C(1600000000) * 1000000000);
    assert_false(info.is_directory);
    minio_must(storage_stat(store, "", &info, &err), &err);
    assert_true(info.is_directory);
    minio_must(storage_remove(store, "a/b.txt", &err), &err);
    minio_must(storage_remove(store, "a/b.txt", &err), &err); /* gone is fine */
    assert_int_equal(storage_stat(store, "a/b.txt", &info, &err), STORAGE_NOT_FOUND);
}

static void an_empty_object_is_an_object(void **state)
{
    struct storage *store = *state;
    struct storage_error err;
    struct storage_info info;
    char byte = 'x';
    size_t got = 9;
    minio_put_text(store, "empty", "");
    minio_must(storage_stat(store, "empty", &info, &err), &err);
    assert_int_equal(info.size, 0);
    minio_must(storage_read(store, "empty", 0, &byte, 1, NULL, &got, &info, &err), &err);
    assert_int_equal(got, 0);
    assert_true(info.etag[0]);
    minio_must(storage_read(store, "empty", 0, &byte, 0, NULL, &got, &info, &err), &err);
    assert_int_equal(got, 0);
    minio_assert_content(store, "empty", "");
}

static void ranges_end_with_the_object(void **state)
{
    struct storage *store = *state;
    struct storage_error err;
    struct storage_info info;
    char data[16];
    size_t got = 0;
    minio_put_text(store, "range", "0123456789");
    minio_must(storage_read(store, "range", 2, data, 3, NULL, &got, &info, &err), &err);
    assert_int_equal(got, 3);
    assert_memory_equal(data, "234", 3);
    assert_int_equal(info.size, 10);
    minio_must(storage_read(store, "range", 7, data, 16, info.etag, &got, &info, &err), &err);
    assert_int_equal(got, 3);
    assert_memory_equal(data, "789", 3);
    minio_must(storage_read(store, "range", 10, data, 16, info.etag, &got, &info, &err), &err);
    assert_int_equal(got, 0);
    minio_must(storage_read(store, "range", 11, data, 1, NULL, &got, NULL, &err), &err);
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
    minio_must(backend->upload_begin(&upload, store, "mtime", &plan, &err), &err);
    minio_must(backend->upload_part(upload, 1, "x", 1, storage_crc32(0, "x", 1), &err), &err);
    minio_must(backend->upload_complete(upload, 1, storage_crc32(0, "x", 1), &verified, &err),
               &err);
    minio_must(storage_stat(store, "mtime", &info, &err), &err);
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
    minio_must(backend->upload_begin(&upload, store, "corrupt", &plan, &err), &err);
    minio_must(backend->upload_part(upload, 1, "x", 1, 12345, &err), &err);
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
        minio_put_text(store, keys[i], keys[i]);
    }
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    minio_must(storage_lister_open(&lister, store, "odd/", true, &err), &err);
    for (size_t i = 0; i < COUNT; i++) {
        minio_must(storage_lister_next(lister, &entry, &err), &err);
        assert_non_null(entry.key);
        assert_string_equal(entry.key, keys[i]);
        assert_int_equal(entry.info.size, strlen(keys[i]));
    }
    minio_must(storage_lister_next(lister, &entry, &err), &err);
    assert_null(entry.key);
    storage_lister_close(lister);
    for (size_t i = 0; i < COUNT; i++) {
        minio_assert_content(store, keys[i], keys[i]);
    }
    size_t removed = 0;
    minio_must(storage_remove_batch(store, keys, COUNT, &removed, &err), &err);
    assert_int_equal(removed, COUNT);
    assert_int_equal(minio_count_below(store, "odd/"), 0);
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
        minio_put_text(store, key, "x");
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
    minio_put_text(store, "many-beside", "x"); /* MinIO cannot have both "many" and "many/…" */
    minio_put_text(store, "many/file", "x");

    static char keys[MANY + 1][32];
    static const char *pointers[MANY + 2];
    size_t count = 0;
    static const enum s3_start_after learned[] = {S3_START_AFTER_UNKNOWN, S3_START_AFTER_COSTS,
                                                  S3_START_AFTER_WORKS};
    for (int round = 0; round < 3; round++) { /* page by page; ahead; ahead, in ranges at once */
        if (round == 2) {
            atomic_store(&((struct s3_store *)store)->start_after, S3_START_AFTER_WORKS);
        }
        const struct storage_listing listing = {
            .prefix = "many/", .recursive = true, .whole = round > 0};
        minio_must(storage_lister_open_as(&lister, store, &listing, &err), &err);
        count = 0;
        for (;;) {
            minio_must(storage_lister_next(lister, &entry, &err), &err);
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
        assert_int_equal(atomic_load(&((struct s3_store *)store)->start_after), learned[round]);
    }

    static const char *const level[] = {"many/0/", "many/1/", "many/2/", "many/file"};
    minio_must(storage_lister_open(&lister, store, "many/", false, &err), &err);
    for (size_t i = 0; i < 4; i++) {
        minio_must(storage_lister_next(lister, &entry, &err), &err);
        assert_string_equal(entry.key, level[i]);
        assert_int_equal(entry.is_prefix, i < 3);
    }
    minio_must(storage_lister_next(lister, &entry, &err), &err);
    assert_null(entry.key);
    storage_lister_close(lister);

    size_t removed = 0;
    pointers[count++] = "many/never-was";
    minio_must(storage_remove_batch(store, pointers, count, &removed, &err), &err);
    assert_int_equal(removed, count);
    assert_int_equal(minio_count_below(store, "many/"), 0);
    assert_int_equal(minio_count_below(store, "many"), 1);
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
    };
    if (!minio_is_there()) {
        return MINIO_SKIPPED;
    }
    return cmocka_run_group_tests(tests, minio_make_bucket, minio_close_bucket);
}
