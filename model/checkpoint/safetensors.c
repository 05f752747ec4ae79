#include "model/checkpoint/safetensors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/atomic_file.h"
#include "model/data/gzip.h"
#include "model/model_error.h"

#include "model/model_banned.h"

enum {
    LENGTH_SIZE = 8,
    SUM_AT = LENGTH_SIZE + sizeof SAFETENSORS_OURS - 1
};

static const char zeros[SAFETENSORS_SUM_DIGITS + 1] = "00000000";

bool safetensors_is(const char *path, const uint8_t *data, size_t size)
{
    size_t length = strlen(path);
    size_t suffix = strlen(SAFETENSORS_SUFFIX);
    if (length >= suffix && strcmp(path + length - suffix, SAFETENSORS_SUFFIX) == 0) {
        return true;
    }
    /* A chunk of a .ckpt has its tag there, which holds no NUL. */
    return size > LENGTH_SIZE && data[LENGTH_SIZE] == '{' && memcmp(data + 4, "\0\0\0", 4) == 0;
}

/* ---- MindSpore's sum ------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct model_tensor *const *left = a;
    const struct model_tensor *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

/* The value of an integer of rank 0; false for other tensors. */
static bool integer_scalar(const struct model_tensor *tensor, uint64_t *value)
{
    bool is_integer = tensor->type[0] == 'I' || tensor->type[0] == 'U';
    if (tensor->rank != 0 || !is_integer || tensor->size > sizeof *value) {
        return false;
    }
    *value = 0;
    memcpy(value, tensor->data, tensor->size);
    return true;
}

/*
 * crc_num of MindSpore 2.10 (train/serialization.py): names and bytes in the order of the names. It
 * takes the bytes with Python's bytes(array), which for an integer of rank 0 is as many zeros as
 * its value says; as_python follows it there. False without memory, or where that would be more
 * zeros than MindSpore should be asked to make.
 */
static bool mindspore_sum(const struct model_tensor *tensors, size_t count, bool as_python,
                          uint32_t *sum)
{
    uint64_t budget = 1 << 26; /* zeros in all */
    static const uint8_t none[4096];
    const struct model_tensor **sorted = calloc(count + 1, sizeof(const struct model_tensor *));
    if (!sorted) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &tensors[i];
    }
    qsort(sorted, count, sizeof(const struct model_tensor *), by_name);
    *sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t left = 0;
        *sum = gzip_crc32(*sum, sorted[i]->name, strlen(sorted[i]->name));
        if (!as_python || !integer_scalar(sorted[i], &left)) {
            *sum = gzip_crc32(*sum, sorted[i]->data, sorted[i]->size);
            continue;
        }
        if (left > budget) {
            free(sorted);
            return false;
        }
        budget -= left;
        while (left > 0) {
            size_t part = left < sizeof none ? (size_t)left : sizeof none;
            *sum = gzip_crc32(*sum, none, part);
            left -= part;
        }
    }
    free(sorted);
    return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum model_code corrupt(const char *path, const char *what, struct model_error *err)
{
    return model_fail(err, MODEL_CORRUPT, "read checkpoint %s: %s", path, what);
}

static int by_offset(const void *a, const void *b)
{
    const struct safetensors_entry *left = a;
    const struct safetensors_entry *right = b;
    if (left->begin != right->begin) {
        return left->begin < right->begin ? -1 : 1;
    }
    return (left->end > right->end) - (left->end < right->end);
}

/* Appends a tensor; name, dims and bytes go into one block of its own. */
static bool add_tensor(struct model_checkpoint *checkpoint, const struct safetensors_entry *entry,
                       const uint8_t *data)
{
    size_t dims = entry->rank * sizeof entry->dims[0];
    size_t size = (size_t)(entry->end - entry->begin);
    size_t name = strlen(entry->name) + 1;
    uint8_t *block = malloc(dims + size + name);
    if (!block || !checkpoint_grow(checkpoint)) {
        free(block);
        return false;
    }
    memcpy(block, entry->dims, dims);
    memcpy(block + dims, data + entry->begin, size);
    memcpy(block + dims + size, entry->name, name);
    size_t i = checkpoint->count++;
    checkpoint->entries[i] = (struct wire_entry){0};
    checkpoint->blocks[i] = block;
    checkpoint->tensors[i] = (struct model_tensor){.name = (const char *)block + dims + size,
                                                   .type = entry->type,
                                                   .rank = entry->rank,
                                                   .dims = (const int64_t *)(void *)block,
                                                   .data = block + dims,
                                                   .size = size};
    return true;
}

/* The tensors in the order of their bytes, which they fill without a gap. */
static enum model_code add_tensors(struct model_checkpoint *checkpoint,
                                   struct safetensors_header *header, const uint8_t *data,
                                   size_t size, const char *path, struct model_error *err)
{
    uint64_t at = 0;
    assert(header->entries);
    qsort(header->entries, header->count, sizeof *header->entries, by_offset);
    for (size_t i = 0; i < header->count; i++) {
        const struct safetensors_entry *entry = &header->entries[i];
        if (entry->begin != at || entry->end > size) {
            return model_fail(err, MODEL_CORRUPT,
                              "read checkpoint %s: %s has the bytes %" PRIu64 " to %" PRIu64
                              " of %zu, the tensor before it ends at %" PRIu64 "%s",
                              path, entry->name, entry->begin, entry->end, size, at,
                              entry->end > size ? ": the file was cut off" : "");
        }
        at = entry->end;
        if (!add_tensor(checkpoint, entry, data)) {
            return model_fail(err, MODEL_BUG, "read checkpoint %s: no memory", path);
        }
    }
    if (at != size) {
        return model_fail(err, MODEL_CORRUPT,
                          "read checkpoint %s: its tensors end at byte %" PRIu64 " of %zu", path,
                          at, size);
    }
    return MODEL_OK;
}

/* The sum of a file of ours: of all its bytes, with zeros where the sum itself stands. */
static uint32_t own_sum(const uint8_t *data, size_t size)
{
    uint32_t sum = gzip_crc32(0, data, SUM_AT);
    sum = gzip_crc32(sum, zeros, SAFETENSORS_SUM_DIGITS);
    return gzip_crc32(sum, data + SUM_AT + SAFETENSORS_SUM_DIGITS,
                      size - SUM_AT - SAFETENSORS_SUM_DIGITS);
}

static enum model_code check_own_sum(struct model_checkpoint *checkpoint, const uint8_t *data,
                                     size_t size, const char *path, struct model_error *err)
{
    char expected[SAFETENSORS_SUM_DIGITS + 1];
    bool fits = size > SUM_AT + SAFETENSORS_SUM_DIGITS &&
                memcmp(data + LENGTH_SIZE, SAFETENSORS_OURS, sizeof SAFETENSORS_OURS - 1) == 0;
    if (fits) {
        snprintf(expected, sizeof expected, "%08" PRIx32, own_sum(data, size));
        fits = memcmp(data + SUM_AT, expected, SAFETENSORS_SUM_DIGITS) == 0;
    }
    if (!fits) {
        return corrupt(path, CHECKPOINT_SUM " in its metadata does not fit the file", err);
    }
    checkpoint->completeness = MODEL_VERIFIED_OWN;
    return MODEL_OK;
}

static enum model_code check_mindspore_sum(struct model_checkpoint *checkpoint, const char *crc_num,
                                           const char *path, struct model_error *err)
{
    for (int as_python = 0; as_python < 2; as_python++) {
        uint32_t sum = 0;
        char text[16];
        if (!mindspore_sum(checkpoint->tensors, checkpoint->count, as_python, &sum)) {
            continue;
        }
        snprintf(text, sizeof text, "%" PRIu32, sum);
        if (strcmp(text, crc_num) == 0) {
            checkpoint->completeness = MODEL_VERIFIED_TRAILER;
            return MODEL_OK;
        }
    }
    return corrupt(path, "crc_num in its metadata does not fit its tensors", err);
}

static enum model_code check_sums(struct model_checkpoint *checkpoint,
                                  const struct safetensors_header *header, const uint8_t *data,
                                  size_t size, const char *path, struct model_error *err)
{
    if (header->has_sum) {
        return check_own_sum(checkpoint, data, size, path, err);
    }
    for (size_t i = 0; i < checkpoint->count; i++) {
        if (strncmp(checkpoint->tensors[i].name, CHECKPOINT_OURS, strlen(CHECKPOINT_OURS)) == 0) {
            return corrupt(path, "it is one of ours without " CHECKPOINT_SUM " in its metadata",
                           err);
        }
    }
    return header->crc_num ? check_mindspore_sum(checkpoint, header->crc_num, path, err) : MODEL_OK;
}

enum model_code safetensors_parse(struct model_checkpoint *checkpoint, const uint8_t *data,
                                  size_t size, const char *path, struct model_error *err)
{
    uint64_t length = 0;
    for (size_t i = 0; i < LENGTH_SIZE && i < size; i++) {
        length |= (uint64_t)data[i] << (8 * i);
    }
    if (size < LENGTH_SIZE || length > size - LENGTH_SIZE) {
        return model_fail(err, MODEL_CORRUPT,
                          "read checkpoint %s: its first 8 bytes promise a header of %" PRIu64
                          " bytes, the file has %zu",
                          path, length, size);
    }
    if (length > SAFETENSORS_HEADER_MAX || length == 0 || data[LENGTH_SIZE] != '{') {
        return model_fail(err, MODEL_CORRUPT,
                          "read checkpoint %s: a header of %" PRIu64
                          " bytes is no safetensors': it begins with '{' and has at most %d",
                          path, length, SAFETENSORS_HEADER_MAX);
    }
    struct safetensors_header header;
    const uint8_t *bytes = data + LENGTH_SIZE + length;
    size_t byte_count = size - LENGTH_SIZE - (size_t)length;
    enum model_code code = safetensors_header_parse(&header, (const char *)data + LENGTH_SIZE,
                                                    (size_t)length, path, err);
    if (code == MODEL_OK) {
        code = add_tensors(checkpoint, &header, bytes, byte_count, path, err);
    }
    if (code == MODEL_OK) {
        code = check_sums(checkpoint, &header, data, size, path, err);
    }
    safetensors_header_release(&header);
    return code;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Length and header with the sum in it, malloc'ed; NULL without memory. */
static uint8_t *make_head(const struct model_tensor *tensors, size_t count, const char *crc_num,
                          size_t *size)
{
    size_t length = 0;
    char digits[SAFETENSORS_SUM_DIGITS + 1];
    char *text = safetensors_header_text(tensors, count, crc_num, &length);
    uint8_t *head = text ? malloc(LENGTH_SIZE + length) : NULL;
    if (!head) {
        free(text);
        return NULL;
    }
    assert(strncmp(text, SAFETENSORS_OURS, sizeof SAFETENSORS_OURS - 1) == 0);
    for (size_t i = 0; i < LENGTH_SIZE; i++) {
        head[i] = (uint8_t)((uint64_t)length >> (8 * i));
    }
    memcpy(head + LENGTH_SIZE, text, length);
    free(text);
    *size = LENGTH_SIZE + length;
    uint32_t sum = gzip_crc32(0, head, *size);
    for (size_t i = 0; i < count; i++) {
        sum = gzip_crc32(sum, tensors[i].data, tensors[i].size);
    }
    snprintf(digits, sizeof digits, "%08" PRIx32, sum);
    memcpy(head + SUM_AT, digits, SAFETENSORS_SUM_DIGITS);
    return head;
}

static enum model_code check_types(const struct model_tensor *tensors, size_t count,
                                   const char *path, struct model_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!checkpoint_dtype_of(tensors[i].type)) {
            return model_fail(err, MODEL_ARGUMENT,
                              "write checkpoint %s: safetensors has no type %s, as %s is", path,
                              tensors[i].type, tensors[i].name);
        }
    }
    return MODEL_OK;
}

enum model_code safetensors_write(const struct model_tensor *tensors, size_t count, bool crc_check,
                                  const char *path, struct model_error *err)
{
    struct atomic_file file = ATOMIC_FILE_INIT;
    char crc_num[16] = "";
    uint32_t sum = 0;
    size_t size = 0;
    uint8_t *head = NULL;
    enum model_code code = check_types(tensors, count, path, err);
    if (code != MODEL_OK) {
        return code;
    }
    if (crc_check && !mindspore_sum(tensors, count, true, &sum)) {
        return model_fail(err, MODEL_ARGUMENT,
                          "write checkpoint %s: MindSpore's sum of a safetensors file cannot hold "
                          "integers as large as some here; weights alone can have it",
                          path);
    }
    snprintf(crc_num, sizeof crc_num, "%" PRIu32, sum);
    head = make_head(tensors, count, crc_check ? crc_num : NULL, &size);
    if (!head) {
        return model_fail(err, MODEL_BUG, "write checkpoint %s: no memory", path);
    }
    code = atomic_file_open(&file, path, err);
    if (code == MODEL_OK) {
        code = atomic_file_write(&file, head, size, err);
    }
    for (size_t i = 0; i < count && code == MODEL_OK; i++) {
        code = atomic_file_write(&file, tensors[i].data, tensors[i].size, err);
    }
    if (code == MODEL_OK) {
        code = atomic_file_commit(&file, err);
    }
    atomic_file_release(&file);
    free(head);
    return code;
}
