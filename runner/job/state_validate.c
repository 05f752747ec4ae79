/* state_validate.c - VALIDATE: everything that can be found wrong before work begins. */
#include "runner/job/preflight.h"

#include "runner/runner_banned.h"

static void warn(void *context, const struct finding *finding)
{
    struct job *job = context;
    if (finding->state == FINDING_WARNING) {
        log_warn(&job->app->log, "%s; %s", finding->text, finding->remedy);
    }
}

enum exit_code state_validate(struct job *job)
{
    enum exit_code code = preflight_run(job, false, warn, job);
    /* Staging in may take as long as it needs. */
    return code || !job->data_url
               ? code
               : place_open(&job->data, job->app, SIDE_DATA, job->data_text, job->app->stop, 0);
}
