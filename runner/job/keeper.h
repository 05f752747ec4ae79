/*
 * keeper.h - the thread that keeps a running job's records up to date: it ticks the report, for
 * --metrics_file, and puts the log into train_url from time to time, so that a job that is killed
 * by -9, or for want of memory, has left its log there.
 *
 * The log goes when it has grown: every interval, or less often the longer that takes, so that it
 * is under way a twentieth of the time at most; and soon after keeper_soon. Checkpoints come first:
 * none goes while one of them waits, and one under way is given up for it, to be tried again. What
 * goes wrong is told once and costs nothing: the log is put once more when the job ends, by
 * records.h.
 */
#ifndef RUNNER_KEEPER_H
#define RUNNER_KEEPER_H

#include "runner/app.h"
#include "runner/job/report.h"

struct keeper;

/* Begins to tick. All that is given is borrowed until keeper_free. NULL without memory. */
struct keeper *keeper_new(struct report *report, struct log *log);

/* Where the log goes. */
struct keeper_upload {
    struct log_file *file;
    const char *train_text; /* train_url */
    const char *name;       /* the log's, under it; copied */
    uint64_t interval_s;
    const atomic_bool *lost; /* train_url is another job's now; NULL: it cannot be */
};
/* Begins to put it. Once. */
void keeper_upload(struct keeper *keeper, struct app *app, const struct keeper_upload *upload);
/* What the log has now is worth having there: without waiting for the interval's end. */
void keeper_soon(struct keeper *keeper);
/* A checkpoint more waits for its way out, or one less. */
void keeper_checkpoint(struct keeper *keeper, bool waits);

/* Ends what is under way, and the thread. NULL is fine. */
void keeper_free(struct keeper *keeper);

#endif
