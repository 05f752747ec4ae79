/*
 * app.h - what every command gets: its arguments, the log, the stop flag; and opening a place with
 * the credentials of its side.
 */
#ifndef RUNNER_APP_H
#define RUNNER_APP_H

#include "runner/access.h"
#include "runner/log.h"
#include "runner/options.h"

#include <stdatomic.h>

struct command; /* commands/commands.h */

struct app {
    struct arguments *arguments;
    const struct settings *settings; /* of arguments */
    struct log log;
    const atomic_bool *stop;        /* true once SIGINT or SIGTERM came */
    const atomic_bool *stop_now;    /* true once it came again */
    const struct command *commands; /* all there are */
    size_t command_count;
};

/* A command's body; returns the process's exit code. */
typedef enum exit_code command_fn(struct app *app);

/* A URL, parsed, and the store behind it. */
struct place {
    struct storage_url url;
    struct storage *store;
    char text[STORAGE_PATH_MAX + 80]; /* the URL for messages */
    struct {
        char source[160];    /* for people: "profile 'x'", "nobody: --sign=none" */
        bool is_fixed_token; /* a session token that nothing renews */
        int64_t expires;     /* when that ends, seconds since 1970; 0: nobody says */
    } keys;
};

/*
 * Parses text and opens its store with the credentials of side; requests end when *stop turns true.
 * deadline_ms bounds each request with all its retries; 0: none. On failure logs it and returns its
 * code; place is then empty.
 */
enum exit_code place_open(struct place *place, struct app *app, enum side side, const char *text,
                          const atomic_bool *stop, unsigned deadline_ms);
void place_close(struct place *place);

/* Gives a copy what --connections, --part_size and --max_memory (default: memory_max) say. */
void app_tune_copy(const struct app *app, struct storage_copy *copy, uint64_t memory_max);

/* Makes a local folder with its parents; one that is there is fine. Logs a failure. */
enum exit_code app_make_folder(struct app *app, const char *path);

/* Logs a failure in the form --json asks for, and returns its exit code. */
enum exit_code app_fail_storage(struct app *app, const struct storage_error *err);
enum exit_code app_fail_model(struct app *app, const struct model_error *err);
#define app_fail(app, code, ...) log_fail(&(app)->log, (app)->settings->json, code, __VA_ARGS__)

/* Copies text into out; returns false when size cut it short. */
bool copy_text(char *out, size_t size, const char *text);
/* "11.1 MiB"; size >= 16. */
void format_bytes(char *out, size_t size, uint64_t bytes);
/* Nanoseconds since 1970 as ISO 8601 UTC, "2026-11-24T08:15:00Z"; "-" for 0; size >= 32. */
void format_time(char *out, size_t size, int64_t time_ns);
/* Monotonic seconds. */
double clock_seconds(void);

#endif
