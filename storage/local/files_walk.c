/*
 * files_walk.c - a folder's files in the order in which a store would list them.
 *
 * A store sorts whole keys, so within one folder the sub-folder "a" counts as "a/": it comes after
 * "a-b" and "a.b" and before "a0". Sorting each folder's names so, and going down where a folder's
 * turn comes, gives the order of the whole tree. Names keep that slash here; it also says what is
 * a folder.
 */
#include "storage/local/files.h"

#include "storage/storage_error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_banned.h"

enum {
    DEPTH_MAX = 256,
    FOLDER_ENTRIES_MAX = 64 * 1024 * 1024,
    FIRST_CAPACITY = 64
};

struct name {
    char *text; /* owned */
    enum storage_link link;
};

/* One folder on the way down. */
struct level {
    struct name *names; /* sorted */
    size_t count;
    size_t capacity;
    size_t next;
    size_t path_length; /* of its path in walk->path, with the slash */
    dev_t device;
    ino_t inode;
    bool is_behind; /* a link led here, or to a folder above */
};

struct files_walk {
    char path[STORAGE_PATH_MAX]; /* of the folder on top, then of the entry just given */
    bool recursive;
    enum storage_symlinks symlinks;
    bool opened;
    size_t depth;
    struct level levels[DEPTH_MAX];
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static void level_release(struct level *level)
{
    for (size_t i = 0; i < level->count; i++) {
        free(level->names[i].text);
    }
    free(level->names);
    memset(level, 0, sizeof *level);
}

/* Adds name, with a slash when it is a folder's. False: no memory, or the ceiling. */
static bool level_add(struct level *level, const char *name, bool is_folder, enum storage_link link)
{
    if (level->count == level->capacity) {
        size_t capacity = level->capacity ? level->capacity * 2 : FIRST_CAPACITY;
        struct name *names =
            capacity > FOLDER_ENTRIES_MAX ? NULL : realloc(level->names, capacity * sizeof *names);
        if (!names) {
            return false;
        }
        level->names = names;
        level->capacity = capacity;
    }
    char *copy = NULL;
    if (asprintf(&copy, "%s%s", name, is_folder ? "/" : "") < 0) {
        return false;
    }
    level->names[level->count++] = (struct name){copy, link};
    return true;
}

/* Whether a folder is one we are inside of. */
static bool is_loop(const struct files_walk *walk, const struct stat *status)
{
    for (size_t i = 0; i < walk->depth; i++) {
        if (walk->levels[i].device == status->st_dev && walk->levels[i].inode == status->st_ino) {
            return true;
        }
    }
    return false;
}

enum kind {
    KIND_FILE,
    KIND_FOLDER,
    KIND_OTHER
};

/* What a name is; a link that leads nowhere, or back up, passes for a file. */
static enum kind kind_of(const struct files_walk *walk, int folder, const struct dirent *entry,
                         enum storage_link *link)
{
    struct stat status;
    bool is_link = entry->d_type == DT_LNK;
    *link = STORAGE_LINK_NONE;
    if (entry->d_type == DT_REG) {
        return KIND_FILE;
    }
    if (entry->d_type == DT_UNKNOWN &&
        fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        is_link = S_ISLNK(status.st_mode);
    }
    if (is_link && walk->symlinks != STORAGE_SYMLINKS_FOLLOW) {
        *link = STORAGE_LINK_UNFOLLOWED;
        return walk->symlinks == STORAGE_SYMLINKS_SKIP ? KIND_OTHER : KIND_FILE;
    }
    if (fstatat(folder, entry->d_name, &status, 0) != 0) {
        *link = is_link ? STORAGE_LINK_BROKEN : STORAGE_LINK_NONE;
        return KIND_FILE;
    }
    if (S_ISDIR(status.st_mode)) {
        bool loops = is_loop(walk, &status);
        *link = loops ? STORAGE_LINK_LOOP : is_link ? STORAGE_LINK_BEHIND : STORAGE_LINK_NONE;
        return loops ? KIND_FILE : KIND_FOLDER;
    }
    *link = is_link ? STORAGE_LINK_FILE : STORAGE_LINK_NONE;
    return S_ISREG(status.st_mode) ? KIND_FILE : KIND_OTHER;
}

static enum storage_code read_names(const struct files_walk *walk, struct level *level, DIR *folder,
                                    struct storage_error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder); /* each DIR has one reader: safe */
        if (!entry) {
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        enum storage_link link;
        enum kind kind = kind_of(walk, dirfd(folder), entry, &link);
        if (kind != KIND_OTHER && !level_add(level, entry->d_name, kind == KIND_FOLDER, link)) {
            return storage_fail(err, STORAGE_BUG, "read folder %s: no memory for its names",
                                walk->path);
        }
    }
    if (errno) {
        return storage_fail_errno(err, "read folder", walk->path, errno);
    }
    if (level->count > 0) {
        qsort(level->names, level->count, sizeof *level->names, compare_names);
    }
    return STORAGE_OK;
}

/* Goes down into walk->path, which ends in '/' or is "". */
static enum storage_code push(struct files_walk *walk, bool is_behind, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    const char *shown = *walk->path ? walk->path : ".";
    if (walk->depth == DEPTH_MAX) {
        return storage_fail(err, STORAGE_DISK, "read folder %s: more than %d levels deep", shown,
                            DEPTH_MAX);
    }
    DIR *folder = opendir(shown);
    struct stat status;
    if (!folder || fstat(dirfd(folder), &status) != 0) {
        code = storage_fail_errno(err, "read folder", shown, errno);
        goto done;
    }
    struct level *level = &walk->levels[walk->depth++];
    memset(level, 0, sizeof *level);
    level->path_length = strlen(walk->path);
    level->is_behind = is_behind;
    level->device = status.st_dev;
    level->inode = status.st_ino;
    code = read_names(walk, level, folder, err);
done:
    if (folder) {
        closedir(folder);
    }
    return code;
}

enum storage_code files_walk_open(struct files_walk **result, const char *path, bool recursive,
                                  enum storage_symlinks symlinks, struct storage_error *err)
{
    size_t length = strlen(path);
    *result = NULL;
    if (length + 1 >= STORAGE_PATH_MAX) {
        return storage_fail_errno(err, "read folder", path, ENAMETOOLONG);
    }
    struct files_walk *walk = calloc(1, sizeof *walk);
    if (!walk) {
        return storage_fail(err, STORAGE_BUG, "read folder %s: no memory", path);
    }
    memcpy(walk->path, path, length + 1);
    walk->recursive = recursive;
    walk->symlinks = symlinks;
    *result = walk;
    return STORAGE_OK;
}

void files_walk_close(struct files_walk *walk)
{
    if (!walk) {
        return;
    }
    while (walk->depth > 0) {
        level_release(&walk->levels[--walk->depth]);
    }
    free(walk);
}

/* Gives the present path; false: it is gone since its folder was read. */
static bool give(struct files_walk *walk, enum storage_link link, struct files_entry *entry)
{
    size_t length = strlen(walk->path);
    memset(entry, 0, sizeof *entry);
    bool is_seen = link != STORAGE_LINK_BROKEN && link != STORAGE_LINK_UNFOLLOWED;
    if (is_seen && stat(walk->path, &entry->status) != 0) {
        if (errno == ENOENT) {
            return false;
        }
        memset(&entry->status, 0, sizeof entry->status);
        link = STORAGE_LINK_BROKEN; /* it cannot be looked at */
    }
    entry->path = walk->path;
    entry->link = link;
    entry->is_folder = length > 0 && walk->path[length - 1] == '/';
    return true;
}

/* The first step: a folder is entered, a file given as it is. */
static enum storage_code begin(struct files_walk *walk, struct files_entry *entry,
                               struct storage_error *err)
{
    size_t length = strlen(walk->path);
    struct stat status;
    const char *shown = length ? walk->path : ".";
    walk->opened = true;
    if (stat(shown, &status) != 0) {
        return storage_fail_errno(err, "open", shown, errno);
    }
    if (!S_ISDIR(status.st_mode)) {
        return give(walk, STORAGE_LINK_NONE, entry)
                   ? STORAGE_OK
                   : storage_fail_errno(err, "open", shown, ENOENT);
    }
    if (length > 0 && walk->path[length - 1] != '/') {
        memcpy(walk->path + length, "/", 2);
    }
    return push(walk, false, err);
}

/* Appends the next name of the level on top to its path. */
static enum storage_code step(struct files_walk *walk, struct level *level,
                              struct storage_error *err)
{
    const char *name = level->names[level->next++].text;
    size_t length = strlen(name);
    walk->path[level->path_length] = '\0';
    if (level->path_length + length >= sizeof walk->path) {
        return storage_fail(err, STORAGE_DISK, "read folder %s: the path of %s is too long",
                            walk->path, name);
    }
    memcpy(walk->path + level->path_length, name, length + 1);
    return STORAGE_OK;
}

enum storage_code files_walk_next(struct files_walk *walk, struct files_entry *entry,
                                  struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    memset(entry, 0, sizeof *entry);
    if (!walk->opened) {
        code = begin(walk, entry, err);
        if (code != STORAGE_OK || entry->path) {
            return code;
        }
    }
    while (walk->depth > 0) {
        struct level *level = &walk->levels[walk->depth - 1];
        if (level->next == level->count) {
            level_release(level);
            walk->depth--;
            continue;
        }
        enum storage_link link = level->names[level->next].link;
        bool is_behind = level->is_behind || link == STORAGE_LINK_BEHIND;
        if (is_behind && (link == STORAGE_LINK_NONE || link == STORAGE_LINK_FILE)) {
            link = STORAGE_LINK_BEHIND;
        }
        code = step(walk, level, err);
        if (code != STORAGE_OK) {
            return code;
        }
        bool is_folder = walk->path[strlen(walk->path) - 1] == '/';
        if (!walk->recursive || !is_folder) {
            if (give(walk, link, entry)) {
                return STORAGE_OK;
            }
            continue;
        }
        code = push(walk, is_behind, err);
        if (code == STORAGE_NOT_FOUND) {
            continue; /* removed since its parent was read */
        }
        if (code != STORAGE_OK) {
            return code;
        }
        if (walk->levels[walk->depth - 1].count == 0 && give(walk, link, entry)) {
            return STORAGE_OK;
        }
    }
    return STORAGE_OK;
}
