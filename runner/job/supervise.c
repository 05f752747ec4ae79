/* supervise.c - COMMAND's life: started, told what we are told, waited for, ended. */
#include "runner/environment.h"
#include "runner/job/cgroup.h"
#include "runner/job/command.h"
#include "runner/job/command_line.h"
#include "runner/job/ferry.h"
#include "runner/job/lock.h"
#include "runner/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    LEFTOVERS_MS = 2000, /* patience with what COMMAND left behind */
    BACKOFF_MAX_S = 60
};

/* Shares of --grace, as its help says: the rest is for the upload. */
static const double SAVE_SHARE = 0.5; /* COMMAND alone; then its group is told */
static const double KILL_SHARE = 0.6;
static const double LOCK_LOOK_S = 1;   /* between two looks whether the lock is ours still */
static const double LAST_OUTPUT_S = 1; /* patience with what is still in the pipes */

/* ---- start ---------------------------------------------------------------------------------- */

static enum exit_code fail_start(struct job *job, int failure)
{
    const char *name = job->app->arguments->after_dashes[0];
    enum exit_code code = failure == ENOENT ? EXIT_NO_COMMAND : EXIT_NOT_EXECUTABLE;
    return app_fail(job->app, code, "start %s: %s", name, strerror(failure));
}

static void close_both(int one, int other)
{
    if (one >= 0) {
        close(one);
    }
    if (other >= 0) {
        close(other);
    }
}

/* Pipes for COMMAND's output, their reading ends the tee's. False: there are none. */
static bool begin_tee(struct job *job, int output[2], int errors[2])
{
    struct command_job *command = job->command;
    bool good = pipe2(output, O_CLOEXEC) == 0 && pipe2(errors, O_CLOEXEC) == 0;
    if (!good) {
        close_both(output[0], errors[0]);
        return false;
    }
    command->teeing = tee_init(&command->tee, job->app->log.file, output[0], errors[0]);
    return command->teeing;
}

static void end_tee(struct command_job *command)
{
    if (command->teeing) {
        tee_finish(&command->tee, LAST_OUTPUT_S);
    }
    command->teeing = false;
}

static enum exit_code start(struct job *job, uint64_t try)
{
    struct command_job *command = job->command;
    struct environment environment = {0};
    int output[2] = {-1, -1};
    int errors[2] = {-1, -1};
    char **words = command_words(job);
    enum exit_code code = EXIT_DONE;
    if (!words || !command_environment(job, &environment, try)) {
        code = app_fail(job->app, EXIT_BUG, "start COMMAND: no memory");
        goto done;
    }
    if (job->app->log.file && !begin_tee(job, output, errors)) {
        code = app_fail(job->app, EXIT_BUG, "start COMMAND: no pipe for its output");
        goto done;
    }
    command->kills = 0;
    cgroup_oom_kills("/proc/self/cgroup", "/sys/fs/cgroup", &command->kills);
    struct child_start start = {
        .path = command->path,
        .arguments = words,
        .variables = environment.variables,
        .output = output[1],
        .errors = errors[1],
    };
    int failure = child_start(&command->child, &start);
    if (failure) {
        code = fail_start(job, failure);
        end_tee(command);
    }
done:
    close_both(output[1], errors[1]);
    environment_release(&environment);
    command_line_free(words);
    return code;
}

/* ---- while it runs -------------------------------------------------------------------------- */

static bool is_stop(const struct job *job, int number)
{
    return number == SIGTERM || number == SIGINT || number == SIGALRM ||
           number == job->preempt_signal;
}

/* Passes on what came; signals that ask for an end are STOPPING's. */
static void pass_on(struct job *job, uint64_t came)
{
    bool to_group = strcmp(job->settings->signal_scope, "group") == 0;
    for (int number = 1; number <= SIGRTMAX; number++) {
        if ((came >> (number - 1) & 1) && number != SIGCHLD && !is_stop(job, number)) {
            child_signal(&job->command->child, number, to_group);
        }
    }
}

/* Waits for signals, at most until a moment (clock_seconds; 0: for ever), reaps, and tees. */
static uint64_t wait_for_signals(struct job *job, double until)
{
    struct command_job *command = job->command;
    struct pollfd events[TEE_STREAMS + 1];
    size_t count = command->teeing ? tee_poll(&command->tee, events) : 0;
    events[count] = (struct pollfd){.fd = command->events, .events = POLLIN};
    double left_ms = (until - clock_seconds()) * 1000;
    int timeout = until == 0 ? -1 : left_ms <= 0 ? 0 : left_ms > 1e6 ? 1000000 : (int)left_ms + 1;
    bool ready = poll(events, count + 1, timeout) > 0;
    if (ready && count > 0) {
        tee_step(&command->tee, events, count);
    }
    uint64_t came = signals_take();
    child_reap(&command->child);
    return came;
}

/* ---- how it ended --------------------------------------------------------------------------- */

/* Whether the kernel has killed for want of memory since COMMAND was started. */
static bool ran_out_of_memory(const struct command_job *command)
{
    uint64_t kills = 0;
    return cgroup_oom_kills("/proc/self/cgroup", "/sys/fs/cgroup", &kills) &&
           kills > command->kills;
}

/* "ended with exit code 3", "was killed by SIGKILL: out of memory (…)". */
static void describe_end(const struct job *job, char *text, size_t size)
{
    const struct command_job *command = job->command;
    int status = command->child.status;
    if (WIFEXITED(status)) {
        /* A shell, or a launcher of workers, has a code of its own for what befell its child. */
        bool lost_one = WEXITSTATUS(status) != 0 && ran_out_of_memory(command);
        snprintf(text, size, "ended with exit code %d%s", WEXITSTATUS(status),
                 lost_one ? "; a process was killed meanwhile: out of memory, as the control "
                            "group's counter says"
                          : "");
        return;
    }
    char name[16];
    signals_name(WTERMSIG(status), name, sizeof name);
    const char *why = "";
    if (command->killed && WTERMSIG(status) == SIGKILL) {
        why = command->killed;
    } else if (WTERMSIG(status) == SIGKILL && ran_out_of_memory(command)) {
        why = ": out of memory, as the control group's counter says";
    }
    snprintf(text, size, "was killed by %s%s%s", name, WCOREDUMP(status) ? ", core dumped" : "",
             why);
}

/* As a shell says it. */
static enum exit_code code_of(int status)
{
    return (enum exit_code)(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* After the child itself has ended: the end of what it left, and of its output. */
static void clear(struct job *job)
{
    unsigned left = child_clear(&job->command->child, LEFTOVERS_MS);
    if (left > 0) {
        log_info(&job->app->log, "COMMAND left %u process%s at work: ended", left,
                 left == 1 ? "" : "es");
    }
    end_tee(job->command);
}

/* ---- RUN ------------------------------------------------------------------------------------ */

/* Watches the checkpoint folder from before COMMAND's first instruction. */
static enum exit_code start_ferry(struct job *job)
{
    const struct settings *settings = job->settings;
    const struct ferry_options options = {
        .folder = job->ckpt_dir,
        .globs = settings->checkpoint_glob,
        .step_pattern = settings->step_pattern,
        .group_by = settings->group_by,
        .polls = strcmp(settings->watch, "poll") == 0,
        /* Of a fresh run nothing can be there yet: what is, is another's; and what is older than a
           run that goes on. */
        .skips_present = job->attempt <= 1,
        .present_from = runs_started_ns(&job->runs, job->run),
    };
    if (job->ferry) {
        ferry_writer(job->ferry, WATCH_WRITER_LIVES);
    } else if (job->publisher) {
        job->ferry = ferry_new(&options, job->publisher, &job->app->log);
        return job->ferry ? EXIT_DONE
                          : app_fail(job->app, EXIT_BUG, "watch %s: no memory", job->ckpt_dir);
    }
    return EXIT_DONE;
}

/* COMMAND and what it left have ended. */
static void tell_ferry(struct job *job)
{
    if (job->ferry) {
        ferry_writer(job->ferry,
                     job->command->child.status == 0 ? WATCH_WRITER_ENDED : WATCH_WRITER_DIED);
    }
}

static bool is_lost(const struct job *job)
{
    return job->lock && atomic_load(lock_lost(job->lock));
}

/* One try from start to end. EXIT_STOPPED: it is at work, and an end was asked for. */
static enum exit_code run_once(struct job *job, uint64_t try)
{
    struct command_job *command = job->command;
    enum exit_code code = start_ferry(job);
    if (!code) {
        code = start(job, try);
    }
    if (code) {
        return code;
    }
    for (;;) {
        pass_on(job, wait_for_signals(job, clock_seconds() + LOCK_LOOK_S));
        if (command->child.ended) {
            break;
        }
        if (atomic_load(job->app->stop) || is_lost(job)) {
            return EXIT_STOPPED;
        }
    }
    clear(job);
    tell_ferry(job);
    code = code_of(command->child.status);
    if (code && atomic_load(job->app->stop)) {
        return EXIT_STOPPED; /* whoever told us to stop has told it too */
    }
    if (code) {
        char text[256];
        describe_end(job, text, sizeof text);
        job->by_command = true;
        app_fail(job->app, code, "%s %s", job->app->arguments->after_dashes[0], text);
    }
    return code;
}

/* Waits before the next try; false: an end was asked for. */
static bool back_off(struct job *job, uint64_t try)
{
    double pause = try < 7 ? (double)(1U << (try - 1)) : BACKOFF_MAX_S;
    pause = pause > BACKOFF_MAX_S ? BACKOFF_MAX_S : pause;
    double until = clock_seconds() + pause;
    log_warn(&job->app->log, "COMMAND failed: try %llu of %llu in %.0f s",
             (unsigned long long)try + 1, (unsigned long long)job->settings->retries + 1, pause);
    while (!atomic_load(job->app->stop) && clock_seconds() < until) {
        wait_for_signals(job, until);
    }
    return !atomic_load(job->app->stop);
}

enum exit_code command_supervise(struct job *job)
{
    struct command_job *command = job->command;
    enum exit_code code = EXIT_DONE;
    child_adopt_orphans();
    command->events = signals_listen();
    if (command->events < 0) {
        return app_fail(job->app, EXIT_BUG, "listen for signals: %s", strerror(errno));
    }
    for (uint64_t try = 1;; try++) {
        code = run_once(job, try);
        bool is_final = code == EXIT_DONE || code == EXIT_STOPPED || command->child.pid == 0;
        if (is_final || try > job->settings->retries) {
            return code;
        }
        job->by_command = false;
        if (!back_off(job, try)) {
            return EXIT_STOPPED;
        }
        code = command_resume_again(job);
        if (code) {
            return code;
        }
    }
}

/* ---- STOPPING ------------------------------------------------------------------------------- */

/* What COMMAND is told first: what was asked for, or what we were sent. */
static int first_signal(const struct job *job)
{
    int cause = signals_cause();
    return job->preempt_signal ? job->preempt_signal : cause == SIGINT ? SIGINT : SIGTERM;
}

enum exit_code command_stop(struct job *job)
{
    struct command_job *command = job->command;
    double began = clock_seconds();
    double save_until = began + SAVE_SHARE * (double)job->settings->grace;
    double kill_at = began + KILL_SHARE * (double)job->settings->grace;
    bool told_group = strcmp(job->settings->signal_scope, "group") == 0;
    if (command->child.ended || command->child.pid == 0) {
        return EXIT_DONE; /* between two tries, or it was told at the same time */
    }
    char name[16];
    signals_name(first_signal(job), name, sizeof name);
    log_info(&job->app->log, "told to stop: COMMAND gets %s, and %.1f s", name,
             kill_at - clock_seconds());
    child_signal(&command->child, first_signal(job), told_group);
    /* One that was stopped by SIGSTOP or SIGTSTP hears nothing. */
    child_signal(&command->child, SIGCONT, told_group);
    bool termed = false;
    while (!command->child.ended) {
        double now = clock_seconds();
        if (now >= kill_at || atomic_load(job->app->stop_now)) {
            command->killed = now >= kill_at ? ": it had not ended in its share of --grace"
                                             : ": a second signal came";
            child_signal(&command->child, SIGKILL, true);
            child_signal(&command->child, SIGKILL, false);
        } else if (now >= save_until && !termed) {
            termed = true;
            child_signal(&command->child, SIGTERM, true);
        }
        double next = now >= kill_at ? now + 1 : termed ? kill_at : save_until;
        pass_on(job, wait_for_signals(job, next));
    }
    clear(job);
    tell_ferry(job);
    char text[256];
    describe_end(job, text, sizeof text);
    log_info(&job->app->log, "COMMAND %s", text);
    return EXIT_DONE;
}
