/*
 * summary.c - what TensorBoard shows of a training: MindSpore's SummaryCollector (its SummaryStep
 * of old), written as TensorBoard's own event files, which MindSpore's are not.
 *
 * Steps are cumulative, so a run and those that go on from it share one axis.
 */
#include "model/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/callbacks/event_file.h"
#include "model/layers/layers.h"
#include "model/model_error.h"
#include "model/training/lenet.h"

#include "model/model_banned.h"

enum {
    PICTURES = 16,
    PATH_SIZE = 4096,
    PNG_MAX = 16 << 20,
    PNG_HEADER = 24 /* bytes until behind width and height (PNG specification, 11.2.2 IHDR) */
};

struct summary {
    struct event_file *file;
    uint64_t collect_freq;
    bool began;
    char picture[PATH_SIZE]; /* drawn there, read, removed */
};

/* The first step of a training, and every collect_freq-th of its run. */
static enum model_code step_end(void *context, const struct model_progress *progress,
                                struct model_error *err)
{
    struct summary *summary = context;
    const struct model_state *state = &progress->state;
    if (summary->began && (state->cumulative_step - state->base_step) % summary->collect_freq) {
        return MODEL_OK;
    }
    summary->began = true;
    const struct {
        const char *tag;
        double value;
    } scalars[] = {{"train/loss", progress->loss},
                   {"train/learning_rate", progress->learning_rate},
                   {"train/images_per_second", progress->images_per_second}};
    enum model_code code = MODEL_OK;
    for (size_t i = 0; i < 3 && code == MODEL_OK; i++) {
        code = event_file_scalar(summary->file, scalars[i].tag, state->cumulative_step,
                                 scalars[i].value, err);
    }
    return code;
}

static enum model_code add_histograms(struct summary *summary, const struct model *model,
                                      uint64_t step, struct model_error *err)
{
    const struct {
        const char *kind;
        const float *block;
    } blocks[] = {{"weights", model->weights}, {"gradients", model->gradients}};
    enum model_code code = MODEL_OK;
    for (size_t b = 0; b < 2; b++) {
        for (size_t i = 0; i < LENET_TENSORS && code == MODEL_OK; i++) {
            char tag[64];
            snprintf(tag, sizeof tag, "%s/%s", blocks[b].kind, model->shape.tensors[i].name);
            code = event_file_histogram(summary->file, tag, step,
                                        blocks[b].block + model->shape.tensors[i].offset,
                                        model->shape.tensors[i].count, err);
        }
    }
    return code;
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static enum model_code add_file(struct summary *summary, uint64_t step, struct model_error *err)
{
    enum model_code code = MODEL_OK;
    uint8_t *png = malloc(PNG_MAX);
    FILE *file = fopen(summary->picture, "rb");
    size_t size = png && file ? fread(png, 1, PNG_MAX, file) : 0;
    if (size < PNG_HEADER || size == PNG_MAX) {
        code = model_fail(err, MODEL_DISK, "read %s: it is not what was drawn", summary->picture);
    } else {
        code = event_file_image(summary->file, "predictions", step, png, size, big_endian(png + 16),
                                big_endian(png + 20), err);
    }
    if (file) {
        fclose(file);
    }
    free(png);
    return code;
}

static enum model_code add_picture(struct summary *summary, struct model *model,
                                   const struct model_dataset *dataset, uint64_t step,
                                   struct model_error *err)
{
    float logits[PICTURES * MODEL_CLASSES_MAX];
    const size_t classes = model_classes(model);
    uint8_t predictions[PICTURES];
    size_t count = model_dataset_size(dataset) < PICTURES ? model_dataset_size(dataset) : PICTURES;
    enum model_code code = model_predict(model, dataset, 0, count, logits, err);
    for (size_t i = 0; i < count && code == MODEL_OK; i++) {
        predictions[i] = (uint8_t)loss_predict(classes, logits + i * classes);
    }
    if (code == MODEL_OK) {
        code = model_draw_predictions(summary->picture, dataset, 0, count, predictions, err);
    }
    if (code == MODEL_OK) {
        code = add_file(summary, step, err);
        remove(summary->picture);
    }
    return code;
}

enum model_code model_summary_evaluated(struct model_callback *callback, struct model *model,
                                        const struct model_dataset *dataset,
                                        const struct model_state *state,
                                        const struct model_metrics *metrics,
                                        struct model_error *err)
{
    struct summary *summary = callback->context;
    uint64_t step = state->cumulative_step;
    enum model_code code =
        event_file_scalar(summary->file, "eval/accuracy", step, metrics->accuracy, err);
    if (code == MODEL_OK) {
        code = event_file_scalar(summary->file, "eval/loss", step, metrics->loss, err);
    }
    if (code == MODEL_OK) {
        code = add_histograms(summary, model, step, err);
    }
    return code == MODEL_OK ? add_picture(summary, model, dataset, step, err) : code;
}

enum model_code model_summary_new(struct model_callback *callback, const char *folder,
                                  uint64_t collect_freq, struct model_error *err)
{
    *callback = (struct model_callback){0};
    if (collect_freq < 1) {
        return model_fail(err, MODEL_ARGUMENT, "collect_freq is 0; it must be at least 1");
    }
    struct summary *summary = calloc(1, sizeof *summary);
    if (!summary) {
        return model_fail(err, MODEL_BUG, "collect a summary in %s: no memory", folder);
    }
    summary->collect_freq = collect_freq;
    enum model_code code = event_file_new(&summary->file, folder, err);
    int length = snprintf(summary->picture, sizeof summary->picture, "%s/.predictions.png", folder);
    if (code == MODEL_OK && (length < 0 || length >= PATH_SIZE)) {
        code = model_fail(err, MODEL_DISK, "collect a summary in %s: the path is too long", folder);
    }
    *callback = (struct model_callback){.step_end = step_end, .context = summary};
    if (code != MODEL_OK) {
        model_summary_free(callback);
    }
    return code;
}

void model_summary_free(struct model_callback *callback)
{
    struct summary *summary = callback->context;
    if (summary) {
        event_file_free(summary->file);
    }
    free(summary);
    *callback = (struct model_callback){0};
}
