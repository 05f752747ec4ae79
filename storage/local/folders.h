/*
 * folders.h - folders held open, so that what is written lands where it was meant to.
 *
 * A path says what a folder is called now. A copy that takes minutes would follow a path into
 * whatever has got that name meanwhile: another folder, or a link to elsewhere. So each folder is
 * looked up once, below the copy's root one step from its parent, and from then on everything is
 * done from its descriptor: files are made, named and removed in it, and their names made durable.
 * What has moved away keeps receiving; what was removed refuses.
 *
 * `struct folders` are those of one copy: its root, held from the first look to the end, and of the
 * others those that were used last, in a number that the process's limit of descriptors sets. A
 * copy goes on in the order of names, and a folder's parents are used with it, so one that falls
 * out is as good as done with; where it is needed again after all it is looked up again. Links to
 * folders that are there when a folder is first looked up are followed, as anybody would.
 *
 * A `struct folder` belongs to who opened it until folder_close. All functions may be called from
 * several threads at once, except new and free. Errors as in files.h.
 */
#ifndef STORAGE_FOLDERS_H
#define STORAGE_FOLDERS_H

#include "storage/storage.h"

#include <stdint.h>

struct folder;
struct folders;

/*
 * root: the folder that a copy writes into, whether it is there yet or not; NULL where there is no
 * such one. What lies elsewhere is looked up by its whole path. NULL: no memory.
 */
struct folders *folders_new(const char *root);
/* Every folder must have been closed. NULL is fine. */
void folders_free(struct folders *folders);
/* Whether the root's path still leads to the folder that was written into; STORAGE_DISK: no. */
enum storage_code folders_check(const struct folders *folders, struct storage_error *err);

enum folder_mode {
    FOLDER_MAKE, /* make it, and its parents, where it is missing; durably */
    FOLDER_PLAIN /* it must be there, and below the root no link may lead to it */
};

/*
 * Opens the folder at path, "" being the current one. folders NULL: by itself, for this once.
 * FOLDER_PLAIN: STORAGE_NOT_FOUND where it is missing, STORAGE_CONFLICT where a link stands.
 */
enum storage_code folder_open(struct folder **folder, struct folders *folders, const char *path,
                              enum folder_mode mode, struct storage_error *err);
/* Opens the folder that holds path, which need not be there. */
enum storage_code folder_open_of(struct folder **folder, struct folders *folders, const char *path,
                                 enum folder_mode mode, struct storage_error *err);
void folder_close(struct folder *folder); /* NULL is fine */

/* Its descriptor, for the *at() calls. */
int folder_fd(const struct folder *folder);
/* The number of its file system (st_dev). */
uint64_t folder_device(const struct folder *folder);
/* A number for a temporary name: another each time, and hardly one that others use. */
uint32_t folder_number(struct folder *folder);
/* Makes the names in it durable. shown is a path in it, for messages. */
enum storage_code folder_sync(const struct folder *folder, const char *shown,
                              struct storage_error *err);

/* Makes a folder and its parents. One that is there is fine. */
enum storage_code folders_make(struct folders *folders, const char *path,
                               struct storage_error *err);
/*
 * Removes a file or an empty folder, of which no link may lead to the parent. A missing one is
 * fine. STORAGE_CONFLICT: it holds something, or lies behind a link.
 */
enum storage_code folders_remove(struct folders *folders, const char *path,
                                 struct storage_error *err);

#endif
