/*
 * checkpoint_load.c - a .ckpt's tensors into a model, by name.
 *
 * Everything is checked before anything is copied. Names are compared whole: MindSpore's fallback,
 * which lets moments.fc3.bias stand in for a missing fc3.bias, is not followed.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint/checkpoint.h"
#include "model/model_error.h"
#include "model/training/schedule.h"

#include "model/model_banned.h"

enum {
    EXPECTED_MAX = CHECKPOINT_MODEL_TENSORS, /* what a model has tensors for */
    NAME_SIZE = 32,
    LIST_SIZE = MODEL_NAMES_MAX
};

/* A tensor the model needs: where its values go, and its shape. */
struct wanted {
    char name[NAME_SIZE];
    size_t rank;
    const int64_t *dims;
    float *target;
    size_t count; /* floats */
};

/* Names joined by ", "; what does not fit is counted, not shown. */
struct name_list {
    char text[LIST_SIZE];
    size_t length;
    size_t count;
    size_t hidden;
};

static void list_add(struct name_list *list, const char *name)
{
    size_t room = sizeof list->text - list->length;
    int length = snprintf(list->text + list->length, room, "%s%s", list->count ? ", " : "", name);
    list->count++;
    if (length < 0 || (size_t)length >= room) {
        list->text[list->length] = '\0';
        list->hidden++;
        return;
    }
    list->length += (size_t)length;
}

static void want_block(struct wanted *wanted, const struct lenet_shape *shape, const char *prefix,
                       float *block)
{
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const struct lenet_tensor *tensor = &shape->tensors[i];
        wanted[i] =
            (struct wanted){.rank = tensor->rank, .dims = tensor->dims, .count = tensor->count};
        wanted[i].target = block ? block + tensor->offset : NULL;
        snprintf(wanted[i].name, sizeof wanted[i].name, "%s%s", prefix, tensor->name);
    }
}

/* MindSpore drops extra trailing dims of 1; with a scalar that also takes in the shape [1]. */
static bool shape_fits(const struct wanted *wanted, const struct model_tensor *tensor)
{
    if (strcmp(tensor->type, "Float32") != 0 || tensor->rank < wanted->rank) {
        return false;
    }
    for (size_t i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] != (i < wanted->rank ? wanted->dims[i] : 1)) {
            return false;
        }
    }
    return true;
}

size_t model_checkpoint_classes(const struct model_checkpoint *checkpoint)
{
    const struct model_tensor *fc3 =
        checkpoint_find(checkpoint, lenet_tensors[LENET_TENSORS - 2].name);
    bool possible = fc3 && fc3->rank > 0 && fc3->dims[0] >= 1 && fc3->dims[0] <= MODEL_CLASSES_MAX;
    return possible ? (size_t)fc3->dims[0] : MODEL_CLASSES;
}

bool checkpoint_network(const struct model_checkpoint *checkpoint,
                        struct model_tensor tensors[LENET_TENSORS])
{
    struct wanted wanted[LENET_TENSORS] = {0};
    struct lenet_shape shape;
    lenet_shape_init(&shape, model_checkpoint_classes(checkpoint));
    want_block(wanted, &shape, "", NULL);
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const struct model_tensor *found = checkpoint_find(checkpoint, wanted[i].name);
        if (!found || !shape_fits(&wanted[i], found)) {
            return false;
        }
        tensors[i] = *found;
        tensors[i].rank = wanted[i].rank;
    }
    return true;
}

static bool is_state(const char *name)
{
    return strncmp(name, CHECKPOINT_OURS, strlen(CHECKPOINT_OURS)) == 0 ||
           strcmp(name, "epoch_num") == 0 || strcmp(name, "step_num") == 0 ||
           strcmp(name, "global_step") == 0;
}

/*
 * Whether the name is an optimizer's, whichever: a scalar of its own ("learning_rate",
 * "beta1_power"), which has no dot, or a companion of one of our tensors ("moment1.fc1.weight").
 */
static bool is_optimizer_entry(const char *name)
{
    if (!strchr(name, '.')) {
        return true;
    }
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        size_t length = strlen(name);
        size_t suffix = strlen(lenet_tensors[i].name);
        if (length > suffix + 1 && name[length - suffix - 1] == '.' &&
            strcmp(name + length - suffix, lenet_tensors[i].name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct wanted *wanted, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(wanted[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Sets found[i] for every wanted tensor, or says which are missing, unexpected, of other shape. */
static enum model_code match(const struct model_checkpoint *checkpoint, const struct wanted *wanted,
                             size_t count, bool weights_only, const struct model_tensor **found,
                             struct model_error *err)
{
    struct name_list missing = {0};
    struct name_list unexpected = {0};
    struct name_list misshapen = {0};
    for (size_t i = 0; i < count; i++) {
        found[i] = checkpoint_find(checkpoint, wanted[i].name);
        if (!found[i]) {
            list_add(&missing, wanted[i].name);
        } else if (!shape_fits(&wanted[i], found[i])) {
            list_add(&misshapen, wanted[i].name);
        }
    }
    for (size_t i = 0; i < checkpoint->count; i++) {
        const char *name = checkpoint->tensors[i].name;
        if (!is_wanted(wanted, count, name) && !is_state(name) &&
            !(weights_only && is_optimizer_entry(name))) {
            list_add(&unexpected, name);
        }
    }
    if (missing.count + unexpected.count + misshapen.count == 0) {
        return MODEL_OK;
    }
    char more[3][32] = {"", "", ""};
    const struct name_list *lists[] = {&missing, &unexpected, &misshapen};
    for (size_t i = 0; i < 3; i++) {
        if (lists[i]->hidden) {
            snprintf(more[i], sizeof more[i], " and %zu more", lists[i]->hidden);
        }
    }
    model_fail(err, MODEL_CORRUPT,
               "load checkpoint: it is of another network; missing: %s%s; unexpected: %s%s%s%s%s",
               missing.count ? missing.text : "none", more[0],
               unexpected.count ? unexpected.text : "none", more[1],
               misshapen.count ? "; of another shape or type: " : "", misshapen.text, more[2]);
    if (!weights_only && missing.count == count - LENET_TENSORS && unexpected.count == 0) {
        model_hint(err,
                   "it holds weights without an optimizer's state: load it as initial weights");
    }
    return MODEL_CORRUPT;
}

/* The optimizer whose state the file holds, told by its first block; false for none of ours. */
static bool find_optimizer(const struct model_checkpoint *checkpoint,
                           enum model_optimizer *optimizer)
{
    for (size_t i = 0; i < sizeof optimizer_entries / sizeof optimizer_entries[0]; i++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "%s.%s", optimizer_entries[i].blocks[0], lenet_tensors[0].name);
        if (checkpoint_find(checkpoint, name)) {
            *optimizer = (enum model_optimizer)i;
            return true;
        }
    }
    return false;
}

/* What is loaded: all that is wanted, and the scalars and rates that are checked first. */
struct loading {
    struct wanted wanted[EXPECTED_MAX];
    const struct model_tensor *found[EXPECTED_MAX];
    size_t count;
    size_t scalars;     /* index of the first */
    float values[2];    /* theirs */
    int64_t rate_count; /* 0: the learning rate is one number */
    float *rates;
};

static struct wanted *want_scalar(struct loading *loading, const char *name)
{
    struct wanted *scalar = &loading->wanted[loading->count++];
    *scalar = (struct wanted){.count = 1};
    snprintf(scalar->name, sizeof scalar->name, "%s", name);
    return scalar;
}

static void want_optimizer(struct loading *loading, const struct model *model,
                           const struct model_checkpoint *checkpoint)
{
    const struct optimizer_entries *entries = &optimizer_entries[model->config.optimizer];
    for (size_t i = 0; i < CHECKPOINT_BLOCKS_MAX && entries->blocks[i]; i++) {
        char prefix[NAME_SIZE];
        snprintf(prefix, sizeof prefix, "%s.", entries->blocks[i]);
        want_block(loading->wanted + loading->count, &model->shape, prefix,
                   optimizer_block(model, i));
        loading->count += LENET_TENSORS;
    }
    loading->scalars = loading->count;
    for (size_t i = 0; i < 2 && entries->scalars[i]; i++) {
        want_scalar(loading, entries->scalars[i])->target = &loading->values[i];
    }
    /* A schedule is as long as the file says; [1] is one number in MindSpore's other spelling. */
    const struct model_tensor *rate = checkpoint_find(checkpoint, "learning_rate");
    want_scalar(loading, "learning_rate");
    if (rate && rate->rank == 1 && rate->dims[0] > 1) {
        struct wanted *wanted = &loading->wanted[loading->count - 1];
        loading->rate_count = rate->dims[0];
        wanted->rank = 1;
        wanted->dims = &loading->rate_count;
        wanted->count = (size_t)loading->rate_count;
    }
}

/* The rates, one or many, into memory of their own, seen to be rates. */
static enum model_code read_rates(struct loading *loading, struct model_error *err)
{
    const struct wanted *wanted = &loading->wanted[loading->count - 1];
    if (wanted->count > SCHEDULE_STEPS_MAX) {
        return model_fail(err, MODEL_CORRUPT,
                          "load checkpoint: its learning_rate has %zu steps, %d are the most",
                          wanted->count, SCHEDULE_STEPS_MAX);
    }
    loading->rates = malloc(wanted->count * sizeof(float));
    if (!loading->rates) {
        return model_fail(err, MODEL_BUG, "load checkpoint: no memory");
    }
    memcpy(loading->rates, loading->found[loading->count - 1]->data, wanted->count * sizeof(float));
    for (size_t i = 0; i < wanted->count; i++) {
        if (!isfinite(loading->rates[i]) || loading->rates[i] < 0.0f) {
            return model_fail(err, MODEL_CORRUPT, "load checkpoint: its learning_rate is %g",
                              (double)loading->rates[i]);
        }
    }
    return MODEL_OK;
}

static enum model_code read_scalars(struct loading *loading, struct model_error *err)
{
    for (size_t i = loading->scalars; i + 1 < loading->count; i++) {
        const struct wanted *wanted = &loading->wanted[i];
        memcpy(wanted->target, loading->found[i]->data, sizeof(float));
        if (!isfinite(*wanted->target) || *wanted->target < 0.0f) {
            return model_fail(err, MODEL_CORRUPT, "load checkpoint: its %s is %g", wanted->name,
                              (double)*wanted->target);
        }
    }
    return read_rates(loading, err);
}

/* Steps of the schedule that are done: MindSpore's counter, Int32 [1]; without one, none. */
static uint64_t read_global_step(const struct model_checkpoint *checkpoint)
{
    const struct model_tensor *tensor = checkpoint_find(checkpoint, "global_step");
    int32_t step = 0;
    if (tensor && strcmp(tensor->type, "Int32") == 0 && tensor->size == sizeof step) {
        memcpy(&step, tensor->data, sizeof step);
    }
    return step > 0 ? (uint64_t)step : 0;
}

/* The part that is not blocks, after everything has been seen to be fine. */
static void take_optimizer(struct model *model, struct loading *loading,
                           const struct model_checkpoint *checkpoint)
{
    if (model->config.optimizer == MODEL_ADAM) {
        model->beta1_power = loading->values[0];
        model->beta2_power = loading->values[1];
    } else {
        model->config.momentum = loading->values[0];
    }
    if (loading->rate_count > 0) {
        schedule_take(model, loading->rates, (size_t)loading->rate_count,
                      read_global_step(checkpoint));
        loading->rates = NULL;
    } else {
        model_set_learning_rate(model, loading->rates[0]);
    }
}

enum model_code model_load(struct model *model, const struct model_checkpoint *checkpoint,
                           bool weights_only, struct model_error *err)
{
    struct loading loading = {.count = LENET_TENSORS};
    enum model_optimizer optimizer = model->config.optimizer;
    if (!weights_only && find_optimizer(checkpoint, &optimizer) &&
        optimizer != model->config.optimizer) {
        model_fail(err, MODEL_CONFIG,
                   "load checkpoint: it holds the state of %s, and the optimizer is %s",
                   model_optimizer_name(optimizer), model_optimizer_name(model->config.optimizer));
        model_hint(err, "the optimizer it was trained with, or only its weights");
        return MODEL_CONFIG;
    }
    want_block(loading.wanted, &model->shape, "", model->weights);
    if (!weights_only) {
        want_optimizer(&loading, model, checkpoint);
    }
    enum model_code code =
        match(checkpoint, loading.wanted, loading.count, weights_only, loading.found, err);
    if (code == MODEL_OK && !weights_only) {
        code = read_scalars(&loading, err);
    }
    if (code != MODEL_OK) {
        goto done;
    }
    size_t blocks = weights_only ? loading.count : loading.scalars;
    for (size_t i = 0; i < blocks; i++) {
        /* The reader saw to it that a tensor has the bytes its dims ask for. */
        assert(loading.found[i]->size == loading.wanted[i].count * sizeof(float));
        memcpy(loading.wanted[i].target, loading.found[i]->data,
               loading.wanted[i].count * sizeof(float));
    }
    if (!weights_only) {
        take_optimizer(model, &loading, checkpoint);
    }
done:
    free(loading.rates);
    return code;
}

/* ---- weights to begin with ------------------------------------------------------------------- */

/* The same shape in another float type, which can be converted. */
static bool converts(const struct wanted *wanted, const struct model_tensor *tensor)
{
    struct model_tensor as_float = *tensor;
    as_float.type = "Float32";
    return strstr(tensor->type, "Float") && shape_fits(wanted, &as_float);
}

static void report_lists(struct model_load_report *report, const struct name_list *not_loaded,
                         const struct name_list *not_used)
{
    report->not_loaded_count = not_loaded->count;
    report->not_used_count = not_used->count;
    snprintf(report->not_loaded, sizeof report->not_loaded, "%s", not_loaded->text);
    snprintf(report->not_used, sizeof report->not_used, "%s", not_used->text);
}

enum model_code model_load_weights(struct model *model, const struct model_checkpoint *checkpoint,
                                   bool strict, struct model_load_report *report,
                                   struct model_error *err)
{
    struct wanted wanted[LENET_TENSORS] = {0};
    struct name_list not_loaded = {0};
    struct name_list not_used = {0};
    *report = (struct model_load_report){0};
    if (strict) {
        enum model_code code = model_load(model, checkpoint, true, err);
        if (code != MODEL_OK) {
            return code;
        }
    }
    want_block(wanted, &model->shape, "", model->weights);
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        const struct model_tensor *found = checkpoint_find(checkpoint, wanted[i].name);
        if (!found || !converts(&wanted[i], found)) {
            list_add(&not_loaded, wanted[i].name);
            continue;
        }
        for (size_t k = 0; k < wanted[i].count; k++) {
            wanted[i].target[k] = (float)tensor_value(found, k);
        }
    }
    for (size_t i = 0; i < checkpoint->count; i++) {
        size_t k = 0;
        const struct model_tensor *tensor = &checkpoint->tensors[i];
        while (k < LENET_TENSORS &&
               (strcmp(wanted[k].name, tensor->name) != 0 || !converts(&wanted[k], tensor))) {
            k++;
        }
        if (k == LENET_TENSORS) {
            list_add(&not_used, tensor->name);
        }
    }
    report_lists(report, &not_loaded, &not_used);
    return not_loaded.count < LENET_TENSORS
               ? MODEL_OK
               : model_fail(err, MODEL_CORRUPT,
                            "load checkpoint: none of the network's tensors is in it; it has %s",
                            not_used.text);
}
