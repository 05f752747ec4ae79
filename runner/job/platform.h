/*
 * platform.h - what the platform says of the job in the environment: ModelArts, old and new style,
 * and its Volcano variables.
 *
 *   MA_*                        this is ModelArts; MA_SCHEDULE_CNT times the job was scheduled,
 *                               MA_PROC_START_CNT times this process was started
 *   VC_TASK_INDEX, VC_WORKER_NUM, MA_NUM_HOSTS     which node of how many (new style)
 *   DLS_TASK_INDEX, DLS_TASK_NUMBER                the same (old style)
 *
 * Old style gives obs:// URLs, and we copy. New style gives local folders that the platform fills
 * and syncs: data are read in place, and train_url is published into. Source: "Viewing environment
 * variables of a training container" and "Fault tolerance" of ModelArts' documentation.
 */
#ifndef RUNNER_PLATFORM_H
#define RUNNER_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct platform {
    bool is_modelarts;
    uint64_t node, nodes;       /* 0 of 1 where nothing is said */
    uint64_t schedules, starts; /* so far, this one too; 0: nothing is said */
};

/* Reads the environment; numbers that are none count as not said. */
void platform_read(struct platform *platform);

/* Whether the platform started the job again, on its own. */
bool platform_is_restart(const struct platform *platform);

/* Where work_dir is when nobody says: cache ("/cache") on ModelArts if it can be written, else ".".
 */
const char *platform_work_dir(const struct platform *platform, const char *cache);

/* The line that says so; "" where there is nothing to say. is_local: train_url is a folder. */
void platform_describe(const struct platform *platform, bool is_local, char *out, size_t size);

#endif
