/*
 * headers.h - from the flags that speak of objects (--metadata, --storage_class, --sse …) to one
 * side's struct storage_headers.
 */
#ifndef RUNNER_HEADERS_H
#define RUNNER_HEADERS_H

#include "runner/access.h"

struct headers {
    struct storage_headers storage; /* texts borrowed from the settings, the key from below */
    unsigned char sse_c_key[STORAGE_SSE_C_KEY_SIZE];
};

/*
 * Reads what side needs. Returns EXIT_DONE, or the code of a failure it has logged: a key file that
 * is missing (66) or is no key (78).
 */
enum exit_code headers_resolve(struct headers *headers, const struct settings *settings,
                               enum side side, struct log *log);
/* Wipes the key; fine on a zeroed one. */
void headers_release(struct headers *headers);

#endif
