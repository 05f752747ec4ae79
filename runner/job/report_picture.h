/*
 * report_picture.h - grey pixels as a data: URL that an HTML page can hold.
 *
 * A PNG without compression (W3C PNG 2nd edition; its zlib stream is one stored block, RFC 1950 and
 * 1951): no library is needed for pictures of 28 by 28.
 */
#ifndef RUNNER_REPORT_PICTURE_H
#define RUNNER_REPORT_PICTURE_H

#include <stddef.h>
#include <stdint.h>

enum {
    PICTURE_SIDE_MAX = 64,
    PICTURE_URL_MAX = 8192 /* bytes of the text */
};

/* pixels[side][side], 0 is black. url has PICTURE_URL_MAX bytes; side is at most the maximum. */
void report_picture_url(char *url, const uint8_t *pixels, size_t side);

#endif
