/*
 * retraining.h - training again on a schedule: is there anything new, is the result good enough, is
 * it better than the best so far.
 *
 *   --if_changed      ends at once when data_url holds what the last finished run used: the sum of
 *                     its listing (data_manifest.h) against log/<run>.report.json in train_url.
 * With 0; or with 80 again, when that run misses today's --gate, so that a schedule that has not
 * mended a bad model never turns green by itself
 *   --gate            conditions on the run's metrics; one that is missed is exit 80
 *   --promote         then .jobferry/best.json moves, if the first gate's metric (acc without a
 *                     gate) is better than the best's. It and the report hold both values
 *   --init_from=best  begins with the weights that best.json names
 *
 * Metrics are the built-in trainer's, or the numbers of <output_dir>/metrics.json, one flat JSON
 * object, that COMMAND wrote.
 */
#ifndef RUNNER_RETRAINING_H
#define RUNNER_RETRAINING_H

#include "runner/job/job.h"

/* VALIDATE: whether the options can be meant. */
enum exit_code retraining_check(struct job *job);

/* VALIDATE's end: sets job->nothing_to_do, saying so, when --if_changed finds nothing new; then
 * what is returned is the last run's outcome: EXIT_DONE, or EXIT_GATE. */
enum exit_code retraining_look_for_change(struct job *job);

/* STAGE_IN's end: a gate of the built-in trainer needs test images. */
enum exit_code retraining_can_judge(struct job *job);

/* FINALIZE of a run that came to its end: EXIT_DONE, EXIT_GATE, or a failure. */
enum exit_code retraining_judge(struct job *job);

/* RESUME: the local file of --init_from; a URL, or the promoted checkpoint, is fetched first. */
enum exit_code retraining_init_file(struct job *job, char path[JOB_PATH_MAX]);

#endif
