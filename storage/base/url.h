/*
 * url.h - percent-encoding, in one place; the rest of url.c is declared in storage.h.
 *
 * Signatures are made over the encoded text, so a key must be encoded here, once, and sent exactly
 * so. The unreserved bytes are those of RFC 3986: A-Z a-z 0-9 - _ . ~; all else becomes %XX with
 * capital digits, as SigV4 and OBS ask for.
 */
#ifndef STORAGE_URL_H
#define STORAGE_URL_H

#include "storage/base/buf.h"
#include "storage/storage.h"

/* Appends the whole text, encoded; '/' stays as it is in a path and is encoded in a query. */
void url_encode_path(struct buf *out, const char *text);
void url_encode_query(struct buf *out, const char *text);

/*
 * Decodes in place what a list page with encoding-type=url holds: %XX, and '+' for a space (AWS
 * and MinIO write keys as forms are). False, with text in any state, when an escape is cut short
 * or stands for NUL.
 */
bool url_decode(char *text);

#endif
