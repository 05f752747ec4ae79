/* checkpoint_write.c - a model and its state into a .ckpt file, chunk after chunk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/base/atomic_file.h"
#include "model/checkpoint/checkpoint.h"
#include "model/data/gzip.h"
#include "model/model_error.h"

#include "model/model_banned.h"

/* A file being written and the sum of what is in it so far. */
struct writing {
    struct atomic_file file;
    uint64_t chunks;
    uint32_t crc32;
    struct model_error *err;
};

static enum model_code write_chunk(struct writing *writing, uint8_t *bytes, size_t size)
{
    if (!bytes) {
        return model_fail(writing->err, MODEL_BUG, "write checkpoint %s: no memory",
                          writing->file.path);
    }
    writing->chunks++;
    writing->crc32 = gzip_crc32(writing->crc32, bytes, size);
    enum model_code code = atomic_file_write(&writing->file, bytes, size, writing->err);
    free(bytes);
    return code;
}

static enum model_code write_entry(struct writing *writing, const struct wire_entry *entry)
{
    size_t size = 0;
    uint8_t *bytes = wire_pack(entry, &size);
    return write_chunk(writing, bytes, size);
}

/* The eight tensors of a block; names get prefix in front. */
static enum model_code write_block(struct writing *writing, const char *prefix, const float *block)
{
    enum model_code code = MODEL_OK;
    for (size_t i = 0; i < LENET_TENSORS && code == MODEL_OK; i++) {
        const struct lenet_tensor *tensor = &lenet_tensors[i];
        char name[64];
        snprintf(name, sizeof name, "%s%s", prefix, tensor->name);
        const struct wire_entry entry = {.tag = name,
                                         .type = "Float32",
                                         .dims = tensor->dims,
                                         .rank = tensor->rank,
                                         .content = block + tensor->offset,
                                         .content_size = tensor->count * sizeof(float)};
        code = write_entry(writing, &entry);
    }
    return code;
}

/* MindSpore 1.0 writes the shape () as one dim of 0, and so do we: the first 18 are its bytes. */
static enum model_code write_scalar(struct writing *writing, const char *name, float value)
{
    const int64_t dims[1] = {0};
    const struct wire_entry entry = {.tag = name,
                                     .type = "Float32",
                                     .dims = dims,
                                     .rank = 1,
                                     .content = &value,
                                     .content_size = sizeof value};
    return write_entry(writing, &entry);
}

static enum model_code write_all(struct writing *writing, const struct model *model,
                                 const struct model_state *state)
{
    enum model_code code = write_block(writing, "", model->weights);
    if (code == MODEL_OK) {
        code = write_scalar(writing, "learning_rate", model->config.learning_rate);
    }
    if (code == MODEL_OK) {
        code = write_scalar(writing, "momentum", model->config.momentum);
    }
    if (code == MODEL_OK) {
        code = write_block(writing, "moments.", model->moments);
    }
    struct checkpoint_state_entries packed;
    checkpoint_state_pack(&packed, state);
    for (size_t i = 0; i < CHECKPOINT_STATE_ENTRIES && code == MODEL_OK; i++) {
        code = write_entry(writing, &packed.entries[i]);
    }
    if (code == MODEL_OK) {
        size_t size = 0;
        uint8_t *sum = checkpoint_sum_pack(writing->chunks, writing->crc32, &size);
        code = write_chunk(writing, sum, size);
    }
    return code;
}

enum model_code model_save(const struct model *model, const struct model_state *state,
                           const char *path, struct model_error *err)
{
    struct writing writing = {.file = ATOMIC_FILE_INIT, .err = err};
    enum model_code code = atomic_file_open(&writing.file, path, err);
    if (code == MODEL_OK) {
        code = write_all(&writing, model, state);
    }
    if (code == MODEL_OK) {
        code = atomic_file_commit(&writing.file, err);
    }
    atomic_file_release(&writing.file);
    return code;
}
