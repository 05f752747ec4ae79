/* tensor_types.c - what a tensor's type and name may be, in both formats. */
#include <string.h>

#include "model/checkpoint/checkpoint.h"

#include "model/model_banned.h"

/* MindSpore's names, safetensors' ("" where it has none), numpy's sizes; "str" is UCS-4 text. */
static const struct {
    const char *name;
    const char *dtype;
    size_t size;
} element_types[] = {
    {"Float32", "F32", 4}, {"Int32", "I32", 4},     {"Int64", "I64", 8},  {"Int8", "I8", 1},
    {"Float16", "F16", 2}, {"Float64", "F64", 8},   {"Int16", "I16", 2},  {"UInt8", "U8", 1},
    {"UInt16", "U16", 2},  {"UInt32", "U32", 4},    {"UInt64", "U64", 8}, {"Uint8", "U8", 1},
    {"Uint16", "U16", 2},  {"Uint32", "U32", 4},    {"Uint64", "U64", 8}, {"Bool", "BOOL", 1},
    {"str", "", 4},        {"BFloat16", "BF16", 2},
};

enum {
    TYPES = sizeof element_types / sizeof element_types[0]
};

size_t checkpoint_element_size(const char *type)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (strcmp(type, element_types[i].name) == 0) {
            return element_types[i].size;
        }
    }
    return 0;
}

const char *checkpoint_dtype_of(const char *type)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (strcmp(type, element_types[i].name) == 0 && element_types[i].dtype[0]) {
            return element_types[i].dtype;
        }
    }
    return NULL;
}

const char *checkpoint_type_of(const char *dtype)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (dtype[0] && strcmp(dtype, element_types[i].dtype) == 0) {
            return element_types[i].name;
        }
    }
    return NULL;
}

bool checkpoint_name_is_fine(const char *name)
{
    const uint8_t *at = (const uint8_t *)name;
    if (!*at) {
        return false;
    }
    while (*at) {
        unsigned follow = 0;
        uint32_t point = *at;
        if (*at >= 0xF0 && *at < 0xF5) {
            follow = 3;
            point = *at & 0x07u;
        } else if (*at >= 0xE0 && *at < 0xF0) {
            follow = 2;
            point = *at & 0x0Fu;
        } else if (*at >= 0xC2 && *at < 0xE0) {
            follow = 1;
            point = *at & 0x1Fu;
        } else if (*at >= 0x7F || *at < ' ') {
            return false;
        }
        at++;
        for (unsigned i = 0; i < follow; i++, at++) {
            if ((*at & 0xC0) != 0x80) {
                return false;
            }
            point = point << 6 | (*at & 0x3Fu);
        }
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (point < least[follow] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000) ||
            (point >= 0x80 && point < 0xA0)) {
            return false;
        }
    }
    return true;
}
