#include "runner/job/records.h"

#include "runner/job/events.h"
#include "runner/job/keeper.h"
#include "runner/job/lock.h"
#include "runner/job/preflight.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

struct records {
    struct events *events; /* NULL: none asked for */
    struct log_file *log;  /* NULL: none */
    struct keeper *keeper; /* NULL: none is needed, or it has ended */
};

/* ---- the beginning --------------------------------------------------------------------------- */

static void on_warning(void *context, const char *text)
{
    struct job *job = context;
    report_warning(job->report, text);
}

enum exit_code records_begin(struct job *job)
{
    const struct settings *settings = job->settings;
    job->records = calloc(1, sizeof *job->records);
    if (!job->records) {
        return app_fail(job->app, EXIT_BUG, "begin: no memory");
    }
    if (settings->events || settings->metrics_file) {
        job->records->events =
            events_open(job->report, settings->events, settings->metrics_file, &job->app->log);
        if (!job->records->events) {
            return app_fail(job->app, EXIT_DISK, "write %s%s%s: %s",
                            settings->events ? settings->events : "",
                            settings->events && settings->metrics_file ? " or " : "",
                            settings->metrics_file ? settings->metrics_file : "", strerror(errno));
        }
    }
    if (settings->metrics_file || (job->has_remote && settings->log_upload_interval > 0)) {
        job->records->keeper = keeper_new(job->report, &job->app->log);
    }
    log_on_warning(&job->app->log, on_warning, job);
    return EXIT_DONE;
}

void records_open_log(struct job *job)
{
    struct records *records = job->records;
    struct log *log = &job->app->log;
    char path[JOB_PATH_MAX];
    if (storage_join(path, sizeof path, job->settings->work_dir, ".jobferry/log/jobferry.log")) {
        unlink(path); /* of an earlier start that ended before its run had a name */
        records->log = log_file_open(path, job->settings->log_max);
    }
    if (!records->log) {
        log_warn(log, "no log is kept: open %s: %s", path, strerror(errno));
    } else {
        log_set_file(log, records->log);
    }
}

/* Fetches the log of the run's earlier starts, as far as it is not here; failures lose only that.
 */
static void fetch_log(struct job *job, const char *path, const char *name)
{
    char key[STORAGE_PATH_MAX];
    struct place here = {0};
    struct storage_summary summary;
    struct storage_error err;
    if (job->attempt <= 1 || !job->remote.store || access(path, F_OK) == 0 ||
        place_open(&here, job->app, SIDE_DATA, path, job->app->stop, 0)) {
        return;
    }
    remote_key(&job->remote, key, name);
    struct storage_copy copy = {.source = job->remote.store,
                                .source_key = key,
                                .destination = here.store,
                                .destination_key = here.url.key,
                                .stop = job->app->stop};
    enum storage_code code = storage_copy(&copy, &summary, &err);
    if (code && code != STORAGE_NOT_FOUND) {
        log_warn(&job->app->log, "the log of earlier starts: %s", err.message);
    }
    place_close(&here);
}

void records_name_run(struct job *job)
{
    struct records *records = job->records;
    char here[128];
    char path[JOB_PATH_MAX];
    snprintf(here, sizeof here, ".jobferry/log/%s.log", job->run);
    if (!records->log || !storage_join(path, sizeof path, job->settings->work_dir, here)) {
        return;
    }
    fetch_log(job, path, here + strlen(".jobferry/"));
    if (!log_file_move(records->log, path)) {
        log_warn(&job->app->log, "the log stays jobferry.log: %s: %s", path, strerror(errno));
    }
}

/* ---- while the job runs ---------------------------------------------------------------------- */

void records_upload_log(struct job *job)
{
    const struct records *records = job->records;
    char name[128];
    if (!records->keeper || !records->log || job->settings->log_upload_interval == 0 ||
        !job->has_remote) {
        return;
    }
    snprintf(name, sizeof name, "log/%s.log", job->run);
    const struct keeper_upload upload = {.file = records->log,
                                         .train_text = job->train_text,
                                         .name = name,
                                         .interval_s = job->settings->log_upload_interval,
                                         .lost = job->lock ? lock_lost(job->lock) : NULL};
    keeper_upload(records->keeper, job->app, &upload);
}

void records_upload_soon(struct job *job)
{
    if (job->records && job->records->keeper) {
        keeper_soon(job->records->keeper);
    }
}

void records_checkpoint(struct job *job, bool waits)
{
    if (job->records->keeper) {
        keeper_checkpoint(job->records->keeper, waits);
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

/* One text of ours, here and under its names in train_url; names end with NULL. */
static enum exit_code put_text(struct job *job, const char *text, const char *const *names)
{
    struct storage_error err;
    struct place here = {0};
    char path[JOB_PATH_MAX];
    char key[STORAGE_PATH_MAX];
    enum exit_code code = EXIT_DONE;
    if (!text || !storage_join(path, sizeof path, job->settings->work_dir, names[0])) {
        return app_fail(job->app, EXIT_BUG, "write %s: no memory", names[0]);
    }
    if (place_open(&here, job->app, SIDE_DATA, path, NULL, 0) ||
        storage_put(here.store, here.url.key, text, strlen(text), NULL, &err)) {
        code = here.store ? app_fail_storage(job->app, &err) : EXIT_DISK;
    }
    place_close(&here);
    for (size_t i = 0; job->remote.store && names[i]; i++) {
        remote_key(&job->remote, key, names[i]);
        if (storage_put(job->remote.store, key, text, strlen(text), NULL, &err)) {
            return app_fail_storage(job->app, &err);
        }
    }
    return code;
}

static enum exit_code put_reports(struct job *job)
{
    char name[128];
    snprintf(name, sizeof name, "log/%s.report.json", job->run);
    const char *const json_names[] = {"report.json", job->run[0] ? name : NULL, NULL};
    const char *const page_names[] = {"report.html", NULL};
    char *text = report_text(job->report, &job->app->log);
    enum exit_code code = put_text(job, text, json_names);
    free(text);
    if (!code) {
        text = report_page(job->report, &job->app->log);
        code = put_text(job, text, page_names);
        free(text);
    }
    return code;
}

/* The log is last, so it has all that was said before. */
static enum exit_code put_log(struct job *job)
{
    char name[128];
    char key[STORAGE_PATH_MAX];
    struct storage_error err;
    if (!job->records->log || !job->remote.store) {
        return EXIT_DONE;
    }
    snprintf(name, sizeof name, "log/%s.log", job->run[0] ? job->run : "jobferry");
    remote_key(&job->remote, key, name);
    return log_file_put(job->records->log, job->remote.store, key, &err)
               ? app_fail_storage(job->app, &err)
               : EXIT_DONE;
}

enum exit_code records_write(struct job *job)
{
    keeper_free(job->records->keeper);
    job->records->keeper = NULL;
    enum exit_code code = put_reports(job);
    enum exit_code logged = put_log(job);
    return code ? code : logged;
}

void records_put_failure(struct job *job)
{
    enum {
        FAILURE_MS = 5000
    };
    struct log *log = &job->app->log;
    struct storage_error err = {0};
    struct place train = {0};
    char key[STORAGE_PATH_MAX];
    char failure[sizeof log->failure];
    if (!job->records || atomic_load(job->app->stop) || !preflight_may_write(job)) {
        return;
    }
    char *early = log_early(log);
    char *text = report_text(job->report, log);
    copy_text(failure, sizeof failure, log->failure);
    log->muted = true; /* what matters has been said */
    bool opened =
        !place_open(&train, job->app, SIDE_TRAIN, job->train_url, job->app->stop, FAILURE_MS);
    const struct remote remote = {.store = train.store, .root = train.url.key};
    remote_key(&remote, key, "log/jobferry.report.json");
    bool there = opened && text && !storage_put(train.store, key, text, strlen(text), NULL, &err);
    remote_key(&remote, key, "log/jobferry.log");
    if (there && job->records->log) {
        log_file_put(job->records->log, train.store, key, &err);
    } else if (there && early) {
        storage_put(train.store, key, early, strlen(early), NULL, &err);
    }
    log->muted = false;
    copy_text(log->failure, sizeof log->failure, failure);
    place_close(&train);
    free(text);
    free(early);
}

void records_end(struct job *job)
{
    struct records *records = job->records;
    if (!records) {
        return;
    }
    keeper_free(records->keeper);
    events_close(records->events);
    log_on_warning(&job->app->log, NULL, NULL);
    log_set_file(&job->app->log, NULL);
    log_file_close(records->log);
    free(records);
    job->records = NULL;
}
