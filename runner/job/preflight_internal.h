/*
 * preflight_internal.h - what the files of the preflight share: one run of its checks.
 */
#ifndef RUNNER_PREFLIGHT_INTERNAL_H
#define RUNNER_PREFLIGHT_INTERNAL_H

#include "runner/job/preflight.h"

/* One preflight under way. */
struct preflight {
    struct job *job;
    bool all;
    finding_fn *found;
    void *context;
    double began;             /* clock_seconds */
    atomic_bool ended;        /* ends every request: the time is up, or a signal came */
    atomic_bool late;         /* it was the time */
    const char *check;        /* the name of the one under way */
    char note[2048];          /* what it says when all is well; "" makes no finding */
    bool warned;              /* it has warned: then it is not fine, too */
    struct place data, train; /* opened once the URLs are known; their store NULL before */
};

/* Tells a finding of the check under way that does not end the job. */
void preflight_warn(struct preflight *preflight, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Logs a store's failure; hint is what to try when the error itself does not say. */
enum exit_code preflight_fail_storage(struct preflight *preflight, struct storage_error *err,
                                      const char *hint);

/* Checks that ask a store; each needs its place opened. */
enum exit_code preflight_train_url(struct preflight *preflight);
enum exit_code preflight_data_url(struct preflight *preflight);
enum exit_code preflight_credentials(struct preflight *preflight);
enum exit_code preflight_clock(struct preflight *preflight);
enum exit_code preflight_lock(struct preflight *preflight);

/* Checks that ask the machine. */
enum exit_code preflight_folders(struct preflight *preflight);
enum exit_code preflight_disk(struct preflight *preflight);

#endif
