/*
 * What the S3 backend believes of answers to reading, listing, removing and making, by script.
 */
#include "scene.h"

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
        {"412 No" SCENE_ERROR("PreconditionFailed"), STORAGE_CHANGED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = {{"GET /bkt/k", cases[i].answer}};
        struct scene scene;
        char data[4];
        size_t got = 0;
        scene_start(&scene, SCENE_STEPS(steps));
        enum storage_code code =
            storage_read(scene.store, "k", 2, data, 4, "e", &got, NULL, &scene.err);
        if (code != cases[i].code) {
            fail_msg("case %zu: %s", i, scene.err.message);
        }
        scene_assert_sent(&scene, 0, "Range: bytes=2-5", true);
        scene_assert_sent(&scene, 0, "If-Match: \"e\"", true);
        scene_finish(&scene);
    }
}

static void answers_must_say_where_they_end(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum storage_code code;
    } cases[] = {
        {"200 OK\nTransfer-Encoding: chunked\n\n3\r\nabc\r\n0\r\n\r\n", STORAGE_OK},
        {"200 OK\nTransfer-Encoding: identity\n\nabc", STORAGE_TRANSFER}, /* the connection's end */
        {"206 OK\nTransfer-Encoding: identity\nContent-Range: bytes 0-2/3\n\nabc", STORAGE_OK},
        {"206 OK\nTransfer-Encoding: identity\nContent-Range: bytes 0-2/3\n\nab", STORAGE_TRANSFER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = {{"GET /bkt/k", cases[i].answer}};
        struct scene scene;
        struct storage_info info;
        char data[16];
        size_t got = 0;
        scene_start(&scene, SCENE_STEPS(steps));
        enum storage_code code =
            storage_read(scene.store, "k", 0, data, sizeof data, NULL, &got, &info, &scene.err);
        if (code != cases[i].code) {
            fail_msg("case %zu: %s", i, scene.err.message);
        }
        assert_int_equal(got, code == STORAGE_OK ? 3 : 0);
        if (code == STORAGE_OK) {
            assert_int_equal(info.size, 3);
        }
        scene_finish(&scene);
    }
}

/* ---- listing --------------------------------------------------------------------------------- */

#define PAGE(inside) "200 OK\n\n<ListBucketResult>" inside "</ListBucketResult>"
#define KEY(key)     "<Contents><Key>" key "</Key></Contents>"
#define MORE(marker) "<IsTruncated>true</IsTruncated>" marker
#define TOKEN(text)  "<NextContinuationToken>" text "</NextContinuationToken>"
#define V2           "GET /bkt/?list-type=2&prefix=p&max-keys=1000"

/* Lists below "p" and joins the keys by blanks. ahead: in another thread, but page after page. */
static enum storage_code list(struct scene *scene, bool ahead, char *keys, size_t size)
{
    const struct storage_listing listing = {.prefix = "p", .recursive = true, .whole = ahead};
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    keys[0] = '\0';
    atomic_store(&((struct s3_store *)scene->store)->start_after, S3_START_AFTER_FAILS);
    scene_must(scene, storage_lister_open_as(&lister, scene->store, &listing, &scene->err));
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
        {"a page that goes back behind the one before",
         {{V2, PAGE(MORE(TOKEN("t")) KEY("p5"))},
          {V2 "&continuation-token=t", PAGE(KEY("p1") KEY("p6"))}},
         2,
         STORAGE_TRANSFER,
         "p5"},
        {"a key given twice, in one page and across two",
         {{V2, PAGE(MORE(TOKEN("t")) KEY("p1") KEY("p1") KEY("p2"))},
          {V2 "&continuation-token=t", PAGE(KEY("p2") KEY("p3"))}},
         2,
         STORAGE_OK,
         "p1 p2 p3"},
        {"a page that was cut",
         {{V2, "200 OK\n\n<ListBucketResult>" KEY("p1") "<Contents><Key>p"},
          {V2 "&encoding-type=url", "200 OK\n\n<ListBucketResult>" KEY("p1") "<Contents><Key>p"}},
         2,
         STORAGE_TRANSFER,
         ""},
        {"an error where a page should be",
         {{V2, "200 OK\n\n<Error><Code>InternalError</Code></Error>"},
          {V2 "&encoding-type=url", "200 OK\n\n<Error><Code>InternalError</Code></Error>"}},
         2,
         STORAGE_TRANSFER,
         ""},
        {"a key from elsewhere", {{V2, PAGE(KEY("q"))}}, 1, STORAGE_TRANSFER, ""},
        {"a later page is refused",
         {{V2, PAGE(MORE(TOKEN("t")) KEY("p1"))},
          {V2 "&continuation-token=t", "403 No" SCENE_ERROR("AccessDenied")}},
         2,
         STORAGE_DENIED,
         "p1"},
    };
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        struct scene scene;
        char keys[256];
        scene_start(&scene, cases[i / 2].steps, cases[i / 2].count);
        enum storage_code code = list(&scene, i % 2, keys, sizeof keys);
        if (code != cases[i / 2].code || strcmp(keys, cases[i / 2].keys) != 0) {
            fail_msg("%s: '%s', %s", cases[i / 2].name, keys, scene.err.message);
        }
        scene_finish(&scene);
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
    scene_start(&scene, SCENE_STEPS(steps));
    assert_int_equal(storage_remove_batch(scene.store, keys, 3, &removed, &scene.err),
                     STORAGE_DENIED);
    assert_int_equal(removed, 2);
    assert_string_equal(scene.err.target, "s3://bkt/a");
    assert_string_equal(scene.err.service_code, "AccessDenied");
    scene_assert_sent(&scene, 1,
                      "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object>"
                      "<Object><Key>c&amp;&lt;</Key></Object></Delete>",
                      true);
    scene_assert_sent(&scene, 1, "Content-MD5: ", true);
    scene_finish(&scene);
}

static void stores_without_batches_are_served(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b"};
    static const struct script_step steps[] = {
        {"POST /bkt/?delete", "501 No" SCENE_ERROR("NotImplemented")},
        {"DELETE /bkt/a", "404 No" SCENE_ERROR("NoSuchKey")},
        {"DELETE /bkt/b", "204 OK"},
    };
    size_t removed = 0;
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    scene_must(&scene, storage_remove_batch(scene.store, keys, 2, &removed, &scene.err));
    assert_int_equal(removed, 2);
    scene_finish(&scene);
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
        {NULL, "409 No" SCENE_ERROR("BucketAlreadyOwnedByYou"), "", STORAGE_OK},
        {NULL, "409 No" SCENE_ERROR("BucketAlreadyExists"), "", STORAGE_CONFLICT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = {{"PUT /bkt/", cases[i].answer}};
        struct storage_config config = scene_config();
        config.access.region = cases[i].region;
        struct scene scene;
        scene_open(&scene, &config, SCENE_STEPS(steps));
        assert_int_equal(storage_make_bucket(scene.store, "", &scene.err), cases[i].code);
        scene_assert_sent(&scene, 0, cases[i].body, true);
        scene_assert_sent(&scene, 0, "Location", cases[i].region != NULL);
        scene_finish(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_to_reads_are_checked),
        cmocka_unit_test(answers_must_say_where_they_end),
        cmocka_unit_test(pages_follow_each_other),
        cmocka_unit_test(batches_report_what_was_refused),
        cmocka_unit_test(stores_without_batches_are_served),
        cmocka_unit_test(buckets_are_made_where_they_belong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
