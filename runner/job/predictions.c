/* predictions.c - what the final weights make of each test image, for the report. */
#include "runner/job/trainer.h"

#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

enum {
    PREDICT_AT_ONCE = 512 /* images: logits of 20 KiB, 128 KiB at most */
};

static unsigned largest(size_t classes, const float *logits)
{
    unsigned best = 0;
    for (unsigned k = 1; k < classes; k++) {
        best = logits[k] > logits[best] ? k : best;
    }
    return best;
}

/* All counts, and the first wrong ones. */
struct predictions {
    uint64_t confusion[MODEL_CLASSES_MAX][MODEL_CLASSES_MAX];
    struct report_wrong wrong[REPORT_WRONG_MAX];
    size_t wrong_count;
    float logits[PREDICT_AT_ONCE * MODEL_CLASSES_MAX]; /* [][classes] */
};

static void keep(struct predictions *all, const struct model_dataset *set, size_t image,
                 unsigned prediction)
{
    unsigned truth = model_dataset_label(set, image);
    all->confusion[truth][prediction]++;
    if (prediction != truth && all->wrong_count < REPORT_WRONG_MAX) {
        struct report_wrong *wrong = &all->wrong[all->wrong_count++];
        wrong->image = image;
        wrong->prediction = prediction;
        wrong->truth = truth;
        memcpy(wrong->pixels, model_dataset_image(set, image), sizeof wrong->pixels);
    }
}

enum exit_code builtin_predictions(struct job *job)
{
    const struct model_dataset *set = job->test_set;
    const size_t classes = model_classes(job->model);
    struct predictions *all = calloc(1, sizeof *all);
    struct model_error err;
    enum model_code code = MODEL_OK;
    if (!all) {
        return app_fail(job->app, EXIT_BUG, "predict: no memory");
    }
    size_t size = model_dataset_size(set);
    for (size_t first = 0; first < size && !code; first += PREDICT_AT_ONCE) {
        size_t count = size - first < PREDICT_AT_ONCE ? size - first : PREDICT_AT_ONCE;
        code = model_predict(job->model, set, first, count, all->logits, &err);
        for (size_t i = 0; i < count && !code; i++) {
            keep(all, set, first + i, largest(classes, all->logits + i * classes));
        }
    }
    if (!code) {
        report_predictions(job->report, classes, all->confusion, all->wrong, all->wrong_count);
    }
    free(all);
    return code ? app_fail_model(job->app, &err) : EXIT_DONE;
}
