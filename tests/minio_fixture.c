#include "minio_fixture.h"

struct storage *minio_open_as(const char *bucket, const struct storage_access *access,
                              const atomic_bool *stop)
{
    struct storage *store = NULL;
    struct storage_error err = {0};
    struct storage_url url = {.kind = STORAGE_S3};
    struct storage_config config = {.access = *access, .attempts_max = 3, .stop = stop};
    snprintf(url.bucket, sizeof url.bucket, "%s", bucket);
    config.access.endpoint = getenv("MINIO_ENDPOINT");
    config.access.ca_file = getenv("MINIO_CA_FILE");
    if (storage_open(&store, &url, &config, &err) != STORAGE_OK) {
        fail_msg("open: %s", err.message);
    }
    return store;
}

struct storage_access minio_root_access(void)
{
    return (struct storage_access){.access_key = getenv("MINIO_ROOT_USER"),
                                   .secret_key = getenv("MINIO_ROOT_PASSWORD")};
}

struct storage *minio_open_root(const char *bucket)
{
    struct storage_access access = minio_root_access();
    return minio_open_as(bucket, &access, NULL);
}

/* Fails the test with the error's own words. */
void minio_must(enum storage_code code, const struct storage_error *err)
{
    if (code != STORAGE_OK) {
        fail_msg("%s", err->message);
    }
}

void minio_put_text(struct storage *store, const char *key, const char *text)
{
    struct storage_error err;
    enum storage_verified verified = STORAGE_VERIFIED_SIZE;
    minio_must(storage_put(store, key, text, strlen(text), &verified, &err), &err);
    assert_int_equal(verified, STORAGE_VERIFIED_CRC32);
}

void minio_assert_content(struct storage *store, const char *key, const char *text)
{
    struct storage_error err;
    char *data = NULL;
    size_t size = 0;
    minio_must(storage_get(store, key, 1000, &data, &size, &err), &err);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
    free(data);
}

size_t minio_count_below(struct storage *store, const char *prefix)
{
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    struct storage_error err;
    size_t count = 0;
    minio_must(storage_lister_open(&lister, store, prefix, true, &err), &err);
    for (;;) {
        minio_must(storage_lister_next(lister, &entry, &err), &err);
        if (!entry.key) {
            break;
        }
        count++;
    }
    storage_lister_close(lister);
    return count;
}

int minio_make_bucket(void **state)
{
    struct storage *store = minio_open_root("jf-test");
    struct storage_error err;
    minio_must(storage_make_bucket(store, "", &err), &err);
    minio_must(storage_make_bucket(store, "", &err), &err); /* ours already */
    *state = store;
    return 0;
}

int minio_close_bucket(void **state)
{
    storage_close(*state);
    return 0;
}

bool minio_is_there(void)
{
    bool is_there = getenv("MINIO_ENDPOINT") != NULL;
    if (!is_there) {
        fprintf(stderr, "skipped: run me by tests/with_minio.sh\n");
    }
    return is_there;
}
