/* test_threads.c - the workers run every job once, start, sleep and end; cores are counted. */
#include "model/base/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "mnist_fixture.h"
#include "model/base/cores.h"

enum {
    JOBS_MAX = 100
};

struct board {
    unsigned threads;
    unsigned char runs[JOBS_MAX]; /* plain memory: a job run twice at once is a race */
    unsigned long by_thread[8];
};

static void run_job(void *context, size_t index, unsigned thread)
{
    struct board *board = context;
    assert_true(thread < board->threads);
    board->runs[index]++;
    board->by_thread[thread]++;
}

static void runs_every_job_once(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct workers *workers = NULL;
        assert_int_equal(workers_new(&workers, threads, NULL), MODEL_OK);
        assert_int_equal(workers_count(workers), threads);
        for (size_t round = 0; round < 300; round++) {
            struct board board = {.threads = threads};
            size_t jobs = round % (JOBS_MAX + 1);
            workers_run(workers, run_job, &board, jobs);
            for (size_t i = 0; i < JOBS_MAX; i++) {
                assert_int_equal(board.runs[i], i < jobs);
            }
        }
        workers_free(workers);
    }
}

/* Longer than the spin: the threads sleep in between and must wake again. */
static void wakes_sleeping_threads(void **state)
{
    (void)state;
    struct workers *workers = NULL;
    assert_int_equal(workers_new(&workers, 3, NULL), MODEL_OK);
    for (int round = 0; round < 3; round++) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        struct board board = {.threads = 3};
        workers_run(workers, run_job, &board, JOBS_MAX);
        unsigned long sum = board.by_thread[0] + board.by_thread[1] + board.by_thread[2];
        assert_int_equal(sum, JOBS_MAX);
    }
    workers_free(workers);
}

static void ends_without_ever_running(void **state)
{
    (void)state;
    struct workers *workers = NULL;
    assert_int_equal(workers_new(&workers, 4, NULL), MODEL_OK);
    workers_free(workers);
    workers_free(NULL);
}

/* ---- cores ------------------------------------------------------------------------------------
 */

/* A folder of control groups: files to write, and the quota that must come out. */
static const struct quota_case {
    const char *what;
    const char *membership;
    struct {
        const char *folder;
        const char *name;
        const char *text;
    } files[4];
    unsigned cores;
} quota_cases[] = {
    {"version 2, one and a half", "0::/job\n", {{"job", "cpu.max", "150000 100000\n"}}, 2},
    {"version 2, whole", "0::/job\n", {{"job", "cpu.max", "300000 100000\n"}}, 3},
    {"version 2, none", "0::/job\n", {{"job", "cpu.max", "max 100000\n"}}, 0},
    {"version 2, a parent's binds",
     "0::/job/step\n",
     {{"job", "cpu.max", "100000 100000\n"}, {"job/step", "cpu.max", "800000 100000\n"}},
     1},
    {"version 2, at the root of a container",
     "0::/elsewhere/on/the/host\n",
     {{".", "cpu.max", "200000 100000\n"}},
     2},
    {"version 1",
     "5:memory:/job\n4:cpu,cpuacct:/job\n0::/\n",
     {{"cpu,cpuacct/job", "cpu.cfs_quota_us", "250000\n"},
      {"cpu,cpuacct/job", "cpu.cfs_period_us", "100000\n"}},
     3},
    {"version 1, none",
     "4:cpu:/job\n",
     {{"cpu/job", "cpu.cfs_quota_us", "-1\n"}, {"cpu/job", "cpu.cfs_period_us", "100000\n"}},
     0},
    {"another controller's files",
     "4:cpuset:/job\n",
     {{"cpuset/job", "cpu.cfs_quota_us", "1\n"}, {"cpuset/job", "cpu.cfs_period_us", "1\n"}},
     0},
    {"nonsense", "0::/job\n", {{"job", "cpu.max", "lots\n"}}, 0},
    {"no period", "0::/job\n", {{"job", "cpu.max", "100000 0\n"}}, 0},
    {"no such group", "0::/job\nwhat\n::\n", {{0}}, 0},
};

static void make_folders(const char *root, const char *folder)
{
    char path[FIXTURE_PATH_MAX];
    fixture_path(path, root, folder);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    mkdir(path, 0755);
}

static void reads_the_quota_of_control_groups(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof quota_cases / sizeof quota_cases[0]; i++) {
        const struct quota_case *c = &quota_cases[i];
        char root[FIXTURE_PATH_MAX];
        char membership[FIXTURE_PATH_MAX];
        fixture_folder(root);
        fixture_write(root, "membership", c->membership, strlen(c->membership), false);
        fixture_path(membership, root, "membership");
        for (size_t f = 0; f < 4 && c->files[f].name; f++) {
            char folder[FIXTURE_PATH_MAX];
            make_folders(root, c->files[f].folder);
            fixture_path(folder, root, c->files[f].folder);
            fixture_write(folder, c->files[f].name, c->files[f].text, strlen(c->files[f].text),
                          false);
        }
        unsigned cores = cores_quota(membership, root);
        fixture_remove(root);
        if (cores != c->cores) {
            fail_msg("%s: %u cores, not %u", c->what, cores, c->cores);
        }
    }
    assert_int_equal(cores_quota("/nowhere", "/nowhere"), 0);
    assert_true(cores_usable() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_every_job_once),
        cmocka_unit_test(wakes_sleeping_threads),
        cmocka_unit_test(ends_without_ever_running),
        cmocka_unit_test(reads_the_quota_of_control_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
