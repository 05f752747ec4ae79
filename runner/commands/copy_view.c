#include "runner/commands/copy_view.h"

#include "runner/json_line.h"

#include <stdio.h>
#include <string.h>

#include "runner/runner_banned.h"

static enum exit_code read_filter(struct copy_view *view)
{
    const struct settings *settings = view->app->settings;
    struct storage_error err;
    if (settings->include.count == 0 && settings->exclude.count == 0) {
        return EXIT_DONE;
    }
    view->filter = storage_filter_new();
    if (!view->filter) {
        return app_fail(view->app, EXIT_BUG, "no memory for --include and --exclude");
    }
    for (size_t i = 0; i < settings->include.count + settings->exclude.count; i++) {
        bool exclude = i >= settings->include.count;
        const char *pattern = exclude ? settings->exclude.items[i - settings->include.count]
                                      : settings->include.items[i];
        if (storage_filter_add(view->filter, pattern, exclude, &err)) {
            return app_fail_storage(view->app, &err);
        }
    }
    return EXIT_DONE;
}

enum exit_code copy_view_open_places(struct copy_view *view, struct app *app, const char *verb,
                                     const char *source, const char *destination)
{
    *view = (struct copy_view){.app = app};
    enum exit_code code = read_filter(view);
    if (!code) {
        code = place_open(&view->source, app, SIDE_DATA, source, app->stop, 0);
    }
    if (!code) {
        code = place_open(&view->destination, app, SIDE_TRAIN, destination, app->stop, 0);
    }
    if (!code) {
        progress_init(&view->progress, verb, &app->log);
    }
    return code;
}

enum exit_code copy_view_open(struct copy_view *view, struct app *app, const char *command,
                              const char *verb)
{
    const struct arguments *arguments = app->arguments;
    *view = (struct copy_view){.app = app};
    if (arguments->positional_count != 2) {
        return app_fail(app, EXIT_USAGE, "%s takes a source and a destination, not %zu words",
                        command, arguments->positional_count);
    }
    return copy_view_open_places(view, app, verb, arguments->positional[0],
                                 arguments->positional[1]);
}

void copy_view_release(struct copy_view *view)
{
    place_close(&view->source);
    place_close(&view->destination);
    storage_filter_free(view->filter);
}

void copy_view_show(char *out, size_t size, const struct place *place, const char *key)
{
    struct storage_url url = place->url;
    snprintf(url.key, sizeof url.key, "%s", key);
    storage_url_format(&url, out, size);
}

static void on_object(void *context, const struct storage_copied *copied)
{
    struct copy_view *view = context;
    if (copied->error) {
        app_fail_storage(view->app, copied->error);
        return;
    }
    if (view->manifest) {
        manifest_add(view->manifest, copied);
    }
    if (view->app->settings->json) {
        char source[STORAGE_PATH_MAX + 80];
        char destination[STORAGE_PATH_MAX + 80];
        copy_view_show(source, sizeof source, &view->source, copied->source);
        copy_view_show(destination, sizeof destination, &view->destination, copied->destination);
        log_draw(&view->app->log, NULL); /* stdout may be the same terminal */
        json_line_print(json_pack("{so so sI ss sf}", "source", json_text(source), "destination",
                                  json_text(destination), "size", (json_int_t)copied->size,
                                  "verified", storage_verified_name(copied->verified), "seconds",
                                  copied->seconds));
    }
}

static void on_progress(void *context, const struct storage_progress *now)
{
    struct copy_view *view = context;
    progress_show(&view->progress, now);
}

struct storage_copy copy_view_copy(struct copy_view *view)
{
    const char *symlinks = view->app->settings->symlinks;
    struct storage_copy copy = {
        .source = view->source.store,
        .source_key = view->source.url.key,
        .destination = view->destination.store,
        .destination_key = view->destination.url.key,
        .symlinks = strcmp(symlinks, "skip") == 0    ? STORAGE_SYMLINKS_SKIP
                    : strcmp(symlinks, "error") == 0 ? STORAGE_SYMLINKS_ERROR
                                                     : STORAGE_SYMLINKS_FOLLOW,
        .filter = view->filter,
        .stop = view->app->stop,
        .on_object = on_object,
        .on_progress = on_progress,
        .context = view,
    };
    app_tune_copy(view->app, &copy, 0);
    return copy;
}

static void add_count(char *text, size_t size, uint64_t count, const char *what)
{
    size_t length = strlen(text);
    if (count > 0) {
        snprintf(text + length, size - length, "; %llu %s", (unsigned long long)count, what);
    }
}

void copy_view_print_summary(struct app *app, const struct storage_summary *summary)
{
    if (app->settings->json) {
        json_line_print(json_pack(
            "{s{sI sI sI sI sI sI sf sI}}", "summary", "files", (json_int_t)summary->objects,
            "bytes", (json_int_t)summary->bytes, "resumed", (json_int_t)summary->resumed, "skipped",
            (json_int_t)summary->skipped, "deleted", (json_int_t)summary->deleted, "failed",
            (json_int_t)summary->failed, "seconds", summary->seconds, "retries",
            (json_int_t)summary->retries));
        return;
    }
    char bytes[32];
    char rate[32];
    char rest[160] = "";
    format_bytes(bytes, sizeof bytes, summary->bytes);
    format_bytes(
        rate, sizeof rate,
        (uint64_t)((double)summary->bytes / (summary->seconds > 1e-6 ? summary->seconds : 1)));
    add_count(rest, sizeof rest, summary->skipped, "unchanged");
    add_count(rest, sizeof rest, summary->deleted, "deleted");
    add_count(rest, sizeof rest, summary->failed, "failed");
    if (summary->resumed > 0) {
        char resumed[32];
        size_t length = strlen(rest);
        format_bytes(resumed, sizeof resumed, summary->resumed);
        snprintf(rest + length, sizeof rest - length, "; %s were there from before", resumed);
    }
    log_info(&app->log, "copied %llu objects, %s in %.2f s (%s/s)%s",
             (unsigned long long)summary->objects, bytes, summary->seconds, rate, rest);
}
