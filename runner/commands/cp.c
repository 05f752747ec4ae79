/* cp.c - `jobferry cp SOURCE DESTINATION`: the parallel copy, with progress and one summary. */
#include "runner/commands/commands.h"
#include "runner/commands/copy_view.h"

#include <errno.h>
#include <string.h>

#include "runner/runner_banned.h"

/* Begins the manifest that --manifest asks for. */
static enum exit_code begin_manifest(struct copy_view *view)
{
    const char *path = view->app->settings->manifest;
    view->manifest = path ? manifest_begin(path, view->destination.url.key) : NULL;
    return !path || view->manifest
               ? EXIT_DONE
               : app_fail(view->app, EXIT_DISK, "create %s: %s", path, strerror(errno));
}

/* Publishes it, unless nothing was copied. code is the copy's, and the result's unless it is DONE.
 */
static enum exit_code end_manifest(struct copy_view *view, const struct storage_summary *summary,
                                   enum exit_code code)
{
    struct manifest_writer *manifest = view->manifest;
    view->manifest = NULL;
    if (!manifest || summary->objects == 0) {
        manifest_discard(manifest);
    } else if (!manifest_publish(manifest, code == EXIT_DONE)) {
        enum exit_code failure = app_fail(view->app, EXIT_DISK, "write %s: %s",
                                          view->app->settings->manifest, strerror(errno));
        code = code ? code : failure;
    }
    return code;
}

enum exit_code command_cp(struct app *app)
{
    struct copy_view view;
    enum exit_code code = copy_view_open(&view, app, "cp", "copying");
    if (code) {
        goto done;
    }
    code = begin_manifest(&view);
    if (code) {
        progress_end(&view.progress);
        goto done;
    }
    struct storage_copy copy = copy_view_copy(&view);
    struct storage_summary summary = {0};
    struct storage_error err = {0};
    copy.recursive = app->settings->recursive;
    enum storage_code result = storage_copy(&copy, &summary, &err);
    progress_end(&view.progress);
    if (result && summary.failed == 0) {
        code = app_fail_storage(app, &err);
    } else {
        copy_view_print_summary(app, &summary);
        code = result ? exit_code_of_storage(result) : EXIT_DONE;
        /* what failed before was told; a stop is what ended it */
        code = result && atomic_load(app->stop) ? EXIT_INTERRUPTED : code;
    }
    code = end_manifest(&view, &summary, code);
done:
    copy_view_release(&view);
    return code;
}
