/*
 * exchange.h - requests to the services that hand out keys, a few in a row over one connection.
 *
 * Bodies of success go into one buffer that is wiped at the end; they are NUL-terminated and at
 * most EXCHANGE_ANSWER_MAX bytes. A request that fails on its way, and an answer 429 or 5xx, is
 * tried once more.
 */
#ifndef STORAGE_CREDENTIALS_EXCHANGE_H
#define STORAGE_CREDENTIALS_EXCHANGE_H

#include "storage/credentials/source.h"
#include "storage/http/http.h"

enum {
    EXCHANGE_ANSWER_MAX = 64 * 1024
};

struct exchange {
    const struct key_source *source;
    struct http *http;
    struct http_response response; /* of the last request; its body when that was no success */
    char *answer;                  /* the body when it was */
    unsigned deadline_ms;
};

/* Where a service is decides how patiently it is asked. */
enum exchange_place {
    EXCHANGE_NEAR, /* this machine's own network: 1 s to connect, 2 s in all, no proxy */
    EXCHANGE_FAR   /* 5 s to connect, 15 s in all */
};

/* exchange_end is to be called whatever this returns. */
enum storage_code exchange_start(struct exchange *exchange, const struct key_source *source,
                                 enum exchange_place place, struct storage_error *err);
void exchange_end(struct exchange *exchange);

/*
 * STORAGE_OK: there is an answer, whatever its status. Otherwise as http_perform, with the
 * source's name in the message.
 */
enum storage_code exchange_send(struct exchange *exchange, const char *method, const char *url,
                                const char *const *headers, size_t header_count, const char *body,
                                struct storage_error *err);

/*
 * The failure that the last answer is: its status, and word when given ("" is fine). 429 and 5xx
 * are STORAGE_UNREACHABLE, which is worth another try later; else STORAGE_DENIED.
 */
enum storage_code exchange_refused(const struct exchange *exchange, const char *what,
                                   const char *word, struct storage_error *err);

#endif
