/*
 * files.h - what the local side stands on: files that appear whole, folders, and walks in key
 * order.
 *
 * A file is written under a temporary name in its own folder (".name.<random>.part"), made durable,
 * then renamed: under its name it is whole, or as it was before, whatever happens. Folders that are
 * missing on the way are made.
 *
 * A walk gives the files below a folder in the order in which a store lists keys (bytes of the
 * relative path, '/' counted as such), one folder's names in memory per level.
 *
 * Errors: a file where a folder must be, or the reverse, is STORAGE_CONFLICT; a missing path to be
 * read STORAGE_NOT_FOUND; all else STORAGE_DISK.
 */
#ifndef STORAGE_FILES_H
#define STORAGE_FILES_H

#include "storage/local/folders.h"
#include "storage/storage.h"

#include <limits.h>
#include <sys/stat.h>

/* ---- writing -------------------------------------------------------------------------------- */

/* A file being written. fd is open for pwrite from several threads. */
struct files_draft {
    int fd;                       /* -1: nothing is held */
    int64_t opened_ns;            /* when, on a clock that only goes forward */
    struct folder *folder;        /* it is made and named in */
    char path[STORAGE_PATH_MAX];  /* where it will appear */
    char temporary[NAME_MAX + 1]; /* its name until then */
};

/*
 * Begins a file that will appear at path, in one of folders (NULL: looked up for this file). size,
 * when not 0, is reserved at once, so that a disk too full says so now. On failure nothing is left
 * and the draft needs no release.
 */
enum storage_code files_draft_open(struct files_draft *draft, struct folders *folders,
                                   const char *path, uint64_t size, struct storage_error *err);
/*
 * Takes up a draft that was left by files_draft_suspend, or by a death: name is its temporary
 * file's, without folder. STORAGE_NOT_FOUND: it is not there, or is none of ours.
 */
enum storage_code files_draft_reopen(struct files_draft *draft, struct folders *folders,
                                     const char *path, const char *name, struct storage_error *err);
/* Writes all of data at offset. */
enum storage_code files_draft_write(struct files_draft *draft, const void *data, size_t size,
                                    uint64_t offset, struct storage_error *err);
/*
 * Sets the modification time (unless mtime_ns is 0), makes the content durable, renames, makes the
 * name durable. Ends the draft either way; on failure path is as it was, unless it is the folder
 * that could not be made durable: then the new file, which is whole, has its name, until the
 * machine dies.
 */
enum storage_code files_draft_publish(struct files_draft *draft, int64_t mtime_ns,
                                      struct storage_error *err);
/* One of several drafts to be published together. */
struct files_publication {
    struct files_draft *draft;
    int64_t mtime_ns;
    enum storage_code code;   /* what becomes of it; not OK: it has failed already */
    struct storage_error err; /* when it fails */
    bool is_durable, is_named;
};
/*
 * Publishes them all as files_draft_publish does, in as few waits as the file system allows: no
 * name before its content is durable, and nothing is OK before its name is. Ends all drafts.
 */
void files_publish_many(struct files_publication *items, size_t count);

/* Ends the draft and removes the temporary file. Fine on one that has ended. */
void files_draft_discard(struct files_draft *draft);
/* Ends the draft and leaves the temporary file. */
void files_draft_suspend(struct files_draft *draft);
/* The temporary file's name, without folder. */
const char *files_draft_name(const struct files_draft *draft);

/* Whether a file of this name may be a temporary file of ours. */
bool files_is_temporary(const char *name);

/* Makes a folder and its parents. An existing one is fine. "" is the current folder. */
enum storage_code files_make_folder(const char *path, struct storage_error *err);

/*
 * Removes name in a folder (a descriptor, or AT_FDCWD), a file or an empty folder. A missing one is
 * fine; STORAGE_CONFLICT: a folder that holds something. shown is its path, for messages.
 */
enum storage_code files_remove_at(int folder, const char *name, const char *shown,
                                  struct storage_error *err);

/* As storage_fail_errno, for writing: there a missing or wrong kind of path is no "not found". */
enum storage_code files_fail_write(struct storage_error *err, const char *operation,
                                   const char *path, int system_errno);

/* ---- looking -------------------------------------------------------------------------------- */

/* A file's modification time in ns since 1970. */
int64_t files_mtime_ns(const struct stat *status);

/*
 * Writes the absolute path with symbolic links resolved, also when the end of path does not exist
 * yet. Two paths that name the same file give the same text.
 */
enum storage_code files_resolve(char out[STORAGE_PATH_MAX], const char *path,
                                struct storage_error *err);

struct files_walk;

/* Pointers live until the next call on the walk. */
struct files_entry {
    const char
        *path; /* the walk's path joined with the name; a folder ends in '/'; NULL: the end */
    bool is_folder;
    enum storage_link link;
    struct stat status; /* all zero where it could not be read, as of a link to nowhere */
};

/*
 * Walks what lies below path (a folder, with or without its slash; a file is its own single
 * entry; "" is the current folder). Recursively, files come, and those folders that are empty;
 * otherwise one level, files and folders. Links are followed unless symlinks says otherwise; one
 * that leads nowhere, or back to a folder it lies in, comes as if it were a file. Sockets, pipes
 * and devices are left out. Opening touches nothing: the first files_walk_next does.
 */
enum storage_code files_walk_open(struct files_walk **walk, const char *path, bool recursive,
                                  enum storage_symlinks symlinks, struct storage_error *err);
enum storage_code files_walk_next(struct files_walk *walk, struct files_entry *entry,
                                  struct storage_error *err);
void files_walk_close(struct files_walk *walk); /* NULL is fine */

#endif
