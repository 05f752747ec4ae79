/*
 * How many at once, and how fast one after the other: climb.h and pace.h, on clocks of the test's.
 */
#include "storage/base/climb.h"
#include "storage/base/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- climbing -------------------------------------------------------------------------------- */

/* Works for so many seconds at a rate that grows with the width up to `knee`; the width then. */
static unsigned work(struct climb *climb, double *now, double seconds, unsigned knee)
{
    for (double end = *now + seconds; *now < end;) {
        unsigned useful = climb->width < knee ? climb->width : knee;
        *now += 0.05 / useful; /* each piece takes 50 ms, `useful` of them at once */
        climb_note(climb, *now, 1);
    }
    return climb->width;
}

static void width_grows_while_that_gets_more_done(void **state)
{
    (void)state;
    static const struct {
        unsigned ceiling, knee, least, most;
    } cases[] = {
        {64, 1000, 64, 64}, /* the more the better: to the ceiling */
        {64, 8, 8, 8},      /* what it began with was enough */
        {64, 20, 16, 32},   {5, 1000, 5, 5}, {1, 1000, 1, 1}, {50, 1000, 50, 50},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct climb climb;
        double now = 100;
        climb_init(&climb, 8, cases[i].ceiling, now);
        assert_true(climb.width <= 8);
        unsigned width = work(&climb, &now, 2, cases[i].knee);
        while (climb.before) { /* not in the midst of a try */
            width = work(&climb, &now, 0.01, cases[i].knee);
        }
        assert_in_range(width, cases[i].least, cases[i].most);
    }
}

static void width_is_tried_again_when_things_get_better(void **state)
{
    (void)state;
    struct climb climb;
    double now = 0;
    climb_init(&climb, 4, 64, now);
    assert_in_range(work(&climb, &now, 5, 4), 4, 8);
    work(&climb, &now, 30, 1000);
    assert_int_equal(climb.width, 64);
}

/* ---- pace ------------------------------------------------------------------------------------ */

/* How many requests a second go when all are sent as soon as they may. */
static double rate(struct pace *pace, double *now, double seconds)
{
    double sent = 0;
    double begin = *now;
    while (*now < begin + seconds) {
        *now += 0.001 + pace_take(pace, *now); /* a request takes a millisecond */
        sent++;
    }
    return sent / (*now - begin);
}

static void assert_about(double value, double wanted)
{
    if (value < wanted * 0.9 || value > wanted * 1.1) {
        fail_msg("%g instead of %g", value, wanted);
    }
}

static void pace_halves_and_recovers(void **state)
{
    (void)state;
    struct pace pace = {0};
    double now = 1000;
    assert_about(rate(&pace, &now, 3), 1000);
    pace_slow(&pace, now);
    for (int i = 0; i < 100; i++) { /* those that were under way say so, too */
        pace_slow(&pace, now + 0.1);
    }
    assert_about(rate(&pace, &now, 0.5), 500);
    pace_slow(&pace, now);
    assert_about(rate(&pace, &now, 0.5), 260);
    rate(&pace, &now, 8);
    assert_about(rate(&pace, &now, 1), 700);
    rate(&pace, &now, 60);
    assert_true(pace.limit == 0);
}

static void pace_has_a_floor(void **state)
{
    (void)state;
    struct pace pace = {0};
    double now = 1000;
    pace_slow(&pace, now); /* nothing has been sent yet */
    pace_take(&pace, now + 0.1);
    assert_true(pace.limit >= 4);
    for (int i = 0; i < 50; i++) {
        now += 0.6;
        pace_slow(&pace, now);
        assert_true(pace.limit >= 4);
    }
    double first = pace_take(&pace, now);
    assert_true(pace_take(&pace, now) - first <= 0.25);
}

/* A second that has begun with a pause does not hide how many went before. */
static void pace_looks_back(void **state)
{
    (void)state;
    struct pace pace = {0};
    double now = 1000;
    rate(&pace, &now, 3);
    now += 0.9;
    pace_slow(&pace, now);
    assert_about(pace.limit, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(width_grows_while_that_gets_more_done),
        cmocka_unit_test(width_is_tried_again_when_things_get_better),
        cmocka_unit_test(pace_halves_and_recovers),
        cmocka_unit_test(pace_has_a_floor),
        cmocka_unit_test(pace_looks_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
