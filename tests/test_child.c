/* test_child.c - COMMAND as processes, and what is told of its end: each exit code and signal, exec
 * that fails, words, the control group's counter, the platforms' files. */
#include "runner/environment.h"
#include "runner/job/cgroup.h"
#include "runner/job/child.h"
#include "runner/job/command_line.h"
#include "runner/job/termination.h"
#include "runner/signals.h"

#include "tests/scratch.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int make_folder(void **state)
{
    *state = scratch_make();
    return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
    scratch_remove(*state);
    return 0;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_text(const char *path, const char *text)
{
    char found[8192];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(found, 1, sizeof found - 1, file);
    found[length] = '\0';
    fclose(file);
    assert_string_equal(found, text);
}

/* Starts `sh -c script`, waits for its end, and returns its status. */
static int run(const char *script)
{
    char *words[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
    struct child child;
    const struct child_start start = {
        .path = "/bin/sh", .arguments = words, .variables = environ, .output = -1, .errors = -1};
    assert_int_equal(child_start(&child, &start), 0);
    for (int i = 0; i < 60000 && !child.ended; i++) {
        poll(NULL, 0, 1);
        child_reap(&child);
    }
    assert_true(child.ended);
    return child.status;
}

static void every_code_arrives(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code++) {
        char script[32];
        snprintf(script, sizeof script, "exit %d", code);
        int status = run(script);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), code);
    }
}

static void every_signal_arrives(void **state)
{
    (void)state;
    for (int number = 1; number < 32; number++) {
        bool ends = number != SIGCHLD && number != SIGCONT && number != SIGSTOP &&
                    number != SIGTSTP && number != SIGTTIN && number != SIGTTOU &&
                    number != SIGURG && number != SIGWINCH;
        char script[64];
        if (!ends) {
            continue;
        }
        snprintf(script, sizeof script, "ulimit -c 0; kill -%d $$; sleep 10", number);
        int status = run(script);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), number);
    }
}

static void exec_that_fails_is_told(void **state)
{
    (void)state;
    char *words[] = {(char *)"x", NULL};
    struct child child;
    struct child_start start = {.path = "/no/such/program",
                                .arguments = words,
                                .variables = environ,
                                .output = -1,
                                .errors = -1};
    assert_int_equal(child_start(&child, &start), ENOENT);
    assert_int_equal(child.pid, 0);
    start.path = "/";
    assert_int_equal(child_start(&child, &start), EACCES);
    /* Nothing of them is left to be waited for. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void signals_have_names(void **state)
{
    (void)state;
    char name[16];
    assert_int_equal(signals_parse("TERM"), SIGTERM);
    assert_int_equal(signals_parse("sigusr1"), SIGUSR1);
    assert_int_equal(signals_parse("15"), 15);
    assert_int_equal(signals_parse("RTMIN+2"), SIGRTMIN + 2);
    assert_int_equal(signals_parse("RTMIN+99"), 0);
    assert_int_equal(signals_parse("NOPE"), 0);
    assert_int_equal(signals_parse(""), 0);
    assert_int_equal(signals_parse("0"), 0);
    signals_name(SIGKILL, name, sizeof name);
    assert_string_equal(name, "SIGKILL");
}

static void counters_are_read(void **state)
{
    const char *folder = *state;
    char proc[512];
    char mount[512];
    char path[1024];
    uint64_t kills = 0;
    snprintf(proc, sizeof proc, "%s/cgroup", folder);
    snprintf(mount, sizeof mount, "%s/mount", folder);
    snprintf(path, sizeof path, "%s/memory/pod", mount);
    mkdir(mount, 0755);
    assert_false(cgroup_oom_kills(proc, mount, &kills));

    /* Version 2, in a group of its own, and in a container where the path lies outside. */
    write_text(proc, "0::/pod\n");
    snprintf(path, sizeof path, "%s/pod", mount);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/pod/memory.events", mount);
    write_text(path, "low 0\nhigh 4\nmax 9\noom 1\noom_kill 7\noom_group_kill 0\n");
    assert_true(cgroup_oom_kills(proc, mount, &kills));
    assert_int_equal(kills, 7);
    write_text(proc, "0::/../../outside\n");
    snprintf(path, sizeof path, "%s/memory.events", mount);
    write_text(path, "oom 1\noom_kill 3\n");
    assert_true(cgroup_oom_kills(proc, mount, &kills));
    assert_int_equal(kills, 3);

    /* Version 1, memory among several controllers. */
    write_text(proc, "12:pids:/x\n5:cpu,memory:/pod\n0::/\n");
    snprintf(path, sizeof path, "%s/memory", mount);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/memory/memory.oom_control", mount);
    write_text(path, "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    assert_true(cgroup_oom_kills(proc, mount, &kills));
    assert_int_equal(kills, 2);
}

static void platforms_are_told(void **state)
{
    const char *folder = *state;
    char log[512];
    char failure[512];
    char longer[6000];
    struct termination termination = {{0}, {0}};
    snprintf(log, sizeof log, "%s/termination-log", folder);
    snprintf(failure, sizeof failure, "%s/failure", folder);

    termination_write(&termination, log, failure, 0, "first");
    assert_int_equal(access(log, F_OK), -1); /* no platform */
    write_text(log, "");
    termination_write(&termination, log, failure, 0, "first");
    expect_text(log, "first");
    assert_int_equal(access(failure, F_OK), -1); /* no failure */
    termination_write(&termination, log, failure, 3, "second");
    expect_text(log, "second");
    expect_text(failure, "second");
    write_text(log, "the user's");
    write_text(failure, "the user's");
    termination_write(&termination, log, failure, 3, "third");
    expect_text(log, "the user's");
    expect_text(failure, "the user's");

    /* Cut between characters: the last one here has two bytes. */
    memset(longer, 'x', sizeof longer);
    memcpy(longer + TERMINATION_MAX - 1, "ü", 2);
    longer[sizeof longer - 1] = '\0';
    struct termination another = {{0}, {0}};
    write_text(log, "");
    unlink(failure);
    termination_write(&another, log, failure, 3, longer);
    struct stat status;
    assert_int_equal(stat(log, &status), 0);
    assert_int_equal(status.st_size, TERMINATION_MAX - 1);
    assert_int_equal(stat(failure, &status), 0);
    assert_int_equal(status.st_size, FAILURE_MAX);
}

static void secrets_are_hidden(void **state)
{
    (void)state;
    struct environment environment;
    setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
    assert_true(environment_init(&environment, false));
    for (size_t i = 0; i < environment.count; i++) {
        assert_null(strstr(environment.variables[i], "hush"));
    }
    assert_true(environment_set(&environment, "NAME", "one"));
    size_t count = environment.count;
    assert_true(environment_set(&environment, "NAME", "two"));
    assert_int_equal(environment.count, count);
    assert_string_equal(environment.variables[count - 1], "NAME=two");
    assert_null(environment.variables[count]);
    environment_release(&environment);
    assert_true(environment_init(&environment, true));
    bool found = false;
    for (size_t i = 0; i < environment.count; i++) {
        found = found || strcmp(environment.variables[i], "AWS_SECRET_ACCESS_KEY=hush") == 0;
    }
    assert_true(found);
    environment_release(&environment);
    unsetenv("AWS_SECRET_ACCESS_KEY");
    assert_true(environment_is_secret("OBS_SECURITY_TOKEN=x"));
    assert_false(environment_is_secret("OBS_SECURITY_TOKENS=x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_arrives),
        cmocka_unit_test(every_signal_arrives),
        cmocka_unit_test(exec_that_fails_is_told),
        cmocka_unit_test(signals_have_names),
        cmocka_unit_test(secrets_are_hidden),
        cmocka_unit_test_setup_teardown(counters_are_read, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(platforms_are_told, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
