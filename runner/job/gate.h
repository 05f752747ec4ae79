/*
 * gate.h - a condition on a metric of the run, as --gate says it: 'acc>=0.97', 'loss<0.1'.
 *
 * It decides twice: whether a run is good enough (exit 80 when not), and, by its direction, which
 * of two values is the better one.
 */
#ifndef RUNNER_GATE_H
#define RUNNER_GATE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    GATE_METRIC_MAX = 32 /* bytes of a name with its NUL */
};

struct gate {
    char metric[GATE_METRIC_MAX];
    bool wants_more; /* > and >=: more is better */
    bool or_equal;
    double bound;
};

/* Reads NAME OP NUMBER, blanks between them allowed; false after writing why not. */
bool gate_parse(struct gate *gate, const char *text, char *message, size_t message_size);

/* Whether the value is good enough. NaN never is. */
bool gate_passes(const struct gate *gate, double value);

/* Whether value is better than other in the gate's direction. NaN never is. */
bool gate_prefers(const struct gate *gate, double value, double other);

#endif
