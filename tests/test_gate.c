/* Gates: what is read as one, what passes, which of two is better; and what a platform says. */
#include "runner/job/gate.h"
#include "runner/job/platform.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void conditions_are_read_and_hold(void **state)
{
    (void)state;
    static const struct {
        const char *text, *metric;
        double value;
        bool passes;
    } cases[] = {
        {"acc>=0.97", "acc", 0.97, true},           {"acc>=0.97", "acc", 0.9699, false},
        {"acc > 0.97", "acc", 0.97, false},         {"acc>0.97", "acc", 0.98, true},
        {"loss<=0.1", "loss", 0.1, true},           {"loss<0.1", "loss", 0.1, false},
        {" loss < 1e-1 ", "loss", 0.09, true},      {"val/f1-macro>=-1", "val/f1-macro", 0, true},
        {"acc>=0.97", "acc", (double)NAN, false},   {"loss<1", "loss", (double)NAN, false},
        {"acc>=0", "acc", (double)INFINITY, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gate gate;
        char message[256] = "";
        if (!gate_parse(&gate, cases[i].text, message, sizeof message)) {
            fail_msg("%s: %s", cases[i].text, message);
        }
        assert_string_equal(gate.metric, cases[i].metric);
        if (gate_passes(&gate, cases[i].value) != cases[i].passes) {
            fail_msg("case %zu: %s", i, cases[i].text);
        }
    }
}

static void what_is_none_is_refused_in_a_line(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "acc",
                                        "acc=0.9",
                                        "acc==0.9",
                                        "acc>=",
                                        ">=0.9",
                                        "acc>=x",
                                        "acc>=0.9x",
                                        "acc>=nan",
                                        "acc>=inf",
                                        "a b>=1",
                                        "acc>=0.9,loss<1",
                                        "a234567890123456789012345678901234567890>=1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct gate gate;
        char message[256] = "";
        if (gate_parse(&gate, texts[i], message, sizeof message)) {
            fail_msg("taken: '%s'", texts[i]);
        }
        assert_non_null(strstr(message, "--gate takes"));
        assert_null(strchr(message, '\n'));
    }
}

static void the_better_one_is_by_the_direction(void **state)
{
    (void)state;
    const struct gate more = {.wants_more = true};
    const struct gate less = {.wants_more = false};
    assert_true(gate_prefers(&more, 0.98, 0.97));
    assert_false(gate_prefers(&more, 0.97, 0.97));
    assert_true(gate_prefers(&less, 0.1, 0.2));
    assert_false(gate_prefers(&less, 0.2, 0.2));
    assert_false(gate_prefers(&more, (double)NAN, 0.1));
    assert_false(gate_prefers(&less, 0.1, (double)NAN));
}

static void clear_environment(void)
{
    static const char *const names[] = {
        "MA_JOB_DIR",      "MA_MOUNT_PATH",           "MA_LOG_DIR",
        "MA_NUM_HOSTS",    "MA_CURRENT_IP",           "MA_TASK_NAME",
        "MA_SCHEDULE_CNT", "MA_PROC_START_CNT",       "VC_TASK_INDEX",
        "VC_WORKER_NUM",   "DLS_TASK_INDEX",          "DLS_TASK_NUMBER",
        "DLS_TRAIN_URL",   "MA_CURRENT_INSTANCE_NAME"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unsetenv(names[i]);
    }
}

static void the_platform_is_known_by_its_variables(void **state)
{
    (void)state;
    struct platform platform;
    char text[256];
    clear_environment();
    platform_read(&platform);
    assert_false(platform.is_modelarts);
    assert_int_equal(platform.nodes, 1);
    assert_false(platform_is_restart(&platform));
    assert_string_equal(platform_work_dir(&platform, "/tmp"), ".");
    platform_describe(&platform, false, text, sizeof text);
    assert_string_equal(text, "");

    setenv("MA_JOB_DIR", "/home/ma-user/modelarts/user-job-dir", 1);
    setenv("MA_NUM_HOSTS", "1", 1);
    setenv("VC_TASK_INDEX", "7", 1); /* means nothing on one node */
    setenv("MA_SCHEDULE_CNT", "1", 1);
    platform_read(&platform);
    assert_true(platform.is_modelarts);
    assert_int_equal(platform.node, 0);
    assert_false(platform_is_restart(&platform));
    assert_string_equal(platform_work_dir(&platform, "/tmp"), "/tmp");
    assert_string_equal(platform_work_dir(&platform, "/nowhere"), ".");
    platform_describe(&platform, true, text, sizeof text);
    assert_non_null(strstr(text, "new style"));
    platform_describe(&platform, false, text, sizeof text);
    assert_non_null(strstr(text, "old style"));

    setenv("MA_NUM_HOSTS", "3", 1);
    setenv("VC_TASK_INDEX", "2", 1);
    setenv("MA_PROC_START_CNT", "4", 1);
    platform_read(&platform);
    assert_int_equal(platform.node, 2);
    assert_int_equal(platform.nodes, 3);
    assert_true(platform_is_restart(&platform));
    platform_describe(&platform, false, text, sizeof text);
    assert_non_null(strstr(text, "node 2 of 3; scheduled 1 times, started 4 times"));

    clear_environment();
    setenv("DLS_TASK_INDEX", "1", 1);
    setenv("DLS_TASK_NUMBER", "2", 1);
    setenv("MA_SCHEDULE_CNT", "many", 1);
    platform_read(&platform);
    assert_true(platform.is_modelarts);
    assert_int_equal(platform.node, 1);
    assert_int_equal(platform.schedules, 0);
    clear_environment();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_are_read_and_hold),
        cmocka_unit_test(what_is_none_is_refused_in_a_line),
        cmocka_unit_test(the_better_one_is_by_the_direction),
        cmocka_unit_test(the_platform_is_known_by_its_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
