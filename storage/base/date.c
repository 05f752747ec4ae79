#include "storage/base/date.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/storage_banned.h"

static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static const int64_t second_ns = 1000000000;
static const int64_t last_second = 253402300799; /* 9999-12-31T23:59:59Z */

static struct tm split(int64_t seconds)
{
    time_t clamped = seconds < 0 ? 0 : seconds > last_second ? last_second : seconds;
    struct tm tm = {0};
    gmtime_r(&clamped, &tm);
    return tm;
}

/* Writes value's last digits, zeros in front; the time is in every signature, several times. */
static char *put_digits(char *at, int value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + digits;
}

void date_format_http(char text[DATE_HTTP_SIZE], int64_t seconds)
{
    struct tm tm = split(seconds);
    snprintf(text, DATE_HTTP_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", day_names[tm.tm_wday],
             (unsigned)tm.tm_mday % 100, month_names[tm.tm_mon],
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
             (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

void date_format_amz(char text[DATE_AMZ_SIZE], int64_t seconds)
{
    struct tm tm = split(seconds);
    char *at = put_digits(text, tm.tm_year + 1900, 4);
    at = put_digits(at, tm.tm_mon + 1, 2);
    at = put_digits(at, tm.tm_mday, 2);
    *at++ = 'T';
    at = put_digits(at, tm.tm_hour, 2);
    at = put_digits(at, tm.tm_min, 2);
    at = put_digits(at, tm.tm_sec, 2);
    memcpy(at, "Z", 2);
}

/* Whether the fields are a moment between 1970 and 9999; then its seconds. */
static bool join(int64_t *seconds, const struct tm *fields)
{
    if (fields->tm_year < 70 || fields->tm_year > 8099 || fields->tm_mon < 0 ||
        fields->tm_mon > 11 || fields->tm_mday < 1 || fields->tm_mday > 31 || fields->tm_hour < 0 ||
        fields->tm_hour > 23 || fields->tm_min < 0 || fields->tm_min > 59 || fields->tm_sec < 0 ||
        fields->tm_sec > 60) {
        return false;
    }
    struct tm copy = *fields;
    *seconds = timegm(&copy);
    return true;
}

bool date_parse_http(int64_t *seconds, const char *text)
{
    struct tm tm = {0};
    char month[4] = "";
    char zone[4] = "";
    int end = 0;
    /* Widths bound every number, so no conversion can overflow. NOLINTNEXTLINE(cert-err34-c) */
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3[A-Z]%n", &tm.tm_mday, month,
               &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, zone, &end) != 7 ||
        text[end] || strcmp(zone, "GMT") != 0) {
        return false;
    }
    for (tm.tm_mon = 0; tm.tm_mon < 12; tm.tm_mon++) {
        if (strcmp(month, month_names[tm.tm_mon]) == 0) {
            tm.tm_year -= 1900;
            return join(seconds, &tm);
        }
    }
    return false;
}

/* The digits after a decimal point as nanoseconds; *text is moved behind them. */
static int64_t parse_fraction(const char **text)
{
    int64_t fraction = 0;
    int64_t unit = second_ns / 10;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        fraction += (**text - '0') * unit;
        unit /= 10;
    }
    return fraction;
}

bool date_parse_iso(int64_t *nanoseconds, const char *text)
{
    struct tm tm = {0};
    int64_t seconds = 0;
    int end = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", /* NOLINT(cert-err34-c) */
               &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
               &end) != 6) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    const char *rest = text + end;
    int64_t fraction = 0;
    if (*rest == '.') {
        rest++;
        fraction = parse_fraction(&rest);
    }
    if (strcmp(rest, "Z") != 0 || !join(&seconds, &tm) || seconds > INT64_MAX / second_ns - 1) {
        return false;
    }
    *nanoseconds = seconds * second_ns + fraction;
    return true;
}

bool date_parse_decimal(int64_t *nanoseconds, const char *text)
{
    bool negative = *text == '-';
    const char *rest = text + negative;
    int64_t value = 0;
    if (*rest < '0' || *rest > '9') {
        return false;
    }
    for (; *rest >= '0' && *rest <= '9'; rest++) {
        value = value * 10 + (*rest - '0');
        if (value > INT64_MAX / second_ns - 1) {
            return false;
        }
    }
    value *= second_ns;
    if (*rest == '.') {
        rest++;
        value += parse_fraction(&rest);
    }
    *nanoseconds = negative ? -value : value;
    return *rest == '\0';
}

void date_format_decimal(char *text, size_t size, int64_t nanoseconds)
{
    uint64_t absolute = nanoseconds < 0 ? 0 - (uint64_t)nanoseconds : (uint64_t)nanoseconds;
    snprintf(text, size, "%s%" PRIu64 ".%09" PRIu64, nanoseconds < 0 ? "-" : "",
             absolute / (uint64_t)second_ns, absolute % (uint64_t)second_ns);
}
