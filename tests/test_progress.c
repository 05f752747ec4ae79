/* The progress line: what it says, and that it fits the terminal. */
#include "runner/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct storage_progress half = {.done_bytes = 3 * 1024 * 1024,
                                             .total_bytes = 6 * 1024 * 1024,
                                             .done_objects = 4,
                                             .total_objects = 9,
                                             .listed = true};

static void lines_tell_all(void **state)
{
    (void)state;
    char line[PROGRESS_LINE];
    progress_line(line, "copying", &half, 1024 * 1024, 0);
    assert_string_equal(line, "copying: 3.0 MiB of 6.0 MiB, 4/9 files, 1.0 MiB/s, 0:03 left");
    progress_line(line, "copying", &half, 1024 * 1024, 100);
    assert_string_equal(line, "copying: [===============               ]  50% "
                              "3.0 MiB of 6.0 MiB, 4/9 files, 1.0 MiB/s, 0:03 left");
    struct storage_progress now = half;
    now.listed = false; /* neither share nor time can be known */
    progress_line(line, "copying", &now, 1024 * 1024, 100);
    assert_string_equal(line, "copying: 3.0 MiB of 6.0 MiB+, 4/9+ files, 1.0 MiB/s");
    now = half;
    now.done_bytes = now.total_bytes;
    progress_line(line, "copying", &now, 1024, 100);
    assert_non_null(strstr(line, "[==============================] 100% "));
}

static void time_left_has_minutes_and_hours(void **state)
{
    (void)state;
    static const struct {
        double rate;
        const char *left;
    } cases[] = {{1024 * 1024, ", 0:03 left"},
                 {3 * 1024 * 1024 / 61.0, ", 1:01 left"},
                 {3 * 1024 * 1024 / 3661.0, ", 1:01:01 left"},
                 {1, ", long left"},
                 {0, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[PROGRESS_LINE];
        progress_line(line, "copying", &half, cases[i].rate, 0);
        assert_string_equal(strstr(line, "/s") + 2, cases[i].left);
    }
}

static void lines_fit_any_width(void **state)
{
    (void)state;
    struct storage_progress now = half;
    for (unsigned columns = 1; columns <= 600; columns++) {
        char line[PROGRESS_LINE];
        progress_line(line, "copying", &now, 1e6, columns);
        assert_in_range(strlen(line), 1, columns);
    }
    /* totals may lag behind what is done, when objects grow */
    now.done_bytes = now.total_bytes + 5;
    char line[PROGRESS_LINE];
    progress_line(line, "copying", &now, 1e6, 200);
    assert_null(strchr(line, '['));
    now = (struct storage_progress){.listed = true};
    progress_line(line, "copying", &now, 0, 200);
    assert_string_equal(line, "copying: 0 B of 0 B, 0/0 files, 0 B/s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_tell_all),
        cmocka_unit_test(time_left_has_minutes_and_hours),
        cmocka_unit_test(lines_fit_any_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
