/* sync.c - `jobferry sync SOURCE DESTINATION`: copies what differs; deletes only with --delete. */
#include "runner/commands/commands.h"
#include "runner/commands/copy_view.h"
#include "runner/json_line.h"

#include <stdio.h>

#include "runner/runner_banned.h"

/* A step of the plan, or a deletion that was done. */
static void on_step(void *context, const struct storage_step *step)
{
    static const char *const actions[] = {[STORAGE_ACTION_COPY] = "copy",
                                          [STORAGE_ACTION_FOLDER] = "mkdir",
                                          [STORAGE_ACTION_DELETE] = "delete"};
    struct copy_view *view = context;
    char source[STORAGE_PATH_MAX + 80] = "";
    char destination[STORAGE_PATH_MAX + 80];
    copy_view_show(destination, sizeof destination, &view->destination, step->destination);
    if (step->source) {
        copy_view_show(source, sizeof source, &view->source, step->source);
    }
    if (view->app->settings->json) {
        log_draw(&view->app->log, NULL); /* stdout may be the same terminal */
        json_line_print(step->source
                            ? json_pack("{ss so so sI}", "action", actions[step->action], "source",
                                        json_text(source), "destination", json_text(destination),
                                        "size", (json_int_t)step->size)
                            : json_pack("{ss so}", "action", actions[step->action], "destination",
                                        json_text(destination)));
    } else if (view->app->settings->dry_run) {
        log_draw(&view->app->log, NULL);
        printf("%s %s%s%s\n", actions[step->action], source, step->source ? " -> " : "",
               destination);
    }
}

static void print_summary(struct app *app, const struct storage_summary *summary)
{
    if (app->settings->dry_run && !app->settings->json) {
        char bytes[32];
        format_bytes(bytes, sizeof bytes, summary->bytes);
        log_info(&app->log, "nothing was changed: %llu objects, %s would be copied; %llu unchanged",
                 (unsigned long long)summary->objects, bytes, (unsigned long long)summary->skipped);
        return;
    }
    copy_view_print_summary(app, summary);
}

/* Which of the comparisons is asked for; false: more than one. */
static bool choose_comparison(const struct settings *settings, enum storage_compare *compare)
{
    *compare = settings->exact_mtime ? STORAGE_COMPARE_EXACT_MTIME
               : settings->size_only ? STORAGE_COMPARE_SIZE_ONLY
               : settings->checksum  ? STORAGE_COMPARE_CHECKSUM
                                     : STORAGE_COMPARE_DEFAULT;
    return settings->exact_mtime + settings->size_only + settings->checksum <= 1;
}

enum exit_code command_sync(struct app *app)
{
    const struct settings *settings = app->settings;
    struct storage_sync sync = {
        .delete_extra = settings->delete_extra,
        .dry_run = settings->dry_run,
        .delete_max = settings->max_delete < 0 ? UINT64_MAX : (uint64_t)settings->max_delete,
        .on_step = on_step};
    if (!choose_comparison(settings, &sync.compare)) {
        return app_fail(app, EXIT_USAGE,
                        "sync compares in one way: --exact_mtime, --size_only or --checksum");
    }
    struct copy_view view;
    enum exit_code code = copy_view_open(&view, app, "sync", "syncing");
    if (code) {
        goto done;
    }
    struct storage_summary summary = {0};
    struct storage_error err = {0};
    sync.copy = copy_view_copy(&view);
    enum storage_code result = storage_sync(&sync, &summary, &err);
    progress_end(&view.progress);
    if (result && (summary.failed == 0 || result == STORAGE_WITHHELD)) {
        code = app_fail_storage(app, &err);
    }
    if (!result || summary.failed > 0 || result == STORAGE_WITHHELD) {
        print_summary(app, &summary);
        code = result ? exit_code_of_storage(result) : EXIT_DONE;
    }
    if (summary.withheld > 0 && result != STORAGE_WITHHELD) {
        log_warn(&app->log, "%llu objects that the source lacks were not deleted",
                 (unsigned long long)summary.withheld);
    }
    /* what failed before was told; a stop is what ended it */
    code = result && atomic_load(app->stop) ? EXIT_INTERRUPTED : code;
done:
    copy_view_release(&view);
    return code;
}
