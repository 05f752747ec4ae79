/* evaluate.c - `eval`: a checkpoint, the test images, the lab's line. */
#include "runner/commands/session.h"
#include "runner/job/metrics.h"
#include "runner/json_line.h"

#include "runner/runner_banned.h"

enum exit_code command_eval(struct app *app)
{
    struct session session;
    struct model_error err;
    struct model_metrics metrics;
    if (app->arguments->positional_count > 0) {
        return app_fail(app, EXIT_USAGE, "only options are taken here, not '%s'",
                        app->arguments->positional[0]);
    }
    enum exit_code code = job_check_metrics(app);
    if (code) {
        return code;
    }
    code = session_open(&session, app, NULL, 0);
    if (!code && model_evaluate(session.model, session.images, app->settings->drop_remainder,
                                &metrics, &err)) {
        code = app_fail_model(app, &err);
    }
    if (!code && app->settings->json) {
        json_line_print(json_pack("{so sI}", "metrics", job_metrics_json(&metrics), "samples",
                                  (json_int_t)metrics.samples));
    } else if (!code) {
        job_print_metrics(app, &metrics);
    }
    session_close(&session);
    return code;
}
