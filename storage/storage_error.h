/* storage_error.h - filling a struct storage_error in one line: `return storage_fail(err, CODE,
 * …)`. */
#ifndef STORAGE_ERROR_H
#define STORAGE_ERROR_H

#include "storage/storage.h"

/*
 * Clears *err (NULL is fine), sets code and the formatted message, returns code. The message says
 * what was being done, on what, what came back.
 */
enum storage_code storage_fail(struct storage_error *err, enum storage_code code,
                               const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * The same for a failed system call on a path: "<operation> <path>: <text of errno>". ENOENT and
 * ENOTDIR become STORAGE_NOT_FOUND, everything else STORAGE_DISK.
 */
enum storage_code storage_fail_errno(struct storage_error *err, const char *operation,
                                     const char *path, int system_errno);

/*
 * What a public function makes of its err first of all, so that below it none is NULL: what an
 * error says may decide what is done next.
 */
#define STORAGE_ERROR_OR_OWN(err) ((err) ? (err) : &(struct storage_error){0})

/* Adds what to try to a filled error; NULL err is fine. */
void storage_hint(struct storage_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
