/* state_init.c - INIT: local folders, and the report that everything after will be told in. */
#include "runner/job/command_line.h"
#include "runner/job/job.h"
#include "runner/signals.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

/* What signals mean for this job, and how long an end may take. */
static enum exit_code init_signals(struct job *job)
{
    const struct settings *settings = job->settings;
    if (settings->preempt_signal) {
        job->preempt_signal = signals_parse(settings->preempt_signal);
        if (!job->preempt_signal || job->preempt_signal == SIGKILL ||
            job->preempt_signal == SIGSTOP) {
            return app_fail(job->app, EXIT_USAGE,
                            "--preempt_signal takes a signal's name, as USR1, not '%s'",
                            settings->preempt_signal);
        }
        signals_add_stop(job->preempt_signal);
    }
    signals_set_grace((unsigned)settings->grace);
    signals_set_alarm(settings->time_limit);
    return EXIT_DONE;
}

/* The environment's data_url or train_url, by the names that platforms use. */
static const char *from_environment(const char *plain, const char *dls)
{
    const char *value = getenv(plain);
    if (!value || !value[0]) {
        value = getenv(dls);
    }
    return value && value[0] ? value : NULL;
}

/* A flag, the environment, what a platform put behind COMMAND: the first that is there. */
static void init_urls(struct job *job)
{
    const struct settings *settings = job->settings;
    const char *data = from_environment("data_url", "DLS_DATA_URL");
    const char *train = from_environment("train_url", "DLS_TRAIN_URL");
    if (!job->has_remote) {
        job->data_url = settings->data_url ? settings->data_url : job->data_dir;
        return;
    }
    if (job->app->arguments->after_dashes_count > 0) {
        unsigned taken = command_line_adopt(job->app->arguments, settings->data_url || data,
                                            settings->train_url || train);
        if (taken) {
            log_info(&job->app->log, "%s%s%s after '--' %s taken as jobferry's own",
                     taken & 1 ? "data_url" : "", taken == 3 ? " and " : "",
                     taken & 2 ? "train_url" : "", taken == 3 ? "are" : "is");
        }
    }
    job->data_url = settings->data_url ? settings->data_url : data;
    job->train_url = settings->train_url ? settings->train_url : train;
}

/* What a platform of several nodes, or one that starts jobs again on its own, changes. */
static void init_platform(struct job *job)
{
    struct settings *settings = &job->app->arguments->settings;
    const struct platform *platform = &job->platform;
    struct storage_url url;
    char text[256];
    bool is_local = job->train_url && storage_url_parse(&url, job->train_url, NULL) == STORAGE_OK &&
                    url.kind == STORAGE_LOCAL;
    platform_describe(platform, is_local, text, sizeof text);
    if (text[0]) {
        log_info(&job->app->log, "%s", text);
    }
    if (platform_is_restart(platform) && strcmp(settings->resume, "never") == 0) {
        settings->resume = "auto";
        log_info(&job->app->log, "the platform started this job again: it is resumed, "
                                 "--resume=never was for its first start");
    }
    if (platform->node == 0 || !job->has_remote || !job->train_url) {
        return;
    }
    if (job->app->arguments->after_dashes_count == 0) {
        job->nothing_to_do = true;
        log_info(&job->app->log,
                 "the built-in trainer trains on the first node: nothing to do here");
        return;
    }
    char name[32];
    snprintf(name, sizeof name, "node-%llu", (unsigned long long)platform->node);
    if (storage_join(job->node_url, sizeof job->node_url, job->train_url, name)) {
        job->train_url = job->node_url;
        log_info(&job->app->log, "this node's checkpoints go to %s", job->node_url);
    }
}

enum exit_code state_init(struct job *job)
{
    enum exit_code code = init_signals(job);
    if (code) {
        return code;
    }
    platform_read(&job->platform);
    if (job->has_remote && !options_given(job->app->arguments, "work_dir")) {
        job->app->arguments->settings.work_dir = platform_work_dir(&job->platform, "/cache");
    }
    job_folders(job->settings, job->data_dir, job->ckpt_dir, job->output_dir);
    init_urls(job);
    init_platform(job);
    job->report = report_new(job->app->arguments);
    return job->report ? EXIT_DONE : app_fail(job->app, EXIT_BUG, "begin: no memory");
}
