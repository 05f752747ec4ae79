/*
 * network.c - what train.sh needs beside the program.
 *
 *   network inference DATA_DIR THREADS KERNELS   images/s of model_predict, 1,000 at a time
 *   network dump DATA_DIR IMAGES LABELS          the training images as the network takes them,
 * float32, and their labels, int32, raw: for train_peer.py
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/data/dataset.h"
#include "model/training/lenet.h"

enum {
    INFERENCE_BATCH = 1000,
    PASSES = 20
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int fail(const struct model_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

static int inference(const struct model_dataset *dataset, const char *threads, const char *kernels)
{
    static float logits[INFERENCE_BATCH * MODEL_CLASSES];
    struct model_config config = MODEL_CONFIG_INIT;
    struct model_error err = {0};
    struct model *model = NULL;
    config.threads = (unsigned)strtoul(threads, NULL, 10);
    config.kernels = kernels;
    if (model_new(&model, &config, &err) != MODEL_OK) {
        return fail(&err);
    }
    double best = 1e9;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now();
        for (size_t i = 0; i + INFERENCE_BATCH <= dataset->count; i += INFERENCE_BATCH) {
            model_predict(model, dataset, i, INFERENCE_BATCH, logits, NULL);
        }
        double seconds = now() - start;
        best = seconds < best ? seconds : best;
    }
    printf("%.0f\n", (double)(dataset->count / INFERENCE_BATCH * INFERENCE_BATCH) / best);
    model_free(model);
    return 0;
}

static int dump(const struct model_dataset *dataset, const char *images, const char *labels)
{
    FILE *out = fopen(images, "wb");
    FILE *label_out = fopen(labels, "wb");
    if (!out || !label_out) {
        perror("network dump");
        return 1;
    }
    for (size_t i = 0; i < dataset->count; i++) {
        float pixels[LENET_INPUTS];
        int label = model_dataset_label(dataset, i);
        dataset_rescale(dataset_pixels(dataset, i), pixels);
        fwrite(pixels, sizeof pixels, 1, out);
        fwrite(&label, sizeof label, 1, label_out);
    }
    return (fclose(out) | fclose(label_out)) != 0;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: see the head of network.c\n");
        return 64;
    }
    bool is_dump = strcmp(argv[1], "dump") == 0;
    struct model_dataset *dataset = NULL;
    struct model_error err = {0};
    if (model_dataset_open(&dataset, argv[2], is_dump ? MODEL_TRAIN : MODEL_TEST, false, &err) !=
        MODEL_OK) {
        return fail(&err);
    }
    int status = is_dump ? dump(dataset, argv[3], argv[4]) : inference(dataset, argv[3], argv[4]);
    model_dataset_free(dataset);
    return status;
}
