/*
 * Every status that means trouble, met by every operation: tried again or not, and the code and the
 * words it ends in. Then the answers that are no good although their status is.
 *
 * What a single operation makes of finer lies stands in test_s3_answers.c and test_s3_sending.c.
 */
#include "scene.h"

/* ---- operations ------------------------------------------------------------------------------ */

enum {
    STEPS_MAX = 8
};

struct operation {
    const char *name;
    enum storage_code (*run)(struct scene *scene);
    struct script_step before[3]; /* what leads up to the request; ends with an empty one */
    const char *request;
    const char *good;             /* its answer when all is well */
    struct script_step after[3];  /* what follows such an answer */
    struct script_step undone[3]; /* what follows its failure */
};

static enum storage_code run_range(struct scene *scene)
{
    char data[4];
    size_t got = 0;
    enum storage_code code =
        storage_read(scene->store, "k", 4, data, 3, "e", &got, NULL, &scene->err);
    if (code == STORAGE_OK) {
        assert_int_equal(got, 3);
        assert_memory_equal(data, "abc", 3);
    }
    return code;
}

static enum storage_code run_put(struct scene *scene)
{
    return storage_put(scene->store, "k", "abc", 3, NULL, &scene->err);
}

/* "abcabc" in two parts. */
static enum storage_code run_upload(struct scene *scene)
{
    const struct upload_plan plan = {.size = 6, .part_size = 3};
    const struct backend *backend = scene->store->backend;
    uint32_t crc = storage_crc32(0, "abc", 3);
    struct upload *upload = NULL;
    enum storage_code code = backend->upload_begin(&upload, scene->store, "k", &plan, &scene->err);
    for (unsigned number = 1; code == STORAGE_OK && number <= 2; number++) {
        code = backend->upload_part(upload, number, "abc", 3, crc, &scene->err);
    }
    if (code != STORAGE_OK) {
        backend->upload_abort(upload);
        return code;
    }
    enum storage_verified verified;
    return backend->upload_complete(upload, 6, storage_crc32(0, "abcabc", 6), &verified,
                                    &scene->err);
}

static enum storage_code run_list(struct scene *scene)
{
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    int count = 0;
    scene_must(scene, storage_lister_open(&lister, scene->store, "p", true, &scene->err));
    enum storage_code code;
    while ((code = storage_lister_next(lister, &entry, &scene->err)) == STORAGE_OK && entry.key) {
        count++;
    }
    storage_lister_close(lister);
    if (code == STORAGE_OK) {
        assert_int_equal(count, 2);
    }
    return code;
}

static enum storage_code run_delete(struct scene *scene)
{
    return storage_remove(scene->store, "k", &scene->err);
}

static enum storage_code run_batch(struct scene *scene)
{
    static const char *const keys[] = {"a", "b"};
    size_t removed = 0;
    enum storage_code code = storage_remove_batch(scene->store, keys, 2, &removed, &scene->err);
    assert_int_equal(removed, code == STORAGE_OK ? 2 : 0);
    return code;
}

static enum storage_code run_head(struct scene *scene)
{
    struct storage_info info;
    return storage_stat(scene->store, "k", &info, &scene->err);
}

#define ETAG_OF_ABC "200 OK\nETag: \"" SCENE_MD5_OF_ABC "\""
#define BEGUN \
    "200 "    \
    "OK\n\n<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"
#define LIST "GET /bkt/?list-type=2&prefix=p&max-keys=1000"
#define PAGE_1                                                                \
    "200 OK\n\n<ListBucketResult><IsTruncated>true</IsTruncated>"             \
    "<NextContinuationToken>t</NextContinuationToken><Contents><Key>p1</Key>" \
    "</Contents></ListBucketResult>"
#define PAGE_2  "200 OK\n\n<ListBucketResult><Contents><Key>p2</Key></Contents></ListBucketResult>"
#define PART(n) "PUT /bkt/k?partNumber=" #n "&uploadId=U"
#define DONE    "POST /bkt/k?uploadId=U"
/* The MD5 of two MD5s of "abc", as S3 makes it */
#define ETAG_OF_BOTH "043a916d6cfeecedf5e04f0312ba762d-2"
#define COMPLETED                                                    \
    "200 OK\n\n<CompleteMultipartUploadResult><ETag>\"" ETAG_OF_BOTH \
    "\"</ETag></CompleteMultipartUploadResult>"
#define ABORT                                \
    {                                        \
        "DELETE /bkt/k?uploadId=U", "204 OK" \
    }

static const struct operation operations[] = {
    {"GET range",
     run_range,
     {{0}},
     "GET /bkt/k",
     "206 OK\nContent-Range: bytes 4-6/7\nETag: \"e\"\n\nabc",
     {{0}},
     {{0}}},
    {"PUT", run_put, {{0}}, "PUT /bkt/k", ETAG_OF_ABC, {{0}}, {{0}}},
    {"begin upload",
     run_upload,
     {{0}},
     "POST /bkt/k?uploads",
     BEGUN,
     {{PART(1), "403 No"}, ABORT},
     {{0}}},
    {"part",
     run_upload,
     {{"POST /bkt/k?uploads", BEGUN}},
     PART(1),
     ETAG_OF_ABC,
     {{PART(2), "403 No"}, ABORT},
     {ABORT}},
    {"list page 1", run_list, {{0}}, LIST, PAGE_1, {{LIST "&continuation-token=t", PAGE_2}}, {{0}}},
    {"list page 2", run_list, {{LIST, PAGE_1}}, LIST "&continuation-token=t", PAGE_2, {{0}}, {{0}}},
    {"DELETE", run_delete, {{0}}, "DELETE /bkt/k", "204 OK", {{0}}, {{0}}},
    {"delete batch",
     run_batch,
     {{0}},
     "POST /bkt/?delete",
     "200 OK\n\n<DeleteResult/>",
     {{0}},
     {{0}}},
    {"HEAD", run_head, {{0}}, "HEAD /bkt/k", "200 OK\nContent-Length: 3", {{0}}, {{0}}},
};

/* ---- statuses -------------------------------------------------------------------------------- */

static const struct {
    int status;
    bool passes; /* is tried again */
    enum storage_code code;
} statuses[] = {
    {400, false, STORAGE_TRANSFER},   {403, false, STORAGE_DENIED},
    {404, false, STORAGE_NOT_FOUND},  {408, true, STORAGE_UNREACHABLE},
    {409, false, STORAGE_CONFLICT},   {412, false, STORAGE_CHANGED},
    {416, false, STORAGE_TRANSFER},   {429, true, STORAGE_UNREACHABLE},
    {500, true, STORAGE_UNREACHABLE}, {502, true, STORAGE_UNREACHABLE},
    {503, true, STORAGE_UNREACHABLE}, {504, true, STORAGE_UNREACHABLE},
};

/* Where an operation knows more of a status than the table; extra requests follow its answer. */
static const struct special {
    const char *operation;
    int status;
    enum storage_code code;
    struct script_step extra[2];
} specials[] = {
    /* the range lies behind the end: of the same object that is an end, else it has changed */
    {"GET range",
     416,
     STORAGE_CHANGED,
     {{"HEAD /bkt/k", "200 OK\nContent-Length: 2\nETag: \"f\""}}},
    /* what is not there need not be removed */
    {"DELETE", 404, STORAGE_OK, {{0}}},
    /* HEAD's answers have no words: another request asks for them where it matters */
    {"HEAD", 404, STORAGE_NOT_FOUND, {{"HEAD /bkt/", "200 OK"}}},
    {"HEAD", 400, STORAGE_TRANSFER, {{"GET /bkt/k", "400 No"}}},
    {"HEAD", 403, STORAGE_DENIED, {{"GET /bkt/k", "403 No" SCENE_ERROR("AccessDenied")}}},
    {"HEAD", 408, STORAGE_UNREACHABLE, {{"GET /bkt/k", "408 No"}}},
    {"HEAD", 409, STORAGE_CONFLICT, {{"GET /bkt/k", "409 No"}}},
    {"HEAD", 412, STORAGE_CHANGED, {{"GET /bkt/k", "412 No"}}},
    {"HEAD", 416, STORAGE_TRANSFER, {{"GET /bkt/k", "416 No"}}},
    {"HEAD", 429, STORAGE_UNREACHABLE, {{"GET /bkt/k", "429 No"}}},
};

static size_t add_steps(struct script_step *steps, size_t count, const struct script_step *more,
                        size_t more_max)
{
    for (size_t i = 0; i < more_max && more[i].expect; i++) {
        assert_true(count < STEPS_MAX);
        steps[count++] = more[i];
    }
    return count;
}

static const struct special *find_special(const struct operation *operation, int status)
{
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (specials[i].status == status && strcmp(specials[i].operation, operation->name) == 0) {
            return &specials[i];
        }
    }
    return NULL;
}

/* Plays the operation with answers[0..count) to its request; returns its code. */
static enum storage_code play(const struct operation *operation, const char *const *answers,
                              size_t answer_count, const struct script_step *then, size_t then_max,
                              unsigned attempts, struct storage_error *err)
{
    struct script_step steps[STEPS_MAX];
    struct scene scene;
    struct storage_config config = scene_config();
    size_t count = add_steps(steps, 0, operation->before, 3);
    for (size_t i = 0; i < answer_count; i++) {
        assert_true(count < STEPS_MAX);
        steps[count++] = (struct script_step){operation->request, answers[i]};
    }
    count = add_steps(steps, count, then, then_max);
    config.attempts_max = attempts;
    scene_open(&scene, &config, steps, count);
    enum storage_code code = operation->run(&scene);
    *err = scene.err;
    scene_finish(&scene);
    return code;
}

static void a_status_fails_as_it_means(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        for (size_t j = 0; j < sizeof statuses / sizeof *statuses; j++) {
            const struct operation *operation = &operations[i];
            const struct special *special = find_special(operation, statuses[j].status);
            enum storage_code expected = special ? special->code : statuses[j].code;
            struct storage_error err;
            char answer[64];
            snprintf(answer, sizeof answer, "%d No\nx-amz-request-id: R1", statuses[j].status);
            const char *answers[] = {answer};
            enum storage_code code = play(operation, answers, 1,
                                          special ? special->extra : operation->undone, 2, 1, &err);
            if (code != expected) {
                fail_msg("%s, %d: %s, not %s", operation->name, statuses[j].status,
                         storage_code_name(code), storage_code_name(expected));
            }
            if (code != STORAGE_OK && code != STORAGE_CHANGED) {
                assert_int_equal(err.http_status, statuses[j].status);
                assert_non_null(strstr(err.message, "s3://bkt/"));
            }
        }
    }
}

static void a_passing_status_is_tried_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        for (size_t j = 0; j < sizeof statuses / sizeof *statuses; j++) {
            const struct operation *operation = &operations[i];
            struct storage_error err = {0};
            char answer[64];
            /* both wait for up to a second, so each operation meets one of them */
            if (!statuses[j].passes || statuses[j].status == (i % 2 ? 429 : 503)) {
                continue;
            }
            snprintf(answer, sizeof answer, "%d No", statuses[j].status);
            const char *answers[] = {answer, operation->good};
            enum storage_code code = play(operation, answers, 2, operation->after, 2, 2, &err);
            /* an upload's next part is refused, so that the script is short */
            enum storage_code expected = operation->run == run_upload ? STORAGE_DENIED : STORAGE_OK;
            if (code != expected) {
                fail_msg("%s, %d: %s", operation->name, statuses[j].status, err.message);
            }
        }
    }
}

/* A connection that ends without an answer, for each. */
static void a_dropped_connection_is_tried_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        const struct operation *operation = &operations[i];
        struct storage_error err = {0};
        const char *answers[] = {NULL, operation->good};
        enum storage_code code = play(operation, answers, 2, operation->after, 2, 2, &err);
        enum storage_code expected = operation->run == run_upload ? STORAGE_DENIED : STORAGE_OK;
        if (code != expected) {
            fail_msg("%s: %s", operation->name, err.message);
        }
        const char *none[] = {NULL};
        code = play(operation, none, 1, operation->undone, 2, 1, &err);
        if (code != STORAGE_UNREACHABLE && code != STORAGE_TRANSFER) {
            fail_msg("%s: %s", operation->name, storage_code_name(code));
        }
    }
}

/* ---- completing ------------------------------------------------------------------------------ */

/* An outcome that cannot be known is looked up; then, or when it is known, the parts are removed.
 */
static void completing_fails_as_it_should(void **state)
{
    (void)state;
    for (size_t j = 0; j < sizeof statuses / sizeof *statuses; j++) {
        bool unknown =
            statuses[j].code == STORAGE_UNREACHABLE || statuses[j].code == STORAGE_TRANSFER;
        char answer[64];
        snprintf(answer, sizeof answer, "%d No", statuses[j].status);
        for (int heals = 0; heals <= (statuses[j].passes && statuses[j].status != 429); heals++) {
            struct script_step steps[STEPS_MAX] = {{"POST /bkt/k?uploads", BEGUN},
                                                   {PART(1), ETAG_OF_ABC},
                                                   {PART(2), ETAG_OF_ABC},
                                                   {DONE, answer}};
            size_t count = 4;
            if (heals) {
                steps[count++] = (struct script_step){DONE, COMPLETED};
            } else {
                if (unknown) {
                    steps[count++] = (struct script_step){"HEAD /bkt/k", "404 No"};
                }
                steps[count++] = (struct script_step)ABORT;
            }
            struct storage_config config = scene_config();
            config.attempts_max = heals ? 2 : 1;
            struct scene scene;
            scene_open(&scene, &config, steps, count);
            enum storage_code code = run_upload(&scene);
            if (code != (heals ? STORAGE_OK : statuses[j].code)) {
                fail_msg("%d: %s", statuses[j].status, scene.err.message);
            }
            scene_finish(&scene);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_fails_as_it_means),
        cmocka_unit_test(a_passing_status_is_tried_again),
        cmocka_unit_test(a_dropped_connection_is_tried_again),
        cmocka_unit_test(completing_fails_as_it_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
