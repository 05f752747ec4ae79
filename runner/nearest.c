#include "runner/nearest.h"

#include "runner/runner_banned.h"

/* Wagner and Fischer 1974, one row kept. */
size_t nearest_distance(const char *known, const char *word, size_t length)
{
    enum {
        NAME_MAX_LENGTH = 64
    };
    size_t row[NAME_MAX_LENGTH + 1];
    if (length > NAME_MAX_LENGTH) {
        return NAME_MAX_LENGTH;
    }
    for (size_t j = 0; j <= length; j++) {
        row[j] = j;
    }
    for (size_t i = 0; known[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            char c = word[j] == '-' ? '_' : word[j];
            size_t best = diagonal + (known[i] != c);
            diagonal = row[j + 1];
            best = best < row[j] + 1 ? best : row[j] + 1;
            best = best < diagonal + 1 ? best : diagonal + 1;
            row[j + 1] = best;
        }
    }
    return row[length];
}

size_t nearest_limit(size_t length)
{
    return length / 2 + 1;
}
