/*
 * date.h - the times that stores write and read, all UTC, whatever the locale and time zone.
 */
#ifndef STORAGE_DATE_H
#define STORAGE_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DATE_HTTP_SIZE = 30, /* "Sat, 12 Oct 2024 08:12:38 GMT" and NUL */
    DATE_AMZ_SIZE = 17   /* "20241012T081238Z" and NUL */
};

/* seconds since 1970; years 1970 to 9999, others are brought into that range. */
void date_format_http(char text[DATE_HTTP_SIZE], int64_t seconds);
void date_format_amz(char text[DATE_AMZ_SIZE], int64_t seconds);

/* "Sat, 12 Oct 2024 08:12:38 GMT" (RFC 9110's preferred form only) to seconds. */
bool date_parse_http(int64_t *seconds, const char *text);

/* "2024-10-12T08:12:38.123Z", any number of decimals, to nanoseconds. */
bool date_parse_iso(int64_t *nanoseconds, const char *text);

/* "1728720758.123456789", decimals optional, a minus allowed, to nanoseconds (rclone's mtime). */
bool date_parse_decimal(int64_t *nanoseconds, const char *text);
/* The reverse, into a text of size 24 at least; 9 decimals. */
void date_format_decimal(char *text, size_t size, int64_t nanoseconds);

#endif
