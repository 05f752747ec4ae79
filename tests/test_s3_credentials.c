/*
 * Keys and clocks before a store that many requests reach at once: a token that expires between
 * parts, a clock an hour off under a hundred requests in flight, an account that is blocked.
 */
#include "scratch.h"

#include "storage/backend.h"
#include "storage/base/date.h"
#include "storage/s3/s3.h"
#include "storage/storage.h"

#include <microhttpd.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

enum {
    CROWD = 100,
    PARTS = 8,
    PART_SIZE = 1000,
    HOUR = 3600
};

/* A store that looks at the key and the date of a request, and at nothing else. */
struct store {
    struct MHD_Daemon *daemon;
    char endpoint[64];
    char *folder;
    atomic_int seen;             /* requests */
    atomic_int parts[PARTS + 1]; /* by number, refused ones too */
    atomic_int expire_at_part;   /* the keys AK1 expire when this part comes; 0: never */
    atomic_int valid;            /* the number of the key that is good; 0: any */
    atomic_int next;             /* what the profile holds after an expiry */
    atomic_bool blocked;         /* all is answered TooManyWrongSignature */
    int64_t ahead;               /* its clock, seconds before ours */
    atomic_int arrived;          /* reads and parts */
    int crowd;                   /* the first so many of them are answered when all are there */
};

static void write_profile(const char *folder, int number)
{
    char text[160];
    int length = snprintf(text, sizeof text,
                          "[x]\naws_access_key_id=AK%d\naws_secret_access_key=SK%d\n"
                          "aws_session_token=T%d\n",
                          number, number, number);
    scratch_write(folder, "profile", text, (size_t)length);
}

static enum MHD_Result reply(const struct store *store, struct MHD_Connection *connection,
                             unsigned status, const char *body)
{
    char date[DATE_HTTP_SIZE];
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(body), (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    date_format_http(date, (int64_t)time(NULL) + store->ahead);
    MHD_add_response_header(response, "Date", date);
    MHD_add_response_header(response, "ETag", "\"900150983cd24fb0d6963f7d28e17f72\"");
    if (status == 206) {
        MHD_add_response_header(response, "Content-Range", "bytes 0-2/3");
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value ? value : "";
}

static bool has_good_key(const struct store *store, struct MHD_Connection *connection)
{
    char credential[32];
    int valid = atomic_load(&store->valid);
    snprintf(credential, sizeof credential, "Credential=AK%d/", valid);
    return valid == 0 || strstr(header(connection, "Authorization"), credential);
}

/* Within the 15 minutes that stores allow. */
static bool has_good_date(const struct store *store, struct MHD_Connection *connection)
{
    const char *text = header(connection, "x-amz-date");
    for (int64_t off = -600; off <= 600; off++) {
        char date[DATE_AMZ_SIZE];
        date_format_amz(date, (int64_t)time(NULL) + store->ahead + off);
        if (strcmp(date, text) == 0) {
            return true;
        }
    }
    return false;
}

#define REFUSAL(code) "<Error><Code>" code "</Code><Message>m</Message></Error>"

static enum MHD_Result judge(struct store *store, struct MHD_Connection *connection,
                             const char *method)
{
    const char *number =
        MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "partNumber");
    long part = number ? strtol(number, NULL, 10) : 0;
    atomic_fetch_add(&store->seen, 1);
    if (part > 0 && part <= PARTS) {
        atomic_fetch_add(&store->parts[part], 1);
    }
    if (part > 0 || strcmp(method, "GET") == 0) {
        int order = atomic_fetch_add(&store->arrived, 1);
        while (order < store->crowd && atomic_load(&store->arrived) < store->crowd) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
    }
    if (part > 0 && part == atomic_load(&store->expire_at_part) &&
        atomic_load(&store->valid) == 1) {
        write_profile(store->folder, atomic_load(&store->next));
        atomic_store(&store->valid, 2);
    }
    if (atomic_load(&store->blocked)) {
        return reply(store, connection, 403, REFUSAL("TooManyWrongSignature"));
    }
    if (!has_good_date(store, connection)) {
        return reply(store, connection, 403, REFUSAL("RequestTimeTooSkewed"));
    }
    if (!has_good_key(store, connection)) {
        bool silent = strcmp(method, "HEAD") == 0;
        return reply(store, connection, 400, silent ? "" : REFUSAL("ExpiredToken"));
    }
    if (strcmp(method, "POST") == 0) {
        return reply(store, connection, 200,
                     "<InitiateMultipartUploadResult><UploadId>U</UploadId>"
                     "</InitiateMultipartUploadResult>");
    }
    return strcmp(method, "GET") == 0 ? reply(store, connection, 206, "abc")
                                      : reply(store, connection, 200, "");
}

/* Called at the head, for each piece of the body, and at its end. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **place)
{
    (void)url;
    (void)version;
    (void)data;
    if (!*place) {
        *place = context;
        return MHD_YES;
    }
    if (*size > 0) {
        *size = 0;
        return MHD_YES;
    }
    return judge(context, connection, method);
}

static void store_start(struct store *store)
{
    memset(store, 0, sizeof *store);
    store->folder = scratch_make();
    store->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
            MHD_USE_SUPPRESS_DATE_NO_CLOCK,
        0, NULL, NULL, on_request, store, MHD_OPTION_CONNECTION_LIMIT, 2 * CROWD, MHD_OPTION_END);
    assert_non_null(store->daemon);
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(store->daemon, MHD_DAEMON_INFO_BIND_PORT);
    snprintf(store->endpoint, sizeof store->endpoint, "http://127.0.0.1:%u", info->port);
}

static void store_stop(struct store *store)
{
    MHD_stop_daemon(store->daemon);
    scratch_remove(store->folder);
}

/* Opens it with the keys of its profile, AK1 at first. */
static struct storage *store_open(const struct store *store, struct storage_config config)
{
    struct storage_url url = {.kind = STORAGE_S3, .bucket = "bkt"};
    struct storage *storage = NULL;
    struct storage_error err;
    write_profile(store->folder, 1);
    config.access.endpoint = store->endpoint;
    if (config.access.keys.kind == STORAGE_KEYS_GIVEN) {
        config.access.keys =
            (struct storage_key_source){.kind = STORAGE_KEYS_FILE,
                                        .file = scratch_path(store->folder, "profile"),
                                        .section = "x"};
    }
    if (storage_open(&storage, &url, &config, &err)) {
        fail_msg("%s", err.message);
    }
    return storage;
}

static enum storage_code read_key(struct storage *storage, struct storage_error *err)
{
    char data[16];
    size_t got = 0;
    return storage_read(storage, "k", 0, data, sizeof data, NULL, &got, NULL, err);
}

/* ---- many at once --------------------------------------------------------------------------- */

struct worker {
    pthread_t thread;
    struct storage *storage;
    struct upload *upload; /* NULL: read */
    unsigned part;
    enum storage_code code;
    struct storage_error err;
};

static void *work(void *context)
{
    struct worker *worker = context;
    static const char bytes[PART_SIZE];
    worker->code = worker->upload ? worker->storage->backend->upload_part(
                                        worker->upload, worker->part, bytes, sizeof bytes,
                                        storage_crc32(0, bytes, sizeof bytes), &worker->err)
                                  : read_key(worker->storage, &worker->err);
    return NULL;
}

static void run_workers(struct worker *workers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        if (workers[i].code != STORAGE_OK) {
            fail_msg("%zu: %s", i, workers[i].err.message);
        }
    }
}

/* Each remembers the offset it was signed with: whoever learns it first, all are sent again. */
static void a_clock_an_hour_off_is_learnt_by_all(void **state)
{
    (void)state;
    static struct worker workers[CROWD];
    for (int direction = -1; direction <= 1; direction += 2) {
        struct store store;
        store_start(&store);
        store.ahead = direction * HOUR;
        store.crowd = CROWD; /* all are signed before any is answered */
        struct storage *storage = store_open(
            &store, (struct storage_config){.connections_max = CROWD, .attempts_max = 1});
        for (size_t i = 0; i < CROWD; i++) {
            workers[i] = (struct worker){.storage = storage};
        }
        run_workers(workers, CROWD);
        assert_int_equal(atomic_load(&store.seen), 2 * CROWD);
        storage_close(storage);
        store_stop(&store);
    }
}

/* The keys expire when a part in the middle arrives: that part is sent twice, the others once. */
static void only_the_part_of_an_expired_token_is_sent_again(void **state)
{
    (void)state;
    struct store store;
    struct storage_error err;
    struct upload *upload = NULL;
    struct upload_plan plan = {.size = PARTS * PART_SIZE, .part_size = PART_SIZE};
    store_start(&store);
    atomic_store(&store.valid, 1);
    atomic_store(&store.next, 2);
    atomic_store(&store.expire_at_part, 5);
    struct storage *storage = store_open(&store, (struct storage_config){.attempts_max = 1});
    assert_int_equal(storage->backend->upload_begin(&upload, storage, "k", &plan, &err),
                     STORAGE_OK);
    for (unsigned part = 1; part <= PARTS; part++) {
        struct worker worker = {.storage = storage, .upload = upload, .part = part};
        work(&worker);
        if (worker.code != STORAGE_OK) {
            fail_msg("part %u: %s", part, worker.err.message);
        }
    }
    for (int part = 1; part <= PARTS; part++) {
        assert_int_equal(atomic_load(&store.parts[part]), part == 5 ? 2 : 1);
    }
    storage->backend->upload_abort(upload);
    storage_close(storage);
    store_stop(&store);
}

/* The same with all parts in flight: each is sent at most twice, and all arrive. */
static void parts_in_flight_renew_the_token_together(void **state)
{
    (void)state;
    struct store store;
    struct storage_error err;
    struct upload *upload = NULL;
    struct upload_plan plan = {.size = PARTS * PART_SIZE, .part_size = PART_SIZE};
    struct worker workers[PARTS];
    store_start(&store);
    atomic_store(&store.valid, 1);
    atomic_store(&store.next, 2);
    struct storage *storage = store_open(&store, (struct storage_config){.attempts_max = 1});
    assert_int_equal(storage->backend->upload_begin(&upload, storage, "k", &plan, &err),
                     STORAGE_OK);
    atomic_store(&store.expire_at_part, 3);
    store.crowd = PARTS;
    for (unsigned i = 0; i < PARTS; i++) {
        workers[i] = (struct worker){.storage = storage, .upload = upload, .part = i + 1};
    }
    run_workers(workers, PARTS);
    assert_int_equal(atomic_load(&store.parts[3]), 2);
    for (int part = 1; part <= PARTS; part++) {
        assert_in_range(atomic_load(&store.parts[part]), 1, 2);
    }
    storage->backend->upload_abort(upload);
    storage_close(storage);
    store_stop(&store);
}

/* ---- renewals that do not help --------------------------------------------------------------- */

static void keys_are_renewed_once_a_request(void **state)
{
    (void)state;
    struct storage_error err;
    for (int next = 1; next <= 3; next += 2) { /* the same keys again; others, as bad */
        struct store store;
        store_start(&store);
        atomic_store(&store.valid, 2);
        struct storage *storage = store_open(&store, (struct storage_config){.attempts_max = 1});
        struct storage_info info;
        assert_int_equal(storage_keys_expiry(storage), 0);
        write_profile(store.folder, 1);
        atomic_store(&store.valid, 0);
        assert_int_equal(storage_stat(storage, "k", &info, &err), STORAGE_OK); /* reads AK1 */
        atomic_store(&store.valid, 2);
        write_profile(store.folder, next);
        assert_int_equal(read_key(storage, &err), STORAGE_DENIED);
        assert_string_equal(err.service_code, "ExpiredToken");
        assert_int_equal(atomic_load(&store.seen), 1 + (next == 1 ? 1 : 2));
        storage_close(storage);
        store_stop(&store);
    }
}

/* A source that brings other keys each time, all as bad: two tries, not one a fetch. */
static void new_keys_are_no_reason_to_go_on_for_ever(void **state)
{
    (void)state;
    static const char script[] = "#!/bin/sh\necho '{\"Version\":1,\"SecretAccessKey\":\"S\","
                                 "\"AccessKeyId\":\"B'$$'\"}'\n";
    struct storage_error err;
    struct store store;
    store_start(&store);
    atomic_store(&store.valid, 2);
    scratch_write(store.folder, "script", script, sizeof script - 1);
    const char *path = scratch_path(store.folder, "script");
    assert_int_equal(chmod(path, 0700), 0);
    struct storage_config config = {.access.keys = {.kind = STORAGE_KEYS_PROCESS, .command = path}};
    struct storage *storage = store_open(&store, config);
    assert_int_equal(read_key(storage, &err), STORAGE_DENIED);
    assert_int_equal(atomic_load(&store.seen), 2);
    storage_close(storage);
    store_stop(&store);
}

/* After that nothing is sent: each wrong signature more would keep the account blocked. */
static void a_blocked_account_is_left_alone(void **state)
{
    (void)state;
    struct storage_error err;
    struct store store;
    store_start(&store);
    atomic_store(&store.blocked, true);
    struct storage *storage = store_open(&store, (struct storage_config){0});
    for (int i = 0; i < 50; i++) {
        assert_int_equal(read_key(storage, &err), STORAGE_DENIED);
        assert_string_equal(err.service_code, "TooManyWrongSignature");
        assert_non_null(strstr(err.hint, "blocked"));
    }
    assert_int_equal(atomic_load(&store.seen), 1);
    storage_close(storage);
    store_stop(&store);
}

/* ---- what is told --------------------------------------------------------------------------- */

static void the_expiry_of_the_keys_is_told(void **state)
{
    (void)state;
    static const char script[] =
        "#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\","
        "\"SessionToken\":\"T\",\"Expiration\":\"2090-01-01T00:00:00Z\"}'\n";
    struct storage_error err;
    struct store store;
    store_start(&store);
    scratch_write(store.folder, "script", script, sizeof script - 1);
    const char *path = scratch_path(store.folder, "script");
    assert_int_equal(chmod(path, 0700), 0);
    struct storage_config config = {.access.keys = {.kind = STORAGE_KEYS_PROCESS, .command = path}};
    struct storage *storage = store_open(&store, config);
    assert_int_equal(storage_keys_expiry(storage), 0); /* nobody was asked */
    assert_int_equal(read_key(storage, &err), STORAGE_OK);
    assert_int_equal(storage_keys_expiry(storage), 3786912000);
    storage_close(storage);
    store_stop(&store);
}

/* A source that fails is the request's failure, in its own words, and nothing is sent. */
static void a_source_that_fails_is_told(void **state)
{
    (void)state;
    struct storage_error err;
    struct store store;
    store_start(&store);
    struct storage_config config = {
        .access.keys = {.kind = STORAGE_KEYS_PROCESS, .name = "profile 'x'", .command = "false"}};
    struct storage *storage = store_open(&store, config);
    assert_int_equal(read_key(storage, &err), STORAGE_DENIED);
    assert_string_equal(err.message, "take the keys from profile 'x': it exited with 1");
    assert_string_equal(err.target, "s3://bkt/k");
    assert_int_equal(atomic_load(&store.seen), 0);
    storage_close(storage);
    store_stop(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_an_hour_off_is_learnt_by_all),
        cmocka_unit_test(only_the_part_of_an_expired_token_is_sent_again),
        cmocka_unit_test(parts_in_flight_renew_the_token_together),
        cmocka_unit_test(keys_are_renewed_once_a_request),
        cmocka_unit_test(new_keys_are_no_reason_to_go_on_for_ever),
        cmocka_unit_test(a_blocked_account_is_left_alone),
        cmocka_unit_test(the_expiry_of_the_keys_is_told),
        cmocka_unit_test(a_source_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
