/*
 * Uploads that are gone on with, and those that nobody came back for: what the store is asked, page
 * by page, and which answers are believed.
 */
#include "scene.h"

enum {
    PART = 3
};

static struct upload_plan plan_of(const char *token)
{
    return (struct upload_plan){.size = 3 * PART, .part_size = PART, .resume = token};
}

#define LIST(truncated, marker, parts)                                    \
    "200 OK\n\n<ListPartsResult><IsTruncated>" truncated "</IsTruncated>" \
    "<NextPartNumberMarker>" marker "</NextPartNumberMarker>" parts "</ListPartsResult>"
#define ROW(number, size, etag)                                                       \
    "<Part><PartNumber>" number "</PartNumber><Size>" size "</Size><ETag>&quot;" etag \
    "&quot;</ETag></Part>"

/* Two pages; of four parts two are as remembered, and only the others would be sent. */
static void parts_are_kept_as_all_pages_list_them(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k?uploadId=U",
         LIST("true", "2", ROW("1", "3", SCENE_MD5_OF_ABC) ROW("2", "2", "two"))},
        {"GET /bkt/k?part-number-marker=2&uploadId=U", LIST("false", "4", ROW("4", "3", "four"))},
        {"PUT /bkt/k?partNumber=2&uploadId=U", "200 OK\nETag: \"" SCENE_MD5_OF_ABC "\"\n\n"},
    };
    struct scene scene;
    struct upload *upload = NULL;
    char tag[128];
    const struct upload_plan plan = plan_of("plain:U");
    scene_start(&scene, SCENE_STEPS(steps));
    const struct backend *backend = scene.store->backend;
    scene_must(&scene, backend->upload_begin(&upload, scene.store, "k", &plan, &scene.err));
    assert_true(backend->upload_keep(upload, 1, PART, 1, "md5:" SCENE_MD5_OF_ABC, NULL));
    assert_false(backend->upload_keep(upload, 2, PART, 1, "etag:two", NULL)); /* another size */
    assert_false(backend->upload_keep(upload, 3, PART, 1, "etag:", NULL));    /* not listed */
    assert_false(backend->upload_keep(upload, 4, PART, 1, "etag:FOUR", NULL));
    assert_false(backend->upload_keep(upload, 4, PART, 1, "four", NULL)); /* no tag of ours */
    assert_false(backend->upload_keep(upload, 4, PART, 1, "", NULL));
    assert_true(backend->upload_keep(upload, 4, PART, 1, "etag:four", NULL));
    assert_false(backend->upload_keep(upload, 5, PART, 1, "etag:five", NULL));
    /* what is known of a part can be said again */
    backend->upload_part_tag(upload, 1, tag, sizeof tag);
    assert_string_equal(tag, "md5:" SCENE_MD5_OF_ABC);
    backend->upload_part_tag(upload, 4, tag, sizeof tag);
    assert_string_equal(tag, "etag:four");
    backend->upload_part_tag(upload, 3, tag, sizeof tag);
    assert_string_equal(tag, "");
    scene_must(&scene, backend->upload_part(upload, 2, "abc", PART, 0x352441c2, &scene.err));
    backend->upload_part_tag(upload, 2, tag, sizeof tag);
    assert_string_equal(tag, "md5:" SCENE_MD5_OF_ABC);
    backend->upload_suspend(upload); /* sends nothing */
    scene_finish(&scene);
}

static void answers_that_are_no_list_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct script_step steps[2];
        size_t count;
        enum storage_code code;
    } cases[] = {
        {{{"GET /bkt/k?uploadId=U", "404 No" SCENE_ERROR("NoSuchUpload")}}, 1, STORAGE_NOT_FOUND},
        {{{"GET /bkt/k?uploadId=U", "200 OK\n\n<Other/>"}}, 1, STORAGE_TRANSFER},
        {{{"GET /bkt/k?uploadId=U", LIST("true", "", "")}}, 1, STORAGE_TRANSFER},
        {{{"GET /bkt/k?uploadId=U", LIST("false", "0", ROW("0", "3", "zero"))}},
         1,
         STORAGE_TRANSFER},
        {{{"GET /bkt/k?uploadId=U", LIST("false", "0", ROW("10001", "3", "far"))}},
         1,
         STORAGE_TRANSFER},
        {{{"GET /bkt/k?uploadId=U", LIST("true", "2", ROW("2", "3", "two"))},
          {"GET /bkt/k?part-number-marker=2&uploadId=U", LIST("true", "2", ROW("2", "3", "two"))}},
         2,
         STORAGE_TRANSFER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene scene;
        struct upload *upload = NULL;
        const struct upload_plan plan = plan_of("crc32:U");
        scene_start(&scene, cases[i].steps, cases[i].count);
        assert_int_equal(
            scene.store->backend->upload_begin(&upload, scene.store, "k", &plan, &scene.err),
            cases[i].code);
        assert_null(upload);
        scene_finish(&scene);
    }
}

static void tokens_that_are_none_of_ours_ask_nothing(void **state)
{
    (void)state;
    static const char *const tokens[] = {"", "U", "crc32:", "plain:", "md5:U"};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        struct scene scene;
        struct upload *upload = NULL;
        const struct upload_plan plan = plan_of(tokens[i]);
        scene_start(&scene, NULL, 0);
        assert_int_equal(
            scene.store->backend->upload_begin(&upload, scene.store, "k", &plan, &scene.err),
            STORAGE_NOT_FOUND);
        scene_finish(&scene);
    }
}

static void a_token_begins_the_upload_once(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"POST /bkt/k?uploads",
         "200 OK\nx-amz-checksum-type: FULL_OBJECT\n\n"
         "<InitiateMultipartUploadResult><UploadId>a b</UploadId></InitiateMultipartUploadResult>"},
    };
    struct scene scene;
    struct upload *upload = NULL;
    char token[64];
    const struct upload_plan plan = {.size = 3 * PART, .part_size = PART};
    scene_start(&scene, SCENE_STEPS(steps));
    const struct backend *backend = scene.store->backend;
    scene_must(&scene, backend->upload_begin(&upload, scene.store, "k", &plan, &scene.err));
    for (int i = 0; i < 2; i++) {
        scene_must(&scene, backend->upload_token(upload, token, sizeof token, &scene.err));
        assert_string_equal(token, "crc32:a b");
    }
    assert_int_equal(backend->upload_token(upload, token, 5, &scene.err), STORAGE_TRANSFER);
    backend->upload_suspend(upload);
    scene_finish(&scene);
}

/* ---- left-overs ----------------------------------------------------------------------------- */

#define PENDINGS(more, rows) \
    "200 OK\n\n<ListMultipartUploadsResult>" more rows "</ListMultipartUploadsResult>"
#define MORE(key, id)                                                                              \
    "<IsTruncated>true</IsTruncated><NextKeyMarker>" key "</NextKeyMarker><NextUploadIdMarker>" id \
    "</NextUploadIdMarker>"
#define UPLOAD(key, id)                                     \
    "<Upload><Key>" key "</Key><UploadId>" id "</UploadId>" \
    "<Initiated>2026-11-24T08:15:00.000Z</Initiated></Upload>"

struct seen {
    char text[256];
    int64_t started_ns;
};

static enum storage_code note(void *context, const struct storage_leftover *leftover,
                              struct storage_error *err)
{
    (void)err;
    struct seen *seen = context;
    size_t length = strlen(seen->text);
    snprintf(seen->text + length, sizeof seen->text - length, "%s=%s;", leftover->key,
             leftover->upload_id);
    seen->started_ns = leftover->started_ns;
    assert_false(leftover->in_use);
    return STORAGE_OK;
}

static void all_pages_of_uploads_come(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/?encoding-type=url&prefix=d%2F&uploads",
         PENDINGS("<EncodingType>url</EncodingType>" MORE("d/b%2B", "2"),
                  UPLOAD("d/a%20x", "1") UPLOAD("d/b%2B", "2"))},
        {"GET /bkt/?encoding-type=url&key-marker=d%2Fb%2B&prefix=d%2F&upload-id-marker=2&uploads",
         PENDINGS("<IsTruncated>false</IsTruncated>", UPLOAD("d/b+", "3"))},
    };
    struct scene scene;
    struct seen seen = {0};
    scene_start(&scene, SCENE_STEPS(steps));
    scene_must(&scene, storage_leftovers(scene.store, "d/", note, &seen, &scene.err));
    assert_string_equal(seen.text, "d/a x=1;d/b+=2;d/b+=3;");
    assert_true(seen.started_ns == 1795508100LL * 1000000000);
    scene_finish(&scene);
}

/* As on MinIO: a prefix lists nothing, so all is listed and chosen from. */
static void a_prefix_that_is_not_understood_is_chosen_from_all(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/?encoding-type=url&prefix=d%2F&uploads", PENDINGS("", "")},
        {"GET /bkt/?encoding-type=url&uploads",
         PENDINGS("", UPLOAD("c", "1") UPLOAD("d/a", "2") UPLOAD("e", "3"))},
        {"GET /bkt/?encoding-type=url&prefix=x&uploads", PENDINGS("", "")},
        {"GET /bkt/?encoding-type=url&uploads", "403 No" SCENE_ERROR("AccessDenied")},
    };
    struct scene scene;
    struct seen seen = {0};
    scene_start(&scene, SCENE_STEPS(steps));
    scene_must(&scene, storage_leftovers(scene.store, "d/", note, &seen, &scene.err));
    assert_string_equal(seen.text, "d/a=2;");
    scene_must(&scene, storage_leftovers(scene.store, "x", note, &seen, &scene.err));
    assert_string_equal(seen.text, "d/a=2;");
    scene_finish(&scene);
}

static void lists_of_uploads_that_loop_or_lie_are_refused(void **state)
{
    (void)state;
    static const struct script_step looping[] = {
        {"GET /bkt/?encoding-type=url&uploads", PENDINGS(MORE("a", "1"), UPLOAD("a", "1"))},
        {"GET /bkt/?encoding-type=url&key-marker=a&upload-id-marker=1&uploads",
         PENDINGS(MORE("a", "1"), UPLOAD("a", "1"))},
    };
    static const struct script_step others[] = {
        {"GET /bkt/?encoding-type=url&uploads", PENDINGS("<IsTruncated>true</IsTruncated>", "")},
        {"GET /bkt/?encoding-type=url&uploads", "200 OK\n\n<ListBucketResult/>"},
        {"GET /bkt/?encoding-type=url&uploads", PENDINGS("", "<Upload><Key>a</Key></Upload>")},
        {"GET /bkt/?encoding-type=url&uploads", "403 No" SCENE_ERROR("AccessDenied")},
    };
    struct scene scene;
    struct seen seen = {0};
    scene_start(&scene, SCENE_STEPS(looping));
    assert_int_equal(storage_leftovers(scene.store, "", note, &seen, &scene.err), STORAGE_TRANSFER);
    scene_finish(&scene);
    for (size_t i = 0; i < 4; i++) {
        scene_start(&scene, &others[i], 1);
        assert_int_equal(storage_leftovers(scene.store, "", note, &seen, &scene.err),
                         i == 3 ? STORAGE_DENIED : STORAGE_TRANSFER);
        scene_finish(&scene);
    }
}

static void removing_aborts_and_gone_is_fine(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"DELETE /bkt/k?uploadId=a%20b", "204 OK"},
        {"DELETE /bkt/k?uploadId=a%20b", "404 No" SCENE_ERROR("NoSuchUpload")},
        {"DELETE /bkt/k?uploadId=a%20b", "404 No" SCENE_ERROR("NoSuchBucket")},
    };
    struct scene scene;
    const struct storage_leftover leftover = {.key = "k", .upload_id = "a b"};
    scene_start(&scene, SCENE_STEPS(steps));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(storage_leftover_remove(scene.store, &leftover, &scene.err),
                         i < 2 ? STORAGE_OK : STORAGE_NOT_FOUND);
    }
    scene_finish(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_kept_as_all_pages_list_them),
        cmocka_unit_test(answers_that_are_no_list_are_refused),
        cmocka_unit_test(tokens_that_are_none_of_ours_ask_nothing),
        cmocka_unit_test(a_token_begins_the_upload_once),
        cmocka_unit_test(all_pages_of_uploads_come),
        cmocka_unit_test(a_prefix_that_is_not_understood_is_chosen_from_all),
        cmocka_unit_test(lists_of_uploads_that_loop_or_lie_are_refused),
        cmocka_unit_test(removing_aborts_and_gone_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
