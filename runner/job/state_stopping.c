/* state_stopping.c - STOPPING: what was trained so far is brought to a good end, in little time. */
#include "runner/job/job.h"
#include "runner/job/trainer.h"

#include "runner/runner_banned.h"

enum exit_code state_stopping(struct job *job)
{
    return job->trainer->stop(job);
}
