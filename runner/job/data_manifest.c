#include "runner/job/data_manifest.h"

#include "runner/app.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/runner_banned.h"

/* Whether a file of this size lies there; it need not be the same one. */
static bool is_there(const char *folder, const char *name, uint64_t size)
{
    char path[STORAGE_PATH_MAX];
    struct stat status;
    return storage_name_is_safe(name, NULL) && storage_join(path, sizeof path, folder, name) &&
           stat(path, &status) == 0 && S_ISREG(status.st_mode) && (uint64_t)status.st_size == size;
}

static void add(struct data_manifest *manifest, const struct storage_entry *entry, const char *name,
                const char *local_dir)
{
    char tail[STORAGE_ETAG_MAX + 64];
    const struct storage_info *info = &entry->info;
    int length = info->etag[0]
                     ? snprintf(tail, sizeof tail, "\t%llu\t%s\n", (unsigned long long)info->size,
                                info->etag)
                     : snprintf(tail, sizeof tail, "\t%llu\t%lld\n", (unsigned long long)info->size,
                                (long long)info->mtime_ns);
    manifest->crc32 = storage_crc32(manifest->crc32, name, strlen(name));
    manifest->crc32 = storage_crc32(manifest->crc32, tail, (size_t)length);
    manifest->objects++;
    manifest->bytes += info->size;
    manifest->largest = info->size > manifest->largest ? info->size : manifest->largest;
    if (local_dir && is_there(local_dir, name, info->size)) {
        manifest->there += info->size;
    }
}

/* Folders, their markers, and what jobferry keeps for itself are no data. */
static bool is_data(const struct storage_entry *entry, const char *name)
{
    size_t length = strlen(name);
    return !entry->is_prefix && length > 0 && name[length - 1] != '/' &&
           strncmp(name, ".jobferry", strlen(".jobferry")) != 0;
}

enum storage_code data_manifest_list(struct data_manifest *manifest, struct storage *store,
                                     const struct storage_url *url, const char *local_dir,
                                     double deadline, struct storage_error *err)
{
    struct storage_lister *lister = NULL;
    struct storage_entry entry = {0};
    char prefix[STORAGE_PATH_MAX + 2];
    size_t length = strlen(url->key);
    struct storage_error own;
    err = err ? err : &own;
    memset(manifest, 0, sizeof *manifest);
    snprintf(prefix, sizeof prefix, "%s%s", url->key,
             length > 0 && url->key[length - 1] != '/' ? "/" : "");
    length = strlen(prefix);
    enum storage_code code = storage_lister_open(&lister, store, prefix, true, err);
    while (!code && (deadline == 0 || clock_seconds() < deadline)) {
        code = storage_lister_next(lister, &entry, err);
        if (code || !entry.key) {
            manifest->complete = !code;
            break;
        }
        const char *name = entry.key + (strncmp(entry.key, prefix, length) == 0 ? length : 0);
        if (is_data(&entry, name)) {
            add(manifest, &entry, name, local_dir);
        }
    }
    storage_lister_close(lister);
    return code;
}
