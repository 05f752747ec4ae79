/*
 * checkpoint_write.c - a model and its state as tensors, and tensors into a .ckpt file. (Into
 * safetensors: safetensors.c.)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/atomic_file.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/onnx.h"
#include "model/checkpoint/safetensors.h"
#include "model/data/gzip.h"
#include "model/model_error.h"

#include "model/model_banned.h"

/*
 * MindSpore 1.0 writes the shape () as one dim of 0, and so do we: the first 18 are its bytes. 2.x
 * writes it without dims, as no_dims asks; text has its dim of 0 there too.
 */
static struct wire_entry entry_of(const struct model_tensor *tensor, bool no_dims)
{
    static const int64_t zero[1] = {0};
    bool scalar = tensor->rank == 0 && (!no_dims || strcmp(tensor->type, "str") == 0);
    return (struct wire_entry){.tag = tensor->name,
                               .type = tensor->type,
                               .dims = scalar ? zero : tensor->dims,
                               .rank = scalar ? 1 : tensor->rank,
                               .content = tensor->data,
                               .content_size = tensor->size};
}

/* Our last entry behind size bytes of chunks, and behind it MindSpore's trailer: over all before,
   ours included. Returns the bytes of all. */
static size_t add_sums(uint8_t *bytes, size_t size, size_t chunks, bool crc_check)
{
    uint32_t crc32 = gzip_crc32(0, bytes, size);
    size_t sum = checkpoint_sum_pack(chunks, crc32, bytes + size);
    if (!crc_check) {
        return size + sum;
    }
    crc32 = gzip_crc32(crc32, bytes + size, sum);
    static const uint8_t mark[CHECKPOINT_TRAILER_SIZE] = CHECKPOINT_TRAILER_MARK;
    uint8_t *trailer = bytes + size + sum;
    memcpy(trailer, mark, sizeof mark);
    for (size_t i = 0; i < sizeof crc32; i++) {
        trailer[CHECKPOINT_TRAILER_SIZE - 1 - i] = (uint8_t)(crc32 >> (8 * i));
    }
    return size + sum + CHECKPOINT_TRAILER_SIZE;
}

enum model_code ckpt_write(const struct model_tensor *tensors, size_t count,
                           const struct model_saving *saving, const char *path,
                           struct model_error *err)
{
    const bool no_dims = saving->mindspore == 2;
    size_t room = CHECKPOINT_SUM_MAX + CHECKPOINT_TRAILER_SIZE;
    for (size_t i = 0; i < count; i++) {
        const struct wire_entry entry = entry_of(&tensors[i], no_dims);
        room += wire_size(&entry);
    }
    uint8_t *bytes = malloc(room);
    if (!bytes) {
        return model_fail(err, MODEL_BUG, "write checkpoint %s: no memory", path);
    }
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        const struct wire_entry entry = entry_of(&tensors[i], no_dims);
        size += wire_pack(&entry, bytes + size);
    }
    size = add_sums(bytes, size, count, saving->crc_check);
    enum model_code code = atomic_file_put(path, bytes, size, err);
    free(bytes);
    return code;
}

/* ---- a model as tensors ---------------------------------------------------------------------- */

static struct model_tensor block_tensor(const char *name, const struct lenet_tensor *tensor,
                                        const float *block)
{
    return (struct model_tensor){.name = name,
                                 .type = "Float32",
                                 .rank = tensor->rank,
                                 .dims = tensor->dims,
                                 .data = block + tensor->offset,
                                 .size = tensor->count * sizeof(float)};
}

static void add(struct checkpoint_content *content, struct model_tensor tensor)
{
    content->tensors[content->count++] = tensor;
}

static struct model_tensor scalar_tensor(const char *name, const float *value)
{
    return (struct model_tensor){
        .name = name, .type = "Float32", .data = value, .size = sizeof *value};
}

/*
 * With a constant rate: learning_rate, scalars, blocks, as MindSpore 1.0. With a schedule:
 * global_step, scalars, blocks, learning_rate, where MindSpore puts the parameter of its
 * schedule's cell.
 */
static void gather_optimizer(struct checkpoint_content *content, const struct model *model)
{
    const struct optimizer_entries *entries = &optimizer_entries[model->config.optimizer];
    content->dims[0] = 1;
    content->dims[1] = (int64_t)model->rate_count;
    content->global_step = model->global_step < INT32_MAX ? (int32_t)model->global_step : INT32_MAX;
    if (model->rates) {
        add(content, (struct model_tensor){.name = "global_step",
                                           .type = "Int32",
                                           .rank = 1,
                                           .dims = &content->dims[0],
                                           .data = &content->global_step,
                                           .size = sizeof content->global_step});
    } else {
        add(content, scalar_tensor("learning_rate", &model->config.learning_rate));
    }
    for (size_t i = 0; i < 2 && entries->scalars[i]; i++) {
        add(content, scalar_tensor(entries->scalars[i], optimizer_scalar(model, i)));
    }
    for (size_t b = 0; b < CHECKPOINT_BLOCKS_MAX && entries->blocks[b]; b++) {
        for (size_t i = 0; i < LENET_TENSORS; i++) {
            char *name = content->names[b * LENET_TENSORS + i];
            snprintf(name, sizeof content->names[0], "%s.%s", entries->blocks[b],
                     lenet_tensors[i].name);
            add(content, block_tensor(name, &model->shape.tensors[i], optimizer_block(model, b)));
        }
    }
    if (model->rates) {
        add(content, (struct model_tensor){.name = "learning_rate",
                                           .type = "Float32",
                                           .rank = 1,
                                           .dims = &content->dims[1],
                                           .data = model->rates,
                                           .size = model->rate_count * sizeof(float)});
    }
}

void checkpoint_gather(struct checkpoint_content *content, const struct model *model,
                       const struct model_state *state, bool weights_only)
{
    content->count = 0;
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        content->tensors[content->count++] =
            block_tensor(lenet_tensors[i].name, &model->shape.tensors[i], model->weights);
    }
    if (!weights_only) {
        gather_optimizer(content, model);
    }
    if (!state) {
        return;
    }
    checkpoint_state_pack(&content->state, state);
    for (size_t i = 0; i < CHECKPOINT_STATE_ENTRIES; i++) {
        const struct wire_entry *entry = &content->state.entries[i];
        bool scalar = entry->rank == 1 && entry->dims[0] == 0;
        content->tensors[content->count++] = (struct model_tensor){.name = entry->tag,
                                                                   .type = entry->type,
                                                                   .rank = scalar ? 0 : entry->rank,
                                                                   .dims = entry->dims,
                                                                   .data = entry->content,
                                                                   .size = entry->content_size};
    }
}

static enum model_code write_as(const struct model_tensor *tensors, size_t count,
                                const struct model_saving *saving, const char *path,
                                struct model_error *err)
{
    switch (saving->format) {
    case MODEL_FORMAT_SAFETENSORS:
        return safetensors_write(tensors, count, saving->crc_check, path, err);
    case MODEL_FORMAT_ONNX:
        return onnx_write(tensors, path, err);
    case MODEL_FORMAT_CKPT:
        break;
    }
    return ckpt_write(tensors, count, saving, path, err);
}

enum model_code model_save_as(const struct model *model, const struct model_state *state,
                              const struct model_saving *saving, const char *path,
                              struct model_error *err)
{
    struct checkpoint_content content;
    checkpoint_gather(&content, model, state, saving->weights_only);
    return write_as(content.tensors, content.count, saving, path, err);
}

enum model_code model_save(const struct model *model, const struct model_state *state,
                           const char *path, struct model_error *err)
{
    static const struct model_saving plain = {.format = MODEL_FORMAT_CKPT};
    return model_save_as(model, state, &plain, path, err);
}

/* ---- a checkpoint that was read -------------------------------------------------------------- */

/* MindSpore 1.0 has no such types, or spells them so that it cannot read them back. */
static enum model_code check_mindspore1(const struct model_checkpoint *checkpoint,
                                        const struct model_saving *saving, const char *path,
                                        struct model_error *err)
{
    if (saving->crc_check) {
        return model_fail(err, MODEL_ARGUMENT,
                          "write checkpoint %s: MindSpore 1 cannot read a file with a crc_num "
                          "trailer",
                          path);
    }
    for (size_t i = 0; i < checkpoint->count; i++) {
        const char *type = checkpoint->tensors[i].type;
        if (type[0] == 'U' || strcmp(type, "str") == 0 || strcmp(type, "BFloat16") == 0) {
            return model_fail(err, MODEL_ARGUMENT,
                              "write checkpoint %s: MindSpore 1 reads no %s, as %s is", path, type,
                              checkpoint->tensors[i].name);
        }
    }
    return MODEL_OK;
}

/* All tensors and, for MindSpore 2, the optimizer's global_step behind its last entry. */
static size_t gather_all(const struct model_checkpoint *checkpoint, bool global_step,
                         const int32_t *step, struct model_tensor *tensors)
{
    static const int64_t one[1] = {1};
    size_t count = 0;
    for (size_t i = 0; i < checkpoint->count; i++) {
        tensors[count++] = checkpoint->tensors[i];
        if (global_step && strcmp(checkpoint->tensors[i].name, "moments.fc3.bias") == 0) {
            tensors[count++] = (struct model_tensor){.name = "global_step",
                                                     .type = "Int32",
                                                     .rank = 1,
                                                     .dims = one,
                                                     .data = step,
                                                     .size = sizeof *step};
        }
    }
    return count;
}

enum model_code model_checkpoint_write(const struct model_checkpoint *checkpoint,
                                       const struct model_saving *saving, const char *path,
                                       struct model_error *err)
{
    struct model_tensor network[LENET_TENSORS];
    if (saving->format == MODEL_FORMAT_CKPT && saving->mindspore == 1) {
        enum model_code code = check_mindspore1(checkpoint, saving, path, err);
        if (code != MODEL_OK) {
            return code;
        }
    }
    if (saving->weights_only || saving->format == MODEL_FORMAT_ONNX) {
        return checkpoint_network(checkpoint, network)
                   ? write_as(network, LENET_TENSORS, saving, path, err)
                   : model_fail(err, MODEL_ARGUMENT,
                                "write %s: the checkpoint has not the eight tensors of the "
                                "network, in its shapes",
                                path);
    }
    struct model_tensor *tensors = calloc(checkpoint->count + 1, sizeof *tensors);
    if (!tensors) {
        return model_fail(err, MODEL_BUG, "write checkpoint %s: no memory", path);
    }
    int32_t step = (int32_t)checkpoint->state.cumulative_step;
    bool global_step = saving->mindspore == 2 && checkpoint->state.present &&
                       checkpoint->state.cumulative_step <= INT32_MAX &&
                       !checkpoint_find(checkpoint, "global_step");
    size_t count = gather_all(checkpoint, global_step, &step, tensors);
    enum model_code code = write_as(tensors, count, saving, path, err);
    free(tensors);
    return code;
}
