/* checkpoint_convert.c - `ckpt diff` and `ckpt convert`: checkpoints beside one another, and from
 * one format into another. */
#include "runner/commands/commands.h"
#include "runner/json_line.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runner/runner_banned.h"

/* Two checkpoints, and what was found so far. */
struct comparison {
    const struct settings *settings;
    const struct model_checkpoint *a, *b;
    size_t differing;
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    size_t end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* Whether a tensor counts: with --weights_only what belongs to neither optimizer nor state. */
static bool counts(const struct comparison *comparison, const char *name)
{
    static const char *const layers[] = {"conv1.", "conv2.", "fc1.", "fc2.", "fc3."};
    bool weight = !comparison->settings->weights_only;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0] && !weight; i++) {
        weight = strncmp(name, layers[i], strlen(layers[i])) == 0;
    }
    return weight;
}

static const struct model_tensor *find(const struct model_checkpoint *checkpoint, const char *name)
{
    for (size_t i = 0; i < model_checkpoint_count(checkpoint); i++) {
        const struct model_tensor *tensor = model_checkpoint_tensor(checkpoint, i);
        if (strcmp(tensor->name, name) == 0) {
            return tensor;
        }
    }
    return NULL;
}

/* One line: the name and its difference, or what there is instead. */
static void tell(struct comparison *comparison, const char *name, double difference,
                 const char *instead)
{
    comparison->differing += instead || difference != 0.0;
    if (comparison->settings->json) {
        json_line_print(json_pack("{so so so}", "name", json_text(name), "max_abs_difference",
                                  instead ? json_null() : json_real(difference), "note",
                                  instead ? json_text(instead) : json_null()));
    } else if (instead) {
        printf("%-28s %s\n", name, instead);
    } else {
        printf("%-28s %.9g\n", name, difference);
    }
}

static void compare(struct comparison *comparison)
{
    for (size_t i = 0; i < model_checkpoint_count(comparison->a); i++) {
        const struct model_tensor *a = model_checkpoint_tensor(comparison->a, i);
        const struct model_tensor *b = find(comparison->b, a->name);
        if (!counts(comparison, a->name)) {
            continue;
        }
        double difference = b ? model_tensor_difference(a, b) : (double)NAN;
        tell(comparison, a->name, difference,
             !b                  ? "only in the first"
             : isnan(difference) ? "of another type or shape, or NaN on one side"
                                 : NULL);
    }
    for (size_t i = 0; i < model_checkpoint_count(comparison->b); i++) {
        const char *name = model_checkpoint_tensor(comparison->b, i)->name;
        if (counts(comparison, name) && !find(comparison->a, name)) {
            tell(comparison, name, (double)NAN, "only in the second");
        }
    }
}

enum exit_code command_ckpt_diff(struct app *app)
{
    struct model_checkpoint *pair[2] = {NULL, NULL};
    struct model_error err;
    enum exit_code code = EXIT_DONE;
    if (app->arguments->positional_count != 2) {
        return app_fail(app, EXIT_USAGE, "ckpt diff takes two files, not %zu words",
                        app->arguments->positional_count);
    }
    for (size_t i = 0; i < 2 && !code; i++) {
        if (model_checkpoint_read(&pair[i], app->arguments->positional[i], &err)) {
            code = app_fail_model(app, &err);
        }
    }
    if (!code) {
        struct comparison comparison = {
            .settings = app->settings, .a = pair[0], .b = pair[1], .differing = 0};
        compare(&comparison);
        log_info(&app->log, "%zu tensors differ", comparison.differing);
        code = comparison.differing ? EXIT_UNEQUAL : EXIT_DONE;
    }
    model_checkpoint_free(pair[0]);
    model_checkpoint_free(pair[1]);
    return code;
}

/* What TO and the options ask for. */
static enum exit_code choose_format(struct app *app, const char *to, struct model_saving *saving)
{
    static const struct {
        const char *suffix;
        enum model_format format;
    } formats[] = {{".ckpt", MODEL_FORMAT_CKPT},
                   {".safetensors", MODEL_FORMAT_SAFETENSORS},
                   {".onnx", MODEL_FORMAT_ONNX}};
    const struct settings *settings = app->settings;
    size_t i = 0;
    while (i < sizeof formats / sizeof formats[0] && !ends_with(to, formats[i].suffix)) {
        i++;
    }
    if (i == sizeof formats / sizeof formats[0]) {
        return app_fail(app, EXIT_USAGE,
                        "%s: a checkpoint becomes a .ckpt, a .safetensors or an .onnx", to);
    }
    *saving = (struct model_saving){.format = formats[i].format,
                                    .crc_check = settings->crc_check,
                                    .weights_only = settings->weights_only};
    if (settings->mindspore) {
        saving->mindspore = settings->mindspore[0] == '1' ? 1 : 2;
    }
    if (saving->mindspore && saving->format != MODEL_FORMAT_CKPT) {
        return app_fail(app, EXIT_USAGE, "--mindspore is about a .ckpt, not %s", to);
    }
    if (saving->crc_check && saving->format == MODEL_FORMAT_ONNX) {
        return app_fail(app, EXIT_USAGE, "--crc_check: an .onnx carries no sum");
    }
    return EXIT_DONE;
}

enum exit_code command_ckpt_convert(struct app *app)
{
    struct model_checkpoint *checkpoint = NULL;
    struct model_saving saving;
    struct model_error err;
    if (app->arguments->positional_count != 2) {
        return app_fail(app, EXIT_USAGE, "ckpt convert takes a file and a name, not %zu words",
                        app->arguments->positional_count);
    }
    const char *from = app->arguments->positional[0];
    const char *to = app->arguments->positional[1];
    enum exit_code code = choose_format(app, to, &saving);
    if (!code && model_checkpoint_read(&checkpoint, from, &err)) {
        code = app_fail_model(app, &err);
    }
    if (!code && model_checkpoint_write(checkpoint, &saving, to, &err)) {
        code = app_fail_model(app, &err);
    }
    if (!code) {
        log_info(&app->log, "wrote %s", to);
    }
    model_checkpoint_free(checkpoint);
    return code;
}
