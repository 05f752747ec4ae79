#include "runner/log.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runner/runner_banned.h"

enum {
    LINE_MAX_BYTES = 4096
};

void log_init(struct log *log, bool json, bool verbose)
{
    memset(log, 0, sizeof *log);
    pthread_mutex_init(&log->lock, NULL);
    log->json = json;
    log->verbose = verbose;
}

void log_release(struct log *log)
{
    for (size_t i = 0; i < log->warning_count; i++) {
        free(log->warnings[i]);
    }
    free(log->early);
    pthread_mutex_destroy(&log->lock);
}

void log_timestamp(char *out, size_t size)
{
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

void log_set_file(struct log *log, struct log_file *file)
{
    pthread_mutex_lock(&log->lock);
    log->file = file;
    if (file && log->early) {
        log_file_write(file, log->early, log->early_size);
    }
    free(log->early);
    log->early = NULL;
    log->early_size = 0;
    log->waits = false;
    pthread_mutex_unlock(&log->lock);
}

void log_expect_file(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    log->early = log->early ? log->early : malloc(LOG_EARLY_MAX);
    log->waits = log->early != NULL;
    pthread_mutex_unlock(&log->lock);
}

char *log_early(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    char *copy = log->early_size > 0 ? strndup(log->early, log->early_size) : NULL;
    pthread_mutex_unlock(&log->lock);
    return copy;
}

/* Into the file, or to where it waits for one. Called with the lock held. */
static void keep(struct log *log, const char *text, size_t length)
{
    if (log->file) {
        log_file_write(log->file, text, length);
    } else if (log->waits && length <= LOG_EARLY_MAX - log->early_size) {
        memcpy(log->early + log->early_size, text, length);
        log->early_size += length;
    }
}

void log_on_warning(struct log *log, void (*on_warning)(void *context, const char *text),
                    void *context)
{
    pthread_mutex_lock(&log->lock);
    log->on_warning = on_warning;
    log->warning_context = context;
    pthread_mutex_unlock(&log->lock);
}

static void print_json(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(object);
    fprintf(stderr, "%s\n", text ? text : "{}");
    free(text);
}

/* Called with the lock held. */
static void erase(struct log *log)
{
    if (log->drawn) {
        fprintf(stderr, "\r\033[K");
        log->drawn = false;
    }
}

void log_result(struct log *log, const char *line)
{
    pthread_mutex_lock(&log->lock);
    erase(log);
    printf("%s\n", line);
    fflush(stdout);
    /* As long as it is: the confusion matrix of many classes is 30 KB. */
    keep(log, line, strlen(line));
    keep(log, "\n", 1);
    pthread_mutex_unlock(&log->lock);
}

void log_draw(struct log *log, const char *line)
{
    pthread_mutex_lock(&log->lock);
    erase(log);
    if (line) {
        fprintf(stderr, "%s", line);
        log->drawn = true;
    }
    fflush(stderr);
    pthread_mutex_unlock(&log->lock);
}

/* Names may hold anything; what is shown is one line, and no order to a terminal. */
static void show_controls(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            *text = '?';
        }
    }
}

/* The line in the log's file: with the time, whatever the form on stderr. */
static void file_line(struct log *log, const char *level, const char *text)
{
    char now[32];
    char line[LINE_MAX_BYTES + 64];
    if (!log->file && !log->waits) {
        return;
    }
    log_timestamp(now, sizeof now);
    int length = snprintf(line, sizeof line, "%s %s: %s\n", now, level, text);
    if ((size_t)length >= sizeof line) {
        length = (int)sizeof line - 1;
        line[length - 1] = '\n';
    }
    keep(log, line, (size_t)length);
}

/* Called with the lock held. Text that is not UTF-8 (a file name) is shown escaped. */
static void print_line(struct log *log, const char *level, const char *text)
{
    file_line(log, level, text);
    if (!log->json) {
        fprintf(stderr, "%s%s%s\n", strcmp(level, "info") == 0 ? "" : level,
                strcmp(level, "info") == 0 ? "" : ": ", text);
        return;
    }
    char now[32];
    log_timestamp(now, sizeof now);
    json_t *message = json_string(text);
    print_json(json_pack("{ss ss so}", "time", now, "level", level, "message",
                         message ? message : json_string("(not UTF-8)")));
}

__attribute__((format(printf, 3, 0))) static void log_text(struct log *log, const char *level,
                                                           const char *format, va_list arguments)
{
    char text[LINE_MAX_BYTES];
    vsnprintf(text, sizeof text, format, arguments);
    show_controls(text);
    pthread_mutex_lock(&log->lock);
    erase(log);
    print_line(log, level, text);
    bool is_warning = strcmp(level, "warning") == 0;
    if (is_warning && log->on_warning) {
        log->on_warning(log->warning_context, text);
    }
    if (is_warning && log->warning_count < LOG_WARNINGS_MAX) {
        char *copy = strdup(text);
        if (copy) {
            log->warnings[log->warning_count++] = copy;
        }
    }
    pthread_mutex_unlock(&log->lock);
}

void log_info(struct log *log, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_text(log, "info", format, arguments);
    va_end(arguments);
}

void log_warn(struct log *log, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_text(log, "warning", format, arguments);
    va_end(arguments);
}

static bool has_warned(struct log *log, const char *text)
{
    bool found = false;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; !found && i < log->warning_count; i++) {
        found = strcmp(log->warnings[i], text) == 0;
    }
    pthread_mutex_unlock(&log->lock);
    return found;
}

void log_warn_once(struct log *log, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!has_warned(log, text)) {
        log_warn(log, "%s", text);
    }
}

void log_trace(void *context, const char *line)
{
    struct log *log = context;
    if (log->verbose) {
        log_info(log, "%s", line);
    }
}

/* Everything one failure may say; texts may be "" and numbers 0. */
struct failure {
    const char *name;
    enum exit_code exit;
    const char *message, *hint, *operation, *target, *service_code, *request_id;
    int http_status;
};

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text && text[0]) {
        json_object_set_new(object, key, json_string(text));
    }
}

static enum exit_code print_failure(struct log *log, bool errors_json,
                                    const struct failure *failure)
{
    pthread_mutex_lock(&log->lock);
    erase(log);
    snprintf(log->failure, sizeof log->failure, "%s", failure->message);
    snprintf(log->hint, sizeof log->hint, "%s", failure->hint ? failure->hint : "");
    show_controls(log->failure);
    show_controls(log->hint);
    file_line(log, "failure", log->failure);
    if (log->muted) {
        /* whoever muted it tells of it */
    } else if (errors_json || log->json) {
        json_t *error = json_pack("{ss si}", "code", failure->name, "exit", (int)failure->exit);
        set_text(error, "message", failure->message);
        set_text(error, "hint", failure->hint);
        set_text(error, "operation", failure->operation);
        set_text(error, "target", failure->target);
        set_text(error, "service_code", failure->service_code);
        set_text(error, "request_id", failure->request_id);
        if (failure->http_status) {
            json_object_set_new(error, "http_status", json_integer(failure->http_status));
        }
        print_json(json_pack("{so}", "error", error));
    } else {
        fprintf(stderr, "jobferry: %s%s%s\n", log->failure, log->hint[0] ? "; " : "", log->hint);
    }
    pthread_mutex_unlock(&log->lock);
    return failure->exit;
}

enum exit_code log_fail(struct log *log, bool errors_json, enum exit_code code, const char *format,
                        ...)
{
    char text[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *name = code == EXIT_USAGE     ? "usage"
                       : code == EXIT_MISSING ? "not_found"
                       : code == EXIT_CONFIG  ? "config"
                       : code == EXIT_DISK    ? "disk"
                       : code == EXIT_DATA    ? "data"
                                              : "failed";
    struct failure failure = {.name = name, .exit = code, .message = text};
    return print_failure(log, errors_json, &failure);
}

enum exit_code log_fail_storage(struct log *log, bool errors_json, const struct storage_error *err)
{
    struct failure failure = {
        .name = storage_code_name(err->code),
        .exit = exit_code_of_storage(err->code),
        .message = err->message,
        .hint = err->hint,
        .operation = err->operation,
        .target = err->target,
        .service_code = err->service_code,
        .request_id = err->request_id,
        .http_status = err->http_status,
    };
    return print_failure(log, errors_json, &failure);
}

enum exit_code log_fail_model(struct log *log, bool errors_json, const struct model_error *err)
{
    struct failure failure = {
        .name = model_code_name(err->code),
        .exit = exit_code_of_model(err->code),
        .message = err->message,
        .hint = err->hint,
        .operation = err->operation,
        .target = err->target,
    };
    return print_failure(log, errors_json, &failure);
}
