#include "runner/job/gate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

static const char name_bytes[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/";

bool gate_parse(struct gate *gate, const char *text, char *message, size_t message_size)
{
    const char *at = text + strspn(text, " ");
    size_t length = strspn(at, name_bytes);
    char *end = NULL;
    if (length == 0 || length >= GATE_METRIC_MAX) {
        goto bad;
    }
    snprintf(gate->metric, sizeof gate->metric, "%.*s", (int)length, at);
    at += length;
    at += strspn(at, " ");
    if (*at != '<' && *at != '>') {
        goto bad;
    }
    gate->wants_more = *at == '>';
    at++;
    gate->or_equal = *at == '=';
    at += *at == '=';
    gate->bound = strtod(at, &end);
    if (end == at || !isfinite(gate->bound) || end[strspn(end, " ")] != '\0') {
        goto bad;
    }
    return true;
bad:
    snprintf(message, message_size,
             "--gate takes METRIC>=NUMBER (or >, <=, <), as 'acc>=0.97', "
             "not '%.200s'",
             text);
    return false;
}

bool gate_passes(const struct gate *gate, double value)
{
    if (!isfinite(value)) {
        return false;
    }
    return (gate->or_equal && value >= gate->bound && value <= gate->bound) ||
           (gate->wants_more ? value > gate->bound : value < gate->bound);
}

bool gate_prefers(const struct gate *gate, double value, double other)
{
    return gate->wants_more ? value > other : value < other;
}
