/*
 * The copy engine, between folders and a store in memory: what lands where, what is refused, names,
 * and its ceilings. test_copy_faults.c has what goes wrong, test_copy_s3.c a real server.
 */
#include "copy_world.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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
        world_copy(world, world->local, from, world->local, scratch_path(world->folder, "to/x"));
    assert_int_equal(storage_copy(&copy, &summary, &err), STORAGE_OK);
    assert_int_equal(summary.objects, 4);
    assert_int_equal(summary.bytes, 1 + 3 + BIG);
    assert_int_equal(summary.failed, 0);
    world_check_file(world, "to/x/a", "1", 1);
    world_check_file(world, "to/x/deep/er/b c", "two", 3);
    world_check_file(world, "to/x/none", "", 0);
    world_check_file(world, "to/x/big", world->big, BIG);
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

/* What other copies have beside their targets is no one's data; what only looks like it is. */
static void drafts_of_copies_are_left_out(void **state)
{
    static const char *const drafts[] = {"from/.big.abc012.part", "from/d/.a.b.zzzzzz.part",
                                         "from/.big.0123abcd.journal"};
    static const char *const files[] = {"from/.big.part", "from/big.abc012.part",
                                        "from/.big.ABC012.part", "from/.x.journal",
                                        "from/d/0123abcd.journal"};
    struct world *world = *state;
    struct storage_summary summary;
    for (size_t i = 0; i < sizeof drafts / sizeof *drafts; i++) {
        scratch_write(world->folder, drafts[i], "x", 1);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        scratch_write(world->folder, files[i], "x", 1);
    }
    struct storage_copy copy = world_copy(world, world->local, scratch_path(world->folder, "from"),
                                          &world->fake->base, "from");
    assert_int_equal(storage_copy(&copy, &summary, NULL), STORAGE_OK);
    assert_int_equal(summary.objects, sizeof files / sizeof *files);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        assert_non_null(fake_store_find(world->fake, files[i]));
    }
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
        struct storage_copy copy = world_copy(world, &world->fake->base, "d/x.txt", world->local,
                                              scratch_path(world->folder, cases[i].destination));
        copy.recursive = i % 2;
        assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
        world_check_file(world, cases[i].lands, "hello", 5);
    }
    /* into a bucket's root, and under another name */
    const char *file = scratch_path(world->folder, "name");
    struct storage_copy up = world_copy(world, world->local, file, &world->fake->base, "");
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
            world_copy(world, sources[i].store, sources[i].key, world->local, to);
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
            world_copy(world, sources[i].store, sources[i].key, world->local, to);
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
        struct storage_copy copy =
            world_copy(world, world->local, scratch_path(base, cases[i].from), world->local,
                       scratch_path(base, cases[i].to));
        assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_USAGE);
        if (strncmp(cases[i].to, "link", 4) != 0) {
            struct storage_copy within = world_copy(world, &world->fake->base, cases[i].from,
                                                    &world->fake->base, cases[i].to);
            assert_int_equal(storage_copy(&within, NULL, NULL), STORAGE_USAGE);
        }
    }
    /* neighbours with a common beginning do not overlap */
    struct storage_copy copy = world_copy(world, &world->fake->base, "d", &world->fake->base, "d2");
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_non_null(fake_store_find(world->fake, "d2/e/x"));
    /* nor do equal names in two stores */
    struct fake_store *other = fake_store_new();
    copy = world_copy(world, &world->fake->base, "d", &other->base, "d");
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
    struct storage_copy copy = world_copy(world, &world->fake->base, "j", world->local, to);
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_false(scratch_exists(world->folder, "to/.jobferry"));
    world_check_file(world, "to/sub/.jobferry/x", "{}", 2);
    copy.include_private = true;
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    world_check_file(world, "to/.jobferry/lock.json", "{}", 2);
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
    struct storage_copy copy = world_copy(world, &world->fake->base, "d", world->local,
                                          scratch_path(world->folder, "one/two"));
    assert_int_equal(storage_copy(&copy, &summary, &err), STORAGE_HOSTILE);
    assert_int_equal(err.code, STORAGE_HOSTILE);
    assert_int_equal(summary.failed, sizeof hostile / sizeof *hostile);
    assert_int_equal(world->failed, sizeof hostile / sizeof *hostile);
    assert_int_equal(summary.objects, 2);
    world_check_file(world, "one/two/good", "good", 4);
    world_check_file(world, "one/two/z/..good", "good", 4);
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
    struct storage_copy copy = world_copy(world, &world->fake->base, "d/", world->local,
                                          scratch_path(world->folder, "to"));
    assert_int_equal(storage_copy(&copy, &summary, NULL), STORAGE_CONFLICT);
    assert_int_equal(summary.objects, 1);
    assert_int_equal(summary.failed, 1);
    assert_string_equal(world->failed_source, "d/odd/");
    struct stat status;
    assert_int_equal(stat(scratch_path(world->folder, "to/empty"), &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(scratch_count(scratch_path(world->folder, "to")), 2);
    /* another store keeps what has bytes */
    copy = world_copy(world, &world->fake->base, "d/", &other->base, "to");
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
        world_copy(world, &world->fake->base, "d", world->local, scratch_path(world->folder, "to"));
    assert_int_equal(storage_copy(&copy, &summary, NULL), STORAGE_CONFLICT);
    assert_int_equal(summary.failed, 1);
    assert_int_equal(summary.objects, 2);
    world_check_file(world, "to/c", "other", 5);
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
        world_copy(world, &world->fake->base, "d", world->local, scratch_path(world->folder, "to"));
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
    world_check_file(world, "to/big7", world->big, 10 * MIB);
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
        world_copy(world, &world->fake->base, "d", world->local, scratch_path(world->folder, "to"));
    copy.part_size = 1 * MIB;
    copy.workers = 1;
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_int_equal(world->copied, 6);
    world_check_file(world, "to/4", world->big, 5 * MIB);
}

/* ---- what is begun when ---------------------------------------------------------------------- */

/* One worker is kept at its first object until all others are queued. */
struct order {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_held, is_queued;
    unsigned given;
    char name[16];
    char seen[64];
};

static void hold(void *context)
{
    struct order *order = context;
    pthread_mutex_lock(&order->lock);
    order->is_held = true;
    pthread_cond_broadcast(&order->changed);
    while (!order->is_queued) {
        pthread_cond_wait(&order->changed, &order->lock);
    }
    pthread_mutex_unlock(&order->lock);
}

static enum storage_code name_next(void *context, struct storage_item *item,
                                   struct storage_error *err)
{
    static const size_t sizes[] = {1, 10, 3000, 0, 70000, 11, 2 * MIB, 5 * MIB, 12};
    static struct storage_info info;
    struct order *order = context;
    (void)err;
    pthread_mutex_lock(&order->lock);
    while (order->given == 1 && !order->is_held) {
        pthread_cond_wait(&order->changed, &order->lock);
    }
    if (order->given == sizeof sizes / sizeof *sizes) {
        order->is_queued = true;
        pthread_cond_broadcast(&order->changed);
    } else {
        info = (struct storage_info){.size = sizes[order->given]};
        snprintf(order->name, sizeof order->name, "%u", order->given++);
        *item =
            (struct storage_item){.source = order->name, .destination = order->name, .info = &info};
    }
    pthread_mutex_unlock(&order->lock);
    return STORAGE_OK;
}

static void note_order(void *context, const struct storage_copied *copied)
{
    struct order *order = context;
    strncat(order->seen, copied->source, sizeof order->seen - strlen(order->seen) - 1);
}

static void the_biggest_are_begun_first(void **state)
{
    static const size_t sizes[] = {1, 10, 3000, 0, 70000, 11, 2 * MIB, 5 * MIB, 12};
    struct world *world = *state;
    struct fake_store *to = fake_store_new();
    struct order order = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", i);
        fake_store_add(world->fake, key, world->big, sizes[i], FAKE_MD5);
    }
    world->fake->meanwhile = hold;
    world->fake->meanwhile_context = &order;
    world->fake->meanwhile_at = 1;
    const struct storage_copy copy = {.source = &world->fake->base,
                                      .destination = &to->base,
                                      .next = name_next,
                                      .workers = 1,
                                      .on_object = note_order,
                                      .context = &order};
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_string_equal(order.seen, "076421583"); /* of a class (8 to 15 bytes) as they came */
    fake_store_free(to);
}

/* Each reading takes a while, so twice as many at once get twice as much done. */
static void workers_are_few_first_and_more_when_that_pays(void **state)
{
    struct world *world = *state;
    struct storage_copy copy;
    for (unsigned i = 0; i < 300; i++) {
        char key[32];
        snprintf(key, sizeof key, "d/%03u", i);
        fake_store_add(world->fake, key, "x", 1, FAKE_MD5);
    }
    struct fake_store *to = fake_store_new();
    world->fake->read_delay_us = 20000;
    copy = world_copy(world, &world->fake->base, "d", &to->base, "d");
    copy.workers = 64;
    bool has_grown = false;
    for (unsigned round = 0; round < 20 && !has_grown; round++) { /* a busy machine may hide it */
        assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
        has_grown = world->fake->reading_peak > 8;
    }
    assert_true(has_grown);
    assert_true(world->fake->reading_peak <= 64);

    world->fake->reading_peak = 0;
    world->fake->read_delay_us = 1000;
    fake_store_drop(world->fake, "d/000");
    copy.workers = 4;
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_true(world->fake->reading_peak <= 4); /* what is allowed is a ceiling */

    for (unsigned i = 20; i < 300; i++) { /* twenty are over before a width of 8 was tried out */
        char key[32];
        snprintf(key, sizeof key, "d/%03u", i);
        fake_store_drop(world->fake, key);
    }
    world->fake->reading_peak = 0;
    copy.workers = 64;
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_true(world->fake->reading_peak <= 16);
    fake_store_free(to);
}

/* ---- what is told of what goes up ------------------------------------------------------------ */

static void uploads_carry_sums_and_times(void **state)
{
    struct world *world = *state;
    scratch_write(world->folder, "from/big", world->big, BIG);
    scratch_write(world->folder, "from/small", world->big, 10);
    scratch_write(world->folder, "from/none", "", 0);
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1000, .tv_nsec = 77}};
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(world->folder, "from/big"), times, 0), 0);
    struct storage_copy copy = world_copy(world, world->local, scratch_path(world->folder, "from"),
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
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_tree_is_copied_whole),
        WORLD_TEST(drafts_of_copies_are_left_out),
        WORLD_TEST(single_objects_land_where_asked),
        WORLD_TEST(folders_need_recursive),
        WORLD_TEST(what_is_missing_or_empty_is_not_found),
        WORLD_TEST(overlaps_are_refused),
        WORLD_TEST(the_private_folder_is_left_out_unless_asked_for),
        WORLD_TEST(hostile_names_are_refused_and_the_others_copied),
        WORLD_TEST(folder_markers_become_folders),
        WORLD_TEST(a_name_that_is_file_and_folder_fails_alone),
        WORLD_TEST(memory_stays_below_its_ceiling),
        WORLD_TEST(one_worker_is_enough_for_everything),
        WORLD_TEST(the_biggest_are_begun_first),
        WORLD_TEST(workers_are_few_first_and_more_when_that_pays),
        WORLD_TEST(uploads_carry_sums_and_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
