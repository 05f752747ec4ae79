#include "runner/job/saving.h"

#include <string.h>

#include "runner/runner_banned.h"

/* A list of epoch_num and step_num, as MindSpore's append_info without its dict. */
static enum exit_code check_append_info(struct app *app, const char *at)
{
    while (at && *at) {
        size_t length = strcspn(at, ",");
        if (!(length == 9 && strncmp(at, "epoch_num", 9) == 0) &&
            !(length == 8 && strncmp(at, "step_num", 8) == 0)) {
            return app_fail(app, EXIT_USAGE,
                            "--append_info knows epoch_num and step_num, not '%.*s'", (int)length,
                            at);
        }
        at += length;
        at += *at == ',';
    }
    return EXIT_DONE;
}

static void warn_of_the_ignored(struct app *app)
{
    const struct settings *settings = app->settings;
    if (settings->save_checkpoint_steps != 0 && settings->save_checkpoint_seconds > 0) {
        log_warn(&app->log,
                 "--save_checkpoint_seconds is ignored unless --save_checkpoint_steps=0");
    }
    if (settings->keep_checkpoint_max > 0 && settings->keep_checkpoint_per_n_minutes > 0) {
        log_warn(&app->log, "--keep_checkpoint_per_n_minutes is ignored unless "
                            "--keep_checkpoint_max=0");
    }
    if (settings->keep_checkpoint_max == 0 && settings->keep_checkpoint_per_n_minutes == 0) {
        log_warn(&app->log, "--keep_checkpoint_max and --keep_checkpoint_per_n_minutes are both 0: "
                            "one checkpoint is kept");
    }
    if (strcmp(settings->integrated_save, "0") == 0) {
        log_warn(&app->log,
                 "--integrated_save=0 changes nothing: on one device no tensor is split");
    }
    if (settings->saved_network) {
        log_warn(&app->log, "--saved_network: the checkpoints hold no optimizer's state, nothing "
                            "can be resumed from them");
    }
}

enum exit_code saving_check(struct app *app)
{
    const struct settings *settings = app->settings;
    if (settings->save_checkpoint_steps == 0 && settings->save_checkpoint_seconds == 0) {
        return app_fail(app, EXIT_USAGE,
                        "--save_checkpoint_steps=0 without --save_checkpoint_seconds: no "
                        "checkpoint would ever be saved");
    }
    if (strcmp(settings->format, "safetensors") == 0 &&
        (settings->crc_check || settings->exception_save)) {
        return app_fail(app, EXIT_USAGE,
                        "--format=safetensors goes with neither --crc_check nor --exception_save, "
                        "as in MindSpore");
    }
    enum exit_code code = check_append_info(app, settings->append_info);
    if (!code) {
        warn_of_the_ignored(app);
    }
    return code;
}

struct model_checkpointing saving_options(const struct settings *settings, int64_t steps_per_epoch)
{
    return (struct model_checkpointing){
        .save_checkpoint_steps =
            settings->save_checkpoint_steps < 0 ? steps_per_epoch : settings->save_checkpoint_steps,
        .save_checkpoint_seconds = settings->save_checkpoint_seconds,
        .keep_checkpoint_max = settings->keep_checkpoint_max,
        .keep_checkpoint_per_n_minutes = settings->keep_checkpoint_per_n_minutes,
        .saving = {.format = strcmp(settings->format, "safetensors") == 0 ? MODEL_FORMAT_SAFETENSORS
                                                                          : MODEL_FORMAT_CKPT,
                   .crc_check = settings->crc_check,
                   .weights_only = settings->saved_network},
        .async_save = settings->async_save,
    };
}
