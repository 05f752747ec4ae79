/* train.c - `run` and `train`: the job's story with and without a train_url. */
#include "runner/commands/commands.h"
#include "runner/environment.h"
#include "runner/job/job.h"

#include <sys/prctl.h>

#include "runner/runner_banned.h"

static enum exit_code no_words(struct app *app, const char *command)
{
    return app->arguments->positional_count == 0
               ? EXIT_DONE
               : app_fail(app, EXIT_USAGE, "%s takes no words, only options: '%s'", command,
                          app->arguments->positional[0]);
}

enum exit_code command_run(struct app *app)
{
    /* Other processes of this user could read our keys from /proc else. */
    if (!environment_hide() || prctl(PR_SET_DUMPABLE, 0) != 0) {
        return app_fail(app, EXIT_BUG, "hide the keys: no memory");
    }
    return job_main(app, true);
}

enum exit_code command_train(struct app *app)
{
    enum exit_code code = no_words(app, "train");
    return code ? code : job_main(app, false);
}
