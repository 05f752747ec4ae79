/* state_init.c - INIT: local folders, and the report that everything after will be told in. */
#include "runner/job/job.h"

#include <stdio.h>
#include <string.h>

#include "runner/runner_banned.h"

void job_folders(const struct settings *settings, char *data_dir, char *ckpt_dir, char *output_dir)
{
    const struct {
        const char *given, *fallback;
        char *out;
    } folders[] = {
        {settings->data_dir, "data", data_dir},
        {settings->ckpt_dir, "ckpt", ckpt_dir},
        {settings->output_dir, "output", output_dir},
    };
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (folders[i].given) {
            snprintf(folders[i].out, JOB_PATH_MAX, "%s", folders[i].given);
        } else if (strcmp(settings->work_dir, ".") == 0) {
            snprintf(folders[i].out, JOB_PATH_MAX, "%s", folders[i].fallback);
        } else {
            storage_join(folders[i].out, JOB_PATH_MAX, settings->work_dir, folders[i].fallback);
        }
    }
}

enum exit_code state_init(struct job *job)
{
    job_folders(job->settings, job->data_dir, job->ckpt_dir, job->output_dir);
    job->report = report_new(job->app->arguments);
    return job->report ? EXIT_DONE : app_fail(job->app, EXIT_BUG, "begin: no memory");
}
