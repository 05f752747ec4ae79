#include "runner/job/child.h"

#include "runner/job/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    PAUSE_MS = 10,
    ROUNDS_MAX = 100 /* of SIGKILL to what goes on forking */
};

static void sleep_ms(unsigned ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};
    nanosleep(&pause, NULL);
}

/* ---- start ---------------------------------------------------------------------------------- */

/* In the child, between fork and exec: only what a signal handler may do. Does not return. */
static _Noreturn void become(const struct child_start *start, pid_t parent, int failed)
{
    sigset_t none;
    setsid();
    /* A handler of ours must not run here; exec itself puts caught signals back to their default.
     */
    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction now;
        if (sigaction(number, NULL, &now) == 0 &&
            (now.sa_handler != SIG_IGN || number == SIGPIPE)) {
            signal(number, SIG_DFL);
        }
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (parent != 1) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) {
            _exit(EXIT_FAILURE);
        }
    }
    if ((start->output < 0 || dup2(start->output, STDOUT_FILENO) >= 0) &&
        (start->errors < 0 || dup2(start->errors, STDERR_FILENO) >= 0)) {
        execve(start->path, start->arguments, start->variables);
    }
    int failure = errno;
    ssize_t told = write(failed, &failure, sizeof failure);
    _exit(told == (ssize_t)sizeof failure ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Forks and waits until exec has happened. Returns 0 or errno. */
static int fork_and_exec(struct child *child, const struct child_start *start)
{
    int failed[2];
    int failure = 0;
    sigset_t all;
    sigset_t before;
    if (pipe2(failed, O_CLOEXEC) != 0) {
        return errno;
    }
    pid_t parent = getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        become(start, parent, failed[1]);
    }
    failure = pid < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(failed[1]);
    if (pid > 0) {
        ssize_t got = 0;
        do {
            got = read(failed[0], &failure, sizeof failure);
        } while (got < 0 && errno == EINTR);
        if (got == (ssize_t)sizeof failure) {
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
            }
        } else {
            *child = (struct child){.pid = pid};
        }
    }
    close(failed[0]);
    return failure;
}

int child_start(struct child *child, const struct child_start *start)
{
    memset(child, 0, sizeof *child);
    fflush(NULL);
    int failure = fork_and_exec(child, start);
    if (failure != ENOEXEC) {
        return failure;
    }
    size_t count = 0;
    while (start->arguments[count]) {
        count++;
    }
    const char **words = calloc(count + 2, sizeof *words);
    if (!words) {
        return ENOMEM;
    }
    words[0] = "sh";
    words[1] = start->path;
    memcpy(words + 2, start->arguments + 1, count * sizeof *words); /* with the NULL */
    struct child_start shell = *start;
    shell.path = "/bin/sh";
    shell.arguments = (char *const *)words;
    failure = fork_and_exec(child, &shell);
    free(words);
    return failure;
}

/* ---- end ------------------------------------------------------------------------------------ */

void child_reap(struct child *child)
{
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == child->pid) {
            child->ended = true;
            child->status = status;
        }
    }
}

void child_signal(const struct child *child, int number, bool to_group)
{
    if (child->pid > 0 && to_group) {
        kill(-child->pid, number);
    } else if (child->pid > 0 && !child->ended) {
        kill(child->pid, number);
    }
}

void child_adopt_orphans(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* A set of processes that are to end, looked for again each round. */
struct sweep {
    bool (*is_meant)(const struct sweep *sweep, const struct process *process);
    const struct child *child;
    const char *ckpt_dir;
    pid_t session; /* ours */
    int number;    /* the signal each is sent; 0: none */
    unsigned found;
};

static void sweep_one(void *context, const struct process *process)
{
    struct sweep *sweep = context;
    if (process->state != 'Z' && process->pid != getpid() && sweep->is_meant(sweep, process)) {
        kill(process->pid, sweep->number);
        sweep->found++;
    }
}

static unsigned sweep_with(struct sweep *sweep, int number)
{
    sweep->number = number;
    sweep->found = 0;
    processes_each(sweep_one, sweep);
    return sweep->found;
}

static void reap_all(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

/* SIGTERM, patience, SIGKILL. Returns how many there were at first. */
static unsigned end_all(struct sweep *sweep, unsigned patience_ms)
{
    unsigned count = sweep_with(sweep, SIGTERM);
    unsigned left = count;
    for (unsigned waited = 0; left > 0 && waited < patience_ms; waited += PAUSE_MS) {
        reap_all();
        sleep_ms(PAUSE_MS);
        left = sweep_with(sweep, 0);
    }
    for (unsigned round = 0; left > 0 && round < ROUNDS_MAX; round++) {
        left = sweep_with(sweep, SIGKILL);
        reap_all();
        sleep_ms(left > 0 ? PAUSE_MS : 0);
    }
    reap_all();
    return count;
}

/* Of the child's group, or handed to us when its parent died. Our own children share our session.
 */
static bool is_left(const struct sweep *sweep, const struct process *process)
{
    return process->group == sweep->child->pid || process->session == sweep->child->pid ||
           (process->parent == getpid() && process->session != sweep->session);
}

unsigned child_clear(const struct child *child, unsigned patience_ms)
{
    struct sweep sweep = {.is_meant = is_left, .child = child, .session = getsid(0)};
    if (child->pid <= 0) {
        return 0;
    }
    return end_all(&sweep, patience_ms);
}

void child_runner_name(char *out, size_t size)
{
    struct process self = {0};
    process_read(&self, getpid());
    snprintf(out, size, "%ld.%llu", (long)getpid(), self.start_time);
}

/* Whether the runner that "PID.START" names is at work. */
static bool is_alive(const char *name)
{
    char *end = NULL;
    struct process process;
    long pid = strtol(name, &end, 10);
    unsigned long long start = *end == '.' ? strtoull(end + 1, NULL, 10) : 0;
    return process_read(&process, (pid_t)pid) && process.start_time == start &&
           process.state != 'Z';
}

static bool is_stray(const struct sweep *sweep, const struct process *process)
{
    char folder[4096];
    char runner[64];
    return process_variable(process->pid, "JOBFERRY_CKPT_DIR", folder, sizeof folder) &&
           strcmp(folder, sweep->ckpt_dir) == 0 && process_shares_files(process->pid) &&
           process_variable(process->pid, "JOBFERRY_RUNNER", runner, sizeof runner) &&
           !is_alive(runner);
}

unsigned child_clear_strays(const char *ckpt_dir, unsigned patience_ms)
{
    struct sweep sweep = {.is_meant = is_stray, .ckpt_dir = ckpt_dir};
    return end_all(&sweep, patience_ms);
}
