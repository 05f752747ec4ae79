/*
 * The copy engine when something goes wrong: bits that flip, sources that change, objects that
 * fail, a stop, a full disk. What arrives is right or is not there.
 */
#include "copy_world.h"
#include "scripted_server.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- integrity ------------------------------------------------------------------------------ */

static void every_sum_is_checked_and_named(void **state)
{
    struct world *world = *state;
    static const struct {
        enum fake_sum sum;
        size_t size;
        enum storage_verified verified;
    } cases[] = {
        {FAKE_CRC32, BIG, STORAGE_VERIFIED_CRC32},
        {FAKE_MD5, BIG, STORAGE_VERIFIED_MD5},
        {FAKE_ETAG, BIG, STORAGE_VERIFIED_ETAG},
        {FAKE_NOTHING, BIG, STORAGE_VERIFIED_SIZE},
        {FAKE_CRC32, 1000, STORAGE_VERIFIED_CRC32},
        {FAKE_MD5, 1000, STORAGE_VERIFIED_MD5},
        {FAKE_ETAG, 1000, STORAGE_VERIFIED_ETAG},
        {FAKE_NOTHING, 1000, STORAGE_VERIFIED_SIZE},
        {FAKE_MD5, 0, STORAGE_VERIFIED_MD5},
        {FAKE_MD5, 8 * MIB, STORAGE_VERIFIED_MD5},
        {FAKE_ETAG, 8 * MIB + 1, STORAGE_VERIFIED_ETAG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_store_add(world->fake, "x", world->big, cases[i].size, cases[i].sum);
        struct storage_copy copy = world_copy(world, &world->fake->base, "x", world->local,
                                              scratch_path(world->folder, "x"));
        assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
        world_check_file(world, "x", world->big, cases[i].size);
        assert_int_equal(world->verified, cases[i].verified);
        assert_int_equal(world->crc32, storage_crc32(0, world->big, cases[i].size));
    }
}

static void another_tools_part_size_is_guessed(void **state)
{
    struct world *world = *state;
    fake_store_add(world->fake, "x", world->big, BIG, FAKE_ETAG); /* parts of 8 MiB */
    struct storage_copy copy =
        world_copy(world, &world->fake->base, "x", world->local, scratch_path(world->folder, "x"));
    copy.part_size = 6 * MIB; /* would be four parts */
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    world_check_file(world, "x", world->big, BIG);
    assert_int_equal(world->verified, STORAGE_VERIFIED_ETAG);
}

static void a_bit_flipped_once_is_read_again(void **state)
{
    struct world *world = *state;
    static const enum fake_sum sums[] = {FAKE_CRC32, FAKE_MD5};
    static const size_t sizes[] = {BIG, 1000};
    for (size_t i = 0; i < 4; i++) {
        fake_store_add(world->fake, "x", world->big, sizes[i / 2], sums[i % 2]);
        world->fake->flip_reads = 1;
        struct storage_copy copy = world_copy(world, &world->fake->base, "x", world->local,
                                              scratch_path(world->folder, "x"));
        assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
        world_check_file(world, "x", world->big, sizes[i / 2]);
        assert_int_equal(world->progress.done_bytes, sizes[i / 2]);
        assert_int_equal(world->copied, 1);
    }
}

static void a_bit_flipped_always_is_an_integrity_failure(void **state)
{
    struct world *world = *state;
    struct storage_error err;
    struct storage_summary summary;
    static const enum fake_sum sums[] = {FAKE_CRC32, FAKE_MD5};
    static const size_t sizes[] = {BIG, 1000};
    scratch_write(world->folder, "x", "old", 3);
    for (size_t i = 0; i < 4; i++) {
        fake_store_add(world->fake, "x", world->big, sizes[i / 2], sums[i % 2]);
        world->fake->flip_reads = -1;
        struct storage_copy copy = world_copy(world, &world->fake->base, "x", world->local,
                                              scratch_path(world->folder, "x"));
        assert_int_equal(storage_copy(&copy, &summary, &err), STORAGE_INTEGRITY);
        assert_int_equal(err.code, STORAGE_INTEGRITY);
        assert_int_equal(summary.failed, 1);
        assert_int_equal(summary.objects, 0);
        world_check_file(world, "x", "old", 3);
        assert_int_equal(scratch_count(world->folder), 1);
    }
}

/* The same through S3's backend and HTTP: "hello" with another letter, whose MD5 is not the ETag's.
 */
static void a_bit_flipped_on_the_wire_is_found(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    struct storage *store = NULL;
    static const char head[] = "200 OK\nETag: \"5d41402abc4b2a76b9719d911017c592\"\n\nhello";
    static const char bad[] = "200 OK\n"
                              "ETag: \"5d41402abc4b2a76b9719d911017c592\"\n\nhellO";
    static const char good[] = "200 OK\n"
                               "ETag: \"5d41402abc4b2a76b9719d911017c592\"\n\nhello";
    for (int heals = 0; heals < 2; heals++) {
        const struct script_step steps[] = {
            {.expect = "HEAD /bucket/x", .answer = head},
            {.expect = "GET /bucket/x", .answer = bad},
            {.expect = "HEAD /bucket/x", .answer = head},
            {.expect = "GET /bucket/x", .answer = heals ? good : bad}};
        struct scripted_server *server = scripted_server_start(steps, 4);
        struct storage_url url = {.kind = STORAGE_S3, .bucket = "bucket"};
        struct storage_config config = {.access.endpoint = scripted_server_endpoint(server)};
        assert_int_equal(storage_open(&store, &url, &config, &err), STORAGE_OK);
        struct storage_copy copy =
            world_copy(world, store, "x", world->local, scratch_path(world->folder, "x"));
        assert_int_equal(storage_copy(&copy, NULL, &err), heals ? STORAGE_OK : STORAGE_INTEGRITY);
        storage_close(store);
        scripted_server_finish(server);
        assert_int_equal(scratch_count(world->folder), heals);
    }
    world_check_file(world, "x", "hello", 5);
    assert_int_equal(world->verified, STORAGE_VERIFIED_MD5);
}

static void a_changing_source_is_not_taken(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    fake_store_add(world->fake, "x", world->big, BIG, FAKE_CRC32);
    world->fake->change_key = "x";
    struct storage_copy copy =
        world_copy(world, &world->fake->base, "x", world->local, scratch_path(world->folder, "x"));
    assert_int_equal(storage_copy(&copy, NULL, &err), STORAGE_CHANGED);
    assert_int_equal(scratch_count(world->folder), 0);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void one_failure_does_not_stop_the_others(void **state)
{
    struct world *world = *state;
    struct storage_summary summary;
    struct storage_error err = {0};
    char key[32];
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "d/%03d", i);
        fake_store_add(world->fake, key, world->big, (size_t)i, FAKE_CRC32);
    }
    world->fake->fail_key = "d/123";
    struct storage_copy copy =
        world_copy(world, &world->fake->base, "d", world->local, scratch_path(world->folder, "to"));
    assert_int_equal(storage_copy(&copy, &summary, &err), STORAGE_DENIED);
    assert_non_null(strstr(err.message, "d/123"));
    assert_int_equal(summary.objects, 299);
    assert_int_equal(summary.failed, 1);
    assert_int_equal(scratch_count(scratch_path(world->folder, "to")), 299);
    world_check_file(world, "to/299", world->big, 299);
    assert_false(world->overlapped);
}

static void a_failed_upload_is_aborted(void **state)
{
    struct world *world = *state;
    scratch_write(world->folder, "big", world->big, BIG);
    world->fake->fail_parts_after = 1;
    struct storage_copy copy = world_copy(world, world->local, scratch_path(world->folder, "big"),
                                          &world->fake->base, "k");
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_TRANSFER);
    assert_int_equal(world->fake->begun, 1);
    assert_int_equal(world->fake->aborted, 1);
    assert_int_equal(world->fake->completed, 0);
    assert_null(fake_store_find(world->fake, "k"));
}

static void a_stop_ends_it_with_nothing_partial(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    static const enum fake_sum sums[] = {FAKE_CRC32, FAKE_MD5};
    for (size_t i = 0; i < 6; i++) {
        fake_store_add(world->fake, "d/a", world->big, BIG, sums[i % 2]);
        fake_store_add(world->fake, "d/b", world->big, BIG, sums[i % 2]);
        fake_store_add(world->fake, "d/c", world->big, 1000, sums[i % 2]);
        atomic_store(&world->stop, false);
        world->fake->reads = 0;
        world->fake->stop_reads = (long)i;
        world->fake->stop_after = &world->stop;
        world->fake->read_delay_us = 1000;
        struct storage_copy copy = world_copy(world, &world->fake->base, "d", world->local,
                                              scratch_path(world->folder, "to"));
        assert_int_equal(storage_copy(&copy, NULL, &err), STORAGE_STOPPED);
        assert_int_equal(world->failed, 0);
        if (scratch_exists(world->folder, "to")) {
            /* what is there is whole: only what was reported */
            assert_int_equal(scratch_count(scratch_path(world->folder, "to")), world->copied);
        }
        scratch_remove(strdup(scratch_path(world->folder, "to")));
    }
    /* set before: nothing is begun */
    struct storage_copy copy =
        world_copy(world, &world->fake->base, "d", world->local, scratch_path(world->folder, "to"));
    long reads = world->fake->reads;
    assert_int_equal(storage_copy(&copy, NULL, &err), STORAGE_STOPPED);
    assert_int_equal(world->fake->reads, reads);
    assert_false(scratch_exists(world->folder, "to"));
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    const char *disk = strdup(scratch_path(world->folder, "disk"));
    mkdir(disk, 0777);
    if (geteuid() != 0 || mount("tmpfs", disk, "tmpfs", 0, "size=1m") != 0) {
        free((char *)disk);
        print_message("skipped: mounting a small tmpfs takes root\n");
        skip();
    }
    fake_store_add(world->fake, "small", world->big, 100, FAKE_CRC32);
    fake_store_add(world->fake, "mid", world->big, 3 * MIB, FAKE_CRC32);
    fake_store_add(world->fake, "big", world->big, BIG, FAKE_CRC32);
    struct storage_summary summary;
    struct storage_copy copy = world_copy(world, &world->fake->base, "", world->local, disk);
    copy.workers = 1; /* beside another, the small one may meet the disk that the others fill */
    enum storage_code code = storage_copy(&copy, &summary, &err);
    size_t left = scratch_count(disk);
    long reads = world->fake->reads;
    umount(disk);
    free((char *)disk);
    assert_int_equal(code, STORAGE_DISK);
    assert_int_equal(err.system_errno, ENOSPC);
    assert_int_equal(summary.failed, 2);
    assert_int_equal(left, 1);  /* the small one, and no temporary file */
    assert_int_equal(reads, 2); /* room for the big one was asked for before it was read */
}

/* ---- what others do meanwhile --------------------------------------------------------------- */

static void write_source_again(void *context)
{
    struct world *world = context;
    world->big[0] ^= 1;
    scratch_write(world->folder, "big", world->big, BIG);
}

static void write_source_again_and_again(void *context)
{
    struct world *world = context;
    write_source_again(world);
    world->fake->meanwhile_at = 1; /* before the next part, too */
}

static void cut_source(void *context)
{
    const struct world *world = context;
    assert_int_equal(truncate(scratch_path(world->folder, "big"), 9 * MIB), 0);
}

static void remove_source(void *context)
{
    const struct world *world = context;
    assert_int_equal(unlink(scratch_path(world->folder, "big")), 0);
}

/* Copies "big" up while that happens to it, once the first part is on its way. */
static enum storage_code copy_meanwhile(struct world *world, void (*meanwhile)(void *context),
                                        struct storage_error *err)
{
    scratch_write(world->folder, "big", world->big, BIG);
    world->fake->meanwhile = meanwhile;
    world->fake->meanwhile_context = world;
    world->fake->meanwhile_at = 1;
    struct storage_copy copy = world_copy(world, world->local, scratch_path(world->folder, "big"),
                                          &world->fake->base, "k");
    copy.workers = 1;
    return storage_copy(&copy, NULL, err);
}

/* It is begun anew, so that what is stored is all of one version, or nothing is. */
static void a_file_that_changes_while_it_is_sent_is_never_mixed(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    assert_int_equal(copy_meanwhile(world, write_source_again_and_again, &err), STORAGE_CHANGED);
    assert_non_null(strstr(err.message, "/big: it changed while it was copied"));
    assert_null(fake_store_find(world->fake, "k"));
    assert_int_equal(world->fake->completed, 0);

    assert_int_equal(copy_meanwhile(world, write_source_again, &err), STORAGE_OK);
    const struct fake_object *object = fake_store_find(world->fake, "k");
    assert_int_equal(object->size, BIG);
    assert_memory_equal(object->data, world->big, BIG); /* the new version */

    assert_int_equal(copy_meanwhile(world, cut_source, &err), STORAGE_OK);
    object = fake_store_find(world->fake, "k");
    assert_int_equal(object->size, 9 * MIB);
    assert_memory_equal(object->data, world->big, 9 * MIB);
}

static void cut_then_remove_source(void *context)
{
    struct world *world = context;
    cut_source(world);
    world->fake->meanwhile = remove_source;
    world->fake->meanwhile_at = 1; /* when the upload is given up */
}

/* What is told is why the copy failed, not why it could not be tried again. */
static void the_first_cause_is_told(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    assert_int_equal(copy_meanwhile(world, cut_then_remove_source, &err), STORAGE_CHANGED);
    assert_non_null(strstr(err.message, "/big: it changed while it was copied"));
    assert_false(scratch_exists(world->folder, "big"));
    assert_null(fake_store_find(world->fake, "k"));
}

/* One open file, or another by its name: whatever is read is all of one. */
static void a_file_that_vanishes_while_it_is_sent_is_whole_or_failed(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    enum storage_code code = copy_meanwhile(world, remove_source, &err);
    const struct fake_object *object = fake_store_find(world->fake, "k");
    if (code == STORAGE_OK) {
        assert_non_null(object);
        assert_int_equal(object->size, BIG);
        assert_memory_equal(object->data, world->big, BIG);
    } else {
        assert_null(object);
        assert_int_equal(code, STORAGE_NOT_FOUND);
    }
}

static void remove_target(void *context)
{
    const struct world *world = context;
    scratch_remove(strdup(scratch_path(world->folder, "to")));
}

/* The folder that is copied into vanishes: a failure of the disk, told by name, and no crash. */
static void a_target_folder_that_vanishes_is_told(void **state)
{
    struct world *world = *state;
    static const size_t sizes[] = {BIG, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct storage_error err = {0};
        fake_store_add(world->fake, "d/x", world->big, sizes[i], FAKE_CRC32);
        world->fake->meanwhile = remove_target;
        world->fake->meanwhile_context = world;
        world->fake->meanwhile_at = 2 - (long)i;
        mkdir(scratch_path(world->folder, "to"), 0777);
        struct storage_copy copy = world_copy(world, &world->fake->base, "d", world->local,
                                              scratch_path(world->folder, "to"));
        copy.workers = 1;
        enum storage_code code = storage_copy(&copy, NULL, &err);
        if (code == STORAGE_OK) { /* made again, as it would have been in the first place */
            world_check_file(world, "to/x", world->big, sizes[i]);
        } else {
            assert_int_equal(code, STORAGE_DISK);
            assert_non_null(strstr(err.message, "/to"));
            assert_false(scratch_exists(world->folder, "to/x"));
        }
    }
}

/* ---- sizes ---------------------------------------------------------------------------------- */

/* S3 takes 10,000 parts: of a file that has more of the usual size, parts grow. */
static void parts_grow_with_the_object(void **state)
{
    struct world *world = *state;
    static const struct {
        off_t size;
        size_t part_size;
    } cases[] = {
        {(off_t)10000 * 8 * MIB, 8 * MIB},
        {(off_t)10000 * 8 * MIB + 1, 9 * MIB},
        {(off_t)10001 * 8 * MIB, 9 * MIB},
        {(off_t)2000000 * MIB, 200 * MIB},
    };
    world->fake->refuse_uploads = true;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scratch_write(world->folder, "sparse", "x", 1);
        if (truncate(scratch_path(world->folder, "sparse"), cases[i].size) != 0) {
            print_message("skipped: the file system has no files so large\n");
            skip();
        }
        struct storage_copy copy = world_copy(
            world, world->local, scratch_path(world->folder, "sparse"), &world->fake->base, "k");
        copy.part_size = 8 * MIB;
        assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_CONFLICT);
        assert_int_equal(world->fake->part_size, cases[i].part_size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(every_sum_is_checked_and_named),
        WORLD_TEST(another_tools_part_size_is_guessed),
        WORLD_TEST(a_bit_flipped_once_is_read_again),
        WORLD_TEST(a_bit_flipped_always_is_an_integrity_failure),
        WORLD_TEST(a_bit_flipped_on_the_wire_is_found),
        WORLD_TEST(a_changing_source_is_not_taken),
        WORLD_TEST(one_failure_does_not_stop_the_others),
        WORLD_TEST(a_failed_upload_is_aborted),
        WORLD_TEST(a_stop_ends_it_with_nothing_partial),
        WORLD_TEST(a_full_disk_leaves_nothing_behind),
        WORLD_TEST(a_file_that_changes_while_it_is_sent_is_never_mixed),
        WORLD_TEST(the_first_cause_is_told),
        WORLD_TEST(a_file_that_vanishes_while_it_is_sent_is_whole_or_failed),
        WORLD_TEST(a_target_folder_that_vanishes_is_told),
        WORLD_TEST(parts_grow_with_the_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
