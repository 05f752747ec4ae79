/* Presigned URLs against the services' published examples and Huawei's own SDK's. */
#include "storage/s3/s3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define AK "AKIAIOSFODNN7EXAMPLE"
#define SK "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

static struct storage *open_store(const char *bucket, struct storage_config config)
{
    struct storage *store = NULL;
    struct storage_error err;
    struct storage_url url = {.kind = STORAGE_S3};
    snprintf(url.bucket, sizeof url.bucket, "%s", bucket);
    if (!config.access.access_key) {
        config.access.access_key = AK;
        config.access.secret_key = SK;
    }
    if (storage_open(&store, &url, &config, &err) != STORAGE_OK) {
        fail_msg("%s", err.message);
    }
    return store;
}

/* S3 API reference, "Authenticating Requests: Using Query Parameters". */
static void version_4_gives_the_published_example(void **state)
{
    (void)state;
    struct storage_config config = {.access.endpoint = "https://s3.amazonaws.com"};
    struct storage *store = open_store("examplebucket", config);
    struct storage_error err;
    char url[4096];
    const int64_t now = 1369353600; /* 20130524T000000Z */
    assert_int_equal(s3_presign_at((struct s3_store *)store, "test.txt", "GET", now, now + 86400,
                                   url, sizeof url, &err),
                     STORAGE_OK);
    assert_string_equal(
        url, "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
             "&X-Amz-Credential=" AK "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
             "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
             "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    storage_close(store);
}

/* Made with the auth module of Huawei's Python SDK. */
static void obs_gives_what_its_sdk_gives(void **state)
{
    (void)state;
    struct storage_config config = {.access.endpoint = "https://obs.cn-north-4.myhuaweicloud.com"};
    struct storage *store = open_store("demo-bucket", config);
    struct storage_error err;
    char url[4096];
    assert_int_equal(storage_presign(store, "object.txt", "GET", 1893456000, url, sizeof url, &err),
                     STORAGE_OK);
    assert_string_equal(url, "https://demo-bucket.obs.cn-north-4.myhuaweicloud.com/object.txt"
                             "?AccessKeyId=" AK "&Expires=1893456000"
                             "&Signature=igPpQwLXTPxFQnOpGZsyNFcmtjM%3D");
    storage_close(store);
}

/* A token and a version are parameters of their own, and signed. */
static void tokens_and_versions_are_signed(void **state)
{
    (void)state;
    static const struct {
        enum storage_signature signature;
        const char *token;
    } cases[] = {
        {STORAGE_SIGN_V4, "&X-Amz-Security-Token=T%2FK"},
        {STORAGE_SIGN_OBS, "&x-obs-security-token=T%2FK"},
        {STORAGE_SIGN_V2, "&x-amz-security-token=T%2FK"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char plain[4096], with_token[4096], with_version[4096];
        struct storage_error err;
        struct storage_config config = {.access = {.access_key = AK,
                                                   .secret_key = SK,
                                                   .endpoint = "http://127.0.0.1:9000",
                                                   .signature = cases[i].signature}};
        char *const urls[] = {plain, with_token, with_version};
        for (size_t j = 0; j < 3; j++) {
            config.access.session_token = j > 0 ? "T/K" : NULL;
            config.headers.version_id = j > 1 ? "v1" : NULL;
            struct storage *store = open_store("bkt", config);
            assert_int_equal(s3_presign_at((struct s3_store *)store, "a b/ä", "PUT", 1000, 2000,
                                           urls[j], 4096, &err),
                             STORAGE_OK);
            assert_non_null(strstr(urls[j], "http://127.0.0.1:9000/bkt/a%20b/%C3%A4?"));
            storage_close(store);
        }
        assert_non_null(strstr(with_token, cases[i].token));
        assert_non_null(strstr(with_version, "versionId=v1&"));
        const char *signatures[3];
        for (size_t j = 0; j < 3; j++) {
            signatures[j] = strstr(urls[j], "Signature=");
            assert_non_null(signatures[j]);
        }
        assert_string_not_equal(signatures[0], signatures[1]);
        assert_string_not_equal(signatures[1], signatures[2]);
    }
}

static void what_cannot_be_signed_is_refused(void **state)
{
    (void)state;
    struct storage_config config = {.access.endpoint = "http://127.0.0.1:9000"};
    struct storage_error err;
    char url[4096] = "left over";
    struct storage *store = open_store("bkt", config);
    struct s3_store *s3 = (struct s3_store *)store;
    assert_int_equal(s3_presign_at(s3, "k", "GET", 1000, 1000, url, sizeof url, &err),
                     STORAGE_USAGE);
    assert_int_equal(s3_presign_at(s3, "k", "GET", 1000, 1000 + 604801, url, sizeof url, &err),
                     STORAGE_USAGE);
    assert_int_equal(s3_presign_at(s3, "k", "GET", 1000, 1000 + 604800, url, sizeof url, &err),
                     STORAGE_OK);
    assert_int_equal(s3_presign_at(s3, "k", "GET", 1000, 2000, url, 64, &err), STORAGE_BUG);
    assert_string_equal(url, "");
    storage_close(store);
    config.access.access_key = "";
    store = open_store("bkt", config);
    assert_int_equal(storage_presign(store, "k", "GET", INT64_MAX, url, sizeof url, &err),
                     STORAGE_DENIED);
    storage_close(store);
    struct storage_url here = {.kind = STORAGE_LOCAL};
    assert_int_equal(storage_open(&store, &here, &config, &err), STORAGE_OK);
    assert_int_equal(storage_presign(store, "k", "GET", INT64_MAX, url, sizeof url, &err),
                     STORAGE_USAGE);
    storage_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_4_gives_the_published_example),
        cmocka_unit_test(obs_gives_what_its_sdk_gives),
        cmocka_unit_test(tokens_and_versions_are_signed),
        cmocka_unit_test(what_cannot_be_signed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
