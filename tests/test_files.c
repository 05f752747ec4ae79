/* Drafts that appear whole or not at all, folders, resolved paths, and walks in key order. */
#include "scratch.h"
#include "storage/local/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int make_scratch(void **state)
{
    *state = scratch_make();
    return 0;
}

static int remove_scratch(void **state)
{
    scratch_remove(*state);
    return 0;
}

static void a_draft_appears_only_when_published(void **state)
{
    const char *folder = *state;
    struct storage_error err = {0};
    struct files_draft draft;
    size_t size = 0;
    const char *path = scratch_path(folder, "new/deep/file");
    assert_int_equal(files_draft_open(&draft, NULL, path, 0, &err), STORAGE_OK);
    assert_int_equal(files_draft_write(&draft, "world", 5, 6, &err), STORAGE_OK);
    assert_int_equal(files_draft_write(&draft, "hello ", 6, 0, &err), STORAGE_OK);
    assert_false(scratch_exists(folder, "new/deep/file"));
    assert_ptr_equal(strstr(draft.temporary, ".file."), draft.temporary);
    assert_true(scratch_exists(folder, "new/deep"));
    assert_string_equal(draft.temporary + strlen(draft.temporary) - 5, ".part");
    assert_int_equal(files_draft_publish(&draft, 1500000000123456789, &err), STORAGE_OK);
    char *data = scratch_read(folder, "new/deep/file", &size);
    assert_int_equal(size, 11);
    assert_memory_equal(data, "hello world", 11);
    free(data);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(files_mtime_ns(&status), 1500000000123456789);
    assert_int_equal(scratch_count(folder), 3); /* two folders, one file: nothing temporary */
}

/* Many at once, in two folders; the trouble of one is its own. */
static void drafts_published_together_fail_alone(void **state)
{
    enum {
        COUNT = 20,
        BAD = 7,
        LOST = 11
    };
    const char *folder = *state;
    static struct files_draft drafts[COUNT];
    static struct files_publication items[COUNT];
    char name[32];
    size_t size = 0;
    memset(items, 0, sizeof items);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%s/%d", i % 2 ? "odd" : "even", i);
        assert_int_equal(files_draft_open(&drafts[i], NULL, scratch_path(folder, name), 0, NULL),
                         STORAGE_OK);
        assert_int_equal(files_draft_write(&drafts[i], name, strlen(name), 0, NULL), STORAGE_OK);
        items[i] = (struct files_publication){.draft = &drafts[i], .mtime_ns = 1500000000000000000};
    }
    scratch_write(folder, "odd/7/in the way", "x", 1); /* a folder where a file is to be */
    items[LOST].code = STORAGE_INTEGRITY;              /* failed before */
    files_publish_many(items, COUNT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%s/%d", i % 2 ? "odd" : "even", i);
        assert_int_equal(items[i].code, i == BAD    ? STORAGE_CONFLICT
                                        : i == LOST ? STORAGE_INTEGRITY
                                                    : STORAGE_OK);
        if (items[i].code == STORAGE_OK) {
            char *data = scratch_read(folder, name, &size);
            assert_int_equal(size, strlen(name));
            assert_memory_equal(data, name, size);
            free(data);
        }
    }
    assert_false(scratch_exists(folder, "odd/11"));
    assert_int_equal(scratch_count(scratch_path(folder, "even")), COUNT / 2);
    /* of the odd ones two are missing; the folder in the way and its file: nothing temporary */
    assert_int_equal(scratch_count(scratch_path(folder, "odd")), COUNT / 2 - 2 + 2);
}

static void a_discarded_draft_leaves_the_old_file(void **state)
{
    const char *folder = *state;
    struct files_draft draft;
    size_t size = 0;
    scratch_write(folder, "file", "old", 3);
    assert_int_equal(files_draft_open(&draft, NULL, scratch_path(folder, "file"), 0, NULL),
                     STORAGE_OK);
    assert_int_equal(files_draft_write(&draft, "newer", 5, 0, NULL), STORAGE_OK);
    files_draft_discard(&draft);
    files_draft_discard(&draft);
    char *data = scratch_read(folder, "file", &size);
    assert_int_equal(size, 3);
    assert_memory_equal(data, "old", 3);
    free(data);
    assert_int_equal(scratch_count(folder), 1);
}

static void clashes_of_files_and_folders_are_conflicts(void **state)
{
    const char *folder = *state;
    struct files_draft draft;
    struct storage_error err = {0};
    scratch_write(folder, "file", "x", 1);
    scratch_write(folder, "dir/x", "x", 1);
    assert_int_equal(files_draft_open(&draft, NULL, scratch_path(folder, "file/below"), 0, &err),
                     STORAGE_CONFLICT);
    assert_int_equal(err.code, STORAGE_CONFLICT);
    for (uint64_t size = 0; size < 2000; size += 1000) {
        assert_int_equal(files_draft_open(&draft, NULL, scratch_path(folder, "dir"), size, &err),
                         STORAGE_CONFLICT);
    }
    /* one that comes meanwhile is told at the end */
    assert_int_equal(files_draft_open(&draft, NULL, scratch_path(folder, "later"), 0, &err),
                     STORAGE_OK);
    scratch_write(folder, "later/x", "x", 1);
    assert_int_equal(files_draft_publish(&draft, 0, &err), STORAGE_CONFLICT);
    assert_int_equal(files_make_folder(scratch_path(folder, "file"), &err), STORAGE_CONFLICT);
    assert_int_equal(files_make_folder(scratch_path(folder, "file/a/b"), &err), STORAGE_CONFLICT);
    assert_int_equal(scratch_count(folder), 5);
}

static void long_names_still_get_a_temporary_one(void **state)
{
    const char *folder = *state;
    struct files_draft draft;
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    assert_int_equal(files_draft_open(&draft, NULL, scratch_path(folder, name), 0, NULL),
                     STORAGE_OK);
    assert_int_equal(files_draft_publish(&draft, 0, NULL), STORAGE_OK);
    assert_true(scratch_exists(folder, name));
}

static void folders_are_made_with_parents_and_twice(void **state)
{
    const char *folder = *state;
    const char *path = scratch_path(folder, "a/b//c/");
    assert_int_equal(files_make_folder(path, NULL), STORAGE_OK);
    assert_int_equal(files_make_folder(path, NULL), STORAGE_OK);
    assert_true(scratch_exists(folder, "a/b/c"));
    assert_int_equal(files_make_folder("/", NULL), STORAGE_OK);
    assert_int_equal(files_make_folder("", NULL), STORAGE_OK);
}

static void paths_resolve_also_where_nothing_is_yet(void **state)
{
    const char *folder = *state;
    char real[STORAGE_PATH_MAX];
    char out[STORAGE_PATH_MAX];
    scratch_write(folder, "real/x", "x", 1);
    assert_int_equal(symlink("real", scratch_path(folder, "link")), 0);
    assert_int_equal(files_resolve(real, scratch_path(folder, "real/x"), NULL), STORAGE_OK);
    assert_int_equal(files_resolve(out, scratch_path(folder, "link/x"), NULL), STORAGE_OK);
    assert_string_equal(out, real);
    assert_int_equal(files_resolve(real, scratch_path(folder, "real"), NULL), STORAGE_OK);
    assert_int_equal(files_resolve(out, scratch_path(folder, "link/not/yet/"), NULL), STORAGE_OK);
    assert_memory_equal(out, real, strlen(real));
    assert_string_equal(out + strlen(real), "/not/yet");
    assert_int_equal(files_resolve(out, "nothing-of-this-name", NULL), STORAGE_OK);
    assert_int_equal(out[0], '/');
}

/* Joins all that a walk gives, relative to folder, with '|' between. */
static void walk_text(char *out, size_t size, const char *folder, const char *path, bool recursive)
{
    struct files_walk *walk = NULL;
    struct files_entry entry = {0};
    size_t length = 0;
    out[0] = '\0';
    assert_int_equal(files_walk_open(&walk, path, recursive, STORAGE_SYMLINKS_FOLLOW, NULL),
                     STORAGE_OK);
    for (;;) {
        assert_int_equal(files_walk_next(walk, &entry, NULL), STORAGE_OK);
        if (!entry.path) {
            break;
        }
        length +=
            (size_t)snprintf(out + length, size - length, "%s|", entry.path + strlen(folder) + 1);
        assert_true(length < size);
    }
    files_walk_close(walk);
}

static void a_walk_has_the_order_of_keys(void **state)
{
    const char *folder = *state;
    char out[1024];
    scratch_write(folder, "a/z", "", 0);
    scratch_write(folder, "a-b", "", 0);
    scratch_write(folder, "a.txt", "", 0);
    scratch_write(folder, "a0", "", 0);
    scratch_write(folder, "a/b/c", "", 0);
    scratch_write(folder, "B", "", 0);
    scratch_write(folder, "\xc3\xa9", "", 0);
    mkdir(scratch_path(folder, "empty"), 0777);
    walk_text(out, sizeof out, folder, folder, true);
    assert_string_equal(out, "B|a-b|a.txt|a/b/c|a/z|a0|empty/|\xc3\xa9|");
    walk_text(out, sizeof out, folder, folder, false);
    assert_string_equal(out, "B|a-b|a.txt|a/|a0|empty/|\xc3\xa9|");
    walk_text(out, sizeof out, folder, scratch_path(folder, "a/"), true);
    assert_string_equal(out, "a/b/c|a/z|");
    walk_text(out, sizeof out, folder, scratch_path(folder, "a-b"), true);
    assert_string_equal(out, "a-b|");
}

static void links_are_followed_but_not_round_in_circles(void **state)
{
    const char *folder = *state;
    char out[1024];
    scratch_write(folder, "dir/x", "xyz", 3);
    assert_int_equal(symlink("..", scratch_path(folder, "dir/up")), 0);
    assert_int_equal(symlink("dir", scratch_path(folder, "too")), 0);
    assert_int_equal(symlink("nowhere", scratch_path(folder, "broken")), 0);
    assert_int_equal(mkfifo(scratch_path(folder, "pipe"), 0600), 0);
    walk_text(out, sizeof out, folder, folder, true);
    assert_string_equal(out, "broken|dir/up|dir/x|too/up|too/x|");
}

static void a_walk_says_what_is_missing(void **state)
{
    struct files_walk *walk = NULL;
    struct files_entry entry;
    struct storage_error err = {0};
    const char *path = scratch_path(*state, "none");
    assert_int_equal(files_walk_open(&walk, path, true, STORAGE_SYMLINKS_FOLLOW, &err), STORAGE_OK);
    assert_int_equal(files_walk_next(walk, &entry, &err), STORAGE_NOT_FOUND);
    assert_non_null(strstr(err.message, "none"));
    files_walk_close(walk);
    assert_int_equal(files_walk_open(&walk, *state, true, STORAGE_SYMLINKS_FOLLOW, &err),
                     STORAGE_OK);
    assert_int_equal(files_walk_next(walk, &entry, &err), STORAGE_OK);
    assert_null(entry.path);
    files_walk_close(walk);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        TEST(a_draft_appears_only_when_published),
        TEST(drafts_published_together_fail_alone),
        TEST(a_discarded_draft_leaves_the_old_file),
        TEST(clashes_of_files_and_folders_are_conflicts),
        TEST(long_names_still_get_a_temporary_one),
        TEST(folders_are_made_with_parents_and_twice),
        TEST(paths_resolve_also_where_nothing_is_yet),
        TEST(a_walk_has_the_order_of_keys),
        TEST(links_are_followed_but_not_round_in_circles),
        TEST(a_walk_says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
