/* state_validate.c - VALIDATE: everything that can be found wrong before work begins. */
#include "runner/job/preflight.h"
#include "runner/job/records.h"
#include "runner/job/retraining.h"

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
    enum exit_code code = records_begin(job);
    code = code ? code : preflight_run(job, false, warn, job);
    if (code) {
        report_exit(job->report, code, "runner", job->app->log.failure);
        records_put_failure(job);
        return code;
    }
    records_open_log(job);
    /* Staging in may take as long as it needs. */
    if (job->data_url) {
        code = place_open(&job->data, job->app, SIDE_DATA, job->data_text, job->app->stop, 0);
    }
    return code || job->nothing_to_do ? code : retraining_look_for_change(job);
}
