#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_banned.h"

enum {
    DIGITS_MAX = 17 /* always enough for a double (IEEE 754, 5.12.2) */
};

/*
 * The shortest digits that read back as value: the nearest decimal of 1, 2, … digits until one
 * does. Writes them without point or sign to digits, and the power of ten of the first one.
 */
static int shortest_digits(double value, char digits[DIGITS_MAX + 1])
{
    char text[32];
    for (int count = 1;; count++) {
        snprintf(text, sizeof text, "%.*e", count - 1, value);
        if (count == DIGITS_MAX || strtod(text, NULL) == value) {
            break;
        }
    }
    size_t length = 0;
    char *at = text;
    for (; *at != 'e'; at++) {
        if (*at >= '0' && *at <= '9') {
            digits[length++] = *at;
        }
    }
    digits[length] = '\0';
    return (int)strtol(at + 1, NULL, 10);
}

void model_format_double(char *out, size_t size, double value)
{
    if (!isfinite(value)) {
        snprintf(out, size, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    char digits[DIGITS_MAX + 1];
    const char *sign = signbit(value) ? "-" : "";
    int exponent = shortest_digits(fabs(value), digits);
    int length = (int)strlen(digits);
    /* Python's repr: an exponent below 1e-4 and from 1e16 on, else at least one decimal. */
    if (exponent < -4 || exponent >= 16) {
        const char *point = length > 1 ? "." : "";
        snprintf(out, size, "%s%c%s%se%c%02d", sign, digits[0], point, digits + 1,
                 exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        snprintf(out, size, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
    } else if (exponent + 1 < length) {
        snprintf(out, size, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
    } else {
        snprintf(out, size, "%s%s%.*s.0", sign, digits, exponent + 1 - length, "000000000000000");
    }
}
