/*
 * report.h - what this start of a run did: report.json (design.md §5), and the feed that --events,
 * --metrics_file and report.html are made of.
 *
 * Filled as the job goes; report_text can be asked at any time. Each thing added is handed to the
 * listeners too, as an event with its JSON. Nothing secret is ever added: of unknown arguments only
 * the names, of options all but the secret ones. Any thread may add.
 */
#ifndef RUNNER_REPORT_H
#define RUNNER_REPORT_H

#include "runner/job/data_manifest.h"
#include "runner/job/publish.h"
#include "runner/options.h"

#include <jansson.h>

struct report;

/* NULL without memory. */
struct report *report_new(const struct arguments *arguments);
void report_free(struct report *report);

/*
 * Told of each thing that is added: "state" {state}, "run" {run, attempt}, "phase", "dataset",
 * "epoch", "metrics", "checkpoint", "warning" {text}, "promotion", "exit"; the object as
 * report.json has it, borrowed. "tick", with no object, is of the time only. From the adding
 * thread, one at a time; it must not add.
 */
typedef void report_listener_fn(void *context, const char *event, const json_t *object);
enum {
    REPORT_LISTENERS = 2
};
void report_listen(struct report *report, report_listener_fn *listener, void *context);

/* Tells the listeners that time has passed; about once a second, by whoever has a thread. */
void report_tick(struct report *report);

/* A state of the job begins. */
void report_state(struct report *report, const char *state);
/* A warning of the log's, for the listeners: report_text takes them from the log itself. */
void report_warning(struct report *report, const char *text);

void report_run(struct report *report, const char *run, uint64_t attempt);
/* A phase that just ended. bytes and objects are 0 where nothing was moved. */
void report_phase(struct report *report, const char *name, double seconds, uint64_t bytes,
                  uint64_t objects);
/* The dataset as data_url's listing has it; an incomplete listing has no manifest_crc32. */
void report_dataset(struct report *report, const char *url, const struct data_manifest *manifest);
/* One epoch; accuracy NaN: not evaluated. */
void report_epoch(struct report *report, uint64_t epoch, double loss, double accuracy,
                  double seconds, double images_per_second);
void report_metrics(struct report *report, const struct model_metrics *metrics);

enum {
    REPORT_WRONG_MAX = 24,
    REPORT_PIXELS = MODEL_IDX_SIDE * MODEL_IDX_SIDE
};
/* A test image that was predicted wrongly. */
struct report_wrong {
    uint64_t image; /* its number in the test set */
    unsigned prediction, truth;
    uint8_t pixels[REPORT_PIXELS];
};
/*
 * What the final weights made of the test images: confusion[truth][prediction], and some of the
 * wrong ones. JSON has their numbers, report.html their pictures.
 */
void report_predictions(struct report *report, size_t classes,
                        uint64_t confusion[MODEL_CLASSES_MAX][MODEL_CLASSES_MAX],
                        const struct report_wrong *wrong, size_t count);
/* The curve's picture was drawn, and lies there as seen from the report. */
void report_curve(struct report *report, const char *path);
/* A metric of the run by its name: one added, or of report_metrics; NaN: there is none. */
double report_metric(struct report *report, const char *name);
void report_metric_add(struct report *report, const char *name, double value);
/* promoted, and what was compared with what: the object is taken. */
void report_promotion(struct report *report, json_t *promotion);
/* A checkpoint as it stands now; index: which one, each from 0 on told before the next. */
void report_checkpoint(struct report *report, size_t index, const struct publication *one);
/* What a loss of this machine would cost now: the newest here, and the newest of the store. */
void report_exposure(struct report *report, uint64_t newest_local_step);
/* How it ended: the exit code, by whose ("runner" or "command"), and why in a sentence. */
void report_exit(struct report *report, enum exit_code code, const char *by, const char *reason);

/* The whole as JSON text, malloc'ed, with the log's warnings; NULL without memory. */
char *report_text(const struct report *report, const struct log *log);
/* The same as one HTML page (report_html.h). */
char *report_page(const struct report *report, const struct log *log);

#endif
