/* state_stage_in.c - STAGE_IN: the dataset comes here, unless it is here already. */
#include "runner/job/job.h"
#include "runner/job/retraining.h"
#include "runner/job/trainer.h"
#include "runner/progress.h"

#include <stdio.h>

#include "runner/runner_banned.h"

struct staging {
    struct job *job;
    struct progress progress;
};

static void on_staged(void *context, const struct storage_copied *copied)
{
    struct staging *staging = context;
    if (copied->error) {
        app_fail_storage(staging->job->app, copied->error);
    }
}

static void on_staging(void *context, const struct storage_progress *now)
{
    struct staging *staging = context;
    progress_show(&staging->progress, now);
}

static enum exit_code copy_data_in(struct job *job)
{
    struct app *app = job->app;
    struct staging staging = {.job = job};
    struct place here = {0};
    enum exit_code code = place_open(&here, app, SIDE_DATA, job->data_dir, app->stop, 0);
    if (code) {
        return code;
    }
    progress_init(&staging.progress, "staging in", &app->log);
    struct storage_copy copy = {
        .source = job->data.store,
        .source_key = job->data.url.key,
        .destination = here.store,
        .destination_key = here.url.key,
        .recursive = true,
        .stop = app->stop,
        .on_object = on_staged,
        .on_progress = on_staging,
        .context = &staging,
    };
    app_tune_copy(app, &copy, JOB_MEMORY);
    struct storage_summary summary = {0};
    struct storage_error err;
    enum storage_code result = storage_copy(&copy, &summary, &err);
    progress_end(&staging.progress);
    place_close(&here);
    job->staged_bytes = summary.bytes;
    job->staged_objects = summary.objects;
    if (result == STORAGE_STOPPED) {
        return EXIT_STOPPED;
    }
    if (result) {
        return summary.failed ? exit_code_of_storage(result) : app_fail_storage(app, &err);
    }
    char bytes[32];
    format_bytes(bytes, sizeof bytes, summary.bytes);
    log_info(&app->log, "staged in %llu objects, %s, from %s in %.2f s",
             (unsigned long long)summary.objects, bytes, job->data_text, summary.seconds);
    return EXIT_DONE;
}

enum exit_code state_stage_in(struct job *job)
{
    if (!job->data_url) {
        return job->trainer->open_data(job);
    }
    if (job->data.url.kind == STORAGE_LOCAL) {
        snprintf(job->data_dir, sizeof job->data_dir, "%s", job->data.url.key);
        if (job->has_remote) {
            log_info(&job->app->log, "data_url is a folder: used in place");
        }
    } else {
        enum exit_code code = copy_data_in(job);
        if (code) {
            return code;
        }
    }
    report_dataset(job->report, job->data_text, &job->data_manifest);
    enum exit_code opened = job->trainer->open_data(job);
    return opened ? opened : retraining_can_judge(job);
}
