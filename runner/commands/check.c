/* check.c - `check`: what would be wrong with a job, without the job. */
#include "runner/commands/commands.h"
#include "runner/job/preflight.h"

#include "runner/runner_banned.h"

enum exit_code command_check(struct app *app)
{
    return preflight_print(app);
}
