/* infer.c - `infer`: predictions of test images or of PNG files, in words and as a picture. */
#include "runner/commands/session.h"
#include "runner/json_line.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "runner/runner_banned.h"

enum {
    IMAGES_MAX = 1024,
    CHUNK = 256 /* images predicted at a time */
};

/* The images that are shown, and what was predicted of them. */
struct shown {
    size_t images[IMAGES_MAX];
    uint8_t predictions[IMAGES_MAX];
    size_t count;
};

/* The files of --image, and the words after it. */
struct files {
    const char *paths[IMAGES_MAX];
    size_t count;
};

static enum exit_code collect_files(struct app *app, struct files *files)
{
    const struct text_list *list = &app->settings->image;
    const struct arguments *arguments = app->arguments;
    if (list->count == 0 && arguments->positional_count > 0) {
        return app_fail(app, EXIT_USAGE, "'%s' is no option; images are given as --image=FILE",
                        arguments->positional[0]);
    }
    if (list->count + arguments->positional_count > IMAGES_MAX) {
        return app_fail(app, EXIT_USAGE, "more than %d images at once", IMAGES_MAX);
    }
    for (size_t i = 0; i < list->count; i++) {
        files->paths[files->count++] = list->items[i];
    }
    for (size_t i = 0; i < arguments->positional_count; i++) {
        files->paths[files->count++] = arguments->positional[i];
    }
    return EXIT_DONE;
}

static uint8_t largest(size_t classes, const float *logits)
{
    size_t best = 0;
    for (size_t k = 1; k < classes; k++) {
        best = logits[k] > logits[best] ? k : best;
    }
    return (uint8_t)best;
}

/* Softmax of the logits, and the logits. */
static void add_numbers(json_t *line, size_t classes, const float *logits)
{
    json_t *probabilities = json_array();
    json_t *raw = json_array();
    double highest = (double)logits[largest(classes, logits)];
    double sum = 0.0;
    for (size_t k = 0; k < classes; k++) {
        sum += exp((double)logits[k] - highest);
    }
    for (size_t k = 0; k < classes; k++) {
        json_array_append_new(probabilities, json_real(exp((double)logits[k] - highest) / sum));
        json_array_append_new(raw, json_real((double)logits[k]));
    }
    json_object_set_new(line, "probabilities", probabilities);
    json_object_set_new(line, "logits", raw);
}

static void tell(const struct session *session, const struct files *files, size_t image,
                 const float *logits)
{
    const size_t classes = model_classes(session->model);
    unsigned prediction = largest(classes, logits);
    unsigned truth = model_dataset_label(session->images, image);
    bool known = truth != MODEL_NO_LABEL;
    if (session->app->settings->json) {
        json_t *line = json_pack(
            "{so si so}", "image",
            files->count ? json_text(files->paths[image]) : json_integer((json_int_t)image),
            "prediction", (int)prediction, "truth", known ? json_integer(truth) : json_null());
        add_numbers(line, classes, logits);
        json_line_print(line);
    } else if (known) {
        printf("prediction: %u, truth: %u\n", prediction, truth);
    } else {
        printf("%s: prediction: %u\n", files->paths[image], prediction);
    }
}

/* Predicts image after image until enough are shown; with --only_wrong those alone count. */
static enum exit_code predict(struct session *session, const struct files *files, size_t count,
                              struct shown *shown)
{
    struct app *app = session->app;
    struct model_error err;
    float logits[CHUNK * MODEL_CLASSES_MAX];
    const size_t classes = model_classes(session->model);
    size_t size = model_dataset_size(session->images);
    for (size_t first = 0; first < size && shown->count < count; first += CHUNK) {
        size_t part = size - first < CHUNK ? size - first : CHUNK;
        if (model_predict(session->model, session->images, first, part, logits, &err)) {
            return app_fail_model(app, &err);
        }
        for (size_t i = 0; i < part && shown->count < count; i++) {
            const float *row = logits + i * classes;
            if (app->settings->only_wrong &&
                largest(classes, row) == model_dataset_label(session->images, first + i)) {
                continue;
            }
            tell(session, files, first + i, row);
            shown->images[shown->count] = first + i;
            shown->predictions[shown->count++] = largest(classes, row);
        }
    }
    return EXIT_DONE;
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

static enum exit_code draw(struct session *session, const struct shown *shown)
{
    struct app *app = session->app;
    struct model_error err;
    char path[JOB_PATH_MAX];
    if (shown->count == 0) {
        log_info(&app->log, "every prediction is right: there is nothing to draw");
        return EXIT_DONE;
    }
    const struct model_grid grid = {.images = shown->images,
                                    .predictions = shown->predictions,
                                    .count = shown->count,
                                    .columns = app->settings->columns};
    enum exit_code code = picture_path(session, path);
    if (!code && model_draw_grid(path, session->images, &grid, &err)) {
        code = app_fail_model(app, &err);
    } else if (!code) {
        log_info(&app->log, "drew %s", path);
    }
    return code;
}

enum exit_code command_infer(struct app *app)
{
    struct session session = {0};
    struct shown shown = {.count = 0};
    struct files files = {.count = 0};
    enum exit_code code = collect_files(app, &files);
    if (!code && files.count && app->settings->only_wrong) {
        code = app_fail(app, EXIT_USAGE, "--only_wrong: images from files have no truth");
    }
    if (code) {
        return code;
    }
    code = session_open(&session, app, files.paths, files.count);
    if (!code) {
        code = predict(&session, &files, files.count ? files.count : app->settings->count, &shown);
    }
    if (!code) {
        code = draw(&session, &shown);
    }
    session_close(&session);
    return code;
}
