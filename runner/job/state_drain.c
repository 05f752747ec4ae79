/* state_drain.c - DRAIN: waits until what was saved is in the store. */
#include "runner/job/job.h"

#include "runner/runner_banned.h"

/* Whether the newest checkpoint is in the store, for as long as --drain_timeout allows. */
static bool drain(struct job *job)
{
    if (!job->publisher) {
        return true;
    }
    bool confirmed = publisher_finish(job->publisher, (double)job->settings->drain_timeout);
    size_t count = 0;
    const struct publication *publications = publisher_results(job->publisher, &count);
    report_checkpoints(job->report, publications, count, job->end.cumulative_step);
    return confirmed;
}

enum exit_code state_drain(struct job *job)
{
    bool preempted = job->code == EXIT_PREEMPTED;
    if (!drain(job)) {
        return app_fail(job->app, preempted ? EXIT_PREEMPTED_UNSAFE : EXIT_TRANSFER,
                        "%s is not confirmed in %s; it is on the local disk", job->newest,
                        job->train_text);
    }
    return preempted ? app_fail(job->app, EXIT_PREEMPTED,
                                "stopped on a signal%s%s; run the same command again to go on",
                                job->newest[0] ? "; the newest checkpoint is " : "", job->newest)
                     : EXIT_DONE;
}
