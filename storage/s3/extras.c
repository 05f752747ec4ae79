#include "storage/s3/extras.h"

#include "storage/base/digest.h"
#include "storage/storage_error.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    VALUE_MAX = 2048 /* bytes of one value: S3's limit for all metadata together */
};

static const char meta_prefix[] = "x-amz-meta-";

/* ---- making --------------------------------------------------------------------------------- */

/* A copy that extras_release wipes; NULL: no memory. */
static char *keep(struct extras *extras, const char *text, size_t length)
{
    assert(extras->owned_count < EXTRAS_VALUES);
    char *copy = malloc(length + 1);
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
        extras->owned[extras->owned_count++] = copy;
    }
    return copy;
}

/* Whether text can stand in a header as it is: printable ASCII, no blank at an end. */
static bool is_value(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return length <= VALUE_MAX && (length == 0 || (text[0] != ' ' && text[length - 1] != ' '));
}

/* Adds a header unless its value is NULL or "". */
static enum storage_code add(struct extras *extras, struct sign_pair *pairs, size_t *count,
                             const char *name, const char *value, struct storage_error *err)
{
    if (!value || !*value) {
        return STORAGE_OK;
    }
    if (!is_value(value)) {
        return storage_fail(err, STORAGE_USAGE,
                            "use '%.64s' as %s: a header holds at most %d printable ASCII "
                            "characters",
                            value, name, VALUE_MAX);
    }
    const char *copy = keep(extras, value, strlen(value));
    if (!copy) {
        return storage_fail(err, STORAGE_BUG, "use %s: no memory", name);
    }
    pairs[(*count)++] = (struct sign_pair){name, copy};
    return STORAGE_OK;
}

/* The characters that RFC 9110 allows in a header's name, in lower case. */
static bool is_name(const char *text, size_t length)
{
    size_t good = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
    return length > 0 && length <= EXTRAS_METADATA_NAME && good >= length;
}

/* One "name=value" of length bytes; "\," in the value is a comma. */
static enum storage_code add_metadatum(struct extras *extras, const char *text, size_t length,
                                       struct storage_error *err)
{
    char name[sizeof meta_prefix + EXTRAS_METADATA_NAME];
    char value[VALUE_MAX + 1];
    size_t size = 0;
    size_t equals = strcspn(text, "=");
    if (equals >= length || !is_name(text, equals)) {
        return storage_fail(err, STORAGE_USAGE,
                            "use metadata '%.*s': it is name=value, the name up to %d of a-z 0-9 - "
                            "_ .",
                            (int)(length < 64 ? length : 64), text, EXTRAS_METADATA_NAME);
    }
    for (size_t i = equals + 1; i < length && size < VALUE_MAX; i++) {
        i += text[i] == '\\' && i + 1 < length && text[i + 1] == ',';
        value[size++] = text[i];
    }
    value[size] = '\0';
    snprintf(name, sizeof name, "%s%.*s", meta_prefix, (int)equals, text);
    if (extras->described_count > EXTRAS_METADATA_MAX) {
        return storage_fail(err, STORAGE_USAGE, "use metadata: more than %d names",
                            EXTRAS_METADATA_MAX);
    }
    extras->has_mtime |= strcmp(name, "x-amz-meta-mtime") == 0;
    const char *kept = keep(extras, name, strlen(name));
    return kept ? add(extras, extras->described, &extras->described_count, kept, value, err)
                : storage_fail(err, STORAGE_BUG, "use metadata: no memory");
}

static enum storage_code add_metadata(struct extras *extras, const char *text,
                                      struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    size_t names = 0;
    while (code == STORAGE_OK && text && *text) {
        size_t length = strcspn(text, ",");
        while (length > 0 && text[length] == ',' && text[length - 1] == '\\') {
            length += 1 + strcspn(text + length + 1, ",");
        }
        code = ++names > EXTRAS_METADATA_MAX
                   ? storage_fail(err, STORAGE_USAGE, "use metadata: more than %d names",
                                  EXTRAS_METADATA_MAX)
                   : add_metadatum(extras, text, length, err);
        text += length + (text[length] == ',');
    }
    return code;
}

/* The caller's own key travels as base64, with its MD5 so that a garbled one is noticed. */
static enum storage_code add_key(struct extras *extras, const unsigned char *key,
                                 struct storage_error *err)
{
    static const char *const names[] = {"x-amz-server-side-encryption-customer-algorithm",
                                        "x-amz-server-side-encryption-customer-key",
                                        "x-amz-server-side-encryption-customer-key-MD5"};
    static const char *const source_names[] = {
        "x-amz-copy-source-server-side-encryption-customer-algorithm",
        "x-amz-copy-source-server-side-encryption-customer-key",
        "x-amz-copy-source-server-side-encryption-customer-key-MD5"};
    uint8_t md5[MD5_SIZE];
    struct buf text, sum;
    if (!key) {
        return STORAGE_OK;
    }
    buf_init(&text, 2 * STORAGE_SSE_C_KEY_SIZE);
    buf_init(&sum, 2 * MD5_SIZE);
    digest_add_base64(&text, key, STORAGE_SSE_C_KEY_SIZE);
    bool ok = digest_md5(md5, key, STORAGE_SSE_C_KEY_SIZE);
    digest_add_base64(&sum, md5, sizeof md5);
    ok = ok && buf_ok(&text) && buf_ok(&sum);
    const char *values[] = {"AES256", text.data, sum.data};
    enum storage_code code =
        ok ? STORAGE_OK : storage_fail(err, STORAGE_BUG, "use the SSE-C key: no MD5, or no memory");
    for (size_t i = 0; code == STORAGE_OK && i < 3; i++) {
        size_t count = i;
        code = add(extras, extras->key, &count, names[i], values[i], err);
        extras->source_key[i] = (struct sign_pair){source_names[i], extras->key[i].value};
        extras->key_count = count;
    }
    if (text.length > 0) {
        digest_wipe(text.data, text.length);
    }
    buf_release(&text);
    buf_release(&sum);
    return code;
}

enum storage_code extras_init(struct extras *extras, const struct storage_headers *headers,
                              struct storage_error *err)
{
    const struct {
        const char *name, *value;
    } kept[] = {
        {"x-amz-storage-class", headers->storage_class},
        {"x-amz-acl", headers->acl},
        {"x-amz-server-side-encryption", headers->sse},
        {"x-amz-server-side-encryption-aws-kms-key-id", headers->sse_kms_key_id},
    };
    struct sign_pair single = {0};
    size_t count = 0;
    enum storage_code code = STORAGE_OK;
    extras->request_payer = headers->request_payer;
    if (headers->sse_c_key && headers->sse && *headers->sse) {
        return storage_fail(err, STORAGE_USAGE,
                            "encrypt with the caller's key and by %s: one "
                            "object is encrypted one way",
                            headers->sse);
    }
    for (size_t i = 0; code == STORAGE_OK && i < sizeof kept / sizeof *kept; i++) {
        code = add(extras, extras->kept, &extras->kept_count, kept[i].name, kept[i].value, err);
    }
    if (code == STORAGE_OK) {
        code = add(extras, extras->described, &extras->described_count, "Cache-Control",
                   headers->cache_control, err);
    }
    if (code == STORAGE_OK) {
        code = add_metadata(extras, headers->metadata, err);
    }
    if (code == STORAGE_OK) {
        code = add_key(extras, headers->sse_c_key, err);
    }
    if (code == STORAGE_OK) {
        code = add(extras, &single, &count, "Content-Type", headers->content_type, err);
        extras->content_type = count > 0 ? extras->owned[extras->owned_count - 1] : NULL;
        count = 0;
    }
    if (code == STORAGE_OK) {
        code = add(extras, &single, &count, "versionId", headers->version_id, err);
        extras->version_id = count > 0 ? extras->owned[extras->owned_count - 1] : NULL;
    }
    return code;
}

void extras_release(struct extras *extras)
{
    for (size_t i = 0; i < extras->owned_count; i++) {
        digest_wipe(extras->owned[i], strlen(extras->owned[i]));
        free(extras->owned[i]);
    }
    memset(extras, 0, sizeof *extras);
}

/* ---- listing -------------------------------------------------------------------------------- */

struct list {
    struct sign_pair *out;
    size_t count, room;
};

static void put(struct list *list, const struct sign_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count && list->count < list->room; i++) {
        list->out[list->count++] = pairs[i];
    }
}

/* The same thing in the other dialect's words. Source: OBS API reference, S3 API reference. */
static const char *translate(const char *name, const char *value, bool obs)
{
    static const struct {
        const char *name, *amz, *obs;
    } words[] = {
        {"x-amz-server-side-encryption", "aws:kms", "kms"},
        {"x-amz-storage-class", "STANDARD_IA", "WARM"},
        {"x-amz-storage-class", "GLACIER", "COLD"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(name, words[i].name) == 0 &&
            strcmp(value, obs ? words[i].amz : words[i].obs) == 0) {
            return obs ? words[i].obs : words[i].amz;
        }
    }
    return value;
}

size_t extras_list(const struct extras *extras, const struct extras *source, unsigned kinds,
                   bool obs, struct sign_pair *out, size_t room)
{
    struct list list = {.out = out, .room = room};
    if (kinds & EXTRAS_NEW) {
        put(&list, extras->described, extras->described_count);
    }
    if (kinds & (EXTRAS_NEW | EXTRAS_COPY)) {
        put(&list, extras->kept, extras->kept_count);
    }
    if (kinds & EXTRAS_KEY) {
        put(&list, extras->key, extras->key_count);
    }
    if (kinds & EXTRAS_SOURCE) {
        put(&list, source->source_key, source->key_count);
    }
    if (extras->request_payer) {
        const struct sign_pair payer = {"x-amz-request-payer", "requester"};
        put(&list, &payer, 1);
    }
    for (size_t i = 0; i < list.count; i++) {
        out[i].value = translate(out[i].name, out[i].value, obs);
        if (obs && strcmp(out[i].name, "x-amz-server-side-encryption-aws-kms-key-id") == 0) {
            out[i].name = "x-obs-server-side-encryption-kms-key-id";
        }
    }
    return list.count;
}
