/* tensor_values.c - the numbers in a tensor of any type: what they come to, how two differ. */
#include <math.h>
#include <string.h>

#include "model/checkpoint/checkpoint.h"

#include "model/model_banned.h"

/* What the bytes of an element are. */
enum kind {
    TEXT, /* no number */
    REAL,
    SIGNED,
    UNSIGNED
};

static enum kind kind_of(const char *type)
{
    switch (type[0]) {
    case 'F': /* Float… */
        return REAL;
    case 'I': /* Int… */
        return SIGNED;
    case 'U': /* UInt… */
        return UNSIGNED;
    case 'B': /* BFloat16, Bool */
        return strcmp(type, "Bool") == 0 ? UNSIGNED : REAL;
    default:
        return TEXT;
    }
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction. */
static double half_value(uint16_t bits)
{
    double sign = bits & 0x8000 ? -1.0 : 1.0;
    int exponent = bits >> 10 & 0x1F;
    double fraction = (double)(bits & 0x3FF);
    if (exponent == 0) {
        return sign * ldexp(fraction, -24);
    }
    if (exponent == 0x1F) {
        return fraction > 0.0 ? (double)NAN : sign * (double)INFINITY;
    }
    return sign * ldexp(1024.0 + fraction, exponent - 25);
}

static double real_value(const struct model_tensor *tensor, size_t size, const uint8_t *at)
{
    union {
        uint16_t half;
        uint32_t bits;
        float single;
        double whole;
    } value = {.whole = 0.0};
    memcpy(&value, at, size);
    if (tensor->type[0] == 'B') { /* the upper half of a Float32 */
        value.bits = (uint32_t)value.half << 16;
        return (double)value.single;
    }
    return size == 2 ? half_value(value.half) : size == 4 ? (double)value.single : value.whole;
}

/* An integer moved so that the least of its kind is 0: the order and all differences stay. */
static uint64_t integer_rank(enum kind kind, size_t size, const uint8_t *at)
{
    uint64_t value = 0;
    memcpy(&value, at, size);
    if (kind == SIGNED) {
        value ^= UINT64_C(1) << (8 * size - 1);
    }
    return value;
}

static double integer_value(enum kind kind, size_t size, const uint8_t *at)
{
    uint64_t rank = integer_rank(kind, size, at);
    uint64_t zero = kind == SIGNED ? UINT64_C(1) << (8 * size - 1) : 0;
    return rank >= zero ? (double)(rank - zero) : -(double)(zero - rank);
}

double tensor_value(const struct model_tensor *tensor, size_t i)
{
    enum kind kind = kind_of(tensor->type);
    size_t size = checkpoint_element_size(tensor->type);
    const uint8_t *at = (const uint8_t *)tensor->data + i * size;
    return kind == REAL ? real_value(tensor, size, at) : integer_value(kind, size, at);
}

static size_t count_of(const struct model_tensor *tensor)
{
    return kind_of(tensor->type) == TEXT ? 0 : tensor->size / checkpoint_element_size(tensor->type);
}

void model_tensor_summary(const struct model_tensor *tensor, struct model_tensor_summary *summary)
{
    *summary = (struct model_tensor_summary){.count = count_of(tensor)};
    if (summary->count == 0) {
        return;
    }
    double sum = 0.0;
    summary->min = (double)INFINITY;
    summary->max = -(double)INFINITY;
    for (size_t i = 0; i < summary->count; i++) {
        double value = tensor_value(tensor, i);
        sum += value;
        /* Not fmin and fmax: a NaN is to be seen. */
        summary->min = summary->min <= value ? summary->min : value;
        summary->max = summary->max >= value ? summary->max : value;
    }
    summary->mean = sum / (double)summary->count;
    double squares = 0.0;
    for (size_t i = 0; i < summary->count; i++) {
        double away = tensor_value(tensor, i) - summary->mean;
        squares += away * away;
    }
    summary->std = sqrt(squares / (double)summary->count);
    if (isnan(sum)) {
        summary->min = sum;
        summary->max = sum;
    }
}

static double real_difference(const struct model_tensor *a, const struct model_tensor *b, size_t i)
{
    double left = tensor_value(a, i);
    double right = tensor_value(b, i);
    if (isnan(left) && isnan(right)) {
        return 0.0;
    }
    return left == right ? 0.0 : fabs(left - right);
}

double model_tensor_difference(const struct model_tensor *a, const struct model_tensor *b)
{
    enum kind kind = kind_of(a->type);
    size_t size = checkpoint_element_size(a->type);
    double most = 0.0;
    if (strcmp(a->type, b->type) != 0 || a->rank != b->rank || a->size != b->size ||
        (a->rank > 0 && memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) != 0)) {
        return (double)NAN;
    }
    if (a->size == 0 || memcmp(a->data, b->data, a->size) == 0) {
        return 0.0;
    }
    if (kind == TEXT) {
        return (double)NAN;
    }
    for (size_t i = 0; i < count_of(a); i++) {
        double difference;
        if (kind == REAL) {
            difference = real_difference(a, b, i);
        } else {
            uint64_t left = integer_rank(kind, size, (const uint8_t *)a->data + i * size);
            uint64_t right = integer_rank(kind, size, (const uint8_t *)b->data + i * size);
            difference = (double)(left > right ? left - right : right - left);
        }
        if (!(difference <= most)) { /* a NaN stays */
            most = difference;
        }
        if (isnan(most)) {
            break;
        }
    }
    return most;
}
