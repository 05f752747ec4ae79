#include "runner/job/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

enum {
    LINE_BYTES = 4096 + 128,
    PATH_BYTES = 4096
};

/* The number behind "oom_kill " in a file of lines. */
static bool read_counter(const char *path, uint64_t *kills)
{
    char line[256];
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, "oom_kill ", 9) == 0) {
            *kills = strtoull(line + 9, NULL, 10);
            found = true;
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

/* The counter of a group below a mount, or of the mount's top. */
static bool read_group(const char *mount, const char *part, const char *group, const char *name,
                       uint64_t *kills)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s%s%s/%s", mount, part, strcmp(group, "/") == 0 ? "" : group,
             name);
    if (read_counter(path, kills)) {
        return true;
    }
    snprintf(path, sizeof path, "%s%s/%s", mount, part, name);
    return read_counter(path, kills);
}

/* Whether a comma-separated list has this word. */
static bool list_has(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; *at; at += *at == ',') {
        size_t one = strcspn(at, ",");
        if (one == length && strncmp(at, word, length) == 0) {
            return true;
        }
        at += one;
    }
    return false;
}

bool cgroup_oom_kills(const char *proc, const char *mount, uint64_t *kills)
{
    char line[LINE_BYTES];
    bool found = false;
    FILE *file = fopen(proc, "re");
    /* "0::/path" in version 2; "7:memory:/path" or "4:cpu,memory:/path" in version 1. */
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) {
            continue;
        }
        *controllers++ = '\0';
        *group++ = '\0';
        if (list_has(controllers, "memory")) {
            found = read_group(mount, "/memory", group, "memory.oom_control", kills);
        } else if (!controllers[0]) {
            found = read_group(mount, "", group, "memory.events", kills);
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}
