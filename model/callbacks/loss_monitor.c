/* LossMonitor: the lab's line of text, handed to whoever prints. */
#include "model/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/model_error.h"

#include "model/model_banned.h"

struct loss_monitor {
    uint64_t per_print_times;
    model_print_fn *print;
    void *context;
};

static enum model_code step_end(void *context, const struct model_progress *progress,
                                struct model_error *err)
{
    (void)err;
    const struct loss_monitor *monitor = context;
    const struct model_state *state = &progress->state;
    uint64_t step_of_run = state->cumulative_step - state->base_step;
    if (monitor->per_print_times == 0 || step_of_run % monitor->per_print_times != 0) {
        return MODEL_OK;
    }
    char loss[32];
    model_format_double(loss, sizeof loss, progress->loss);
    char line[128];
    snprintf(line, sizeof line, "epoch: %" PRIu64 " step %" PRIu64 ", loss is %s", state->epoch,
             state->step, loss);
    monitor->print(monitor->context, line);
    return MODEL_OK;
}

enum model_code model_loss_monitor_new(struct model_callback *callback, uint64_t per_print_times,
                                       model_print_fn *print, void *context,
                                       struct model_error *err)
{
    *callback = (struct model_callback){0};
    struct loss_monitor *monitor = malloc(sizeof *monitor);
    if (!monitor) {
        return model_fail(err, MODEL_BUG, "making the loss monitor: no memory");
    }
    *monitor = (struct loss_monitor){per_print_times, print, context};
    *callback = (struct model_callback){.step_end = step_end, .context = monitor};
    return MODEL_OK;
}

void model_loss_monitor_free(struct model_callback *callback)
{
    free(callback->context);
    *callback = (struct model_callback){0};
}
