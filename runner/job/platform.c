#include "runner/job/platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

/* The first of the names that holds a number; unless when none does. */
static uint64_t number_of(const char *const *names, uint64_t unless)
{
    for (; *names; names++) {
        const char *text = getenv(*names);
        char *end = NULL;
        errno = 0;
        if (text && text[0] >= '0' && text[0] <= '9') {
            unsigned long long value = strtoull(text, &end, 10);
            if (!*end && !errno) {
                return value;
            }
        }
    }
    return unless;
}

void platform_read(struct platform *platform)
{
    static const char *const marks[] = {"MA_JOB_DIR",   "MA_MOUNT_PATH", "MA_LOG_DIR",
                                        "MA_NUM_HOSTS", "MA_CURRENT_IP", "MA_CURRENT_INSTANCE_NAME",
                                        "MA_TASK_NAME", "DLS_TRAIN_URL", "DLS_TASK_NUMBER"};
    static const char *const node[] = {"VC_TASK_INDEX", "DLS_TASK_INDEX", NULL};
    static const char *const nodes[] = {"MA_NUM_HOSTS", "VC_WORKER_NUM", "DLS_TASK_NUMBER", NULL};
    static const char *const schedules[] = {"MA_SCHEDULE_CNT", NULL};
    static const char *const starts[] = {"MA_PROC_START_CNT", NULL};
    static const struct {
        const char *name;
        uint64_t first; /* what it says at the first start */
    } counters[] = {{"SLURM_RESTART_COUNT", 0},
                    {"TORCHELASTIC_RESTART_COUNT", 0},
                    {"BATCH_TASK_RETRY_ATTEMPT", 0},
                    {"AWS_BATCH_JOB_ATTEMPT", 1}};
    *platform = (struct platform){.nodes = number_of(nodes, 1),
                                  .schedules = number_of(schedules, 0),
                                  .starts = number_of(starts, 0)};
    for (size_t i = 0; i < sizeof counters / sizeof *counters && !platform->counter; i++) {
        const char *const names[] = {counters[i].name, NULL};
        platform->count = number_of(names, counters[i].first);
        platform->counter = platform->count > counters[i].first ? counters[i].name : NULL;
    }
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        platform->is_modelarts |= getenv(marks[i]) != NULL;
    }
    /* Of one node the index means nothing, and may be any. */
    platform->node = platform->nodes > 1 ? number_of(node, 0) : 0;
}

bool platform_is_restart(const struct platform *platform)
{
    return platform->schedules > 1 || platform->starts > 1 || platform->counter;
}

const char *platform_work_dir(const struct platform *platform, const char *cache)
{
    return platform->is_modelarts && access(cache, W_OK | X_OK) == 0 ? cache : ".";
}

void platform_describe(const struct platform *platform, bool is_local, char *out, size_t size)
{
    out[0] = '\0';
    if (!platform->is_modelarts && platform->nodes <= 1) {
        if (platform->counter) {
            snprintf(out, size, "started again by the platform: %s is %llu", platform->counter,
                     (unsigned long long)platform->count);
        }
        return;
    }
    int used =
        snprintf(out, size, "%s",
                 !platform->is_modelarts ? "a job of several nodes"
                 : is_local              ? "ModelArts, new style: data are read in place, and the "
                                           "platform syncs the local train_url"
                            : "ModelArts, old style: jobferry copies data in and results out");
    if (platform->nodes > 1 && used >= 0 && (size_t)used < size) {
        used += snprintf(out + used, size - (size_t)used, "; node %llu of %llu",
                         (unsigned long long)platform->node, (unsigned long long)platform->nodes);
    }
    if (platform_is_restart(platform) && !platform->counter && used >= 0 && (size_t)used < size) {
        snprintf(out + used, size - (size_t)used, "; scheduled %llu times, started %llu times here",
                 (unsigned long long)platform->schedules, (unsigned long long)platform->starts);
    } else if (platform->counter && used >= 0 && (size_t)used < size) {
        snprintf(out + used, size - (size_t)used, "; %s is %llu", platform->counter,
                 (unsigned long long)platform->count);
    }
}
