/*
 * filter.c - names against globs; the language is told in storage.h.
 *
 * A pattern becomes a row of tokens, each of one character, between which a star may stand; all
 * tokens are tried at once with one bit each (the shift-and of Baeza-Yates and Gonnet, with a loop
 * on a state for a star), so a name takes a time of its length, whatever the pattern. State i means
 * that i tokens have matched. `{a,b}` is written out as several patterns beforehand.
 */
#include "storage/storage.h"
#include "storage/storage_error.h"

#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    PATTERNS_MAX = 1024, /* of a filter, alternatives written out */
    TOKENS_MAX = 255,    /* of a pattern */
    WORDS = (TOKENS_MAX + 1 + 63) / 64,
    PATTERN_TEXT_MAX = 2048,
    ALTERNATIVES_DEPTH = 8
};

struct pattern {
    unsigned tokens;
    bool is_anchored;
    bool is_folder;
    uint64_t step[256][WORDS]; /* bit i: token i matches that character */
    uint64_t stay[256][WORDS]; /* bit i: so does the star at state i */
};

struct storage_filter {
    struct pattern *patterns[PATTERNS_MAX];
    bool excludes[PATTERNS_MAX];
    size_t count;
    bool has_include;
};

struct storage_filter *storage_filter_new(void)
{
    return calloc(1, sizeof(struct storage_filter));
}

void storage_filter_free(struct storage_filter *filter)
{
    if (filter) {
        for (size_t i = 0; i < filter->count; i++) {
            free(filter->patterns[i]);
        }
        free(filter);
    }
}

/* ---- reading patterns ----------------------------------------------------------------------- */

static void set_bit(uint64_t words[WORDS], unsigned bit)
{
    words[bit / 64] |= 1ULL << (bit % 64);
}

/* Reads "[…]" at *text, whose bracket is past; marks what it takes. NULL on success. */
static const char *read_set(struct pattern *pattern, const char **text)
{
    const char *at = *text;
    bool taken[256] = {false};
    bool negated = *at == '^' || *at == '!';
    at += negated;
    for (bool first = true; first || *at != ']'; first = false) {
        unsigned char low = (unsigned char)*at++;
        if (low == '\\') {
            low = (unsigned char)*at++;
        }
        unsigned char high = low;
        if (low && at[0] == '-' && at[1] && at[1] != ']') {
            high = (unsigned char)at[1];
            at += 2;
        }
        if (!low) {
            return "its '[' has no ']'";
        }
        for (unsigned c = low; c <= high; c++) {
            taken[c] = true;
        }
    }
    for (unsigned c = 1; c < 256; c++) {
        if (c != '/' && taken[c] != negated) {
            set_bit(pattern->step[c], pattern->tokens);
        }
    }
    *text = at + 1;
    return NULL;
}

/* Reads one token or star at *text. NULL on success. */
static const char *read_token(struct pattern *pattern, const char **text)
{
    const char *at = (*text)++;
    if (*at == '*') {
        bool all = at[1] == '*';
        *text += all;
        for (unsigned c = 1; c < 256; c++) {
            if (all || c != '/') {
                set_bit(pattern->stay[c], pattern->tokens);
            }
        }
        return NULL;
    }
    if (pattern->tokens == TOKENS_MAX) {
        return "it is too long";
    }
    if (*at == '[') {
        const char *why = read_set(pattern, text);
        pattern->tokens++;
        return why;
    }
    if (*at == '?') {
        for (unsigned c = 1; c < 256; c++) {
            if (c != '/') {
                set_bit(pattern->step[c], pattern->tokens);
            }
        }
    } else {
        if (*at == '\\') {
            at = (*text)++;
        }
        if (!*at) {
            return "it ends in a lone '\\'";
        }
        set_bit(pattern->step[(unsigned char)*at], pattern->tokens);
    }
    pattern->tokens++;
    return NULL;
}

/* Adds a pattern without alternatives. NULL on success. */
static const char *add_plain(struct storage_filter *filter, const char *text, bool exclude)
{
    const char *why = NULL;
    struct pattern *pattern = calloc(1, sizeof *pattern);
    if (!pattern || filter->count == PATTERNS_MAX) {
        free(pattern);
        return pattern ? "there are too many" : "no memory";
    }
    pattern->is_anchored = *text == '/';
    text += pattern->is_anchored;
    if (!*text) {
        why = "it is empty";
    }
    while (!why && *text) {
        pattern->is_folder = text[0] == '/' && !text[1];
        if (pattern->is_folder) {
            break;
        }
        why = read_token(pattern, &text);
    }
    if (why) {
        free(pattern);
        return why;
    }
    filter->excludes[filter->count] = exclude;
    filter->patterns[filter->count++] = pattern;
    filter->has_include |= !exclude;
    return NULL;
}

/* The end of the alternative that begins at text: its ',' or '}', or NULL. */
static const char *end_of_alternative(const char *text)
{
    for (int depth = 0; *text; text++) {
        if (*text == '\\' && text[1]) {
            text++;
        } else if (depth == 0 && (*text == ',' || *text == '}')) {
            return text;
        } else if (*text == '{' || *text == '}') {
            depth += *text == '{' ? 1 : -1;
        }
    }
    return NULL;
}

/* The first '{' that stands for itself, outside of a set; NULL: none. */
static const char *find_brace(const char *text)
{
    for (bool in_set = false; *text; text++) {
        if (*text == '\\' && text[1]) {
            text++;
        } else if (*text == '[' || *text == ']') {
            in_set = *text == '[';
        } else if (*text == '{' && !in_set) {
            return text;
        }
    }
    return NULL;
}

/* Writes out the first "{a,b}" and adds what comes of it. NULL on success. */
static const char *add_alternatives(struct storage_filter *filter, const char *text, bool exclude,
                                    unsigned depth)
{
    char written[PATTERN_TEXT_MAX];
    const char *why = NULL;
    const char *brace = find_brace(text);
    if (!brace) {
        return add_plain(filter, text, exclude);
    }
    const char *close = brace;
    do {
        close = end_of_alternative(close + 1);
    } while (close && *close == ',');
    if (!close || depth == ALTERNATIVES_DEPTH) {
        return close ? "it has too many '{'" : "its '{' has no '}'";
    }
    for (const char *from = brace + 1; from <= close && !why;) {
        const char *end = end_of_alternative(from);
        size_t head = (size_t)(brace - text);
        size_t middle = (size_t)(end - from);
        size_t tail = strlen(close + 1);
        if (head + middle + tail >= sizeof written) {
            return "it is too long";
        }
        memcpy(written, text, head);
        memcpy(written + head, from, middle);
        memcpy(written + head + middle, close + 1, tail + 1);
        why = add_alternatives(filter, written, exclude, depth + 1);
        from = end + 1;
    }
    return why;
}

enum storage_code storage_filter_add(struct storage_filter *filter, const char *pattern,
                                     bool exclude, struct storage_error *err)
{
    const char *why = add_alternatives(filter, pattern, exclude, 0);
    return why ? storage_fail(err, STORAGE_USAGE, "the pattern '%.512s': %s", pattern, why)
               : STORAGE_OK;
}

/* ---- matching ------------------------------------------------------------------------------- */

static bool has_bit(const uint64_t words[WORDS], unsigned bit)
{
    return (words[bit / 64] >> (bit % 64) & 1) != 0;
}

static bool pattern_matches(const struct pattern *pattern, const char *name)
{
    uint64_t state[WORDS] = {1};
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        if (c == '/' && has_bit(state, pattern->tokens)) {
            return true; /* it is the name of a folder on the way */
        }
        uint64_t carry = 0;
        for (unsigned i = 0; i < WORDS; i++) {
            uint64_t moved = state[i] & pattern->step[c][i];
            state[i] = (moved << 1 | carry) | (state[i] & pattern->stay[c][i]);
            carry = moved >> 63;
        }
        state[0] |= c == '/' && !pattern->is_anchored;
    }
    return !pattern->is_folder && has_bit(state, pattern->tokens);
}

bool storage_filter_takes(const struct storage_filter *filter, const char *name)
{
    bool included = !filter || !filter->has_include;
    for (size_t i = 0; filter && i < filter->count; i++) {
        if ((filter->excludes[i] || !included) && pattern_matches(filter->patterns[i], name)) {
            if (filter->excludes[i]) {
                return false;
            }
            included = true;
        }
    }
    return included;
}
