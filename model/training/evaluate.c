#include "model/model.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "model/layers/layers.h"
#include "model/model_error.h"
#include "model/training/blocks.h"

#include "model/model_banned.h"

enum {
    /* Images whose logits are held at once: a multiple of LENET_BLOCK, so that the blocks are cut
       at the same places whatever the batch size. */
    CHUNK = 256 * LENET_BLOCK
};

/* The metrics while they are summed. A batch's mean loss enters when the batch is complete. */
struct tally {
    size_t batch_size;
    size_t in_batch; /* images of the open batch */
    double batch_loss;
    size_t batches;
    double batch_means;           /* their sum */
    struct model_metrics metrics; /* sums while they are summed */
};

static void close_batch(struct tally *tally)
{
    if (tally->in_batch == 0) {
        return;
    }
    tally->batch_means += (double)(float)(tally->batch_loss / (double)tally->in_batch);
    tally->batches++;
    tally->in_batch = 0;
    tally->batch_loss = 0.0;
}

/* How many outputs come before that of the label, were they sorted; of equals the first does. */
static size_t place_of(size_t classes, const float *logits, uint8_t label)
{
    size_t place = 0;
    for (size_t k = 0; k < classes; k++) {
        place += logits[k] > logits[label] || (logits[k] == logits[label] && k < label);
    }
    return place;
}

static void count_image(struct tally *tally, const float *logits, uint8_t label)
{
    struct model_metrics *metrics = &tally->metrics;
    const size_t classes = metrics->classes;
    double loss;
    loss_forward(1, classes, logits, &label, &loss);
    tally->batch_loss += loss;
    tally->in_batch++;
    metrics->samples++;
    metrics->confusion[label][loss_predict(classes, logits)]++;
    metrics->top_5 += place_of(classes, logits, label) < 5;
    for (size_t k = 0; k < classes; k++) {
        double error = (double)logits[k] - (k == label ? 1.0 : 0.0);
        metrics->mae += fabs(error);
        metrics->mse += error * error;
    }
    if (tally->in_batch == tally->batch_size) {
        close_batch(tally);
    }
}

/* Sums become means. */
static void finish(struct tally *tally, struct model_metrics *metrics)
{
    double samples = (double)tally->metrics.samples;
    uint64_t correct = 0;
    *metrics = tally->metrics;
    for (size_t k = 0; k < metrics->classes; k++) {
        correct += metrics->confusion[k][k];
    }
    metrics->loss = tally->batch_means / (double)tally->batches;
    metrics->accuracy = (double)correct / samples;
    metrics->top_5 /= samples;
    metrics->mae /= samples;
    metrics->mse /= samples;
}

/* What was predicted as a class, and what was of it. */
static void totals(const struct model_metrics *metrics, size_t class_index, double *predicted,
                   double *actual)
{
    *predicted = 0.0;
    *actual = 0.0;
    for (size_t k = 0; k < metrics->classes; k++) {
        *predicted += (double)metrics->confusion[k][class_index];
        *actual += (double)metrics->confusion[class_index][k];
    }
}

/* MindSpore adds the least double to what it divides by: 0/0 is 0. */
static double ratio(double part, double whole)
{
    return part / (whole + DBL_MIN);
}

double model_precision(const struct model_metrics *metrics, size_t class_index)
{
    double predicted;
    double actual;
    totals(metrics, class_index, &predicted, &actual);
    return ratio((double)metrics->confusion[class_index][class_index], predicted);
}

double model_recall(const struct model_metrics *metrics, size_t class_index)
{
    double predicted;
    double actual;
    totals(metrics, class_index, &predicted, &actual);
    return ratio((double)metrics->confusion[class_index][class_index], actual);
}

double model_f1(const struct model_metrics *metrics, size_t class_index)
{
    double predicted;
    double actual;
    totals(metrics, class_index, &predicted, &actual);
    return ratio(2.0 * (double)metrics->confusion[class_index][class_index], predicted + actual);
}

enum model_code model_evaluate(struct model *model, const struct model_dataset *dataset,
                               bool drop_remainder, struct model_metrics *metrics,
                               struct model_error *err)
{
    const size_t classes = model->shape.classes;
    enum model_code code = model_check_labels(model, dataset, err);
    if (code != MODEL_OK) {
        return code;
    }
    struct tally tally = {.batch_size = model->config.batch_size, .metrics.classes = classes};
    size_t samples = dataset->count;
    if (drop_remainder) {
        samples -= samples % tally.batch_size;
    }
    if (samples == 0) {
        return model_fail(err, MODEL_ARGUMENT,
                          "evaluating: %zu images are less than one batch of %zu, and incomplete "
                          "batches are dropped",
                          dataset->count, tally.batch_size);
    }
    float *logits = malloc((size_t)CHUNK * classes * sizeof *logits);
    if (!logits) {
        return model_fail(err, MODEL_BUG, "evaluating: no memory");
    }
    for (size_t first = 0; first < samples; first += CHUNK) {
        size_t count = samples - first < CHUNK ? samples - first : CHUNK;
        blocks_forward(model, dataset, first, count, logits);
        for (size_t i = 0; i < count; i++) {
            count_image(&tally, logits + i * classes, dataset->labels[first + i]);
        }
    }
    close_batch(&tally);
    free(logits);
    finish(&tally, metrics);
    return MODEL_OK;
}

enum model_code model_predict(struct model *model, const struct model_dataset *dataset,
                              size_t first, size_t count, float *logits, struct model_error *err)
{
    if (first > dataset->count || count > dataset->count - first) {
        return model_fail(err, MODEL_ARGUMENT,
                          "predicting: images %zu to %zu were asked for, the dataset has %zu",
                          first, first + count, dataset->count);
    }
    blocks_forward(model, dataset, first, count, logits);
    return MODEL_OK;
}
