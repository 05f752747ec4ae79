/* cp.c - `jobferry cp SOURCE DESTINATION`: the parallel copy, with progress and one summary. */
#include "runner/commands/commands.h"
#include "runner/json_line.h"
#include "runner/progress.h"

#include <stdio.h>

#include "runner/runner_banned.h"

struct copy_view {
    struct app *app;
    struct progress progress;
    const struct place *source, *destination;
};

/* A key or path of a place as a person types it. */
static void show_url(char *out, size_t size, const struct place *place, const char *key)
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
    if (view->app->settings->json) {
        char source[STORAGE_PATH_MAX + 80];
        char destination[STORAGE_PATH_MAX + 80];
        show_url(source, sizeof source, view->source, copied->source);
        show_url(destination, sizeof destination, view->destination, copied->destination);
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

static void print_summary(struct app *app, const struct storage_summary *summary)
{
    if (app->settings->json) {
        json_line_print(json_pack("{s{sI sI si si sI sf sI}}", "summary", "files",
                                  (json_int_t)summary->objects, "bytes", (json_int_t)summary->bytes,
                                  "skipped", 0, "deleted", 0, "failed", (json_int_t)summary->failed,
                                  "seconds", summary->seconds, "retries",
                                  (json_int_t)summary->retries));
        return;
    }
    char bytes[32];
    char rate[32];
    format_bytes(bytes, sizeof bytes, summary->bytes);
    format_bytes(
        rate, sizeof rate,
        (uint64_t)((double)summary->bytes / (summary->seconds > 1e-6 ? summary->seconds : 1)));
    char failed[48] = "";
    if (summary->failed) {
        snprintf(failed, sizeof failed, "; %llu failed", (unsigned long long)summary->failed);
    }
    log_info(&app->log, "copied %llu objects, %s in %.2f s (%s/s)%s",
             (unsigned long long)summary->objects, bytes, summary->seconds, rate, failed);
}

enum exit_code command_cp(struct app *app)
{
    const struct arguments *arguments = app->arguments;
    if (arguments->positional_count != 2) {
        return app_fail(app, EXIT_USAGE, "cp takes a source and a destination, not %zu words",
                        arguments->positional_count);
    }
    struct place source = {0};
    struct place destination = {0};
    enum exit_code code =
        place_open(&source, app, SIDE_DATA, arguments->positional[0], app->stop, 0);
    if (!code) {
        code = place_open(&destination, app, SIDE_TRAIN, arguments->positional[1], app->stop, 0);
    }
    if (code) {
        goto done;
    }
    struct copy_view view = {.app = app, .source = &source, .destination = &destination};
    progress_init(&view.progress, "copying", &app->log);
    struct storage_copy copy = {
        .source = source.store,
        .source_key = source.url.key,
        .destination = destination.store,
        .destination_key = destination.url.key,
        .recursive = app->settings->recursive,
        .stop = app->stop,
        .on_object = on_object,
        .on_progress = on_progress,
        .context = &view,
    };
    struct storage_summary summary = {0};
    struct storage_error err = {0};
    enum storage_code result = storage_copy(&copy, &summary, &err);
    progress_end(&view.progress);
    if (result && summary.failed == 0) {
        code = app_fail_storage(app, &err);
    } else {
        print_summary(app, &summary);
        code = result ? exit_code_of_storage(result) : EXIT_DONE;
        /* what failed before was told; a stop is what ended it */
        code = result && atomic_load(app->stop) ? EXIT_INTERRUPTED : code;
    }
done:
    place_close(&source);
    place_close(&destination);
    return code;
}
