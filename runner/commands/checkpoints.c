/* checkpoints.c - `ckpt show` and `ckpt verify`, and `data digits`: small views of model/. */
#include "runner/commands/commands.h"
#include "runner/json_line.h"

#include <stdio.h>
#include <string.h>

#include "runner/runner_banned.h"

static const char *completeness_text(enum model_completeness completeness)
{
    static const char *const texts[] = {
        [MODEL_UNVERIFIED] = "unverified: it carries no sum",
        [MODEL_VERIFIED_OWN] = "verified by jobferry's CRC-32",
        [MODEL_VERIFIED_TRAILER] = "verified by MindSpore's CRC-32",
    };
    return texts[completeness];
}

static enum exit_code read_one(struct app *app, const char *path,
                               struct model_checkpoint **checkpoint)
{
    struct model_error err;
    return model_checkpoint_read(checkpoint, path, &err) ? app_fail_model(app, &err) : EXIT_DONE;
}

static void dims_text(char *out, size_t size, const struct model_tensor *tensor)
{
    size_t used = 0;
    snprintf(out, size, "scalar");
    for (size_t i = 0; i < tensor->rank && used + 24 < size; i++) {
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? "," : "",
                                 (long long)tensor->dims[i]);
    }
}

/* What its numbers come to; nothing for text. */
static void values_text(char *out, size_t size, const struct model_tensor *tensor)
{
    struct model_tensor_summary summary;
    model_tensor_summary(tensor, &summary);
    out[0] = '\0';
    if (summary.count > 0) {
        snprintf(out, size, "%12.5g %12.5g %12.5g %12.5g", summary.mean, summary.std, summary.min,
                 summary.max);
    }
}

static void show_tensor(const struct app *app, const struct model_tensor *tensor)
{
    char dims[128];
    if (app->settings->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < tensor->rank; i++) {
            json_array_append_new(list, json_integer(tensor->dims[i]));
        }
        json_line_print(json_pack("{so so so}", "name", json_text(tensor->name), "dims", list,
                                  "type", json_text(tensor->type)));
        return;
    }
    char values[80];
    dims_text(dims, sizeof dims, tensor);
    values_text(values, sizeof values, tensor);
    printf("%-28s %-10s %-8s %s\n", tensor->name, dims, tensor->type, values);
}

enum exit_code command_ckpt_show(struct app *app)
{
    if (app->arguments->positional_count != 1) {
        return app_fail(app, EXIT_USAGE, "ckpt show takes one file, not %zu words",
                        app->arguments->positional_count);
    }
    struct model_checkpoint *checkpoint = NULL;
    enum exit_code code = read_one(app, app->arguments->positional[0], &checkpoint);
    if (code) {
        return code;
    }
    if (!app->settings->json) {
        printf("%-28s %-10s %-8s %12s %12s %12s %12s\n", "name", "dims", "type", "mean", "std",
               "min", "max");
    }
    for (size_t i = 0; i < model_checkpoint_count(checkpoint); i++) {
        show_tensor(app, model_checkpoint_tensor(checkpoint, i));
    }
    struct model_state state;
    model_checkpoint_state(checkpoint, &state);
    log_info(&app->log, "%zu entries, %s", model_checkpoint_count(checkpoint),
             completeness_text(model_checkpoint_completeness(checkpoint)));
    if (state.present) {
        log_info(&app->log, "run %s, epoch %llu, step %llu of %llu, cumulative step %llu",
                 state.run, (unsigned long long)state.epoch, (unsigned long long)state.step,
                 (unsigned long long)state.steps_per_epoch,
                 (unsigned long long)state.cumulative_step);
    }
    model_checkpoint_free(checkpoint);
    return code;
}

enum exit_code command_ckpt_verify(struct app *app)
{
    if (app->arguments->positional_count == 0) {
        return app_fail(app, EXIT_USAGE, "ckpt verify takes one or more files");
    }
    enum exit_code code = EXIT_DONE;
    for (size_t i = 0; i < app->arguments->positional_count; i++) {
        const char *path = app->arguments->positional[i];
        struct model_checkpoint *checkpoint = NULL;
        enum exit_code one = read_one(app, path, &checkpoint);
        code = code ? code : one;
        if (!one) {
            const char *text = completeness_text(model_checkpoint_completeness(checkpoint));
            if (app->settings->json) {
                json_line_print(json_pack(
                    "{so sb ss}", "file", json_text(path), "verified",
                    model_checkpoint_completeness(checkpoint) != MODEL_UNVERIFIED, "by", text));
            } else {
                printf("%s: %s\n", path, text);
            }
        }
        model_checkpoint_free(checkpoint);
    }
    return code;
}

enum exit_code command_data_digits(struct app *app)
{
    const struct settings *settings = app->settings;
    if (app->arguments->positional_count != 1) {
        return app_fail(app, EXIT_USAGE, "data digits takes one folder, not %zu words",
                        app->arguments->positional_count);
    }
    const char *folder = app->arguments->positional[0];
    struct model_error err;
    if (model_make_digits(folder, settings->digits_train, settings->digits_test, settings->seed,
                          &err)) {
        return app_fail_model(app, &err);
    }
    if (settings->json) {
        json_line_print(json_pack("{so sI sI}", "folder", json_text(folder), "train",
                                  (json_int_t)settings->digits_train, "test",
                                  (json_int_t)settings->digits_test));
    } else {
        log_info(&app->log, "drew %llu training and %llu test digits in %s",
                 (unsigned long long)settings->digits_train,
                 (unsigned long long)settings->digits_test, folder);
    }
    return EXIT_DONE;
}
