#include "runner/commands/session.h"

#include <stdio.h>
#include <string.h>

#include "runner/runner_banned.h"

static bool weigh(void *context, const char *path)
{
    struct session *session = context;
    struct model_checkpoint *checkpoint = NULL;
    struct model_state state;
    struct model_error err;
    if (model_checkpoint_read(&checkpoint, path, &err)) {
        log_warn(&session->app->log, "%s; it is passed over", err.message);
        return true;
    }
    model_checkpoint_state(checkpoint, &state);
    model_checkpoint_free(checkpoint);
    /* Equal steps of two runs: the run that started later. */
    bool newer = state.cumulative_step > session->state.cumulative_step ||
                 (state.cumulative_step == session->state.cumulative_step &&
                  strcmp(state.run, session->state.run) > 0);
    if (state.present && (!session->path[0] || newer)) {
        snprintf(session->path, sizeof session->path, "%s", path);
        session->state = state;
    }
    return true;
}

/* The folder of --data_url, which must be a local one. */
static enum exit_code open_test_set(struct session *session)
{
    struct app *app = session->app;
    const struct settings *settings = app->settings;
    struct storage_url data;
    struct storage_error err;
    if (storage_url_parse(&data, settings->data_url ? settings->data_url : session->data_dir,
                          &err)) {
        return app_fail_storage(app, &err);
    }
    if (data.kind != STORAGE_LOCAL) {
        return app_fail(app, EXIT_USAGE,
                        "a local folder is taken here, not %s; 'jobferry cp -r' "
                        "brings it",
                        settings->data_url);
    }
    return job_open_dataset(app, &session->images, data.key, MODEL_TEST, false);
}

static enum exit_code open_pictures(struct session *session, const char *const *paths, size_t count)
{
    struct app *app = session->app;
    struct model_error err;
    bool dark_on_light = false;
    if (model_dataset_pictures(&session->images, paths, count, app->settings->invert,
                               &dark_on_light, &err)) {
        return app_fail_model(app, &err);
    }
    if (dark_on_light) {
        log_warn(&app->log, "some images look dark on light; the network learned light on dark%s",
                 app->settings->invert ? ", as they were before --invert" : ": --invert");
    }
    return EXIT_DONE;
}

enum exit_code session_open(struct session *session, struct app *app, const char *const *paths,
                            size_t count)
{
    const struct settings *settings = app->settings;
    struct model_error err;
    *session = (struct session){.app = app};
    job_folders(settings, session->data_dir, session->ckpt_dir, session->output_dir);
    if (settings->checkpoint) {
        snprintf(session->path, sizeof session->path, "%s", settings->checkpoint);
    } else {
        job_each_checkpoint(session->ckpt_dir, weigh, session);
    }
    if (!session->path[0]) {
        return app_fail(app, EXIT_MISSING, "no checkpoint of ours that verifies is in %s",
                        session->ckpt_dir);
    }
    enum exit_code code = count > 0 ? open_pictures(session, paths, count) : open_test_set(session);
    if (code) {
        return code;
    }
    struct model_config config = job_model_config(settings);
    config.learning_rate = 0;
    config.momentum = 0;
    config.loss_scale = 1;
    struct model_checkpoint *checkpoint = NULL;
    enum model_code result = model_checkpoint_read(&checkpoint, session->path, &err);
    if (!result) {
        config.classes = (uint32_t)model_checkpoint_classes(checkpoint);
        result = model_new(&session->model, &config, &err);
    }
    if (!result) {
        result = model_load(session->model, checkpoint, true, &err);
    }
    model_checkpoint_free(checkpoint);
    if (!result) {
        result = model_check_labels(session->model, session->images, &err);
    }
    if (!result) {
        log_info(&app->log, "loaded %s", session->path);
    }
    return result ? app_fail_model(app, &err) : EXIT_DONE;
}

void session_close(struct session *session)
{
    model_free(session->model);
    model_dataset_free(session->images);
}
