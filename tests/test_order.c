/*
 * The order in which a training sees its images: a permutation, of the seed and the epoch alone.
 */
#include "model/data/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void order_is_a_permutation_of_its_epoch(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 63, 64, 65, 1000};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        uint32_t order[1000];
        bool seen[1000] = {false};
        order_fill(order, counts[c], 1, 0);
        for (size_t i = 0; i < counts[c]; i++) {
            assert_true(order[i] < counts[c] && !seen[order[i]]);
            seen[order[i]] = true;
        }
    }
    uint32_t first[100];
    uint32_t second[100];
    order_fill(first, 100, 1, 0);
    order_fill(second, 100, 1, 1);
    assert_memory_not_equal(first, second, sizeof first);
    order_fill(second, 100, 2, 0);
    assert_memory_not_equal(first, second, sizeof first);
    order_fill(second, 100, 1, 0);
    assert_memory_equal(first, second, sizeof first);
}

/* A checkpoint of an earlier build must go on with the images it had coming. */
static void order_is_what_it_always_was(void **state)
{
    (void)state;
    uint32_t order[10];
    order_fill(order, 10, 1, 3);
    static const uint32_t expected[10] = {4, 1, 2, 9, 3, 6, 8, 5, 0, 7};
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(order[i], expected[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_a_permutation_of_its_epoch),
        cmocka_unit_test(order_is_what_it_always_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
