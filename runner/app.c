#include "runner/app.h"

#include "runner/headers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runner/runner_banned.h"

enum {
    STREAM_PART_MOST = 32 * 1024 * 1024 /* storage.h's default */
};

enum exit_code app_fail_storage(struct app *app, const struct storage_error *err)
{
    return log_fail_storage(&app->log, app->settings->json, err);
}

enum exit_code app_fail_model(struct app *app, const struct model_error *err)
{
    return log_fail_model(&app->log, app->settings->json, err);
}

/* Where what outlives a process is kept, as the XDG base directories say; NULL: nowhere. */
static const char *find_state_folder(char *out, size_t size)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length = state && state[0] == '/' ? snprintf(out, size, "%s/jobferry", state)
                 : home && home[0] == '/' ? snprintf(out, size, "%s/.local/state/jobferry", home)
                                          : -1;
    return length > 0 && (size_t)length < size ? out : NULL;
}

/* put holds one part: it is as large as was asked for, and as memory allows. 0: the default. */
static size_t stream_part(const struct settings *settings)
{
    uint64_t part = settings->part_size;
    if (settings->max_memory && (!part || settings->max_memory < part)) {
        part = settings->max_memory < STREAM_PART_MOST ? settings->max_memory : STREAM_PART_MOST;
    }
    return (size_t)part;
}

void app_tune_copy(const struct app *app, struct storage_copy *copy, uint64_t memory_max)
{
    const struct settings *settings = app->settings;
    copy->workers = (unsigned)settings->connections;
    copy->part_size = (size_t)settings->part_size;
    copy->memory_max = settings->max_memory ? settings->max_memory : memory_max;
}

enum exit_code place_open(struct place *place, struct app *app, enum side side, const char *text,
                          const atomic_bool *stop, unsigned deadline_ms)
{
    memset(place, 0, sizeof *place);
    struct storage_error err;
    if (storage_url_parse(&place->url, text, &err)) {
        return app_fail_storage(app, &err);
    }
    storage_url_format(&place->url, place->text, sizeof place->text);
    struct access access = {0};
    struct headers headers = {0};
    if (place->url.kind == STORAGE_S3) {
        enum exit_code code = access_resolve(&access, app->settings, side, &app->log);
        code = code ? code : headers_resolve(&headers, app->settings, side, &app->log);
        if (code) {
            access_release(&access);
            headers_release(&headers);
            return code;
        }
        copy_text(place->keys.source, sizeof place->keys.source, access.source);
        place->keys.is_fixed_token = access_has_fixed_token(&access, &place->keys.expires);
    }
    char state_folder[STORAGE_PATH_MAX];
    struct storage_config config = {
        .state_folder = find_state_folder(state_folder, sizeof state_folder),
        .access = access.storage,
        .headers = headers.storage,
        .stall_timeout_s = (unsigned)app->settings->stall_timeout,
        .connections_max = (unsigned)app->settings->connections,
        .bandwidth_max = app->settings->bandwidth_limit,
        .stream_part = stream_part(app->settings),
        .request_deadline_ms = deadline_ms,
        .stop = stop,
        .trace = app->settings->verbose ? log_trace : NULL,
        .trace_context = &app->log,
    };
    enum storage_code code = storage_open(&place->store, &place->url, &config, &err);
    access_release(&access);
    headers_release(&headers);
    return code ? app_fail_storage(app, &err) : EXIT_DONE;
}

void place_close(struct place *place)
{
    storage_close(place->store);
    place->store = NULL;
}

enum exit_code app_make_folder(struct app *app, const char *path)
{
    struct place here = {0};
    struct storage_error err;
    enum exit_code code = place_open(&here, app, SIDE_DATA, path, NULL, 0);
    if (!code && storage_make_bucket(here.store, here.url.key, &err)) {
        code = app_fail_storage(app, &err);
    }
    place_close(&here);
    return code;
}

bool copy_text(char *out, size_t size, const char *text)
{
    size_t length = strnlen(text, size - 1);
    memcpy(out, text, length);
    out[length] = '\0';
    return text[length] == '\0';
}

void format_bytes(char *out, size_t size, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(out, size, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

void format_time(char *out, size_t size, int64_t time_ns)
{
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm parts;
    if (time_ns == 0 || !gmtime_r(&seconds, &parts)) {
        snprintf(out, size, "-");
        return;
    }
    strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
