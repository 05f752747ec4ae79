#include "copy_world.h"

#include <dirent.h>

size_t world_count_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder)) {
        count++;
    }
    closedir(folder);
    return count;
}

int world_make(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct storage_config config = {0};
    world->descriptors = world_count_descriptors();
    world->folder = scratch_make();
    world->fake = fake_store_new();
    world->big = malloc(BIG);
    scratch_fill(world->big, BIG, 7);
    assert_int_equal(local_open(&world->local, &config, NULL), STORAGE_OK);
    *state = world;
    return 0;
}

int world_free(void **state)
{
    struct world *world = *state;
    storage_close(world->local);
    fake_store_free(world->fake);
    scratch_remove(world->folder);
    size_t descriptors = world->descriptors;
    free(world->big);
    free(world);
    assert_int_equal(world_count_descriptors(), descriptors);
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

struct storage_copy world_copy(struct world *world, struct storage *from, const char *source,
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

void world_check_file(const struct world *world, const char *name, const void *data, size_t size)
{
    scratch_check(world->folder, name, data, size);
}
