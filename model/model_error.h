/* model_error.h - filling a struct model_error in one line: `return model_fail(err, CODE, …)`. */
#ifndef MODEL_ERROR_H
#define MODEL_ERROR_H

#include "model/model.h"

/*
 * Clears *err (NULL is fine), sets code and the formatted message, returns code. The message says
 * what was being done, on what, what came back.
 */
enum model_code model_fail(struct model_error *err, enum model_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The same for a failed system call on a path: "<operation> <path>: <text of errno>". ENOENT and
 * ENOTDIR become MODEL_NOT_FOUND, everything else MODEL_DISK.
 */
enum model_code model_fail_errno(struct model_error *err, const char *operation, const char *path,
                                 int system_errno);

/* Adds what to try to a filled error; NULL err is fine. */
void model_hint(struct model_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
