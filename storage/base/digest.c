#include "storage/base/digest.h"

#include <assert.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

/* A sum under way. */
struct sum {
    EVP_MD_CTX *context;
    bool failed;
};
struct md5 {
    struct sum sum;
};
struct sha256 {
    struct sum sum;
};

bool digest_md5(uint8_t out[MD5_SIZE], const void *data, size_t size)
{
    return EVP_Digest(data, size, out, NULL, EVP_md5(), NULL) == 1;
}

bool digest_sha1(uint8_t out[SHA1_SIZE], const void *data, size_t size)
{
    return EVP_Digest(data, size, out, NULL, EVP_sha1(), NULL) == 1;
}

bool digest_sha256(uint8_t out[SHA256_SIZE], const void *data, size_t size)
{
    return EVP_Digest(data, size, out, NULL, EVP_sha256(), NULL) == 1;
}

static bool hmac(const EVP_MD *algorithm, uint8_t *out, const void *key, size_t key_size,
                 const void *data, size_t size)
{
    return key_size <= INT_MAX &&
           HMAC(algorithm, key, (int)key_size, data, size, out, NULL) != NULL;
}

bool digest_hmac_sha1(uint8_t out[SHA1_SIZE], const void *key, size_t key_size, const void *data,
                      size_t size)
{
    return hmac(EVP_sha1(), out, key, key_size, data, size);
}

bool digest_hmac_sha256(uint8_t out[SHA256_SIZE], const void *key, size_t key_size,
                        const void *data, size_t size)
{
    return hmac(EVP_sha256(), out, key, key_size, data, size);
}

static bool sum_begin(struct sum *sum, const EVP_MD *algorithm)
{
    sum->context = EVP_MD_CTX_new();
    return sum->context && EVP_DigestInit_ex(sum->context, algorithm, NULL) == 1;
}

static void sum_add(struct sum *sum, const void *data, size_t size)
{
    if (EVP_DigestUpdate(sum->context, data, size) != 1) {
        sum->failed = true;
    }
}

static bool sum_finish(struct sum *sum, uint8_t *out)
{
    return EVP_DigestFinal_ex(sum->context, out, NULL) == 1 && !sum->failed;
}

struct md5 *md5_new(void)
{
    struct md5 *md5 = calloc(1, sizeof *md5);
    if (md5 && !sum_begin(&md5->sum, EVP_md5())) {
        md5_free(md5);
        return NULL;
    }
    return md5;
}

void md5_add(struct md5 *md5, const void *data, size_t size)
{
    sum_add(&md5->sum, data, size);
}

bool md5_finish(struct md5 *md5, uint8_t out[MD5_SIZE])
{
    return sum_finish(&md5->sum, out);
}

void md5_free(struct md5 *md5)
{
    if (md5) {
        EVP_MD_CTX_free(md5->sum.context);
        free(md5);
    }
}

struct sha256 *sha256_new(void)
{
    struct sha256 *sha256 = calloc(1, sizeof *sha256);
    if (sha256 && !sum_begin(&sha256->sum, EVP_sha256())) {
        sha256_free(sha256);
        return NULL;
    }
    return sha256;
}

void sha256_add(struct sha256 *sha256, const void *data, size_t size)
{
    sum_add(&sha256->sum, data, size);
}

bool sha256_finish(struct sha256 *sha256, uint8_t out[SHA256_SIZE])
{
    return sum_finish(&sha256->sum, out);
}

void sha256_free(struct sha256 *sha256)
{
    if (sha256) {
        EVP_MD_CTX_free(sha256->sum.context);
        free(sha256);
    }
}

void digest_add_hex(struct buf *out, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        const char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        buf_add(out, pair, sizeof pair);
    }
}

void digest_add_base64(struct buf *out, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    while (size > 0) {
        unsigned char text[65];
        size_t piece = size < 48 ? size : 48; /* a multiple of 3: no padding inside */
        int length = EVP_EncodeBlock(text, bytes, (int)piece);
        buf_add(out, text, (size_t)length);
        bytes += piece;
        size -= piece;
    }
}

bool digest_decode_base64(void *out, size_t size, const char *text)
{
    unsigned char bytes[66];
    assert(size > 0 && size <= 64);
    size_t length = (size + 2) / 3 * 4;
    size_t padding = length / 4 * 3 - size;
    if (strlen(text) != length || strcspn(text, "=") != length - padding) {
        return false;
    }
    if (EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)length) != (int)(length / 4 * 3)) {
        return false;
    }
    memcpy(out, bytes, size);
    return true;
}

void digest_wipe(void *data, size_t size)
{
    OPENSSL_cleanse(data, size);
}
