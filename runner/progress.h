/*
 * progress.h - how far a copy is: a line redrawn in place on a terminal, else a plain line every
 * 30 seconds, so that a quiet phase shows that it lives.
 */
#ifndef RUNNER_PROGRESS_H
#define RUNNER_PROGRESS_H

#include "runner/log.h"

struct progress {
    const char *verb; /* "copying" */
    struct log *log;
    bool terminal; /* stderr is one, and the log is text */
    bool drawn;
    double began;
    double last;
};

void progress_init(struct progress *progress, const char *verb, struct log *log);
/* Shows a copy's state; cheap to call often. Calls must not overlap. */
void progress_show(struct progress *progress, const struct storage_progress *now);
/* Takes the terminal line away before something else is printed. */
void progress_clear(struct progress *progress);

#endif
