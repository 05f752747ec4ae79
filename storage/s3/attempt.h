/*
 * attempt.h - one try of a request: what it was built and signed with, and what its answer teaches
 * (learn.c). For request.c.
 */
#ifndef STORAGE_S3_ATTEMPT_H
#define STORAGE_S3_ATTEMPT_H

#include "storage/s3/s3.h"

/* What one try stands on; the store may learn more while it runs. */
struct attempt {
    struct endpoint endpoint;
    struct sign_day_key day_key; /* of an earlier try, or none */
    enum storage_signature signature;
    bool is_obs;
    int64_t offset;
    int64_t now;                   /* by the store's clock */
    struct credentials_keys *keys; /* held; NULL: anonymous */
};

/* Of one request over its tries. */
struct course {
    unsigned tries;
    unsigned lessons;
    bool renewed;     /* newer keys were asked for */
    int64_t deadline; /* on clock_ms; 0: none */
};

/* A store that turns out to be OBS is spoken to as one from now on; whether it is news. */
bool s3_learn_dialect(struct s3_store *store, const struct attempt *attempt,
                      const struct http_response *response);

/* Keeps what a good answer's Date says of the store's clock; requests are signed as before. */
void s3_note_clock(struct s3_store *store, const struct http_response *response);

/*
 * What the refusal of an attempt teaches beside that: the clock, the keys, the place. Returns
 * whether the store knows more now than the attempt did, so that another try is worthwhile at once.
 */
bool s3_learn(struct s3_store *store, const struct attempt *attempt,
              const struct s3_request *request, const struct http_response *response,
              const struct xml_error *document, struct course *course);

#endif
