/*
 * The S3 backend against a store that misbehaves as stores do, by script: what is tried again and
 * what is not, what is learnt from answers, and what is believed.
 */
#include "scripted_server.h"

#include "storage/backend.h"
#include "storage/digest.h"
#include "storage/s3/s3.h"
#include "storage/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS(array) array, sizeof(array) / sizeof *(array)

struct scene {
    struct scripted_server *server;
    struct storage *store;
    struct storage_error err;
    atomic_bool stop;
};

static struct storage_config default_config(void)
{
    return (struct storage_config){.access = {.access_key = "AK", .secret_key = "SK"},
                                   .attempts_max = 3};
}

static void open_scene(struct scene *scene, const struct storage_config *given,
                       const struct script_step *steps, size_t count)
{
    struct storage_url url = {.kind = STORAGE_S3, .bucket = "bkt"};
    struct storage_config config = *given;
    memset(scene, 0, sizeof *scene);
    scene->server = scripted_server_start(steps, count);
    config.access.endpoint = scripted_server_endpoint(scene->server);
    config.stop = &scene->stop;
    if (storage_open(&scene->store, &url, &config, &scene->err) != STORAGE_OK) {
        fail_msg("%s", scene->err.message);
    }
}

static void start(struct scene *scene, const struct script_step *steps, size_t count)
{
    struct storage_config config = default_config();
    open_scene(scene, &config, steps, count);
}

static void finish(struct scene *scene)
{
    storage_close(scene->store);
    scripted_server_finish(scene->server);
}

static void must(struct scene *scene, enum storage_code code)
{
    if (code != STORAGE_OK) {
        fail_msg("%s", scene->err.message);
    }
}

static enum storage_code read_key(struct scene *scene)
{
    char data[16];
    size_t got = 0;
    return storage_read(scene->store, "k", 0, data, sizeof data, NULL, &got, NULL, &scene->err);
}

static void assert_sent(const struct scene *scene, size_t n, const char *text, bool is_there)
{
    const char *request = scripted_server_request(scene->server, n);
    if ((strstr(request, text) != NULL) != is_there) {
        fail_msg("request %zu: %s %s in\n%s", n, text, is_there ? "is not" : "is", request);
    }
}

#define MD5_OF_ABC  "900150983cd24fb0d6963f7d28e17f72"
#define MD5_OF_D    "8277e0910d750195b448797616e091ad"
#define CRC_OF_ABC  "NSRBwg==" /* 352441c2 */
#define ERROR(code) "\n\n<Error><Code>" code "</Code><Message>m</Message></Error>"
#define OK_BODY     "206 OK\nContent-Range: bytes 0-2/3\nETag: \"e\"\n\nabc"

/* ---- trying again ---------------------------------------------------------------------------- */

static void passing_troubles_are_tried_again(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "500 Oops" ERROR("InternalError")},
        {"GET /bkt/k", NULL},
        {"GET /bkt/k", OK_BODY},
    };
    struct scene scene;
    start(&scene, STEPS(steps));
    must(&scene, read_key(&scene));
    assert_int_equal(atomic_load(&scene.store->retries), 2);
    finish(&scene);
}

static void tries_end_and_are_counted(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "502 Bad Gateway\n\n<html>"},
        {"GET /bkt/k", "400 Bad" ERROR("RequestTimeout")},
        {"GET /bkt/k", "500 Oops\nx-amz-request-id: R7" ERROR("InternalError")},
    };
    struct scene scene;
    start(&scene, STEPS(steps));
    assert_int_equal(read_key(&scene), STORAGE_UNREACHABLE);
    assert_string_equal(scene.err.message,
                        "GET s3://bkt/k: 500 InternalError: m (request R7), after 3 tries");
    assert_string_equal(scene.err.request_id, "R7");
    assert_string_equal(scene.err.operation, "GET object");
    assert_string_equal(scene.err.target, "s3://bkt/k");
    finish(&scene);
}

static void refusals_are_not_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum storage_code code;
    } cases[] = {
        {"403 No" ERROR("SignatureDoesNotMatch"), STORAGE_DENIED},
        {"403 No" ERROR("TooManyWrongSignature"), STORAGE_DENIED},
        {"403 No" ERROR("InvalidAccessKeyId"), STORAGE_DENIED},
        {"403 No" ERROR("AccessDenied"), STORAGE_DENIED},
        {"400 No" ERROR("ExpiredToken"), STORAGE_DENIED},
        {"403 No" ERROR("InvalidObjectState"), STORAGE_CONFLICT},
        {"404 No" ERROR("NoSuchBucket"), STORAGE_NOT_FOUND},
        {"404 No" ERROR("NoSuchKey"), STORAGE_NOT_FOUND},
        {"400 No" ERROR("SomethingNew"), STORAGE_TRANSFER},
        {"501 No" ERROR("NotImplemented"), STORAGE_UNREACHABLE},
        {"403 No\n\nnot XML", STORAGE_DENIED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = {{"GET /bkt/k", cases[i].answer}};
        struct scene scene;
        start(&scene, STEPS(steps));
        assert_int_equal(read_key(&scene), cases[i].code);
        assert_int_equal(scene.err.code, cases[i].code);
        finish(&scene);
    }
}

/* The waits are too long for the deadline, so there is none. */
static void waits_are_those_the_store_asks_for(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "503 Busy\nRetry-After: 60" ERROR("SlowDown")}};
    struct storage_config config = default_config();
    config.request_deadline_ms = 20000;
    struct scene scene;
    open_scene(&scene, &config, STEPS(steps));
    assert_int_equal(read_key(&scene), STORAGE_UNREACHABLE);
    assert_int_equal(atomic_load(&scene.store->retries), 0);
    finish(&scene);
}

static void without_budget_retries_wait_seconds(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "500 Oops" ERROR("InternalError")},
        {"GET /bkt/k", "500 Oops" ERROR("InternalError")},
        {"GET /bkt/k", OK_BODY},
    };
    struct storage_config config = default_config();
    config.request_deadline_ms = 4000; /* such a wait has 5 s at least */
    struct scene scene;
    open_scene(&scene, &config, STEPS(steps));
    struct s3_store *store = (struct s3_store *)scene.store;
    atomic_store(&store->budget, 13);
    assert_int_equal(read_key(&scene), STORAGE_UNREACHABLE);
    assert_int_equal(atomic_load(&store->budget), 13);
    atomic_store(&store->budget, 14);
    must(&scene, read_key(&scene));
    assert_int_equal(atomic_load(&store->budget), 1); /* 14 spent, one given back */
    finish(&scene);
}

/* The answer is in when the trace is called, so it is the waiting that must end. */
static void stop_at_trace(void *context, const char *line)
{
    struct scene *scene = context;
    assert_non_null(strstr(line, ": 503, "));
    atomic_store(&scene->stop, true);
}

static void a_stop_ends_the_waiting(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "503 Busy\nRetry-After: 60" ERROR("SlowDown")}};
    struct scene scene;
    struct storage_config config = default_config();
    config.trace = stop_at_trace;
    config.trace_context = &scene;
    open_scene(&scene, &config, STEPS(steps));
    assert_int_equal(read_key(&scene), STORAGE_STOPPED);
    finish(&scene);
}

/* ---- learning -------------------------------------------------------------------------------- */

static void the_clock_of_the_store_is_used(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "403 No\nDate: Sat, 12 Oct 2030 08:12:38 GMT" ERROR("RequestTimeTooSkewed")},
        {"GET /bkt/k", OK_BODY},
        {"HEAD /bkt/k", "200 OK\nContent-Length: 3"},
    };
    struct storage_info info;
    struct scene scene;
    start(&scene, STEPS(steps));
    must(&scene, read_key(&scene));
    must(&scene, storage_stat(scene.store, "k", &info, &scene.err));
    assert_sent(&scene, 0, "x-amz-date: 2030", false);
    assert_sent(&scene, 1, "x-amz-date: 20301012T08", true);
    assert_sent(&scene, 2, "x-amz-date: 20301012T08", true);
    finish(&scene);
}

static void a_store_that_is_always_skewed_is_given_up(void **state)
{
    (void)state;
    static const char answer[] =
        "403 No\nDate: Sat, 12 Oct 2030 08:12:38 GMT" ERROR("RequestTimeTooSkewed");
    static const struct script_step steps[] = {{"GET /bkt/k", answer}, {"GET /bkt/k", answer}};
    struct scene scene;
    start(&scene, STEPS(steps));
    assert_int_equal(read_key(&scene), STORAGE_DENIED);
    assert_non_null(strstr(scene.err.hint, "clock"));
    finish(&scene);
}

static void the_region_of_the_bucket_is_used(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "400 No\n\n<Error><Code>AuthorizationHeaderMalformed</Code>"
                       "<Region>eu-central-7</Region></Error>"},
        {"GET /bkt/k", "301 Moved\nx-amz-bucket-region: eu-central-8" ERROR("PermanentRedirect")},
        {"GET /bkt/k", OK_BODY},
    };
    struct scene scene;
    start(&scene, STEPS(steps));
    must(&scene, read_key(&scene));
    assert_sent(&scene, 0, "/us-east-1/s3/", true);
    assert_sent(&scene, 1, "/eu-central-7/s3/", true);
    assert_sent(&scene, 2, "/eu-central-8/s3/", true);
    finish(&scene);
}

static void redirects_elsewhere_are_not_followed(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "307 Moved\nLocation: http://127.0.0.1:9/bkt/k"}};
    struct scene scene;
    start(&scene, STEPS(steps));
    assert_int_equal(read_key(&scene), STORAGE_TRANSFER);
    finish(&scene);
}

static void obs_is_spoken_to_as_obs(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "403 No\nx-obs-request-id: O1" ERROR("AccessDenied")},
        {"GET /bkt/k", OK_BODY},
        {"GET /bkt/?prefix=&max-keys=1000", "200 OK\n\n<ListBucketResult/>"},
        {"PUT /bkt/k", "200 OK\nETag: \"900150983cd24fb0d6963f7d28e17f72\""},
    };
    struct storage_config config = default_config();
    config.access.session_token = "TOK";
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    enum storage_verified verified;
    struct scene scene;
    open_scene(&scene, &config, STEPS(steps));
    must(&scene, read_key(&scene));
    assert_sent(&scene, 0, "Authorization: AWS4-HMAC-SHA256", true);
    assert_sent(&scene, 0, "x-amz-security-token: TOK", true);
    assert_sent(&scene, 0, /* of nothing: over http the body is signed */
                "x-amz-content-sha256: "
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                true);
    assert_sent(&scene, 1, "Authorization: OBS AK:", true);
    assert_sent(&scene, 1, "x-obs-date: ", true);
    assert_sent(&scene, 1, "x-obs-security-token: TOK", true);
    assert_sent(&scene, 1, "x-amz-", false);
    must(&scene, storage_lister_open(&lister, scene.store, "", true, &scene.err));
    must(&scene, storage_lister_next(lister, &entry, &scene.err));
    assert_null(entry.key);
    storage_lister_close(lister);
    must(&scene, storage_put(scene.store, "k", "abc", 3, &verified, &scene.err));
    assert_int_equal(verified, STORAGE_VERIFIED_MD5);
    assert_sent(&scene, 3, "Content-MD5: kAFQmDzST7DWlj99KOF/cg==", true);
    assert_sent(&scene, 3, "checksum", false);
    finish(&scene);
}

/* OBS takes no other payload mode of SigV4 than this. */
static void version_4_to_obs_leaves_the_body_unsigned(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"PUT /bkt/k", "400 No\nx-obs-request-id: O1" ERROR("XAmzContentSHA256Mismatch")},
        {"PUT /bkt/k", "200 OK\nETag: \"" MD5_OF_ABC "\""},
    };
    struct storage_config config = default_config();
    config.access.signature = STORAGE_SIGN_V4;
    struct scene scene;
    open_scene(&scene, &config, STEPS(steps));
    must(&scene, storage_put(scene.store, "k", "abc", 3, NULL, &scene.err));
    assert_sent(&scene, 0, "UNSIGNED-PAYLOAD", false);
    assert_sent(&scene, 1, "x-amz-content-sha256: UNSIGNED-PAYLOAD", true);
    assert_sent(&scene, 1, "Authorization: AWS4-HMAC-SHA256", true);
    finish(&scene);
}

static void anonymous_requests_carry_no_signature(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{"GET /bkt/k", OK_BODY}};
    struct storage_config config = default_config();
    config.access.signature = STORAGE_SIGN_NONE;
    struct scene scene;
    open_scene(&scene, &config, STEPS(steps));
    must(&scene, read_key(&scene));
    assert_sent(&scene, 0, "Authorization", false);
    assert_sent(&scene, 0, "AK", false);
    finish(&scene);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void answers_to_reads_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum storage_code code;
    } cases[] = {
        {"206 OK\nContent-Range: bytes 2-4/5\nETag: \"e\"\n\ncde", STORAGE_OK},
        {"206 OK\nContent-Range: bytes 2-4/9\nETag: \"e\"\n\ncde", STORAGE_TRANSFER}, /* short */
        {"200 OK\nETag: \"e\"\n\nabc", STORAGE_TRANSFER}, /* the range was ignored */
        {"200 OK\nETag: \"e\"\n\n", STORAGE_TRANSFER},
        {"206 OK\nContent-Range: bytes 2-4/5\nETag: \"f\"\n\ncde", STORAGE_CHANGED},
        {"412 No" ERROR("PreconditionFailed"), STORAGE_CHANGED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = {{"GET /bkt/k", cases[i].answer}};
        struct scene scene;
        char data[4];
        size_t got = 0;
        start(&scene, STEPS(steps));
        enum storage_code code =
            storage_read(scene.store, "k", 2, data, 4, "e", &got, NULL, &scene.err);
        if (code != cases[i].code) {
            fail_msg("case %zu: %s", i, scene.err.message);
        }
        assert_sent(&scene, 0, "Range: bytes=2-5", true);
        assert_sent(&scene, 0, "If-Match: \"e\"", true);
        finish(&scene);
    }
}

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
        {{{"PUT /bkt/k", "200 OK\nETag: \"x\"\nx-amz-checksum-crc32: " CRC_OF_ABC}},
         1,
         STORAGE_OK,
         STORAGE_VERIFIED_CRC32},
        {{{"PUT /bkt/k", "200 OK\nETag: \"x\"\nx-amz-checksum-crc32: AAAAAA=="}},
         1,
         STORAGE_INTEGRITY,
         STORAGE_VERIFIED_SIZE},
        {{{"PUT /bkt/k", "200 OK\nETag: \"" MD5_OF_ABC "\""}}, 1, STORAGE_OK, STORAGE_VERIFIED_MD5},
        {{{"PUT /bkt/k", "400 No" ERROR("InvalidArgument")},
          {"PUT /bkt/k", "200 OK\nETag: \"" MD5_OF_ABC "\""}},
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
        {{{"PUT /bkt/k", "400 No" ERROR("BadDigest")},
          {"PUT /bkt/k", "200 OK\nETag: \"x\"\nx-amz-checksum-crc32: " CRC_OF_ABC}},
         2,
         STORAGE_OK,
         STORAGE_VERIFIED_CRC32},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene scene;
        enum storage_verified verified = STORAGE_VERIFIED_SIZE;
        start(&scene, cases[i].steps, cases[i].count);
        enum storage_code code = storage_put(scene.store, "k", "abc", 3, &verified, &scene.err);
        if (code != cases[i].code || verified != cases[i].verified) {
            fail_msg("case %zu: %d, %s", i, (int)verified, scene.err.message);
        }
        assert_sent(&scene, 0, "x-amz-checksum-crc32: " CRC_OF_ABC, true);
        finish(&scene);
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
    must(scene, backend->upload_begin(&upload, scene->store, "k", &plan, &scene->err));
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
#define PART_1                                                                   \
    {                                                                            \
        "PUT /bkt/k?partNumber=1&uploadId=U", "200 OK\nETag: \"" MD5_OF_ABC "\"" \
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
        {"POST /bkt/k?uploadId=U", "200 OK" ERROR("InternalError")},
        {"POST /bkt/k?uploadId=U", completed},
    };
    enum storage_verified verified;
    struct scene scene;
    start(&scene, STEPS(steps));
    must(&scene, upload_two_parts(&scene, &verified));
    assert_int_equal(verified, STORAGE_VERIFIED_ETAG);
    assert_sent(&scene, 0, "x-amz-checksum-type: FULL_OBJECT", true);
    assert_sent(&scene, 1, "Content-MD5: kAFQmDzST7DWlj99KOF/cg==", true);
    assert_sent(&scene, 4, "<Part><ETag>\"" MD5_OF_ABC "\"</ETag><PartNumber>1</PartNumber></Part>",
                true);
    finish(&scene);
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
        {CRC_OF_ABC, CRC_COMPLETED("7YLNEQ=="), 4, STORAGE_OK}, /* ed82cd11: CRC-32 of abcd */
        {CRC_OF_ABC, CRC_COMPLETED(CRC_OF_ABC), 4, STORAGE_INTEGRITY},
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
        start(&scene, steps, count);
        assert_int_equal(upload_two_parts(&scene, &verified), cases[i].code);
        assert_sent(&scene, 1, "x-amz-checksum-crc32: " CRC_OF_ABC, true);
        assert_sent(&scene, 1, "Content-MD5", false);
        if (cases[i].code == STORAGE_OK) {
            assert_int_equal(verified, STORAGE_VERIFIED_CRC32);
            assert_sent(&scene, 3, "x-amz-checksum-crc32: 7YLNEQ==", true);
            assert_sent(&scene, 3, "<ChecksumCRC32>" CRC_OF_ABC "</ChecksumCRC32>", true);
        }
        finish(&scene);
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
        {"POST /bkt/k?uploadId=U", "404 No" ERROR("NoSuchUpload")},
        {"HEAD /bkt/k", head},
    };
    enum storage_verified verified;
    struct scene scene;
    start(&scene, STEPS(steps));
    must(&scene, upload_two_parts(&scene, &verified));
    assert_int_equal(verified, STORAGE_VERIFIED_ETAG);
    finish(&scene);
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
            {"POST /bkt/k?uploadId=U", "404 No" ERROR("NoSuchUpload")},
            {"HEAD /bkt/k", heads[i]},
            {"DELETE /bkt/k?uploadId=U", "204 OK"},
        };
        enum storage_verified verified;
        struct scene scene;
        start(&scene, STEPS(steps));
        assert_int_equal(upload_two_parts(&scene, &verified), STORAGE_NOT_FOUND);
        assert_string_equal(scene.err.service_code, "NoSuchUpload");
        finish(&scene);
    }
}

static void a_refused_part_ends_the_upload(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        BEGUN,
        PART_1,
        {"PUT /bkt/k?partNumber=2&uploadId=U", "403 No" ERROR("AccessDenied")},
        {"DELETE /bkt/k?uploadId=U", "204 OK"},
    };
    enum storage_verified verified;
    struct scene scene;
    start(&scene, STEPS(steps));
    assert_int_equal(upload_two_parts(&scene, &verified), STORAGE_DENIED);
    finish(&scene);
}

/* ---- listing --------------------------------------------------------------------------------- */

#define PAGE(inside) "200 OK\n\n<ListBucketResult>" inside "</ListBucketResult>"
#define KEY(key)     "<Contents><Key>" key "</Key></Contents>"
#define MORE(marker) "<IsTruncated>true</IsTruncated>" marker
#define TOKEN(text)  "<NextContinuationToken>" text "</NextContinuationToken>"
#define V2           "GET /bkt/?list-type=2&prefix=p&max-keys=1000"

/* Lists below "p" and joins the keys by blanks. */
static enum storage_code list(struct scene *scene, char *keys, size_t size)
{
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    keys[0] = '\0';
    must(scene, storage_lister_open(&lister, scene->store, "p", true, &scene->err));
    enum storage_code code;
    while ((code = storage_lister_next(lister, &entry, &scene->err)) == STORAGE_OK && entry.key) {
        size_t length = strlen(keys);
        snprintf(keys + length, size - length, "%s%s", length > 0 ? " " : "", entry.key);
    }
    storage_lister_close(lister);
    return code;
}

static void pages_follow_each_other(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct script_step steps[3];
        size_t count;
        enum storage_code code;
        const char *keys;
    } cases[] = {
        {"tokens",
         {{V2, PAGE(MORE(TOKEN("t+1")) KEY("p1"))},
          {V2 "&continuation-token=t%2B1", PAGE(KEY("p2"))}},
         2,
         STORAGE_OK,
         "p1 p2"},
        {"an empty page between",
         {{V2, PAGE(MORE(TOKEN("1")))},
          {V2 "&continuation-token=1", PAGE(MORE(TOKEN("2")))},
          {V2 "&continuation-token=2", PAGE(KEY("p"))}},
         3,
         STORAGE_OK,
         "p"},
        {"no token: a store that knows only version 1",
         {{V2, PAGE(MORE("") KEY("p1") KEY("p2"))},
          {"GET /bkt/?prefix=p&max-keys=1000&marker=p2", PAGE(KEY("p3"))}},
         2,
         STORAGE_OK,
         "p1 p2 p3"},
        {"a key that XML cannot hold",
         {{V2, PAGE(KEY("p&#1;"))}, {V2 "&encoding-type=url", PAGE(KEY("p%01+q"))}},
         2,
         STORAGE_OK,
         "p\x01 q"},
        {"a key that was replaced",
         {{V2, PAGE(KEY("p\xef\xbf\xbd"))}, {V2 "&encoding-type=url", PAGE(KEY("p%02"))}},
         2,
         STORAGE_OK,
         "p\x02"},
        {"no list page at all",
         {{V2, "200 OK\n\n<html>"}, {V2 "&encoding-type=url", "200 OK\n\n<html>"}},
         2,
         STORAGE_TRANSFER,
         ""},
        {"the same token again",
         {{V2, PAGE(MORE(TOKEN("t")) KEY("p1"))},
          {V2 "&continuation-token=t", PAGE(MORE(TOKEN("t")) KEY("p2"))}},
         2,
         STORAGE_TRANSFER,
         "p1"},
        {"the same page under another token",
         {{V2, PAGE(MORE(TOKEN("t")) KEY("p1") KEY("p2"))},
          {V2 "&continuation-token=t", PAGE(MORE(TOKEN("u")) KEY("p1") KEY("p2"))}},
         2,
         STORAGE_TRANSFER,
         "p1 p2"},
        {"the same marker again",
         {{V2, PAGE(MORE("<NextMarker>p1</NextMarker>") KEY("p1"))},
          {"GET /bkt/?prefix=p&max-keys=1000&marker=p1",
           PAGE(MORE("<NextMarker>p1</NextMarker>") KEY("p2"))}},
         2,
         STORAGE_TRANSFER,
         "p1"},
        {"more, but nothing", {{V2, PAGE(MORE(""))}}, 1, STORAGE_TRANSFER, ""},
        {"a key from elsewhere", {{V2, PAGE(KEY("q"))}}, 1, STORAGE_TRANSFER, ""},
        {"a later page is refused",
         {{V2, PAGE(MORE(TOKEN("t")) KEY("p1"))},
          {V2 "&continuation-token=t", "403 No" ERROR("AccessDenied")}},
         2,
         STORAGE_DENIED,
         "p1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene scene;
        char keys[256];
        start(&scene, cases[i].steps, cases[i].count);
        enum storage_code code = list(&scene, keys, sizeof keys);
        if (code != cases[i].code || strcmp(keys, cases[i].keys) != 0) {
            fail_msg("%s: '%s', %s", cases[i].name, keys, scene.err.message);
        }
        finish(&scene);
    }
}

/* ---- removing, making ------------------------------------------------------------------------ */

static void batches_report_what_was_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b\x01", "c&<"};
    static const struct script_step steps[] = {
        {"DELETE /bkt/b%01", "204 OK"},
        {"POST /bkt/?delete", "200 OK\n\n<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code>"
                              "<Message>no</Message></Error></DeleteResult>"},
    };
    size_t removed = 9;
    struct scene scene;
    start(&scene, STEPS(steps));
    assert_int_equal(storage_remove_batch(scene.store, keys, 3, &removed, &scene.err),
                     STORAGE_DENIED);
    assert_int_equal(removed, 2);
    assert_string_equal(scene.err.target, "s3://bkt/a");
    assert_string_equal(scene.err.service_code, "AccessDenied");
    assert_sent(&scene, 1,
                "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object>"
                "<Object><Key>c&amp;&lt;</Key></Object></Delete>",
                true);
    assert_sent(&scene, 1, "Content-MD5: ", true);
    finish(&scene);
}

static void stores_without_batches_are_served(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b"};
    static const struct script_step steps[] = {
        {"POST /bkt/?delete", "501 No" ERROR("NotImplemented")},
        {"DELETE /bkt/a", "404 No" ERROR("NoSuchKey")},
        {"DELETE /bkt/b", "204 OK"},
    };
    size_t removed = 0;
    struct scene scene;
    start(&scene, STEPS(steps));
    must(&scene, storage_remove_batch(scene.store, keys, 2, &removed, &scene.err));
    assert_int_equal(removed, 2);
    finish(&scene);
}

static void buckets_are_made_where_they_belong(void **state)
{
    (void)state;
    static const struct {
        const char *region, *answer, *body;
        enum storage_code code;
    } cases[] = {
        {NULL, "200 OK", "\r\n\r\n", STORAGE_OK},
        {"eu-west-1", "200 OK", "<LocationConstraint>eu-west-1</LocationConstraint>", STORAGE_OK},
        {NULL, "409 No" ERROR("BucketAlreadyOwnedByYou"), "", STORAGE_OK},
        {NULL, "409 No" ERROR("BucketAlreadyExists"), "", STORAGE_CONFLICT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = {{"PUT /bkt/", cases[i].answer}};
        struct storage_config config = default_config();
        config.access.region = cases[i].region;
        struct scene scene;
        open_scene(&scene, &config, STEPS(steps));
        assert_int_equal(storage_make_bucket(scene.store, "", &scene.err), cases[i].code);
        assert_sent(&scene, 0, cases[i].body, true);
        assert_sent(&scene, 0, "Location", cases[i].region != NULL);
        finish(&scene);
    }
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
        cmocka_unit_test(passing_troubles_are_tried_again),
        cmocka_unit_test(tries_end_and_are_counted),
        cmocka_unit_test(refusals_are_not_tried_again),
        cmocka_unit_test(waits_are_those_the_store_asks_for),
        cmocka_unit_test(without_budget_retries_wait_seconds),
        cmocka_unit_test(a_stop_ends_the_waiting),
        cmocka_unit_test(the_clock_of_the_store_is_used),
        cmocka_unit_test(a_store_that_is_always_skewed_is_given_up),
        cmocka_unit_test(the_region_of_the_bucket_is_used),
        cmocka_unit_test(redirects_elsewhere_are_not_followed),
        cmocka_unit_test(obs_is_spoken_to_as_obs),
        cmocka_unit_test(version_4_to_obs_leaves_the_body_unsigned),
        cmocka_unit_test(anonymous_requests_carry_no_signature),
        cmocka_unit_test(answers_to_reads_are_checked),
        cmocka_unit_test(what_is_said_of_a_put_is_what_was_compared),
        cmocka_unit_test(a_complete_may_fail_inside_a_200),
        cmocka_unit_test(the_sum_of_the_whole_is_compared),
        cmocka_unit_test(a_complete_of_unknown_outcome_is_looked_up),
        cmocka_unit_test(another_object_is_not_taken_for_ours),
        cmocka_unit_test(a_refused_part_ends_the_upload),
        cmocka_unit_test(pages_follow_each_other),
        cmocka_unit_test(batches_report_what_was_refused),
        cmocka_unit_test(stores_without_batches_are_served),
        cmocka_unit_test(buckets_are_made_where_they_belong),
        cmocka_unit_test(bad_access_is_refused_before_any_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
