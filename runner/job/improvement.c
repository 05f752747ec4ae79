#include "runner/job/improvement.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runner/job/saving.h"

#include "runner/runner_banned.h"

void improvement_init(struct improvement *improvement, const struct settings *settings)
{
    *improvement = (struct improvement){
        .early = {.larger_is_better = strcmp(settings->monitor, "acc") == 0,
                  .min_delta = settings->min_delta,
                  .patience = settings->patience},
        .is_on = settings->patience > 0 || settings->save_best,
    };
    model_early_stopping_init(&improvement->early);
}

static enum model_code save_best(struct job *job, const struct model_progress *progress,
                                 double value, struct model_error *err)
{
    char name[PREFIX_MAX + 64];
    char path[JOB_PATH_MAX];
    const struct model_checkpointing options = saving_options(job->settings, 1);
    snprintf(name, sizeof name, "%s-best.%s", job->prefix, job->settings->format);
    if (!storage_join(path, sizeof path, job->ckpt_dir, name)) {
        *err = (struct model_error){.code = MODEL_DISK};
        snprintf(err->message, sizeof err->message, "save %s: the path is too long", name);
        return MODEL_DISK;
    }
    enum model_code code =
        model_save_as(progress->model, options.saving.weights_only ? NULL : &progress->state,
                      &options.saving, path, err);
    if (code == MODEL_OK) {
        log_info(&job->app->log, "saved %s, the best %s so far: %g", path, job->settings->monitor,
                 value);
    }
    return code;
}

enum model_code improvement_note(struct improvement *improvement, struct job *job,
                                 const struct model_progress *progress,
                                 const struct model_metrics *metrics, struct model_error *err)
{
    const char *monitor = job->settings->monitor;
    double value = strcmp(monitor, "loss") == 0  ? progress->epoch_loss
                   : strcmp(monitor, "acc") == 0 ? metrics->accuracy
                                                 : metrics->loss;
    bool is_best = false;
    if (!improvement->is_on) {
        return MODEL_OK;
    }
    if (isnan(value)) {
        log_warn(&job->app->log,
                 "--monitor=%s takes test images; there are none, so nothing is "
                 "watched",
                 monitor);
        improvement->is_on = false;
        return MODEL_OK;
    }
    if (model_early_stopping_update(&improvement->early, value, &is_best)) {
        log_info(&job->app->log, "epoch %llu: early stopping, %s was best at %g",
                 (unsigned long long)progress->state.epoch, monitor, improvement->early.best);
        *progress->request_stop = true;
    }
    return is_best && job->settings->save_best ? save_best(job, progress, value, err) : MODEL_OK;
}
