/* cp.c - `jobferry cp SOURCE DESTINATION`: the parallel copy, with progress and one summary. */
#include "runner/commands/commands.h"
#include "runner/commands/copy_view.h"

#include "runner/runner_banned.h"

enum exit_code command_cp(struct app *app)
{
    struct copy_view view;
    enum exit_code code = copy_view_open(&view, app, "cp", "copying");
    if (code) {
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
done:
    copy_view_release(&view);
    return code;
}
