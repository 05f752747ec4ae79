/* state_drain.c - DRAIN: waits until what was saved is in the store. */
#include "runner/job/ferry.h"
#include "runner/job/job.h"
#include "runner/job/lock.h"
#include "runner/signals.h"

#include <signal.h>
#include <stdio.h>

#include "runner/runner_banned.h"

/* Whether the newest checkpoint is in the store, for as long as --drain_timeout allows. */
static bool drain(struct job *job)
{
    if (!job->publisher) {
        return true;
    }
    if (job->code == EXIT_STOPPED) {
        publisher_hurry(job->publisher);
    }
    if (job->ferry) {
        struct ferry_result result;
        ferry_finish(job->ferry);
        ferry_result(job->ferry, &result);
        snprintf(job->newest, sizeof job->newest, "%s", result.newest);
        job->end.epoch = result.epoch;
        job->end.step = result.step;
    }
    bool confirmed = publisher_finish(job->publisher, (double)job->settings->drain_timeout);
    report_exposure(job->report, job->end.cumulative_step);
    return confirmed;
}

/* Told when it is known what is safe. */
static enum exit_code tell_stop(struct job *job)
{
    bool is_late = signals_cause() == SIGALRM;
    return app_fail(job->app, is_late ? EXIT_TIME_LIMIT : EXIT_PREEMPTED,
                    "stopped %s%s%s; run the same command again to go on",
                    is_late ? "at --time_limit" : "on a signal",
                    job->newest[0] ? "; the newest checkpoint is " : "", job->newest);
}

enum exit_code state_drain(struct job *job)
{
    bool confirmed = drain(job);
    bool fenced = job->publisher && publisher_is_fenced(job->publisher);
    if (fenced || (job->lock && atomic_load(lock_lost(job->lock)))) {
        return app_fail(job->app, EXIT_CONFIG,
                        "another job has taken %s meanwhile: nothing more was published from here",
                        job->train_text);
    }
    if (!confirmed) {
        enum exit_code code = signals_cause() == 0         ? EXIT_TRANSFER
                              : signals_cause() == SIGALRM ? EXIT_TIME_LIMIT
                                                           : EXIT_PREEMPTED_UNSAFE;
        return app_fail(job->app, code, "%s is not confirmed in %s; it is on the local disk",
                        job->newest, job->train_text);
    }
    /* A signal's time ran out on the way: what is not out yet, output_dir for one, needs a rerun.
     */
    bool is_cut = job->code == EXIT_DONE && signals_cause() != 0 && atomic_load(&job->give_up);
    return job->code == EXIT_STOPPED || is_cut ? tell_stop(job) : EXIT_DONE;
}
