/* train.c - the training itself: callbacks, evaluation after each epoch, the save on a signal. */
#include "runner/job/curve.h"
#include "runner/job/improvement.h"
#include "runner/job/lock.h"
#include "runner/job/saving.h"
#include "runner/job/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

/* The callbacks of a training, in their order. */
enum {
    HISTORY, /* before a save, which then finds its step in it */
    SAVES,
    LOSS,
    JOB,
    TIME,
    SUMMARY,
    CALLBACKS
};

/* What the job's own callback keeps between a save and the end of its epoch. */
struct watch {
    struct job *job;
    char pending[JOB_PATH_MAX]; /* saved at an epoch's last step, waits for its evaluation */
    struct model_state pending_state;
    struct model_metrics metrics;
    bool evaluated;          /* metrics are of the newest epoch */
    uint64_t evaluated_step; /* cumulative, at that epoch's end */
    struct improvement improvement;
    struct model_callback *summary; /* NULL: none */
};

static void publish(struct watch *watch, const char *path, const struct model_state *state,
                    double accuracy, double loss)
{
    if (watch->job->publisher) {
        publisher_add(watch->job->publisher, path, state, loss, accuracy);
    }
}

static void on_saved(void *context, const char *path, const struct model_state *state)
{
    struct watch *watch = context;
    struct job *job = watch->job;
    if (!state) {
        if (job->publisher) {
            publisher_add_shared(job->publisher, path);
        }
        return;
    }
    snprintf(job->newest, sizeof job->newest, "%s", path);
    log_info(&job->app->log, "saved %s", path);
    if (job->history.context) {
        model_history_flush(&job->history);
    }
    if (state->step == state->steps_per_epoch && job->test_set) {
        if (state->cumulative_step == watch->evaluated_step) { /* an async save, told of late */
            publish(watch, path, state, watch->metrics.accuracy, watch->metrics.loss);
            return;
        }
        snprintf(watch->pending, sizeof watch->pending, "%s", path);
        watch->pending_state = *state;
        return;
    }
    publish(watch, path, state, (double)NAN, (double)NAN);
}

/* A job that has lost its lock must not go on. */
static enum model_code on_step_end(void *context, const struct model_progress *progress,
                                   struct model_error *err)
{
    const struct watch *watch = context;
    const struct lock *lock = watch->job->lock;
    (void)progress;
    (void)err;
    return lock && atomic_load(lock_lost(lock)) ? MODEL_STOPPED : MODEL_OK;
}

static enum model_code on_epoch_end(void *context, const struct model_progress *progress,
                                    struct model_error *err)
{
    struct watch *watch = context;
    struct job *job = watch->job;
    watch->metrics = (struct model_metrics){.loss = (double)NAN, .accuracy = (double)NAN};
    if (job->test_set) {
        enum model_code code =
            model_evaluate(job->model, job->test_set, false, &watch->metrics, err);
        if (code) {
            return code;
        }
        watch->evaluated = true;
        watch->evaluated_step = progress->state.cumulative_step;
        if (job->history.context) {
            model_history_evaluated(&job->history, &progress->state, &watch->metrics);
        }
    }
    report_epoch(job->report, progress->state.epoch, progress->epoch_loss, watch->metrics.accuracy,
                 progress->epoch_seconds, progress->images_per_second);
    char accuracy[40] = "";
    if (job->test_set) {
        snprintf(accuracy, sizeof accuracy, ", test accuracy %.4f", watch->metrics.accuracy);
    }
    log_info(&job->app->log, "epoch %llu of %llu: mean loss %.4f%s, %.2f s, %.0f images/s",
             (unsigned long long)progress->state.epoch, (unsigned long long)progress->epochs,
             progress->epoch_loss, accuracy, progress->epoch_seconds, progress->images_per_second);
    if (watch->pending[0]) {
        publish(watch, watch->pending, &watch->pending_state, watch->metrics.accuracy,
                watch->metrics.loss);
        watch->pending[0] = '\0';
    }
    if (watch->summary && job->test_set) {
        enum model_code code = model_summary_evaluated(watch->summary, job->model, job->test_set,
                                                       &progress->state, &watch->metrics, err);
        if (code) {
            return code;
        }
    }
    return improvement_note(&watch->improvement, job, progress, &watch->metrics, err);
}

static void print_line(void *context, const char *line)
{
    log_result(context, line);
}

/* After an error: from where a training may go on. */
static void tell_last_good(struct job *job)
{
    if (!job->newest[0]) {
        return;
    }
    if (access(job->newest, R_OK) == 0) {
        log_info(&job->app->log, "the last good checkpoint is %s", job->newest);
        return;
    }
    log_info(&job->app->log, "the last good checkpoint was %s, which is no longer there%s",
             job->newest, job->publisher ? "; what was published is in train_url" : "");
}

/* What was trained since the last save is saved too. */
static enum exit_code save_stopped(struct job *job)
{
    char path[JOB_PATH_MAX];
    char name[PREFIX_MAX + 64];
    struct model_error err;
    snprintf(name, sizeof name, "%s-%llu_%llu.%s", job->prefix, (unsigned long long)job->end.epoch,
             (unsigned long long)job->end.step, job->settings->format);
    if (!storage_join(path, sizeof path, job->ckpt_dir, name)) {
        return app_fail(job->app, EXIT_BUG, "save %s: the path is too long", name);
    }
    if (job->end.step > 0 && strcmp(path, job->newest) != 0 &&
        job->end.cumulative_step > job->start.cumulative_step) {
        const struct model_checkpointing options = saving_options(job->settings, 1);
        if (model_save_as(job->model, options.saving.weights_only ? NULL : &job->end,
                          &options.saving, path, &err)) {
            enum exit_code failure = app_fail_model(job->app, &err);
            tell_last_good(job);
            return failure;
        }
        snprintf(job->newest, sizeof job->newest, "%s", path);
        log_info(&job->app->log, "saved %s", path);
        if (job->publisher) {
            publisher_add(job->publisher, path, &job->end, (double)NAN, (double)NAN);
        }
    }
    log_info(&job->app->log, "stopped after epoch %llu step %llu",
             (unsigned long long)job->end.epoch, (unsigned long long)job->end.step);
    return EXIT_DONE;
}

enum exit_code builtin_stop(struct job *job)
{
    enum exit_code code = save_stopped(job);
    curve_end(job);
    return code;
}

static enum exit_code after_training(struct job *job, struct watch *watch, enum model_code code,
                                     const struct model_error *err)
{
    /* An error between a save and its epoch's end must not keep the file from going out. */
    if (watch->pending[0]) {
        publish(watch, watch->pending, &watch->pending_state, (double)NAN, (double)NAN);
    }
    if (code == MODEL_STOPPED) {
        return EXIT_STOPPED;
    }
    if (code) {
        enum exit_code failure = app_fail_model(job->app, err);
        tell_last_good(job);
        return failure;
    }
    if (job->test_set && !watch->evaluated) {
        struct model_error own;
        if (model_evaluate(job->model, job->test_set, false, &watch->metrics, &own)) {
            return app_fail_model(job->app, &own);
        }
    }
    if (job->test_set) {
        job_print_metrics(job->app, &watch->metrics);
        report_metrics(job->report, &watch->metrics);
        return builtin_predictions(job);
    }
    return EXIT_DONE;
}

/* --exception_save: beside the error that ends the training, which is told after it. */
static void save_breakpoint(struct job *job, struct model_callback *checkpointer)
{
    char path[JOB_PATH_MAX];
    struct model_error err;
    if (model_checkpointer_breakpoint(checkpointer, job->model, &job->end, path, sizeof path,
                                      &err)) {
        log_warn(&job->app->log, "--exception_save: %s", err.message);
        return;
    }
    log_info(&job->app->log, "saved %s", path);
}

enum exit_code builtin_run(struct job *job)
{
    const struct settings *settings = job->settings;
    struct watch watch = {.job = job};
    struct model_error err = {0};
    struct model_callback callbacks[CALLBACKS] = {{0}};
    int64_t steps_per_epoch = (int64_t)(model_dataset_size(job->train_set) / settings->batch_size);
    if (steps_per_epoch == 0) {
        return app_fail(job->app, EXIT_USAGE, "--batch_size=%llu is more than the %zu images",
                        (unsigned long long)settings->batch_size,
                        model_dataset_size(job->train_set));
    }
    struct model_checkpointing saving = saving_options(settings, steps_per_epoch);
    saving.folder = job->ckpt_dir;
    saving.prefix = job->prefix;
    saving.on_saved = on_saved;
    saving.context = &watch;
    uint64_t print_times = settings->per_print_times < 0 ? (uint64_t)steps_per_epoch
                                                         : (uint64_t)settings->per_print_times;
    enum exit_code result = EXIT_DONE;
    enum model_code code = model_checkpointer_new(&callbacks[SAVES], &saving, &err);
    if (!code) {
        code =
            model_loss_monitor_new(&callbacks[LOSS], print_times, print_line, &job->app->log, &err);
    }
    if (!code && settings->summary_dir) {
        code = model_summary_new(&callbacks[SUMMARY], settings->summary_dir, settings->collect_freq,
                                 &err);
        watch.summary = &callbacks[SUMMARY];
    }
    if (code) {
        result = app_fail_model(job->app, &err);
        goto done;
    }
    callbacks[JOB] = (struct model_callback){
        .step_end = on_step_end, .epoch_end = on_epoch_end, .context = &watch};
    struct model_time_monitor times = {.print = print_line, .context = &job->app->log};
    if (settings->time_monitor) {
        model_time_monitor_init(&callbacks[TIME], &times);
    }
    improvement_init(&watch.improvement, settings);
    curve_begin(job);
    callbacks[HISTORY] = job->history;
    struct model_training training = {
        .start = job->start,
        .epochs = settings->epochs,
        .callbacks = callbacks,
        .callback_count = CALLBACKS,
        .stop = job->app->stop,
    };
    code = model_train(job->model, job->train_set, &training, &job->end, &err);
    struct model_error own = {0};
    enum model_code saved = model_checkpointer_finish(&callbacks[SAVES], &own);
    if (saved && (!code || code == MODEL_STOPPED)) {
        code = saved;
        err = own;
    }
    if (code && code != MODEL_STOPPED && settings->exception_save) {
        save_breakpoint(job, &callbacks[SAVES]);
    }
    result = after_training(job, &watch, code, &err);
    if (code != MODEL_STOPPED) { /* else there is no time to lose before the save */
        curve_end(job);
    }
done:
    model_checkpointer_free(&callbacks[SAVES]);
    model_loss_monitor_free(&callbacks[LOSS]);
    model_summary_free(&callbacks[SUMMARY]);
    return result;
}
