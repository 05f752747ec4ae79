/*
 * In what order a checkpoint goes out, what is never written over, and who may move the pointer. A
 * folder stands for the store, and a file in a folder's place for a store that refuses.
 */
#include "runner/app.h"
#include "runner/job/publish.h"
#include "scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define RUN   "20261124T000000Z-aaaaaa"
#define OTHER "20261123T000000Z-zzzzzz"

enum {
    UNITS_MAX = 32
};

static const atomic_bool never;

struct scene {
    char *folder;
    char root[1024];
    struct storage *store;
    struct remote remote;
    struct publisher *publisher;
    struct log log;
    atomic_bool give_up, lost;
    atomic_size_t settled; /* units whose state is no more QUEUED */
    size_t count;          /* of states; read once the publisher's thread has ended */
    enum publication_state states[UNITS_MAX];
    size_t confirmed;              /* so many went out */
    size_t went_before[UNITS_MAX]; /* of those, before this one did */
};

static void told(void *context, size_t index, const struct publication *publication)
{
    struct scene *scene = context;
    assert_true(index < UNITS_MAX);
    scene->states[index] = publication->state;
    scene->count = index >= scene->count ? index + 1 : scene->count;
    if (publication->state == PUBLICATION_CONFIRMED) {
        scene->went_before[index] = scene->confirmed++;
    }
    if (publication->state != PUBLICATION_QUEUED) {
        atomic_fetch_add(&scene->settled, 1);
    }
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    struct storage_url url;
    const struct storage_config config = {0};
    assert_non_null(scene);
    scene->folder = scratch_make();
    log_init(&scene->log, false, false);
    snprintf(scene->root, sizeof scene->root, "%s/out", scene->folder);
    assert_int_equal(storage_url_parse(&url, scene->root, NULL), STORAGE_OK);
    assert_int_equal(storage_open(&scene->store, &url, &config, NULL), STORAGE_OK);
    scene->remote =
        (struct remote){.store = scene->store, .root = scene->root, .is_conditional = true};
    *state = scene;
    return 0;
}

static void start(struct scene *scene, uint64_t attempt)
{
    atomic_store(&scene->give_up, false);
    scene->publisher =
        publisher_new(&scene->remote, RUN, attempt, &never, &scene->give_up, &scene->log);
    assert_non_null(scene->publisher);
    publisher_watch_lock(scene->publisher, &scene->lost);
    publisher_tell(scene->publisher, told, scene);
}

/* Whether the newest went out; the publisher is freed. state: of the last unit. */
static bool finish(struct scene *scene, double seconds, enum publication_state *state)
{
    bool confirmed = publisher_finish(scene->publisher, seconds);
    publisher_free(scene->publisher);
    scene->publisher = NULL;
    assert_true(scene->count > 0);
    if (state) {
        *state = scene->states[scene->count - 1];
    }
    return confirmed;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    storage_close(scene->store);
    log_release(&scene->log);
    scratch_remove(scene->folder);
    free(scene);
    return 0;
}

/* Gives one file as a unit of its step, as it is now. */
static void give(struct scene *scene, const char *name, uint64_t step)
{
    struct stat status;
    char local[300];
    snprintf(local, sizeof local, "ckpt/%s", name);
    const char *path = scratch_path(scene->folder, local);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    const struct publication_file file = {.name = name,
                                          .path = path,
                                          .fd = fd,
                                          .size = (uint64_t)status.st_size,
                                          .mtime_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 +
                                                      status.st_mtim.tv_nsec};
    const struct publication_unit unit = {.name = name,
                                          .epoch = 1,
                                          .step = step,
                                          .has_step = step > 0,
                                          .files = &file,
                                          .file_count = 1,
                                          .evidence = "rename"};
    assert_true(publisher_add_unit(scene->publisher, &unit));
}

static void save(const struct scene *scene, const char *name, const char *text)
{
    char local[300];
    snprintf(local, sizeof local, "ckpt/%s", name);
    scratch_write(scene->folder, local, text, strlen(text));
}

static void save_and_give(struct scene *scene, const char *name, const char *text, uint64_t step)
{
    save(scene, name, text);
    give(scene, name, step);
}

static void wait_for(struct scene *scene, size_t settled)
{
    while (atomic_load(&scene->settled) < settled) {
        usleep(1000);
    }
}

static bool exists(const struct scene *scene, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "out/%s", name);
    return scratch_exists(scene->folder, path);
}

static void expect_text(const struct scene *scene, const char *name, const char *text)
{
    char path[1024];
    size_t size = 0;
    snprintf(path, sizeof path, "out/%s", name);
    char *data = scratch_read(scene->folder, path, &size);
    assert_non_null(data);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
    free(data);
}

static void expect_pointer(const struct scene *scene, const char *run, const char *manifest)
{
    struct pointer latest;
    char name[256] = "";
    if (manifest) {
        snprintf(name, sizeof name, ".jobferry/manifest/%s/%s.json", run, manifest);
    }
    assert_int_equal(remote_latest(&scene->remote, &latest, NULL), STORAGE_OK);
    assert_string_equal(latest.run, run);
    assert_string_equal(latest.manifest, name);
}

/* Writes text in the place of a name under train_url. */
static void put(const struct scene *scene, const char *name, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "out/%s", name);
    scratch_write(scene->folder, path, text, strlen(text));
}

static void test_it_goes_out(void **state)
{
    struct scene *scene = *state;
    start(scene, 1);
    save_and_give(scene, "m-1_5.pt", "five", 5);
    assert_true(finish(scene, 60, NULL));
    expect_text(scene, "ckpt/m-1_5.pt", "five");
    expect_pointer(scene, RUN, "1-1");
}

static void test_no_manifest_without_data(void **state)
{
    struct scene *scene = *state;
    enum publication_state end;
    put(scene, "ckpt", "no folder");
    start(scene, 1);
    save_and_give(scene, "m-1_5.pt", "five", 5);
    assert_false(finish(scene, 0.1, &end));
    assert_int_equal(end, PUBLICATION_FAILED); /* and not fenced: no other job is at work */
    assert_false(exists(scene, ".jobferry/manifest"));
    expect_pointer(scene, "", NULL);
}

static void test_no_pointer_without_manifest(void **state)
{
    struct scene *scene = *state;
    enum publication_state end;
    put(scene, ".jobferry/manifest", "no folder");
    start(scene, 1);
    save_and_give(scene, "m-1_5.pt", "five", 5);
    assert_false(finish(scene, 0.1, &end));
    assert_int_equal(end, PUBLICATION_FAILED);
    expect_pointer(scene, "", NULL);
}

static void test_not_confirmed_without_pointer(void **state)
{
    struct scene *scene = *state;
    put(scene, ".jobferry/latest.json/in_the_way", "a folder");
    start(scene, 1);
    save_and_give(scene, "m-1_5.pt", "five", 5);
    assert_false(finish(scene, 0.1, NULL));
    assert_true(exists(scene, ".jobferry/manifest/" RUN "/1-1.json"));
}

static void test_the_pointer_never_goes_back(void **state)
{
    struct scene *scene = *state;
    start(scene, 1);
    save_and_give(scene, "m-1_5.pt", "five", 5);
    wait_for(scene, 1);
    save_and_give(scene, "m-1_4.pt", "four", 4);
    wait_for(scene, 2);
    assert_true(finish(scene, 60, NULL));
    expect_text(scene, "ckpt/m-1_4.pt", "four");
    expect_pointer(scene, RUN, "1-1");
}

/* One that is being sent has what it was given for: neither more, nor what came after. */
static void test_what_is_written_to_is_not_sent(void **state)
{
    struct scene *scene = *state;
    enum publication_state end;
    start(scene, 1);
    save(scene, "m-1_5.pt", "five");
    int writer = open(scratch_path(scene->folder, "ckpt/m-1_5.pt"), O_WRONLY | O_CLOEXEC);
    assert_true(writer >= 0);
    give(scene, "m-1_5.pt", 5);
    finish(scene, 60, &end);
    close(writer);
    assert_int_equal(end, PUBLICATION_SUPERSEDED);
    expect_pointer(scene, "", NULL);
    assert_false(exists(scene, ".jobferry/manifest"));
}

static void test_what_changed_is_not_sent(void **state)
{
    struct scene *scene = *state;
    enum publication_state end;
    struct publication_file file = {.name = "m-1_5.pt", .fd = -1, .size = 3};
    const struct publication_unit unit = {
        .name = "m-1_5.pt", .files = &file, .file_count = 1, .evidence = "rename"};
    start(scene, 1);
    save(scene, "m-1_5.pt", "five");
    file.path = scratch_path(scene->folder, "ckpt/m-1_5.pt");
    assert_true(publisher_add_unit(scene->publisher, &unit));
    finish(scene, 60, &end);
    assert_int_equal(end, PUBLICATION_SUPERSEDED);
    assert_false(exists(scene, "ckpt/m-1_5.pt"));
}

static void test_a_file_that_is_removed_goes_out(void **state)
{
    struct scene *scene = *state;
    put(scene, "ckpt", "no folder");
    start(scene, 1);
    save_and_give(scene, "m-1_5.pt", "five", 5);
    assert_int_equal(unlink(scratch_path(scene->folder, "ckpt/m-1_5.pt")), 0);
    assert_int_equal(unlink(scratch_path(scene->folder, "out/ckpt")), 0);
    assert_true(finish(scene, 60, NULL));
    expect_text(scene, "ckpt/m-1_5.pt", "five");
    expect_pointer(scene, RUN, "1-1");
}

/* A run of another name that has published "old" as last.pt. */
static void publish_other(struct scene *scene)
{
    char name[REMOTE_KEY_MAX];
    struct manifest manifest = {.run = OTHER, .attempt = 1, .seq = 1, .epoch = 1, .step = 1};
    char file_name[] = "last.pt";
    char key[] = "ckpt/last.pt";
    const struct manifest_file file = {
        .name = file_name, .key = key, .size = 3, .crc32 = storage_crc32(0, "old", 3)};
    put(scene, "ckpt/last.pt", "old");
    assert_true(manifest_add_file(&manifest, &file));
    assert_int_equal(remote_put_manifest(&scene->remote, &manifest, name, NULL), STORAGE_OK);
    struct pointer latest = {.run = OTHER, .attempt = 1, .finished = true};
    snprintf(latest.manifest, sizeof latest.manifest, "%s", name);
    assert_int_equal(remote_set_latest(&scene->remote, &latest, NULL), STORAGE_OK);
    manifest_release(&manifest);
}

/* A name of another run's manifest: the new bytes have a key of their own until the pointer moved;
 * then the old manifest goes, before its bytes do. */
static void test_a_known_name_has_a_key_of_its_own(void **state)
{
    struct scene *scene = *state;
    publish_other(scene);
    start(scene, 1);
    save_and_give(scene, "last.pt", "new", 0);
    assert_true(finish(scene, 60, NULL));
    expect_text(scene, ".jobferry/data/" RUN "/1-1/last.pt", "new");
    expect_pointer(scene, RUN, "1-1");
    expect_text(scene, "ckpt/last.pt", "new");
    assert_false(exists(scene, ".jobferry/manifest/" OTHER "/1-1.json"));
}

static void test_what_best_names_stays(void **state)
{
    struct scene *scene = *state;
    publish_other(scene);
    put(scene, ".jobferry/best.json",
        "{\"version\": 1, \"run\": \"" OTHER "\", \"attempt\": 1, \"manifest\": "
        "\".jobferry/manifest/" OTHER "/1-1.json\", \"cumulative_step\": 0}");
    start(scene, 1);
    save_and_give(scene, "last.pt", "new", 0);
    assert_true(finish(scene, 60, NULL));
    expect_text(scene, "ckpt/last.pt", "old");
    assert_true(exists(scene, ".jobferry/manifest/" OTHER "/1-1.json"));
    expect_text(scene, ".jobferry/data/" RUN "/1-1/last.pt", "new");
}

/* Until the pointer has moved nobody's bytes are touched. */
static void test_the_old_stays_until_the_pointer_moves(void **state)
{
    struct scene *scene = *state;
    publish_other(scene);
    start(scene, 1);
    unlink(scratch_path(scene->folder, "out/.jobferry/latest.json"));
    put(scene, ".jobferry/latest.json/in_the_way", "a folder");
    save_and_give(scene, "last.pt", "new", 0);
    assert_false(finish(scene, 0.1, NULL));
    expect_text(scene, "ckpt/last.pt", "old");
    assert_true(exists(scene, ".jobferry/manifest/" OTHER "/1-1.json"));
}

/* The same size, other bytes: it is another. */
static void test_bytes_decide_not_sizes(void **state)
{
    struct scene *scene = *state;
    start(scene, 1);
    save_and_give(scene, "last.pt", "one", 0);
    wait_for(scene, 1);
    save_and_give(scene, "last.pt", "two", 0);
    assert_true(finish(scene, 60, NULL));
    expect_pointer(scene, RUN, "1-2");
    expect_text(scene, "ckpt/last.pt", "two");
}

static void move_pointer(const struct scene *scene, const char *run, uint64_t attempt)
{
    struct pointer latest = {.attempt = attempt};
    snprintf(latest.run, sizeof latest.run, "%s", run);
    snprintf(latest.manifest, sizeof latest.manifest, ".jobferry/manifest/%s/9-9.json", run);
    assert_int_equal(remote_set_latest(&scene->remote, &latest, NULL), STORAGE_OK);
}

/* The pointer was moved by another: nothing more is published, nor pointed at. */
static void expect_fenced(struct scene *scene, const char *run, uint64_t attempt)
{
    enum publication_state end;
    start(scene, 1);
    save_and_give(scene, "m-1_5.pt", "five", 5);
    wait_for(scene, 1);
    move_pointer(scene, run, attempt);
    save_and_give(scene, "m-1_6.pt", "six", 6);
    wait_for(scene, 2);
    assert_true(publisher_is_fenced(scene->publisher));
    save_and_give(scene, "m-1_7.pt", "seven", 7);
    assert_false(finish(scene, 60, &end));
    assert_int_equal(end, PUBLICATION_FENCED);
    assert_false(exists(scene, "ckpt/m-1_7.pt"));
    expect_pointer(scene, run, "9-9");
}

static void test_another_run_fences(void **state)
{
    expect_fenced(*state, "20261125T000000Z-bbbbbb", 1);
}

static void test_a_later_attempt_fences(void **state)
{
    expect_fenced(*state, RUN, 2);
}

static void test_without_the_lock_nothing_goes_out(void **state)
{
    struct scene *scene = *state;
    enum publication_state end;
    start(scene, 1);
    atomic_store(&scene->lost, true);
    save_and_give(scene, "m-1_5.pt", "five", 5);
    assert_false(finish(scene, 60, &end));
    assert_int_equal(end, PUBLICATION_FENCED);
    assert_false(exists(scene, "ckpt"));
    expect_pointer(scene, "", NULL);
}

/* Under pressure: of twenty that wait the newest goes first, and the oldest are left out. */
static void test_the_newest_goes_first(void **state)
{
    struct scene *scene = *state;
    char name[32];
    size_t left_out = 0;
    put(scene, "ckpt", "no folder");
    start(scene, 1);
    for (uint64_t step = 1; step <= 20; step++) {
        snprintf(name, sizeof name, "m-1_%llu.pt", (unsigned long long)step);
        save_and_give(scene, name, name, step);
    }
    assert_int_equal(unlink(scratch_path(scene->folder, "out/ckpt")), 0);
    assert_true(finish(scene, 60, NULL));
    for (size_t i = 0; i < scene->count; i++) {
        left_out += scene->states[i] == PUBLICATION_SUPERSEDED;
    }
    assert_int_equal(scene->count, 20);
    assert_true(left_out >= 10);
    assert_int_equal(scene->states[19], PUBLICATION_CONFIRMED);
    assert_true(scene->went_before[19] <= 1); /* one may have been under way */
    assert_true(scene->confirmed > 2);        /* the others that were held follow */
    expect_pointer(scene, RUN, "1-20");
    expect_text(scene, "ckpt/m-1_20.pt", "m-1_20.pt");
}

/* The run is marked through the store that is open then, not the one it was published through. */
static void test_marked_finished_through_another_store(void **state)
{
    struct scene *scene = *state;
    struct storage_url url;
    const struct storage_config config = {0};
    struct pointer latest;
    start(scene, 1);
    save_and_give(scene, "m-1_5.pt", "five", 5);
    assert_true(publisher_finish(scene->publisher, 60));
    storage_close(scene->store);
    assert_int_equal(storage_url_parse(&url, scene->root, NULL), STORAGE_OK);
    assert_int_equal(storage_open(&scene->store, &url, &config, NULL), STORAGE_OK);
    scene->remote.store = scene->store;
    assert_int_equal(publisher_mark_finished(scene->publisher, &scene->remote, NULL), STORAGE_OK);
    publisher_free(scene->publisher);
    assert_int_equal(remote_latest(&scene->remote, &latest, NULL), STORAGE_OK);
    assert_true(latest.finished);
    expect_pointer(scene, RUN, "1-1");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_it_goes_out),
        CASE(test_no_manifest_without_data),
        CASE(test_no_pointer_without_manifest),
        CASE(test_not_confirmed_without_pointer),
        CASE(test_the_pointer_never_goes_back),
        CASE(test_what_is_written_to_is_not_sent),
        CASE(test_what_changed_is_not_sent),
        CASE(test_a_file_that_is_removed_goes_out),
        CASE(test_a_known_name_has_a_key_of_its_own),
        CASE(test_what_best_names_stays),
        CASE(test_the_old_stays_until_the_pointer_moves),
        CASE(test_bytes_decide_not_sizes),
        CASE(test_another_run_fences),
        CASE(test_a_later_attempt_fences),
        CASE(test_without_the_lock_nothing_goes_out),
        CASE(test_the_newest_goes_first),
        CASE(test_marked_finished_through_another_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
