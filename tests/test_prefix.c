/* test_prefix.c - which prefix a new run's checkpoints get beside those that are there. */
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_the_prefix_rule(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        const char *names[4];
        const char *expected;
    } cases[] = {
        {"lenet", {NULL}, "lenet"},
        {"lenet", {"lenet-graph.meta"}, "lenet"},
        {"lenet", {"lenet-2_1875.ckpt"}, "lenet_1"},
        {"lenet", {"lenet-2_1875.ckpt", "lenet_1-2_1875.ckpt"}, "lenet_2"},
        {"lenet", {"lenet_7-2_1875.ckpt"}, "lenet_8"},
        {"lenet", {"lenet_9-1_1.ckpt", "lenet_10-1_1.ckpt", "lenet-1_1.ckpt"}, "lenet_11"},
        {"lenet", {"lenet5-1_1.ckpt"}, "lenet"}, /* the one digit behind the prefix is skipped */
        {"lenet", {"lenet57-1_1.ckpt"}, "lenet_8"},
        {"lenet", {"lenetX-1_1.ckpt"}, "lenet"},
        {"lenet", {"lenetX7-1_1.ckpt"}, "lenet"},
        {"lenet", {"lenet\xc3\xa4-1_1.ckpt"}, "lenet"},
        {"lenet", {"lenet.12-1_1.ckpt"}, "lenet_13"},
        {"lenet", {"lenet_1x-1_1.ckpt"}, "lenet"},
        {"lenet", {"lenet_-1_1.ckpt"}, "lenet"},
        {"lenet", {"lenet_12.ckpt"}, "lenet"}, /* no '-' */
        {"lenet", {"lenet.ckpt"}, "lenet"},
        {"lenet", {"lenet-1_1.ckpt.tmp"}, "lenet"},
        {"lenet", {"lenet-1_1_breakpoint.ckpt"}, "lenet"},
        {"lenet", {"alenet-1_1.ckpt", "Lenet-1_1.ckpt"}, "lenet"},
        {"lenet", {"lenet_0-1_1.ckpt"}, "lenet_1"},
        {"lenet", {"lenet_007-1_1.ckpt"}, "lenet_8"},
        {"lenet", {"lenet_99999999999999999999-1_1.ckpt"}, "lenet"},
        {"lenet", {"lenet_999999999999999999-1_1.ckpt"}, "lenet_1000000000000000000"},
        {"lenet_1", {"lenet_1-1_1.ckpt"}, "lenet_1_1"},
        {"lenet_1", {"lenet_10-1_1.ckpt"}, "lenet_1"},
        {"", {"-1_1.ckpt"}, "_1"},
        {"", {".ckpt", "..ckpt"}, ""},
        {"x.ckpt", {"x.ckpt"}, "x.ckpt"}, /* an IndexError in MindSpore */
        {".a", {".a-1.ckpt"}, ".a_1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[64];
        size_t count = 0;
        while (count < 4 && cases[i].names[count]) {
            count++;
        }
        model_free_prefix(out, sizeof out, cases[i].prefix, cases[i].names, count);
        assert_string_equal(out, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_prefix_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
