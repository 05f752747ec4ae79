/*
 * report.h - report.json (design.md §5): what this start of a run did, for machines.
 *
 * Filled as the job goes; report_text can be asked at any time. Nothing secret is ever added: of
 * unknown arguments only the names, of options all but the secret ones.
 */
#ifndef RUNNER_REPORT_H
#define RUNNER_REPORT_H

#include "runner/job/publish.h"
#include "runner/options.h"

struct report;

/* NULL without memory. */
struct report *report_new(const struct arguments *arguments);
void report_free(struct report *report);

void report_run(struct report *report, const char *run, uint64_t attempt);
/* A phase that just ended. bytes and objects are 0 where nothing was moved. */
void report_phase(struct report *report, const char *name, double seconds, uint64_t bytes,
                  uint64_t objects);
/* manifest_crc32: model_dataset_crc32 of the training images and labels. */
void report_dataset(struct report *report, const char *url, uint64_t files, uint64_t bytes,
                    uint32_t manifest_crc32);
/* One epoch; accuracy NaN: not evaluated. */
void report_epoch(struct report *report, uint64_t epoch, double loss, double accuracy,
                  double seconds, double images_per_second);
void report_metrics(struct report *report, const struct model_metrics *metrics);
void report_checkpoints(struct report *report, const struct publication *publications, size_t count,
                        uint64_t newest_local_step);
/* How it ended: the exit code, by whose ("runner" or "command"), and why in a sentence. */
void report_exit(struct report *report, enum exit_code code, const char *by, const char *reason);

/* The whole as JSON text, malloc'ed, with the log's warnings; NULL without memory. */
char *report_text(const struct report *report, const struct log *log);

#endif
