/*
 * job.c - the job as a machine of states: the table below is the whole of it, and the picture in
 * runner/README.md is the table.
 */
#include "runner/job/job.h"
#include "runner/job/trainer.h"

#include <stdlib.h>

#include "runner/runner_banned.h"

/*
 * Where each state leads: when it went well, when it was told to stop (EXIT_PREEMPTED), and when it
 * failed. Once something has begun, every way leads through DRAIN and FINALIZE, so that what was
 * saved goes out and a report is written whatever happened.
 */
static const struct state {
    const char *name;
    enum exit_code (*enter)(struct job *job);
    enum job_state next, stopped, failed;
} states[] = {
    [STATE_INIT] = {"init", state_init, STATE_VALIDATE, STATE_END, STATE_END},
    /* A command line or a place that is wrong leaves no report: nothing began. */
    [STATE_VALIDATE] = {"validate", state_validate, STATE_LOCK, STATE_END, STATE_END},
    [STATE_LOCK] = {"lock", state_lock, STATE_STAGE_IN, STATE_DRAIN, STATE_DRAIN},
    [STATE_STAGE_IN] = {"stage_in", state_stage_in, STATE_RESUME, STATE_DRAIN, STATE_DRAIN},
    [STATE_RESUME] = {"resume", state_resume, STATE_RUN, STATE_DRAIN, STATE_DRAIN},
    [STATE_RUN] = {"run", state_run, STATE_DRAIN, STATE_STOPPING, STATE_DRAIN},
    [STATE_STOPPING] = {"stopping", state_stopping, STATE_DRAIN, STATE_DRAIN, STATE_DRAIN},
    [STATE_DRAIN] = {"drain", state_drain, STATE_FINALIZE, STATE_FINALIZE, STATE_FINALIZE},
    [STATE_FINALIZE] = {"finalize", state_finalize, STATE_END, STATE_END, STATE_END},
};

/* The job's code after a state ended with code. */
static enum exit_code settle(enum exit_code before, enum exit_code code)
{
    /* The first failure stays. But a stop is only the beginning of an end: how that went says more.
     */
    return before == EXIT_DONE || (before == EXIT_PREEMPTED && code != EXIT_DONE) ? code : before;
}

/* Does one state and returns the one that follows. */
static enum job_state step(struct job *job, enum job_state at)
{
    const struct state *state = &states[at];
    double began = clock_seconds();
    enum exit_code code = state->enter(job);
    if (at < STATE_RUN && atomic_load(job->app->stop) &&
        (code == EXIT_DONE || code == EXIT_INTERRUPTED)) {
        code = EXIT_PREEMPTED;
    }
    if (job->report && at != STATE_FINALIZE) {
        bool stage = at == STATE_STAGE_IN;
        report_phase(job->report, state->name, clock_seconds() - began,
                     stage ? job->staged_bytes : 0, stage ? job->staged_objects : 0);
    }
    job->code = settle(job->code, code);
    return code == EXIT_DONE        ? state->next
           : code == EXIT_PREEMPTED ? state->stopped
                                    : state->failed;
}

struct job *job_new(struct app *app, bool has_remote)
{
    struct job *job = calloc(1, sizeof *job);
    if (job) {
        job->app = app;
        job->settings = app->settings;
        job->has_remote = has_remote;
        job->trainer = &trainer_builtin;
    }
    return job;
}

void job_free(struct job *job)
{
    if (!job) {
        return;
    }
    publisher_free(job->publisher);
    model_free(job->model);
    model_dataset_free(job->train_set);
    model_dataset_free(job->test_set);
    runs_release(&job->runs);
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
    for (enum job_state at = STATE_INIT; at != STATE_END;) {
        at = step(job, at);
    }
    enum exit_code code = job->code;
    job_free(job);
    return code;
}
