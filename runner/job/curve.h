/*
 * curve.h - the built-in training's curve: `<output_dir>/history.jsonl` while it goes on, curve.svg
 * and curve.png when it has ended. Whatever goes wrong with them is a warning: no training fails
 * for its picture.
 */
#ifndef RUNNER_CURVE_H
#define RUNNER_CURVE_H

#include "runner/job/job.h"

/*
 * Begins it, as job->history. A training that goes on elsewhere than before fetches the history
 * that an earlier start has left in train_url.
 */
void curve_begin(struct job *job);
/* Draws both pictures; nothing while no step was trained. */
void curve_end(struct job *job);

#endif
