/*
 * The S3 backend against a real store: refusals told apart, what is public, and no secret in a
 * trace.
 */
#include "minio_fixture.h"

/* Each kind of request to bucket is refused with code and the service's word. */
static void assert_refused(const char *bucket, const struct storage_access *access,
                           enum storage_code code, const char *word)
{
    struct storage *store = minio_open_as(bucket, access, NULL);
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    struct storage_info info;
    struct storage_error err[5];
    char byte = 0;
    size_t got = 0;
    enum storage_code codes[5];
    codes[0] = storage_stat(store, "key", &info, &err[0]);
    codes[1] = storage_read(store, "key", 0, &byte, 1, NULL, &got, NULL, &err[1]);
    minio_must(storage_lister_open(&lister, store, "", true, &err[2]), &err[2]);
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
    struct storage_access access = minio_root_access();
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
    struct storage *store = minio_open_root("jf-nowhere");
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
    struct storage *store =
        minio_open_root("jf-test"); /* new: it does not know that the bucket is */
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
    struct storage *store = minio_open_root("jf-public");
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
    minio_must(storage_make_bucket(store, "", &err), &err);
    minio_must(s3_perform((struct s3_store *)store, &request, &response, &err), &err);
    minio_put_text(store, "MNIST/x", "public");
    http_response_release(&response);
    storage_close(store);

    struct storage_access access = {0};
    store = minio_open_as("jf-public", &access, NULL);
    minio_assert_content(store, "MNIST/x", "public");
    assert_int_equal(minio_count_below(store, "MNIST/"), 1);
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
        .access = minio_root_access(), .trace = record_trace, .trace_context = &lines};
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
        cmocka_unit_test(refusals_are_told_apart),
        cmocka_unit_test(removing_from_nowhere_fails),
        cmocka_unit_test(a_missing_key_is_not_a_missing_bucket),
        cmocka_unit_test(nobody_may_read_what_is_public),
        cmocka_unit_test(the_trace_holds_no_secret),
    };
    if (!minio_is_there()) {
        return MINIO_SKIPPED;
    }
    return cmocka_run_group_tests(tests, minio_make_bucket, minio_close_bucket);
}
