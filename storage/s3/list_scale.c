/*
 * list_scale.c - keys as numbers.
 *
 * "img/000000.jpg" to "img/000999.jpg" is a page: its last three digits vary, so the page four
 * further ends at "img/004999"; digits before them carry, as do those of "07/999" into "08/000".
 * Which characters a place can hold is read off the page, and widened to whole classes, since a
 * page shows only a few: 0-9, a-f or a-z, A-F or A-Z. All else (slashes, dots, letters outside
 * ASCII, a letter that never varied) stays as it is, so that a guess is as well-formed as a key.
 */
#include "storage/s3/list.h"

#include <string.h>

#include "storage/storage_banned.h"

enum {
    DECIMAL = 1,
    UPPER_HEX = 2,
    UPPER = 4, /* with UPPER_HEX */
    LOWER_HEX = 8,
    LOWER = 16,       /* with LOWER_HEX */
    SAMPLES_MAX = 64, /* keys of a page that are looked at */
    LOW_BITS = 40,    /* how fine a page is told apart; products of digits stay below */
    ALL_BITS = 56
};

/* ---- sets of characters ---------------------------------------------------------------------- */

static unsigned class_of(char c)
{
    if (c >= '0' && c <= '9') {
        return DECIMAL;
    }
    if (c >= 'A' && c <= 'Z') {
        return c <= 'F' ? UPPER_HEX : UPPER_HEX | UPPER;
    }
    if (c >= 'a' && c <= 'z') {
        return c <= 'f' ? LOWER_HEX : LOWER_HEX | LOWER;
    }
    return 0;
}

static unsigned uppers(unsigned set)
{
    return set & UPPER ? 26 : set & UPPER_HEX ? 6 : 0;
}

static unsigned lowers(unsigned set)
{
    return set & LOWER ? 26 : set & LOWER_HEX ? 6 : 0;
}

static unsigned decimals(unsigned set)
{
    return set & DECIMAL ? 10 : 0;
}

static unsigned radix(unsigned set)
{
    return decimals(set) + uppers(set) + lowers(set);
}

/* How many characters of the set come before c. */
static unsigned rank(unsigned set, char c)
{
    unsigned below = 0;
    const struct {
        char first;
        unsigned count;
    } runs[] = {{'0', decimals(set)}, {'A', uppers(set)}, {'a', lowers(set)}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        int distance = (unsigned char)c - runs[i].first;
        below += distance <= 0                        ? 0
                 : (unsigned)distance < runs[i].count ? (unsigned)distance
                                                      : runs[i].count;
    }
    return below;
}

static char character(unsigned set, unsigned rank)
{
    if (rank < decimals(set)) {
        return (char)('0' + (int)rank);
    }
    rank -= decimals(set);
    return rank < uppers(set) ? (char)('A' + (int)rank) : (char)('a' + (int)(rank - uppers(set)));
}

/* ---- reading a page -------------------------------------------------------------------------- */

/* What a place holds in the page's keys. */
struct place {
    unsigned set;
    bool varies;
};

static struct place look(const struct xml_page *page, size_t at)
{
    const char *last = xml_page_key(page, page->count - 1);
    size_t stride = page->count / SAMPLES_MAX + 1;
    struct place place = {.set = class_of(last[at])};
    for (size_t i = 0; i < page->count; i += stride) {
        const char *key = xml_page_key(page, i);
        if (strnlen(key, at + 1) > at) {
            place.set |= class_of(key[at]);
            place.varies |= key[at] != last[at];
        }
    }
    return place;
}

static bool is_beyond(uint64_t product, unsigned set, unsigned bits)
{
    return product * radix(set) >= UINT64_C(1) << bits;
}

/* Digits are collected from the right to the left of the key, and turned round at the end. */
static void turn_round(struct list_scale *scale)
{
    for (unsigned i = 0; i < scale->count / 2; i++) {
        unsigned other = scale->count - 1 - i;
        uint16_t at = scale->digits[i].at;
        uint8_t set = scale->digits[i].set;
        scale->digits[i] = scale->digits[other];
        scale->digits[other].at = at;
        scale->digits[other].set = set;
    }
}

static void add_digit(struct list_scale *scale, size_t at, unsigned set)
{
    scale->digits[scale->count].at = (uint16_t)at;
    scale->digits[scale->count++].set = (uint8_t)set;
    scale->limit *= radix(set);
}

static uint64_t value_of(const struct list_scale *scale, const char *key)
{
    uint64_t value = 0;
    bool is_short = false;
    for (unsigned i = 0; i < scale->count; i++) {
        unsigned set = scale->digits[i].set;
        is_short = is_short || strnlen(key, scale->digits[i].at + 1U) <= scale->digits[i].at;
        unsigned digit = is_short ? 0 : rank(set, key[scale->digits[i].at]);
        value = value * radix(set) + (digit < radix(set) ? digit : radix(set) - 1);
    }
    return value;
}

/* The digits in which the page's keys differ; returns the classes seen among them. */
static unsigned read_low(struct list_scale *scale, const struct xml_page *page, size_t common)
{
    const char *last = xml_page_key(page, page->count - 1);
    unsigned seen = 0;
    for (size_t at = common; last[at] && scale->count < LIST_DIGITS_MAX / 2; at++) {
        struct place place = look(page, at);
        if (!place.varies) {
            continue;
        }
        if (!class_of(last[at]) || is_beyond(scale->limit, place.set, LOW_BITS)) {
            break;
        }
        add_digit(scale, at, place.set);
        seen |= place.set;
    }
    turn_round(scale); /* now the least significant first, as what follows */
    return seen;
}

void list_scale_read(struct list_scale *scale, const struct xml_page *page, size_t fixed)
{
    scale->count = 0;
    scale->limit = 1;
    if (page->count < 2) {
        return;
    }
    const char *first = xml_page_key(page, 0);
    const char *last = xml_page_key(page, page->count - 1);
    size_t common = 0;
    while (first[common] && first[common] == last[common]) {
        common++;
    }
    if (common < fixed || strlen(last) > STORAGE_KEY_MAX) {
        return;
    }
    unsigned seen = read_low(scale, page, common);
    if (scale->count == 0) {
        return;
    }
    size_t end = scale->digits[0].at + 1U;
    for (size_t at = common; at > fixed && scale->count < LIST_DIGITS_MAX; at--) {
        unsigned class = class_of(last[at - 1]);
        unsigned set = class & ~seen ? class & DECIMAL : class ? seen : 0;
        if (set && is_beyond(scale->limit, set, ALL_BITS)) {
            break;
        }
        if (set) {
            add_digit(scale, at - 1, set);
        }
    }
    turn_round(scale);
    memcpy(scale->key, last, end);
    scale->key[end] = '\0';
    scale->value = value_of(scale, last);
    uint64_t from = value_of(scale, first);
    scale->step = scale->value - from;
    scale->count = scale->value > from ? scale->count : 0;
}

bool list_scale_guess(const struct list_scale *scale, unsigned pages, char key[STORAGE_KEY_MAX + 1])
{
    if (scale->count == 0 || scale->step > (UINT64_C(1) << LOW_BITS) ||
        scale->limit - scale->value <= scale->step * pages) {
        return false;
    }
    uint64_t value = scale->value + scale->step * pages;
    memcpy(key, scale->key, strlen(scale->key) + 1);
    for (unsigned i = scale->count; i-- > 0;) {
        unsigned set = scale->digits[i].set;
        unsigned base = radix(set) ? radix(set) : 1; /* never 0: no such digit was read */
        key[scale->digits[i].at] = character(set, (unsigned)(value % base));
        value /= base;
    }
    return true;
}
