/* One request, one answer, against a server that misbehaves on request (wire_server.h). */
#include "scratch.h"
#include "storage/http/http.h"
#include "wire_server.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    struct wire_server *server;
    struct http *http;
    struct http_response response;
    struct storage_error err;
    atomic_bool stop;
};

static struct http_options make_options(struct world *world)
{
    return (struct http_options){.connections_max = 16,
                                 .connect_timeout_ms = 2000,
                                 .stall_timeout_s = 2,
                                 .stop = &world->stop};
}

static int make_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct http_options options = make_options(world);
    world->server = wire_server_start();
    http_response_init(&world->response);
    assert_int_equal(http_new(&world->http, &options, NULL), STORAGE_OK);
    *state = world;
    return 0;
}

static int free_world(void **state)
{
    struct world *world = *state;
    http_free(world->http);
    http_response_release(&world->response);
    wire_server_stop(world->server);
    free(world);
    return 0;
}

static enum storage_code perform(struct world *world, const char *method, const char *path)
{
    struct http_request request = {.method = method, .url = wire_server_url(world->server, path)};
    return http_perform(world->http, &request, &world->response, &world->err);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void every_status_is_an_answer(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *method, *path;
        int status;
        const char *body;
    } cases[] = {
        {"GET", "/ok", 200, "hello"},      {"GET", "/missing", 404, "nothing"},
        {"DELETE", "/empty", 204, ""},     {"GET", "/redirect", 307, ""},
        {"GET", "/chunked", 200, "hello"}, {"GET", "/until-close", 200, "hello"},
        {"GET", "/gzip", 200, "hello"},    {"GET", "/headers", 206, "hello"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(perform(world, cases[i].method, cases[i].path), STORAGE_OK);
        assert_int_equal(world->response.status, cases[i].status);
        assert_string_equal(world->response.body.data, cases[i].body);
        assert_int_equal(world->response.body_size, strlen(cases[i].body));
    }
}

static void headers_are_taken_apart(void **state)
{
    struct world *world = *state;
    const struct http_response *response = &world->response;
    assert_int_equal(perform(world, "GET", "/headers"), STORAGE_OK);
    assert_true(response->has_content_length);
    assert_int_equal(response->content_length, 5);
    assert_true(response->has_range_total);
    assert_int_equal(response->range_total, 99);
    assert_string_equal(response->etag, "abc-3");
    assert_string_equal(response->request_id, "R1");
    assert_string_equal(response->date, "Tue, 24 Nov 2026 11:00:00 GMT");
    assert_string_equal(response->last_modified, "Mon, 23 Nov 2026 11:00:00 GMT");
    assert_string_equal(response->bucket_region, "eu-west-1");
    assert_string_equal(response->crc32, "AAAAAA==");
    assert_string_equal(response->checksum_type, "FULL_OBJECT");
    assert_int_equal(response->retry_after_s, 7);
    assert_false(response->is_obs);
    /* and nothing of it stays for the next */
    assert_int_equal(perform(world, "GET", "/ok"), STORAGE_OK);
    assert_string_equal(response->etag, "");
    assert_int_equal(response->retry_after_s, 0);
    assert_false(response->has_range_total);
}

static void odd_header_lines_do_no_harm(void **state)
{
    (void)state;
    struct http_response response;
    char line[3000];
    http_response_init(&response);
    static const char *const odd[] = {
        "",
        "\r\n",
        ":",
        "etag",
        "etag:",
        "ETag:   ",
        "HTTP/1.1",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999",
        "content-range: x/",
        "content-range: bytes 0-1/*",
        "retry-after: soon",
        "etag: \"",
        "etag: W/",
        "HTTP/1.1 2",
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        http_response_header(&response, odd[i], strlen(odd[i]));
    }
    assert_int_equal(response.status, 0);
    assert_false(response.has_content_length);
    assert_false(response.has_range_total);
    http_response_header(&response, "ETag: W/\"x\"\r\n", 13);
    assert_string_equal(response.etag, "x");
    memset(line, 'a', sizeof line);
    memcpy(line, "location: ", 10);
    http_response_header(&response, line, sizeof line);
    assert_string_equal(response.location, ""); /* half a value is none */
    http_response_header(&response, "X-Obs-Request-Id: O1", 20);
    assert_true(response.is_obs);
    assert_string_equal(response.request_id, "O1");
    http_response_header(&response, "x-amz-server-side-encryption: AES256", 36);
    assert_false(response.etag_is_opaque);
    http_response_header(&response, "x-amz-server-side-encryption: aws:kms", 37);
    assert_true(response.etag_is_opaque);
    http_response_header(&response, "HTTP/1.1 200 OK", 15);
    assert_false(response.etag_is_opaque);
    assert_int_equal(response.status, 200);
    http_response_release(&response);
}

static void requests_go_out_as_written(void **state)
{
    struct world *world = *state;
    static const char *const headers[] = {"x-amz-date: D", "x-amz-empty:", "Authorization: A b=c"};
    struct http_request request = {.method = "PUT",
                                   .url = wire_server_url(world->server, "/echo/../a/./b%2F?x=%20"),
                                   .headers = headers,
                                   .header_count = 3,
                                   .body = "12345",
                                   .body_size = 5};
    assert_int_equal(http_perform(world->http, &request, &world->response, NULL), STORAGE_OK);
    const char *seen = world->response.body.data;
    assert_non_null(strstr(seen, "PUT /echo/../a/./b%2F?x=%20 HTTP/1.1\r\n"));
    assert_non_null(strstr(seen, "\r\nx-amz-date: D\r\n"));
    assert_non_null(strstr(seen, "\r\nx-amz-empty:\r\n"));
    assert_non_null(strstr(seen, "\r\nAuthorization: A b=c\r\n"));
    assert_non_null(strstr(seen, "\r\nContent-Length: 5\r\n"));
    assert_null(strcasestr(seen, "Expect:"));
    assert_null(strcasestr(seen, "Content-Type:"));
    assert_null(strcasestr(seen, "Accept-Encoding:"));
    /* no body is still a length, except for GET */
    static const struct {
        const char *method;
        bool has_length;
    } cases[] = {{"PUT", true}, {"POST", true}, {"GET", false}, {"DELETE", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(perform(world, cases[i].method, "/echo"), STORAGE_OK);
        seen = world->response.body.data;
        assert_memory_equal(seen, cases[i].method, strlen(cases[i].method));
        assert_int_equal(strstr(seen, "\r\nContent-Length: 0\r\n") != NULL, cases[i].has_length);
    }
    assert_int_equal(perform(world, "HEAD", "/empty"), STORAGE_OK);
}

static void large_bodies_wait_for_the_store(void **state)
{
    struct world *world = *state;
    size_t size = 3 * 1024 * 1024;
    char *body = calloc(1, size);
    struct http_request request = {.method = "PUT",
                                   .url = wire_server_url(world->server, "/echo"),
                                   .body = body,
                                   .body_size = size};
    assert_int_equal(http_perform(world->http, &request, &world->response, NULL), STORAGE_OK);
    assert_int_equal(world->response.status, 200); /* not the 100 before it */
    assert_non_null(strcasestr(world->response.body.data, "\r\nExpect: 100-continue\r\n"));
    /* one that never says "continue" is sent the body all the same */
    request.url = wire_server_url(world->server, "/echo-without-continue");
    assert_int_equal(http_perform(world->http, &request, &world->response, NULL), STORAGE_OK);
    assert_int_equal(world->response.status, 200);
    /* a refusal costs no upload, and its reason is not lost to a reset */
    request.url = wire_server_url(world->server, "/denied-early");
    assert_int_equal(http_perform(world->http, &request, &world->response, NULL), STORAGE_OK);
    assert_int_equal(world->response.status, 403);
    assert_string_equal(world->response.body.data, "no");
    free(body);
}

static void sinks_take_only_what_fits_and_only_success(void **state)
{
    struct world *world = *state;
    char sink[6] = "......";
    struct http_request request = {
        .method = "GET", .url = wire_server_url(world->server, "/ok"), .sink = sink};
    request.sink_size = 5;
    assert_int_equal(http_perform(world->http, &request, &world->response, NULL), STORAGE_OK);
    assert_memory_equal(sink, "hello.", 6);
    assert_int_equal(world->response.body_size, 5);
    assert_int_equal(world->response.body.length, 0);
    memset(sink, '.', sizeof sink);
    request.sink_size = 4;
    assert_int_equal(http_perform(world->http, &request, &world->response, &world->err),
                     STORAGE_TRANSFER);
    assert_non_null(strstr(world->err.message, "longer"));
    assert_memory_equal(sink + 4, "..", 2);
    request.url = wire_server_url(world->server, "/missing");
    assert_int_equal(http_perform(world->http, &request, &world->response, NULL), STORAGE_OK);
    assert_string_equal(world->response.body.data, "nothing");
    assert_memory_equal(sink + 4, "..", 2);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void what_breaks_is_named(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *path;
        enum storage_code code;
    } cases[] = {
        {"/short", STORAGE_TRANSFER}, {"/short-chunk", STORAGE_TRANSFER},
        {"/reset", STORAGE_TRANSFER}, {"/nothing", STORAGE_UNREACHABLE},
        {"/stall", STORAGE_TRANSFER}, {"/silent", STORAGE_UNREACHABLE},
        {"/drip", STORAGE_TRANSFER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s", cases[i].path);
        assert_int_equal(perform(world, "GET", path), cases[i].code);
        assert_int_equal(world->err.code, cases[i].code);
        assert_non_null(strstr(world->err.message, path));
    }
    assert_int_not_equal(perform(world, "GET", "/noise"), STORAGE_OK);
}

static void what_cannot_be_reached_is_named(void **state)
{
    struct world *world = *state;
    struct http_request request = {.method = "GET", .url = "http://127.0.0.1:1/a?secret=1"};
    assert_int_equal(http_perform(world->http, &request, &world->response, &world->err),
                     STORAGE_UNREACHABLE);
    assert_non_null(strstr(world->err.message, "Connection refused"));
    assert_non_null(strstr(world->err.message, "http://127.0.0.1:1/a"));
    assert_null(strstr(world->err.message, "secret"));
    assert_string_equal(world->err.target, "http://127.0.0.1:1/a");
    request.url = "http://no-such-host.invalid/a";
    assert_int_equal(http_perform(world->http, &request, &world->response, &world->err),
                     STORAGE_UNREACHABLE);
    assert_true(strlen(world->err.hint) > 0);
    request.url = "ftp://127.0.0.1/a";
    assert_int_equal(http_perform(world->http, &request, &world->response, &world->err),
                     STORAGE_USAGE);
}

static void a_deadline_ends_a_try(void **state)
{
    struct world *world = *state;
    struct http_request request = {
        .method = "GET", .url = wire_server_url(world->server, "/silent"), .deadline_ms = 100};
    assert_int_equal(http_perform(world->http, &request, &world->response, &world->err),
                     STORAGE_UNREACHABLE);
    assert_non_null(strstr(world->err.message, "timed out"));
}

static void an_unreadable_ca_file_is_told_at_once(void **state)
{
    struct world *world = *state;
    struct http *http = NULL;
    struct http_options options = make_options(world);
    options.ca_file = "/nowhere/ca.pem";
    assert_int_not_equal(http_new(&http, &options, &world->err), STORAGE_OK);
    assert_null(http);
    assert_non_null(strstr(world->err.message, "/nowhere/ca.pem"));
}

/* ---- connections ---------------------------------------------------------------------------- */

static void connections_are_kept_and_used_again(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(perform(world, "GET", i % 3 ? "/ok" : "/missing"), STORAGE_OK);
    }
    assert_int_equal(wire_server_requests(world->server), 20);
    assert_true(wire_server_connections(world->server) <= 2); /* one for each reactor */
}

static void a_dead_connection_costs_no_failure(void **state)
{
    struct world *world = *state;
    static const char *const methods[] = {"GET", "PUT", "HEAD", "PUT"};
    static const size_t sizes[] = {0, 10, 0, 1000 * 1000}; /* the last breaks in the sending */
    char *body = calloc(1, 1000 * 1000);
    for (size_t i = 0; i < 16; i++) {
        struct http_request request = {.method = methods[i % 4],
                                       .url = wire_server_url(world->server, "/ok"),
                                       .body = sizes[i % 4] ? body : NULL,
                                       .body_size = sizes[i % 4]};
        assert_int_equal(perform(world, "GET", i < 8 ? "/last" : "/last-reset"), STORAGE_OK);
        assert_int_equal(http_perform(world->http, &request, &world->response, NULL), STORAGE_OK);
        assert_int_equal(world->response.status, 200);
    }
    free(body);
}

struct job {
    struct world *world;
    const char *path;
    enum storage_code code;
};

static void *run_job(void *context)
{
    struct job *job = context;
    struct http_response response;
    http_response_init(&response);
    struct http_request request = {.method = "GET",
                                   .url = wire_server_url(job->world->server, job->path)};
    for (int i = 0; i < 3 && job->code == STORAGE_OK; i++) {
        job->code = http_perform(job->world->http, &request, &response, NULL);
    }
    http_response_release(&response);
    return NULL;
}

static void requests_in_flight_have_a_cap(void **state)
{
    struct world *world = *state;
    enum {
        JOBS = 24
    };
    pthread_t threads[JOBS];
    struct job jobs[JOBS];
    struct http_options options = make_options(world);
    options.connections_max = 6;
    http_free(world->http);
    assert_int_equal(http_new(&world->http, &options, NULL), STORAGE_OK);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct job){.world = world, .path = "/slow"};
        assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    }
    for (int i = 0; i < JOBS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].code, STORAGE_OK);
    }
    assert_int_equal(wire_server_requests(world->server), 3 * JOBS);
    assert_true(wire_server_peak(world->server) <= 6);
    assert_true(wire_server_peak(world->server) >= 2);
    assert_true(wire_server_connections(world->server) <= 6);
}

static void a_stop_ends_all_that_is_under_way(void **state)
{
    struct world *world = *state;
    enum {
        JOBS = 40 /* more than the cap: some are only queued */
    };
    pthread_t threads[JOBS];
    struct job jobs[JOBS];
    struct http_options options = make_options(world);
    options.stall_timeout_s = 200; /* nothing else may end them */
    http_free(world->http);
    assert_int_equal(http_new(&world->http, &options, NULL), STORAGE_OK);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct job){.world = world, .path = i % 2 ? "/silent" : "/stall"};
        assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    }
    while (wire_server_requests(world->server) < 16) {
        usleep(1000);
    }
    atomic_store(&world->stop, true);
    for (int i = 0; i < JOBS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].code, STORAGE_STOPPED);
    }
    assert_int_equal(perform(world, "GET", "/ok"), STORAGE_STOPPED);
    /* cleaning up goes on */
    struct http_request request = {.method = "DELETE",
                                   .url = wire_server_url(world->server, "/ok"),
                                   .ignores_stop = true,
                                   .deadline_ms = 5000};
    assert_int_equal(http_perform(world->http, &request, &world->response, NULL), STORAGE_OK);
}

static void proxies_are_used_but_not_for_link_local(void **state)
{
    struct world *world = *state;
    assert_int_equal(setenv("http_proxy", wire_server_url(world->server, ""), 1), 0);
    struct http_request request = {
        .method = "GET", .url = "http://somewhere.invalid/ok", .deadline_ms = 2000};
    http_perform(world->http, &request, &world->response, NULL);
    assert_int_equal(wire_server_requests(world->server), 1);
    request.url = "http://169.254.77.77:9/ok"; /* nobody's address */
    request.deadline_ms = 200;
    http_perform(world->http, &request, &world->response, NULL);
    assert_int_equal(wire_server_requests(world->server), 1);
    unsetenv("http_proxy");
}

/* ---- TLS: only beside a MinIO started with --tls -------------------------------------------- */

static void certificates_are_verified(void **state)
{
    struct world *world = *state;
    const char *endpoint = getenv("MINIO_ENDPOINT");
    const char *ca_file = getenv("MINIO_CA_FILE");
    assert_non_null(endpoint);
    char url[256];
    snprintf(url, sizeof url, "%s/minio/health/live", endpoint);
    struct http_request request = {.method = "GET", .url = url};
    assert_int_equal(http_perform(world->http, &request, &world->response, &world->err),
                     STORAGE_UNREACHABLE);
    assert_non_null(strstr(world->err.hint, "--ca_file"));
    assert_true(world->response.is_untrusted);
    struct http_options options = make_options(world);
    for (int i = 0; i < 2; i++) {
        http_free(world->http);
        options.ca_file = i ? NULL : ca_file;
        options.tls_insecure = i;
        assert_int_equal(http_new(&world->http, &options, NULL), STORAGE_OK);
        assert_int_equal(http_perform(world->http, &request, &world->response, NULL), STORAGE_OK);
        assert_int_equal(world->response.status, 200);
    }
    /* TLS where plain HTTP is spoken */
    snprintf(url, sizeof url, "https://127.0.0.1:%u/ok", wire_server_port(world->server));
    assert_int_equal(http_perform(world->http, &request, &world->response, &world->err),
                     STORAGE_UNREACHABLE);
    assert_non_null(strstr(world->err.hint, "http://"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)
    const struct CMUnitTest tests[] = {
        TEST(every_status_is_an_answer),
        TEST(headers_are_taken_apart),
        TEST(odd_header_lines_do_no_harm),
        TEST(requests_go_out_as_written),
        TEST(large_bodies_wait_for_the_store),
        TEST(sinks_take_only_what_fits_and_only_success),
        TEST(what_breaks_is_named),
        TEST(what_cannot_be_reached_is_named),
        TEST(a_deadline_ends_a_try),
        TEST(an_unreadable_ca_file_is_told_at_once),
        TEST(connections_are_kept_and_used_again),
        TEST(a_dead_connection_costs_no_failure),
        TEST(requests_in_flight_have_a_cap),
        TEST(a_stop_ends_all_that_is_under_way),
        TEST(proxies_are_used_but_not_for_link_local),
    };
    const struct CMUnitTest tls_tests[] = {TEST(certificates_are_verified)};
    return getenv("MINIO_CA_FILE") ? cmocka_run_group_tests(tls_tests, NULL, NULL)
                                   : cmocka_run_group_tests(tests, NULL, NULL);
}
