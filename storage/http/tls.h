/*
 * tls.h - how a TLS connection of ours is set up; the only header through which libssl is reached.
 *
 * Certificates to trust are read once, at the first connection, and shared by all: curl 7.88 would
 * read them once a multi handle. AES-128-GCM is offered first, the cheapest of the strong ciphers.
 * OpenSSL's read-ahead stays off: before 8.15 curl does not see what it holds back, and would wait
 * for a socket on which nothing more comes.
 */
#ifndef STORAGE_HTTP_TLS_H
#define STORAGE_HTTP_TLS_H

#include <stdbool.h>

struct tls;

/*
 * Where this machine keeps the certificates it trusts: built_in (curl's; may be NULL) when it can
 * be read, else the first of the places that distributions use, so that one binary runs on all of
 * them; built_in when there is none.
 */
const char *tls_bundle(const char *built_in);

/*
 * bundle is a PEM file, folder one of hashed certificates; either may be NULL, and where both are
 * given one that works is enough. insecure: nothing is read. NULL: no memory.
 */
struct tls *tls_new(const char *bundle, const char *folder, bool insecure);
void tls_free(struct tls *tls); /* NULL is fine */

/* The bundle or folder, for messages; "" when there is neither. */
const char *tls_source(const struct tls *tls);

/* Sets up an SSL_CTX. False: there are no certificates to verify with. From any thread. */
bool tls_prepare(struct tls *tls, void *ssl_context);

#endif
