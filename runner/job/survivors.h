/*
 * survivors.h - the checkpoints that lie in the folder of a runner that died: which is the newest
 * that COMMAND can go on from.
 *
 * Nobody saw how they came there. So a unit is taken when its format proves it whole, or else when
 * another was written after it: a writer that dies does so in the last thing it writes. That loses
 * one interval at most. What is older than the run is another job's.
 */
#ifndef RUNNER_SURVIVORS_H
#define RUNNER_SURVIVORS_H

#include "runner/job/ferry.h"

struct survivor {
    char name[STORAGE_PATH_MAX]; /* of its main file, below the folder; "": there is none */
    uint64_t epoch, step;
};

/*
 * Finds the newest by epoch and step, among the files that the options' patterns take and that were
 * written at since_ns (nanoseconds since 1970) or later. False: no memory, or the folder cannot be
 * read.
 */
bool survivors_newest(struct survivor *newest, const struct ferry_options *options,
                      int64_t since_ns);

#endif
