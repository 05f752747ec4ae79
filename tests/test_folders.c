/*
 * Folders held open: what is written stays in the folder that it was meant for, whatever has got
 * its name meanwhile; first by themselves, then under copies and syncs.
 */
#include "copy_world.h"
#include "storage/local/files.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *at(const struct world *world, const char *name)
{
    return scratch_path(world->folder, name);
}

static void make(const struct world *world, const char *name)
{
    assert_int_equal(mkdir(at(world, name), 0777), 0);
}

static void move(const struct world *world, const char *from, const char *to)
{
    assert_int_equal(rename(at(world, from), at(world, to)), 0);
}

static void point(const struct world *world, const char *name, const char *target)
{
    assert_int_equal(symlink(at(world, target), at(world, name)), 0);
}

static enum storage_code write_one(struct folders *folders, const char *path,
                                   struct storage_error *err)
{
    struct files_draft draft;
    enum storage_code code = files_draft_open(&draft, folders, path, 0, err);
    if (code == STORAGE_OK) {
        code = files_draft_write(&draft, "x", 1, 0, err);
        enum storage_code published = files_draft_publish(&draft, 0, err);
        code = code == STORAGE_OK ? published : code;
    }
    return code;
}

static struct folders *open_root(const struct world *world)
{
    struct folders *folders = folders_new(at(world, "to"));
    assert_non_null(folders);
    return folders;
}

static void a_folder_is_looked_up_once(void **state)
{
    const struct world *world = *state;
    struct folders *folders = open_root(world); /* not there yet */
    assert_int_equal(write_one(folders, at(world, "to/a/b/1"), NULL), STORAGE_OK);
    move(world, "to/a/b", "to/a/was");
    make(world, "to/a/b");
    assert_int_equal(write_one(folders, at(world, "to/a/b/2"), NULL), STORAGE_OK);
    assert_true(scratch_exists(world->folder, "to/a/was/2"));
    assert_int_equal(scratch_count(at(world, "to/a/b")), 0);

    make(world, "elsewhere");
    move(world, "to/a", "was a");
    point(world, "to/a", "elsewhere");
    assert_int_equal(write_one(folders, at(world, "to/a/3"), NULL), STORAGE_OK);
    assert_int_equal(write_one(folders, at(world, "to/a/c/4"), NULL), STORAGE_OK);
    assert_true(scratch_exists(world->folder, "was a/3"));
    assert_true(scratch_exists(world->folder, "was a/c/4"));
    assert_int_equal(scratch_count(at(world, "elsewhere")), 0);

    struct storage_error err = {0};
    assert_int_equal(folders_check(folders, &err), STORAGE_OK);
    move(world, "to", "moved");
    assert_int_equal(folders_check(folders, &err), STORAGE_DISK);
    make(world, "to");
    assert_int_equal(folders_check(folders, &err), STORAGE_DISK);
    assert_non_null(strstr(err.message, "/to: the folder was renamed"));
    assert_int_equal(write_one(folders, at(world, "to/5"), NULL), STORAGE_OK);
    assert_int_equal(write_one(folders, at(world, "to/d/6"), NULL), STORAGE_OK);
    assert_true(scratch_exists(world->folder, "moved/5"));
    assert_true(scratch_exists(world->folder, "moved/d/6"));
    assert_int_equal(scratch_count(at(world, "to")), 0);
    folders_free(folders);
}

static void a_removed_folder_refuses(void **state)
{
    const struct world *world = *state;
    struct storage_error err = {0};
    struct folders *folders = open_root(world);
    assert_int_equal(write_one(folders, at(world, "to/a/1"), NULL), STORAGE_OK);
    scratch_remove(strdup(at(world, "to/a")));
    assert_int_equal(write_one(folders, at(world, "to/a/2"), &err), STORAGE_DISK);
    assert_non_null(strstr(err.message, "/to/a/2"));
    assert_string_equal(err.hint, "its folder was removed meanwhile");
    assert_false(scratch_exists(world->folder, "to/a"));
    /* what we remove ourselves may be made again */
    assert_int_equal(folders_make(folders, at(world, "to/b"), NULL), STORAGE_OK);
    assert_int_equal(folders_remove(folders, at(world, "to/b/"), NULL), STORAGE_OK);
    assert_int_equal(folders_remove(folders, at(world, "to/b/"), NULL), STORAGE_OK);
    assert_int_equal(write_one(folders, at(world, "to/b/3"), NULL), STORAGE_OK);
    assert_true(scratch_exists(world->folder, "to/b/3"));
    assert_int_equal(folders_remove(folders, at(world, "to/b/"), &err), STORAGE_CONFLICT);
    assert_int_equal(folders_remove(folders, at(world, "to/none/x"), &err), STORAGE_OK);
    folders_free(folders);
}

/* Writing follows a link to a folder that is there; removing never goes through one. */
static void links_lead_in_but_nothing_out(void **state)
{
    const struct world *world = *state;
    struct storage_error err = {0};
    scratch_write(world->folder, "elsewhere/deep/1", "x", 1);
    make(world, "to");
    point(world, "to/link", "elsewhere");
    struct folders *folders = open_root(world);
    for (int round = 0; round < 2; round++) { /* the second time it is held */
        assert_int_equal(folders_remove(folders, at(world, "to/link/deep/1"), &err),
                         STORAGE_CONFLICT);
        assert_true(scratch_exists(world->folder, "elsewhere/deep/1"));
        assert_int_equal(write_one(folders, at(world, "to/link/deep/2"), NULL), STORAGE_OK);
        assert_true(scratch_exists(world->folder, "elsewhere/deep/2"));
    }
    assert_int_equal(folders_remove(folders, at(world, "to/link"), &err), STORAGE_OK);
    assert_true(scratch_exists(world->folder, "elsewhere/deep/1"));
    scratch_write(world->folder, "to/file", "x", 1);
    assert_int_equal(write_one(folders, at(world, "to/file/x"), &err), STORAGE_CONFLICT);
    folders_free(folders);
}

/* Many folders, few descriptors; the root stays among them. */
static void few_are_held(void **state)
{
    enum {
        FOLDERS = 60,
        LIMIT = 160 /* of which one in eight is for folders */
    };
    const struct world *world = *state;
    struct rlimit before;
    char name[32];
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit low = {LIMIT, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    size_t descriptors = world_count_descriptors();
    struct folders *folders = open_root(world);
    for (int i = 0; i < FOLDERS; i++) {
        snprintf(name, sizeof name, "to/%d/x", i % (FOLDERS - 7));
        assert_int_equal(write_one(folders, at(world, name), NULL), STORAGE_OK);
    }
    assert_in_range(world_count_descriptors(), descriptors + 2, descriptors + LIMIT / 8 + 1);
    move(world, "to", "moved");
    assert_int_equal(write_one(folders, at(world, "to/0/y"), NULL), STORAGE_OK);
    assert_true(scratch_exists(world->folder, "moved/0/y"));
    folders_free(folders);
    assert_int_equal(world_count_descriptors(), descriptors);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void paths_of_any_form_are_below(void **state)
{
    const struct world *world = *state;
    char old[STORAGE_PATH_MAX];
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(world->folder), 0);
    static const char *const roots[] = {"", ".", "to", "to/", "./to", "to//", NULL};
    static const char *const paths[] = {"1", "to/2", "to//a///3", "./4", "./to/a/5", "tother/6"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        struct folders *folders = folders_new(roots[i]);
        for (size_t k = 0; k < sizeof paths / sizeof *paths; k++) {
            assert_int_equal(write_one(folders, paths[k], NULL), STORAGE_OK);
            assert_true(scratch_exists(world->folder, paths[k]));
            assert_int_equal(folders_remove(folders, paths[k], NULL), STORAGE_OK);
            assert_false(scratch_exists(world->folder, paths[k]));
        }
        assert_int_equal(folders_check(folders, NULL), STORAGE_OK);
        folders_free(folders);
    }
    struct folders *folders = folders_new("/");
    assert_int_equal(write_one(folders, at(world, "7"), NULL), STORAGE_OK);
    assert_true(scratch_exists(world->folder, "7"));
    folders_free(folders);
    assert_int_equal(chdir(old), 0);
}

struct crowd {
    const struct world *world;
    struct folders *folders;
    int number;
};

static void *write_some(void *context)
{
    const struct crowd *crowd = context;
    for (int i = 0; i < 20; i++) {
        char path[STORAGE_PATH_MAX];
        snprintf(path, sizeof path, "%s/to/%d/%d/%d", crowd->world->folder, i % 2, i % 20,
                 crowd->number * 100 + i);
        if (write_one(crowd->folders, path, NULL) != STORAGE_OK) {
            return context;
        }
    }
    return NULL;
}

static void threads_share_them(void **state)
{
    enum {
        THREADS = 8
    };
    const struct world *world = *state;
    struct folders *folders = open_root(world);
    pthread_t threads[THREADS];
    struct crowd crowd[THREADS];
    for (int i = 0; i < THREADS; i++) {
        crowd[i] = (struct crowd){world, folders, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_some, &crowd[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    folders_free(folders);
    /* files, and the folders: 2, and of 20 each is below one of them */
    assert_int_equal(scratch_count(at(world, "to")), THREADS * 20 + 2 + 20);
}

/* ---- copies --------------------------------------------------------------------------------- */

static void fill_store(struct world *world, void (*meanwhile)(void *context))
{
    fake_store_add(world->fake, "d/s/big", world->big, BIG, FAKE_CRC32);
    fake_store_add(world->fake, "d/s/mid", world->big, 3000, FAKE_CRC32);
    fake_store_add(world->fake, "d/s/small", world->big, 1000, FAKE_CRC32);
    fake_store_add(world->fake, "d/t/new", world->big, 500, FAKE_CRC32);
    world->fake->meanwhile = meanwhile;
    world->fake->meanwhile_context = world;
    world->fake->meanwhile_at = 2; /* the second reading: the big one is under way */
}

static struct storage_copy into_folder(struct world *world)
{
    struct storage_copy copy =
        world_copy(world, &world->fake->base, "d", world->local, at(world, "to"));
    copy.workers = 1;
    copy.part_size = 2 * MIB; /* parts enough for a journal */
    return copy;
}

static void check_all(const struct world *world, const char *folder, size_t count)
{
    char name[64];
    static const struct {
        const char *name;
        size_t size;
    } files[] = {{"big", BIG}, {"mid", 3000}, {"small", 1000}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, files[i].name);
        world_check_file(world, name, world->big, files[i].size);
    }
    assert_int_equal(scratch_count(at(world, folder)), count); /* no journal, no draft */
}

static void rename_root(void *context)
{
    const struct world *world = context;
    move(world, "to", "moved");
    scratch_write(world->folder, "to/s/mid", "theirs", 6);
}

/* What was asked for has another name now: a failure, but nothing is mixed and nothing lost. */
static void a_renamed_destination_is_told(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    struct storage_summary summary;
    fill_store(world, rename_root);
    struct storage_copy copy = into_folder(world);
    assert_int_equal(storage_copy(&copy, &summary, &err), STORAGE_DISK);
    assert_non_null(strstr(err.message, "/to: the folder was renamed, removed or replaced"));
    check_all(world, "moved/s", 3);
    world_check_file(world, "moved/t/new", world->big, 500);
    world_check_file(world, "to/s/mid", "theirs", 6);
    assert_int_equal(scratch_count(at(world, "to")), 2);
}

static void replace_folder(void *context)
{
    const struct world *world = context;
    move(world, "to/s", "to/was");
    make(world, "elsewhere");
    point(world, "to/s", "elsewhere");
}

static void a_folder_that_becomes_a_link_leads_nowhere(void **state)
{
    struct world *world = *state;
    fill_store(world, replace_folder);
    struct storage_copy copy = into_folder(world);
    assert_int_equal(storage_copy(&copy, NULL, NULL), STORAGE_OK);
    assert_int_equal(scratch_count(at(world, "elsewhere")), 0);
    check_all(world, "to/was", 3);
    world_check_file(world, "to/t/new", world->big, 500);
}

static void replace_full_folder(void *context)
{
    const struct world *world = context;
    move(world, "to/gone", "to/was");
    scratch_write(world->folder, "elsewhere/1", "theirs", 6);
    point(world, "to/gone", "elsewhere");
}

/* What a sync found too much in a folder is not deleted through a link that took its place. */
static void a_sync_deletes_nothing_behind_a_new_link(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    struct storage_summary summary;
    fill_store(world, replace_full_folder);
    scratch_write(world->folder, "to/gone/1", "x", 1);
    struct storage_sync sync = {.copy = into_folder(world), .delete_extra = true, .delete_max = 9};
    assert_int_equal(storage_sync(&sync, &summary, &err), STORAGE_CONFLICT);
    assert_non_null(strstr(err.message, "/to/gone"));
    assert_int_equal(summary.deleted, 0);
    world_check_file(world, "elsewhere/1", "theirs", 6);
    check_all(world, "to/s", 3);
}

static void a_sync_into_a_renamed_folder_deletes_nothing(void **state)
{
    struct world *world = *state;
    struct storage_error err = {0};
    struct storage_summary summary;
    fill_store(world, rename_root);
    scratch_write(world->folder, "to/s/extra", "x", 1);
    struct storage_sync sync = {.copy = into_folder(world), .delete_extra = true, .delete_max = 9};
    assert_int_equal(storage_sync(&sync, &summary, &err), STORAGE_DISK);
    assert_int_equal(summary.deleted, 0);
    assert_int_equal(summary.withheld, 1);
    check_all(world, "moved/s", 4);
    assert_int_equal(scratch_count(at(world, "to")), 2);
    assert_true(scratch_exists(world->folder, "moved/.jobferry-sync"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_folder_is_looked_up_once),
        WORLD_TEST(a_removed_folder_refuses),
        WORLD_TEST(links_lead_in_but_nothing_out),
        WORLD_TEST(few_are_held),
        WORLD_TEST(paths_of_any_form_are_below),
        WORLD_TEST(threads_share_them),
        WORLD_TEST(a_renamed_destination_is_told),
        WORLD_TEST(a_folder_that_becomes_a_link_leads_nowhere),
        WORLD_TEST(a_sync_deletes_nothing_behind_a_new_link),
        WORLD_TEST(a_sync_into_a_renamed_folder_deletes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
