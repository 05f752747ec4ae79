#include "runner/environment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

/* What access.c reads that is a key, a secret or a token; the README lists them. */
static const char *const secrets[] = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "OBS_ACCESS_KEY_ID",
    "OBS_SECRET_ACCESS_KEY",
    "OBS_SECURITY_TOKEN",
    "ACCESS_KEY_ID",
    "SECRET_ACCESS_KEY",
    "SECURITY_TOKEN",
    "JOBFERRY_DATA_ACCESS_KEY_ID",
    "JOBFERRY_DATA_SECRET_ACCESS_KEY",
    "JOBFERRY_DATA_SESSION_TOKEN",
    "JOBFERRY_TRAIN_ACCESS_KEY_ID",
    "JOBFERRY_TRAIN_SECRET_ACCESS_KEY",
    "JOBFERRY_TRAIN_SESSION_TOKEN",
};

bool environment_is_secret(const char *variable)
{
    size_t length = strcspn(variable, "=");
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        if (strlen(secrets[i]) == length && strncmp(secrets[i], variable, length) == 0) {
            return true;
        }
    }
    return false;
}

static size_t count_variables(void)
{
    size_t count = 0;
    while (environ && environ[count]) {
        count++;
    }
    return count;
}

void environment_release(struct environment *environment)
{
    for (size_t i = 0; i < environment->count; i++) {
        free(environment->variables[i]);
    }
    free(environment->variables);
    memset(environment, 0, sizeof *environment);
}

bool environment_init(struct environment *environment, bool with_secrets)
{
    size_t count = count_variables();
    memset(environment, 0, sizeof *environment);
    environment->room = count + ENVIRONMENT_ADDED_MAX;
    environment->variables = calloc(environment->room + 1, sizeof *environment->variables);
    if (!environment->variables) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!with_secrets && environment_is_secret(environ[i])) {
            continue;
        }
        char *copy = strdup(environ[i]);
        if (!copy) {
            environment_release(environment);
            return false;
        }
        environment->variables[environment->count++] = copy;
    }
    return true;
}

bool environment_set(struct environment *environment, const char *name, const char *value)
{
    size_t length = strlen(name);
    size_t size = strlen(value) + 1;
    char *variable = malloc(length + 1 + size);
    if (!variable) {
        return false;
    }
    memcpy(variable, name, length);
    variable[length] = '=';
    memcpy(variable + length + 1, value, size);
    size_t at = 0;
    while (at < environment->count &&
           strncmp(environment->variables[at], variable, length + 1) != 0) {
        at++;
    }
    if (at == environment->room) {
        free(variable);
        return false;
    }
    free(environment->variables[at]);
    environment->variables[at] = variable;
    environment->count += at == environment->count;
    return true;
}

bool environment_hide(void)
{
    struct environment copy;
    char **before = environ;
    if (!environment_init(&copy, true)) {
        return false;
    }
    environ = copy.variables; /* for the life of the process */
    for (size_t i = 0; before && before[i]; i++) {
        if (environment_is_secret(before[i])) {
            char *value = before[i] + strcspn(before[i], "=") + 1;
            memset(value, 'x', strlen(value));
        }
    }
    return true;
}
