/*
 * job.c - the job as a machine of states: the table below is the whole of it, and the picture in
 * runner/README.md is the table.
 */
#include "runner/job/job.h"
#include "runner/job/ferry.h"
#include "runner/job/lock.h"
#include "runner/job/records.h"
#include "runner/job/trainer.h"

#include <stdio.h>
#include <stdlib.h>

#include "runner/runner_banned.h"

/*
 * Where each state leads: when it went well, when it was told to stop (EXIT_STOPPED), and when it
 * failed. Once something has begun, every way leads through DRAIN and FINALIZE, so that what was
 * saved goes out and a report is written whatever happened.
 */
static const struct state {
    const char *name;
    enum exit_code (*enter)(struct job *job);
    enum job_state next, stopped, failed;
} states[] = {
    [STATE_INIT] = {"init", state_init, STATE_VALIDATE, STATE_END, STATE_END},
    /* A command line or a place that is wrong leaves no report here: nothing began. */
    [STATE_VALIDATE] = {"validate", state_validate, STATE_LOCK, STATE_END, STATE_END},
    [STATE_LOCK] = {"lock", state_lock, STATE_STAGE_IN, STATE_DRAIN, STATE_DRAIN},
    [STATE_STAGE_IN] = {"stage_in", state_stage_in, STATE_RESUME, STATE_DRAIN, STATE_DRAIN},
    [STATE_RESUME] = {"resume", state_resume, STATE_RUN, STATE_DRAIN, STATE_DRAIN},
    [STATE_RUN] = {"run", state_run, STATE_DRAIN, STATE_STOPPING, STATE_DRAIN},
    [STATE_STOPPING] = {"stopping", state_stopping, STATE_DRAIN, STATE_DRAIN, STATE_DRAIN},
    [STATE_DRAIN] = {"drain", state_drain, STATE_FINALIZE, STATE_FINALIZE, STATE_FINALIZE},
    [STATE_FINALIZE] = {"finalize", state_finalize, STATE_END, STATE_END, STATE_END},
};

/* What a state's code means for the job's, and why. */
static void settle(struct job *job, enum exit_code code)
{
    /* The first failure stays. A stop is only the beginning of an end: how that went says more. */
    bool is_open = job->code == EXIT_DONE || job->code == EXIT_STOPPED;
    if (is_open && code != EXIT_DONE) {
        job->code = code;
        copy_text(job->reason, sizeof job->reason, job->app->log.failure);
    }
}

/*
 * Leaves word of the end on the local disk: before DRAIN, which may take longer than we are given,
 * and again when it is known how it went.
 */
static void tell_platform(struct job *job, enum job_state at)
{
    if (at == STATE_FINALIZE || at == STATE_DRAIN || job->code != EXIT_DONE) {
        bool is_open = job->code == EXIT_STOPPED;
        int code = is_open ? EXIT_PREEMPTED_UNSAFE : (int)job->code;
        char message[sizeof job->reason + 64];
        snprintf(message, sizeof message, "jobferry: exit code %d: %s\n", code,
                 is_open ? "told to stop; whether the newest checkpoint is safe is not known yet"
                 : job->code ? job->reason
                             : "finished");
        termination_write(&job->termination, job->settings->termination_log,
                          job->settings->failure_file, code, message);
    }
}

/* Does one state and returns the one that follows. */
static enum job_state step(struct job *job, enum job_state at)
{
    const struct state *state = &states[at];
    double began = clock_seconds();
    if (job->report) {
        report_state(job->report, state->name);
    }
    if (at == STATE_RUN || at == STATE_STOPPING || at == STATE_DRAIN) {
        records_upload_soon(job);
    }
    enum exit_code code = state->enter(job);
    /* In these, nothing but the flag tells: RUN sees to it itself. */
    if (at < STATE_RUN && atomic_load(job->app->stop) &&
        (code == EXIT_DONE || code == EXIT_INTERRUPTED)) {
        code = EXIT_STOPPED;
    }
    if (code == EXIT_STOPPED && state->stopped == STATE_END) {
        code = app_fail(job->app, EXIT_PREEMPTED, "stopped on a signal before anything began");
    }
    if (job->report && at != STATE_FINALIZE) {
        bool stage = at == STATE_STAGE_IN;
        report_phase(job->report, state->name, clock_seconds() - began,
                     stage ? job->staged_bytes : 0, stage ? job->staged_objects : 0);
    }
    settle(job, code);
    tell_platform(job, at);
    return job->nothing_to_do     ? STATE_END
           : code == EXIT_DONE    ? state->next
           : code == EXIT_STOPPED ? state->stopped
                                  : state->failed;
}

struct job *job_new(struct app *app, bool has_remote)
{
    struct job *job = calloc(1, sizeof *job);
    if (job) {
        job->app = app;
        job->settings = app->settings;
        job->has_remote = has_remote;
        job->trainer = app->arguments->after_dashes_count > 0 ? &trainer_command : &trainer_builtin;
    }
    return job;
}

void job_free(struct job *job)
{
    if (!job) {
        return;
    }
    ferry_free(job->ferry);
    publisher_free(job->publisher);
    lock_release(job->lock);
    job->trainer->release(job);
    runs_release(&job->runs);
    records_end(job);
    report_free(job->report);
    place_close(&job->data);
    place_close(&job->train);
    free(job);
}

enum exit_code job_main(struct app *app, bool has_remote)
{
    struct job *job = job_new(app, has_remote);
    if (!job) {
        return app_fail(app, EXIT_BUG, "begin: no memory");
    }
    log_expect_file(&app->log);
    for (enum job_state at = STATE_INIT; at != STATE_END;) {
        at = step(job, at);
    }
    enum exit_code code = job->code;
    job_free(job);
    return code;
}
