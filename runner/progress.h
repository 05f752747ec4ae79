/*
 * progress.h - how far a copy is: a line with a bar redrawn in place on a terminal, else a plain
 * line every 30 seconds, so that a quiet phase shows that it lives.
 */
#ifndef RUNNER_PROGRESS_H
#define RUNNER_PROGRESS_H

#include "runner/log.h"

enum {
    PROGRESS_LINE = 512 /* bytes of a line */
};

/* One copy under way. A thread of its own shows it, so that a copy that stands still is shown so.
 */
struct progress {
    const char *verb; /* "copying" */
    struct log *log;
    bool terminal; /* stderr is one, and the log is text */
    bool ticking;  /* the thread is there */
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t woken;
    bool ended;
    struct storage_progress now;
    double last;         /* when it was last shown */
    uint64_t last_bytes; /* and how much was done then */
    double rate;         /* bytes a second, of late */
    bool has_rate;
};

void progress_init(struct progress *progress, const char *verb, struct log *log);
/* Takes a copy's state; cheap to call often, from any thread. */
void progress_show(struct progress *progress, const struct storage_progress *now);
/* Takes the terminal line away and ends the thread; before *progress goes. */
void progress_end(struct progress *progress);

/*
 * The line for a state: what is done of what (a '+' while the listing runs), files, rate and the
 * time left; with columns > 0 a bar and a percentage too, and never wider than that.
 */
void progress_line(char line[PROGRESS_LINE], const char *verb, const struct storage_progress *now,
                   double rate, unsigned columns);

#endif
