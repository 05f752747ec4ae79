/*
 * resume.c - where the built-in training goes on (design.md §6).
 *
 *   --resume=auto    an unfinished run is continued; after a finished one a new run starts fresh
 *   --resume=always  an unfinished run is continued, a finished one extended by a new run
 *   --resume=FILE    the same, from that checkpoint
 *   --resume=never   a new run, fresh
 *
 * Only checkpoints of recorded runs count; candidate.h says which is the newest.
 */
#include "runner/job/candidate.h"
#include "runner/job/changes.h"
#include "runner/job/rates.h"
#include "runner/job/retraining.h"
#include "runner/job/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

/* "lenet_1" of ".../lenet_1-2_1875.ckpt". */
static void prefix_of(const char *path, char *prefix, size_t size)
{
    const char *slash = strrchr(path, '/');
    copy_text(prefix, size, slash ? slash + 1 : path);
    char *dash = strrchr(prefix, '-');
    if (dash) {
        *dash = '\0';
    }
}

/* The model, made anew where it has not so many classes; nothing was loaded into it yet. */
static enum model_code make_model(struct job *job, size_t classes, struct model_error *err)
{
    if (job->model && model_classes(job->model) == classes) {
        return MODEL_OK;
    }
    struct model_config config = job_model_config(job->settings);
    rates_default(&config, job->app->arguments);
    config.classes = (uint32_t)classes;
    model_free(job->model);
    job->model = NULL;
    return model_new(&job->model, &config, err);
}

/* The classes that the data has, and the labels of it that the model has none for. */
static size_t classes_of_data(const struct job *job)
{
    size_t train = model_dataset_classes(job->train_set);
    size_t test = job->test_set ? model_dataset_classes(job->test_set) : 0;
    return train > test ? train : test;
}

static enum model_code check_labels(const struct job *job, struct model_error *err)
{
    enum model_code code = model_check_labels(job->model, job->train_set, err);
    return code || !job->test_set ? code : model_check_labels(job->model, job->test_set, err);
}

/* Loads a checkpoint into the model. */
static enum exit_code load(struct job *job, const char *path)
{
    struct model_checkpoint *checkpoint = NULL;
    struct model_error err;
    enum model_code code = model_checkpoint_read(&checkpoint, path, &err);
    if (!code) {
        code = make_model(job, model_checkpoint_classes(checkpoint), &err);
    }
    if (!code) {
        code = model_load(job->model, checkpoint, false, &err);
    }
    if (!code) {
        code = check_labels(job, &err);
    }
    if (!code && model_checkpoint_completeness(checkpoint) == MODEL_UNVERIFIED) {
        log_warn(&job->app->log, "%s carries no sum: it is loaded unverified", path);
    }
    model_checkpoint_free(checkpoint);
    if (code) {
        return app_fail_model(job->app, &err);
    }
    return EXIT_DONE;
}

/* Goes on inside the candidate's own run. */
static enum exit_code continue_run(struct job *job, const struct candidate *candidate)
{
    enum exit_code code = load(job, candidate->path);
    if (!code) {
        code = changes_check(job, &candidate->state);
    }
    if (code) {
        return code;
    }
    snprintf(job->run, sizeof job->run, "%s", candidate->run);
    prefix_of(candidate->path, job->prefix, sizeof job->prefix);
    job->attempt = candidate->attempt + 1;
    job->start = candidate->state;
    snprintf(job->from, sizeof job->from, "%s", candidate->state.run);
    snprintf(job->newest, sizeof job->newest, "%s", candidate->path);
    log_info(&job->app->log, "continuing run %s from %s (epoch %llu, step %llu)", job->run,
             candidate->path, (unsigned long long)job->start.epoch,
             (unsigned long long)job->start.step);
    return rates_set(job, true);
}

/* A new run that begins with the candidate's weights, optimizer state and place in the data. */
static enum exit_code extend_run(struct job *job, const struct candidate *candidate)
{
    enum exit_code code = load(job, candidate->path);
    if (!code && candidate->state.present) {
        code = changes_check(job, &candidate->state);
    }
    if (!code) {
        code = run_begin(job);
    }
    if (code) {
        return code;
    }
    job->start.cumulative_step = candidate->state.cumulative_step;
    job->start.base_step = candidate->state.cumulative_step;
    snprintf(job->from, sizeof job->from, "%s", candidate->state.run);
    snprintf(job->newest, sizeof job->newest, "%s", candidate->path);
    log_info(&job->app->log, "run %s extends %s by %llu epochs, checkpoints %s-…", job->run,
             candidate->path, (unsigned long long)job->settings->epochs, job->prefix);
    return rates_set(job, true);
}

/* --init_from: another's weights, and a word about what was left out. */
static enum exit_code load_initial(struct job *job)
{
    struct app *app = job->app;
    struct model_checkpoint *checkpoint = NULL;
    struct model_load_report report;
    struct model_error err;
    char path[JOB_PATH_MAX];
    enum exit_code code = retraining_init_file(job, path);
    if (code) {
        return code;
    }
    enum model_code result = model_checkpoint_read(&checkpoint, path, &err);
    if (!result) {
        /* Not strict, an fc3 that is too small for the data begins fresh. */
        size_t classes = model_checkpoint_classes(checkpoint);
        size_t needed = classes_of_data(job);
        bool widen = !job->settings->strict_load && classes < needed;
        result = make_model(job, widen ? needed : classes, &err);
    }
    if (!result) {
        result = check_labels(job, &err);
    }
    if (!result) {
        result =
            model_load_weights(job->model, checkpoint, job->settings->strict_load, &report, &err);
    }
    if (!result && model_checkpoint_completeness(checkpoint) == MODEL_UNVERIFIED) {
        log_warn(&app->log, "%s carries no sum: it is loaded unverified", path);
    }
    model_checkpoint_free(checkpoint);
    if (result) {
        return app_fail_model(app, &err);
    }
    log_info(&app->log, "weights from %s", job->settings->init_from);
    if (report.not_loaded_count) {
        log_warn(&app->log, "%zu tensors are not loaded and begin fresh: %s",
                 report.not_loaded_count, report.not_loaded);
    }
    if (report.not_used_count) {
        log_info(&app->log, "%zu entries of the file are not used: %s", report.not_used_count,
                 report.not_used);
    }
    return EXIT_DONE;
}

static enum exit_code fresh_run(struct job *job)
{
    enum exit_code code = run_begin(job);
    if (!code && job->settings->init_from) {
        code = load_initial(job);
    }
    if (!code) {
        log_info(&job->app->log, "run %s starts fresh, checkpoints %s-…", job->run, job->prefix);
    }
    return code ? code : rates_set(job, false);
}

static enum exit_code choose(struct job *job, struct candidate *candidate)
{
    const char *mode = job->settings->resume;
    enum exit_code code = EXIT_DONE;
    if (strcmp(mode, "never") == 0) {
        return fresh_run(job);
    }
    bool always = strcmp(mode, "always") == 0;
    bool named = !always && strcmp(mode, "auto") != 0;
    code = named ? candidate_find_named(candidate) : candidate_find_newest(candidate);
    if (code) {
        return code;
    }
    bool found = candidate->path[0] && (!candidate->finished || always || named);
    if (found && job->settings->init_from) {
        log_info(&job->app->log, "--init_from is left aside: the training goes on from %s",
                 candidate->path);
    }
    if (candidate->path[0] && !candidate->finished) {
        return continue_run(job, candidate);
    }
    if (candidate->path[0] && (always || named)) {
        return extend_run(job, candidate);
    }
    if (always) {
        return app_fail(
            job->app, EXIT_MISSING,
            "--resume=always: no checkpoint of a recorded run that verifies is in %s%s%s",
            job->ckpt_dir, job->has_remote ? " or " : "", job->train_text);
    }
    return fresh_run(job);
}

enum exit_code builtin_resume(struct job *job)
{
    struct app *app = job->app;
    struct model_error err;
    if (make_model(job, classes_of_data(job), &err)) {
        return app_fail_model(app, &err);
    }
    if (classes_of_data(job) != MODEL_CLASSES) {
        log_info(&app->log, "the data has %zu classes, by its labels", classes_of_data(job));
    }
    struct candidate *candidate = calloc(1, sizeof *candidate);
    if (!candidate) {
        return app_fail(app, EXIT_BUG, "resume: no memory");
    }
    candidate->job = job;
    enum exit_code code = choose(job, candidate);
    candidate_release(candidate);
    free(candidate);
    return code;
}
