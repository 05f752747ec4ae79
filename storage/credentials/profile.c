/*
 * profile.c - one section of an AWS-style profile file, or an obsutil configuration.
 *
 * Lines are `key = value`, sections `[name]` or `[profile name]`, comments begin a line with '#' or
 * ';'. A value is everything to the end of its line, whatever its length and characters, white
 * space at both ends removed: session tokens pass 1,400 bytes, which is why this is not inih.
 * An obsutil configuration is the same without sections.
 */
#include "storage/credentials/source.h"

#include "storage/base/digest.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    FILE_MAX_BYTES = 1024 * 1024,
    /* Huawei's keys have 20 and 40 letters; obsutil's encrypted ones are base64 of blocks. */
    OBSUTIL_KEY_MAX = 64
};

struct field {
    const char *key;
    size_t offset;
};

#define FIELD(key, field)                            \
    {                                                \
        key, offsetof(struct storage_profile, field) \
    }

static const struct field profile_fields[] = {
    FIELD("aws_access_key_id", access_key),
    FIELD("aws_secret_access_key", secret_key),
    FIELD("aws_session_token", session_token),
    FIELD("region", region),
    FIELD("endpoint_url", endpoint),
    FIELD("ca_bundle", ca_file),
    FIELD("credential_process", process),
    FIELD("role_arn", role_arn),
    FIELD("role_session_name", session_name),
    FIELD("web_identity_token_file", token_file),
    FIELD("source_profile", borrowed),
    FIELD("credential_source", borrowed),
    FIELD("sso_session", borrowed),
    FIELD("sso_start_url", borrowed),
    {NULL, 0},
};

static const struct field obsutil_fields[] = {
    FIELD("ak", access_key),
    FIELD("sk", secret_key),
    FIELD("token", session_token),
    FIELD("endpoint", endpoint),
    {NULL, 0},
};

static char **field_of(struct storage_profile *profile, size_t offset)
{
    return (char **)(void *)((char *)profile + offset);
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    secret_trim(text);
    return text;
}

static bool section_matches(char *line, const char *section)
{
    char *end = strchr(line, ']');
    if (!end || !section) {
        return false;
    }
    *end = '\0';
    char *name = trim(line + 1);
    if (strncmp(name, "profile ", 8) == 0) {
        name = trim(name + 8);
    }
    return strcmp(name, section) == 0;
}

static void set_value(struct storage_profile *profile, const struct field *fields, const char *key,
                      const char *value)
{
    for (size_t i = 0; fields[i].key; i++) {
        char **place = field_of(profile, fields[i].offset);
        if (strcmp(fields[i].key, key) == 0 && !*place && value[0]) {
            *place = strdup(value);
        }
    }
}

/* section NULL: what stands before any section. */
static bool read_lines(struct storage_profile *profile, const char *path, const char *section,
                       const struct field *fields)
{
    size_t size = 0;
    char *text = NULL;
    if (secret_file_read(&text, &size, path, FILE_MAX_BYTES)) {
        return false;
    }
    bool inside = section == NULL;
    bool found = inside;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        line = trim(line);
        if (line[0] == '[') {
            inside = section_matches(line, section);
            found = found || inside;
        } else if (inside && line[0] != '#' && line[0] != ';') {
            char *equals = strchr(line, '=');
            if (equals) {
                *equals = '\0';
                set_value(profile, fields, trim(line), trim(equals + 1));
            }
        }
    }
    digest_wipe(text, size);
    free(text);
    return found;
}

bool storage_profile_read(struct storage_profile *profile, const char *path, const char *section)
{
    return read_lines(profile, path, section, profile_fields);
}

static bool looks_encrypted(const char *key)
{
    size_t length = key ? strlen(key) : 0;
    return length > OBSUTIL_KEY_MAX || (length > 0 && key[length - 1] == '=');
}

bool storage_profile_read_obsutil(struct storage_profile *profile, const char *path)
{
    bool found = read_lines(profile, path, NULL, obsutil_fields);
    profile->is_encrypted =
        looks_encrypted(profile->access_key) || looks_encrypted(profile->secret_key);
    return found && profile->access_key;
}

void storage_profile_release(struct storage_profile *profile)
{
    const struct field *const all[2] = {profile_fields, obsutil_fields};
    for (size_t i = 0; i < 2; i++) {
        for (const struct field *field = all[i]; field->key; field++) {
            char **place = field_of(profile, field->offset);
            secret_free(*place);
            *place = NULL;
        }
    }
    *profile = (struct storage_profile){0};
}
