#include "runner/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

enum {
    FILE_MAX_BYTES = 1024 * 1024
};

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1])) {
        text[--length] = '\0';
    }
    return text;
}

static bool section_matches(char *line, const char *section)
{
    char *end = strchr(line, ']');
    if (!end) {
        return false;
    }
    *end = '\0';
    char *name = trim(line + 1);
    if (strncmp(name, "profile ", 8) == 0) {
        name = trim(name + 8);
    }
    return strcmp(name, section) == 0;
}

static void set_value(struct profile *profile, const char *key, const char *value)
{
    const struct {
        const char *key;
        char **place;
    } known[] = {
        {"aws_access_key_id", &profile->access_key},
        {"aws_secret_access_key", &profile->secret_key},
        {"aws_session_token", &profile->session_token},
        {"region", &profile->region},
        {"endpoint_url", &profile->endpoint},
        {"ca_bundle", &profile->ca_file},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].key, key) == 0 && !*known[i].place && value[0]) {
            *known[i].place = strdup(value);
        }
    }
}

bool profile_read(struct profile *profile, const char *path, const char *section)
{
    bool found = false;
    size_t size = 0;
    char *text = calloc(1, FILE_MAX_BYTES + 2);
    FILE *file = fopen(path, "re");
    if (!file || !text) {
        goto done;
    }
    size = fread(text, 1, FILE_MAX_BYTES + 1, file);
    if (size > FILE_MAX_BYTES) {
        goto done;
    }
    bool inside = false;
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
                set_value(profile, trim(line), trim(equals + 1));
            }
        }
    }
done:
    if (file) {
        fclose(file);
    }
    if (text) {
        explicit_bzero(text, size);
    }
    free(text);
    return found;
}

void profile_release(struct profile *profile)
{
    char *secrets[] = {profile->access_key, profile->secret_key, profile->session_token};
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        if (secrets[i]) {
            explicit_bzero(secrets[i], strlen(secrets[i]));
            free(secrets[i]);
        }
    }
    free(profile->region);
    free(profile->endpoint);
    free(profile->ca_file);
    memset(profile, 0, sizeof *profile);
}
