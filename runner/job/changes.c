#include "runner/job/changes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runner/runner_banned.h"

struct change_list {
    char text[1024];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void add(struct change_list *list, const char *format,
                                                      ...)
{
    size_t room = sizeof list->text - list->used;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(list->text + list->used, room, format, arguments);
    va_end(arguments);
    list->used += length > 0 && (size_t)length < room ? (size_t)length : 0;
}

static void compare_number(struct change_list *list, const char *name, uint64_t then, uint64_t now)
{
    if (then != now) {
        add(list, " %s %llu in the checkpoint, %llu now;", name, (unsigned long long)then,
            (unsigned long long)now);
    }
}

/* In as few digits as tell the two apart; nine always do. */
static void compare_real(struct change_list *list, const char *name, float then, float now)
{
    enum {
        DIGITS_MAX = 9
    };
    char texts[2][32] = {"", ""};
    if (then == now) {
        return;
    }
    for (int digits = 3; digits <= DIGITS_MAX && strcmp(texts[0], texts[1]) == 0; digits++) {
        snprintf(texts[0], sizeof texts[0], "%.*g", digits, (double)then);
        snprintf(texts[1], sizeof texts[1], "%.*g", digits, (double)now);
    }
    add(list, " %s %s in the checkpoint, %s now;", name, texts[0], texts[1]);
}

/* What the optimizer in use goes by, of what the checkpoint tells. */
static void compare_optimizer(struct change_list *list, const struct job *job,
                              const struct model_state *state, const struct model_config *config)
{
    /* A momentum that is not given is the checkpoint's. */
    if (config->optimizer != MODEL_ADAM && options_given(job->app->arguments, "momentum")) {
        compare_real(list, "momentum", model_momentum(job->model), config->momentum);
    }
    if (!state->has_settings) {
        return;
    }
    compare_real(list, "weight_decay", state->weight_decay, config->weight_decay);
    compare_real(list, "loss_scale", state->loss_scale, config->loss_scale);
    compare_number(list, "use_nesterov", state->use_nesterov, config->use_nesterov);
    if (config->optimizer == MODEL_SGD) {
        compare_real(list, "dampening", state->dampening, config->dampening);
    }
    if (config->optimizer == MODEL_ADAM) {
        compare_real(list, "beta1", state->beta1, config->beta1);
        compare_real(list, "beta2", state->beta2, config->beta2);
        compare_real(list, "eps", state->eps, config->eps);
    }
}

enum exit_code changes_check(struct job *job, const struct model_state *state)
{
    struct change_list list = {0};
    const struct model_config config = job_model_config(job->settings);
    uint32_t data_crc32 = model_dataset_crc32(job->train_set);
    const char *kernels = model_kernels(job->model);
    compare_number(&list, "batch_size", state->batch_size, config.batch_size);
    compare_number(&list, "seed", state->seed, config.seed);
    if (state->data_crc32 != data_crc32) {
        add(&list, " data %08x in the checkpoint, %08x now;", state->data_crc32, data_crc32);
    }
    if (strcmp(state->kernels, kernels) != 0) {
        add(&list, " kernels %s in the checkpoint, %s now;", state->kernels, kernels);
    }
    compare_optimizer(&list, job, state, &config);
    if (list.used == 0) {
        return EXIT_DONE;
    }
    if (job->settings->allow_change) {
        log_warn(&job->app->log, "settings changed on resume:%s", list.text);
        return EXIT_DONE;
    }
    return app_fail(job->app, EXIT_CONFIG,
                    "settings differ from the checkpoint's:%s --allow_change goes on all the same",
                    list.text);
}
