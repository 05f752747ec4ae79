/* state_lock.c - LOCK: from here on train_url is opened for the whole job, and is ours. */
#include "runner/job/job.h"

#include "runner/runner_banned.h"

enum exit_code state_lock(struct job *job)
{
    if (!job->has_remote) {
        return EXIT_DONE;
    }
    /* Requests may take as long as they need; publishing goes on after a first signal. */
    enum exit_code code =
        place_open(&job->train, job->app, SIDE_TRAIN, job->train_text, &job->give_up, 0);
    if (!code) {
        job->remote = (struct remote){.store = job->train.store, .root = job->train.url.key};
    }
    return code;
}
