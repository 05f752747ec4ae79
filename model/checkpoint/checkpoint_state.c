/* checkpoint_state.c - a struct model_state as entries of a .ckpt, and back. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint/checkpoint.h"
#include "model/model_error.h"

#include "model/model_banned.h"

/* How a field of struct model_state lies in a file. */
enum kind {
    U64, /* Int64 scalar */
    U32, /* Int64 scalar */
    YES, /* Int64 scalar, 0 or 1 */
    F32, /* Float32 scalar */
    TEXT /* Int8 [32], padded with NUL: no array is ever empty, which MindSpore takes for a scalar
          */
};

struct field {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct model_state */
    size_t size;   /* TEXT: bytes of the array there */
};

#define FIELD(member, kind)                                                  \
    {                                                                        \
        CHECKPOINT_OURS #member, kind, offsetof(struct model_state, member), \
            sizeof((struct model_state *)0)->member                          \
    }

static const struct field fields[] = {
    FIELD(run, TEXT),
    FIELD(epoch, U64),
    FIELD(step, U64),
    FIELD(steps_per_epoch, U64),
    FIELD(cumulative_step, U64),
    FIELD(base_step, U64),
    FIELD(seed, U64),
    FIELD(batch_size, U32),
    FIELD(data_crc32, U32),
    FIELD(kernels, TEXT),
    /* From here on the optimizer's settings: older files have none of them. */
    FIELD(weight_decay, F32),
    FIELD(loss_scale, F32),
    FIELD(dampening, F32),
    FIELD(beta1, F32),
    FIELD(beta2, F32),
    FIELD(eps, F32),
    FIELD(use_nesterov, YES),
};

enum {
    FIELDS = sizeof fields / sizeof fields[0],
    SETTINGS = 7 /* the last of them */
};

_Static_assert(FIELDS + 2 == CHECKPOINT_STATE_ENTRIES, "the fields, epoch_num and step_num");
_Static_assert(sizeof((struct model_state *)0)->run <= CHECKPOINT_TEXT_SIZE, "run fits a text");
_Static_assert(sizeof((struct model_state *)0)->kernels <= CHECKPOINT_TEXT_SIZE, "so does kernels");

static void pack_number(struct checkpoint_state_entries *packed, size_t i, const char *name,
                        uint64_t number)
{
    assert(number <= INT64_MAX);
    packed->dims[i] = 0; /* MindSpore 1.0's way of writing a scalar */
    packed->numbers[i] = (int64_t)number;
    packed->entries[i] = (struct wire_entry){.tag = name,
                                             .type = "Int64",
                                             .dims = &packed->dims[i],
                                             .rank = 1,
                                             .content = &packed->numbers[i],
                                             .content_size = sizeof packed->numbers[i]};
}

static void pack_real(struct checkpoint_state_entries *packed, size_t i, const char *name,
                      float real)
{
    pack_number(packed, i, name, 0);
    memcpy(&packed->numbers[i], &real, sizeof real);
    packed->entries[i].type = "Float32";
    packed->entries[i].content_size = sizeof real;
}

static void pack_text(struct checkpoint_state_entries *packed, size_t i, const struct field *field,
                      const char *text)
{
    packed->dims[i] = CHECKPOINT_TEXT_SIZE;
    memset(packed->texts[i], 0, CHECKPOINT_TEXT_SIZE);
    memcpy(packed->texts[i], text, strnlen(text, field->size - 1));
    packed->entries[i] = (struct wire_entry){.tag = field->name,
                                             .type = "Int8",
                                             .dims = &packed->dims[i],
                                             .rank = 1,
                                             .content = packed->texts[i],
                                             .content_size = CHECKPOINT_TEXT_SIZE};
}

void checkpoint_state_pack(struct checkpoint_state_entries *packed, const struct model_state *state)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const void *member = (const char *)state + fields[i].offset;
        switch (fields[i].kind) {
        case U64:
            pack_number(packed, i, fields[i].name, *(const uint64_t *)member);
            break;
        case U32:
            pack_number(packed, i, fields[i].name, *(const uint32_t *)member);
            break;
        case YES:
            pack_number(packed, i, fields[i].name, *(const bool *)member);
            break;
        case F32:
            pack_real(packed, i, fields[i].name, *(const float *)member);
            break;
        case TEXT:
            pack_text(packed, i, &fields[i], member);
            break;
        }
    }
    /* MindSpore 2's append_info counts over all runs, epochs as well as steps. */
    uint64_t epochs_before = state->steps_per_epoch ? state->base_step / state->steps_per_epoch : 0;
    pack_number(packed, FIELDS, "epoch_num", epochs_before + state->epoch);
    pack_number(packed, FIELDS + 1, "step_num", state->cumulative_step);
}

size_t checkpoint_sum_pack(uint64_t chunks, uint32_t crc32, uint8_t out[CHECKPOINT_SUM_MAX])
{
    const int64_t numbers[2] = {(int64_t)chunks, crc32};
    const int64_t dims[1] = {2};
    const struct wire_entry entry = {.tag = CHECKPOINT_SUM,
                                     .type = "Int64",
                                     .dims = dims,
                                     .rank = 1,
                                     .content = numbers,
                                     .content_size = sizeof numbers};
    assert(wire_size(&entry) <= CHECKPOINT_SUM_MAX);
    return wire_pack(&entry, out);
}

static bool unpack_number(const struct model_tensor *tensor, uint64_t max, uint64_t *number)
{
    int64_t value = 0;
    if (strcmp(tensor->type, "Int64") != 0 || tensor->rank != 0) {
        return false;
    }
    memcpy(&value, tensor->data, sizeof value);
    *number = (uint64_t)value;
    return value >= 0 && *number <= max;
}

/* A setting of an optimizer: none is negative. */
static bool unpack_real(const struct model_tensor *tensor, float *real)
{
    if (strcmp(tensor->type, "Float32") != 0 || tensor->rank != 0) {
        return false;
    }
    memcpy(real, tensor->data, sizeof *real);
    return isfinite(*real) && *real >= 0.0f;
}

/* Text that goes into names of files and lines of logs: printable ASCII without a slash. */
static bool unpack_text(const struct model_tensor *tensor, char *text, size_t size)
{
    if (strcmp(tensor->type, "Int8") != 0 || tensor->size != CHECKPOINT_TEXT_SIZE) {
        return false;
    }
    const char *bytes = tensor->data;
    size_t length = strnlen(bytes, CHECKPOINT_TEXT_SIZE);
    if (length >= size) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] <= ' ' || bytes[i] > '~' || bytes[i] == '/') {
            return false;
        }
    }
    memset(text, 0, size);
    memcpy(text, bytes, length);
    return true;
}

static bool unpack_field(const struct field *field, const struct model_tensor *tensor,
                         struct model_state *state)
{
    void *member = (char *)state + field->offset;
    uint64_t number = 0;
    switch (field->kind) {
    case U64:
        return unpack_number(tensor, INT64_MAX, member);
    case U32:
        if (!unpack_number(tensor, UINT32_MAX, &number)) {
            return false;
        }
        *(uint32_t *)member = (uint32_t)number;
        return true;
    case YES:
        if (!unpack_number(tensor, 1, &number)) {
            return false;
        }
        *(bool *)member = number == 1;
        return true;
    case F32:
        return unpack_real(tensor, member);
    case TEXT:
        return unpack_text(tensor, member, field->size);
    }
    return false;
}

enum model_code checkpoint_state_unpack(struct model_checkpoint *checkpoint, const char *path,
                                        struct model_error *err)
{
    struct model_state state = {.present = true};
    size_t count = FIELDS;
    bool ours = false;
    for (size_t i = 0; i < checkpoint->count && !ours; i++) {
        ours = strncmp(checkpoint->tensors[i].name, CHECKPOINT_OURS, strlen(CHECKPOINT_OURS)) == 0;
    }
    if (!ours) {
        return MODEL_OK;
    }
    state.has_settings = checkpoint_find(checkpoint, fields[FIELDS - SETTINGS].name) != NULL;
    if (!state.has_settings) {
        count -= SETTINGS;
    }
    for (size_t i = 0; i < count; i++) {
        const struct model_tensor *tensor = checkpoint_find(checkpoint, fields[i].name);
        if (!tensor) {
            return model_fail(err, MODEL_CORRUPT, "read checkpoint %s: it has no entry %s", path,
                              fields[i].name);
        }
        if (!unpack_field(&fields[i], tensor, &state)) {
            return model_fail(err, MODEL_CORRUPT,
                              "read checkpoint %s: entry %s holds what cannot be", path,
                              fields[i].name);
        }
    }
    if (state.step > state.steps_per_epoch || state.base_step > state.cumulative_step) {
        return model_fail(
            err, MODEL_CORRUPT,
            "read checkpoint %s: its entries " CHECKPOINT_OURS "* contradict one another", path);
    }
    checkpoint->state = state;
    return MODEL_OK;
}
