/*
 * What a preflight asks of a store, by script: whether an upload in parts may be begun and aborted,
 * and how far the store's clock is from ours.
 */
#include "scene.h"

#include "storage/base/date.h"

#include <time.h>

static const char begun[] = "200 OK\n\n<InitiateMultipartUploadResult><UploadId>U1</UploadId>"
                            "</InitiateMultipartUploadResult>";

static void an_upload_is_begun_and_aborted(void **state)
{
    (void)state;
    const struct script_step steps[] = {{"POST /bkt/k?uploads", begun},
                                        {"DELETE /bkt/k?uploadId=U1", "204 No Content"}};
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    scene_must(&scene, storage_probe_upload(scene.store, "k", &scene.err));
    scene_finish(&scene);
}

static void a_refused_begin_or_abort_is_told(void **state)
{
    (void)state;
    const struct script_step no_begin[] = {
        {"POST /bkt/k?uploads", "403 No" SCENE_ERROR("AccessDenied")}};
    const struct script_step no_abort[] = {
        {"POST /bkt/k?uploads", begun},
        {"DELETE /bkt/k?uploadId=U1", "403 No" SCENE_ERROR("AccessDenied")}};
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(no_begin));
    assert_int_equal(storage_probe_upload(scene.store, "k", &scene.err), STORAGE_DENIED);
    scene_finish(&scene);
    scene_start(&scene, SCENE_STEPS(no_abort));
    assert_int_equal(storage_probe_upload(scene.store, "k", &scene.err), STORAGE_DENIED);
    assert_string_equal(scene.err.service_code, "AccessDenied");
    scene_finish(&scene);
}

static void the_clock_is_the_date_of_a_good_answer(void **state)
{
    (void)state;
    enum {
        AHEAD_S = 7200
    };
    char date[DATE_HTTP_SIZE];
    char answer[128];
    date_format_http(date, (int64_t)time(NULL) + AHEAD_S);
    snprintf(answer, sizeof answer, "200 OK\nContent-Length: 3\nDate: %s", date);
    const struct script_step steps[] = {{"HEAD /bkt/k", answer}};
    int64_t offset = 1;
    struct storage_info info;
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    assert_false(storage_clock_offset(scene.store, &offset));
    assert_int_equal(offset, 0);
    scene_must(&scene, storage_stat(scene.store, "k", &info, &scene.err));
    assert_true(storage_clock_offset(scene.store, &offset));
    assert_in_range(offset, AHEAD_S - 60, AHEAD_S);
    scene_finish(&scene);
}

static void a_folder_needs_no_proof_and_has_our_clock(void **state)
{
    (void)state;
    struct storage_url url;
    struct storage *store = NULL;
    struct storage_config config = {0};
    struct storage_error err;
    int64_t offset = 1;
    assert_int_equal(storage_url_parse(&url, "/tmp", &err), STORAGE_OK);
    assert_int_equal(storage_open(&store, &url, &config, &err), STORAGE_OK);
    assert_int_equal(storage_probe_upload(store, "/tmp/k", &err), STORAGE_OK);
    assert_false(storage_clock_offset(store, &offset));
    storage_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upload_is_begun_and_aborted),
        cmocka_unit_test(a_refused_begin_or_abort_is_told),
        cmocka_unit_test(the_clock_is_the_date_of_a_good_answer),
        cmocka_unit_test(a_folder_needs_no_proof_and_has_our_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
