/* Objects written on a condition, in a real store. */
#include "minio_fixture.h"

static void an_object_is_written_only_in_the_state_that_was_seen(void **state)
{
    struct storage *store = *state;
    char first[STORAGE_ETAG_MAX + 1] = "";
    char second[STORAGE_ETAG_MAX + 1] = "";
    char *data = NULL;
    size_t size = 0;
    struct storage_error err;
    minio_must(storage_put_if(store, "if/a", "one", 3, NULL, first, &err), &err);
    assert_int_equal(storage_put_if(store, "if/a", "two", 3, NULL, second, &err), STORAGE_CHANGED);
    minio_must(storage_put_if(store, "if/a", "two", 3, first, second, &err), &err);
    assert_int_equal(storage_put_if(store, "if/a", "six", 3, first, first, &err), STORAGE_CHANGED);
    minio_must(storage_get_tagged(store, "if/a", 10, &data, &size, first, &err), &err);
    assert_string_equal(data, "two");
    assert_string_equal(first, second);
    free(data);
    assert_int_equal(storage_put_if(store, "if/none", "a", 1, first, second, &err),
                     STORAGE_CHANGED);
}

int main(void)
{
    if (!minio_is_there()) {
        return MINIO_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_written_only_in_the_state_that_was_seen),
    };
    return cmocka_run_group_tests(tests, minio_make_bucket, minio_close_bucket);
}
