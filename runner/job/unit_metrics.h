/*
 * unit_metrics.h - what COMMAND says of its checkpoints: <output_dir>/metrics.jsonl, to which it
 * appends a line when it has evaluated one.
 *
 *     {"checkpoint": "model-3_500.pt", "acc": 0.97, "loss": 0.11}
 *     {"epoch": 3, "step": 500, "acc": 0.97}
 *
 * "checkpoint" is a file's name, its path, or a folder's; else epoch and step are what the name
 * says (--step_pattern), of which a line may have one alone. "accuracy" is "acc". The last line
 * that fits counts; other members and other lines are nobody's business. A name that is written
 * again and again ("last.pt") says nothing of which of its versions is meant, and does not count.
 *
 * A line may come before or after its checkpoint has gone out: then its manifest is written once
 * more, with the metrics.
 */
#ifndef RUNNER_UNIT_METRICS_H
#define RUNNER_UNIT_METRICS_H

#include "runner/job/ledger.h"

struct unit_metrics;

/* Reads the lines of a file; one that is not there, or is no memory for, has none: NULL. */
struct unit_metrics *unit_metrics_read(const char *path);
void unit_metrics_free(struct unit_metrics *metrics); /* NULL is fine */

/* Sets loss and accuracy of the manifest where a line tells them. Whether any was. NULL: none. */
bool unit_metrics_fill(const struct unit_metrics *metrics, struct manifest *manifest);

/*
 * Fills the manifests of a run in the ledger that have no metrics yet, and writes those again that
 * have then. */
enum storage_code unit_metrics_complete(const char *path, const struct remote *remote,
                                        const char *run, struct ledger *ledger,
                                        struct storage_error *err);

#endif
