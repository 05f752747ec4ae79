/* outgoing.h - one try of a request, built and signed; between request.c and outgoing.c. */
#ifndef STORAGE_S3_OUTGOING_H
#define STORAGE_S3_OUTGOING_H

#include "storage/base/date.h"
#include "storage/s3/attempt.h"

enum {
    OUTGOING_URL_MAX = 32 * 1024
};

/* One try in full. Buffers own the texts that the arrays point into. */
struct outgoing {
    struct buf url, path, resource, host, lines, authorization;
    struct sign_pair headers[HTTP_HEADERS_MAX]; /* [0] is Host, which curl sends itself */
    size_t count;
    char names[HTTP_HEADERS_MAX][64]; /* of those that are renamed */
    char date[DATE_HTTP_SIZE];
    const char *pointers[HTTP_HEADERS_MAX];
};

void outgoing_init(struct outgoing *out);
void outgoing_release(struct outgoing *out);

/*
 * Builds and signs it all. hash keeps the body's SHA-256 for the next try. False: a digest was
 * refused, no memory, or too long.
 */
bool outgoing_build(struct outgoing *out, struct s3_store *store, const struct attempt *attempt,
                    const struct s3_request *request, struct buf *hash);

#endif
