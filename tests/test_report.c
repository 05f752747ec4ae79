/* The report's feed, and its page: hostile names, missing parts, pictures. */
#include "runner/job/report_html.h"
#include "runner/job/report_picture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char hostile[] =
    "</style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&\x01";

static struct report *report_of(struct arguments *arguments)
{
    struct report *report = report_new(arguments);
    assert_non_null(report);
    return report;
}

static void no_name_becomes_markup(void **state)
{
    (void)state;
    struct arguments *arguments = calloc(1, sizeof *arguments);
    char word[sizeof hostile + 2] = "--";
    strcat(word, hostile);
    arguments->unknown[0] = word;
    arguments->unknown_count = 1;
    struct log log;
    log_init(&log, false, false);
    log_warn(&log, "%s", hostile);
    struct report *report = report_of(arguments);
    const struct data_manifest manifest = {.objects = 1, .bytes = 5, .complete = true};
    struct publication publication = {
        .state = PUBLICATION_CONFIRMED, .cumulative_step = 3, .evidence = hostile};
    snprintf(publication.name, sizeof publication.name, "%s", hostile);
    report_run(report, hostile, 1);
    report_phase(report, hostile, 1.5, 10, 1);
    report_dataset(report, hostile, &manifest);
    report_checkpoint(report, 0, &publication);
    report_promotion(report, json_pack("{sb ss}", "promoted", 0, "reason", hostile));
    report_exit(report, EXIT_DATA, hostile, hostile);
    char *page = report_page(report, &log);
    assert_non_null(page);
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "<img src=x"));
    assert_null(strstr(page, "'>"));
    assert_null(strchr(page, '\x01'));
    /* The style's end is our own only. */
    const char *end = strstr(page, "</style>");
    assert_non_null(end);
    assert_null(strstr(end + 1, "</style>"));
    assert_non_null(strstr(page, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_non_null(strstr(page, "default-src 'none'"));
    free(page);
    report_free(report);
    log_release(&log);
    free(arguments);
}

static void what_is_missing_is_left_out(void **state)
{
    (void)state;
    json_t *nothing = json_object();
    char *page = report_html(nothing, NULL, 0);
    assert_non_null(page);
    assert_null(strstr(page, "<h2>"));
    assert_null(strstr(page, "nan"));
    assert_non_null(strstr(page, "</html>"));
    free(page);
    json_decref(nothing);
    /* One epoch, not evaluated: a curve of one dot, and none of the accuracy. */
    struct arguments *arguments = calloc(1, sizeof *arguments);
    struct log log;
    log_init(&log, false, false);
    struct report *report = report_of(arguments);
    report_epoch(report, 1, 0.5, (double)NAN, 1.0, (double)INFINITY);
    page = report_page(report, &log);
    assert_non_null(strstr(page, "Mean loss of each epoch</figcaption>"));
    assert_null(strstr(page, "test images after each epoch</figcaption>"));
    assert_null(strstr(page, "nan"));
    assert_null(strstr(page, "inf"));
    free(page);
    report_free(report);
    log_release(&log);
    free(arguments);
}

struct heard {
    char events[256];
    size_t count;
};

static void hear(void *context, const char *event, const json_t *object)
{
    struct heard *heard = context;
    assert_true(json_is_object(object));
    heard->count++;
    strcat(strcat(heard->events, event), " ");
}

/* The page never calls safe what is not, also where only names are known. */
static void a_checkpoint_is_safe_once_it_is_pointed_at(void **state)
{
    (void)state;
    struct arguments *arguments = calloc(1, sizeof *arguments);
    struct log log;
    log_init(&log, false, false);
    struct report *report = report_of(arguments);
    struct publication two = {.name = "m-2", .epoch = 2, .evidence = "rename"};
    struct publication one = {.name = "m-1", .epoch = 1, .evidence = "rename"};
    report_exposure(report, 0);
    char *page = report_page(report, &log);
    assert_null(strstr(page, "the newest"));
    free(page);
    report_checkpoint(report, 0, &two);
    report_checkpoint(report, 1, &one); /* an older one, found later */
    one.state = PUBLICATION_CONFIRMED;
    one.is_pointed = true;
    report_checkpoint(report, 1, &one);
    report_exposure(report, 0);
    page = report_page(report, &log);
    assert_non_null(strstr(page, "m-2, the newest, is on the local disk only; the store has m-1."));
    free(page);
    two.state = PUBLICATION_CONFIRMED;
    two.is_pointed = true;
    report_checkpoint(report, 0, &two);
    report_exposure(report, 0);
    page = report_page(report, &log);
    assert_non_null(strstr(page, "m-2, the newest, is safe in the store."));
    free(page);
    report_free(report);
    log_release(&log);
    free(arguments);
}

static void listeners_hear_all_in_order(void **state)
{
    (void)state;
    struct arguments *arguments = calloc(1, sizeof *arguments);
    struct report *report = report_of(arguments);
    struct heard heard = {.count = 0};
    const struct data_manifest incomplete = {.objects = 1};
    const struct publication failed = {.state = PUBLICATION_FAILED, .evidence = "saved"};
    report_listen(report, hear, &heard);
    report_state(report, "run");
    report_warning(report, "odd");
    report_dataset(report, "d", &incomplete);
    const struct publication queued = {.state = PUBLICATION_QUEUED, .evidence = "saved"};
    report_checkpoint(report, 0, &queued);
    report_checkpoint(report, 0, &failed);
    report_exposure(report, 1);
    report_exit(report, EXIT_DONE, "runner", "finished");
    assert_string_equal(heard.events, "state warning dataset checkpoint checkpoint exposure exit ");
    struct log log;
    log_init(&log, false, false);
    char *text = report_text(report, &log);
    assert_non_null(strstr(text, "\"manifest_crc32\": null"));
    /* One checkpoint, as it stands at last. */
    assert_non_null(strstr(text, "\"state\": \"failed\""));
    assert_null(strstr(text, "\"state\": \"queued\""));
    free(text);
    log_release(&log);
    report_free(report);
    free(arguments);
}

/* The example that any PNG reader takes: made with Python's zlib. */
static void a_picture_is_a_png(void **state)
{
    (void)state;
    char url[PICTURE_URL_MAX];
    const uint8_t pixels[4] = {0, 85, 170, 255};
    report_picture_url(url, pixels, 2);
    assert_string_equal(url, "data:image/png;base64,"
                             "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAAEUlEQVR4AQEGAPn/"
                             "AABVAKr/A60B/0d3rmkAAAAASUVORK5CYII=");
    uint8_t large[PICTURE_SIDE_MAX * PICTURE_SIDE_MAX] = {0};
    report_picture_url(url, large, PICTURE_SIDE_MAX);
    assert_in_range(strlen(url), 5000, PICTURE_URL_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_name_becomes_markup),
        cmocka_unit_test(what_is_missing_is_left_out),
        cmocka_unit_test(listeners_hear_all_in_order),
        cmocka_unit_test(a_checkpoint_is_safe_once_it_is_pointed_at),
        cmocka_unit_test(a_picture_is_a_png),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
