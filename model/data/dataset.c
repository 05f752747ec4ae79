#include "model/data/dataset.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model/data/gzip.h"
#include "model/data/idx.h"
#include "model/data/resize.h"
#include "model/model_error.h"

#include "model/model_banned.h"

enum {
    IMAGE_SIZE = MODEL_IDX_SIDE * MODEL_IDX_SIDE,
    INPUT_SIZE = MODEL_INPUT_SIDE * MODEL_INPUT_SIDE
};

/*
 * The path of the split's images, in the given folder or else in its train/ or test/; folder gets
 * the one it was, for the labels.
 */
static enum model_code find_images(char path[PATH_MAX], char folder[PATH_MAX], const char *given,
                                   enum model_split split, struct model_error *err)
{
    const char *sub_folder = split == MODEL_TRAIN ? "train" : "test";
    int length = snprintf(folder, PATH_MAX, "%s/%s", given, sub_folder);
    if (length < 0 || length >= PATH_MAX) {
        return model_fail_errno(err, "opening", given, ENAMETOOLONG);
    }
    enum model_code code = idx_find(path, PATH_MAX, given, split, IDX_IMAGES, err);
    struct stat status;
    /* Where there is no such sub-folder, the answer about the given folder stands. */
    if (code == MODEL_NOT_FOUND && stat(folder, &status) == 0) {
        return idx_find(path, PATH_MAX, folder, split, IDX_IMAGES, err);
    }
    folder[length - (int)strlen(sub_folder) - 1] = '\0';
    return code;
}

/* EMNIST's files hold each image transposed (Cohen and others, 2017); upright is what MNIST's are.
 */
static void transpose_pixels(struct model_dataset *dataset)
{
    for (size_t i = 0; i < dataset->count; i++) {
        uint8_t *pixels = dataset->images + i * IMAGE_SIZE;
        for (size_t y = 0; y < MODEL_IDX_SIDE; y++) {
            for (size_t x = y + 1; x < MODEL_IDX_SIDE; x++) {
                uint8_t swap = pixels[y * MODEL_IDX_SIDE + x];
                pixels[y * MODEL_IDX_SIDE + x] = pixels[x * MODEL_IDX_SIDE + y];
                pixels[x * MODEL_IDX_SIDE + y] = swap;
            }
        }
    }
}

static enum model_code read_split(struct model_dataset *dataset, const char *given,
                                  enum model_split split, struct model_error *err)
{
    char folder[PATH_MAX];
    char images[PATH_MAX];
    char labels[PATH_MAX];
    enum model_code code = find_images(images, folder, given, split, err);
    if (code != MODEL_OK) {
        return code;
    }
    code = idx_find(labels, sizeof labels, folder, split, IDX_LABELS, err);
    if (code != MODEL_OK) {
        return code;
    }
    code = idx_read(&dataset->images, &dataset->count, images, IDX_IMAGES, err);
    if (code != MODEL_OK) {
        return code;
    }
    if (idx_is_emnist(images)) {
        transpose_pixels(dataset);
    }
    size_t label_count;
    code = idx_read(&dataset->labels, &label_count, labels, IDX_LABELS, err);
    if (code == MODEL_OK && label_count != dataset->count) {
        code = model_fail(
            err, MODEL_DATA,
            "reading %s: its count at byte 4 is %zu labels, but there are %zu images in %s", labels,
            label_count, dataset->count, images);
    }
    return code;
}

static void binarize_pixels(struct model_dataset *dataset)
{
    for (size_t i = 0; i < dataset->count * IMAGE_SIZE; i++) {
        dataset->images[i] = dataset->images[i] ? 255 : 0;
    }
}

static uint32_t sum_of(const struct model_dataset *dataset)
{
    uint32_t sum = gzip_crc32(0, dataset->images, dataset->count * IMAGE_SIZE);
    return gzip_crc32(sum, dataset->labels, dataset->count);
}

/* Resizes and sums up what was read. */
static enum model_code finish(struct model_dataset *dataset, const char *folder,
                              struct model_error *err)
{
    dataset->resized = malloc(dataset->count * INPUT_SIZE);
    if (!dataset->resized) {
        return model_fail(err, MODEL_BUG, "opening the dataset %s: no memory for %zu images",
                          folder, dataset->count);
    }
    for (size_t i = 0; i < dataset->count; i++) {
        resize_28_to_32(dataset->images + i * IMAGE_SIZE, dataset->resized + i * INPUT_SIZE);
    }
    for (size_t i = 0; i < dataset->count; i++) {
        size_t label = dataset->labels[i];
        if (label != MODEL_NO_LABEL && label >= dataset->label_end) {
            dataset->label_end = label + 1;
        }
    }
    dataset->crc32 = sum_of(dataset);
    return MODEL_OK;
}

enum model_code model_dataset_open(struct model_dataset **out, const char *folder,
                                   enum model_split split, bool binarize, struct model_error *err)
{
    *out = NULL;
    struct model_dataset *dataset = calloc(1, sizeof *dataset);
    if (!dataset) {
        return model_fail(err, MODEL_BUG, "opening the dataset %s: no memory", folder);
    }
    enum model_code code = read_split(dataset, folder, split, err);
    if (code != MODEL_OK) {
        goto done;
    }
    if (binarize) {
        binarize_pixels(dataset);
    }
    code = finish(dataset, folder, err);
    if (code == MODEL_OK) {
        *out = dataset;
        dataset = NULL;
    }
done:
    model_dataset_free(dataset);
    return code;
}

enum model_code dataset_of(struct model_dataset **out, uint8_t *images, uint8_t *labels,
                           size_t count, struct model_error *err)
{
    *out = NULL;
    struct model_dataset *dataset = calloc(1, sizeof *dataset);
    if (!dataset) {
        free(images);
        free(labels);
        return model_fail(err, MODEL_BUG, "making a dataset: no memory");
    }
    *dataset = (struct model_dataset){.count = count, .images = images, .labels = labels};
    enum model_code code = finish(dataset, "of images", err);
    if (code == MODEL_OK) {
        *out = dataset;
        dataset = NULL;
    }
    model_dataset_free(dataset);
    return code;
}

void model_dataset_free(struct model_dataset *dataset)
{
    if (!dataset) {
        return;
    }
    free(dataset->images);
    free(dataset->labels);
    free(dataset->resized);
    free(dataset);
}

size_t model_dataset_classes(const struct model_dataset *dataset)
{
    return dataset->label_end > MODEL_CLASSES ? dataset->label_end : MODEL_CLASSES;
}

size_t model_dataset_size(const struct model_dataset *dataset)
{
    return dataset->count;
}

uint32_t model_dataset_crc32(const struct model_dataset *dataset)
{
    return dataset->crc32;
}

const uint8_t *model_dataset_image(const struct model_dataset *dataset, size_t i)
{
    assert(i < dataset->count);
    return dataset->images + i * IMAGE_SIZE;
}

uint8_t model_dataset_label(const struct model_dataset *dataset, size_t i)
{
    assert(i < dataset->count);
    return dataset->labels[i];
}

const uint8_t *dataset_pixels(const struct model_dataset *dataset, size_t i)
{
    assert(i < dataset->count);
    return dataset->resized + i * INPUT_SIZE;
}

void dataset_rescale(const uint8_t *pixels, float *out)
{
    for (size_t p = 0; p < INPUT_SIZE; p++) {
        out[p] = (float)pixels[p] * DATASET_RESCALE + DATASET_SHIFT;
    }
}
