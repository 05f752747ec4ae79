/*
 * Copies to, from and within a real store: run by with_minio.sh, which starts a MinIO of its own.
 */
#include "minio_fixture.h"
#include "scratch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BIG = 60 * MIB + 5,
    SMALL_FILES = 2000
};

struct world {
    char *folder;
    struct storage *store, *other; /* buckets jf-copy and jf-other */
    struct storage *local;
    atomic_bool stop;
    enum storage_verified worst;
    uint64_t stop_at; /* bytes after which on_progress stops; 0: never */
    unsigned workers; /* 0: the default */
};

static struct storage *open_bucket(const char *name, struct world *world)
{
    struct storage_error err;
    struct storage_access access = minio_root_access();
    struct storage *store = minio_open_as(name, &access, &world->stop);
    minio_must(storage_make_bucket(store, "", &err), &err);
    return store;
}

static int make_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->folder = scratch_make();
    world->store = open_bucket("jf-copy", world);
    world->other = open_bucket("jf-other", world);
    const struct storage_config config = {.stop = &world->stop};
    assert_int_equal(local_open(&world->local, &config, NULL), STORAGE_OK);
    world->local->stop = &world->stop;
    *state = world;
    return 0;
}

static int free_world(void **state)
{
    struct world *world = *state;
    storage_close(world->store);
    storage_close(world->other);
    storage_close(world->local);
    scratch_remove(world->folder);
    free(world);
    return 0;
}

static void on_object(void *context, const struct storage_copied *copied)
{
    struct world *world = context;
    if (!copied->error && copied->verified > world->worst) {
        world->worst = copied->verified;
    }
}

static void on_progress(void *context, const struct storage_progress *progress)
{
    struct world *world = context;
    if (world->stop_at && progress->done_bytes >= world->stop_at) {
        atomic_store(&world->stop, true);
    }
}

static enum storage_code copy(struct world *world, struct storage *from, const char *source,
                              struct storage *to, const char *destination,
                              struct storage_summary *summary, struct storage_error *err)
{
    struct storage_copy what = {.source = from,
                                .source_key = source,
                                .destination = to,
                                .destination_key = destination,
                                .recursive = true,
                                .workers = world->workers,
                                .on_object = on_object,
                                .on_progress = on_progress,
                                .context = world};
    world->worst = STORAGE_VERIFIED_CRC32;
    return storage_copy(&what, summary, err);
}

/* Up, from store to store, and down again: the bytes, the times and the checks are kept. */
static void big_objects_go_round(void **state)
{
    struct world *world = *state;
    struct storage_error err;
    struct storage_summary summary;
    unsigned char *big = malloc(BIG);
    scratch_fill(big, BIG, 1);
    scratch_write(world->folder, "big", big, BIG);
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1600000000, .tv_nsec = 123456789}};
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(world->folder, "big"), times, 0), 0);
    minio_must(copy(world, world->local, scratch_path(world->folder, "big"), world->store,
                    "round/big", &summary, &err),
               &err);
    assert_int_equal(summary.objects, 1);
    assert_int_equal(summary.bytes, BIG);
    assert_int_equal(world->worst, STORAGE_VERIFIED_CRC32);
    minio_must(copy(world, world->store, "round/big", world->other, "there/", &summary, &err),
               &err);
    assert_int_equal(world->worst, STORAGE_VERIFIED_CRC32);
    minio_must(copy(world, world->other, "there/big", world->local,
                    scratch_path(world->folder, "back/"), &summary, &err),
               &err);
    assert_int_equal(world->worst, STORAGE_VERIFIED_CRC32);
    scratch_check(world->folder, "back/big", big, BIG);
    assert_int_equal(scratch_count(world->folder), 3);
    struct stat status;
    assert_int_equal(stat(scratch_path(world->folder, "back/big"), &status), 0);
    assert_int_equal(status.st_mtim.tv_sec, 1600000000);
    assert_int_equal(status.st_mtim.tv_nsec, 123456789);
    free(big);
}

static void many_small_objects_go_round(void **state)
{
    struct world *world = *state;
    struct storage_error err;
    struct storage_summary summary;
    char name[64];
    unsigned char data[3000];
    scratch_fill(data, sizeof data, 2);
    for (int i = 0; i < SMALL_FILES; i++) {
        snprintf(name, sizeof name, "many/%d/f %d+&%%é", i % 7, i);
        scratch_write(world->folder, name, data, (size_t)i);
    }
    minio_must(copy(world, world->local, scratch_path(world->folder, "many"), world->store, "many",
                    &summary, &err),
               &err);
    assert_int_equal(summary.objects, SMALL_FILES);
    assert_int_equal(world->worst, STORAGE_VERIFIED_CRC32);
    minio_must(copy(world, world->store, "many", world->local, scratch_path(world->folder, "back"),
                    &summary, &err),
               &err);
    assert_int_equal(summary.objects, SMALL_FILES);
    assert_int_equal(world->worst, STORAGE_VERIFIED_CRC32);
    for (int i = 0; i < SMALL_FILES; i++) {
        snprintf(name, sizeof name, "back/%d/f %d+&%%é", i % 7, i);
        scratch_check(world->folder, name, data, (size_t)i);
    }
    assert_int_equal(scratch_count(scratch_path(world->folder, "back")), SMALL_FILES + 7);
}

static void what_is_not_there_is_not_found(void **state)
{
    struct world *world = *state;
    struct storage_error err;
    struct storage_summary summary;
    const char *to = scratch_path(world->folder, "to");
    assert_int_equal(copy(world, world->store, "nothing", world->local, to, &summary, &err),
                     STORAGE_NOT_FOUND);
    assert_non_null(strstr(err.message, "s3://jf-copy/nothing/"));
    struct storage *none = minio_open_root("jf-no-such");
    assert_int_equal(copy(world, none, "x", world->local, to, &summary, &err), STORAGE_NOT_FOUND);
    assert_string_equal(err.service_code, "NoSuchBucket");
    storage_close(none);
    assert_false(scratch_exists(world->folder, "to"));
}

static void overlaps_within_a_bucket_are_refused(void **state)
{
    struct world *world = *state;
    struct storage_error err;
    struct storage_summary summary;
    minio_must(storage_put(world->store, "in/x", "1", 1, NULL, &err), &err);
    assert_int_equal(copy(world, world->store, "in", world->store, "in/deeper", &summary, &err),
                     STORAGE_USAGE);
    minio_must(copy(world, world->store, "in", world->other, "in/deeper", &summary, &err), &err);
}

/* A stop in the midst of parts: nothing under the name; the next try ends with the file alone. */
static void a_stop_leaves_nothing_visible(void **state)
{
    struct world *world = *state;
    struct storage_error err;
    struct storage_summary summary;
    struct storage_info info;
    unsigned char *big = malloc(BIG);
    scratch_fill(big, BIG, 1);
    scratch_write(world->folder, "big", big, BIG);
    minio_must(copy(world, world->local, scratch_path(world->folder, "big"), world->store, "whole",
                    &summary, &err),
               &err);
    world->stop_at = 1;
    world->workers = 2; /* so that most parts have not begun when it comes */
    assert_int_equal(copy(world, world->local, scratch_path(world->folder, "big"), world->store,
                          "stopped", &summary, &err),
                     STORAGE_STOPPED);
    atomic_store(&world->stop, false);
    assert_int_equal(copy(world, world->store, "whole", world->local,
                          scratch_path(world->folder, "to/x"), &summary, &err),
                     STORAGE_STOPPED);
    atomic_store(&world->stop, false);
    assert_int_equal(storage_stat(world->store, "stopped", &info, &err), STORAGE_NOT_FOUND);
    assert_false(scratch_exists(world->folder, "to/x"));
    world->stop_at = 0;
    minio_must(copy(world, world->store, "whole", world->local, scratch_path(world->folder, "to/x"),
                    &summary, &err),
               &err);
    assert_int_equal(scratch_count(scratch_path(world->folder, "to")), 1);
    free(big);
}

int main(void)
{
    if (!minio_is_there()) {
        return MINIO_SKIPPED;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)
    const struct CMUnitTest tests[] = {
        TEST(big_objects_go_round),           TEST(many_small_objects_go_round),
        TEST(what_is_not_there_is_not_found), TEST(overlaps_within_a_bucket_are_refused),
        TEST(a_stop_leaves_nothing_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
