/*
 * Who gets a train_url's lock, and who does not: locks of the dead and of the living, of this host
 * and of others, beats, losing it, giving it back. A folder stands for the store; the beat is
 * short.
 */
#include "runner/job/lock.h"
#include "runner/options.h"
#include "scratch.h"

#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const double BEAT_S = 0.05;
static const double LEASE_S = 1.0;
static const char *const LOCK = "out/.jobferry/lock.json";

static struct arguments arguments;
static const atomic_bool never;

struct scene {
    char *folder;
    char url[1024];
    struct app app;
};

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    scene->folder = scratch_make();
    snprintf(scene->url, sizeof scene->url, "%s/out", scene->folder);
    scene->app = (struct app){.arguments = &arguments,
                              .settings = &arguments.settings,
                              .stop = &never,
                              .stop_now = &never};
    log_init(&scene->app.log, false, false);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    log_release(&scene->app.log);
    scratch_remove(scene->folder);
    free(scene);
    return 0;
}

static enum exit_code take(struct scene *scene, struct lock **lock, uint64_t wait_s, bool breaks)
{
    const struct lock_options options = {.train_text = scene->url,
                                         .wait_s = wait_s,
                                         .breaks = breaks,
                                         .beat_s = BEAT_S,
                                         .lease_s = LEASE_S};
    bool is_conditional = false;
    return lock_take(lock, &scene->app, &options, &is_conditional);
}

/* A lock.json as this process would write it, but for one text member and one number. */
static void write_lock(const struct scene *scene, const char *host, json_int_t pid,
                       const char *member, json_int_t number)
{
    char boot[64] = "";
    char name[256] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    assert_non_null(file);
    assert_non_null(fgets(boot, sizeof boot, file));
    fclose(file);
    boot[strcspn(boot, "\n")] = '\0';
    gethostname(name, sizeof name - 1);
    json_t *root =
        json_pack("{si ss sI ss ss sI ss sI sf}", "version", 1, "run", "20261124T000000Z-aaaaaa",
                  "attempt", (json_int_t)1, "host", host ? host : name, "boot_id", boot, "pid", pid,
                  "owner", "another", "heartbeat", (json_int_t)7, "lease_seconds", 0.3);
    if (member) {
        json_object_set_new(root, member, json_integer(number));
    }
    char *text = json_dumps(root, 0);
    scratch_write(scene->folder, LOCK, text, strlen(text));
    free(text);
    json_decref(root);
}

static json_t *read_lock(const struct scene *scene)
{
    size_t size = 0;
    char *text = scratch_read(scene->folder, LOCK, &size);
    json_t *root = text ? json_loadb(text, size, 0, NULL) : NULL;
    free(text);
    return root;
}

/* The pid of a process that was and is no more. */
static pid_t dead_pid(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}

static void expect_taken(struct scene *scene, uint64_t wait_s, bool breaks)
{
    struct lock *lock = NULL;
    assert_int_equal(take(scene, &lock, wait_s, breaks), EXIT_DONE);
    lock_release(lock);
    assert_false(scratch_exists(scene->folder, LOCK));
}

static void expect_held(struct scene *scene)
{
    struct lock *lock = NULL;
    assert_int_equal(take(scene, &lock, 0, false), EXIT_CONFIG);
    assert_null(lock);
    assert_true(scratch_exists(scene->folder, LOCK));
}

static void test_free_one_is_taken_and_given_back(void **state)
{
    struct scene *scene = *state;
    expect_taken(scene, 0, false);
}

static void test_of_the_dead_is_taken_at_once(void **state)
{
    struct scene *scene = *state;
    write_lock(scene, NULL, dead_pid(), NULL, 0);
    expect_taken(scene, 0, false);
    /* The number lives, as another process that began at another time. */
    write_lock(scene, NULL, getpid(), "pid_started", 1);
    expect_taken(scene, 0, false);
}

static void test_of_others_is_left(void **state)
{
    struct scene *scene = *state;
    write_lock(scene, NULL, getpid(), NULL, 0);
    expect_held(scene);
    write_lock(scene, "another-host", dead_pid(), NULL, 0);
    expect_held(scene);
    write_lock(scene, NULL, dead_pid(), "pid_namespace", 1);
    expect_held(scene);
    write_lock(scene, NULL, dead_pid(), "boot_id", 1); /* no text: not known */
    expect_held(scene);
}

static void test_a_broken_one_is_waited_for(void **state)
{
    struct scene *scene = *state;
    scratch_write(scene->folder, LOCK, "{", 1);
    expect_held(scene);
    expect_taken(scene, 10, false); /* after its lease */
}

static void test_told_to_it_is_broken(void **state)
{
    struct scene *scene = *state;
    write_lock(scene, NULL, getpid(), NULL, 0);
    expect_taken(scene, 0, true);
}

static void test_silent_for_a_lease_it_is_taken(void **state)
{
    struct scene *scene = *state;
    write_lock(scene, "another-host", 1, NULL, 0);
    expect_taken(scene, 10, false);
}

/* A holder that beats keeps it, however long another waits: more than a lease goes by. */
static void test_beats_keep_it(void **state)
{
    struct scene *scene = *state;
    struct lock *lock = NULL;
    struct lock *second = NULL;
    const struct lock_options patient = {.train_text = scene->url, .beat_s = BEAT_S, .lease_s = 4};
    bool is_conditional = false;
    assert_int_equal(lock_take(&lock, &scene->app, &patient, &is_conditional), EXIT_DONE);
    assert_true(is_conditional);
    assert_int_equal(take(scene, &second, 6, false), EXIT_CONFIG);
    assert_false(atomic_load(lock_lost(lock)));
    json_t *root = read_lock(scene);
    assert_true(json_integer_value(json_object_get(root, "heartbeat")) > 3);
    json_decref(root);
    lock_release(lock);
    assert_false(scratch_exists(scene->folder, LOCK));
}

static void test_the_run_is_named(void **state)
{
    struct scene *scene = *state;
    struct lock *lock = NULL;
    bool named = false;
    assert_int_equal(take(scene, &lock, 0, false), EXIT_DONE);
    lock_name_run(lock, "20261124T000000Z-bbbbbb", 4);
    while (!named) {
        json_t *root = read_lock(scene);
        const char *run = json_string_value(json_object_get(root, "run"));
        named = run && strcmp(run, "20261124T000000Z-bbbbbb") == 0 &&
                json_integer_value(json_object_get(root, "attempt")) == 4;
        json_decref(root);
    }
    lock_release(lock);
}

static void wait_until_lost(const struct lock *lock)
{
    while (!atomic_load(lock_lost(lock))) {
        usleep(1000);
    }
}

/* Who lost it knows, and does not take it away from the other, nor write it again. */
static void test_lost_it_is_the_others(void **state)
{
    struct scene *scene = *state;
    struct lock *first = NULL;
    struct lock *second = NULL;
    assert_int_equal(take(scene, &first, 0, false), EXIT_DONE);
    assert_int_equal(take(scene, &second, 0, true), EXIT_DONE);
    wait_until_lost(first);
    lock_release(first);
    assert_true(scratch_exists(scene->folder, LOCK));
    assert_false(atomic_load(lock_lost(second)));
    lock_release(second);
    assert_false(scratch_exists(scene->folder, LOCK));
}

/* One that was taken between the last beat and the end is not removed either. */
static void test_the_end_leaves_anothers(void **state)
{
    struct scene *scene = *state;
    struct lock *lock = NULL;
    const struct lock_options slow = {.train_text = scene->url, .beat_s = 1000, .lease_s = LEASE_S};
    bool is_conditional = false;
    assert_int_equal(lock_take(&lock, &scene->app, &slow, &is_conditional), EXIT_DONE);
    write_lock(scene, "another-host", 1, NULL, 0);
    lock_release(lock);
    assert_true(scratch_exists(scene->folder, LOCK));
}

static void test_removed_it_is_lost(void **state)
{
    struct scene *scene = *state;
    struct lock *lock = NULL;
    assert_int_equal(take(scene, &lock, 0, false), EXIT_DONE);
    /* A beat's temporary file may be renamed between two looks: remove until it is noticed. */
    while (!atomic_load(lock_lost(lock))) {
        unlink(scratch_path(scene->folder, LOCK));
        usleep(1000);
    }
    lock_release(lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_free_one_is_taken_and_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_the_dead_is_taken_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_others_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_broken_one_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_told_to_it_is_broken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_for_a_lease_it_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_beats_keep_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_run_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_it_is_the_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end_leaves_anothers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed_it_is_lost, setup, teardown),
    };
    char message[256];
    char word[] = "--sign=none";
    char *argv[] = {word};
    if (!options_parse(&arguments, FOR_RUN, 1, argv, true, message, sizeof message)) {
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
