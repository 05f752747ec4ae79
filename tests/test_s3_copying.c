/*
 * Copies that the store makes by itself, by script: what is asked, what is believed, and when the
 * bytes are streamed instead.
 */
#include "scene.h"
#include "scratch.h"

#include <unistd.h>

#define MD5_ETAG       SCENE_MD5_OF_ABC
#define COPIED(inside) "200 OK\n\n<CopyObjectResult>" inside "</CopyObjectResult>"
#define ETAG(text)     "<ETag>&quot;" text "&quot;</ETag>"

struct seen {
    enum storage_verified verified;
    unsigned copied, failed;
    bool has_crc32;
    uint32_t crc32;
};

static void on_object(void *context, const struct storage_copied *copied)
{
    struct seen *seen = context;
    if (copied->error) {
        seen->failed++;
    } else {
        seen->copied++;
        seen->verified = copied->verified;
        seen->has_crc32 = copied->has_crc32;
        seen->crc32 = copied->crc32;
    }
}

/* Copies "k" to "to" within the bucket of the scene. */
static enum storage_code copy_key(struct scene *scene, bool moves, struct seen *seen)
{
    struct storage_copy copy = {.source = scene->store,
                                .source_key = "k",
                                .destination = scene->store,
                                .destination_key = "to",
                                .remove_source = moves,
                                .workers = 1,
                                .on_object = on_object,
                                .context = seen};
    struct storage_summary summary;
    *seen = (struct seen){0};
    return storage_copy(&copy, &summary, &scene->err);
}

#define HEAD_K                                                             \
    {                                                                      \
        "HEAD /bkt/k", "200 OK\nContent-Length: 3\nETag: \"" MD5_ETAG "\"" \
    }

static void one_request_copies_and_proves_it(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct script_step steps[5];
        size_t count;
        enum storage_code code;
        enum storage_verified verified;
    } cases[] = {
        {"the same MD5",
         {HEAD_K, {"PUT /bkt/to", COPIED(ETAG(MD5_ETAG))}},
         2,
         STORAGE_OK,
         STORAGE_VERIFIED_MD5},
        {"another ETag, the same size",
         {HEAD_K,
          {"PUT /bkt/to", COPIED(ETAG("x"))},
          {"HEAD /bkt/to", "200 OK\nContent-Length: 3\nETag: \"x\""}},
         3,
         STORAGE_OK,
         STORAGE_VERIFIED_SIZE},
        {"another ETag, the same sum",
         {HEAD_K,
          {"PUT /bkt/to", COPIED(ETAG("x"))},
          {"HEAD /bkt/to",
           "200 OK\nContent-Length: 3\nETag: \"x\"\nx-amz-checksum-crc32: " SCENE_CRC_OF_ABC},
          {"HEAD /bkt/k", "200 OK\nContent-Length: 3\nETag: \"" MD5_ETAG
                          "\"\nx-amz-checksum-crc32: " SCENE_CRC_OF_ABC}},
         4,
         STORAGE_OK,
         STORAGE_VERIFIED_CRC32},
        {"an error inside a 200, which passes",
         {HEAD_K,
          {"PUT /bkt/to", "200 OK" SCENE_ERROR("InternalError")},
          {"PUT /bkt/to", COPIED(ETAG(MD5_ETAG))}},
         3,
         STORAGE_OK,
         STORAGE_VERIFIED_MD5},
        {"an answer that says nothing, then bytes",
         {HEAD_K, {"PUT /bkt/to", "200 OK\n\n"}},
         2,
         STORAGE_TRANSFER,
         STORAGE_VERIFIED_CRC32},
        {"the source is gone",
         {HEAD_K, {"PUT /bkt/to", "404 No" SCENE_ERROR("NoSuchKey")}},
         2,
         STORAGE_NOT_FOUND,
         STORAGE_VERIFIED_CRC32},
        {"fewer bytes",
         {HEAD_K,
          {"PUT /bkt/to", COPIED(ETAG("x"))},
          {"HEAD /bkt/to", "200 OK\nContent-Length: 2\nETag: \"x\""},
          HEAD_K, /* tried once more */
          {"PUT /bkt/to", COPIED(ETAG(MD5_ETAG))}},
         5,
         STORAGE_OK,
         STORAGE_VERIFIED_MD5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene scene;
        struct seen seen;
        scene_start(&scene, cases[i].steps, cases[i].count);
        enum storage_code code = copy_key(&scene, false, &seen);
        if (code != cases[i].code || seen.verified != cases[i].verified) {
            fail_msg("%s: %d, %s", cases[i].name, (int)seen.verified, scene.err.message);
        }
        scene_assert_sent(&scene, 1, "\r\nx-amz-copy-source: /bkt/k\r\n", true);
        scene_assert_sent(&scene, 1, "\r\nx-amz-copy-source-if-match: \"" MD5_ETAG "\"\r\n", true);
        scene_assert_sent(&scene, 1, "\r\nx-amz-metadata-directive: COPY\r\n", true);
        scene_finish(&scene);
    }
}

/* OBS's names, and words of the caller that replace the source's. */
static void obs_copies_in_its_own_words(void **state)
{
    (void)state;
    static const struct script_step steps[] = {HEAD_K, {"PUT /bkt/to", COPIED(ETAG(MD5_ETAG))}};
    struct storage_config config = scene_config();
    struct scene scene;
    struct seen seen;
    config.access.signature = STORAGE_SIGN_OBS;
    config.headers.metadata = "a=b";
    scene_open(&scene, &config, SCENE_STEPS(steps));
    scene_must(&scene, copy_key(&scene, false, &seen));
    scene_assert_sent(&scene, 1, "\r\nx-obs-copy-source: /bkt/k\r\n", true);
    scene_assert_sent(&scene, 1, "\r\nx-obs-metadata-directive: REPLACE\r\n", true);
    scene_assert_sent(&scene, 1, "\r\nx-obs-meta-a: b\r\n", true);
    scene_assert_sent(&scene, 1, "x-amz-", false);
    scene_finish(&scene);
}

static void a_version_is_copied(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"HEAD /bkt/k?versionId=v1", "200 OK\nContent-Length: 3\nETag: \"" MD5_ETAG "\""},
        {"PUT /bkt/to", COPIED(ETAG(MD5_ETAG))}};
    struct storage_config config = scene_config();
    struct scene scene;
    struct seen seen;
    config.headers.version_id = "v1";
    scene_open(&scene, &config, SCENE_STEPS(steps));
    scene_must(&scene, copy_key(&scene, false, &seen));
    scene_assert_sent(&scene, 1, "\r\nx-amz-copy-source: /bkt/k?versionId=v1\r\n", true);
    scene_finish(&scene);
}

/* A store that will not copy lets the bytes pass here. */
static void what_is_refused_is_streamed(void **state)
{
    (void)state;
    static const char *const refusals[] = {
        "501 No" SCENE_ERROR("NotImplemented"),
        "405 No" SCENE_ERROR("MethodNotAllowed"),
        "403 No" SCENE_ERROR("AccessDenied"),
        "400 No" SCENE_ERROR("InvalidRequest"),
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct script_step steps[] = {
            HEAD_K,
            {"PUT /bkt/to", refusals[i]},
            {"GET /bkt/k", "200 OK\nETag: \"" MD5_ETAG "\"\n\nabc"},
            {"PUT /bkt/to", "200 OK\nETag: \"x\"\nx-amz-checksum-crc32: " SCENE_CRC_OF_ABC},
        };
        struct scene scene;
        struct seen seen;
        scene_start(&scene, SCENE_STEPS(steps));
        scene_must(&scene, copy_key(&scene, false, &seen));
        assert_int_equal(seen.verified, STORAGE_VERIFIED_MD5);
        assert_true(seen.has_crc32);
        scene_finish(&scene);
    }
}

/* ---- parts ----------------------------------------------------------------------------------- */

#define BEGUN \
    "200 "    \
    "OK\n\n<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"
#define PART(etag) "200 OK\n\n<CopyPartResult>" ETAG(etag) "</CopyPartResult>"
#define MD5_OF_D   "8277e0910d750195b448797616e091ad"
#define COMPOSITE  "26b10a702bd95f42e3c2737f5975aa20-2"
#define COMPLETED \
    "200 OK\n\n<CompleteMultipartUploadResult><ETag>z-2</ETag></CompleteMultipartUploadResult>"

static struct storage_config in_parts(void)
{
    struct storage_config config = scene_config();
    config.server_copy_max = 4;
    config.connections_max = 1; /* so that parts come in order */
    return config;
}

static void a_large_object_is_copied_in_parts(void **state)
{
    (void)state;
    static const char described[] =
        "200 OK\nContent-Length: 5\nETag: \"e\"\nContent-Type: text/x-own\nX-Amz-Meta-Who: me\n"
        "x-amz-meta-mtime: 1.500000000\nContent-Disposition: inline";
    static const struct script_step steps[] = {
        {"HEAD /bkt/k", "200 OK\nContent-Length: 5\nETag: \"e\""},
        {"HEAD /bkt/k", described},
        {"POST /bkt/to?uploads", BEGUN},
        {"PUT /bkt/to?partNumber=1&uploadId=U", PART("p1")},
        {"PUT /bkt/to?partNumber=2&uploadId=U", PART("p2")},
        {"POST /bkt/to?uploadId=U", COMPLETED},
        {"HEAD /bkt/to", "200 OK\nContent-Length: 5\nETag: \"z-2\""},
    };
    struct storage_config config = in_parts();
    struct scene scene;
    struct seen seen;
    scene_open(&scene, &config, steps, sizeof steps / sizeof *steps);
    enum storage_code code = copy_key(&scene, false, &seen);
    scene_must(&scene, code);
    assert_int_equal(seen.verified, STORAGE_VERIFIED_SIZE);
    assert_false(seen.has_crc32);
    scene_assert_sent(&scene, 2, "\r\nContent-Type: text/x-own\r\n", true);
    scene_assert_sent(&scene, 2, "\r\nx-amz-meta-Who: me\r\n", true);
    scene_assert_sent(&scene, 2, "\r\nx-amz-meta-mtime: 1.500000000\r\n", true);
    scene_assert_sent(&scene, 2, "\r\nContent-Disposition: inline\r\n", true);
    scene_assert_sent(&scene, 3, "\r\nx-amz-copy-source-range: bytes=0-3\r\n", true);
    scene_assert_sent(&scene, 4, "\r\nx-amz-copy-source-range: bytes=4-4\r\n", true);
    scene_assert_sent(&scene, 4, "\r\nx-amz-copy-source-if-match: \"e\"\r\n", true);
    scene_assert_sent(&scene, 5,
                      "<Part><ETag>\"p1\"</ETag><PartNumber>1</PartNumber></Part>"
                      "<Part><ETag>\"p2\"</ETag><PartNumber>2</PartNumber></Part>",
                      true);
    scene_finish(&scene);
}

/* The answer to Complete is lost; the object that is there has the ETag of our parts, or not. */
static void a_copy_of_unknown_outcome_is_looked_up(void **state)
{
    (void)state;
    /* of the MD5s of "abc" and "d" */
    static const char ours[] = "200 OK\nContent-Length: 5\nETag: \"" COMPOSITE "\"";
    static const char other[] = "200 OK\nContent-Length: 5\nETag: \"" MD5_ETAG "-2\"";
    for (int is_there = 0; is_there < 2; is_there++) {
        const struct script_step steps[] = {
            {"HEAD /bkt/k", "200 OK\nContent-Length: 5\nETag: \"e\""},
            {"HEAD /bkt/k", "200 OK\nContent-Length: 5\nETag: \"e\""},
            {"POST /bkt/to?uploads", BEGUN},
            {"PUT /bkt/to?partNumber=1&uploadId=U", PART(SCENE_MD5_OF_ABC)},
            {"PUT /bkt/to?partNumber=2&uploadId=U", PART(MD5_OF_D)},
            {"POST /bkt/to?uploadId=U", NULL},
            {"POST /bkt/to?uploadId=U", "404 No" SCENE_ERROR("NoSuchUpload")},
            {"HEAD /bkt/to", is_there ? ours : other},
            {is_there ? "HEAD /bkt/to" : "DELETE /bkt/to?uploadId=U", is_there ? ours : "204 OK"},
        };
        struct storage_config config = in_parts();
        struct scene scene;
        struct seen seen;
        scene_open(&scene, &config, SCENE_STEPS(steps));
        enum storage_code code = copy_key(&scene, false, &seen);
        assert_int_equal(code, is_there ? STORAGE_OK : STORAGE_NOT_FOUND);
        scene_finish(&scene);
    }
}

/* ---- moves ----------------------------------------------------------------------------------- */

static void a_move_removes_what_was_copied(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        HEAD_K, {"PUT /bkt/to", COPIED(ETAG(MD5_ETAG))}, HEAD_K, {"DELETE /bkt/k", "204 OK"}};
    struct scene scene;
    struct seen seen;
    scene_start(&scene, SCENE_STEPS(steps));
    scene_must(&scene, copy_key(&scene, true, &seen));
    assert_int_equal(seen.copied, 1);
    scene_finish(&scene);
}

static void a_source_that_changed_meanwhile_stays(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        HEAD_K,
        {"PUT /bkt/to", COPIED(ETAG(MD5_ETAG))},
        {"HEAD /bkt/k", "200 OK\nContent-Length: 3\nETag: \"newer\""}};
    struct scene scene;
    struct seen seen;
    scene_start(&scene, SCENE_STEPS(steps));
    assert_int_equal(copy_key(&scene, true, &seen), STORAGE_CHANGED);
    assert_int_equal(seen.copied, 0);
    assert_int_equal(seen.failed, 1);
    scene_finish(&scene);
}

static void a_failed_copy_removes_nothing(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        HEAD_K, {"PUT /bkt/to", "409 No" SCENE_ERROR("InvalidObjectState")}};
    struct scene scene;
    struct seen seen;
    scene_start(&scene, SCENE_STEPS(steps));
    assert_int_equal(copy_key(&scene, true, &seen), STORAGE_CONFLICT);
    scene_finish(&scene);
}

static void a_removal_that_is_refused_is_a_failure(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        HEAD_K,
        {"PUT /bkt/to", COPIED(ETAG(MD5_ETAG))},
        HEAD_K,
        {"DELETE /bkt/k", "403 No" SCENE_ERROR("AccessDenied")}};
    struct scene scene;
    struct seen seen;
    scene_start(&scene, SCENE_STEPS(steps));
    assert_int_equal(copy_key(&scene, true, &seen), STORAGE_DENIED);
    assert_int_equal(seen.failed, 1);
    assert_non_null(strstr(scene.err.hint, "stays"));
    scene_finish(&scene);
}

/* ---- a file that is sent --------------------------------------------------------------------- */

/* The store refuses the upload before the first part, to a copy with a journal and to one without.
 */
static void an_upload_that_cannot_begin_fails_alone(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"POST /bkt/k?uploads", "403 No" SCENE_ERROR("AccessDenied")}};
    static const unsigned parts[] = {2, 6};
    const struct storage_url files = {.kind = STORAGE_LOCAL};
    const struct storage_config plain = {0};
    char *folder = scratch_make();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct scene scene;
        struct seen seen = {0};
        struct storage *local = NULL;
        struct storage_summary summary;
        struct storage_config config = scene_config();
        config.state_folder = folder;
        scene_open(&scene, &config, SCENE_STEPS(steps));
        scene_must(&scene, storage_open(&local, &files, &plain, &scene.err));
        scratch_write(folder, "big", "", 0);
        assert_int_equal(truncate(scratch_path(folder, "big"), (off_t)parts[i] * 5 << 20), 0);
        const struct storage_copy copy = {.source = local,
                                          .source_key = scratch_path(folder, "big"),
                                          .destination = scene.store,
                                          .destination_key = "k",
                                          .part_size = 5 << 20,
                                          .on_object = on_object,
                                          .context = &seen};
        enum storage_code code = storage_copy(&copy, &summary, &scene.err);
        if (code != STORAGE_DENIED) {
            fail_msg("%u parts: %s, %.100s", parts[i], scene.err.message,
                     scripted_server_request(scene.server, 1));
        }
        assert_int_equal(summary.failed, 1);
        assert_int_equal(seen.failed, 1);
        assert_int_equal(seen.copied, 0);
        assert_string_equal(scene.err.service_code, "AccessDenied");
        assert_int_equal(scratch_count(folder), 1); /* no journal stays */
        storage_close(local);
        scene_finish(&scene);
    }
    scratch_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_request_copies_and_proves_it),
        cmocka_unit_test(obs_copies_in_its_own_words),
        cmocka_unit_test(a_version_is_copied),
        cmocka_unit_test(what_is_refused_is_streamed),
        cmocka_unit_test(a_large_object_is_copied_in_parts),
        cmocka_unit_test(a_copy_of_unknown_outcome_is_looked_up),
        cmocka_unit_test(a_move_removes_what_was_copied),
        cmocka_unit_test(a_source_that_changed_meanwhile_stays),
        cmocka_unit_test(a_failed_copy_removes_nothing),
        cmocka_unit_test(a_removal_that_is_refused_is_a_failure),
        cmocka_unit_test(an_upload_that_cannot_begin_fails_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
