/*
 * digits.c - drawn digits as MNIST's four files: gzipped IDX, found by name as MindSpore does.
 *
 * Digit i of a split has a random sequence of its own, so it is the same digit however many are
 * made.
 */
#include "digits.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "atomic_file.h"
#include "model_error.h"

#include "model_banned.h"

enum {
    COUNT_MAX = 10000000, /* digits of a split: 7.84 GB before compression */
    OUTPUT_SIZE = 1 << 16,
    GZIP_WINDOW = 15 + 16, /* zlib: largest window, gzip's header (no name, no time) */
    GZIP_MEMORY = 9,
    IDX_IMAGES = 2051,
    IDX_LABELS = 2049
};

/* Digits of the test split have streams of their own. */
#define TEST_STREAM (UINT64_C(1) << 32)

/* A gzip file being written. */
struct packer {
    struct atomic_file file;
    z_stream stream;
    uint8_t output[OUTPUT_SIZE];
    struct model_error *err;
};

struct split {
    const char *folder; /* "train", "test" */
    const char *images; /* names of the two files */
    const char *labels;
    size_t count;
    uint64_t seed;
    uint64_t stream;
};

/* Compresses size bytes, or with Z_FINISH ends the file. */
static enum model_code pack(struct packer *packer, const void *data, size_t size, int flush)
{
    assert(size <= UINT_MAX);
    packer->stream.next_in = (z_const Bytef *)data;
    packer->stream.avail_in = (uInt)size;
    do {
        packer->stream.next_out = packer->output;
        packer->stream.avail_out = OUTPUT_SIZE;
        int result = deflate(&packer->stream, flush);
        assert(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
        (void)result;
        enum model_code code = atomic_file_write(
            &packer->file, packer->output, OUTPUT_SIZE - packer->stream.avail_out, packer->err);
        if (code != MODEL_OK) {
            return code;
        }
    } while (packer->stream.avail_out == 0);
    return MODEL_OK;
}

/* IDX numbers are big-endian. */
static enum model_code pack_number(struct packer *packer, size_t number)
{
    const uint8_t bytes[] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                             (uint8_t)(number >> 8), (uint8_t)number};
    return pack(packer, bytes, sizeof bytes, Z_NO_FLUSH);
}

static enum model_code pack_images(struct packer *packer, const struct split *split)
{
    const size_t header[] = {IDX_IMAGES, split->count, MODEL_IDX_SIDE, MODEL_IDX_SIDE};
    enum model_code code = MODEL_OK;
    for (size_t i = 0; i < 4 && code == MODEL_OK; i++) {
        code = pack_number(packer, header[i]);
    }
    for (size_t i = 0; i < split->count && code == MODEL_OK; i++) {
        uint8_t pixels[DIGIT_PIXELS];
        struct random random;
        random_init(&random, split->seed, split->stream + i);
        unsigned digit = (unsigned)random_below(&random, MODEL_CLASSES);
        digit_draw(pixels, digit, &random);
        code = pack(packer, pixels, sizeof pixels, Z_NO_FLUSH);
    }
    return code;
}

static enum model_code pack_labels(struct packer *packer, const struct split *split)
{
    enum model_code code = pack_number(packer, IDX_LABELS);
    if (code == MODEL_OK) {
        code = pack_number(packer, split->count);
    }
    for (size_t i = 0; i < split->count && code == MODEL_OK; i++) {
        struct random random;
        random_init(&random, split->seed, split->stream + i);
        uint8_t label = (uint8_t)random_below(&random, MODEL_CLASSES);
        code = pack(packer, &label, 1, Z_NO_FLUSH);
    }
    return code;
}

static enum model_code write_idx(const char *folder, const struct split *split, const char *name,
                                 enum model_code (*content)(struct packer *, const struct split *),
                                 struct model_error *err)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s/%s", folder, split->folder, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        return model_fail_errno(err, "write digits to", folder, ENAMETOOLONG);
    }
    struct packer *packer = calloc(1, sizeof *packer);
    if (!packer || deflateInit2(&packer->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW,
                                GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(packer);
        return model_fail(err, MODEL_BUG, "write digits to %s: no memory", path);
    }
    packer->err = err;
    enum model_code code = atomic_file_open(&packer->file, path, err);
    if (code == MODEL_OK) {
        code = content(packer, split);
    }
    if (code == MODEL_OK) {
        code = pack(packer, NULL, 0, Z_FINISH);
    }
    if (code == MODEL_OK) {
        code = atomic_file_commit(&packer->file, err);
    }
    atomic_file_release(&packer->file);
    deflateEnd(&packer->stream);
    free(packer);
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
