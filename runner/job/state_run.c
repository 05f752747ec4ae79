/* state_run.c - RUN: the training, until its end or until it is told to stop. */
#include "runner/job/job.h"
#include "runner/job/trainer.h"

#include "runner/runner_banned.h"

enum exit_code state_run(struct job *job)
{
    return job->trainer->run(job);
}
