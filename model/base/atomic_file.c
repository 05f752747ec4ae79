#include "model/base/atomic_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model_error.h"

#include "model/model_banned.h"

/* Bytes of path up to and with its last slash; 0 for a bare name. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Every failure of a write is the disk's, also a folder that is not there. */
static enum model_code disk_error(struct model_error *err, const char *operation, const char *path,
                                  int system_errno)
{
    model_fail_errno(err, operation, path, system_errno);
    if (err) {
        err->code = MODEL_DISK;
    }
    return MODEL_DISK;
}

enum model_code atomic_file_open(struct atomic_file *file, const char *path,
                                 struct model_error *err)
{
    size_t folder = folder_length(path);
    file->path = path;
    file->fd = -1;
    int length = snprintf(file->temporary, sizeof file->temporary, "%.*s.%s.XXXXXX%s", (int)folder,
                          path, path + folder, ATOMIC_FILE_SUFFIX);
    if (length < 0 || (size_t)length >= sizeof file->temporary) {
        return disk_error(err, "write", path, ENAMETOOLONG);
    }
    file->fd = mkostemps(file->temporary, (int)strlen(ATOMIC_FILE_SUFFIX), O_CLOEXEC);
    if (file->fd < 0) {
        return disk_error(err, "write", path, errno);
    }
    return MODEL_OK;
}

enum model_code atomic_file_write(struct atomic_file *file, const void *data, size_t size,
                                  struct model_error *err)
{
    assert(file->fd >= 0);
    const char *bytes = data;
    while (size > 0) {
        ssize_t written = write(file->fd, bytes, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return disk_error(err, "write", file->path, errno);
        }
        bytes += written;
        size -= (size_t)written;
    }
    return MODEL_OK;
}

/* Some file systems cannot sync a folder and say EINVAL; there is nothing more to do on those. */
static enum model_code sync_folder(const char *path, struct model_error *err)
{
    char folder[PATH_MAX];
    size_t length = folder_length(path);
    snprintf(folder, sizeof folder, "%.*s", (int)length, length ? path : ".");
    int fd = open(length ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return disk_error(err, "sync the folder of", path, errno);
    }
    enum model_code code = MODEL_OK;
    if (fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP) {
        code = disk_error(err, "sync the folder of", path, errno);
    }
    close(fd);
    return code;
}

enum model_code atomic_file_commit(struct atomic_file *file, struct model_error *err)
{
    assert(file->fd >= 0);
    enum model_code code = MODEL_OK;
    if (fchmod(file->fd, 0644) != 0) {
        code = disk_error(err, "set the mode of", file->path, errno);
    } else if (fsync(file->fd) != 0) {
        code = disk_error(err, "sync", file->path, errno);
    }
    /* Network file systems tell of a full disk only now. */
    if (close(file->fd) != 0 && code == MODEL_OK) {
        code = disk_error(err, "close", file->path, errno);
    }
    file->fd = -1;
    if (code == MODEL_OK && rename(file->temporary, file->path) != 0) {
        code = disk_error(err, "rename to", file->path, errno);
    }
    if (code != MODEL_OK) {
        unlink(file->temporary);
        return code;
    }
    return sync_folder(file->path, err);
}

void atomic_file_release(struct atomic_file *file)
{
    if (file->fd >= 0) {
        close(file->fd);
        unlink(file->temporary);
        file->fd = -1;
    }
}

enum model_code atomic_file_put(const char *path, const void *data, size_t size,
                                struct model_error *err)
{
    struct atomic_file file = ATOMIC_FILE_INIT;
    enum model_code code = atomic_file_open(&file, path, err);
    if (code == MODEL_OK) {
        code = atomic_file_write(&file, data, size, err);
    }
    if (code == MODEL_OK) {
        code = atomic_file_commit(&file, err);
    }
    atomic_file_release(&file);
    return code;
}

enum model_code folder_make(const char *path, struct model_error *err)
{
    char partial[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof partial) {
        return disk_error(err, "make the folder", path, length ? ENAMETOOLONG : ENOENT);
    }
    memcpy(partial, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        partial[i] = '\0';
        if (mkdir(partial, 0777) != 0) {
            struct stat status;
            int mkdir_errno = errno;
            /* EEXIST, but also EROFS or EACCES on a parent that is there. */
            if (stat(partial, &status) != 0) {
                return disk_error(err, "make the folder", path, mkdir_errno);
            }
            if (!S_ISDIR(status.st_mode)) {
                return disk_error(err, "make the folder", path, ENOTDIR);
            }
        }
        partial[i] = path[i];
    }
    return MODEL_OK;
}
