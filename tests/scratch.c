#include "scratch.h"

#include <assert.h>
#include <dirent.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RING = 8,
    PATH_SIZE = 4096
};

char *scratch_make(void)
{
    const char *base = getenv("TMPDIR");
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/jobferry-test-XXXXXX", base && *base ? base : "/tmp");
    char *made = mkdtemp(path);
    assert(made);
    return strdup(made);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

void scratch_remove(char *folder)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
}

const char *scratch_path(const char *folder, const char *name)
{
    static char ring[RING][PATH_SIZE];
    static unsigned next;
    char *out = ring[next++ % RING];
    snprintf(out, PATH_SIZE, "%s/%s", folder, name);
    return out;
}

void scratch_write(const char *folder, const char *name, const void *data, size_t size)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *at = path + 1; *at; at++) {
        if (*at == '/') {
            *at = '\0';
            mkdir(path, 0777);
            *at = '/';
        }
    }
    FILE *file = fopen(path, "wb");
    assert(file);
    assert(fwrite(data, 1, size, file) == size);
    fclose(file);
}

void *scratch_read(const char *folder, const char *name, size_t *size)
{
    FILE *file = fopen(scratch_path(folder, name), "rb");
    if (!file) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(*size + 1);
    assert(fread(data, 1, *size, file) == *size);
    fclose(file);
    return data;
}

void scratch_check(const char *folder, const char *name, const void *data, size_t size)
{
    size_t got = 0;
    void *found = scratch_read(folder, name, &got);
    if (!found || got != size || memcmp(found, data, size) != 0) {
        fprintf(stderr, "%s/%s is not what it should be: %zu bytes%s\n", folder, name, got,
                found ? "" : ", not there");
        abort();
    }
    free(found);
}

bool scratch_exists(const char *folder, const char *name)
{
    struct stat status;
    return lstat(scratch_path(folder, name), &status) == 0;
}

size_t scratch_count(const char *folder)
{
    size_t count = 0;
    DIR *open_folder = opendir(folder);
    if (!open_folder) {
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(open_folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        char path[PATH_SIZE];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        count += 1 + scratch_count(path);
    }
    closedir(open_folder);
    return count;
}

void scratch_fill(void *data, size_t size, unsigned seed)
{
    unsigned char *bytes = data;
    uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0) { /* xorshift64 */
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        bytes[i] = (unsigned char)(state >> (i % 8 * 8));
    }
}
