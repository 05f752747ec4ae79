/* builtin.c - the built-in trainer's options and data. */
#include "runner/job/saving.h"
#include "runner/job/trainer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "runner/runner_banned.h"

const struct trainer trainer_builtin = {
    .check = builtin_check,
    .open_data = builtin_open_data,
    .resume = builtin_resume,
    .run = builtin_run,
    .stop = builtin_stop,
    .release = builtin_release,
};

static enum model_optimizer optimizer_of(const struct settings *settings)
{
    enum model_optimizer optimizer = MODEL_MOMENTUM;
    while (optimizer < MODEL_ADAM &&
           strcmp(settings->optimizer, model_optimizer_name(optimizer)) != 0) {
        optimizer++;
    }
    return optimizer;
}

/* eval and infer take no optimizer's options: theirs are the table's defaults. */
struct model_config job_model_config(const struct settings *settings)
{
    return (struct model_config){
        .seed = settings->seed,
        .batch_size = (uint32_t)settings->batch_size,
        .learning_rate = (float)settings->lr,
        .momentum = (float)settings->momentum,
        .weight_decay = (float)settings->weight_decay,
        .loss_scale = (float)settings->loss_scale,
        .use_nesterov = settings->use_nesterov,
        .optimizer = optimizer_of(settings),
        .dampening = (float)settings->dampening,
        .beta1 = (float)settings->beta1,
        .beta2 = (float)settings->beta2,
        .eps = (float)settings->eps,
        .threads = (unsigned)settings->threads,
        .kernels = settings->kernels,
        .classes = MODEL_CLASSES,
        .init = strcmp(settings->init, "he_uniform") == 0 ? MODEL_HE_UNIFORM : MODEL_NORMAL,
    };
}

/* Says once which arguments are not ours: their names, never their values. */
static void log_unknown(struct app *app)
{
    char names[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < app->arguments->unknown_count && used + 64 < sizeof names; i++) {
        const char *word = app->arguments->unknown[i];
        int length = (int)strcspn(word, "=");
        if (word[0] == '-') {
            used += (size_t)snprintf(names + used, sizeof names - used, " %.*s",
                                     length < 60 ? length : 60, word);
        }
    }
    log_info(&app->log, "arguments that the built-in trainer does not know are ignored:%s", names);
}

enum exit_code builtin_check(struct job *job)
{
    struct app *app = job->app;
    const struct settings *settings = job->settings;
    const struct arguments *arguments = app->arguments;
    if (strcasecmp(settings->device_target, "CPU") != 0) {
        return app_fail(app, EXIT_USAGE,
                        "--device_target=%s: the built-in trainer runs on the CPU only; for %s run "
                        "that framework's own script",
                        settings->device_target, settings->device_target);
    }
    /* A hidden file is never looked at again. */
    if (settings->ckpt_name[0] == '\0' || settings->ckpt_name[0] == '.' ||
        strchr(settings->ckpt_name, '/') || strlen(settings->ckpt_name) > PREFIX_MAX - 24) {
        return app_fail(app, EXIT_USAGE, "--ckpt_name must be a plain file name prefix, not '%s'",
                        settings->ckpt_name);
    }
    enum exit_code code = saving_check(app);
    if (code) {
        return code;
    }
    if (arguments->unknown_count > 0) {
        log_unknown(app);
    }
    return job_check_metrics(app);
}

enum exit_code job_open_dataset(struct app *app, struct model_dataset **dataset, const char *folder,
                                enum model_split split, bool optional)
{
    struct model_error err;
    enum model_code code =
        model_dataset_open(dataset, folder, split, app->settings->binarize, &err);
    if (code == MODEL_NOT_FOUND && optional) {
        return EXIT_DONE;
    }
    return code ? app_fail_model(app, &err) : EXIT_DONE;
}

enum exit_code builtin_open_data(struct job *job)
{
    struct app *app = job->app;
    enum exit_code code = job_open_dataset(app, &job->train_set, job->data_dir, MODEL_TRAIN, false);
    if (!code) {
        code = job_open_dataset(app, &job->test_set, job->data_dir, MODEL_TEST, true);
    }
    if (code) {
        return code;
    }
    if (!job->test_set) {
        log_warn(&app->log, "%s has no test images: nothing is evaluated", job->data_dir);
    }
    return EXIT_DONE;
}

void builtin_release(struct job *job)
{
    model_history_free(&job->history);
    model_free(job->model);
    model_dataset_free(job->train_set);
    model_dataset_free(job->test_set);
}
