/*
 * The S3 backend against a store that fails, by script: what is tried again and what is not, how
 * long is waited, and what ends the waiting.
 */
#include "scene.h"

static void passing_troubles_are_tried_again(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "500 Oops" SCENE_ERROR("InternalError")},
        {"GET /bkt/k", NULL},
        {"GET /bkt/k", SCENE_OK_BODY},
    };
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    scene_must(&scene, scene_read_key(&scene));
    assert_int_equal(atomic_load(&scene.store->retries), 2);
    scene_finish(&scene);
}

static void tries_end_and_are_counted(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "502 Bad Gateway\n\n<html>"},
        {"GET /bkt/k", "400 Bad" SCENE_ERROR("RequestTimeout")},
        {"GET /bkt/k", "500 Oops\nx-amz-request-id: R7" SCENE_ERROR("InternalError")},
    };
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(steps));
    assert_int_equal(scene_read_key(&scene), STORAGE_UNREACHABLE);
    assert_string_equal(scene.err.message,
                        "GET s3://bkt/k: 502 no reason given, after 3 tries, of which the last "
                        "met: GET s3://bkt/k: 500 InternalError: m (request R7)");
    assert_int_equal(scene.err.http_status, 502);
    assert_string_equal(scene.err.operation, "GET object");
    assert_string_equal(scene.err.target, "s3://bkt/k");
    scene_finish(&scene);
}

/* The first trouble is the cause; a refusal that follows decides what kind of failure it is. */
static void the_first_cause_is_told(void **state)
{
    (void)state;
    static const struct script_step same[] = {
        {"GET /bkt/k", "500 Oops\nx-amz-request-id: R1" SCENE_ERROR("InternalError")},
        {"GET /bkt/k", "500 Oops\nx-amz-request-id: R2" SCENE_ERROR("InternalError")},
        {"GET /bkt/k", "500 Oops\nx-amz-request-id: R3" SCENE_ERROR("InternalError")},
    };
    static const struct script_step refused[] = {
        {"GET /bkt/k", "500 Oops\nx-amz-request-id: R1" SCENE_ERROR("InternalError")},
        {"GET /bkt/k", "403 No" SCENE_ERROR("AccessDenied")},
    };
    struct scene scene;
    scene_start(&scene, SCENE_STEPS(same));
    assert_int_equal(scene_read_key(&scene), STORAGE_UNREACHABLE);
    assert_string_equal(scene.err.message,
                        "GET s3://bkt/k: 500 InternalError: m (request R3), after 3 tries");
    scene_finish(&scene);
    scene_start(&scene, SCENE_STEPS(refused));
    assert_int_equal(scene_read_key(&scene), STORAGE_DENIED);
    assert_string_equal(scene.err.service_code, "AccessDenied");
    assert_string_equal(scene.err.message,
                        "GET s3://bkt/k: 403 AccessDenied: m, after 2 tries, of which the first "
                        "met: GET s3://bkt/k: 500 InternalError: m (request R1)");
    scene_finish(&scene);
}

static void refusals_are_not_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum storage_code code;
    } cases[] = {
        {"403 No" SCENE_ERROR("SignatureDoesNotMatch"), STORAGE_DENIED},
        {"403 No" SCENE_ERROR("TooManyWrongSignature"), STORAGE_DENIED},
        {"403 No" SCENE_ERROR("InvalidAccessKeyId"), STORAGE_DENIED},
        {"403 No" SCENE_ERROR("AccessDenied"), STORAGE_DENIED},
        {"400 No" SCENE_ERROR("ExpiredToken"), STORAGE_DENIED},
        {"403 No" SCENE_ERROR("InvalidObjectState"), STORAGE_CONFLICT},
        {"404 No" SCENE_ERROR("NoSuchBucket"), STORAGE_NOT_FOUND},
        {"404 No" SCENE_ERROR("NoSuchKey"), STORAGE_NOT_FOUND},
        {"400 No" SCENE_ERROR("SomethingNew"), STORAGE_TRANSFER},
        {"501 No" SCENE_ERROR("NotImplemented"), STORAGE_UNREACHABLE},
        {"403 No\n\nnot XML", STORAGE_DENIED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = {{"GET /bkt/k", cases[i].answer}};
        struct scene scene;
        scene_start(&scene, SCENE_STEPS(steps));
        assert_int_equal(scene_read_key(&scene), cases[i].code);
        assert_int_equal(scene.err.code, cases[i].code);
        scene_finish(&scene);
    }
}

/* The waits are too long for the deadline, so there is none. */
static void waits_are_those_the_store_asks_for(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        bool is_too_long;
    } cases[] = {
        {"500 Oops\nRetry-After: 60" SCENE_ERROR("InternalError"), true},
        {"500 Oops\nDate: Sat, 12 Oct 2024 08:12:38 GMT\n"
         "Retry-After: Sat, 12 Oct 2024 08:13:18 GMT" SCENE_ERROR("InternalError"),
         true},
        {"500 Oops\nRetry-After: Fri, 31 Dec 2999 23:59:59 GMT" SCENE_ERROR("InternalError"), true},
        {"500 Oops\nDate: Sat, 12 Oct 2024 08:12:38 GMT\n"
         "Retry-After: Sat, 12 Oct 2024 08:12:37 GMT" SCENE_ERROR("InternalError"),
         false},
        {"500 Oops\nRetry-After: soon" SCENE_ERROR("InternalError"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = {{"GET /bkt/k", cases[i].answer},
                                            {"GET /bkt/k", SCENE_OK_BODY}};
        struct storage_config config = scene_config();
        config.request_deadline_ms = 20000;
        struct scene scene;
        scene_open(&scene, &config, steps, cases[i].is_too_long ? 1 : 2);
        assert_int_equal(scene_read_key(&scene),
                         cases[i].is_too_long ? STORAGE_UNREACHABLE : STORAGE_OK);
        assert_int_equal(atomic_load(&scene.store->retries), !cases[i].is_too_long);
        scene_finish(&scene);
    }
}

static void a_store_that_asks_for_less_gets_less(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        bool is_slowed;
    } cases[] = {
        {"503 Busy" SCENE_ERROR("SlowDown"), true},
        {"429 Busy" SCENE_ERROR("TooManyRequests"), true},
        {"500 Oops" SCENE_ERROR("InternalError"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = {{"GET /bkt/k", cases[i].answer},
                                            {"GET /bkt/k", SCENE_OK_BODY}};
        struct scene scene;
        scene_start(&scene, SCENE_STEPS(steps));
        scene_must(&scene, scene_read_key(&scene));
        assert_int_equal(((struct s3_store *)scene.store)->pace.limit > 0, cases[i].is_slowed);
        scene_finish(&scene);
    }
}

static void without_budget_retries_wait_seconds(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /bkt/k", "500 Oops" SCENE_ERROR("InternalError")},
        {"GET /bkt/k", "500 Oops" SCENE_ERROR("InternalError")},
        {"GET /bkt/k", SCENE_OK_BODY},
    };
    struct storage_config config = scene_config();
    config.request_deadline_ms = 4000; /* such a wait has 5 s at least */
    struct scene scene;
    scene_open(&scene, &config, SCENE_STEPS(steps));
    struct s3_store *store = (struct s3_store *)scene.store;
    atomic_store(&store->budget, 13);
    assert_int_equal(scene_read_key(&scene), STORAGE_UNREACHABLE);
    assert_int_equal(atomic_load(&store->budget), 13);
    atomic_store(&store->budget, 14);
    scene_must(&scene, scene_read_key(&scene));
    assert_int_equal(atomic_load(&store->budget), 1); /* 14 spent, one given back */
    scene_finish(&scene);
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
        {"GET /bkt/k", "503 Busy\nRetry-After: 60" SCENE_ERROR("SlowDown")}};
    struct scene scene;
    struct storage_config config = scene_config();
    config.trace = stop_at_trace;
    config.trace_context = &scene;
    scene_open(&scene, &config, SCENE_STEPS(steps));
    assert_int_equal(scene_read_key(&scene), STORAGE_STOPPED);
    scene_finish(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passing_troubles_are_tried_again),
        cmocka_unit_test(tries_end_and_are_counted),
        cmocka_unit_test(the_first_cause_is_told),
        cmocka_unit_test(refusals_are_not_tried_again),
        cmocka_unit_test(waits_are_those_the_store_asks_for),
        cmocka_unit_test(a_store_that_asks_for_less_gets_less),
        cmocka_unit_test(without_budget_retries_wait_seconds),
        cmocka_unit_test(a_stop_ends_the_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
