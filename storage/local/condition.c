/*
 * condition.c - a file written on a condition.
 *
 * The folder is locked (flock) from the look to the rename, so among the processes of one machine
 * nothing comes between; the file itself appears whole, as any. The tag is the CRC-32 and the size
 * of the bytes: equal bytes are an equal state. A file system that does not lock folders (NFS)
 * leaves a gap of the few microseconds between look and rename.
 */
#include "storage/backend.h"
#include "storage/local/files.h"
#include "storage/storage_error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/storage_banned.h"

void local_tag(char tag[STORAGE_ETAG_MAX + 1], const struct storage_info *info, const void *data,
               size_t size)
{
    (void)info;
    snprintf(tag, STORAGE_ETAG_MAX + 1, "%08x-%zu", storage_crc32(0, data, size), size);
}

/* Locks the folder of a path, made when needed; -1 where that is not possible. */
static int lock_folder(const char *path, struct storage_error *err, enum storage_code *code)
{
    char folder[STORAGE_PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    *code = files_make_folder(folder, err);
    int fd = *code == STORAGE_OK ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Whether the file's state is the one that is asked for. */
static enum storage_code check_state(struct storage *store, const char *key, const char *tag,
                                     struct storage_error *err)
{
    char *data = NULL;
    size_t size = 0;
    char now[STORAGE_ETAG_MAX + 1];
    enum storage_code code =
        storage_get_tagged(store, key, STORAGE_PUT_IF_MAX, &data, &size, now, err);
    free(data);
    if (code != STORAGE_OK && code != STORAGE_NOT_FOUND) {
        return code;
    }
    bool holds = code == STORAGE_NOT_FOUND ? !tag : tag && strcmp(tag, now) == 0;
    return holds ? STORAGE_OK
                 : storage_fail(err, STORAGE_CHANGED, "write %s: another has written it", key);
}

enum storage_code local_put_if(struct storage *store, const char *key, const void *data,
                               size_t size, const char *tag, char new_tag[STORAGE_ETAG_MAX + 1],
                               struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    int lock = lock_folder(key, err, &code);
    if (code == STORAGE_OK) {
        code = check_state(store, key, tag, err);
    }
    if (code == STORAGE_OK) {
        code = storage_put(store, key, data, size, NULL, err);
    }
    if (code == STORAGE_OK) {
        local_tag(new_tag, NULL, data, size);
    }
    if (lock >= 0) {
        close(lock);
    }
    return code;
}
