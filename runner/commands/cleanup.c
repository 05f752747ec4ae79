/*
 * cleanup.c - `jobferry cleanup URL`: what copies that died have left, listed, or with --abort
 * removed: uploads that were never completed, temporary files, journals.
 */
#include "runner/commands/cleanup_checkpoints.h"
#include "runner/commands/commands.h"
#include "runner/json_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runner/runner_banned.h"

struct cleanup_view {
    struct app *app;
    struct place *place;
    int64_t before_ns; /* what began later stays */
    bool removes;
    uint64_t found, removed, younger, in_use, failed;
    enum storage_code first_failure;
};

/* "7d", "12h", "30m", "45s"; a bare number is days. */
static bool parse_age(int64_t *seconds, const char *text)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'\0', 86400}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    enum {
        AGE_MAX = 1000000 /* of any unit */
    };
    char *end = NULL;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno || number > AGE_MAX || (*end && end[1])) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (*end == units[i].letter) {
            *seconds = (int64_t)number * units[i].seconds;
            return true;
        }
    }
    return false;
}

static void print_leftover(const struct cleanup_view *view, const struct storage_leftover *leftover,
                           const char *state)
{
    char started[32];
    char shown[STORAGE_PATH_MAX + 80];
    struct storage_url url = view->place->url;
    snprintf(url.key, sizeof url.key, "%s", leftover->key);
    storage_url_format(&url, shown, sizeof shown);
    format_time(started, sizeof started, leftover->started_ns);
    if (!view->app->settings->json) {
        printf("%20s %-8s %s%s%s\n", started, state, shown, leftover->upload_id ? " upload " : "",
               leftover->upload_id ? leftover->upload_id : "");
        return;
    }
    json_t *line =
        json_pack("{so ss ss}", "url", json_text(shown), "started", started, "state", state);
    if (leftover->upload_id) {
        json_object_set_new(line, "upload_id", json_text(leftover->upload_id));
    } else {
        json_object_set_new(line, "size", json_integer((json_int_t)leftover->size));
    }
    json_line_print(line);
}

static enum storage_code on_leftover(void *context, const struct storage_leftover *leftover,
                                     struct storage_error *err)
{
    struct cleanup_view *view = context;
    const char *state = "left";
    struct storage_error failure;
    view->found++;
    if (leftover->in_use) {
        view->in_use++;
        state = "in use";
    } else if (leftover->started_ns > view->before_ns) {
        view->younger++;
        state = "younger";
    } else if (view->removes) {
        enum storage_code code = storage_leftover_remove(view->place->store, leftover, &failure);
        if (code == STORAGE_STOPPED) {
            *err = failure;
            return code;
        }
        view->removed += code == STORAGE_OK;
        state = code == STORAGE_OK ? "removed" : "failed";
        if (code != STORAGE_OK) {
            view->failed++;
            view->first_failure = view->first_failure ? view->first_failure : code;
            app_fail_storage(view->app, &failure);
        }
    }
    print_leftover(view, leftover, state);
    return STORAGE_OK;
}

static void print_summary(const struct cleanup_view *view)
{
    if (view->app->settings->json) {
        json_line_print(json_pack("{s{sI sI sI sI sI}}", "summary", "found",
                                  (json_int_t)view->found, "removed", (json_int_t)view->removed,
                                  "younger", (json_int_t)view->younger, "in_use",
                                  (json_int_t)view->in_use, "failed", (json_int_t)view->failed));
        return;
    }
    uint64_t old = view->found - view->younger - view->in_use;
    log_info(&view->app->log,
             "%llu left-overs below %s: %llu %s, %llu younger than --older_than=%s, %llu in use%s",
             (unsigned long long)view->found, view->place->text,
             (unsigned long long)(view->removes ? view->removed : old),
             view->removes ? "removed" : "to be removed", (unsigned long long)view->younger,
             view->app->settings->older_than, (unsigned long long)view->in_use,
             !view->removes && old > 0 ? "; --abort removes them" : "");
}

enum exit_code command_cleanup(struct app *app)
{
    const struct settings *settings = app->settings;
    struct place place = {0};
    int64_t age = 0;
    if (app->arguments->positional_count != 1) {
        return app_fail(app, EXIT_USAGE, "cleanup takes one URL, not %zu words",
                        app->arguments->positional_count);
    }
    if (settings->checkpoints) {
        return cleanup_checkpoints(app);
    }
    if (!parse_age(&age, settings->older_than)) {
        return app_fail(app, EXIT_USAGE,
                        "--older_than=%s: an age is a number of days, or as 7d, 12h, 30m, 45s",
                        settings->older_than);
    }
    enum exit_code code =
        place_open(&place, app, SIDE_DATA, app->arguments->positional[0], app->stop, 0);
    if (code) {
        return code;
    }
    struct storage_error err = {0};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct cleanup_view view = {.app = app,
                                .place = &place,
                                .before_ns = ((int64_t)now.tv_sec - age) * 1000000000 + now.tv_nsec,
                                .removes = settings->abort_leftovers || settings->yes};
    enum storage_code result =
        storage_leftovers(place.store, place.url.key, on_leftover, &view, &err);
    if (result) {
        code = app_fail_storage(app, &err);
    } else {
        print_summary(&view);
        code = exit_code_of_storage(view.first_failure);
    }
    place_close(&place);
    return code;
}
