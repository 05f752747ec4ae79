/*
 * Copies within a real store (MinIO): no byte passes here, metadata and types are kept, parts above
 * a threshold; store to store by streaming; moves; keys of the caller's; versions.
 */
#include "minio_fixture.h"
#include "scratch.h"

#include <fcntl.h>
#include <sys/stat.h>

enum {
    BIG = 12 * MIB + 5
};

/* What a copy reported, and how many bytes of objects went over the wire. */
struct seen {
    unsigned copied, failed;
    enum storage_verified verified;
    enum storage_code code;
    bool has_crc32;
};

static atomic_ullong wire;

/* Sums the byte counts that a trace line ends with: "…, N bytes out, M in, …". */
static void on_trace(void *context, const char *line)
{
    (void)context;
    const char *out = strstr(line, " bytes out, ");
    unsigned long long in = out ? strtoull(out + 12, NULL, 10) : 0;
    while (out && out > line && out[-1] >= '0' && out[-1] <= '9') {
        out--;
    }
    atomic_fetch_add(&wire, in + (out ? strtoull(out, NULL, 10) : 0));
}

static struct storage *open_with(const char *bucket, struct storage_config config)
{
    struct storage *store = NULL;
    struct storage_error err = {0};
    struct storage_url url = {.kind = STORAGE_S3};
    snprintf(url.bucket, sizeof url.bucket, "%s", bucket);
    config.access = minio_root_access();
    config.access.endpoint = getenv("MINIO_ENDPOINT");
    config.access.ca_file = getenv("MINIO_CA_FILE");
    config.trace = on_trace;
    minio_must(storage_open(&store, &url, &config, &err), &err);
    minio_must(storage_make_bucket(store, "", &err), &err);
    return store;
}

static void on_object(void *context, const struct storage_copied *copied)
{
    struct seen *seen = context;
    if (copied->error) {
        seen->failed++;
        seen->code = copied->error->code;
    } else {
        seen->copied++;
        seen->verified = copied->verified;
        seen->has_crc32 = copied->has_crc32;
    }
}

static enum storage_code run(struct storage *from, const char *source, struct storage *to,
                             const char *destination, bool moves, struct seen *seen,
                             struct storage_error *err)
{
    struct storage_copy copy = {.source = from,
                                .source_key = source,
                                .destination = to,
                                .destination_key = destination,
                                .recursive = true,
                                .remove_source = moves,
                                .on_object = on_object,
                                .context = seen};
    struct storage_summary summary;
    *seen = (struct seen){0};
    atomic_store(&wire, 0);
    return storage_copy(&copy, &summary, err);
}

static unsigned char *put_big(struct storage *store, const char *key)
{
    struct storage_error err;
    unsigned char *big = malloc(BIG);
    scratch_fill(big, BIG, 3);
    minio_must(storage_put(store, key, big, BIG, NULL, &err), &err);
    return big;
}

static void assert_bytes(struct storage *store, const char *key, const void *data, size_t size)
{
    struct storage_error err;
    char *got = NULL;
    size_t got_size = 0;
    minio_must(storage_get(store, key, size, &got, &got_size, &err), &err);
    assert_int_equal(got_size, size);
    assert_memory_equal(got, data, size);
    free(got);
}

static void no_byte_passes_here(void **state)
{
    (void)state;
    struct storage_config plain = {0};
    struct storage_error err;
    struct seen seen;
    struct storage *from = open_with("jf-remote", plain);
    struct storage *to = open_with("jf-remote-2", plain);
    unsigned char *big = put_big(from, "a/big ä+%.bin");
    minio_put_text(from, "a/small", "small");
    minio_must(run(from, "a", to, "b", false, &seen, &err), &err);
    assert_int_equal(seen.copied, 2);
    assert_true(seen.verified < STORAGE_VERIFIED_SIZE);
    assert_true(atomic_load(&wire) < 100000);
    assert_bytes(to, "b/big ä+%.bin", big, BIG);
    minio_assert_content(to, "b/small", "small");
    free(big);
    storage_close(from);
    storage_close(to);
}

static void above_the_threshold_it_goes_in_parts(void **state)
{
    (void)state;
    struct storage_config plain = {0};
    struct storage_config low = {.server_copy_max = 5 * MIB};
    struct storage_error err;
    struct storage_info info;
    struct seen seen;
    struct storage *from = open_with("jf-remote", plain);
    struct storage *to = open_with("jf-remote", low);
    unsigned char *big = put_big(from, "big.json");
    minio_must(run(from, "big.json", to, "parts", false, &seen, &err), &err);
    assert_int_equal(seen.copied, 1);
    assert_true(atomic_load(&wire) < 100000);
    minio_must(storage_stat(from, "parts", &info, &err), &err);
    assert_non_null(strstr(info.etag, "-3"));
    assert_bytes(to, "parts", big, BIG);
    free(big);
    storage_close(from);
    storage_close(to);
}

/* Another endpoint, or other keys: the bytes pass here, in memory. */
static void between_two_endpoints_it_streams(void **state)
{
    (void)state;
    struct storage_config plain = {0};
    struct storage_error err;
    struct seen seen;
    struct storage *from = open_with("jf-remote", plain);
    struct storage *other = NULL;
    struct storage_url url = {.kind = STORAGE_S3, .bucket = "jf-remote-2"};
    struct storage_config config = {.access = minio_root_access()};
    char endpoint[128];
    const char *port = strrchr(getenv("MINIO_ENDPOINT"), ':');
    const char *scheme = getenv("MINIO_CA_FILE") ? "https" : "http";
    snprintf(endpoint, sizeof endpoint, "%s://localhost%s", scheme, port); /* 127.0.0.1 by name */
    config.access.endpoint = endpoint;
    config.access.ca_file = getenv("MINIO_CA_FILE");
    config.trace = on_trace;
    minio_must(storage_open(&other, &url, &config, &err), &err);
    unsigned char *big = put_big(from, "stream/big");
    minio_must(run(from, "stream", other, "stream", false, &seen, &err), &err);
    assert_int_equal(seen.copied, 1);
    assert_int_equal(seen.verified, STORAGE_VERIFIED_CRC32);
    assert_true(atomic_load(&wire) >= 2ULL * BIG);
    assert_bytes(other, "stream/big", big, BIG);
    free(big);
    storage_close(from);
    storage_close(other);
}

static void other_keys_stream(void **state)
{
    (void)state;
    struct storage_config plain = {0};
    struct storage_error err;
    struct seen seen;
    struct storage *from = open_with("jf-remote", plain);
    struct storage_access anonymous = {0};
    struct storage *other = minio_open_as("jf-remote-2", &anonymous, NULL);
    minio_put_text(from, "mine", "mine");
    assert_int_equal(run(from, "mine", other, "x", false, &seen, &err), STORAGE_DENIED);
    assert_int_equal(seen.failed, 1);
    assert_true(atomic_load(&wire) >= 4); /* it was read here before it was refused there */
    storage_close(from);
    storage_close(other);
}

static void a_move_leaves_nothing_behind(void **state)
{
    (void)state;
    struct storage_config plain = {0};
    struct storage_error err;
    struct seen seen;
    struct storage *store = open_with("jf-remote", plain);
    minio_put_text(store, "move/a", "a");
    minio_put_text(store, "move/sub/b", "b");
    minio_must(run(store, "move", store, "moved", true, &seen, &err), &err);
    assert_int_equal(seen.copied, 2);
    assert_int_equal(minio_count_below(store, "move/"), 0);
    minio_assert_content(store, "moved/a", "a");
    minio_assert_content(store, "moved/sub/b", "b");
    storage_close(store);
}

static void a_move_ends_on_the_disk_first(void **state)
{
    (void)state;
    struct storage_config plain = {0};
    struct storage_error err;
    struct seen seen;
    char *folder = scratch_make();
    struct storage *store = open_with("jf-remote", plain);
    struct storage *local = NULL;
    struct storage_url here = {.kind = STORAGE_LOCAL};
    minio_must(storage_open(&local, &here, &plain, &err), &err);
    minio_put_text(store, "down/a", "a");
    /* where the target cannot be, the source stays */
    scratch_write(folder, "file", "x", 1);
    assert_true(run(store, "down", local, scratch_path(folder, "file/x"), true, &seen, &err) !=
                STORAGE_OK);
    assert_int_equal(minio_count_below(store, "down/"), 1);
    minio_must(run(store, "down", local, scratch_path(folder, "to"), true, &seen, &err), &err);
    assert_int_equal(minio_count_below(store, "down/"), 0);
    assert_true(scratch_exists(folder, "to/a"));
    minio_must(run(local, scratch_path(folder, "to"), store, "up", true, &seen, &err), &err);
    assert_false(scratch_exists(folder, "to/a"));
    minio_assert_content(store, "up/a", "a");
    storage_close(store);
    storage_close(local);
    scratch_remove(folder);
}

/* The store takes the key over TLS only; over http it refuses, in words. */
static void the_callers_key_encrypts(void **state)
{
    (void)state;
    static const unsigned char one[STORAGE_SSE_C_KEY_SIZE] = "0123456789abcdef0123456789abcdef";
    static const unsigned char two[STORAGE_SSE_C_KEY_SIZE] = "abcdef0123456789abcdef0123456789";
    struct storage_config first = {.headers.sse_c_key = one, .server_copy_max = 0};
    struct storage_config second = {.headers.sse_c_key = two, .server_copy_max = 5 * MIB};
    struct storage_config plain = {0};
    struct storage_error err;
    struct storage_info info;
    struct seen seen;
    struct storage *store = open_with("jf-remote", first);
    struct storage *other = open_with("jf-remote", second);
    struct storage *open = open_with("jf-remote", plain);
    if (!getenv("MINIO_CA_FILE")) {
        assert_true(storage_put(store, "enc/s", "secret", 6, NULL, &err) != STORAGE_OK);
    } else {
        minio_must(storage_put(store, "enc/s", "secret", 6, NULL, &err), &err);
        assert_bytes(store, "enc/s", "secret", 6);
        assert_true(storage_stat(open, "enc/s", &info, &err) != STORAGE_OK);
        unsigned char *big = malloc(BIG);
        scratch_fill(big, BIG, 3);
        char *folder = scratch_make();
        struct storage *local = NULL;
        struct storage_url here = {.kind = STORAGE_LOCAL};
        minio_must(storage_open(&local, &here, &plain, &err), &err);
        scratch_write(folder, "big", big, BIG);
        /* in parts up, by the store from key to key in parts, and down again */
        minio_must(run(local, scratch_path(folder, "big"), store, "enc/big", false, &seen, &err),
                   &err);
        minio_must(run(store, "enc", other, "enc2", false, &seen, &err), &err);
        assert_int_equal(seen.copied, 2);
        assert_true(atomic_load(&wire) < 100000);
        minio_must(run(other, "enc2", local, scratch_path(folder, "back"), false, &seen, &err),
                   &err);
        size_t size = 0;
        void *back = scratch_read(scratch_path(folder, "back"), "big", &size);
        assert_int_equal(size, BIG);
        assert_memory_equal(back, big, BIG);
        free(back);
        free(big);
        storage_close(local);
        scratch_remove(folder);
    }
    storage_close(store);
    storage_close(other);
    storage_close(open);
}

/* Sends a request on the bucket itself, and gives the body of its answer. */
static char *ask_bucket(struct storage *store, const char *method, const char *query,
                        const char *body)
{
    struct http_response response;
    struct storage_error err;
    const struct sign_pair what = {query, NULL};
    struct s3_request request = {.method = method,
                                 .what = "bucket",
                                 .query = &what,
                                 .query_count = 1,
                                 .body = body,
                                 .body_size = body ? strlen(body) : 0};
    http_response_init(&response);
    minio_must(s3_perform((struct s3_store *)store, &request, &response, &err), &err);
    char *text = strndup(response.body.data ? response.body.data : "", response.body.length);
    http_response_release(&response);
    return text;
}

/* An older version can be looked at, read, copied and removed; the newest stays. */
static void an_older_version_is_reached(void **state)
{
    (void)state;
    struct storage_config plain = {0};
    struct storage_error err;
    struct storage_info info;
    struct seen seen;
    char old[128];
    struct storage *store = open_with("jf-versions", plain);
    free(ask_bucket(store, "PUT", "versioning",
                    "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"));
    minio_put_text(store, "k", "older");
    minio_put_text(store, "k", "newest");
    char *list = ask_bucket(store, "GET", "versions", NULL);
    const char *at = strstr(list, "<IsLatest>false");
    assert_non_null(at);
    const char *id = strstr(list, "<VersionId>");
    for (const char *next = id; next && next < at; next = strstr(next + 1, "<VersionId>")) {
        id = next;
    }
    const char *after = strstr(at, "<VersionId>");
    id = after && strstr(after, "</Version>") == strstr(at, "</Version>") ? after : id;
    snprintf(old, sizeof old, "%.*s", (int)strcspn(id + 11, "<"), id + 11);
    free(list);
    struct storage_config picked = {.headers.version_id = old};
    struct storage *older = open_with("jf-versions", picked);
    minio_assert_content(older, "k", "older");
    minio_must(storage_stat(older, "k", &info, &err), &err);
    assert_int_equal(info.size, 5);
    minio_must(run(older, "k", store, "copy", false, &seen, &err), &err);
    minio_assert_content(store, "copy", "older");
    minio_must(storage_remove(older, "k", &err), &err);
    assert_int_equal(storage_stat(older, "k", &info, &err), STORAGE_NOT_FOUND);
    minio_assert_content(store, "k", "newest");
    storage_close(store);
    storage_close(older);
}

int main(void)
{
    if (!minio_is_there()) {
        return MINIO_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_byte_passes_here),
        cmocka_unit_test(above_the_threshold_it_goes_in_parts),
        cmocka_unit_test(between_two_endpoints_it_streams),
        cmocka_unit_test(other_keys_stream),
        cmocka_unit_test(a_move_leaves_nothing_behind),
        cmocka_unit_test(a_move_ends_on_the_disk_first),
        cmocka_unit_test(the_callers_key_encrypts),
        cmocka_unit_test(an_older_version_is_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
