#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/cores.h"
#include "model/base/threads.h"
#include "model/data/dataset.h"
#include "model/kernels/kernels.h"
#include "model/layers/gemm.h"
#include "model/model_error.h"
#include "model/training/lenet.h"

#include "model/model_banned.h"

enum {
    CACHE_LINE = 64,
    BATCH_MAX = 65536
};

static enum model_code check_numbers(const struct model_config *config, struct model_error *err)
{
    const struct {
        const char *name;
        float value;
        bool zero_is_fine;
    } numbers[] = {
        {"learning_rate", config->learning_rate, true}, {"momentum", config->momentum, true},
        {"weight_decay", config->weight_decay, true},   {"loss_scale", config->loss_scale, false},
        {"dampening", config->dampening, true},         {"eps", config->eps, false},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        float value = numbers[i].value;
        if (!isfinite(value) || value < 0.0f || (value == 0.0f && !numbers[i].zero_is_fine)) {
            return model_fail(err, MODEL_ARGUMENT, "%s is %g; it must be finite and %s 0",
                              numbers[i].name, (double)value,
                              numbers[i].zero_is_fine ? "at least" : "more than");
        }
    }
    return MODEL_OK;
}

/* What MindSpore's constructors refuse (ValueError). */
static enum model_code check_optimizer(const struct model_config *config, struct model_error *err)
{
    const struct {
        const char *name;
        float value;
    } betas[] = {{"beta1", config->beta1}, {"beta2", config->beta2}};
    for (size_t i = 0; i < 2; i++) {
        if (!(betas[i].value > 0.0f && betas[i].value < 1.0f)) {
            return model_fail(err, MODEL_ARGUMENT, "%s is %g; it must be more than 0, less than 1",
                              betas[i].name, (double)betas[i].value);
        }
    }
    if (config->optimizer == MODEL_SGD && config->use_nesterov &&
        (config->momentum <= 0.0f || config->dampening != 0.0f)) {
        return model_fail(err, MODEL_ARGUMENT,
                          "sgd with use_nesterov needs a momentum of more than 0 and no dampening; "
                          "they are %g and %g",
                          (double)config->momentum, (double)config->dampening);
    }
    return MODEL_OK;
}

static enum model_code check_config(const struct model_config *config, struct model_error *err)
{
    if (config->seed > INT64_MAX) {
        return model_fail(err, MODEL_ARGUMENT, "seed is %llu; it must be less than 2^63",
                          (unsigned long long)config->seed);
    }
    if (config->batch_size < 1 || config->batch_size > BATCH_MAX) {
        return model_fail(err, MODEL_ARGUMENT, "batch_size is %u; it must be 1 to %d",
                          config->batch_size, BATCH_MAX);
    }
    if (config->threads > WORKERS_MAX) {
        return model_fail(err, MODEL_ARGUMENT, "threads is %u; it must be 0 to %d", config->threads,
                          WORKERS_MAX);
    }
    if (config->classes < 1 || config->classes > MODEL_CLASSES_MAX) {
        return model_fail(err, MODEL_ARGUMENT, "classes is %u; it must be 1 to %d", config->classes,
                          MODEL_CLASSES_MAX);
    }
    enum model_code code = check_numbers(config, err);
    return code == MODEL_OK ? check_optimizer(config, err) : code;
}

/* The cores this process may use, but no more than there are blocks in a batch to share out. */
static unsigned default_threads(uint32_t batch_size)
{
    unsigned blocks = (batch_size + LENET_BLOCK - 1) / LENET_BLOCK;
    unsigned threads = cores_usable();
    threads = threads < blocks ? threads : blocks;
    return threads < WORKERS_MAX ? threads : WORKERS_MAX;
}

/* Zeroed and aligned to a cache line, so that threads share none; NULL without memory. */
static void *allocate(size_t size)
{
    size = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    void *memory = aligned_alloc(CACHE_LINE, size);
    if (memory) {
        memset(memory, 0, size);
    }
    return memory;
}

static enum model_code allocate_parts(struct model *model, struct model_error *err)
{
    unsigned threads = model->config.threads;
    size_t block = model->shape.parameters * sizeof(float);
    model->workspaces = calloc(threads, sizeof *model->workspaces);
    for (unsigned i = 0; model->workspaces && i < threads; i++) {
        model->workspaces[i] = allocate(model->kernels->workspace_size);
        if (!model->workspaces[i]) {
            return model_fail(err, MODEL_BUG, "making the model: no memory for thread %u", i + 1);
        }
    }
    model->slots = allocate(LENET_ROUND * model->kernels->slot_size);
    model->weights = allocate(block);
    model->moments = allocate(block);
    model->second = allocate(block);
    model->gradients = allocate(block);
    if (!model->workspaces || !model->slots || !model->weights || !model->moments ||
        !model->second || !model->gradients) {
        return model_fail(err, MODEL_BUG, "making the model: no memory");
    }
    return MODEL_OK;
}

enum model_code model_new(struct model **out, const struct model_config *config,
                          struct model_error *err)
{
    *out = NULL;
    enum model_code code = check_config(config, err);
    const struct lenet_kernels *kernels;
    if (code == MODEL_OK) {
        code = kernels_find(&kernels, config->kernels, err);
    }
    if (code != MODEL_OK) {
        return code;
    }
    struct model *model = calloc(1, sizeof *model);
    if (!model) {
        return model_fail(err, MODEL_BUG, "making the model: no memory");
    }
    model->config = *config;
    model->config.kernels = kernels->name;
    model->kernels = kernels;
    lenet_shape_init(&model->shape, config->classes);
    if (model->config.threads == 0) {
        model->config.threads = default_threads(config->batch_size);
    }
    code = allocate_parts(model, err);
    if (code != MODEL_OK) {
        goto done;
    }
    code = workers_new(&model->workers, model->config.threads, err);
    if (code != MODEL_OK) {
        goto done;
    }
    gemm_set_up();
    lenet_draw(&model->shape, model->weights, config->seed, config->init);
    model->beta1_power = model->beta2_power = 1.0f;
    for (size_t i = 0; config->optimizer == MODEL_SGD && i < model->shape.parameters; i++) {
        model->second[i] = 1.0f; /* stat */
    }
    *out = model;
    model = NULL;
done:
    model_free(model);
    return code;
}

void model_free(struct model *model)
{
    if (!model) {
        return;
    }
    workers_free(model->workers);
    for (unsigned i = 0; model->workspaces && i < model->config.threads; i++) {
        free(model->workspaces[i]);
    }
    free(model->workspaces);
    free(model->slots);
    free(model->weights);
    free(model->moments);
    free(model->second);
    free(model->rates);
    free(model->gradients);
    free(model);
}

size_t model_classes(const struct model *model)
{
    return model->shape.classes;
}

enum model_code model_check_labels(const struct model *model, const struct model_dataset *dataset,
                                   struct model_error *err)
{
    if (dataset->label_end <= model->shape.classes) {
        return MODEL_OK;
    }
    return model_fail(err, MODEL_DATA,
                      "the data has labels up to %zu, and the network %zu classes, 0 to %zu",
                      dataset->label_end - 1, model->shape.classes, model->shape.classes - 1);
}

const char *model_kernels(const struct model *model)
{
    return model->kernels->name;
}
