#include "model/base/cores.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_banned.h"

/* Reads a small file as text. False when it is not there or does not fit. */
static bool read_text(const char *folder, const char *name, char *text, size_t size)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        return false;
    }
    FILE *file = fopen(path, "re");
    if (!file) {
        return false;
    }
    size_t got = fread(text, 1, size - 1, file);
    bool whole = !ferror(file) && got < size - 1;
    fclose(file);
    text[got] = '\0';
    return whole;
}

/* quota and period in microseconds to whole cores, rounded up; 0 for none or nonsense. */
static unsigned cores_of(long long quota, long long period)
{
    if (quota <= 0 || period <= 0) {
        return 0;
    }
    long long cores = quota / period + (quota % period != 0);
    return cores < UINT_MAX ? (unsigned)cores : UINT_MAX;
}

/* cpu.max holds "<quota|max> <period>"; "max" parses as 0, which is no quota. */
static unsigned folder_quota_v2(const char *folder)
{
    char text[128];
    if (!read_text(folder, "cpu.max", text, sizeof text)) {
        return 0;
    }
    char *rest = text;
    long long quota = strtoll(text, &rest, 10);
    return cores_of(quota, strtoll(rest, NULL, 10));
}

/* The quota is -1 when there is none. */
static unsigned folder_quota_v1(const char *folder)
{
    char quota[64];
    char period[64];
    if (!read_text(folder, "cpu.cfs_quota_us", quota, sizeof quota) ||
        !read_text(folder, "cpu.cfs_period_us", period, sizeof period)) {
        return 0;
    }
    return cores_of(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

static unsigned lesser(unsigned a, unsigned b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/*
 * The least quota of <mount><group> and its parents up to the mount. A container often sees its
 * group under another name than the host's; then the mount itself is what is left, and is right.
 */
static unsigned group_quota(const char *mount, const char *group,
                            unsigned (*folder_quota)(const char *))
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s%s", mount, group);
    if (length < 0 || (size_t)length >= sizeof path) {
        return 0;
    }
    unsigned least = 0;
    size_t mount_length = strlen(mount);
    for (;;) {
        least = lesser(least, folder_quota(path));
        char *slash = strrchr(path, '/');
        if (!slash || (size_t)(slash - path) < mount_length) {
            return least;
        }
        *slash = '\0';
    }
}

/* Whether a comma-separated list of controllers names cpu. */
static bool names_cpu(const char *controllers)
{
    for (const char *at = controllers; at; at = strchr(at, ',')) {
        at += *at == ',';
        size_t length = strcspn(at, ",");
        if (length == 3 && memcmp(at, "cpu", 3) == 0) {
            return true;
        }
    }
    return false;
}

/* One line "<id>:<controllers>:<group>" of the membership; no controllers is version 2. */
static unsigned line_quota(char *line, const char *root)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group || group[1] != '/') {
        return 0;
    }
    *group++ = '\0';
    controllers++;
    if (*controllers == '\0') {
        return group_quota(root, group, folder_quota_v2);
    }
    if (!names_cpu(controllers)) {
        return 0;
    }
    char mount[PATH_MAX];
    int length = snprintf(mount, sizeof mount, "%s/%s", root, controllers);
    if (length < 0 || (size_t)length >= sizeof mount) {
        return 0;
    }
    return group_quota(mount, group, folder_quota_v1);
}

unsigned cores_quota(const char *membership, const char *root)
{
    FILE *file = fopen(membership, "re");
    if (!file) {
        return 0;
    }
    unsigned least = 0;
    char line[PATH_MAX];
    while (fgets(line, sizeof line, file)) {
        least = lesser(least, line_quota(line, root));
    }
    fclose(file);
    return least;
}

unsigned cores_usable(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    /* Fails only with more than 1,024 processors; then the quota alone decides, or one. */
    int rc = sched_getaffinity(0, sizeof set, &set);
    unsigned cores = rc == 0 ? (unsigned)CPU_COUNT(&set) : 0;
    cores = lesser(cores, cores_quota("/proc/self/cgroup", "/sys/fs/cgroup"));
    return cores > 0 ? cores : 1;
}
