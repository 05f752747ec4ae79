/* prefix.c - MindSpore's rule for the prefix of a new run beside older checkpoints. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/checkpoint/safetensors.h"
#include "model/model.h"

#include "model/model_banned.h"

static const char breakpoint_suffix[] = "_breakpoint.ckpt";

enum {
    DIGITS_MAX = 18 /* a number of more does not fit; such names are left out */
};

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name);
    size_t end_length = strlen(end);
    return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

bool model_is_checkpoint_name(const char *name)
{
    return ends_with(name, ".ckpt") || ends_with(name, SAFETENSORS_SUFFIX);
}

/* Python's isalpha for ASCII; a byte of a longer character counts as a letter, as most are. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/*
 * The number a run needs that finds this name; 0 when the name says nothing. The rest behind the
 * prefix starts with '-': 1. Else what lies between its first character (whichever, usually '_')
 * and its first '-' must be a number: one more.
 */
static uint64_t next_number(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);
    if (!model_is_checkpoint_name(name) || ends_with(name, breakpoint_suffix) ||
        strncmp(name, prefix, length) != 0) {
        return 0;
    }
    const char *rest = name + length;
    const char *dash = strchr(rest, '-');
    if (is_letter(rest[0]) || !dash) {
        return 0;
    }
    if (dash == rest) {
        return 1;
    }
    size_t digits = (size_t)(dash - rest) - 1;
    if (digits == 0 || digits > DIGITS_MAX || strspn(rest + 1, "0123456789") < digits) {
        return 0;
    }
    uint64_t number = 0;
    for (size_t i = 1; i <= digits; i++) {
        number = number * 10 + (uint64_t)(rest[i] - '0');
    }
    return number + 1;
}

void model_free_prefix(char *out, size_t size, const char *prefix, const char *const *names,
                       size_t count)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t number = next_number(names[i], prefix);
        highest = number > highest ? number : highest;
    }
    if (highest == 0) {
        snprintf(out, size, "%s", prefix);
    } else {
        snprintf(out, size, "%s_%" PRIu64, prefix, highest);
    }
}
