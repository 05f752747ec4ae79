#include "runner/headers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    KEY_FILE_MAX = 128 /* bytes; a key is 32, in base64 44, in hex 64 */
};

/* The 6 bits of a base64 digit, or of a hex digit its 4; -1: it is none. */
static int digit_value(char c, bool hex)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = strchr(hex ? digits : base64, c);
    if (!c || !at) {
        return -1;
    }
    return hex ? (int)((at - digits) % 16) : (int)(at - base64);
}

/* Decodes text of length digits of 4 or 6 bits; the bits beyond the key must be 0. */
static bool decode(unsigned char key[STORAGE_SSE_C_KEY_SIZE], const char *text, size_t length,
                   bool hex)
{
    unsigned bits = 0;
    unsigned held = 0;
    size_t size = 0;
    for (size_t i = 0; i < length; i++) {
        int value = digit_value(text[i], hex);
        if (value < 0) {
            return false;
        }
        bits = (bits << (hex ? 4 : 6) | (unsigned)value) & 0xffff;
        held += hex ? 4 : 6;
        if (held >= 8) {
            held -= 8;
            if (size == STORAGE_SSE_C_KEY_SIZE) {
                return false;
            }
            key[size++] = (unsigned char)(bits >> held);
        }
    }
    return size == STORAGE_SSE_C_KEY_SIZE && (bits & ((1U << held) - 1)) == 0;
}

/* A key as it is (32 bytes), in hex (64) or in base64 (44 with its '='), a line end allowed. */
static bool take_key(unsigned char key[STORAGE_SSE_C_KEY_SIZE], const char *text, size_t length)
{
    if (length == STORAGE_SSE_C_KEY_SIZE) {
        memcpy(key, text, length);
        return true;
    }
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) {
        length--;
    }
    if (length == STORAGE_SSE_C_KEY_SIZE * 2) {
        return decode(key, text, length, true);
    }
    return length == 44 && text[43] == '=' && decode(key, text, 43, false);
}

static enum exit_code read_key(struct headers *headers, const char *file, bool json,
                               struct log *log)
{
    char text[KEY_FILE_MAX];
    size_t length = 0;
    enum exit_code code = EXIT_DONE;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t got = 1;
    while (fd >= 0 && got > 0 && length < sizeof text) {
        got = read(fd, text + length, sizeof text - length);
        length += got > 0 ? (size_t)got : 0;
    }
    if (fd < 0 || got < 0) {
        code = log_fail(log, json, errno == ENOENT ? EXIT_MISSING : EXIT_CONFIG,
                        "read key file %s: %s", file, strerror(errno));
    } else if (!take_key(headers->sse_c_key, text, length)) {
        code = log_fail(log, json, EXIT_CONFIG,
                        "read key file %s: it must hold 32 bytes, as they are, in hex or in base64",
                        file);
    }
    if (fd >= 0) {
        close(fd);
    }
    explicit_bzero(text, sizeof text);
    return code;
}

enum exit_code headers_resolve(struct headers *headers, const struct settings *settings,
                               enum side side, struct log *log)
{
    const struct object_flags *flags = &settings->objects;
    const char *own = side == SIDE_DATA ? flags->data_sse_c_key_file : flags->train_sse_c_key_file;
    const char *key_file = own ? own : flags->sse_c_key_file;
    *headers = (struct headers){.storage = {
                                    .content_type = flags->content_type,
                                    .cache_control = flags->cache_control,
                                    .metadata = flags->metadata,
                                    .storage_class = flags->storage_class,
                                    .acl = flags->acl,
                                    .sse = flags->sse,
                                    .sse_kms_key_id = flags->sse_kms_key_id,
                                    .request_payer = flags->request_payer,
                                    .version_id = side == SIDE_DATA ? flags->version_id : NULL,
                                }};
    if (!key_file || !*key_file) {
        return EXIT_DONE;
    }
    headers->storage.sse_c_key = headers->sse_c_key;
    return read_key(headers, key_file, settings->json, log);
}

void headers_release(struct headers *headers)
{
    explicit_bzero(headers->sse_c_key, sizeof headers->sse_c_key);
}
