/* TimeMonitor: MindSpore's line on an epoch's time, handed to whoever prints. */
#include "model/model.h"

#include <stdio.h>

#include "model/model_banned.h"

static enum model_code epoch_end(void *context, const struct model_progress *progress,
                                 struct model_error *err)
{
    (void)err;
    const struct model_time_monitor *monitor = context;
    double milliseconds = progress->epoch_seconds * 1000.0;
    char line[128];
    snprintf(line, sizeof line, "Train epoch time: %5.3f ms, per step time: %5.3f ms", milliseconds,
             milliseconds / (double)progress->state.steps_per_epoch);
    monitor->print(monitor->context, line);
    return MODEL_OK;
}

void model_time_monitor_init(struct model_callback *callback, struct model_time_monitor *monitor)
{
    *callback = (struct model_callback){.epoch_end = epoch_end, .context = monitor};
}
