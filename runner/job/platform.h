/*
 * platform.h - what the platform says of the job in the environment: ModelArts, old and new style,
 * and its Volcano variables.
 *
 *   MA_*                        this is ModelArts; MA_SCHEDULE_CNT times the job was scheduled,
 *                               MA_PROC_START_CNT times this process was started
 *   VC_TASK_INDEX, VC_WORKER_NUM, MA_NUM_HOSTS     which node of how many (new style)
 *   DLS_TASK_INDEX, DLS_TASK_NUMBER                the same (old style)
 *
 * And counters of platforms that start a job again: SLURM_RESTART_COUNT,
 * TORCHELASTIC_RESTART_COUNT, Google Batch's BATCH_TASK_RETRY_ATTEMPT (0 at the first start),
 * AWS_BATCH_JOB_ATTEMPT (1 then). Kubernetes tells a container of no restart. All of them decide
 * one thing: that --resume=never was for the first start. They reach COMMAND as they are;
 * JOBFERRY_ATTEMPT is none of them but counts the starts of a run that train_url has recorded:
 * those by hand too, none that ended before the run was found, and from 1 again for a new run.
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
    const char *counter;        /* the name of one that says "again", static; NULL: none does */
    uint64_t count;             /* what it says */
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
