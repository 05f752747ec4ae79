/*
 * The S3 backend against a real store: uploads in parts, from many threads at once, ended, aborted
 * and stopped; and the dialects of signatures, which parts have to bear too.
 */
#include "minio_fixture.h"

#include <pthread.h>

enum {
    PART = 8 * MIB
};

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
    minio_must(store->backend->upload_begin(&upload, store, key, &plan, &err), &err);
    for (unsigned i = count; i-- > 0;) {
        size_t offset = (size_t)i * PART;
        sending[i] = (struct sending){.upload = upload, .data = data + offset, .number = i + 1};
        sending[i].size = size - offset < PART ? size - offset : PART;
        assert_int_equal(pthread_create(&threads[i], NULL, send_part, &sending[i]), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        minio_must(sending[i].code, &sending[i].err);
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
    minio_must(store->backend->upload_complete(upload, size, crc, &verified, &err), &err);
    assert_int_equal(verified, expected);
    minio_must(storage_stat(store, "big", &info, &err), &err);
    assert_int_equal(info.size, size);
    assert_int_equal(info.has_crc32, expected == STORAGE_VERIFIED_CRC32);
    assert_true(!info.has_crc32 || info.crc32 == crc);
    minio_must(storage_read(store, "big", 0, back, size, info.etag, &got, NULL, &err), &err);
    assert_int_equal(got, size);
    assert_memory_equal(data, back, size);
    minio_must(storage_remove(store, "big", &err), &err);
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
    minio_must(s3_perform((struct s3_store *)store, &request, &response, &err), &err);
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
    struct storage_access access = minio_root_access();
    struct storage *store = minio_open_as("jf-test", &access, &stop);
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
    struct storage_access access = minio_root_access();
    access.signature = STORAGE_SIGN_V2;
    struct storage *store = minio_open_as("jf-test", &access, NULL);
    struct storage_error err;
    enum storage_verified verified;
    minio_must(storage_put(store, "v2 key+%", "abc", 3, &verified, &err), &err);
    assert_int_equal(verified, STORAGE_VERIFIED_MD5);
    minio_assert_content(store, "v2 key+%", "abc");
    assert_int_equal(minio_count_below(store, "v2 key"), 1);
    const char *keys[] = {"v2 key+%"};
    size_t removed = 0;
    minio_must(storage_remove_batch(store, keys, 1, &removed, &err), &err);
    assert_int_equal(removed, 1);
    check_parts(store, true, STORAGE_VERIFIED_ETAG);
    storage_close(store);
}

static void bodies_need_not_be_signed(void **state)
{
    (void)state;
    struct storage_access access = minio_root_access();
    access.unsigned_payload = true;
    struct storage *store = minio_open_as("jf-test", &access, NULL);
    minio_put_text(store, "unsigned", "abc");
    minio_assert_content(store, "unsigned", "abc");
    storage_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_make_the_whole),
        cmocka_unit_test(an_aborted_upload_leaves_nothing),
        cmocka_unit_test(a_stop_ends_calls_and_still_cleans_up),
        cmocka_unit_test(version_2_signatures_work),
        cmocka_unit_test(bodies_need_not_be_signed),
    };
    if (!minio_is_there()) {
        return MINIO_SKIPPED;
    }
    return cmocka_run_group_tests(tests, minio_make_bucket, minio_close_bucket);
}
