/*
 * digest.h - digests, MACs and their texts; digest.c alone knows OpenSSL's digests.
 *
 * Every function that computes returns false when the crypto library refuses (no memory, or an
 * algorithm switched off by policy, as FIPS does with MD5), and its output is then undefined.
 */
#ifndef STORAGE_DIGEST_H
#define STORAGE_DIGEST_H

#include "storage/base/buf.h"

#include <stdint.h>

enum {
    MD5_SIZE = 16,
    SHA1_SIZE = 20,
    SHA256_SIZE = 32
};

bool digest_md5(uint8_t out[MD5_SIZE], const void *data, size_t size);
bool digest_sha1(uint8_t out[SHA1_SIZE], const void *data, size_t size);
bool digest_sha256(uint8_t out[SHA256_SIZE], const void *data, size_t size);

/* RFC 2104. */
bool digest_hmac_sha1(uint8_t out[SHA1_SIZE], const void *key, size_t key_size, const void *data,
                      size_t size);
bool digest_hmac_sha256(uint8_t out[SHA256_SIZE], const void *key, size_t key_size,
                        const void *data, size_t size);

/* MD5 of bytes that come in pieces. A failure on the way shows in md5_finish. */
struct md5;
struct md5 *md5_new(void); /* NULL: no memory, or no MD5 here */
void md5_add(struct md5 *md5, const void *data, size_t size);
bool md5_finish(struct md5 *md5, uint8_t out[MD5_SIZE]); /* once; then only md5_free */
void md5_free(struct md5 *md5);                          /* NULL is fine */

/* The same for SHA-256. */
struct sha256;
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *sha256, const void *data, size_t size);
bool sha256_finish(struct sha256 *sha256, uint8_t out[SHA256_SIZE]);
void sha256_free(struct sha256 *sha256);

/* Append the bytes as lower-case hex, as base64 with padding (RFC 4648). */
void digest_add_hex(struct buf *out, const void *data, size_t size);
void digest_add_base64(struct buf *out, const void *data, size_t size);

/* Decodes base64 of exactly size bytes (at most 64); anything else is false. */
bool digest_decode_base64(void *out, size_t size, const char *text);

/* Overwrites a secret; the compiler does not drop this one. */
void digest_wipe(void *data, size_t size);

#endif
