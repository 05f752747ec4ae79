/* state_lock.c - LOCK: from here on train_url is opened for the whole job, and is ours. */
#include "runner/job/job.h"
#include "runner/job/lock.h"

#include "runner/runner_banned.h"

enum exit_code state_lock(struct job *job)
{
    if (!job->has_remote) {
        return EXIT_DONE;
    }
    const struct lock_options options = {.train_text = job->train_text,
                                         .wait_s = job->settings->lock_wait,
                                         .breaks = job->settings->break_lock};
    bool is_conditional = false;
    enum exit_code code = lock_take(&job->lock, job->app, &options, &is_conditional);
    if (code) {
        return code == EXIT_PREEMPTED ? EXIT_STOPPED : code;
    }
    /* Requests may take as long as they need; publishing goes on after a first signal. */
    code = place_open(&job->train, job->app, SIDE_TRAIN, job->train_text, &job->give_up, 0);
    if (!code) {
        job->remote = (struct remote){.store = job->train.store,
                                      .root = job->train.url.key,
                                      .is_conditional = is_conditional};
    }
    return code;
}
