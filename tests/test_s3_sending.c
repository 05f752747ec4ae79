/*
 * What the S3 backend believes when it sends, by script: the sums that a store echoes, an upload in
 * parts whose end is uncertain, and what is left behind after a refusal.
 */
#include "scene.h"

#include "storage/base/digest.h"

#define MD5_OF_D "8277e0910d750195b448797616e091ad"

/* ---- one PUT --------------------------------------------------------------------------------- */

static void what_is_said_of_a_put_is_what_was_compared(void **state)
{
    (void)state;
    static const struct {
        struct script_step steps[3];
        size_t count;
        enum storage_code code;
        enum storage_verified verified;
    } cases[] = {
        {{{"PUT /bkt/k", "200 OK\nETag: \"x\"\nx-amz-checksum-crc32: " SCENE_CRC_OF_ABC}},
         1,
         STORAGE_OK,
         STORAGE_VERIFIED_CRC32},
        {{{"PUT /bkt/k", "200 OK\nETag: \"x\"\nx-amz-checksum-crc32: AAAAAA=="}},
         1,
         STORAGE_INTEGRITY,
         STORAGE_VERIFIED_SIZE},
        {{{"PUT /bkt/k", "200 OK\nETag: \"" SCENE_MD5_OF_ABC "\""}},
         1,
         STORAGE_OK,
         STORAGE_VERIFIED_MD5},
        {{{"PUT /bkt/k", "400 No" SCENE_ERROR("InvalidArgument")},
          {"PUT /bkt/k", "200 OK\nETag: \"" SCENE_MD5_OF_ABC "\""}},
         2,
         STORAGE_OK,
         STORAGE_VERIFIED_MD5},
        {{{"PUT /bkt/k", "200 OK\nETag: \"x\""}, {"HEAD /bkt/k", "200 OK\nContent-Length: 3"}},
         2,
         STORAGE_OK,
         STORAGE_VERIFIED_SIZE},
        {{{"PUT /bkt/k", "200 OK\nETag: \"x\""}, {"HEAD /bkt/k", "200 OK\nContent-Length: 4"}},
         2,
         STORAGE_INTEGRITY,
         STORAGE_VERIFIED_SIZE},
        {{{"PUT /bkt/k", "400 No" SCENE_ERROR("BadDigest")},
          {"PUT /bkt/k", "200 OK\nETag: \"x\"\nx-amz-checksum-crc32: " SCENE_CRC_OF_ABC}},
         2,
         STORAGE_OK,
         STORAGE_VERIFIED_CRC32},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene scene;
        enum storage_verified verified = STORAGE_VERIFIED_SIZE;
        scene_start(&scene, cases[i].steps, cases[i].count);
        enum storage_code code = storage_put(scene.store, "k", "abc", 3, &verified, &scene.err);
        if (code != cases[i].code || verified != cases[i].verified) {
            fail_msg("case %zu: %d, %s", i, (int)verified, scene.err.message);
        }
        scene_assert_sent(&scene, 0, "x-amz-checksum-crc32: " SCENE_CRC_OF_ABC, true);
        scene_finish(&scene);
    }
}

/* ---- parts ----------------------------------------------------------------------------------- */

static void md5_hex(char text[33], const void *data, size_t size)
{
    uint8_t md5[MD5_SIZE];
    assert_true(digest_md5(md5, data, size));
    for (size_t i = 0; i < MD5_SIZE; i++) {
        snprintf(text + 2 * i, 3, "%02x", md5[i]);
    }
}

/* The ETag that S3 gives to "abcd" sent as "abc" and "d". */
static void composite_etag(char text[40])
{
    uint8_t both[2 * MD5_SIZE];
    char hex[33];
    assert_true(digest_md5(both, "abc", 3) && digest_md5(both + MD5_SIZE, "d", 1));
    md5_hex(hex, both, sizeof both);
    snprintf(text, 40, "%s-2", hex);
}

/* "abcd" in parts of three bytes. */
static enum storage_code upload_two_parts(struct scene *scene, enum storage_verified *verified)
{
    struct upload_plan plan = {.size = 4, .part_size = 3};
    struct upload *upload = NULL;
    const struct backend *backend = scene->store->backend;
    scene_must(scene, backend->upload_begin(&upload, scene->store, "k", &plan, &scene->err));
    enum storage_code code =
        backend->upload_part(upload, 1, "abc", 3, storage_crc32(0, "abc", 3), &scene->err);
    if (code == STORAGE_OK) {
        code = backend->upload_part(upload, 2, "d", 1, storage_crc32(0, "d", 1), &scene->err);
    }
    if (code != STORAGE_OK) {
        backend->upload_abort(upload);
        return code;
    }
    return backend->upload_complete(upload, 4, storage_crc32(0, "abcd", 4), verified, &scene->err);
}

#define BEGUN_ANSWER(headers)                                                    \
    "200 OK" headers "\n\n<InitiateMultipartUploadResult><UploadId>U</UploadId>" \
    "</InitiateMultipartUploadResult>"
#define BEGUN                                   \
    {                                           \
        "POST /bkt/k?uploads", BEGUN_ANSWER("") \
    }
#define PART_1                                                                         \
    {                                                                                  \
        "PUT /bkt/k?partNumber=1&uploadId=U", "200 OK\nETag: \"" SCENE_MD5_OF_ABC "\"" \
    }
#define PART_2                                                                 \
    {                                                                          \
        "PUT /bkt/k?partNumber=2&uploadId=U", "200 OK\nETag: \"" MD5_OF_D "\"" \
    }
#define COMPLETED(etag)                                       \
    "200 OK\n\n   <CompleteMultipartUploadResult><ETag>" etag \
    "</ETag></CompleteMultipartUploadResult>"

static void a_complete_may_fail_inside_a_200(void **state)
{
    (void)state;
    char etag[40];
    char completed[256];
    composite_etag(etag);
    snprintf(completed, sizeof completed, COMPLETED("&quot;%s&quot;"), etag);
    const struct script_step steps[] = {
        BEGUN,
        PART_1,
        PART_2,
        {"POST /bkt/k?uploadId=U", "200 OK" SCENE_ERROR("InternalError")},
        {"POST /bkt/k?uploadId=U", completed},
    };
    enum storage_verified verified;
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    scene_must(&scene, upload_two_parts(&scene, &verified));
    assert_int_equal(verified, STORAGE_VERIFIED_ETAG);
    scene_assert_sent(&scene, 0, "x-amz-checksum-type: FULL_OBJECT", true);
    scene_assert_sent(&scene, 1, "Content-MD5: kAFQmDzST7DWlj99KOF/cg==", true);
    scene_assert_sent(
        &scene, 4, "<Part><ETag>\"" SCENE_MD5_OF_ABC "\"</ETag><PartNumber>1</PartNumber></Part>",
        true);
    scene_finish(&scene);
}

#define CRC_COMPLETED(crc)                                                       \
    "200 OK\n\n<CompleteMultipartUploadResult><ETag>x</ETag><ChecksumCRC32>" crc \
    "</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>"

/* A store that says it keeps the sum of the whole is held to it. */
static void the_sum_of_the_whole_is_compared(void **state)
{
    (void)state;
    static const struct {
        const char *part, *completed;
        size_t count;
        enum storage_code code;
    } cases[] = {
        {SCENE_CRC_OF_ABC, CRC_COMPLETED("7YLNEQ=="), 4, STORAGE_OK}, /* ed82cd11: CRC-32 of abcd */
        {SCENE_CRC_OF_ABC, CRC_COMPLETED(SCENE_CRC_OF_ABC), 4, STORAGE_INTEGRITY},
        {"AAAAAA==", "204 OK", 3, STORAGE_INTEGRITY}, /* the part's own sum; aborted */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char part[128];
        snprintf(part, sizeof part, "200 OK\nETag: \"x\"\nx-amz-checksum-crc32: %s", cases[i].part);
        bool is_part_bad = cases[i].count == 3;
        const struct script_step steps[] = {
            {"POST /bkt/k?uploads", BEGUN_ANSWER("\nx-amz-checksum-type: FULL_OBJECT")},
            {"PUT /bkt/k?partNumber=1&uploadId=U", part},
            {is_part_bad ? "DELETE /bkt/k?uploadId=U" : "PUT /bkt/k?partNumber=2&uploadId=U",
             "200 OK\nETag: \"y\""},
            {"POST /bkt/k?uploadId=U", cases[i].completed},
            {"DELETE /bkt/k?uploadId=U", "204 OK"}, /* after what did not match */
        };
        size_t count = cases[i].code != STORAGE_OK && !is_part_bad ? 5 : cases[i].count;
        enum storage_verified verified;
        struct scene scene;
        scene_start(&scene, steps, count);
        assert_int_equal(upload_two_parts(&scene, &verified), cases[i].code);
        scene_assert_sent(&scene, 1, "x-amz-checksum-crc32: " SCENE_CRC_OF_ABC, true);
        scene_assert_sent(&scene, 1, "Content-MD5", false);
        if (cases[i].code == STORAGE_OK) {
            assert_int_equal(verified, STORAGE_VERIFIED_CRC32);
            scene_assert_sent(&scene, 3, "x-amz-checksum-crc32: 7YLNEQ==", true);
            scene_assert_sent(&scene, 3, "<ChecksumCRC32>" SCENE_CRC_OF_ABC "</ChecksumCRC32>",
                              true);
        }
        scene_finish(&scene);
    }
}

/* The answer to Complete is lost; the second one finds no upload; the object is there. */
static void a_complete_of_unknown_outcome_is_looked_up(void **state)
{
    (void)state;
    char etag[40];
    char head[256];
    composite_etag(etag);
    snprintf(head, sizeof head, "200 OK\nContent-Length: 4\nETag: \"%s\"", etag);
    const struct script_step steps[] = {
        BEGUN,
        PART_1,
        PART_2,
        {"POST /bkt/k?uploadId=U", NULL},
        {"POST /bkt/k?uploadId=U", "404 No" SCENE_ERROR("NoSuchUpload")},
        {"HEAD /bkt/k", head},
    };
    enum storage_verified verified;
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    scene_must(&scene, upload_two_parts(&scene, &verified));
    assert_int_equal(verified, STORAGE_VERIFIED_ETAG);
    scene_finish(&scene);
}

/* The same size is not enough: it may be the object that was there before. */
static void another_object_is_not_taken_for_ours(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "200 OK\nContent-Length: 4\nETag: \"other-2\"",
        "200 OK\nContent-Length: 4\nETag: \"other-2\"\nx-obs-uploadId: V",
        "200 OK\nContent-Length: 4\nx-amz-checksum-crc32: AAAAAA==",
        "404 No",
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        const struct script_step steps[] = {
            BEGUN,
            PART_1,
            PART_2,
            {"POST /bkt/k?uploadId=U", "404 No" SCENE_ERROR("NoSuchUpload")},
            {"HEAD /bkt/k", heads[i]},
            {"DELETE /bkt/k?uploadId=U", "204 OK"},
        };
        enum storage_verified verified;
        struct scene scene;
        scene_start(&scene, SCENE_STEPS(steps));
        assert_int_equal(upload_two_parts(&scene, &verified), STORAGE_NOT_FOUND);
        assert_string_equal(scene.err.service_code, "NoSuchUpload");
        scene_finish(&scene);
    }
}

static void a_refused_part_ends_the_upload(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        BEGUN,
        PART_1,
        {"PUT /bkt/k?partNumber=2&uploadId=U", "403 No" SCENE_ERROR("AccessDenied")},
        {"DELETE /bkt/k?uploadId=U", "204 OK"},
    };
    enum storage_verified verified;
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    assert_int_equal(upload_two_parts(&scene, &verified), STORAGE_DENIED);
    scene_finish(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_of_a_put_is_what_was_compared),
        cmocka_unit_test(a_complete_may_fail_inside_a_200),
        cmocka_unit_test(the_sum_of_the_whole_is_compared),
        cmocka_unit_test(a_complete_of_unknown_outcome_is_looked_up),
        cmocka_unit_test(another_object_is_not_taken_for_ours),
        cmocka_unit_test(a_refused_part_ends_the_upload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
