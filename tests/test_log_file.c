/* A run's log on disk: its ceiling, what stays of a long one, a second start, the way to a store.
 */
#include "scratch.h"

#include "runner/log.h"
#include "runner/log_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum {
    CEILING = 8000,
    LINE = 20 /* bytes of the n-th line: "line 0000000000007\n" and so on */
};

static void write_lines(struct log_file *file, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        char line[LINE + 1];
        snprintf(line, sizeof line, "line %014u\n", i);
        log_file_write(file, line, LINE);
    }
}

static off_t size_of(const char *folder, const char *name)
{
    struct stat status;
    return stat(scratch_path(folder, name), &status) == 0 ? status.st_size : 0;
}

/* Puts the log into a folder and reads it back. */
static char *put(struct log_file *file, const char *folder)
{
    struct storage_url url;
    struct storage *store = NULL;
    struct storage_config config = {0};
    struct storage_error err;
    size_t size = 0;
    char *text = NULL;
    const char *path = scratch_path(folder, "out/r.log");
    assert_int_equal(storage_url_parse(&url, path, &err), STORAGE_OK);
    assert_int_equal(storage_open(&store, &url, &config, &err), STORAGE_OK);
    assert_int_equal(log_file_put(file, store, url.key, &err), STORAGE_OK);
    assert_int_equal(storage_get(store, url.key, 1 << 20, &text, &size, &err), STORAGE_OK);
    storage_close(store);
    return text;
}

static void a_long_log_keeps_its_beginning_and_its_end(void **state)
{
    (void)state;
    char *folder = scratch_make();
    struct log_file *file = log_file_open(scratch_path(folder, "log/r.log"), CEILING);
    assert_non_null(file);
    write_lines(file, 0, 10000);
    assert_true(size_of(folder, "log/r.log") + size_of(folder, "log/r.log.0") +
                    size_of(folder, "log/r.log.1") <=
                CEILING);
    char *text = put(file, folder);
    assert_int_equal(strncmp(text, "line 00000000000000\nline 00000000000001\n", 2 * LINE), 0);
    assert_non_null(strstr(text, "\n[jobferry: "));
    assert_non_null(strstr(text, " bytes of the log were left out here]\n"));
    size_t length = strlen(text);
    assert_string_equal(text + length - LINE, "line 00000000009999\n");
    /* Every byte is there or told to be missing. */
    unsigned long dropped = strtoul(strstr(text, "[jobferry: ") + 11, NULL, 10);
    const char *mark = strstr(text, "[jobferry: ");
    size_t mark_length = (size_t)(strchr(mark, '\n') + 1 - mark);
    assert_int_equal(length - mark_length + dropped, 10000 * LINE);
    free(text);
    log_file_close(file);
    scratch_remove(folder);
}

static void a_short_log_is_whole_and_a_second_start_goes_on(void **state)
{
    (void)state;
    char *folder = scratch_make();
    for (unsigned i = 0; i < 2; i++) {
        struct log_file *file = log_file_open(scratch_path(folder, "log/r.log"), CEILING);
        assert_non_null(file);
        write_lines(file, 3 * i, 3);
        if (i == 1) {
            char *text = put(file, folder);
            assert_int_equal(strlen(text), 6 * LINE);
            assert_null(strstr(text, "jobferry"));
            free(text);
        }
        log_file_close(file);
    }
    scratch_remove(folder);
}

static void what_an_earlier_start_wrote_comes_first(void **state)
{
    (void)state;
    char *folder = scratch_make();
    scratch_write(folder, "log/run.log", "earlier\n", 8);
    struct log_file *file = log_file_open(scratch_path(folder, "log/begin.log"), CEILING);
    assert_non_null(file);
    log_file_write(file, "a\n", 2);
    assert_true(log_file_move(file, scratch_path(folder, "log/run.log")));
    log_file_write(file, "b\n", 2);
    char *text = put(file, folder);
    assert_string_equal(text, "earlier\na\nb\n");
    assert_false(scratch_exists(folder, "log/begin.log"));
    free(text);
    log_file_close(file);
    scratch_remove(folder);
}

static void a_place_that_refuses_is_told_by_errno(void **state)
{
    (void)state;
    assert_null(log_file_open("/proc/nothing/r.log", CEILING));
    char *folder = scratch_make();
    struct log_file *file = log_file_open(scratch_path(folder, "r.log"), CEILING);
    assert_false(log_file_move(file, "/proc/nothing/r.log"));
    log_file_write(file, "a\n", 2);
    assert_int_equal(size_of(folder, "r.log"), 2);
    log_file_close(file);
    log_file_write(NULL, "a\n", 2);
    scratch_remove(folder);
}

static void the_log_s_lines_are_in_its_file(void **state)
{
    (void)state;
    char *folder = scratch_make();
    struct log log;
    log_init(&log, false, false);
    log.file = log_file_open(scratch_path(folder, "r.log"), CEILING);
    assert_non_null(log.file);
    log_info(&log, "saved %s", "x");
    log_warn(&log, "odd");
    log_fail(&log, false, EXIT_DISK, "no room");
    log.muted = true;
    log_fail(&log, false, EXIT_DISK, "kept");
    assert_string_equal(log.failure, "kept");
    log_file_close(log.file);
    size_t size = 0;
    char *text = scratch_read(folder, "r.log", &size);
    assert_non_null(text);
    char *whole = calloc(1, size + 1);
    memcpy(whole, text, size);
    assert_non_null(strstr(whole, "Z info: saved x\n"));
    assert_non_null(strstr(whole, "Z warning: odd\n"));
    assert_non_null(strstr(whole, "Z failure: no room\n"));
    assert_non_null(strstr(whole, "Z failure: kept\n"));
    free(whole);
    free(text);
    log_release(&log);
    scratch_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_log_keeps_its_beginning_and_its_end),
        cmocka_unit_test(a_short_log_is_whole_and_a_second_start_goes_on),
        cmocka_unit_test(what_an_earlier_start_wrote_comes_first),
        cmocka_unit_test(a_place_that_refuses_is_told_by_errno),
        cmocka_unit_test(the_log_s_lines_are_in_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
