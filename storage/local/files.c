/*
 * files.c - files that appear whole, and the folders they stand in. The walk is files_walk.c.
 */
#include "storage/local/files.h"

#include "storage/storage_error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "storage/storage_banned.h"

enum {
    SYNC_WHOLE_FROM = 16,  /* files that are cheaper made durable by syncfs than one by one */
    RANDOM_CHARACTERS = 6, /* of five bits */
    TEMPORARY_TRIES = 16,
    TEMPORARY_NAME_MAX = 230, /* of the name kept in it, so that all stays below NAME_MAX */
    FILE_MODE = 0666,         /* both are cut by the umask */
    FOLDER_MODE = 0777
};

enum storage_code files_fail_write(struct storage_error *err, const char *operation,
                                   const char *path, int system_errno)
{
    enum storage_code code = STORAGE_DISK;
    if (system_errno == ENOTDIR || system_errno == EISDIR || system_errno == EEXIST ||
        system_errno == ENOTEMPTY) {
        code = STORAGE_CONFLICT;
    }
    storage_fail_errno(err, operation, path, system_errno);
    if (err) {
        err->code = code;
    }
    if (code == STORAGE_CONFLICT) {
        storage_hint(err, "a file stands where a folder must be, or the reverse");
    } else if (system_errno == ENOSPC || system_errno == EDQUOT) {
        storage_hint(err, "make room there, or name another folder");
    }
    return code;
}

/* ---- folders -------------------------------------------------------------------------------- */

/* Writes the folder that holds path: "a/b" is in "a", "b" in ".", "/b" in "/". */
static void folder_of(char out[STORAGE_PATH_MAX], const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (!slash) {
        snprintf(out, STORAGE_PATH_MAX, ".");
    } else {
        snprintf(out, STORAGE_PATH_MAX, "%.*s", (int)(length ? length : 1), path);
    }
}

/* Makes the names in a folder durable. A file system that cannot says EINVAL; it need not. */
static enum storage_code sync_folder(const char *path, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return files_fail_write(err, "open folder", path, errno);
    }
    if (fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP) {
        code = files_fail_write(err, "sync folder", path, errno);
    }
    close(fd);
    return code;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* One folder whose parent is there, or is not: *parent_missing. */
static enum storage_code make_one(const char *path, bool *parent_missing, struct storage_error *err)
{
    char parent[STORAGE_PATH_MAX];
    *parent_missing = false;
    if (mkdir(path, FOLDER_MODE) == 0) {
        folder_of(parent, path);
        enum storage_code code = sync_folder(parent, err);
        if (code != STORAGE_OK) {
            rmdir(path); /* or it would pass for one that was there */
        }
        return code;
    }
    if (errno == ENOENT) {
        *parent_missing = true;
        return STORAGE_OK;
    }
    int failure = errno;
    /* a read-only parent may say EROFS or EACCES before it says EEXIST */
    return is_folder(path) ? STORAGE_OK : files_fail_write(err, "make folder", path, failure);
}

enum storage_code files_make_folder(const char *path, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    bool missing = false;
    char whole[STORAGE_PATH_MAX];
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    if (length == 0) {
        return STORAGE_OK;
    }
    if (length >= sizeof whole) {
        return files_fail_write(err, "make folder", path, ENAMETOOLONG);
    }
    memcpy(whole, path, length);
    whole[length] = '\0';
    code = make_one(whole, &missing, err);
    /* from the top down, only when something is missing */
    for (size_t i = 1; missing && code == STORAGE_OK && i <= length; i++) {
        bool above_missing = false;
        if (whole[i] == '/' || i == length) {
            whole[i] = '\0';
            code = make_one(whole, &above_missing, err);
            whole[i] = i == length ? '\0' : '/';
        }
        if (code == STORAGE_OK && above_missing) {
            code = files_fail_write(err, "make folder", path, ENOENT); /* removed under our hands */
        }
    }
    return code;
}

enum storage_code files_resolve(char out[STORAGE_PATH_MAX], const char *path,
                                struct storage_error *err)
{
    char head[STORAGE_PATH_MAX];
    const char *rest = "";
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    if (length >= sizeof head) {
        return storage_fail_errno(err, "resolve", path, ENAMETOOLONG);
    }
    memcpy(head, path, length);
    head[length] = '\0';
    size_t cut = length;
    char real[PATH_MAX];
    while (!realpath(*head ? head : ".", real)) {
        if (errno != ENOENT && errno != ENOTDIR) {
            return storage_fail_errno(err, "resolve", path, errno);
        }
        /* what does not exist has no links: keep its name */
        while (cut > 0 && head[cut - 1] != '/') {
            cut--;
        }
        rest = path + cut;
        while (cut > 1 && head[cut - 1] == '/') {
            cut--;
        }
        head[cut] = '\0';
    }
    bool fits = *rest ? storage_join(out, STORAGE_PATH_MAX, real, rest)
                      : (size_t)snprintf(out, STORAGE_PATH_MAX, "%s", real) < STORAGE_PATH_MAX;
    length = fits ? strlen(out) : 0;
    while (length > 1 && out[length - 1] == '/') {
        out[--length] = '\0';
    }
    return fits ? STORAGE_OK : storage_fail_errno(err, "resolve", path, ENAMETOOLONG);
}

int64_t files_mtime_ns(const struct stat *status)
{
    return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

/* ---- drafts --------------------------------------------------------------------------------- */

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz012345"; /* 32: no bias */

/* The name after the last slash. */
static const char *last_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "name" is drafted as ".name.<random>.part". */
static void name_temporary(struct files_draft *draft)
{
    char text[RANDOM_CHARACTERS + 1] = "";
    uint32_t number = folder_number(draft->folder);
    for (size_t i = 0; i < RANDOM_CHARACTERS; i++) {
        text[i] = alphabet[number >> (5 * i) & 31];
    }
    snprintf(draft->temporary, sizeof draft->temporary, ".%.*s.%s.part", TEMPORARY_NAME_MAX,
             last_of(draft->path), text);
}

static int open_temporary(struct files_draft *draft)
{
    int fd = -1;
    errno = EEXIST;
    for (int i = 0; i < TEMPORARY_TRIES && fd < 0 && errno == EEXIST; i++) {
        name_temporary(draft);
        fd = openat(folder_fd(draft->folder), draft->temporary,
                    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    }
    return fd;
}

/* 0, or why no file may take that name. Of a folder the renaming would tell, too, but after all the
 * work; a device (/dev/null, to one who may), a pipe, a socket it would put aside without a word.
 */
static int look_at_name(const struct files_draft *draft)
{
    struct stat status;
    if (fstatat(folder_fd(draft->folder), last_of(draft->path), &status, 0) != 0 ||
        S_ISREG(status.st_mode)) {
        return 0;
    }
    return S_ISDIR(status.st_mode) ? EISDIR : ENOTSUP;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Fails before anything was written; errno says why. */
static enum storage_code fail_begin(struct files_draft *draft, const char *operation, int failure,
                                    struct storage_error *err)
{
    enum storage_code code = files_fail_write(err, operation, draft->path, failure);
    if (failure == ENOENT) {
        storage_hint(err, "its folder was removed meanwhile");
    } else if (failure == ENOTSUP) {
        storage_hint(err, "a device, a pipe or a socket has that name");
        code = err->code = STORAGE_CONFLICT;
    }
    files_draft_discard(draft);
    return code;
}

/* 0, or why there is no room. Where reserving is not possible, writing will tell. Of memory (tmpfs)
 * nothing is reserved: that would fill it page by page while the store waits, a tenth of a second a
 * GiB; there it is only asked whether there is enough. */
static int reserve_room(int fd, uint64_t size)
{
    struct statfs status;
    if (fstatfs(fd, &status) == 0 && status.f_type == TMPFS_MAGIC) {
        bool is_limited = status.f_blocks > 0;
        return is_limited && size / (uint64_t)status.f_bsize > status.f_bavail ? ENOSPC : 0;
    }
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) == 0) {
        return 0;
    }
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? errno : 0;
}

enum storage_code files_draft_open(struct files_draft *draft, struct folders *folders,
                                   const char *path, uint64_t size, struct storage_error *err)
{
    size_t length = strlen(path);
    draft->fd = -1;
    draft->folder = NULL;
    if (length >= sizeof draft->path) {
        return files_fail_write(err, "create file", path, ENAMETOOLONG);
    }
    memcpy(draft->path, path, length + 1);
    if (length == 0 || path[length - 1] == '/') {
        return files_fail_write(err, "create file", path, EISDIR);
    }
    enum storage_code code = folder_open_of(&draft->folder, folders, path, FOLDER_MAKE, err);
    if (code != STORAGE_OK) {
        return code;
    }
    int trouble = look_at_name(draft);
    if (trouble) {
        return fail_begin(draft, "create file", trouble, err);
    }
    draft->opened_ns = now_ns();
    draft->fd = open_temporary(draft);
    if (draft->fd < 0) {
        return fail_begin(draft, "create file", errno, err);
    }
    trouble = size > 0 ? reserve_room(draft->fd, size) : 0;
    return trouble ? fail_begin(draft, "reserve room for", trouble, err) : STORAGE_OK;
}

bool files_is_temporary(const char *name)
{
    static const char suffix[] = ".part";
    size_t length = strlen(name);
    size_t tail = 1 + RANDOM_CHARACTERS + sizeof suffix - 1;
    return name[0] == '.' && !strchr(name, '/') && length > tail + 1 &&
           name[length - tail] == '.' && strcmp(name + length - (sizeof suffix - 1), suffix) == 0 &&
           strspn(name + length - tail + 1, alphabet) == RANDOM_CHARACTERS;
}

const char *files_draft_name(const struct files_draft *draft)
{
    return draft->temporary;
}

enum storage_code files_draft_reopen(struct files_draft *draft, struct folders *folders,
                                     const char *path, const char *name, struct storage_error *err)
{
    struct stat status;
    draft->fd = -1;
    draft->folder = NULL;
    int length = snprintf(draft->path, sizeof draft->path, "%s", path);
    int all = snprintf(draft->temporary, sizeof draft->temporary, "%s", name);
    if (!files_is_temporary(name) || (size_t)length >= sizeof draft->path ||
        (size_t)all >= sizeof draft->temporary) {
        return storage_fail(err, STORAGE_NOT_FOUND, "resume %s: %s is no part of it", path, name);
    }
    enum storage_code code = folder_open_of(&draft->folder, folders, path, FOLDER_MAKE, err);
    if (code != STORAGE_OK) {
        return code;
    }
    draft->opened_ns = now_ns();
    draft->fd =
        openat(folder_fd(draft->folder), name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (draft->fd < 0) {
        code = storage_fail_errno(err, "open the begun part of", path, errno);
    } else if (fstat(draft->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        code = storage_fail(err, STORAGE_NOT_FOUND, "resume %s: %s is no file", path, name);
    }
    if (code != STORAGE_OK) {
        files_draft_suspend(draft);
    }
    return code;
}

enum storage_code files_draft_write(struct files_draft *draft, const void *data, size_t size,
                                    uint64_t offset, struct storage_error *err)
{
    const char *at = data;
    while (size > 0) {
        ssize_t written = pwrite(draft->fd, at, size, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return files_fail_write(err, "write", draft->path, written < 0 ? errno : ENOSPC);
        }
        at += written;
        size -= (size_t)written;
        offset += (uint64_t)written;
    }
    return STORAGE_OK;
}

static enum storage_code set_time(const struct files_draft *draft, int64_t mtime_ns,
                                  struct storage_error *err)
{
    struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = (time_t)(mtime_ns / 1000000000), .tv_nsec = (long)(mtime_ns % 1000000000)},
    };
    if (times[1].tv_nsec < 0) { /* before 1970 */
        times[1].tv_sec--;
        times[1].tv_nsec += 1000000000;
    }
    /* a file system without times is no reason to lose the file */
    return mtime_ns != 0 && futimens(draft->fd, times) != 0 && errno != ENOTSUP && errno != EPERM
               ? files_fail_write(err, "set the time of", draft->path, errno)
               : STORAGE_OK;
}

static enum storage_code sync_content(const struct files_draft *draft, struct storage_error *err)
{
    return fsync(draft->fd) != 0 ? files_fail_write(err, "sync", draft->path, errno) : STORAGE_OK;
}

static enum storage_code give_name(struct files_draft *draft, struct storage_error *err)
{
    int folder = folder_fd(draft->folder);
    int closed = close(draft->fd);
    draft->fd = -1;
    if (closed != 0 || renameat(folder, draft->temporary, folder, last_of(draft->path)) != 0) {
        enum storage_code code = files_fail_write(err, "publish", draft->path, errno);
        unlinkat(folder, draft->temporary, 0);
        return code;
    }
    return STORAGE_OK;
}

enum storage_code files_draft_publish(struct files_draft *draft, int64_t mtime_ns,
                                      struct storage_error *err)
{
    enum storage_code code = set_time(draft, mtime_ns, err);
    if (code == STORAGE_OK) {
        code = sync_content(draft, err);
    }
    if (code == STORAGE_OK) {
        code = give_name(draft, err);
    }
    if (code == STORAGE_OK) {
        code = folder_sync(draft->folder, draft->path, err);
    }
    files_draft_discard(draft);
    return code;
}

/*
 * Whether a file is written, of which syncfs has said so: before Linux 5.8 it was silent of errors.
 * Waiting for the file tells, and costs no flush of the disk as fsync does; but overlays do not
 * pass the question on.
 */
static enum storage_code check_written(const struct files_draft *draft, struct storage_error *err)
{
    struct statfs status;
    bool is_overlay = fstatfs(draft->fd, &status) != 0 || status.f_type == OVERLAYFS_SUPER_MAGIC;
    if (!is_overlay && sync_file_range(draft->fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE) == 0) {
        return STORAGE_OK;
    }
    bool is_asked = !is_overlay && errno != ENOSYS && errno != EPERM && errno != EINVAL;
    return is_asked ? files_fail_write(err, "sync", draft->path, errno) : sync_content(draft, err);
}

static bool is_waiting_on(const struct files_publication *item, uint64_t device)
{
    return item->code == STORAGE_OK && !item->is_durable &&
           folder_device(item->draft->folder) == device;
}

/* 0, or why syncfs failed; the first waits on the device. A descriptor is told of what went wrong
 * since it was opened, so the oldest one hears of all that became of these. */
static int sync_file_system(const struct files_publication *items, size_t count, uint64_t device)
{
    const struct files_draft *oldest = items[0].draft;
    for (size_t i = 1; i < count; i++) {
        const struct files_draft *draft = items[i].draft;
        if (is_waiting_on(&items[i], device) && draft->opened_ns < oldest->opened_ns) {
            oldest = draft;
        }
    }
    return syncfs(oldest->fd) == 0 ? 0 : errno;
}

/*
 * Makes the content of all on a file system durable at once. False: that must be tried one by one,
 * for it cannot be done, or what failed is of somebody's quota. After any other failure nothing can
 * be said of any of them: the disk tells of each of its errors once, and of some, as when ext4
 * without a journal loses what says which blocks are a file's, no fsync of the file would tell
 * again.
 */
static bool sync_together(struct files_publication *items, size_t count, uint64_t device)
{
    int failure = sync_file_system(items, count, device);
    if (failure == EDQUOT || failure == ENOSYS || failure == EPERM || failure == EINVAL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct files_publication *item = &items[i];
        if (is_waiting_on(item, device)) {
            item->code = failure ? files_fail_write(&item->err, "sync the file system of",
                                                    item->draft->path, failure)
                                 : check_written(item->draft, &item->err);
            item->is_durable = item->code == STORAGE_OK;
        }
    }
    return true;
}

/* Makes the contents durable: of many on one file system, all of that at once. */
static void sync_contents(struct files_publication *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct files_publication *item = &items[i];
        bool is_waiting = item->code == STORAGE_OK && !item->is_durable;
        if (is_waiting &&
            (count < SYNC_WHOLE_FROM ||
             !sync_together(items + i, count - i, folder_device(item->draft->folder)))) {
            item->code = sync_content(item->draft, &item->err); /* tells whose trouble it is */
        }
    }
}

/* Makes the names durable, each folder once. */
static void sync_names(struct files_publication *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct files_publication *item = &items[i];
        const struct folder *folder = item->draft->folder;
        if (item->code != STORAGE_OK || item->is_named) {
            continue;
        }
        enum storage_code code = folder_sync(folder, item->draft->path, &item->err);
        for (size_t k = i; k < count; k++) {
            if (items[k].code == STORAGE_OK && items[k].draft->folder == folder) {
                items[k].is_named = true;
                items[k].code = code;
                items[k].err = item->err;
            }
        }
    }
}

void files_publish_many(struct files_publication *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].code == STORAGE_OK) {
            items[i].code = set_time(items[i].draft, items[i].mtime_ns, &items[i].err);
        }
    }
    sync_contents(items, count);
    for (size_t i = 0; i < count; i++) {
        if (items[i].code == STORAGE_OK) {
            items[i].code = give_name(items[i].draft, &items[i].err);
        }
    }
    sync_names(items, count);
    for (size_t i = 0; i < count; i++) {
        files_draft_discard(items[i].draft);
    }
}

void files_draft_discard(struct files_draft *draft)
{
    if (draft->fd >= 0) {
        unlinkat(folder_fd(draft->folder), draft->temporary, 0);
    }
    files_draft_suspend(draft);
}

void files_draft_suspend(struct files_draft *draft)
{
    if (draft->fd >= 0) {
        close(draft->fd);
        draft->fd = -1;
    }
    folder_close(draft->folder);
    draft->folder = NULL;
}

/* ---- removing ------------------------------------------------------------------------------- */

enum storage_code files_remove_at(int folder, const char *name, const char *shown,
                                  struct storage_error *err)
{
    size_t length = strlen(name);
    bool names_folder = length > 0 && name[length - 1] == '/';
    if (!names_folder && (unlinkat(folder, name, 0) == 0 || errno == ENOENT || errno == ENOTDIR)) {
        return STORAGE_OK;
    }
    if ((names_folder || errno == EISDIR) &&
        (unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT)) {
        return STORAGE_OK;
    }
    int failure = errno;
    storage_fail_errno(err, "remove", shown, failure);
    if (failure == ENOTEMPTY || failure == ENOTDIR) {
        if (err) {
            err->code = STORAGE_CONFLICT;
        }
        return STORAGE_CONFLICT;
    }
    return STORAGE_DISK;
}
