/* nearest.h - how far a mistyped name is from a known one, for "did you mean". */
#ifndef RUNNER_NEAREST_H
#define RUNNER_NEAREST_H

#include <stddef.h>

/*
 * Levenshtein distance of known to word[0..length), '-' and '_' in word as one. A word over 64
 * bytes is as far as can be (64).
 */
size_t nearest_distance(const char *known, const char *word, size_t length);

/* The distance below which a suggestion makes sense: about half of what was typed. */
size_t nearest_limit(size_t length);

#endif
