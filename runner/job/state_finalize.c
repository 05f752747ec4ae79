/* state_finalize.c - FINALIZE: output, records and the report, whatever came before. */
#include "runner/job/records.h"
#include "runner/job/retraining.h"
#include "runner/job/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/runner_banned.h"

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
    if (job->publisher && job->remote.store &&
        publisher_mark_finished(job->publisher, &job->remote, &err)) {
        return app_fail_storage(job->app, &err);
    }
    return EXIT_DONE;
}

enum exit_code job_copy_out(struct job *job, const char *folder, const struct place *there,
                            const char *key)
{
    struct stat status;
    if (stat(folder, &status) != 0) {
        return EXIT_DONE;
    }
    struct place here = {0};
    enum exit_code code = place_open(&here, job->app, SIDE_DATA, folder, job->app->stop_now, 0);
    if (code) {
        return code;
    }
    struct storage_copy copy = {
        .source = here.store,
        .source_key = here.url.key,
        .destination = there->store,
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

/* What is to be kept besides checkpoints: output_dir, and what the trainer has of its own. */
static enum exit_code copy_output(struct job *job)
{
    char key[STORAGE_PATH_MAX];
    remote_key(&job->remote, key, "output/");
    enum exit_code code = job_copy_out(job, job->output_dir, &job->train, key);
    enum exit_code finished = job->trainer->finish ? job->trainer->finish(job) : EXIT_DONE;
    return code ? code : finished;
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

enum exit_code state_finalize(struct job *job)
{
    enum exit_code code = job->code;
    bool given_up = atomic_load(&job->give_up);
    if (given_up) {
        limit_store(job);
    }
    if (!code) {
        code = mark_finished(job);
    }
    if (job->train.store && (!given_up || code == EXIT_DONE)) {
        enum exit_code copied = copy_output(job);
        code = code ? code : copied;
    }
    if (!code) {
        code = retraining_judge(job);
    }
    report_exit(job->report, code, job->by_command ? "command" : "runner",
                code == EXIT_DONE ? "finished"
                : job->code       ? job->reason
                                  : job->app->log.failure);
    if (job->has_remote && !job->remote.store) {
        records_put_failure(job);
    }
    enum exit_code written = records_write(job);
    return code ? code : written;
}
