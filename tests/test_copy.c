/*
 * The copy engine, between folders and a store in memory that can fail on demand (fake_store.h).
 * test_copy_s3.c does the same against a real server.
 */
#include "fake_store.h"
#include "scratch.h"
#include "scripted_server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    MIB = 1024 * 1024,
    BIG = 20 * MIB + 3 /* three parts of 8 MiB */
};

struct world {
    char *folder;
    struct storage *local;
    struct fake_store *fake;
    unsigned char *big; /* BIG bytes */
    atomic_bool stop;

    /* what the hooks saw */
    atomic_int in_hook;
    bool overlapped;
    unsigned copied, failed;
    enum storage_verified verified;
    enum storage_code failure;
    uint32_t crc32;
    char failed_source[256];
    struct storage_progress progress;
};

static int make_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct storage_config config = {0};
    world->folder = scratch_make();
    world->fake = fake_store_new();
    world->big = malloc(BIG);
    scratch_fill(world->big, BIG, 7);
    assert_int_equal(local_open(&world->local, &config, NULL), STORAGE_OK);
    *state = world;
    return 0;
}

static int free_world(void **state)
{
    struct world *world = *state;
    storage_close(world->local);
    fake_store_free(world->fake);
    scratch_remove(world->folder);
    free(world->big);
    free(world);
    return 0;
}

static void on_object(void *context, const struct storage_copied *copied)
{
    struct world *world = context;
    world->overlapped = world->overlapped || atomic_fetch_add(&world->in_hook, 1) != 0;
    if (copied->error) {
        world->failed++;
        world->failure = copied->error->code;
        snprintf(world->failed_source, sizeof world->failed_source, "%s", copied->source);
    } else {
        world->copied++;
        world->verified = copied->verified;
        world->crc32 = copied->crc32;
    }
    atomic_fetch_sub(&world->in_hook, 1);
}

static void on_progress(void *context, const struct storage_progress *progress)
{
    struct world *world = context;
    world->overlapped = world->overlapped || atomic_fetch_add(&world->in_hook, 1) != 0;
    world->progress = *progress;
    atomic_fetch_sub(&world->in_hook, 1);
}

static struct storage_copy make_copy(struct world *world, struct storage *from, const char *source,
                                     struct storage *to, const char *destination)
{
    struct storage_copy copy = {.source = from,
                                .source_key = source,
                                .destination = to,
                                .destination_key = destination,
                                .recursive = true,
                                .stop = &world->stop,
                                .on_object = on_object,
                                .on_progress = on_progress,
                                .context = world};
    world->copied = 0;
    world->failed = 0;
    return copy;
}

static void check_file(const struct world *world, const char *name, const void *data, size_t size)
{
    size_t got = 0;
    void *found = scratch_read(world->folder, name, &got);
    if (!found) {
        fail_msg("%s is not there", name);
    }
    assert_int_equal(got, size);
    assert_memory_equal(found, data, size);
    free(found);
}

/* ---- folders -------------------------------------------------------------------------------- */

static void a_tree_is_copied_whole(void **state)
{
    struct world *world = *state;
    struct storage_summary summary;
    struct storage_error err = {0};
    const char *from = scratch_path(world->folder, "from");
    scratch_write(world->folder, "from/a", "1", 1);
    scratch_write(world->folder, "from/deep/er/b c", "two", 3);
    scratch_write(world->folder, "from/none", "", 0);
    scratch_write(world->folder, "from/big", world->big, BIG);
    mkdir(scratch_path(world->folder, "from/empty"), 0777);
    struct timespec times[2] = {{.tv_sec = 1, .tv_nsec = 5}, {.tv_sec = 1000, .tv_nsec = 77}};
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(world->folder, "from/big"), times, 0), 0);
    struct storage_copy copy =
        make_copy(world, world->local, from, world->local, scratch_path(world->folder, "to/x"));
    assert_int_equal(storage_copy(&copy, &summary, &err), STORAGE_OK);
    assert_int_equal(summary.objects, 4);
    assert_int_equal(summary.bytes, 1 + 3 + BIG);
    assert_int_equal(summary.failed, 0);
    check_file(world, "to/x/a", "1", 1);
    check_file(world, "to/x/deep/er/b c", "two", 3);
    check_file(world, "to/x/none", "", 0);
    check_file(world, "to/x/big", world->big, BIG);
    assert_true(scratch_exists(world->folder, "to/x/empty"));
    assert_int_equal(scratch_count(scratch_path(world->folder, "to")), 8); /* nothing temporary */
    struct stat status;
    assert_int_equal(stat(scratch_path(world->folder, "to/x/big"), &status), 0);
    assert_int_equal(status.st_mtim.tv_sec, 1000);
    assert_int_equal(status.st_mtim.tv_nsec, 77);
    assert_int_equal(world->copied, 4);
    assert_false(world->overlapped);
    assert_true(world->progress.listed);
    assert_int_equal(world->progress.done_bytes, summary.bytes);
    assert_int_equal(world->progress.total_bytes, summary.bytes);
    assert_int_equal(world->progress.done_objects, 4);
    assert_int_equal(world->progress.total_objects, 4);
}

static void single_objects_land_where_asked(void **state)
{
    struct world *world = *state;
    fake_store_add(world->fake, "d/x.txt", "hello", 5, FAKE_CRC32);
    mkdir(scratch_path(world->folder, "there"), 0777);
    static const struct {
        const char *destination, *lands;
    } cases[] = {
        {"name", "name"},
        {"new/name", "new/name"},
        {"slash/", "slash/x.txt"},
        {"there", "there/x.txt"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_copy copy = make_copy(world, &world->fake->base, "d/x.txt", world->local,
                                             scratch_path(world->folder, cases[i].destination));
        copy.recursive = i % 2;
        assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
        check_file(world, cases[i].lands, "hello", 5);
    }
    /* into a bucket's root, and under another name */
    const char *file = scratch_path(world->folder, "name");
    struct storage_copy up = make_copy(world, world->local, file, &world->fake->base, "");
    assert_int_equal(storage_copy(&up, NULL, NULL), STORAGE_OK);
    assert_non_null(fake_store_find(world->fake, "name"));
    up.destination_key = "other";
    assert_int_equal(storage_copy(&up, NULL, NULL), STORAGE_OK);
    assert_non_null(fake_store_find(world->fake, "other"));
}

static void folders_need_recursive(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    const char *to = scratch_path(world->folder, "to");
    scratch_write(world->folder, "from/a", "1", 1);
    fake_store_add(world->fake, "d/x", "hello", 5, FAKE_CRC32);
    const struct {
        struct storage *store;
        const char *key;
    } sources[] = {
        {world->local, scratch_path(world->folder, "from")},
        {&world->fake->base, "d"},
        {&world->fake->base, "d/"},
        {&world->fake->base, ""},
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct storage_copy copy =
            make_copy(world, sources[i].store, sources[i].key, world->local, to);
        copy.recursive = false;
        assert_int_equal(storage_copy(&copy, NULL, &err), STORAGE_USAGE);
        assert_non_null(strstr(err.hint, "-r"));
        assert_false(scratch_exists(world->folder, "to"));
    }
}

static void what_is_missing_or_empty_is_not_found(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    const char *to = scratch_path(world->folder, "to");
    mkdir(scratch_path(world->folder, "empty"), 0777);
    const struct {
        struct storage *store;
        const char *key;
    } sources[] = {
        {world->local, scratch_path(world->folder, "empty")},
        {world->local, scratch_path(world->folder, "none")},
        {&world->fake->base, "d"},
        {&world->fake->base, "d/"},
        {&world->fake->base, ""},
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct storage_copy copy =
            make_copy(world, sources[i].store, sources[i].key, world->local, to);
        assert_int_equal(storage_copy(&copy, NULL, &err), STORAGE_NOT_FOUND);
        assert_int_equal(err.code, STORAGE_NOT_FOUND);
        assert_true(strlen(err.message) > 0);
    }
}

static void overlaps_are_refused(void **state)
{
    struct world *world = *state;
    const char *base = world->folder;
    scratch_write(base, "d/e/x", "1", 1);
    fake_store_add(world->fake, "d/e/x", "hello", 5, FAKE_CRC32);
    assert_int_equal(symlink("d", scratch_path(base, "link")), 0);
    static const struct {
        const char *from, *to;
    } cases[] = {{"d", "d"},         {"d", "d/e"},      {"d/e", "d"},      {"d", "link/new"},
                 {"d/e/x", "d/e/x"}, {"d/e/x", "d/e/"}, {"d", "d/new/sub"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_copy copy = make_copy(world, world->local, scratch_path(base, cases[i].from),
                                             world->local, scratch_path(base, cases[i].to));
        assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_USAGE);
        if (strncmp(cases[i].to, "link", 4) != 0) {
            struct storage_copy within = make_copy(world, &world->fake->base, cases[i].from,
                                                   &world->fake->base, cases[i].to);
            assert_int_equal(storage_copy(&within, NULL, NULL), STORAGE_USAGE);
        }
    }
    /* neighbours with a common beginning do not overlap */
    struct storage_copy copy = make_copy(world, &world->fake->base, "d", &world->fake->base, "d2");
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_non_null(fake_store_find(world->fake, "d2/e/x"));
    /* nor do equal names in two stores */
    struct fake_store *other = fake_store_new();
    copy = make_copy(world, &world->fake->base, "d", &other->base, "d");
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_int_equal(other->count, 1);
    fake_store_free(other);
}

static void the_private_folder_is_left_out_unless_asked_for(void **state)
{
    struct world *world = *state;
    const char *to = scratch_path(world->folder, "to");
    fake_store_add(world->fake, "j/.jobferry/lock.json", "{}", 2, FAKE_CRC32);
    fake_store_add(world->fake, "j/sub/.jobferry/x", "{}", 2, FAKE_CRC32);
    struct storage_copy copy = make_copy(world, &world->fake->base, "j", world->local, to);
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_false(scratch_exists(world->folder, "to/.jobferry"));
    check_file(world, "to/sub/.jobferry/x", "{}", 2);
    copy.include_private = true;
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    check_file(world, "to/.jobferry/lock.json", "{}", 2);
}

/* ---- names ---------------------------------------------------------------------------------- */

static void hostile_names_are_refused_and_the_others_copied(void **state)
{
    struct world *world = *state;
    struct storage_summary summary;
    struct storage_error err = {0};
    static const char *const hostile[] = {"d/../x",  "d//abs",    "d/a//b", "d/a/./b",
                                          "d/a/../", "d/bad\x01", "d/..",   "d/./x"};
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        fake_store_add(world->fake, hostile[i], "evil", 4, FAKE_CRC32);
    }
    fake_store_add(world->fake, "d/good", "good", 4, FAKE_CRC32);
    fake_store_add(world->fake, "d/z/..good", "good", 4, FAKE_CRC32);
    struct storage_copy copy = make_copy(world, &world->fake->base, "d", world->local,
                                         scratch_path(world->folder, "one/two"));
    assert_int_equal(storage_copy(&copy, &summary, &err), STORAGE_HOSTILE);
    assert_int_equal(err.code, STORAGE_HOSTILE);
    assert_int_equal(summary.failed, sizeof hostile / sizeof *hostile);
    assert_int_equal(world->failed, sizeof hostile / sizeof *hostile);
    assert_int_equal(summary.objects, 2);
    check_file(world, "one/two/good", "good", 4);
    check_file(world, "one/two/z/..good", "good", 4);
    assert_int_equal(scratch_count(world->folder), 5);
}

static void folder_markers_become_folders(void **state)
{
    struct world *world = *state;
    struct storage_summary summary;
    struct fake_store *other = fake_store_new();
    fake_store_add(world->fake, "d/", "", 0, FAKE_CRC32);
    fake_store_add(world->fake, "d/empty/", "", 0, FAKE_CRC32);
    fake_store_add(world->fake, "d/odd/", "bytes", 5, FAKE_CRC32);
    fake_store_add(world->fake, "d/x", "x", 1, FAKE_CRC32);
    struct storage_copy copy =
        make_copy(world, &world->fake->base, "d/", world->local, scratch_path(world->folder, "to"));
    assert_int_equal(storage_copy(&copy, &summary, NULL), STORAGE_CONFLICT);
    assert_int_equal(summary.objects, 1);
    assert_int_equal(summary.failed, 1);
    assert_string_equal(world->failed_source, "d/odd/");
    struct stat status;
    assert_int_equal(stat(scratch_path(world->folder, "to/empty"), &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(scratch_count(scratch_path(world->folder, "to")), 2);
    /* another store keeps what has bytes */
    copy = make_copy(world, &world->fake->base, "d/", &other->base, "to");
    assert_int_equal(storage_copy(&copy, &summary, NULL), STORAGE_OK);
    assert_int_equal(other->count, 2);
    assert_non_null(fake_store_find(other, "to/odd/"));
    fake_store_free(other);
}

static void a_name_that_is_file_and_folder_fails_alone(void **state)
{
    struct world *world = *state;
    struct storage_summary summary;
    fake_store_add(world->fake, "d/a", "file", 4, FAKE_CRC32);
    fake_store_add(world->fake, "d/a/b", "below", 5, FAKE_CRC32);
    fake_store_add(world->fake, "d/c", "other", 5, FAKE_CRC32);
    struct storage_copy copy =
        make_copy(world, &world->fake->base, "d", world->local, scratch_path(world->folder, "to"));
    assert_int_equal(storage_copy(&copy, &summary, NULL), STORAGE_CONFLICT);
    assert_int_equal(summary.failed, 1);
    assert_int_equal(summary.objects, 2);
    check_file(world, "to/c", "other", 5);
}

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
        struct storage_copy copy = make_copy(world, &world->fake->base, "x", world->local,
                                             scratch_path(world->folder, "x"));
        assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
        check_file(world, "x", world->big, cases[i].size);
        assert_int_equal(world->verified, cases[i].verified);
        assert_int_equal(world->crc32, storage_crc32(0, world->big, cases[i].size));
    }
}

static void another_tools_part_size_is_guessed(void **state)
{
    struct world *world = *state;
    fake_store_add(world->fake, "x", world->big, BIG, FAKE_ETAG); /* parts of 8 MiB */
    struct storage_copy copy =
        make_copy(world, &world->fake->base, "x", world->local, scratch_path(world->folder, "x"));
    copy.part_size = 6 * MIB; /* would be four parts */
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    check_file(world, "x", world->big, BIG);
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
        struct storage_copy copy = make_copy(world, &world->fake->base, "x", world->local,
                                             scratch_path(world->folder, "x"));
        assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
        check_file(world, "x", world->big, sizes[i / 2]);
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
        struct storage_copy copy = make_copy(world, &world->fake->base, "x", world->local,
                                             scratch_path(world->folder, "x"));
        assert_int_equal(storage_copy(&copy, &summary, &err), STORAGE_INTEGRITY);
        assert_int_equal(err.code, STORAGE_INTEGRITY);
        assert_int_equal(summary.failed, 1);
        assert_int_equal(summary.objects, 0);
        check_file(world, "x", "old", 3);
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
    static const char bad[] = "206 Partial Content\nContent-Range: bytes 0-4/5\n"
                              "ETag: \"5d41402abc4b2a76b9719d911017c592\"\n\nhellO";
    static const char good[] = "206 Partial Content\nContent-Range: bytes 0-4/5\n"
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
            make_copy(world, store, "x", world->local, scratch_path(world->folder, "x"));
        assert_int_equal(storage_copy(&copy, NULL, &err), heals ? STORAGE_OK : STORAGE_INTEGRITY);
        storage_close(store);
        scripted_server_finish(server);
        assert_int_equal(scratch_count(world->folder), heals);
    }
    check_file(world, "x", "hello", 5);
    assert_int_equal(world->verified, STORAGE_VERIFIED_MD5);
}

static void a_changing_source_is_not_taken(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    fake_store_add(world->fake, "x", world->big, BIG, FAKE_CRC32);
    world->fake->change_key = "x";
    struct storage_copy copy =
        make_copy(world, &world->fake->base, "x", world->local, scratch_path(world->folder, "x"));
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
        make_copy(world, &world->fake->base, "d", world->local, scratch_path(world->folder, "to"));
    assert_int_equal(storage_copy(&copy, &summary, &err), STORAGE_DENIED);
    assert_non_null(strstr(err.message, "d/123"));
    assert_int_equal(summary.objects, 299);
    assert_int_equal(summary.failed, 1);
    assert_int_equal(scratch_count(scratch_path(world->folder, "to")), 299);
    check_file(world, "to/299", world->big, 299);
    assert_false(world->overlapped);
}

static void a_failed_upload_is_aborted(void **state)
{
    struct world *world = *state;
    scratch_write(world->folder, "big", world->big, BIG);
    world->fake->fail_parts_after = 1;
    struct storage_copy copy =
        make_copy(world, world->local, scratch_path(world->folder, "big"), &world->fake->base, "k");
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
        struct storage_copy copy = make_copy(world, &world->fake->base, "d", world->local,
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
        make_copy(world, &world->fake->base, "d", world->local, scratch_path(world->folder, "to"));
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
    struct storage_copy copy = make_copy(world, &world->fake->base, "", world->local, disk);
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

/* ---- limits --------------------------------------------------------------------------------- */

static void memory_stays_below_its_ceiling(void **state)
{
    struct world *world = *state;
    char key[32];
    for (int i = 0; i < 8; i++) {
        snprintf(key, sizeof key, "d/big%d", i);
        fake_store_add(world->fake, key, world->big, 10 * MIB, i % 2 ? FAKE_CRC32 : FAKE_MD5);
        snprintf(key, sizeof key, "d/mid%d", i);
        fake_store_add(world->fake, key, world->big, 1 * MIB, FAKE_CRC32);
    }
    world->fake->read_delay_us = 2000;
    struct storage_copy copy =
        make_copy(world, &world->fake->base, "d", world->local, scratch_path(world->folder, "to"));
    copy.part_size = 2 * MIB;
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_true(world->fake->reading_peak > 5 * MIB); /* the test can fail */
    world->fake->reading_peak = 0;
    copy.memory_max = 5 * MIB;
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_true(world->fake->reading_peak <= 5 * MIB);
    world->fake->reading_peak = 0;
    copy.memory_max = 1 * MIB; /* below one part: parts shrink */
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_true(world->fake->reading_peak <= 1 * MIB);
    check_file(world, "to/big7", world->big, 10 * MIB);
    /* to a store parts cannot shrink below its least */
    copy.source = world->local;
    copy.source_key = scratch_path(world->folder, "to");
    copy.destination = &world->fake->base;
    copy.destination_key = "up";
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_USAGE);
}

static void one_worker_is_enough_for_everything(void **state)
{
    struct world *world = *state;
    char key[32];
    for (int i = 0; i < 6; i++) {
        snprintf(key, sizeof key, "d/%d", i);
        fake_store_add(world->fake, key, world->big, i % 2 ? 10 : 5 * MIB, FAKE_MD5);
    }
    struct storage_copy copy =
        make_copy(world, &world->fake->base, "d", world->local, scratch_path(world->folder, "to"));
    copy.part_size = 1 * MIB;
    copy.workers = 1;
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_int_equal(world->copied, 6);
    check_file(world, "to/4", world->big, 5 * MIB);
}

static void uploads_carry_sums_and_times(void **state)
{
    struct world *world = *state;
    scratch_write(world->folder, "from/big", world->big, BIG);
    scratch_write(world->folder, "from/small", world->big, 10);
    scratch_write(world->folder, "from/none", "", 0);
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1000, .tv_nsec = 77}};
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(world->folder, "from/big"), times, 0), 0);
    struct storage_copy copy = make_copy(world, world->local, scratch_path(world->folder, "from"),
                                         &world->fake->base, "up");
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    const struct fake_object *object = fake_store_find(world->fake, "up/big");
    assert_non_null(object);
    assert_int_equal(object->size, BIG);
    assert_memory_equal(object->data, world->big, BIG);
    assert_int_equal(object->mtime_ns, 1000000000077);
    assert_int_equal(fake_store_find(world->fake, "up/none")->size, 0);
    assert_int_equal(world->verified, STORAGE_VERIFIED_CRC32);
    assert_int_equal(world->fake->begun, 3);
    assert_int_equal(world->fake->aborted, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)
    const struct CMUnitTest tests[] = {
        TEST(a_tree_is_copied_whole),
        TEST(single_objects_land_where_asked),
        TEST(folders_need_recursive),
        TEST(what_is_missing_or_empty_is_not_found),
        TEST(overlaps_are_refused),
        TEST(the_private_folder_is_left_out_unless_asked_for),
        TEST(hostile_names_are_refused_and_the_others_copied),
        TEST(folder_markers_become_folders),
        TEST(a_name_that_is_file_and_folder_fails_alone),
        TEST(every_sum_is_checked_and_named),
        TEST(another_tools_part_size_is_guessed),
        TEST(a_bit_flipped_once_is_read_again),
        TEST(a_bit_flipped_always_is_an_integrity_failure),
        TEST(a_bit_flipped_on_the_wire_is_found),
        TEST(a_changing_source_is_not_taken),
        TEST(one_failure_does_not_stop_the_others),
        TEST(a_failed_upload_is_aborted),
        TEST(a_stop_ends_it_with_nothing_partial),
        TEST(a_full_disk_leaves_nothing_behind),
        TEST(memory_stays_below_its_ceiling),
        TEST(one_worker_is_enough_for_everything),
        TEST(uploads_carry_sums_and_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
