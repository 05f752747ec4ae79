/* The file system as a place: the public functions on paths. */
#include "scratch.h"
#include "storage/storage.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    char *folder;
    struct storage *store;
    atomic_bool stop;
};

static int make_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct storage_url url = {.kind = STORAGE_LOCAL};
    struct storage_config config = {.stop = &world->stop};
    world->folder = scratch_make();
    assert_int_equal(storage_open(&world->store, &url, &config, NULL), STORAGE_OK);
    assert_int_equal(storage_kind(world->store), STORAGE_LOCAL);
    *state = world;
    return 0;
}

static int free_world(void **state)
{
    struct world *world = *state;
    storage_close(world->store);
    scratch_remove(world->folder);
    free(world);
    return 0;
}

static const char *path(const struct world *world, const char *name)
{
    return scratch_path(world->folder, name);
}

static void what_is_put_can_be_got(void **state)
{
    struct world *world = *state;
    enum storage_verified verified = STORAGE_VERIFIED_CRC32;
    char *data = NULL;
    size_t size = 99;
    struct storage_error err;
    const char *key = path(world, "new/folder/x");
    assert_int_equal(storage_put(world->store, key, "hello", 5, &verified, &err), STORAGE_OK);
    assert_int_equal(verified, STORAGE_VERIFIED_SIZE);
    assert_int_equal(storage_get(world->store, key, 5, &data, &size, &err), STORAGE_OK);
    assert_int_equal(size, 5);
    assert_string_equal(data, "hello");
    free(data);
    assert_int_equal(storage_get(world->store, key, 4, &data, &size, &err), STORAGE_TRANSFER);
    assert_null(data);
    assert_int_equal(storage_put(world->store, key, "", 0, NULL, &err), STORAGE_OK);
    assert_int_equal(storage_get(world->store, key, 0, &data, &size, &err), STORAGE_OK);
    assert_int_equal(size, 0);
    assert_string_equal(data, "");
    free(data);
    assert_int_equal(scratch_count(world->folder), 3);
}

static void a_failed_put_leaves_the_old_file(void **state)
{
    struct world *world = *state;
    struct storage_error err;
    size_t size = 0;
    scratch_write(world->folder, "x", "old", 3);
    assert_int_equal(storage_put(world->store, path(world, "x/below"), "new", 3, NULL, &err),
                     STORAGE_CONFLICT);
    char *data = scratch_read(world->folder, "x", &size);
    assert_memory_equal(data, "old", 3);
    free(data);
    assert_int_equal(scratch_count(world->folder), 1);
}

static void ranges_are_read(void **state)
{
    struct world *world = *state;
    char data[16] = "";
    size_t got = 0;
    struct storage_info info;
    struct storage_error err;
    const char *key = path(world, "x");
    scratch_write(world->folder, "x", "0123456789", 10);
    assert_int_equal(storage_read(world->store, key, 3, data, 4, NULL, &got, &info, &err),
                     STORAGE_OK);
    assert_int_equal(got, 4);
    assert_memory_equal(data, "3456", 4);
    assert_int_equal(info.size, 10);
    assert_string_equal(info.etag, "");
    assert_false(info.has_crc32);
    assert_int_equal(storage_read(world->store, key, 8, data, 4, "", &got, NULL, &err), STORAGE_OK);
    assert_int_equal(got, 2);
    assert_int_equal(storage_read(world->store, key, 10, data, 4, "", &got, NULL, &err),
                     STORAGE_OK);
    assert_int_equal(got, 0);
    assert_int_equal(storage_read(world->store, key, 0, data, 4, "abc", &got, NULL, &err),
                     STORAGE_CHANGED);
}

static void only_files_are_read(void **state)
{
    struct world *world = *state;
    char data[4];
    size_t got = 0;
    struct storage_error err;
    assert_int_equal(mkfifo(path(world, "pipe"), 0600), 0);
    assert_int_equal(
        storage_read(world->store, path(world, "pipe"), 0, data, 4, NULL, &got, NULL, &err),
        STORAGE_USAGE);
    assert_int_equal(storage_read(world->store, world->folder, 0, data, 4, NULL, &got, NULL, &err),
                     STORAGE_USAGE);
    assert_non_null(strstr(err.message, "a folder"));
    assert_int_equal(
        storage_read(world->store, path(world, "none"), 0, data, 4, NULL, &got, NULL, &err),
        STORAGE_NOT_FOUND);
}

static void stat_tells_files_from_folders(void **state)
{
    struct world *world = *state;
    struct storage_info info;
    struct storage_error err;
    scratch_write(world->folder, "d/x", "hello", 5);
    assert_int_equal(storage_stat(world->store, path(world, "d/x"), &info, &err), STORAGE_OK);
    assert_int_equal(info.size, 5);
    assert_false(info.is_directory);
    assert_true(info.mtime_ns > 1500000000000000000);
    assert_int_equal(storage_stat(world->store, path(world, "d"), &info, &err), STORAGE_OK);
    assert_true(info.is_directory);
    assert_int_equal(storage_stat(world->store, "", &info, &err), STORAGE_OK);
    assert_true(info.is_directory);
    assert_int_equal(storage_stat(world->store, path(world, "no"), &info, &err), STORAGE_NOT_FOUND);
    assert_int_equal(err.system_errno, 2);
}

static void removing_is_exact(void **state)
{
    struct world *world = *state;
    struct storage_error err;
    size_t removed = 0;
    scratch_write(world->folder, "d/x", "1", 1);
    scratch_write(world->folder, "e/f/x", "1", 1);
    assert_int_equal(storage_remove(world->store, path(world, "none"), &err), STORAGE_OK);
    assert_int_equal(storage_remove(world->store, path(world, "d"), &err), STORAGE_CONFLICT);
    assert_int_equal(err.code, STORAGE_CONFLICT);
    assert_int_equal(storage_remove(world->store, path(world, "d/x"), &err), STORAGE_OK);
    assert_true(scratch_exists(world->folder, "d"));
    assert_int_equal(storage_remove(world->store, path(world, "d/"), &err), STORAGE_OK);
    assert_false(scratch_exists(world->folder, "d"));
    const char *keys[] = {path(world, "e"), path(world, "e/f/x"), path(world, "e/f"),
                          path(world, "gone")};
    assert_int_equal(storage_remove_batch(world->store, keys, 4, &removed, &err), STORAGE_CONFLICT);
    assert_int_equal(removed, 3);
    assert_int_equal(scratch_count(world->folder), 1);
}

static void listings_give_one_level_or_all(void **state)
{
    struct world *world = *state;
    struct storage_lister *lister = NULL;
    struct storage_entry entry;
    scratch_write(world->folder, "d/b", "22", 2);
    scratch_write(world->folder, "d/a/x", "1", 1);
    for (int recursive = 0; recursive < 2; recursive++) {
        assert_int_equal(
            storage_lister_open(&lister, world->store, path(world, "d"), recursive, NULL),
            STORAGE_OK);
        assert_int_equal(storage_lister_next(lister, &entry, NULL), STORAGE_OK);
        assert_string_equal(entry.key, path(world, recursive ? "d/a/x" : "d/a/"));
        assert_int_equal(entry.is_prefix, !recursive);
        assert_int_equal(storage_lister_next(lister, &entry, NULL), STORAGE_OK);
        assert_string_equal(entry.key, path(world, "d/b"));
        assert_int_equal(entry.info.size, 2);
        assert_false(entry.is_prefix);
        assert_int_equal(storage_lister_next(lister, &entry, NULL), STORAGE_OK);
        assert_null(entry.key);
        storage_lister_close(lister);
    }
    storage_lister_close(NULL);
}

struct feed {
    int fd;
    const char *data;
    size_t size;
};

static void *feed_pipe(void *context)
{
    struct feed *feed = context;
    while (feed->size > 0) {
        ssize_t sent = write(feed->fd, feed->data, feed->size);
        if (sent <= 0) {
            break;
        }
        feed->data += sent;
        feed->size -= (size_t)sent;
    }
    close(feed->fd);
    return NULL;
}

static void streams_of_any_length_are_put(void **state)
{
    struct world *world = *state;
    enum {
        PART = 32 * 1024 * 1024
    };
    static const size_t sizes[] = {0, 5, PART, PART + 7};
    char *data = malloc(PART + 7);
    scratch_fill(data, PART + 7, 3);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int ends[2];
        uint64_t size = 0;
        size_t found = 0;
        pthread_t thread;
        struct storage_error err;
        assert_int_equal(pipe(ends), 0);
        struct feed feed = {.fd = ends[1], .data = data, .size = sizes[i]};
        assert_int_equal(pthread_create(&thread, NULL, feed_pipe, &feed), 0);
        assert_int_equal(
            storage_put_stream(world->store, path(world, "x"), ends[0], &size, NULL, &err),
            STORAGE_OK);
        pthread_join(thread, NULL);
        close(ends[0]);
        assert_int_equal(size, sizes[i]);
        char *got = scratch_read(world->folder, "x", &found);
        assert_int_equal(found, sizes[i]);
        assert_memory_equal(got, data, sizes[i]);
        free(got);
    }
    free(data);
}

static void a_stop_ends_a_silent_stream(void **state)
{
    struct world *world = *state;
    int ends[2];
    uint64_t size = 0;
    struct storage_error err;
    assert_int_equal(pipe(ends), 0);
    atomic_store(&world->stop, true);
    assert_int_equal(storage_put_stream(world->store, path(world, "x"), ends[0], &size, NULL, &err),
                     STORAGE_STOPPED);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(scratch_count(world->folder), 0);
}

static void names_of_checks_are_fixed(void **state)
{
    (void)state;
    assert_string_equal(storage_verified_name(STORAGE_VERIFIED_CRC32), "crc32");
    assert_string_equal(storage_verified_name(STORAGE_VERIFIED_MD5), "md5");
    assert_string_equal(storage_verified_name(STORAGE_VERIFIED_ETAG), "etag");
    assert_string_equal(storage_verified_name(STORAGE_VERIFIED_SIZE), "size");
    storage_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_can_be_got),
        TEST(a_failed_put_leaves_the_old_file),
        TEST(ranges_are_read),
        TEST(only_files_are_read),
        TEST(stat_tells_files_from_folders),
        TEST(removing_is_exact),
        TEST(listings_give_one_level_or_all),
        TEST(streams_of_any_length_are_put),
        TEST(a_stop_ends_a_silent_stream),
        TEST(names_of_checks_are_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
