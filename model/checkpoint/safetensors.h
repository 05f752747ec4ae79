/*
 * safetensors.h - checkpoints in the format that PyTorch, MindSpore 2 and others read and write.
 *
 *   8 bytes      N, little-endian: the length of the header
 *   N bytes      JSON, begins with '{', may end in spaces:
 *                {"__metadata__": {text: text…}, "<name>": {"dtype": "F32", "shape": [6,1,5,5],
 *                 "data_offsets": [begin, end]}, …}
 *   the rest     the tensors' bytes, little-endian, C-order; the offsets count from here
 *
 * (The format's page and reader: safetensors/src/tensor.rs.) Offsets may neither overlap nor leave
 * a byte out, names may not repeat; we hold files to that, and to the ceilings below.
 *
 * Ours begin {"__metadata__":{"jobferry.crc32":"xxxxxxxx", where x is the CRC-32, in lower-case
 * hex, of the whole file with eight zeros in its place. Tensors, their names and their order are
 * those of a .ckpt, the state's among them. MindSpore's own sum, crc_num, is metadata too: CRC-32
 * over each tensor's name and bytes, in the order of the names.
 */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include "model/checkpoint/checkpoint.h"

#define SAFETENSORS_SUFFIX ".safetensors"

enum {
    /* Bytes of JSON; 16,384 tensors of 128 bytes each. Larger ones would cost memory a hundred
       times their size before a fault in them could be told. */
    SAFETENSORS_HEADER_MAX = 1 << 21,
    SAFETENSORS_SUM_DIGITS = 8
};

/* Whether it is to be read as safetensors: by its name's suffix, or by its first nine bytes. */
bool safetensors_is(const char *path, const uint8_t *data, size_t size);

/* Fills an empty checkpoint; its tensors are in the order of their bytes. MODEL_CORRUPT. */
enum model_code safetensors_parse(struct model_checkpoint *checkpoint, const uint8_t *data,
                                  size_t size, const char *path, struct model_error *err);

/*
 * Writes tensors, in their order, whole or not at all (atomic_file.h). crc_check adds MindSpore's
 * sum, which large integers of rank 0, as our state's, cannot have. That, or a type that
 * safetensors has not (text): MODEL_ARGUMENT; else MODEL_DISK.
 */
enum model_code safetensors_write(const struct model_tensor *tensors, size_t count, bool crc_check,
                                  const char *path, struct model_error *err);

/* ---- the header's JSON (safetensors_header.c, the one file of model/ that knows jansson) ------
 */

struct safetensors_entry {
    const char *name; /* belongs to the header */
    const char *type; /* MindSpore's name, static */
    size_t rank;
    int64_t dims[CHECKPOINT_RANK_MAX];
    uint64_t begin, end;
};

struct safetensors_header {
    struct safetensors_entry *entries; /* as written; sort them by begin and end */
    size_t count;
    bool has_sum;        /* jobferry.crc32 is in the metadata, wherever */
    const char *crc_num; /* MindSpore's sum as written; NULL: none */
    void *json;          /* what the names belong to */
};

/*
 * Parses the JSON; where is false for shapes, dtypes or numbers that cannot be, text repeats, or
 * more than the ceilings: MODEL_CORRUPT. Release it in any case.
 */
enum model_code safetensors_header_parse(struct safetensors_header *header, const char *json,
                                         size_t size, const char *path, struct model_error *err);
void safetensors_header_release(struct safetensors_header *header);

/* The header of tensors laid end to end, malloc'ed, padded with spaces so that N + 8 is a multiple
   of 8; eight zeros stand for the sum. crc_num NULL: none. NULL without memory. */
char *safetensors_header_text(const struct model_tensor *tensors, size_t count, const char *crc_num,
                              size_t *size);

/* Where the sum's digits stand in a header of ours, and what stands before them. */
#define SAFETENSORS_OURS "{\"__metadata__\":{\"" CHECKPOINT_SUM "\":\""

#endif
