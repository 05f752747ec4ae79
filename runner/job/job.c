/* job.c - the story: states in order, and the end of it, whatever came before. */
#include "runner/job/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/runner_banned.h"

typedef enum exit_code state_fn(struct job *job);

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

static enum exit_code job_init(struct job *job)
{
    job_folders(job->settings, job->data_dir, job->ckpt_dir, job->output_dir);
    job->report = report_new(job->app->arguments);
    return job->report ? EXIT_DONE : app_fail(job->app, EXIT_BUG, "begin: no memory");
}

/* Waits until what was saved is in the store, as long as --drain_timeout allows. */
static enum exit_code job_drain(struct job *job)
{
    if (!job->publisher) {
        return EXIT_DONE;
    }
    bool confirmed = publisher_finish(job->publisher, (double)job->settings->drain_timeout);
    size_t count = 0;
    const struct publication *publications = publisher_results(job->publisher, &count);
    report_checkpoints(job->report, publications, count, job->end.cumulative_step);
    if (!confirmed) {
        return app_fail(job->app, job->stopped ? EXIT_PREEMPTED_UNSAFE : EXIT_TRANSFER,
                        "%s is not confirmed in %s; it is on the local disk", job->newest,
                        job->train_text);
    }
    return EXIT_DONE;
}

/* A run whose epochs are all done is recorded so, here and in the store. */
static enum exit_code mark_finished(struct job *job)
{
    struct run_record *record = runs_find(&job->runs, job->run);
    if (record) {
        record->finished = true;
        int failure = runs_save(&job->runs);
        if (failure) {
            log_warn(&job->app->log, "write %s: %s", job->runs.path, strerror(failure));
        }
    }
    struct storage_error err;
    if (job->publisher && publisher_mark_finished(job->publisher, &err)) {
        return app_fail_storage(job->app, &err);
    }
    return EXIT_DONE;
}

/* Copies output_dir out; an absent or empty folder is nothing to copy. */
static enum exit_code copy_output(struct job *job)
{
    struct stat status;
    if (!job->train.store || stat(job->output_dir, &status) != 0) {
        return EXIT_DONE;
    }
    struct place here = {0};
    enum exit_code code =
        place_open(&here, job->app, SIDE_DATA, job->output_dir, job->app->stop_now, 0);
    if (code) {
        return code;
    }
    char key[STORAGE_PATH_MAX];
    remote_key(&job->remote, key, "output/");
    struct storage_copy copy = {
        .source = here.store,
        .source_key = here.url.key,
        .destination = job->train.store,
        .destination_key = key,
        .recursive = true,
        .stop = job->app->stop_now,
    };
    app_tune_copy(job->app, &copy, JOB_MEMORY);
    struct storage_summary summary = {0};
    struct storage_error err;
    enum storage_code result = storage_copy(&copy, &summary, &err);
    place_close(&here);
    return result == STORAGE_OK || result == STORAGE_NOT_FOUND ? EXIT_DONE
                                                               : app_fail_storage(job->app, &err);
}

/* report.json beside the checkpoints and, with a train_url, there and under log/. */
static enum exit_code write_report(struct job *job)
{
    enum exit_code code = EXIT_DONE;
    struct storage_error err;
    struct place here = {0};
    char path[JOB_PATH_MAX];
    char *text = report_text(job->report, &job->app->log);
    if (!text || !storage_join(path, sizeof path, job->settings->work_dir, "report.json")) {
        code = app_fail(job->app, EXIT_BUG, "write report.json: no memory");
        goto done;
    }
    if (place_open(&here, job->app, SIDE_DATA, path, NULL, 0) ||
        storage_put(here.store, here.url.key, text, strlen(text), NULL, &err)) {
        code = here.store ? app_fail_storage(job->app, &err) : EXIT_DISK;
    }
    if (job->train.store && job->remote.store) {
        char key[STORAGE_PATH_MAX];
        char name[128];
        snprintf(name, sizeof name, "log/%s.report.json", job->run);
        const char *names[] = {"report.json", job->run[0] ? name : NULL};
        for (size_t i = 0; i < sizeof names / sizeof names[0] && names[i]; i++) {
            remote_key(&job->remote, key, names[i]);
            if (storage_put(job->train.store, key, text, strlen(text), NULL, &err)) {
                code = app_fail_storage(job->app, &err);
                break;
            }
        }
    }
done:
    place_close(&here);
    free(text);
    return code;
}

/* After a store that did not answer in time, the report may still try, shortly. */
static void limit_store(struct job *job)
{
    enum {
        REPORT_MS = 5000
    };
    place_close(&job->train);
    job->remote.store = NULL;
    if (!place_open(&job->train, job->app, SIDE_TRAIN, job->train_text, NULL, REPORT_MS)) {
        job->remote.store = job->train.store;
    }
}

static enum exit_code job_finalize(struct job *job, enum exit_code code)
{
    double began = clock_seconds();
    enum exit_code drained = job_drain(job);
    if (atomic_load(&job->give_up)) {
        limit_store(job);
    }
    code = code ? code : drained;
    if (code == EXIT_PREEMPTED && drained) {
        code = drained;
    }
    report_phase(job->report, "drain", clock_seconds() - began, 0, 0);
    if (!code) {
        code = mark_finished(job);
    }
    if (job->train.store && !atomic_load(&job->give_up)) {
        enum exit_code copied = copy_output(job);
        code = code ? code : copied;
    }
    report_exit(job->report, code,
                code == EXIT_DONE          ? "finished"
                : job->app->log.failure[0] ? job->app->log.failure
                                           : "stopped on a signal");
    enum exit_code written = write_report(job);
    return code ? code : written;
}

static void job_release(struct job *job)
{
    publisher_free(job->publisher);
    model_free(job->model);
    model_dataset_free(job->train_set);
    model_dataset_free(job->test_set);
    runs_release(&job->runs);
    report_free(job->report);
    place_close(&job->data);
    place_close(&job->train);
}

enum exit_code job_main(struct app *app, bool has_remote)
{
    static const struct {
        const char *name;
        state_fn *enter;
    } states[] = {
        {"validate", job_validate},
        {"stage_in", job_stage_in},
        {"resume", job_resume},
        {"train", job_train},
    };
    struct job *job = calloc(1, sizeof *job);
    if (!job) {
        return app_fail(app, EXIT_BUG, "begin: no memory");
    }
    job->app = app;
    job->settings = app->settings;
    job->has_remote = has_remote;
    enum exit_code code = job_init(job);
    if (code) {
        goto done;
    }
    for (size_t i = 0; !code && i < sizeof states / sizeof states[0]; i++) {
        double began = clock_seconds();
        code = states[i].enter(job);
        bool stage = states[i].enter == job_stage_in;
        report_phase(job->report, states[i].name, clock_seconds() - began,
                     stage ? job->staged_bytes : 0, stage ? job->staged_objects : 0);
        /* A training that came to its end is done, whatever the signal that came with it. */
        if (!code && states[i].enter != job_train && atomic_load(app->stop)) {
            code = app_fail(app, EXIT_PREEMPTED, "stopped on a signal after %s", states[i].name);
        }
    }
    /* A command line or a place that is wrong leaves no report: nothing began. */
    if (job->remote.store || !has_remote || code == EXIT_DONE) {
        code = job_finalize(job, code);
    }
done:
    job_release(job);
    free(job);
    return code;
}
