/*
 * What requests say of objects beside their bytes, in each dialect, and copies that the store makes
 * by itself, by script.
 */
#include "scene.h"

static const unsigned char sse_key[STORAGE_SSE_C_KEY_SIZE] = "0123456789abcdef0123456789abcdef";
#define SSE_KEY_TEXT "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define SSE_KEY_MD5  "hRasmdxgYDKV3nvbahU1MA=="

static struct storage_config everything(void)
{
    struct storage_config config = scene_config();
    config.headers = (struct storage_headers){.content_type = "text/x-own",
                                              .cache_control = "max-age=60",
                                              .metadata = "who=me,list=a\\,b",
                                              .storage_class = "STANDARD_IA",
                                              .acl = "public-read",
                                              .sse = "aws:kms",
                                              .sse_kms_key_id = "key-1",
                                              .request_payer = true};
    return config;
}

static void a_put_says_all_of_it(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"PUT /bkt/k.json", "200 OK\nETag: \"x\"\nx-amz-checksum-crc32: " SCENE_CRC_OF_ABC}};
    struct storage_config config = everything();
    struct scene scene;
    scene_open(&scene, &config, SCENE_STEPS(steps));
    scene_must(&scene, storage_put(scene.store, "k.json", "abc", 3, NULL, &scene.err));
    static const char *const lines[] = {
        "\r\nContent-Type: text/x-own\r\n",
        "\r\nCache-Control: max-age=60\r\n",
        "\r\nx-amz-meta-who: me\r\n",
        "\r\nx-amz-meta-list: a,b\r\n",
        "\r\nx-amz-storage-class: STANDARD_IA\r\n",
        "\r\nx-amz-acl: public-read\r\n",
        "\r\nx-amz-server-side-encryption: aws:kms\r\n",
        "\r\nx-amz-server-side-encryption-aws-kms-key-id: key-1\r\n",
        "\r\nx-amz-request-payer: requester\r\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        scene_assert_sent(&scene, 0, lines[i], true);
    }
    /* what begins with x-amz- must be signed */
    scene_assert_sent(&scene, 0, "x-amz-meta-who;x-amz-request-payer;", true);
    scene_finish(&scene);
}

static void obs_is_told_in_its_own_words(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"PUT /bkt/k", "200 OK\nETag: \"" SCENE_MD5_OF_ABC "\""},
        {"GET /bkt/k", SCENE_OK_BODY},
    };
    struct storage_config config = everything();
    config.access.signature = STORAGE_SIGN_OBS;
    struct scene scene;
    scene_open(&scene, &config, SCENE_STEPS(steps));
    scene_must(&scene, storage_put(scene.store, "k", "abc", 3, NULL, &scene.err));
    static const char *const lines[] = {
        "\r\nx-obs-meta-who: me\r\n",
        "\r\nx-obs-storage-class: WARM\r\n",
        "\r\nx-obs-acl: public-read\r\n",
        "\r\nx-obs-server-side-encryption: kms\r\n",
        "\r\nx-obs-server-side-encryption-kms-key-id: key-1\r\n",
        "\r\nx-obs-request-payer: requester\r\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        scene_assert_sent(&scene, 0, lines[i], true);
    }
    scene_assert_sent(&scene, 0, "x-amz-", false);
    scene_must(&scene, scene_read_key(&scene));
    scene_assert_sent(&scene, 1, "x-obs-request-payer: requester", true);
    scene_assert_sent(&scene, 1, "x-obs-acl", false);
    scene_assert_sent(&scene, 1, "x-obs-meta", false);
    scene_finish(&scene);
}

static void the_type_follows_the_name(void **state)
{
    (void)state;
    static const struct {
        const char *key, *type;
    } cases[] = {
        {"a/b.json", "application/json"},
        {"a.b/c", "application/octet-stream"},
        {"lenet-1_1875.ckpt", "application/octet-stream"},
        {"train-images-idx3-ubyte.GZ", "application/gzip"},
        {"REPORT.html", "text/html"},
        {"x.", "application/octet-stream"},
        {".txt", "text/plain"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(content_type_of(cases[i].key), cases[i].type);
    }
    static const struct script_step steps[] = {
        {"PUT /bkt/k.json", "200 OK\nETag: \"x\"\nx-amz-checksum-crc32: " SCENE_CRC_OF_ABC}};
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    scene_must(&scene, storage_put(scene.store, "k.json", "abc", 3, NULL, &scene.err));
    scene_assert_sent(&scene, 0, "\r\nContent-Type: application/json\r\n", true);
    scene_finish(&scene);
}

static void bad_words_are_refused(void **state)
{
    (void)state;
    static const struct storage_headers cases[] = {
        {.metadata = "novalue"},
        {.metadata = "=x"},
        {.metadata = "Upper=x"},
        {.metadata = "a b=x"},
        {.metadata = "a=x\r\nX-Evil: y"},
        {.metadata = "a=\xc3\xa4"},
        {.content_type = "text/plain\n"},
        {.acl = " private"},
        {.sse = "AES256", .sse_c_key = sse_key},
        {.metadata = "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,q=1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_url url = {.kind = STORAGE_S3, .bucket = "bkt"};
        struct storage_config config = scene_config();
        struct storage *store = NULL;
        struct storage_error err;
        config.headers = cases[i];
        if (storage_open(&store, &url, &config, &err) != STORAGE_USAGE) {
            fail_msg("case %zu was taken", i);
        }
        assert_null(store);
    }
}

/* ---- the caller's key, versions -------------------------------------------------------------- */

#define KEY_LINES                                                     \
    "x-amz-server-side-encryption-customer-algorithm: AES256\r\n"     \
    "x-amz-server-side-encryption-customer-key: " SSE_KEY_TEXT "\r\n" \
    "x-amz-server-side-encryption-customer-key-MD5: " SSE_KEY_MD5 "\r\n"

static void the_callers_key_goes_with_every_object_request(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"PUT /bkt/k", "200 OK\nETag: \"x\"\nx-amz-checksum-crc32: " SCENE_CRC_OF_ABC},
        {"GET /bkt/k", SCENE_OK_BODY},
        {"HEAD /bkt/k", "200 OK\nContent-Length: 3"},
        {"DELETE /bkt/k", "204 OK"},
        {"GET /bkt/?list-type=2&prefix=&max-keys=1000", "200 OK\n\n<ListBucketResult/>"},
    };
    struct storage_config config = scene_config();
    struct storage_info info;
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    struct scene scene;
    config.headers.sse_c_key = sse_key;
    scene_open(&scene, &config, SCENE_STEPS(steps));
    scene_must(&scene, storage_put(scene.store, "k", "abc", 3, NULL, &scene.err));
    scene_must(&scene, scene_read_key(&scene));
    scene_must(&scene, storage_stat(scene.store, "k", &info, &scene.err));
    scene_must(&scene, storage_remove(scene.store, "k", &scene.err));
    scene_must(&scene, storage_lister_open(&lister, scene.store, "", true, &scene.err));
    scene_must(&scene, storage_lister_next(lister, &entry, &scene.err));
    storage_lister_close(lister);
    for (size_t i = 0; i < 3; i++) {
        scene_assert_sent(&scene, i, KEY_LINES, true);
    }
    scene_assert_sent(&scene, 3, "customer", false);
    scene_assert_sent(&scene, 4, "customer", false);
    scene_finish(&scene);
}

static void the_callers_key_is_not_sent_in_the_clear(void **state)
{
    (void)state;
    struct storage_url url = {.kind = STORAGE_S3, .bucket = "bkt"};
    struct storage_config config = scene_config();
    struct storage *store = NULL;
    struct storage_error err;
    config.headers.sse_c_key = sse_key;
    config.access.endpoint = "http://store.example";
    assert_int_equal(storage_open(&store, &url, &config, &err), STORAGE_USAGE);
    assert_non_null(strstr(err.message, "https"));
    config.access.endpoint = "https://store.example";
    assert_int_equal(storage_open(&store, &url, &config, &err), STORAGE_OK);
    storage_close(store);
}

static void a_version_is_asked_for(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k?versionId=v%2F1", SCENE_OK_BODY},
        {"HEAD /bkt/k?versionId=v%2F1", "200 OK\nContent-Length: 3"},
        {"DELETE /bkt/k?versionId=v%2F1", "204 OK"},
    };
    struct storage_config config = scene_config();
    struct storage_info info;
    struct scene scene;
    config.headers.version_id = "v/1";
    scene_open(&scene, &config, SCENE_STEPS(steps));
    scene_must(&scene, scene_read_key(&scene));
    scene_must(&scene, storage_stat(scene.store, "k", &info, &scene.err));
    scene_must(&scene, storage_remove(scene.store, "k", &scene.err));
    scene_finish(&scene);
}

/* ---- OBS's file systems ---------------------------------------------------------------------- */

#define PAGE(inside) "200 OK\n\n<ListBucketResult>" inside "</ListBucketResult>"
#define KEY(key)     "<Contents><Key>" key "</Key></Contents>"
#define MORE         "<IsTruncated>true</IsTruncated>"
#define FIRST        "GET /bkt/?prefix=&max-keys=1000"

/* Version 1, never encoding-type; a page that is the one before is an error, not a loop. */
static void obs_is_listed_by_markers_that_advance(void **state)
{
    (void)state;
    static const struct script_step good[] = {
        {FIRST, PAGE(MORE KEY("a") KEY("b"))},
        {FIRST "&marker=b", PAGE(MORE "<NextMarker>c</NextMarker>" KEY("c"))},
        {FIRST "&marker=c", PAGE(KEY("d"))},
    };
    static const struct script_step stuck[] = {
        {FIRST, PAGE(MORE KEY("a") KEY("b"))},
        {FIRST "&marker=b", PAGE(MORE KEY("a") KEY("b"))},
    };
    for (int is_stuck = 0; is_stuck < 2; is_stuck++) {
        struct storage_config config = scene_config();
        struct storage_lister *lister = NULL;
        struct storage_entry entry = {.key = ""};
        struct scene scene;
        size_t count = 0;
        config.access.signature = STORAGE_SIGN_OBS;
        config.access.addressing = STORAGE_ADDRESSING_PATH;
        scene_open(&scene, &config, is_stuck ? stuck : good, is_stuck ? 2 : 3);
        atomic_store(&((struct s3_store *)scene.store)->is_obs, true); /* as by its host's name */
        scene_must(&scene, storage_lister_open(&lister, scene.store, "", true, &scene.err));
        enum storage_code code = STORAGE_OK;
        while (code == STORAGE_OK && entry.key) {
            code = storage_lister_next(lister, &entry, &scene.err);
            count += code == STORAGE_OK && entry.key;
        }
        storage_lister_close(lister);
        assert_int_equal(code, is_stuck ? STORAGE_TRANSFER : STORAGE_OK);
        assert_int_equal(count, is_stuck ? 2 : 4);
        scene_finish(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_put_says_all_of_it),
        cmocka_unit_test(obs_is_told_in_its_own_words),
        cmocka_unit_test(the_type_follows_the_name),
        cmocka_unit_test(bad_words_are_refused),
        cmocka_unit_test(the_callers_key_goes_with_every_object_request),
        cmocka_unit_test(the_callers_key_is_not_sent_in_the_clear),
        cmocka_unit_test(a_version_is_asked_for),
        cmocka_unit_test(obs_is_listed_by_markers_that_advance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
