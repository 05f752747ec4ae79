/*
 * termination.h - how a job ended, left on the local disk for the platform that started it: in the
 * file that Kubernetes shows as the container's message, and in the one that SageMaker shows as the
 * reason of a failure. Neither is made where the platform is not, nor put over what somebody else
 * wrote.
 */
#ifndef RUNNER_TERMINATION_H
#define RUNNER_TERMINATION_H

#include <stddef.h>

enum {
    TERMINATION_MAX = 4096, /* bytes: Kubernetes cuts there */
    FAILURE_MAX = 1024      /* bytes: what SageMaker shows */
};

/* What was written so far, so that a later word may replace our own. */
struct termination {
    char written[TERMINATION_MAX + 1];
    char failure[FAILURE_MAX + 1];
};

/*
 * Writes message to log_path when that file is there and empty, or ours; and, unless code is 0, to
 * failure_path when its folder is there and the file is not, or is ours. Texts are cut between
 * characters. What cannot be written is let be.
 */
void termination_write(struct termination *termination, const char *log_path,
                       const char *failure_path, int code, const char *message);

#endif
