/*
 * safetensors_header.c - the JSON in front of a safetensors file, read and written with jansson.
 *
 * jansson refuses repeated keys, depth over 2,048 and numbers over 64 bits; objects keep their
 * order when written.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint/safetensors.h"
#include "model/model_error.h"

#include "model/model_banned.h"

static const char metadata_key[] = "__metadata__";

static enum model_code corrupt(const char *path, const char *name, const char *what,
                               struct model_error *err)
{
    return model_fail(err, MODEL_CORRUPT, "read checkpoint %s: its header says of %s %s", path,
                      name, what);
}

static bool read_number(const json_t *value, uint64_t most, uint64_t *number)
{
    json_int_t got = json_is_integer(value) ? json_integer_value(value) : -1;
    *number = (uint64_t)got;
    return got >= 0 && *number <= most;
}

static bool read_shape(const json_t *shape, struct safetensors_entry *entry)
{
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank > CHECKPOINT_RANK_MAX) {
        return false;
    }
    entry->rank = rank;
    for (size_t i = 0; i < rank; i++) {
        uint64_t dim = 0;
        if (!read_number(json_array_get(shape, i), CHECKPOINT_SIZE_MAX, &dim)) {
            return false;
        }
        entry->dims[i] = (int64_t)dim;
    }
    return true;
}

/* One tensor; dtype, shape and data_offsets, and nothing else. */
static enum model_code read_entry(const char *name, const json_t *value,
                                  struct safetensors_entry *entry, const char *path,
                                  struct model_error *err)
{
    *entry = (struct safetensors_entry){.name = name};
    if (!checkpoint_name_is_fine(name)) {
        return corrupt(path, "a tensor", "a name that is not readable", err);
    }
    const json_t *dtype = json_object_get(value, "dtype");
    const json_t *offsets = json_object_get(value, "data_offsets");
    if (!json_is_string(dtype) || json_object_size(value) != 3) {
        return corrupt(path, name, "something else than dtype, shape and data_offsets", err);
    }
    entry->type = checkpoint_type_of(json_string_value(dtype));
    if (!entry->type) {
        return corrupt(path, name, "a dtype that is not known here", err);
    }
    if (!read_shape(json_object_get(value, "shape"), entry)) {
        return corrupt(path, name, "a shape that cannot be", err);
    }
    if (json_array_size(offsets) != 2 ||
        !read_number(json_array_get(offsets, 0), CHECKPOINT_SIZE_MAX, &entry->begin) ||
        !read_number(json_array_get(offsets, 1), CHECKPOINT_SIZE_MAX, &entry->end) ||
        entry->begin > entry->end) {
        return corrupt(path, name, "data_offsets that cannot be", err);
    }
    uint64_t size = checkpoint_element_size(entry->type);
    for (size_t i = 0; i < entry->rank; i++) {
        if (__builtin_mul_overflow(size, (uint64_t)entry->dims[i], &size)) {
            return corrupt(path, name, "a shape that cannot be", err);
        }
    }
    if (size != entry->end - entry->begin) {
        return corrupt(path, name, "data_offsets of another size than its shape and dtype ask for",
                       err);
    }
    return MODEL_OK;
}

static enum model_code read_metadata(const json_t *metadata, struct safetensors_header *header,
                                     const char *path, struct model_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) {
        return corrupt(path, metadata_key, "something else than texts", err);
    }
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        if (!json_is_string(value)) {
            return corrupt(path, metadata_key, "something else than texts", err);
        }
        if (strcmp(key, CHECKPOINT_SUM) == 0) {
            header->has_sum = true;
        } else if (strcmp(key, "crc_num") == 0) {
            header->crc_num = json_string_value(value);
        }
    }
    return MODEL_OK;
}

enum model_code safetensors_header_parse(struct safetensors_header *header, const char *json,
                                         size_t size, const char *path, struct model_error *err)
{
    json_error_t at;
    const char *key;
    json_t *value;
    *header = (struct safetensors_header){0};
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &at);
    header->json = root;
    if (!json_is_object(root)) {
        return model_fail(err, MODEL_CORRUPT,
                          "read checkpoint %s: its header at byte 8 is no JSON object of its own "
                          "kind (%s at byte %d)",
                          path, root ? "another value" : at.text, root ? 8 : at.position + 8);
    }
    size_t count = json_object_size(root);
    if (count > CHECKPOINT_ENTRIES_MAX) {
        return model_fail(err, MODEL_CORRUPT,
                          "read checkpoint %s: its header names %zu tensors, more than %d", path,
                          count, CHECKPOINT_ENTRIES_MAX);
    }
    header->entries = calloc(count + 1, sizeof *header->entries);
    if (!header->entries) {
        return model_fail(err, MODEL_BUG, "read checkpoint %s: no memory", path);
    }
    json_object_foreach(root, key, value)
    {
        enum model_code code =
            strcmp(key, metadata_key) == 0
                ? read_metadata(value, header, path, err)
                : read_entry(key, value, &header->entries[header->count++], path, err);
        if (code != MODEL_OK) {
            return code;
        }
    }
    return MODEL_OK;
}

void safetensors_header_release(struct safetensors_header *header)
{
    json_decref(header->json);
    free(header->entries);
    *header = (struct safetensors_header){0};
}

/* {"dtype": …, "shape": […], "data_offsets": […]} of a tensor whose bytes begin at *offset. */
static json_t *entry_json(const struct model_tensor *tensor, uint64_t *offset)
{
    json_t *shape = json_array();
    for (size_t i = 0; i < tensor->rank; i++) {
        json_array_append_new(shape, json_integer(tensor->dims[i]));
    }
    uint64_t begin = *offset;
    *offset += tensor->size;
    return json_pack("{ss so s[II]}", "dtype", checkpoint_dtype_of(tensor->type), "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)*offset);
}

char *safetensors_header_text(const struct model_tensor *tensors, size_t count, const char *crc_num,
                              size_t *size)
{
    uint64_t offset = 0;
    json_t *metadata =
        json_pack("{ss ss ss*}", CHECKPOINT_SUM, "00000000", "format", "ms", "crc_num", crc_num);
    json_t *root = json_pack("{so}", metadata_key, metadata);
    bool whole = root != NULL;
    for (size_t i = 0; i < count && whole; i++) {
        whole = json_object_set_new(root, tensors[i].name, entry_json(&tensors[i], &offset)) == 0;
    }
    char *text = whole ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    size_t length = text ? strlen(text) : 0;
    *size = (length + 7) / 8 * 8;
    char *padded = text ? realloc(text, *size + 1) : NULL;
    if (!padded) {
        free(text);
        return NULL;
    }
    memset(padded + length, ' ', *size - length);
    padded[*size] = '\0';
    return padded;
}
