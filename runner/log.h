/*
 * log.h - what jobferry says on stderr: short lines for people, one JSON object a line for
 * machines.
 *
 * Results (tables, the lab's lines, JSON) go to stdout and not through here. Warnings are kept, so
 * that the report can repeat them. Lines may come from any thread. Secrets never reach this file.
 */
#ifndef RUNNER_LOG_H
#define RUNNER_LOG_H

#include "runner/exit_codes.h"
#include "runner/log_file.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    LOG_WARNINGS_MAX = 100,
    LOG_EARLY_MAX = 64 * 1024 /* bytes of lines that wait for a file */
};

struct log {
    pthread_mutex_t lock;
    bool json;             /* --log_format=json */
    bool verbose;          /* --verbose: storage requests too */
    bool drawn;            /* a line without end stands on the terminal */
    struct log_file *file; /* borrowed; NULL: none. Has each line too, with its time */
    bool waits;            /* for a file: lines are kept in early */
    char *early;           /* NULL: none */
    size_t early_size;
    void (*on_warning)(void *context, const char *text); /* NULL: nobody asks */
    void *warning_context;
    char *warnings[LOG_WARNINGS_MAX];
    size_t warning_count;
    bool muted;         /* failures are kept below, and not printed */
    char failure[2048]; /* the newest failure's message, "" while there is none */
    char hint[320];     /* and what to try, or "" */
};

void log_init(struct log *log, bool json, bool verbose);
void log_release(struct log *log);

/* From now on, until there is a file, lines are kept for it: the first LOG_EARLY_MAX bytes. */
void log_expect_file(struct log *log);
/* A copy of what is kept, with its NUL, malloc'ed; NULL: nothing is, or no memory. */
char *log_early(struct log *log);
/* From now on each line goes into the file too, those kept for it first; NULL: no more. */
void log_set_file(struct log *log, struct log_file *file);
/* Calls back with each warning, which must not log; NULL: no more. */
void log_on_warning(struct log *log, void (*on_warning)(void *context, const char *text),
                    void *context);

void log_info(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warn(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, unless this very warning was given before. */
void log_warn_once(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line of results: to stdout as it is, and into the file. */
void log_result(struct log *log, const char *line);

/*
 * Draws a line in place on the terminal that stderr is, where the next drawing or any other line
 * replaces it; NULL takes it away.
 */
void log_draw(struct log *log, const char *line);

/* A storage_trace_fn; context is the log. */
void log_trace(void *context, const char *line);

/*
 * The one line of a failure, and the exit code it means. With errors_json (the --json of commands)
 * or a JSON log it is {"error": {code, exit, message, …}}.
 */
enum exit_code log_fail(struct log *log, bool errors_json, enum exit_code code, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));
enum exit_code log_fail_storage(struct log *log, bool errors_json, const struct storage_error *err);
enum exit_code log_fail_model(struct log *log, bool errors_json, const struct model_error *err);

/* Now as ISO 8601 in UTC, "2026-11-24T08:15:00Z"; size >= 21. */
void log_timestamp(char *out, size_t size);

#endif
