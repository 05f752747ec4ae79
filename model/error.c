#include "model/model_error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/model_banned.h"

static const char *const code_texts[] = {
#define MODEL_CODE_TEXT(id, name, text) [MODEL_##id] = text,
    MODEL_CODES(MODEL_CODE_TEXT)
#undef MODEL_CODE_TEXT
};

static const char *const code_names[] = {
#define MODEL_CODE_NAME(id, name, text) [MODEL_##id] = name,
    MODEL_CODES(MODEL_CODE_NAME)
#undef MODEL_CODE_NAME
};

const char *model_code_text(enum model_code code)
{
    return code_texts[code];
}

const char *model_code_name(enum model_code code)
{
    return code_names[code];
}

enum model_code model_fail(struct model_error *err, enum model_code code, const char *format, ...)
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

enum model_code model_fail_errno(struct model_error *err, const char *operation, const char *path,
                                 int system_errno)
{
    enum model_code code =
        system_errno == ENOENT || system_errno == ENOTDIR ? MODEL_NOT_FOUND : MODEL_DISK;
    char text[128];
    model_fail(err, code, "%s %s: %s", operation, path,
               strerror_r(system_errno, text, sizeof text));
    if (err) {
        err->system_errno = system_errno;
        snprintf(err->operation, sizeof err->operation, "%s", operation);
        snprintf(err->target, sizeof err->target, "%s", path);
    }
    return code;
}

void model_hint(struct model_error *err, const char *format, ...)
{
    if (!err) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->hint, sizeof err->hint, format, arguments);
    va_end(arguments);
}
