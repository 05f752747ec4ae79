/* state_resume.c - RESUME: which run this is, where it goes on, and its record. */
#include "runner/job/job.h"
#include "runner/job/lock.h"
#include "runner/job/records.h"
#include "runner/job/retention.h"
#include "runner/job/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

enum {
    NAMES_MAX = 100000
};

/* File names that a new prefix must keep clear of, local and in the store. */
struct names {
    char **list;
    size_t count;
};

static bool add_name(void *context, const char *path)
{
    struct names *names = context;
    const char *slash = strrchr(path, '/');
    if (names->count == NAMES_MAX) {
        return false;
    }
    names->list[names->count] = strdup(slash ? slash + 1 : path);
    names->count += names->list[names->count] != NULL;
    return true;
}

static enum exit_code collect_names(struct job *job, struct names *names)
{
    struct storage_error err;
    struct storage_lister *lister = NULL;
    job_each_checkpoint(job->ckpt_dir, add_name, names);
    if (!job->has_remote) {
        return EXIT_DONE;
    }
    char prefix[STORAGE_PATH_MAX];
    remote_key(&job->remote, prefix, "ckpt/");
    enum storage_code code = storage_lister_open(&lister, job->train.store, prefix, false, &err);
    bool more = true;
    while (!code && more) {
        struct storage_entry entry;
        code = storage_lister_next(lister, &entry, &err);
        more = !code && entry.key && (entry.is_prefix || add_name(names, entry.key));
    }
    storage_lister_close(lister);
    return code && code != STORAGE_NOT_FOUND ? app_fail_storage(job->app, &err) : EXIT_DONE;
}

enum exit_code run_begin(struct job *job)
{
    struct names names = {.list = calloc(NAMES_MAX, sizeof *names.list)};
    enum exit_code code = names.list ? collect_names(job, &names)
                                     : app_fail(job->app, EXIT_BUG, "begin a run: no memory");
    if (!code) {
        runs_name(job->run, sizeof job->run);
        job->attempt = 1;
        model_free_prefix(job->prefix, sizeof job->prefix, job->settings->ckpt_name,
                          (const char *const *)names.list, names.count);
    }
    for (size_t i = 0; i < names.count; i++) {
        free(names.list[i]);
    }
    free(names.list);
    return code;
}

/* Records this start, so that a later one knows whose the checkpoints are. */
static enum exit_code record_run(struct job *job)
{
    struct run_record fresh = {.attempt = job->attempt};
    snprintf(fresh.run, sizeof fresh.run, "%s", job->run);
    snprintf(fresh.prefix, sizeof fresh.prefix, "%s", job->prefix);
    copy_text(fresh.train_url, sizeof fresh.train_url, job->train_text);
    struct run_record *record = runs_find(&job->runs, job->run);
    if (record) {
        fresh.started_ns = record->started_ns;
        *record = fresh;
    } else if (!runs_add(&job->runs, &fresh)) {
        return app_fail(job->app, EXIT_BUG, "record the run: no memory");
    }
    int failure = runs_save(&job->runs);
    return failure
               ? app_fail(job->app, EXIT_DISK, "write %s: %s", job->runs.path, strerror(failure))
               : EXIT_DONE;
}

/* Tells the publisher what the run's manifests already name. */
static bool know(void *context, const struct manifest *manifest)
{
    return publisher_know(context, manifest);
}

static void on_publication(void *context, size_t index, const struct publication *publication)
{
    struct job *job = context;
    report_checkpoint(job->report, index, publication);
    records_checkpoint(job, publication->state == PUBLICATION_QUEUED);
}

static enum exit_code start_publisher(struct job *job)
{
    struct storage_error err;
    job->publisher = publisher_new(&job->remote, job->run, job->attempt, job->app->stop_now,
                                   &job->give_up, &job->app->log);
    if (!job->publisher) {
        return app_fail(job->app, EXIT_BUG, "start the publisher: no memory");
    }
    struct retention retention;
    char message[512];
    if (!retention_parse(&retention, job->settings->keep_remote, message, sizeof message)) {
        return app_fail(job->app, EXIT_USAGE, "%s", message);
    }
    publisher_tell(job->publisher, on_publication, job);
    publisher_retain(job->publisher, &retention);
    if (job->command &&
        storage_join(job->metrics_path, JOB_PATH_MAX, job->output_dir, "metrics.jsonl")) {
        publisher_metrics(job->publisher, job->metrics_path);
    }
    publisher_watch_lock(job->publisher, lock_lost(job->lock));
    if (job->pointer_failed) {
        publisher_distrust_pointer(job->publisher);
    }
    if (job->attempt > 1 &&
        remote_each_manifest(&job->remote, job->run, know, job->publisher, &err)) {
        return app_fail_storage(job->app, &err);
    }
    return EXIT_DONE;
}

enum exit_code state_resume(struct job *job)
{
    struct app *app = job->app;
    bool damaged = false;
    enum exit_code code = app_make_folder(app, job->ckpt_dir);
    if (code) {
        return code;
    }
    if (!runs_load(&job->runs, job->ckpt_dir, &damaged)) {
        return app_fail(app, EXIT_BUG, "read %s: no memory", job->runs.path);
    }
    if (damaged) {
        log_warn(&app->log, "%s is damaged: the runs it recorded are forgotten", job->runs.path);
    }
    code = job->trainer->resume(job);
    if (!code) {
        code = record_run(job);
    }
    if (code) {
        return code;
    }
    snprintf(job->start.run, sizeof job->start.run, "%s", job->run);
    job->start.present = true;
    job->end = job->start;
    report_run(job->report, job->run, job->attempt);
    records_name_run(job);
    if (job->lock) {
        lock_name_run(job->lock, job->run, job->attempt);
    }
    code = job->has_remote ? start_publisher(job) : EXIT_DONE;
    if (!code) {
        records_upload_log(job);
    }
    return code;
}
