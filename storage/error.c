#include "storage/storage_error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "storage/storage_banned.h"

static const char *const code_texts[] = {
#define STORAGE_CODE_TEXT(id, name, text) [STORAGE_##id] = text,
    STORAGE_CODES(STORAGE_CODE_TEXT)
#undef STORAGE_CODE_TEXT
};

static const char *const code_names[] = {
#define STORAGE_CODE_NAME(id, name, text) [STORAGE_##id] = name,
    STORAGE_CODES(STORAGE_CODE_NAME)
#undef STORAGE_CODE_NAME
};

const char *storage_code_text(enum storage_code code)
{
    return code_texts[code];
}

const char *storage_code_name(enum storage_code code)
{
    return code_names[code];
}

enum storage_code storage_fail(struct storage_error *err, enum storage_code code,
                               const char *format, ...)
{
    if (!err) {
        return code;
    }
    memset(err, 0, sizeof *err);
    err->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return code;
}

enum storage_code storage_fail_errno(struct storage_error *err, const char *operation,
                                     const char *path, int system_errno)
{
    enum storage_code code =
        system_errno == ENOENT || system_errno == ENOTDIR ? STORAGE_NOT_FOUND : STORAGE_DISK;
    char text[128];
    storage_fail(err, code, "%s %s: %s", operation, path,
                 strerror_r(system_errno, text, sizeof text));
    if (err) {
        err->system_errno = system_errno;
        snprintf(err->operation, sizeof err->operation, "%s", operation);
        snprintf(err->target, sizeof err->target, "%s", path);
    }
    return code;
}

void storage_hint(struct storage_error *err, const char *format, ...)
{
    if (!err) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->hint, sizeof err->hint, format, arguments);
    va_end(arguments);
}
