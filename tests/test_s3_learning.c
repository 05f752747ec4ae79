/*
 * What the S3 backend learns from answers, by script: the store's clock, the bucket's region, its
 * dialect; and what it never does whatever the answer.
 */
#include "scene.h"

static void the_clock_of_the_store_is_used(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k",
         "403 No\nDate: Sat, 12 Oct 2030 08:12:38 GMT" SCENE_ERROR("RequestTimeTooSkewed")},
        {"GET /bkt/k", SCENE_OK_BODY},
        {"HEAD /bkt/k", "200 OK\nContent-Length: 3"},
    };
    struct storage_info info;
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    scene_must(&scene, scene_read_key(&scene));
    scene_must(&scene, storage_stat(scene.store, "k", &info, &scene.err));
    scene_assert_sent(&scene, 0, "x-amz-date: 2030", false);
    scene_assert_sent(&scene, 1, "x-amz-date: 20301012T08", true);
    scene_assert_sent(&scene, 2, "x-amz-date: 20301012T08", true);
    scene_finish(&scene);
}

static void a_store_that_is_always_skewed_is_given_up(void **state)
{
    (void)state;
    static const char answer[] =
        "403 No\nDate: Sat, 12 Oct 2030 08:12:38 GMT" SCENE_ERROR("RequestTimeTooSkewed");
    static const struct script_step steps[] = {{"GET /bkt/k", answer}, {"GET /bkt/k", answer}};
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    assert_int_equal(scene_read_key(&scene), STORAGE_DENIED);
    assert_non_null(strstr(scene.err.hint, "clock"));
    scene_finish(&scene);
}

static void the_region_of_the_bucket_is_used(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "400 No\n\n<Error><Code>AuthorizationHeaderMalformed</Code>"
                       "<Region>eu-central-7</Region></Error>"},
        {"GET /bkt/k",
         "301 Moved\nx-amz-bucket-region: eu-central-8" SCENE_ERROR("PermanentRedirect")},
        {"GET /bkt/k", SCENE_OK_BODY},
    };
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    scene_must(&scene, scene_read_key(&scene));
    scene_assert_sent(&scene, 0, "/us-east-1/s3/", true);
    scene_assert_sent(&scene, 1, "/eu-central-7/s3/", true);
    scene_assert_sent(&scene, 2, "/eu-central-8/s3/", true);
    scene_finish(&scene);
}

static void redirects_elsewhere_are_not_followed(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "307 Moved\nLocation: http://127.0.0.1:9/bkt/k"}};
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    assert_int_equal(scene_read_key(&scene), STORAGE_TRANSFER);
    scene_finish(&scene);
}

static void obs_is_spoken_to_as_obs(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "403 No\nx-obs-request-id: O1" SCENE_ERROR("AccessDenied")},
        {"GET /bkt/k", SCENE_OK_BODY},
        {"GET /bkt/?prefix=&max-keys=1000", "200 OK\n\n<ListBucketResult/>"},
        {"PUT /bkt/k", "200 OK\nETag: \"900150983cd24fb0d6963f7d28e17f72\""},
    };
    struct storage_config config = scene_config();
    config.access.session_token = "TOK";
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    enum storage_verified verified;
    struct scene scene;
    scene_open(&scene, &config, SCENE_STEPS(steps));
    scene_must(&scene, scene_read_key(&scene));
    scene_assert_sent(&scene, 0, "Authorization: AWS4-HMAC-SHA256", true);
    scene_assert_sent(&scene, 0, "x-amz-security-token: TOK", true);
    scene_assert_sent(&scene, 0, /* of nothing: over http the body is signed */
                      "x-amz-content-sha256: "
                      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                      true);
    scene_assert_sent(&scene, 1, "Authorization: OBS AK:", true);
    scene_assert_sent(&scene, 1, "x-obs-date: ", true);
    scene_assert_sent(&scene, 1, "x-obs-security-token: TOK", true);
    scene_assert_sent(&scene, 1, "x-amz-", false);
    scene_must(&scene, storage_lister_open(&lister, scene.store, "", true, &scene.err));
    scene_must(&scene, storage_lister_next(lister, &entry, &scene.err));
    assert_null(entry.key);
    storage_lister_close(lister);
    scene_must(&scene, storage_put(scene.store, "k", "abc", 3, &verified, &scene.err));
    assert_int_equal(verified, STORAGE_VERIFIED_MD5);
    scene_assert_sent(&scene, 3, "Content-MD5: kAFQmDzST7DWlj99KOF/cg==", true);
    scene_assert_sent(&scene, 3, "checksum", false);
    scene_finish(&scene);
}

/* OBS takes no other payload mode of SigV4 than this. */
static void version_4_to_obs_leaves_the_body_unsigned(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"PUT /bkt/k", "400 No\nx-obs-request-id: O1" SCENE_ERROR("XAmzContentSHA256Mismatch")},
        {"PUT /bkt/k", "200 OK\nETag: \"" SCENE_MD5_OF_ABC "\""},
    };
    struct storage_config config = scene_config();
    config.access.signature = STORAGE_SIGN_V4;
    struct scene scene;
    scene_open(&scene, &config, SCENE_STEPS(steps));
    scene_must(&scene, storage_put(scene.store, "k", "abc", 3, NULL, &scene.err));
    scene_assert_sent(&scene, 0, "UNSIGNED-PAYLOAD", false);
    scene_assert_sent(&scene, 1, "x-amz-content-sha256: UNSIGNED-PAYLOAD", true);
    scene_assert_sent(&scene, 1, "Authorization: AWS4-HMAC-SHA256", true);
    scene_finish(&scene);
}

static void anonymous_requests_carry_no_signature(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{"GET /bkt/k", SCENE_OK_BODY}};
    struct storage_config config = scene_config();
    config.access.signature = STORAGE_SIGN_NONE;
    struct scene scene;
    scene_open(&scene, &config, SCENE_STEPS(steps));
    scene_must(&scene, scene_read_key(&scene));
    scene_assert_sent(&scene, 0, "Authorization", false);
    scene_assert_sent(&scene, 0, "AK", false);
    scene_finish(&scene);
}

static void bad_access_is_refused_before_any_request(void **state)
{
    (void)state;
    static const struct storage_access cases[] = {
        {.access_key = "AK"},
        {.access_key = "AK", .secret_key = "SK\n"},
        {.access_key = "AK\r\nX: y", .secret_key = "SK"},
        {.access_key = "AK", .secret_key = "SK", .session_token = "a b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_url url = {.kind = STORAGE_S3, .bucket = "bkt"};
        struct storage_config config = {.access = cases[i]};
        struct storage *store = NULL;
        struct storage_error err;
        assert_int_equal(storage_open(&store, &url, &config, &err), STORAGE_USAGE);
        assert_null(store);
        assert_null(strstr(err.message, "SK"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_of_the_store_is_used),
        cmocka_unit_test(a_store_that_is_always_skewed_is_given_up),
        cmocka_unit_test(the_region_of_the_bucket_is_used),
        cmocka_unit_test(redirects_elsewhere_are_not_followed),
        cmocka_unit_test(obs_is_spoken_to_as_obs),
        cmocka_unit_test(version_4_to_obs_leaves_the_body_unsigned),
        cmocka_unit_test(anonymous_requests_carry_no_signature),
        cmocka_unit_test(bad_access_is_refused_before_any_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
