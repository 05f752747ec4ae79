/*
 * command.h - COMMAND as a trainer: what the job keeps for it.
 *
 * command.c takes it through the states, supervise.c through its life as processes, and
 * command_resume.c finds where it goes on.
 */
#ifndef RUNNER_COMMAND_H
#define RUNNER_COMMAND_H

#include "runner/job/child.h"
#include "runner/job/tee.h"
#include "runner/job/trainer.h"

enum {
    SIDES_MAX = 64, /* of --input and of --output each */
    SIDE_NAME_MAX = 64
};

/* One --input or --output. */
struct command_side {
    char name[SIDE_NAME_MAX];
    const char *url; /* borrowed from the settings */
    char folder[JOB_PATH_MAX];
};

struct command_job {
    char path[JOB_PATH_MAX]; /* of the program */
    struct command_side inputs[SIDES_MAX], outputs[SIDES_MAX];
    size_t input_count, output_count;

    char resume_ckpt[JOB_PATH_MAX]; /* the newest checkpoint, here; "": none */
    uint64_t resume_epoch, resume_step;

    struct child child;
    struct tee tee;     /* of its output, while teeing */
    bool teeing;        /* there is a log to put it into */
    int events;         /* signals_listen's descriptor; -1 before */
    uint64_t kills;     /* of the control group for want of memory, before COMMAND was started */
    const char *killed; /* why we sent it SIGKILL; NULL: we did not */
};

/* supervise.c. run: RUN; stop: STOPPING. */
enum exit_code command_supervise(struct job *job);
enum exit_code command_stop(struct job *job);

/* command_resume.c: chooses the run, and brings its newest checkpoint here. */
enum exit_code command_resume(struct job *job);

/* Before another try: it goes on from the newest that the tries before have saved here, if any. */
enum exit_code command_resume_again(struct job *job);

/* Makes what COMMAND is started with. False: no memory. */
struct environment;
bool command_environment(struct job *job, struct environment *environment, uint64_t try);
char **command_words(struct job *job);

#endif
