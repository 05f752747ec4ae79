/*
 * checkpoint.h - what reading, writing and loading of checkpoints share; first the .ckpt.
 *
 *   entries 1-18     MindSpore's: 8 weights, learning_rate, momentum, 8 moments.*
 *   jobferry.*       our state, one entry a field (checkpoint_state.c)
 *   epoch_num, step_num   the cumulative counts, under MindSpore 2's names
 *   jobferry.crc32   Int64 [2]: the number of chunks before it, and the CRC-32 of their bytes
 *
 * Ours come before epoch_num, so that a file cut anywhere behind the 18 still shows that it was
 * one of ours and is missing its sum. All of ours are Int64, Float32 or Int8, which every MindSpore
 * reads.
 * A chunk is described in ckpt_wire.h. In safetensors the same tensors are told by the file's
 * header, and the sum stands in its metadata (safetensors.h).
 */
#ifndef MODEL_CHECKPOINT_H
#define MODEL_CHECKPOINT_H

#include "model/checkpoint/ckpt_wire.h"
#include "model/training/lenet.h"

#define CHECKPOINT_OURS "jobferry."
#define CHECKPOINT_SUM  "jobferry.crc32"

/* MindSpore's trailer behind the last chunk: the mark, then the CRC-32, big-endian, 10 bytes. */
#define CHECKPOINT_TRAILER_MARK "crc_num"

enum {
    /* Bytes of a file: MindSpore's own limit is protobuf's 2 GiB; LeNet5's is half a megabyte. */
    CHECKPOINT_SIZE_MAX = 1 << 30,
    CHECKPOINT_ENTRIES_MAX = 1 << 14, /* chunks of a file */
    CHECKPOINT_RANK_MAX = 8,          /* dims of a tensor, as MindSpore */
    CHECKPOINT_STATE_ENTRIES = 19,    /* of ours, with epoch_num and step_num, without the sum */
    CHECKPOINT_TEXT_SIZE = 32,        /* bytes of a text field, padded with NUL */
    CHECKPOINT_TRAILER_SIZE = 17
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a .ckpt holds little-endian values");

struct model_checkpoint {
    struct wire_entry *entries; /* of a .ckpt: the first chunk of each tensor, with its bytes */
    struct model_tensor *tensors;
    void **blocks; /* [i] is NULL, or what of tensor i does not lie in entries[i] */
    size_t count;
    size_t capacity;
    enum model_completeness completeness;
    struct model_state state;
};

/* The tensor of that name, or NULL. */
const struct model_tensor *checkpoint_find(const struct model_checkpoint *checkpoint,
                                           const char *name);

/* Makes room for one more tensor; false without memory. */
bool checkpoint_grow(struct model_checkpoint *checkpoint);

/* Bytes of one element of a type by MindSpore's name; 0 for an unknown one. */
size_t checkpoint_element_size(const char *type);

/* safetensors' name of MindSpore's type ("Float32": "F32"), and back; static, NULL for none. */
const char *checkpoint_dtype_of(const char *type);
const char *checkpoint_type_of(const char *dtype);

/* Names go into messages, tables and JSON: UTF-8 without control characters, not empty. */
bool checkpoint_name_is_fine(const char *name);

/*
 * What the bytes of a .ckpt or of a safetensors file say; path is for messages and, by its suffix,
 * for the format (safetensors.h). model_checkpoint_read is this on a file's bytes.
 */
enum model_code checkpoint_parse(struct model_checkpoint **checkpoint, const uint8_t *data,
                                 size_t size, const char *path, struct model_error *err);

/* The entries of a state, in their order of a file; dims and bytes lie in the struct itself. */
struct checkpoint_state_entries {
    struct wire_entry entries[CHECKPOINT_STATE_ENTRIES];
    int64_t dims[CHECKPOINT_STATE_ENTRIES];
    int64_t numbers[CHECKPOINT_STATE_ENTRIES];
    char texts[CHECKPOINT_STATE_ENTRIES][CHECKPOINT_TEXT_SIZE];
};

void checkpoint_state_pack(struct checkpoint_state_entries *packed,
                           const struct model_state *state);

/*
 * Fills checkpoint->state from its tensors. present is false when it has none of ours. A field
 * that is missing or cannot be: MODEL_CORRUPT.
 */
enum model_code checkpoint_state_unpack(struct model_checkpoint *checkpoint, const char *path,
                                        struct model_error *err);

/* The eight of the network, in their order, with their shapes; false when the checkpoint has
   others. Extra trailing dims of 1 are dropped, as MindSpore does. */
bool checkpoint_network(const struct model_checkpoint *checkpoint,
                        struct model_tensor tensors[LENET_TENSORS]);

enum {
    CHECKPOINT_SCALARS_MAX = 3, /* of an optimizer: learning_rate, two powers; or momentum alone */
    CHECKPOINT_BLOCKS_MAX = 2,  /* of an optimizer: state for each weight */
    CHECKPOINT_MODEL_TENSORS =
        (1 + CHECKPOINT_BLOCKS_MAX) * LENET_TENSORS + CHECKPOINT_SCALARS_MAX + 1,
    CHECKPOINT_TENSORS_MAX = CHECKPOINT_MODEL_TENSORS + CHECKPOINT_STATE_ENTRIES
};

/*
 * What of an optimizer lies in a checkpoint beside learning_rate and global_step, by MindSpore's
 * names and in its order. Scalars are Float32; blocks have a tensor for each of the network's,
 * named "<block>.<tensor>".
 */
struct optimizer_entries {
    const char *scalars[2]; /* NULL behind the last */
    const char *blocks[CHECKPOINT_BLOCKS_MAX];
};

extern const struct optimizer_entries optimizer_entries[MODEL_ADAM + 1];

/* Where a model keeps them. */
const float *optimizer_scalar(const struct model *model, size_t i);
float *optimizer_block(const struct model *model, size_t i);

/* Which tensors of a model go into a file, in their order; borrowed from model, state and itself.
 */
struct checkpoint_content {
    struct model_tensor tensors[CHECKPOINT_TENSORS_MAX];
    size_t count;
    char names[CHECKPOINT_BLOCKS_MAX * LENET_TENSORS][32]; /* moments.* and its kin */
    int32_t global_step;
    int64_t dims[2]; /* of global_step and of a schedule */
    struct checkpoint_state_entries state;
};

/* weights_only: the eight of the network alone, without the optimizer's. state may be NULL. */
void checkpoint_gather(struct checkpoint_content *content, const struct model *model,
                       const struct model_state *state, bool weights_only);

/*
 * Writes tensors, in their order, and our sum into a .ckpt, whole or not at all. Of saving,
 * crc_check and mindspore count. MODEL_DISK.
 */
enum model_code ckpt_write(const struct model_tensor *tensors, size_t count,
                           const struct model_saving *saving, const char *path,
                           struct model_error *err);

/* Element i of a tensor that is not text. */
double tensor_value(const struct model_tensor *tensor, size_t i);

enum {
    CHECKPOINT_SUM_MAX = 64 /* bytes of jobferry.crc32's chunk */
};

/* Lays jobferry.crc32's chunk down at out and returns its bytes. */
size_t checkpoint_sum_pack(uint64_t chunks, uint32_t crc32, uint8_t out[CHECKPOINT_SUM_MAX]);

#endif
