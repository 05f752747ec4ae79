/*
 * mindspore_ours.c - writes FOLDER/ours.ckpt and FOLDER/ours.expected.txt for
 * tests/mindspore/load_ours.py: a checkpoint of ours, and what we compute from it.
 */
#include "lab_fixture.h"
#include "model/base/random.h"

#include <math.h>
#include <stdio.h>

/* Weights of a size that gives logits of the order of one, where an error shows. */
static void fill(struct model *model)
{
    struct random random;
    random_init(&random, 1, 0);
    for (size_t t = 0; t < LENET_TENSORS; t++) {
        const struct lenet_tensor *tensor = &lenet_tensors[t];
        double sigma = 1.0 / sqrt((double)tensor->count / (double)tensor->dims[0]);
        for (size_t i = 0; i < tensor->count; i++) {
            model->weights[tensor->offset + i] = (float)random_normal(&random, sigma);
            model->moments[tensor->offset + i] = (float)random_normal(&random, 0.01);
        }
    }
}

static int write_expected(const struct model *model, const char *path)
{
    float logits[LAB_INPUTS][MODEL_CLASSES];
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        return 1;
    }
    lab_logits(model, logits[0]);
    fprintf(file, "# made by mindspore_ours.c\n");
    for (size_t i = 0; i < LAB_INPUTS; i++) {
        fprintf(file, "logits");
        for (size_t c = 0; c < MODEL_CLASSES; c++) {
            fprintf(file, " %.9g", (double)logits[i][c]);
        }
        fprintf(file, "\n");
    }
    fprintf(file, "moments_sum %.12g\nlearning_rate %.9g\nmomentum %.9g\n", lab_moments_sum(model),
            (double)model_learning_rate(model), (double)model->config.momentum);
    return fclose(file) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: mindspore_ours FOLDER\n");
        return 64;
    }
    char path[4096];
    struct model_error err = {0};
    struct model *model = NULL;
    const struct model_config config = MODEL_CONFIG_INIT;
    const struct model_state state = {.present = true,
                                      .run = "20261124T081500Z-k3f9qa",
                                      .epoch = 2,
                                      .step = 1875,
                                      .steps_per_epoch = 1875,
                                      .cumulative_step = 3750,
                                      .seed = config.seed,
                                      .batch_size = config.batch_size,
                                      .kernels = "reference"};
    int result = 1;
    if (model_new(&model, &config, &err) == MODEL_OK) {
        fill(model);
        snprintf(path, sizeof path, "%s/ours.ckpt", argv[1]);
        if (model_save(model, &state, path, &err) == MODEL_OK) {
            snprintf(path, sizeof path, "%s/ours.expected.txt", argv[1]);
            result = write_expected(model, path);
        }
    }
    if (err.message[0]) {
        fprintf(stderr, "%s\n", err.message);
    }
    model_free(model);
    return result;
}
