/*
 * trainer.h - what trains: the built-in LeNet5, or COMMAND. Both go through the job's same states,
 * and here is their part in each.
 */
#ifndef RUNNER_TRAINER_H
#define RUNNER_TRAINER_H

#include "runner/job/job.h"

/* Each returns EXIT_DONE, or the code of a failure it has logged. */
struct trainer {
    /* VALIDATE: whether the options can be meant. Nothing is asked of any store. */
    enum exit_code (*check)(struct job *job);
    /* STAGE_IN: the data are in job->data_dir now. */
    enum exit_code (*open_data)(struct job *job);
    /* RESUME: chooses job->run, attempt, prefix and start, and brings the checkpoint here. */
    enum exit_code (*resume)(struct job *job);
    /* RUN: trains until the end, a failure, or a stop: EXIT_STOPPED, without a word. */
    enum exit_code (*run)(struct job *job);
    /* STOPPING: brings what run left to a good end, soon. */
    enum exit_code (*stop)(struct job *job);
    /* FINALIZE: what it has besides checkpoints and output_dir. NULL: nothing. */
    enum exit_code (*finish)(struct job *job);
    void (*release)(struct job *job);
};

extern const struct trainer trainer_builtin, trainer_command;

/* The built-in trainer's parts: builtin.c, resume.c, train.c. */
enum exit_code builtin_check(struct job *job);
enum exit_code builtin_open_data(struct job *job);
enum exit_code builtin_resume(struct job *job);
enum exit_code builtin_run(struct job *job);
enum exit_code builtin_stop(struct job *job);
enum exit_code builtin_predictions(struct job *job); /* of the test images, into the report */
void builtin_release(struct job *job);

#endif
