/*
 * Big copies that are killed, stopped or held up, and go on: between folders, where every detail
 * can be looked at. test_resume_s3.c does the same with a store.
 */
#include "kill_fixture.h"
#include "scratch.h"
#include "storage/copy/journal.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    MIB = 1024 * 1024,
    PARTS = 12,
    SIZE = (PARTS - 1) * MIB + 12344,
    WORKERS = 3,
    /* each worker may end one part more before its hook sees the bytes: so it never gets whole */
    DIE_MAX = SIZE - WORKERS * MIB
};

struct world {
    char *folder;
    char source[256];
    char target[256];
    unsigned char *bytes;
    struct storage_config config;
    struct kill_run run;
    unsigned meddled;
};

static int world_make(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->folder = scratch_make();
    world->bytes = malloc(SIZE);
    scratch_fill(world->bytes, SIZE, 3);
    scratch_write(world->folder, "source", world->bytes, SIZE);
    snprintf(world->source, sizeof world->source, "%s/source", world->folder);
    snprintf(world->target, sizeof world->target, "%s/to/target", world->folder);
    world->run = (struct kill_run){.config = &world->config,
                                   .source = world->source,
                                   .destination = world->target,
                                   .part_size = MIB,
                                   .workers = WORKERS};
    *state = world;
    return 0;
}

static int world_free(void **state)
{
    struct world *world = *state;
    scratch_remove(world->folder);
    free(world->bytes);
    free(world);
    return 0;
}

/* The name in "to" that ends so; "" when there is none. */
static void find_file(const struct world *world, const char *end, char name[256])
{
    DIR *folder = opendir(scratch_path(world->folder, "to"));
    name[0] = '\0';
    for (const struct dirent *entry = folder ? readdir(folder) : NULL; entry;
         entry = readdir(folder)) {
        size_t length = strlen(entry->d_name);
        if (length > strlen(end) && strcmp(entry->d_name + length - strlen(end), end) == 0) {
            snprintf(name, 256, "to/%.250s", entry->d_name);
        }
    }
    if (folder) {
        closedir(folder);
    }
}

/* Dies with at least so many bytes in; leaves a temporary file and a journal, and no target. */
static void die_at(struct world *world, uint64_t bytes)
{
    char name[256];
    struct kill_run run = world->run;
    run.die_at = bytes;
    kill_run_and_die(&run);
    assert_false(scratch_exists(world->folder, "to/target"));
    find_file(world, ".journal", name);
    assert_string_not_equal(name, "");
    find_file(world, ".part", name);
    assert_string_not_equal(name, "");
}

/* The target is the source, and nothing else is left. */
static void assert_whole(const struct world *world)
{
    size_t size = 0;
    void *got = scratch_read(world->folder, "to/target", &size);
    assert_non_null(got);
    assert_int_equal(size, SIZE);
    assert_memory_equal(got, world->bytes, SIZE);
    free(got);
    assert_int_equal(scratch_count(scratch_path(world->folder, "to")), 1);
}

static void a_killed_copy_goes_on(void **state)
{
    struct world *world = *state;
    uint64_t seed = 1;
    for (int round = 0; round < 6; round++) {
        uint64_t bytes = 1 + kill_random(&seed, DIE_MAX);
        die_at(world, bytes);
        struct kill_result result = kill_run(&world->run);
        assert_int_equal(result.code, STORAGE_OK);
        assert_in_range(result.summary.resumed, bytes, SIZE);
        assert_int_equal(result.summary.bytes, SIZE);
        assert_whole(world);
        unlink(world->target);
    }
}

static void one_killed_again_and_again_gets_there(void **state)
{
    struct world *world = *state;
    for (uint64_t bytes = MIB; bytes < DIE_MAX; bytes += 2 * MIB) {
        die_at(world, bytes);
    }
    struct kill_result result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_OK);
    assert_in_range(result.summary.resumed, 7 * MIB, SIZE);
    assert_whole(world);
}

static void a_changed_source_starts_over(void **state)
{
    struct world *world = *state;
    die_at(world, 6 * MIB);
    world->bytes[0] ^= 1; /* the same size at another time */
    scratch_write(world->folder, "source", world->bytes, SIZE);
    struct kill_result result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_OK);
    assert_int_equal(result.summary.resumed, 0);
    assert_whole(world);
}

static void another_source_starts_over(void **state)
{
    struct world *world = *state;
    char other[300];
    die_at(world, 6 * MIB);
    snprintf(other, sizeof other, "%s/other", world->folder);
    assert_int_equal(rename(world->source, other), 0); /* with its size and time */
    world->run.source = other;
    struct kill_result result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_OK);
    assert_int_equal(result.summary.resumed, 0);
    assert_whole(world);
}

static void damaged_parts_are_copied_again(void **state)
{
    struct world *world = *state;
    char name[256];
    die_at(world, 8 * MIB);
    find_file(world, ".part", name);
    FILE *file = fopen(scratch_path(world->folder, name), "r+");
    assert_non_null(file);
    fseek(file, 5, SEEK_SET);
    fputc(world->bytes[5] ^ 0x10, file);
    fclose(file);
    struct kill_result result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_OK);
    assert_in_range(result.summary.resumed, 7 * MIB, SIZE - MIB);
    assert_whole(world);
}

static void a_lost_temporary_file_starts_over(void **state)
{
    struct world *world = *state;
    char name[256];
    die_at(world, 6 * MIB);
    find_file(world, ".part", name);
    unlink(scratch_path(world->folder, name));
    struct kill_result result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_OK);
    assert_int_equal(result.summary.resumed, 0);
    assert_whole(world);
}

static void a_cut_journal_keeps_what_it_has(void **state)
{
    struct world *world = *state;
    char name[256];
    struct stat status;
    die_at(world, 8 * MIB);
    find_file(world, ".journal", name);
    assert_int_equal(stat(scratch_path(world->folder, name), &status), 0);
    assert_int_equal(truncate(scratch_path(world->folder, name), status.st_size - 3), 0);
    struct kill_result result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_OK);
    assert_in_range(result.summary.resumed, 7 * MIB, SIZE - MIB);
    assert_whole(world);
}

static void another_part_size_goes_on_with_the_old(void **state)
{
    struct world *world = *state;
    die_at(world, 6 * MIB);
    world->run.part_size = 2 * MIB;
    struct kill_result result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_OK);
    assert_in_range(result.summary.resumed, 6 * MIB, SIZE);
    assert_whole(world);
}

static void of_two_at_once_the_second_goes_by_itself(void **state)
{
    struct world *world = *state;
    char name[256];
    char path[600];
    die_at(world, 6 * MIB);
    find_file(world, ".journal", name);
    snprintf(path, sizeof path, "%s/%s", world->folder, name);
    struct journal *held = journal_open(path);
    assert_non_null(held);
    struct kill_result result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_OK);
    assert_int_equal(result.summary.resumed, 0);
    assert_int_equal(scratch_count(scratch_path(world->folder, "to")), 3); /* the holder's two */
    journal_close(held);
    result = kill_run(&world->run); /* as the holder would */
    assert_in_range(result.summary.resumed, 6 * MIB, SIZE);
    assert_whole(world);
}

static void a_stop_leaves_what_it_has(void **state)
{
    struct world *world = *state;
    world->run.stop_at = 4 * MIB;
    struct kill_result result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_STOPPED);
    assert_false(scratch_exists(world->folder, "to/target"));
    world->run.stop_at = 0;
    result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_OK);
    assert_in_range(result.summary.resumed, 4 * MIB, SIZE);
    assert_whole(world);
}

static void small_copies_have_no_journal(void **state)
{
    struct world *world = *state;
    world->run.part_size = SIZE / 4; /* four parts: SIZE is a multiple of it */
    world->run.stop_at = 1;
    struct kill_result result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_STOPPED);
    assert_int_equal(scratch_count(scratch_path(world->folder, "to")), 0);
}

/* Rewrites the source while it is read: the first so many times. */
static void write_source(void *context)
{
    struct world *world = context;
    if (world->meddled > 0) {
        world->meddled--;
        world->bytes[SIZE - 1]++;
        FILE *file = fopen(world->source, "r+");
        fseek(file, SIZE - 1, SEEK_SET);
        fputc(world->bytes[SIZE - 1], file);
        fclose(file);
    }
}

static void a_source_written_to_meanwhile_is_never_mixed(void **state)
{
    struct world *world = *state;
    world->run.meddle = write_source;
    world->run.context = world;
    world->meddled = 1;
    struct kill_result result = kill_run(&world->run); /* starts over */
    assert_int_equal(result.code, STORAGE_OK);
    assert_whole(world);
    unlink(world->target);
    world->meddled = 1000;
    result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_CHANGED);
    assert_int_equal(result.failed, 1);
    assert_non_null(strstr(result.err.message, "source"));
    assert_int_equal(scratch_count(scratch_path(world->folder, "to")), 0);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_make, world_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_killed_copy_goes_on),
        WORLD_TEST(one_killed_again_and_again_gets_there),
        WORLD_TEST(a_changed_source_starts_over),
        WORLD_TEST(another_source_starts_over),
        WORLD_TEST(damaged_parts_are_copied_again),
        WORLD_TEST(a_lost_temporary_file_starts_over),
        WORLD_TEST(a_cut_journal_keeps_what_it_has),
        WORLD_TEST(another_part_size_goes_on_with_the_old),
        WORLD_TEST(of_two_at_once_the_second_goes_by_itself),
        WORLD_TEST(a_stop_leaves_what_it_has),
        WORLD_TEST(small_copies_have_no_journal),
        WORLD_TEST(a_source_written_to_meanwhile_is_never_mixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
