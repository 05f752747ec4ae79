/*
 * folders.c - a copy's folders, each looked up once. See folders.h.
 *
 * Looking one up happens outside the lock, since making a folder waits for the disk. Whoever needs
 * the same one waits for that, too: a folder that is there already, for another thread has just
 * made it, is not durable yet, and so is nothing in it.
 */
#include "storage/local/folders.h"

#include "storage/local/files.h"
#include "storage/storage_error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/storage_banned.h"

enum {
    HELD_MAX = 256,
    HELD_LEAST = 4,
    HELD_SHARE = 8, /* of the descriptors that the process may have, at most one in so many */
    FOLDER_MODE = 0777
};

struct folder {
    struct folders *owner; /* NULL: by itself */
    unsigned uses;         /* under the owner's lock; the owner's own is one */
    uint64_t last_use;     /* by the owner's clock */
    int fd;
    dev_t device;
    ino_t inode;
    bool is_linked; /* below the root a link led here */
    _Atomic uint32_t number;
    size_t length;
    char path[]; /* as it was asked for, no slash at the end */
};

/* A look-up under way. */
struct claim {
    struct claim *next;
    const char *path;
    size_t length;
};

struct folders {
    pthread_mutex_t lock;
    pthread_cond_t settled; /* a look-up has ended */
    struct claim *claims;
    struct folder *held[HELD_MAX];
    size_t count, count_max;
    uint64_t clock;      /* of uses */
    struct folder *root; /* NULL: not there yet, or there is none */
    bool has_root;
    size_t root_length;
    char root_path[STORAGE_PATH_MAX];
};

/* ---- one folder ----------------------------------------------------------------------------- */

static void folder_free(struct folder *folder)
{
    close(folder->fd);
    free(folder);
}

/* Takes fd over, also when it fails. */
static enum storage_code folder_new(struct folder **result, int fd, const char *path, size_t length,
                                    bool is_linked, struct storage_error *err)
{
    struct stat status;
    uint32_t number = 0;
    struct folder *folder = calloc(1, sizeof *folder + length + 1);
    if (!folder || fstat(fd, &status) != 0 ||
        getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
        free(folder);
        close(fd);
        return storage_fail(err, STORAGE_BUG, "open folder %s: no memory", path);
    }
    folder->uses = 1;
    folder->fd = fd;
    folder->device = status.st_dev;
    folder->inode = status.st_ino;
    folder->is_linked = is_linked;
    atomic_init(&folder->number, number);
    folder->length = length;
    memcpy(folder->path, path, length);
    *result = folder;
    return STORAGE_OK;
}

/* A folder that may not be read can still hold files; only its names cannot be made durable. */
static int open_at(int at, const char *name, int flags)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
    return fd < 0 && errno == EACCES ? openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC | flags)
                                     : fd;
}

int folder_fd(const struct folder *folder)
{
    return folder->fd;
}

uint64_t folder_device(const struct folder *folder)
{
    return folder->device;
}

uint32_t folder_number(struct folder *folder)
{
    return atomic_fetch_add(&folder->number, 0x9E3779B1U); /* odd: no number comes twice */
}

enum storage_code folder_sync(const struct folder *folder, const char *shown,
                              struct storage_error *err)
{
    /* a file system that cannot says EINVAL; it need not */
    if (fsync(folder->fd) == 0 || errno == EINVAL || errno == ENOTSUP) {
        return STORAGE_OK;
    }
    return files_fail_write(err, "sync the folder of", shown, errno == EBADF ? EACCES : errno);
}

/* ---- those of a copy ------------------------------------------------------------------------ */

/* Without slashes at the end; that of "/" is kept. */
static size_t trim(const char *path, size_t length)
{
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    return length;
}

/* How many bytes of path are the root's; 0 and false: it lies elsewhere. */
static bool is_below(const struct folders *folders, const char *path, size_t length)
{
    size_t root = folders->root_length;
    if (!folders->has_root || length < root || memcmp(path, folders->root_path, root) != 0) {
        return false;
    }
    if (root == 0) {
        return path[0] != '/';
    }
    return length == root || path[root] == '/' || path[root - 1] == '/';
}

static bool is_at(const struct folder *folder, const char *path, size_t length)
{
    return folder && folder->length == length && memcmp(folder->path, path, length) == 0;
}

/* Where the folder of that path is held; count: nowhere. Lock held, here and in what follows. */
static size_t place_of(const struct folders *folders, const char *path, size_t length)
{
    size_t i = 0;
    while (i < folders->count && !is_at(folders->held[i], path, length)) {
        i++;
    }
    return i;
}

/* The held folder of that path, with one use more; NULL: none. */
static struct folder *find(struct folders *folders, const char *path, size_t length)
{
    size_t i = place_of(folders, path, length);
    struct folder *folder = i < folders->count                   ? folders->held[i]
                            : is_at(folders->root, path, length) ? folders->root
                                                                 : NULL;
    if (folder) {
        folder->uses++;
        folder->last_use = ++folders->clock;
    }
    return folder;
}

/* Gives a use back. */
static void drop(struct folder *folder)
{
    if (--folder->uses == 0) {
        folder_free(folder);
    }
}

static void let_go(struct folders *folders, size_t i)
{
    drop(folders->held[i]);
    folders->held[i] = folders->held[--folders->count];
}

/* Makes room for one: the longest unused goes, of those that nobody works with if there are any. */
static void make_room(struct folders *folders)
{
    size_t oldest = 0;
    for (size_t i = 1; i < folders->count; i++) {
        const struct folder *a = folders->held[oldest];
        const struct folder *b = folders->held[i];
        bool is_freer = a->uses > 1 && b->uses == 1;
        bool is_older = (a->uses > 1) == (b->uses > 1) && b->last_use < a->last_use;
        oldest = is_freer || is_older ? i : oldest;
    }
    if (folders->count == folders->count_max) {
        let_go(folders, oldest);
    }
}

/* One that we removed ourselves is to be made anew when it is asked for again. */
static void forget(struct folders *folders, const char *path, size_t length)
{
    pthread_mutex_lock(&folders->lock);
    size_t i = place_of(folders, path, length);
    if (i < folders->count) {
        let_go(folders, i);
    }
    pthread_mutex_unlock(&folders->lock);
}

/* Holds a folder just looked up. */
static void hold(struct folders *folders, struct folder *fresh)
{
    fresh->owner = folders;
    fresh->uses = 2;
    fresh->last_use = ++folders->clock;
    if (folders->has_root && is_at(fresh, folders->root_path, folders->root_length)) {
        folders->root = fresh;
    } else {
        make_room(folders);
        folders->held[folders->count++] = fresh;
    }
}

static bool is_claimed(const struct folders *folders, const struct claim *wanted)
{
    const struct claim *claim = folders->claims;
    while (claim && (claim->length != wanted->length ||
                     memcmp(claim->path, wanted->path, wanted->length) != 0)) {
        claim = claim->next;
    }
    return claim != NULL;
}

/* The held folder of the claim's path; or NULL, and who asks is to look it up and to settle that.
 */
static struct folder *find_or_claim(struct folders *folders, struct claim *claim)
{
    struct folder *folder = NULL;
    pthread_mutex_lock(&folders->lock);
    while (!(folder = find(folders, claim->path, claim->length)) && is_claimed(folders, claim)) {
        pthread_cond_wait(&folders->settled, &folders->lock);
    }
    if (!folder) {
        claim->next = folders->claims;
        folders->claims = claim;
    }
    pthread_mutex_unlock(&folders->lock);
    return folder;
}

/* fresh is what was found; NULL: nothing. */
static void settle(struct folders *folders, const struct claim *claim, struct folder *fresh)
{
    pthread_mutex_lock(&folders->lock);
    struct claim **at = &folders->claims;
    while (*at != claim) {
        at = &(*at)->next;
    }
    *at = claim->next;
    if (fresh) {
        hold(folders, fresh);
    }
    pthread_cond_broadcast(&folders->settled);
    pthread_mutex_unlock(&folders->lock);
}

static struct folder *find_held(struct folders *folders, const char *path, size_t length)
{
    if (!folders) {
        return NULL;
    }
    pthread_mutex_lock(&folders->lock);
    struct folder *folder = find(folders, path, length);
    pthread_mutex_unlock(&folders->lock);
    return folder;
}

void folder_close(struct folder *folder)
{
    struct folders *owner = folder ? folder->owner : NULL;
    if (owner) {
        pthread_mutex_lock(&owner->lock);
        drop(folder);
        pthread_mutex_unlock(&owner->lock);
    } else if (folder) {
        folder_free(folder);
    }
}

/* ---- looking up ----------------------------------------------------------------------------- */

static enum storage_code fail_open(struct storage_error *err, const char *path,
                                   enum folder_mode mode, int failure)
{
    if (mode == FOLDER_MAKE) {
        return files_fail_write(err, "open folder", path, failure);
    }
    return failure == ENOTDIR || failure == ELOOP
               ? storage_fail(err, STORAGE_CONFLICT, "open folder %s: it is a link, or no folder",
                              path)
               : storage_fail_errno(err, "open folder", path, failure);
}

/* By its whole path, which is NUL-terminated here. */
static enum storage_code look_up_whole(struct folder **result, const char *path, size_t length,
                                       enum folder_mode mode, struct storage_error *err)
{
    const char *shown = length ? path : ".";
    int fd = open_at(AT_FDCWD, shown, 0);
    if (fd < 0 && errno == ENOENT && mode == FOLDER_MAKE) {
        enum storage_code code = files_make_folder(path, err);
        if (code != STORAGE_OK) {
            return code;
        }
        fd = open_at(AT_FDCWD, shown, 0);
    }
    return fd < 0 ? fail_open(err, shown, mode, errno)
                  : folder_new(result, fd, path, length, false, err);
}

/* From its parent; name is the last of path. */
static enum storage_code look_up_below(struct folder **result, const struct folder *parent,
                                       const char *path, size_t length, const char *name,
                                       enum folder_mode mode, struct storage_error *err)
{
    bool is_linked = parent->is_linked;
    int fd = open_at(parent->fd, name, O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT && mode == FOLDER_MAKE) {
        if (mkdirat(parent->fd, name, FOLDER_MODE) == 0) {
            enum storage_code code = folder_sync(parent, path, err);
            if (code != STORAGE_OK) {
                unlinkat(parent->fd, name, AT_REMOVEDIR); /* or it passed for one that is there */
                return code;
            }
        } else if (errno != EEXIST) {
            return files_fail_write(err, "make folder", path, errno);
        }
        fd = open_at(parent->fd, name, O_NOFOLLOW);
    }
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
        fd = open_at(parent->fd, name, 0);
        is_linked = true;
    }
    return fd < 0 ? fail_open(err, path, mode, errno)
                  : folder_new(result, fd, path, length, is_linked, err);
}

/* The folder at the first length bytes of path; parent NULL: by all of them. Takes parent over. */
static enum storage_code step(struct folder **result, struct folders *folders,
                              struct folder *parent, const char *path, size_t from, size_t length,
                              enum folder_mode mode, struct storage_error *err)
{
    char whole[STORAGE_PATH_MAX];
    struct claim claim = {.path = path, .length = length};
    enum storage_code code = STORAGE_OK;
    *result = folders ? find_or_claim(folders, &claim) : NULL;
    if (!*result) {
        memcpy(whole, path, length);
        whole[length] = '\0';
        code = parent ? look_up_below(result, parent, whole, length, whole + from, mode, err)
                      : look_up_whole(result, whole, length, mode, err);
        if (folders) {
            settle(folders, &claim, *result);
        }
    }
    folder_close(parent);
    return code;
}

/* From the root down, or where path lies elsewhere, at once. */
static enum storage_code walk(struct folder **result, struct folders *folders, const char *path,
                              size_t length, enum folder_mode mode, struct storage_error *err)
{
    bool below = folders && is_below(folders, path, length);
    size_t end = below ? folders->root_length : length;
    enum storage_code code = step(result, folders, NULL, path, 0, end, mode, err);
    while (code == STORAGE_OK && end < length) {
        size_t from = end;
        while (path[from] == '/') {
            from++;
        }
        end = from;
        while (end < length && path[end] != '/') {
            end++;
        }
        code = step(result, folders, *result, path, from, end, mode, err);
    }
    return code;
}

static enum storage_code open_first(struct folder **result, struct folders *folders,
                                    const char *path, size_t length, enum folder_mode mode,
                                    struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    *result = NULL;
    length = trim(path, length);
    if (length >= STORAGE_PATH_MAX) {
        return files_fail_write(err, "open folder", path, ENAMETOOLONG);
    }
    *result = find_held(folders, path, length);
    if (!*result) {
        code = walk(result, folders, path, length, mode, err);
    }
    if (*result && mode == FOLDER_PLAIN && (*result)->is_linked) {
        code = storage_fail(err, STORAGE_CONFLICT, "open folder %s: a link leads there", path);
        folder_close(*result);
        *result = NULL;
    }
    return code;
}

enum storage_code folder_open(struct folder **folder, struct folders *folders, const char *path,
                              enum folder_mode mode, struct storage_error *err)
{
    return open_first(folder, folders, path, strlen(path), mode, err);
}

enum storage_code folder_open_of(struct folder **folder, struct folders *folders, const char *path,
                                 enum folder_mode mode, struct storage_error *err)
{
    size_t length = trim(path, strlen(path));
    while (length > 0 && path[length - 1] != '/') {
        length--;
    }
    return open_first(folder, folders, path, length, mode, err);
}

/* ---- the whole ------------------------------------------------------------------------------ */

struct folders *folders_new(const char *root)
{
    struct rlimit limit;
    struct folder *first = NULL;
    struct folders *folders = calloc(1, sizeof *folders);
    size_t length = root ? trim(root, strlen(root)) : 0;
    if (!folders || pthread_mutex_init(&folders->lock, NULL) != 0) {
        free(folders);
        return NULL;
    }
    pthread_cond_init(&folders->settled, NULL);
    folders->count_max = HELD_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / HELD_SHARE < HELD_MAX) {
        folders->count_max = limit.rlim_cur / HELD_SHARE;
    }
    if (folders->count_max < HELD_LEAST) {
        folders->count_max = HELD_LEAST;
    }
    folders->has_root = root && length < sizeof folders->root_path;
    if (folders->has_root) {
        memcpy(folders->root_path, root, length);
        folders->root_length = length;
        /* one that is there is held from now on */
        if (folder_open(&first, folders, folders->root_path, FOLDER_PLAIN, NULL) == STORAGE_OK) {
            folder_close(first);
        }
    }
    return folders;
}

void folders_free(struct folders *folders)
{
    if (!folders) {
        return;
    }
    while (folders->count > 0) {
        drop(folders->held[--folders->count]);
    }
    if (folders->root) {
        drop(folders->root);
    }
    pthread_cond_destroy(&folders->settled);
    pthread_mutex_destroy(&folders->lock);
    free(folders);
}

enum storage_code folders_check(const struct folders *folders, struct storage_error *err)
{
    struct stat status;
    const char *shown = *folders->root_path ? folders->root_path : ".";
    const struct folder *root = folders->root;
    if (!root || (stat(shown, &status) == 0 && status.st_dev == root->device &&
                  status.st_ino == root->inode)) {
        return STORAGE_OK;
    }
    enum storage_code code =
        storage_fail(err, STORAGE_DISK,
                     "copy to %s: the folder was renamed, removed or replaced meanwhile", shown);
    storage_hint(err, "what was copied is in the folder that had this name before");
    return code;
}

enum storage_code folders_make(struct folders *folders, const char *path, struct storage_error *err)
{
    struct folder *folder = NULL;
    enum storage_code code = folder_open(&folder, folders, path, FOLDER_MAKE, err);
    folder_close(folder);
    return code;
}

enum storage_code folders_remove(struct folders *folders, const char *path,
                                 struct storage_error *err)
{
    struct folder *folder = NULL;
    enum storage_code code = folder_open_of(&folder, folders, path, FOLDER_PLAIN, err);
    if (code == STORAGE_OK) {
        assert(folder);
        size_t skip = folder->length;
        while (path[skip] == '/') {
            skip++;
        }
        code = files_remove_at(folder->fd, path + skip, path, err);
        if (code == STORAGE_OK) {
            forget(folders, path, trim(path, strlen(path)));
        }
    } else if (code == STORAGE_NOT_FOUND) {
        code = STORAGE_OK;
    }
    folder_close(folder);
    return code;
}
