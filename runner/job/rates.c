#include "runner/job/rates.h"

#include <string.h>

#include "runner/runner_banned.h"

void rates_default(struct model_config *config, const struct arguments *arguments)
{
    if (!options_given(arguments, "lr") && config->optimizer != MODEL_MOMENTUM) {
        config->learning_rate = config->optimizer == MODEL_SGD ? 0.1f : 0.001f;
    }
    if (!options_given(arguments, "momentum") && config->optimizer == MODEL_SGD) {
        config->momentum = 0.0f;
    }
}

static bool schedule_given(const struct arguments *arguments)
{
    static const char *const names[] = {"lr_schedule", "warmup_steps", "decay_steps", "decay_rate",
                                        "min_lr"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (options_given(arguments, names[i])) {
            return true;
        }
    }
    return false;
}

static enum exit_code set_schedule(struct job *job, float rate)
{
    const struct settings *settings = job->settings;
    uint64_t per_epoch = model_dataset_size(job->train_set) / settings->batch_size;
    uint64_t steps = per_epoch * settings->epochs;
    struct model_schedule schedule = {
        .warmup_steps = settings->warmup_steps,
        .decay_steps = settings->decay_steps,
        .decay_rate = (float)settings->decay_rate,
        .min_lr = (float)settings->min_lr,
    };
    if (strcmp(settings->lr_schedule, "step") == 0) {
        schedule.kind = MODEL_SCHEDULE_STEP;
        schedule.decay_steps = schedule.decay_steps ? schedule.decay_steps : per_epoch;
    } else if (strcmp(settings->lr_schedule, "cosine") == 0) {
        uint64_t rest = steps > schedule.warmup_steps ? steps - schedule.warmup_steps : 1;
        schedule.kind = MODEL_SCHEDULE_COSINE;
        schedule.decay_steps = schedule.decay_steps ? schedule.decay_steps : rest;
    }
    struct model_error err;
    uint64_t done = job->start.cumulative_step - job->start.base_step;
    if (model_set_schedule(job->model, &schedule, rate, steps, done, &err)) {
        return app_fail_model(job->app, &err);
    }
    log_info(&job->app->log, "learning rate %g, schedule %s over %llu steps, %llu of warm-up",
             (double)rate, settings->lr_schedule, (unsigned long long)steps,
             (unsigned long long)schedule.warmup_steps);
    return EXIT_DONE;
}

enum exit_code rates_set(struct job *job, bool from_checkpoint)
{
    const struct arguments *arguments = job->app->arguments;
    bool scheduled =
        strcmp(job->settings->lr_schedule, "constant") != 0 || job->settings->warmup_steps > 0;
    struct model_config config = job_model_config(job->settings);
    rates_default(&config, arguments);
    if (!from_checkpoint) {
        return scheduled ? set_schedule(job, config.learning_rate) : EXIT_DONE;
    }
    if (options_given(arguments, "momentum")) {
        model_set_momentum(job->model, config.momentum);
        log_info(&job->app->log, "momentum %g, as --momentum says", (double)config.momentum);
    }
    if (schedule_given(arguments) && scheduled) {
        return set_schedule(job, config.learning_rate);
    }
    if (options_given(arguments, "lr") || schedule_given(arguments)) {
        model_set_learning_rate(job->model, config.learning_rate);
        log_info(&job->app->log, "learning rate %g, as --lr says", (double)config.learning_rate);
    } else {
        log_info(&job->app->log, "learning rate %g%s, from the checkpoint",
                 (double)model_learning_rate(job->model),
                 model_has_schedule(job->model) ? " by a schedule" : "");
    }
    return EXIT_DONE;
}
