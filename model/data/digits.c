/*
 * digits.c - drawn digits as MNIST's four files: gzipped IDX, found by name as MindSpore does.
 *
 * Digit i of a split has a random sequence of its own, so it is the same digit however many are
 * made.
 */
#include "model/data/digits.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "model/base/atomic_file.h"
#include "model/data/gzip.h"
#include "model/model_error.h"

#include "model/model_banned.h"

enum {
    COUNT_MAX = 10000000, /* digits of a split: 7.84 GB before compression */
    IDX_IMAGES = 2051,
    IDX_LABELS = 2049
};

/* Digits of the test split have streams of their own. */
#define TEST_STREAM (UINT64_C(1) << 32)

struct split {
    const char *folder; /* "train", "test" */
    const char *images; /* names of the two files */
    const char *labels;
    size_t count;
    uint64_t seed;
    uint64_t stream;
};

/* IDX numbers are big-endian. */
static enum model_code pack_number(struct gzip_writer *writer, size_t number,
                                   struct model_error *err)
{
    const uint8_t bytes[] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                             (uint8_t)(number >> 8), (uint8_t)number};
    return gzip_writer_add(writer, bytes, sizeof bytes, err);
}

static enum model_code pack_images(struct gzip_writer *writer, const struct split *split,
                                   struct model_error *err)
{
    const size_t header[] = {IDX_IMAGES, split->count, MODEL_IDX_SIDE, MODEL_IDX_SIDE};
    enum model_code code = MODEL_OK;
    for (size_t i = 0; i < 4 && code == MODEL_OK; i++) {
        code = pack_number(writer, header[i], err);
    }
    for (size_t i = 0; i < split->count && code == MODEL_OK; i++) {
        uint8_t pixels[DIGIT_PIXELS];
        struct random random;
        random_init(&random, split->seed, split->stream + i);
        unsigned digit = (unsigned)random_below(&random, MODEL_CLASSES);
        digit_draw(pixels, digit, &random);
        code = gzip_writer_add(writer, pixels, sizeof pixels, err);
    }
    return code;
}

static enum model_code pack_labels(struct gzip_writer *writer, const struct split *split,
                                   struct model_error *err)
{
    enum model_code code = pack_number(writer, IDX_LABELS, err);
    if (code == MODEL_OK) {
        code = pack_number(writer, split->count, err);
    }
    for (size_t i = 0; i < split->count && code == MODEL_OK; i++) {
        struct random random;
        random_init(&random, split->seed, split->stream + i);
        uint8_t label = (uint8_t)random_below(&random, MODEL_CLASSES);
        code = gzip_writer_add(writer, &label, 1, err);
    }
    return code;
}

static enum model_code write_idx(const char *folder, const struct split *split, const char *name,
                                 enum model_code (*content)(struct gzip_writer *,
                                                            const struct split *,
                                                            struct model_error *),
                                 struct model_error *err)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s/%s", folder, split->folder, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        return model_fail_errno(err, "write digits to", folder, ENAMETOOLONG);
    }
    struct gzip_writer *writer = NULL;
    enum model_code code = gzip_writer_open(&writer, path, err);
    if (code == MODEL_OK) {
        code = content(writer, split, err);
    }
    if (code == MODEL_OK) {
        code = gzip_writer_commit(writer, err);
    }
    gzip_writer_free(writer);
    return code;
}

static enum model_code write_split(const char *folder, const struct split *split,
                                   struct model_error *err)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", folder, split->folder);
    if (length < 0 || (size_t)length >= sizeof path) {
        return model_fail_errno(err, "write digits to", folder, ENAMETOOLONG);
    }
    enum model_code code = folder_make(path, err);
    if (code == MODEL_OK) {
        code = write_idx(folder, split, split->images, pack_images, err);
    }
    if (code == MODEL_OK) {
        code = write_idx(folder, split, split->labels, pack_labels, err);
    }
    return code;
}

enum model_code model_make_digits(const char *folder, size_t train, size_t test, uint64_t seed,
                                  struct model_error *err)
{
    const struct split splits[] = {
        {.folder = "train",
         .images = "train-images-idx3-ubyte.gz",
         .labels = "train-labels-idx1-ubyte.gz",
         .count = train,
         .seed = seed,
         .stream = RANDOM_STREAM_DIGITS},
        {.folder = "test",
         .images = "t10k-images-idx3-ubyte.gz",
         .labels = "t10k-labels-idx1-ubyte.gz",
         .count = test,
         .seed = seed,
         .stream = RANDOM_STREAM_DIGITS + TEST_STREAM},
    };
    for (size_t i = 0; i < 2; i++) {
        if (splits[i].count == 0 || splits[i].count > COUNT_MAX) {
            return model_fail(err, MODEL_ARGUMENT, "make digits: %zu for %s, it must be 1 to %d",
                              splits[i].count, splits[i].folder, COUNT_MAX);
        }
    }
    enum model_code code = write_split(folder, &splits[0], err);
    return code == MODEL_OK ? write_split(folder, &splits[1], err) : code;
}
