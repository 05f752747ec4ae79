#include "model/checkpoint/ckpt_wire.h"

#include "ckpt.pb-c.h"

#include "model/model_banned.h"

enum {
    VALUE_KEY = 0x0A, /* field 1, length-delimited */
    VARINT_MAX = 10   /* bytes of a 64-bit varint */
};

/* A varint at *position; false when the data ends inside it or it is longer than 64 bits. */
static bool read_varint(const uint8_t *data, size_t size, size_t *position, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < VARINT_MAX && *position < size; i++) {
        uint8_t byte = data[(*position)++];
        *value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (!(byte & 0x80)) {
            return true;
        }
    }
    return false;
}

enum wire_result wire_read(const uint8_t *data, size_t size, size_t *position,
                           struct wire_entry *entry)
{
    *entry = (struct wire_entry){0};
    if (*position == size) {
        return WIRE_END;
    }
    size_t at = *position;
    if (data[at++] != VALUE_KEY) {
        return WIRE_NO_CKPT;
    }
    uint64_t length = 0;
    if (!read_varint(data, size, &at, &length)) {
        return size - at < VARINT_MAX ? WIRE_CUT : WIRE_NO_CKPT;
    }
    if (length > size - at) {
        return WIRE_CUT;
    }
    Ckpt__Value *value = ckpt__value__unpack(NULL, (size_t)length, data + at);
    if (!value) {
        return WIRE_NO_CKPT;
    }
    *position = at + (size_t)length;
    *entry = (struct wire_entry){
        .tag = value->tag,
        .type = value->tensor->tensor_type,
        .dims = value->tensor->dims,
        .rank = value->tensor->n_dims,
        .content = value->tensor->tensor_content.data,
        .content_size = value->tensor->tensor_content.len,
        .message = value,
    };
    return WIRE_ENTRY;
}

void wire_release(struct wire_entry *entry)
{
    if (entry->message) {
        ckpt__value__free_unpacked(entry->message, NULL);
    }
    *entry = (struct wire_entry){0};
}

/* protobuf-c's structures are not const although packing only reads them. */
static void *unconst(const void *pointer)
{
    union {
        const void *in;
        void *out;
    } both = {.in = pointer};
    return both.out;
}

/* An entry as protobuf-c takes it, for as long as both live. */
struct packing {
    Ckpt__Tensor tensor;
    Ckpt__Value value;
    Ckpt__Value *values[1];
    Ckpt__Checkpoint checkpoint;
};

static void prepare(struct packing *packing, const struct wire_entry *entry)
{
    *packing = (struct packing){.tensor = CKPT__TENSOR__INIT,
                                .value = CKPT__VALUE__INIT,
                                .values = {&packing->value},
                                .checkpoint = CKPT__CHECKPOINT__INIT};
    packing->tensor.n_dims = entry->rank;
    packing->tensor.dims = unconst(entry->dims);
    packing->tensor.tensor_type = unconst(entry->type);
    packing->tensor.tensor_content.len = entry->content_size;
    packing->tensor.tensor_content.data = unconst(entry->content);
    packing->value.tag = unconst(entry->tag);
    packing->value.tensor = &packing->tensor;
    packing->checkpoint.n_value = 1;
    packing->checkpoint.value = packing->values;
}

size_t wire_size(const struct wire_entry *entry)
{
    struct packing packing;
    prepare(&packing, entry);
    return ckpt__checkpoint__get_packed_size(&packing.checkpoint);
}

size_t wire_pack(const struct wire_entry *entry, uint8_t *out)
{
    struct packing packing;
    prepare(&packing, entry);
    return ckpt__checkpoint__pack(&packing.checkpoint, out);
}
