/* session.h - what `eval` and `infer` begin with: images, and a model with a checkpoint's weights.
 */
#ifndef RUNNER_SESSION_H
#define RUNNER_SESSION_H

#include "runner/commands/commands.h"
#include "runner/job/job.h"

struct session {
    struct app *app;
    char data_dir[JOB_PATH_MAX], ckpt_dir[JOB_PATH_MAX], output_dir[JOB_PATH_MAX];
    char path[JOB_PATH_MAX];      /* of the checkpoint */
    struct model_dataset *images; /* the test set, or those of --image */
    struct model *model;
    struct model_state state; /* of the newest so far */
};

/*
 * Opens the images that paths[count] name, or with count 0 the test set of --data_url, and loads
 * --checkpoint, or the newest of ours in --ckpt_dir. A failure is logged. Close it in any case.
 */
enum exit_code session_open(struct session *session, struct app *app, const char *const *paths,
                            size_t count);
void session_close(struct session *session);

#endif
