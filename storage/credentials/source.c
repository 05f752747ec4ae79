/* source.c - a source's words copied, its kind chosen, and JSON made into keys. */
#include "storage/credentials/source.h"

#include "storage/base/date.h"
#include "storage/base/digest.h"
#include "storage/base/json.h"
#include "storage/storage_error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_banned.h"

static const int64_t second_ns = 1000000000;

typedef enum storage_code fetch_source_fn(const struct key_source *source,
                                          struct credentials_keys **keys,
                                          struct storage_error *err);

static const struct kind {
    const char *name;
    fetch_source_fn *fetch;
} kinds[] = {
    [STORAGE_KEYS_GIVEN] = {"the keys given", NULL},
    [STORAGE_KEYS_FILE] = {"the profile file", keys_from_file},
    [STORAGE_KEYS_PROCESS] = {"credential_process", keys_from_process},
    [STORAGE_KEYS_WEB_IDENTITY] = {"web identity", keys_from_web_identity},
    [STORAGE_KEYS_CONTAINER] = {"the container's credential service", keys_from_container},
    [STORAGE_KEYS_INSTANCE] = {"the machine's metadata service", keys_from_instance},
};

/* ---- copying -------------------------------------------------------------------------------- */

void secret_free(char *text)
{
    if (text) {
        digest_wipe(text, strlen(text));
    }
    free(text);
}

static void source_free(void *context)
{
    struct key_source *source = context;
    const char *texts[] = {source->is.file,
                           source->is.section,
                           source->is.command,
                           source->is.role_arn,
                           source->is.session_name,
                           source->is.sts_endpoint,
                           source->is.url,
                           source->is.authorization,
                           source->is.authorization_file,
                           source->is.huawei_metadata,
                           source->is.aws_metadata,
                           source->name,
                           source->ca_file};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        secret_free((char *)texts[i]); /* ours: see copy_texts */
    }
    free(source);
}

/* Replaces borrowed texts by copies; false: no memory, and what was not copied is NULL. */
static bool copy_texts(struct storage_key_source *is)
{
    const char **texts[] = {&is->file,
                            &is->section,
                            &is->command,
                            &is->role_arn,
                            &is->session_name,
                            &is->sts_endpoint,
                            &is->url,
                            &is->authorization,
                            &is->authorization_file,
                            &is->huawei_metadata,
                            &is->aws_metadata};
    bool ok = true;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *given = *texts[i];
        *texts[i] = given && given[0] ? strdup(given) : NULL;
        ok = ok && (*texts[i] || !given || !given[0]);
    }
    return ok;
}

/* ---- opening -------------------------------------------------------------------------------- */

static enum storage_code fetch(void *context, struct credentials_keys **keys,
                               struct storage_error *err)
{
    const struct key_source *source = context;
    enum storage_code code = kinds[source->is.kind].fetch(source, keys, err);
    if (source->trace) {
        char line[512];
        char until[DATE_HTTP_SIZE] = "";
        if (code == STORAGE_OK && (*keys)->expires > 0) {
            date_format_http(until, (*keys)->expires);
        }
        snprintf(line, sizeof line, "keys from %s: %s%s%s", source->name,
                 code != STORAGE_OK       ? "none, it failed"
                 : (*keys)->access_key[0] ? "there are"
                                          : "nobody there, anonymous",
                 until[0] ? " until " : "", until);
        source->trace(source->trace_context, line);
    }
    return code;
}

static const char *missing_word(const struct storage_key_source *is)
{
    switch (is->kind) {
    case STORAGE_KEYS_FILE:
        return is->file ? NULL : "file";
    case STORAGE_KEYS_PROCESS:
        return is->command ? NULL : "command";
    case STORAGE_KEYS_WEB_IDENTITY:
        return !is->role_arn ? "role" : is->file ? NULL : "token file";
    case STORAGE_KEYS_CONTAINER:
        return is->url ? NULL : "URL";
    default:
        return NULL;
    }
}

static enum storage_code fail_memory(struct storage_error *err)
{
    return storage_fail(err, STORAGE_BUG, "choose where keys come from: no memory");
}

static enum storage_code open_given(struct credentials **credentials,
                                    const struct storage_access *access, struct storage_error *err)
{
    struct credentials_keys *keys = NULL;
    enum storage_code code =
        credentials_keys_new(&keys, kinds[STORAGE_KEYS_GIVEN].name, access->access_key,
                             access->secret_key, access->session_token, 0, err);
    if (code == STORAGE_OK && keys->access_key[0]) {
        *credentials = credentials_new_given(keys);
        if (*credentials) {
            return STORAGE_OK;
        }
        code = fail_memory(err);
    }
    credentials_give(keys);
    return code;
}

/*
 * Which metadata services could be meant: those of the cloud whose endpoint this is, and those
 * whose address somebody gave. On all others a look-up would only cost time, or ask a stranger.
 */
static void choose_services(struct key_source *source, const struct key_place *place)
{
    source->asks_huawei = place->is_huawei || source->is.huawei_metadata;
    source->asks_aws = !source->is.aws_metadata_disabled &&
                       (place->is_huawei || place->is_aws || source->is.aws_metadata);
}

static enum storage_code source_new(struct key_source **result, const struct storage_config *config,
                                    const struct key_place *place, struct storage_error *err)
{
    const struct storage_access *access = &config->access;
    const char *name = access->keys.name;
    struct key_source *source = calloc(1, sizeof *source);
    *result = source;
    if (!source) {
        return fail_memory(err);
    }
    source->is = access->keys;
    source->is.name = NULL; /* borrowed; source->name is ours */
    bool ok = copy_texts(&source->is);
    source->name = strdup(name && name[0] ? name : kinds[source->is.kind].name);
    source->ca_file = access->ca_file ? strdup(access->ca_file) : NULL;
    snprintf(source->region, sizeof source->region, "%s", place->region);
    source->stop = config->stop;
    source->trace = config->trace;
    source->trace_context = config->trace_context;
    if (!ok || !source->name || (access->ca_file && !source->ca_file)) {
        return fail_memory(err);
    }
    choose_services(source, place);
    const char *missing = missing_word(&source->is);
    return missing ? keys_fail(source, err, STORAGE_USAGE, "its %s is not given", missing)
                   : STORAGE_OK;
}

enum storage_code credentials_open(struct credentials **credentials,
                                   const struct storage_config *config,
                                   const struct key_place *place, struct storage_error *err)
{
    struct key_source *source = NULL;
    *credentials = NULL;
    if (config->access.keys.kind == STORAGE_KEYS_GIVEN) {
        return open_given(credentials, &config->access, err);
    }
    enum storage_code code = source_new(&source, config, place, err);
    bool is_nobody = code == STORAGE_OK && source->is.kind == STORAGE_KEYS_INSTANCE &&
                     !source->asks_huawei && !source->asks_aws;
    if (code == STORAGE_OK && !is_nobody) {
        struct credentials_provider provider = {
            .fetch = fetch, .free = source_free, .context = source};
        *credentials = credentials_new(&provider);
        code = *credentials ? STORAGE_OK : fail_memory(err);
    }
    if (!*credentials && source) {
        source_free(source);
    }
    return code;
}

/* ---- shared --------------------------------------------------------------------------------- */

int secret_file_read(char **text, size_t *size, const char *path, size_t max)
{
    int failed = 0;
    *text = calloc(1, max + 2);
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !*text) {
        failed = *text ? errno : ENOMEM;
        goto done;
    }
    while (*size <= max) { /* a byte more than allowed shows that there is more */
        ssize_t got = read(fd, *text + *size, max + 1 - *size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            failed = got < 0 ? errno : 0;
            break;
        }
        *size += (size_t)got;
    }
    failed = *size > max ? EFBIG : failed;
done:
    if (fd >= 0) {
        close(fd);
    }
    if (failed && *text) {
        digest_wipe(*text, *size);
        free(*text);
        *text = NULL;
    }
    return failed;
}

void secret_trim(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r\n", text[length - 1])) {
        text[--length] = '\0';
    }
}

enum storage_code keys_fail(const struct key_source *source, struct storage_error *err,
                            enum storage_code code, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return storage_fail(err, code, "take the keys from %s: %s", source->name, text);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

const struct key_paths key_paths_aws = {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"};

/* Services write Z, the commands of credential_process what their languages make of a time. */
bool keys_parse_expiry(int64_t *seconds, const char *text)
{
    char utc[64];
    size_t length = strlen(text);
    unsigned hours = 0;
    unsigned minutes = 0;
    int64_t sign = 0;
    int64_t ns = 0;
    if (length >= sizeof utc) {
        return false;
    }
    snprintf(utc, sizeof utc, "%s", text);
    if (length > 6 && strchr("+-", text[length - 6]) &&
        sscanf(text + length - 5, "%2u:%2u", &hours, &minutes) == 2) { /* NOLINT(cert-err34-c) */
        sign = text[length - 6] == '+' ? 1 : -1;
        snprintf(utc + length - 6, sizeof utc - (length - 6), "Z");
    }
    if (!date_parse_iso(&ns, utc)) {
        return false;
    }
    *seconds = ns / second_ns - sign * ((int64_t)hours * 3600 + (int64_t)minutes * 60);
    return true;
}

bool storage_keys_parse_expiry(int64_t *seconds, const char *text)
{
    return keys_parse_expiry(seconds, text);
}

enum storage_code keys_from_json(const struct key_source *source, const char *data, size_t size,
                                 const struct key_paths *paths, struct credentials_keys **keys,
                                 struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    int64_t expires_at = 0;
    struct json *json = json_parse(data, size);
    const char *access_key = json_find_text(json, paths->access_key);
    const char *expires = json_find_text(json, paths->expires);
    if (!json || !access_key || !access_key[0]) {
        code = keys_fail(source, err, STORAGE_DENIED, "it answered %s",
                         json ? "without an access key" : "what is no JSON object");
    } else if (expires && !keys_parse_expiry(&expires_at, expires)) {
        code = keys_fail(source, err, STORAGE_DENIED, "when they expire is no ISO 8601 time");
    } else {
        code = credentials_keys_new(keys, source->name, access_key,
                                    json_find_text(json, paths->secret_key),
                                    json_find_text(json, paths->session_token), expires_at, err);
    }
    json_free(json);
    return code;
}
