/*
 * retention.h - which checkpoints stay in the store: `--keep_remote=latest:3,best:acc:1`.
 *
 * Without it nothing is ever deleted there, whatever the trainer deletes here. With it, of each run
 * stay the newest, the best by a metric, what the pointers name, and, where there is a rule of a
 * metric, each of which it is not known until one is known of a later one: it may come after the
 * checkpoint has gone out, or never. Manifests go first, then the data that no manifest names any
 * more: a death in between leaves data that nobody names, never a manifest without its data.
 */
#ifndef RUNNER_RETENTION_H
#define RUNNER_RETENTION_H

#include "runner/job/ledger.h"

enum {
    RETENTION_RULES_MAX = 8
};

enum retention_kind {
    KEEP_LATEST,
    KEEP_BEST_LOSS,    /* the least */
    KEEP_BEST_ACCURACY /* the greatest */
};

struct retention_rule {
    enum retention_kind kind;
    uint64_t count;
};

struct retention {
    struct retention_rule rules[RETENTION_RULES_MAX];
    size_t count; /* 0: everything stays */
};

/* Reads the option; "" and NULL keep everything. False: why not is written to message. */
bool retention_parse(struct retention *retention, const char *text, char *message, size_t size);

/*
 * "acc" or "loss", the metric of a rule by which no checkpoint of the run can be ranked, of several
 * that it has; NULL: there is none such.
 */
const char *retention_unranked(const struct retention *retention, const struct ledger *ledger,
                               const char *run);

/* Told of each manifest that goes, and of each object of data. */
typedef void retention_fn(void *context, const char *name, bool is_manifest);

struct retention_job {
    const struct remote *remote;
    struct ledger *ledger;  /* of all runs: what any manifest names stays */
    const char *run;        /* the run it is done to; NULL: each */
    const char *pointed[2]; /* manifests that stay: latest.json's and best.json's; "" for none */
    bool dry_run;
    retention_fn *told; /* NULL: nobody is */
    void *context;
};

/* Deletes what need not stay; the ledger follows. */
enum storage_code retention_apply(const struct retention *retention,
                                  const struct retention_job *job, struct storage_error *err);

#endif
