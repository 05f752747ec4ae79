/*
 * The preflight's findings that a real store will not give on demand, by script: a clock that is
 * hours off, data that no disk holds.
 */
#include "scripted_server.h"

#include "runner/job/preflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    FINDINGS_MAX = 20
};

struct found {
    struct finding list[FINDINGS_MAX];
    size_t count;
};

static void keep(void *context, const struct finding *finding)
{
    struct found *found = context;
    assert_true(found->count < FINDINGS_MAX);
    found->list[found->count++] = *finding;
}

static const struct finding *find(const struct found *found, const char *check)
{
    for (size_t i = 0; i < found->count; i++) {
        if (strcmp(found->list[i].check, check) == 0) {
            return &found->list[i];
        }
    }
    fail_msg("no finding '%s'", check);
    return NULL;
}

/* Checks with these URLs and the server; returns the preflight's code. */
static enum exit_code run(struct found *found, const char *data, const char *train,
                          const char *server, const atomic_bool *stop)
{
    char words[6][256];
    char *argv[6];
    char message[256];
    snprintf(words[0], sizeof words[0], "--data_url=%s", data);
    snprintf(words[1], sizeof words[1], "--train_url=%s", train);
    snprintf(words[2], sizeof words[2], "--server=%s", server);
    snprintf(words[3], sizeof words[3], "--ak=AK");
    snprintf(words[4], sizeof words[4], "--sk=SK");
    snprintf(words[5], sizeof words[5], "--work_dir=/tmp");
    for (size_t i = 0; i < 6; i++) {
        argv[i] = words[i];
    }
    struct arguments *arguments = calloc(1, sizeof *arguments);
    assert_non_null(arguments);
    assert_true(options_parse(arguments, FOR_CHECK, 6, argv, true, message, sizeof message));
    struct app app = {
        .arguments = arguments, .settings = &arguments->settings, .stop = stop, .stop_now = stop};
    log_init(&app.log, false, false);
    struct job *job = job_new(&app, true);
    assert_non_null(job);
    assert_int_equal(state_init(job), EXIT_DONE);
    enum exit_code code = preflight_run(job, true, keep, found);
    job_free(job);
    log_release(&app.log);
    free(arguments);
    return code;
}

/* Checks data of a store that lists them so, with a folder as train_url; *found is to be freed. */
static struct found *found_with(const char *listing, enum exit_code code)
{
    const struct script_step steps[] = {
        {"GET /bkt/?list-type=2&prefix=d%2F&max-keys=1000", listing},
    };
    struct scripted_server *server = scripted_server_start(steps, 1);
    struct found *found = calloc(1, sizeof *found);
    atomic_bool stop = false;
    char folder[] = "/tmp/preflight-XXXXXX";
    assert_non_null(found);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(run(found, "s3://bkt/d", folder, scripted_server_endpoint(server), &stop),
                     code);
    scripted_server_finish(server);
    rmdir(folder);
    return found;
}

static void a_clock_that_is_off_is_a_warning(void **state)
{
    (void)state;
    char date[64];
    time_t later = time(NULL) + 7200;
    struct tm parts;
    gmtime_r(&later, &parts);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    char list[512];
    snprintf(list, sizeof list,
             "200 OK\nDate: %s\n\n<ListBucketResult><Contents><Key>d/x</Key><Size>1</Size>"
             "</Contents></ListBucketResult>",
             date);
    struct found *found = found_with(list, EXIT_DONE);
    const struct finding *clock = find(found, "clock");
    assert_int_equal(clock->state, FINDING_WARNING);
    assert_non_null(strstr(clock->text, " s behind that of data_url's store"));
    assert_non_null(strstr(clock->remedy, "NTP"));
    free(found);
}

static void data_that_no_disk_holds_are_refused(void **state)
{
    (void)state;
    struct found *found = found_with(
        "200 OK\n\n<ListBucketResult><Contents><Key>d/x</Key><Size>9000000000000000</Size>"
        "</Contents></ListBucketResult>",
        EXIT_DISK);
    const struct finding *disk = find(found, "disk");
    assert_int_equal(disk->state, FINDING_FAILED);
    assert_int_equal(disk->code, EXIT_DISK);
    assert_non_null(strstr(disk->text, "data and checkpoints take 8.0 PiB"));
    assert_non_null(strstr(disk->text, "--data_dir"));
    free(found);
}

static void a_stop_ends_it(void **state)
{
    (void)state;
    struct found *found = calloc(1, sizeof *found);
    atomic_bool stop = true;
    assert_non_null(found);
    assert_int_equal(run(found, "s3://bkt/d", "s3://bkt/t", "http://127.0.0.1:1", &stop),
                     EXIT_INTERRUPTED);
    assert_int_equal(found->count, 0);
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_is_off_is_a_warning),
        cmocka_unit_test(data_that_no_disk_holds_are_refused),
        cmocka_unit_test(a_stop_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
