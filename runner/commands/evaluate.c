/* evaluate.c - `eval` and `infer`: a checkpoint, the test images, the lab's lines and picture. */
#include "runner/commands/commands.h"
#include "runner/job/job.h"
#include "runner/json_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

/* What both need. */
struct session {
    struct app *app;
    char data_dir[JOB_PATH_MAX], ckpt_dir[JOB_PATH_MAX], output_dir[JOB_PATH_MAX];
    char path[JOB_PATH_MAX]; /* of the checkpoint */
    struct model_dataset *test_set;
    struct model *model;
    struct model_state state; /* of the newest so far */
};

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

static enum exit_code session_open(struct session *session, struct app *app)
{
    const struct settings *settings = app->settings;
    struct model_error err;
    *session = (struct session){.app = app};
    if (app->arguments->positional_count > 0) {
        return app_fail(app, EXIT_USAGE, "only options are taken here, not '%s'",
                        app->arguments->positional[0]);
    }
    job_folders(settings, session->data_dir, session->ckpt_dir, session->output_dir);
    struct storage_url data;
    struct storage_error storage_err;
    if (storage_url_parse(&data, settings->data_url ? settings->data_url : session->data_dir,
                          &storage_err)) {
        return app_fail_storage(app, &storage_err);
    }
    if (data.kind != STORAGE_LOCAL) {
        return app_fail(app, EXIT_USAGE,
                        "a local folder is taken here, not %s; 'jobferry cp -r' "
                        "brings it",
                        settings->data_url);
    }
    if (settings->checkpoint) {
        snprintf(session->path, sizeof session->path, "%s", settings->checkpoint);
    } else {
        job_each_checkpoint(session->ckpt_dir, weigh, session);
    }
    if (!session->path[0]) {
        return app_fail(app, EXIT_MISSING, "no checkpoint of ours that verifies is in %s",
                        session->ckpt_dir);
    }
    enum exit_code code = job_open_dataset(app, &session->test_set, data.key, MODEL_TEST, false);
    if (code) {
        return code;
    }
    struct model_config config = job_model_config(settings);
    config.learning_rate = 0;
    config.momentum = 0;
    config.loss_scale = 1;
    struct model_checkpoint *checkpoint = NULL;
    enum model_code result = model_new(&session->model, &config, &err);
    if (!result) {
        result = model_checkpoint_read(&checkpoint, session->path, &err);
    }
    if (!result) {
        result = model_load(session->model, checkpoint, true, &err);
    }
    model_checkpoint_free(checkpoint);
    if (!result) {
        log_info(&app->log, "loaded %s", session->path);
    }
    return result ? app_fail_model(app, &err) : EXIT_DONE;
}

static void session_close(struct session *session)
{
    model_free(session->model);
    model_dataset_free(session->test_set);
}

enum exit_code command_eval(struct app *app)
{
    struct session session;
    struct model_error err;
    struct model_metrics metrics;
    enum exit_code code = session_open(&session, app);
    if (!code) {
        code = job_check_metrics(app);
    }
    if (!code && model_evaluate(session.model, session.test_set, app->settings->drop_remainder,
                                &metrics, &err)) {
        code = app_fail_model(app, &err);
    }
    if (!code && app->settings->json) {
        json_line_print(json_pack("{s{sf sf} sI}", "metrics", "loss", metrics.loss, "acc",
                                  metrics.accuracy, "samples", (json_int_t)metrics.samples));
    } else if (!code) {
        job_print_metrics(app, &metrics);
    }
    session_close(&session);
    return code;
}

static uint8_t largest(const float *logits)
{
    size_t best = 0;
    for (size_t k = 1; k < MODEL_CLASSES; k++) {
        best = logits[k] > logits[best] ? k : best;
    }
    return (uint8_t)best;
}

/* --output, or predictions.png in output_dir, which is made when missing. */
static enum exit_code picture_path(struct session *session, char *path)
{
    const char *output = session->app->settings->output;
    if (output) {
        snprintf(path, JOB_PATH_MAX, "%s", output);
        return EXIT_DONE;
    }
    enum exit_code code = app_make_folder(session->app, session->output_dir);
    if (code) {
        return code;
    }
    return storage_join(path, JOB_PATH_MAX, session->output_dir, "predictions.png")
               ? EXIT_DONE
               : app_fail(session->app, EXIT_USAGE, "--output_dir is too long");
}

static enum exit_code predict(struct session *session, size_t count, uint8_t *predictions)
{
    struct app *app = session->app;
    struct model_error err;
    float *logits = calloc(count, MODEL_CLASSES * sizeof *logits);
    if (!logits) {
        return app_fail(app, EXIT_BUG, "infer: no memory");
    }
    if (model_predict(session->model, session->test_set, 0, count, logits, &err)) {
        free(logits);
        return app_fail_model(app, &err);
    }
    for (size_t i = 0; i < count; i++) {
        predictions[i] = largest(logits + i * MODEL_CLASSES);
        uint8_t truth = model_dataset_label(session->test_set, i);
        if (app->settings->json) {
            json_line_print(json_pack("{sI si si}", "image", (json_int_t)i, "prediction",
                                      (int)predictions[i], "truth", (int)truth));
        } else {
            printf("prediction: %u, truth: %u\n", predictions[i], truth);
        }
    }
    free(logits);
    return EXIT_DONE;
}

enum exit_code command_infer(struct app *app)
{
    struct session session;
    struct model_error err;
    char path[JOB_PATH_MAX];
    uint8_t *predictions = NULL;
    enum exit_code code = session_open(&session, app);
    if (code) {
        goto done;
    }
    size_t count = app->settings->count < model_dataset_size(session.test_set)
                       ? app->settings->count
                       : model_dataset_size(session.test_set);
    predictions = calloc(count, sizeof *predictions);
    code = predictions ? predict(&session, count, predictions)
                       : app_fail(app, EXIT_BUG, "infer: no memory");
    if (!code) {
        code = picture_path(&session, path);
    }
    if (!code && model_draw_predictions(path, session.test_set, 0, count, predictions, &err)) {
        code = app_fail_model(app, &err);
    } else if (!code) {
        log_info(&app->log, "drew %s", path);
    }
done:
    free(predictions);
    session_close(&session);
    return code;
}
