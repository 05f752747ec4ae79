#include "runner/job/report.h"

#include "runner/app.h"
#include "runner/job/report_html.h"
#include "runner/json_line.h"
#include "runner/version.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

struct report {
    pthread_mutex_t lock; /* over all below */
    json_t *root;
    json_t *phases, *epochs, *training; /* inside root */
    json_t *checkpoints;                /* the same; NULL: there is none yet */
    uint64_t confirmed_step;
    char taken[256], pointed[256]; /* the newest of them, and the newest the pointer moved to */
    uint64_t taken_epoch, taken_step;
    struct {
        report_listener_fn *tell;
        void *context;
    } listeners[REPORT_LISTENERS];
    size_t listener_count;
    struct report_wrong wrong[REPORT_WRONG_MAX];
    size_t wrong_count;
};

/* Called with the lock held. */
static void tell(struct report *report, const char *event, const json_t *object)
{
    for (size_t i = 0; i < report->listener_count; i++) {
        report->listeners[i].tell(report->listeners[i].context, event, object);
    }
}

/* Tells of a thing and puts it, taking the reference, under a key or at a list's end, or nowhere.
 */
static void add(struct report *report, const char *event, json_t *object, const char *key,
                json_t *list)
{
    pthread_mutex_lock(&report->lock);
    tell(report, event, object);
    if (key) {
        json_object_set(report->root, key, object);
    } else if (list) {
        json_array_append(list, object);
    }
    json_decref(object);
    pthread_mutex_unlock(&report->lock);
}

/* A number that JSON can hold; null otherwise. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *known_arguments(const struct arguments *arguments)
{
    json_t *object = json_object();
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        const char *place = (const char *)&arguments->settings + option->offset;
        if (!arguments->given[i] || option->secret) {
            continue;
        }
        switch (option->kind) {
        case OPTION_TEXT:
        case OPTION_CHOICE:
            json_object_set_new(object, option->name, json_text(*(const char *const *)place));
            break;
        case OPTION_LIST: {
            const struct text_list *list = (const struct text_list *)place;
            json_t *texts = json_array();
            for (size_t k = 0; k < list->count; k++) {
                json_array_append_new(texts, json_text(list->items[k]));
            }
            json_object_set_new(object, option->name, texts);
            break;
        }
        case OPTION_SWITCH:
            json_object_set_new(object, option->name, json_boolean(*(const bool *)place));
            break;
        case OPTION_COUNT:
        case OPTION_SIZE:
            json_object_set_new(object, option->name,
                                json_integer((json_int_t) * (const uint64_t *)place));
            break;
        case OPTION_INTEGER:
            json_object_set_new(object, option->name, json_integer(*(const int64_t *)place));
            break;
        case OPTION_REAL:
            json_object_set_new(object, option->name, number(*(const double *)place));
            break;
        }
    }
    return object;
}

/* Names only: a value may be anything, also a secret. */
static json_t *unknown_names(const struct arguments *arguments)
{
    json_t *list = json_array();
    for (size_t i = 0; i < arguments->unknown_count; i++) {
        const char *word = arguments->unknown[i];
        if (word[0] == '-') {
            char name[128];
            snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
            json_array_append_new(list, json_text(name));
        }
    }
    return list;
}

struct report *report_new(const struct arguments *arguments)
{
    struct report *report = calloc(1, sizeof *report);
    if (!report) {
        return NULL;
    }
    char now[32];
    log_timestamp(now, sizeof now);
    pthread_mutex_init(&report->lock, NULL);
    report->phases = json_array();
    report->epochs = json_array();
    report->training = json_pack("{so}", "epochs", report->epochs);
    report->root =
        json_pack("{si ss ss so so so so}", "version", 1, "jobferry", jobferry_version(), "started",
                  now, "arguments", known_arguments(arguments), "unknown_arguments",
                  unknown_names(arguments), "phases", report->phases, "training", report->training);
    if (!report->root) {
        report_free(report);
        return NULL;
    }
    return report;
}

void report_free(struct report *report)
{
    if (report) {
        json_decref(report->root);
        pthread_mutex_destroy(&report->lock);
        free(report);
    }
}

void report_listen(struct report *report, report_listener_fn *listener, void *context)
{
    pthread_mutex_lock(&report->lock);
    if (report->listener_count < REPORT_LISTENERS) {
        report->listeners[report->listener_count].tell = listener;
        report->listeners[report->listener_count++].context = context;
    }
    pthread_mutex_unlock(&report->lock);
}

void report_tick(struct report *report)
{
    pthread_mutex_lock(&report->lock);
    tell(report, "tick", NULL);
    pthread_mutex_unlock(&report->lock);
}

void report_state(struct report *report, const char *state)
{
    add(report, "state", json_pack("{ss}", "state", state), NULL, NULL);
}

void report_warning(struct report *report, const char *text)
{
    add(report, "warning", json_pack("{so}", "text", json_text(text)), NULL, NULL);
}

void report_run(struct report *report, const char *run, uint64_t attempt)
{
    json_t *object = json_pack("{so sI}", "run", json_text(run), "attempt", (json_int_t)attempt);
    pthread_mutex_lock(&report->lock);
    json_object_update(report->root, object);
    pthread_mutex_unlock(&report->lock);
    add(report, "run", object, NULL, NULL);
}

void report_phase(struct report *report, const char *name, double seconds, uint64_t bytes,
                  uint64_t objects)
{
    add(report, "phase",
        json_pack("{ss sf sI sI}", "name", name, "seconds", seconds, "bytes", (json_int_t)bytes,
                  "objects", (json_int_t)objects),
        NULL, report->phases);
}

void report_dataset(struct report *report, const char *url, const struct data_manifest *manifest)
{
    json_t *object =
        json_pack("{so sI sI so}", "url", json_text(url), "files", (json_int_t)manifest->objects,
                  "bytes", (json_int_t)manifest->bytes, "manifest_crc32", json_null());
    if (manifest->complete) {
        char crc32[16];
        snprintf(crc32, sizeof crc32, "%08x", manifest->crc32);
        json_object_set_new(object, "manifest_crc32", json_string(crc32));
    }
    add(report, "dataset", object, "dataset", NULL);
}

void report_epoch(struct report *report, uint64_t epoch, double loss, double accuracy,
                  double seconds, double images_per_second)
{
    add(report, "epoch",
        json_pack("{sI so so sf so}", "epoch", (json_int_t)epoch, "loss", number(loss), "acc",
                  number(accuracy), "seconds", seconds, "images_per_second",
                  number(images_per_second)),
        NULL, report->epochs);
}

void report_metrics(struct report *report, const struct model_metrics *metrics)
{
    json_t *object =
        json_pack("{so so}", "loss", number(metrics->loss), "acc", number(metrics->accuracy));
    pthread_mutex_lock(&report->lock);
    json_object_set(report->training, "metrics", object);
    pthread_mutex_unlock(&report->lock);
    add(report, "metrics", object, NULL, NULL);
}

double report_metric(struct report *report, const char *name)
{
    pthread_mutex_lock(&report->lock);
    const json_t *value = json_object_get(json_object_get(report->training, "metrics"), name);
    double result = json_is_number(value) ? json_number_value(value) : (double)NAN;
    pthread_mutex_unlock(&report->lock);
    return result;
}

void report_metric_add(struct report *report, const char *name, double value)
{
    pthread_mutex_lock(&report->lock);
    json_t *metrics = json_object_get(report->training, "metrics");
    if (!metrics) {
        metrics = json_object();
        json_object_set_new(report->training, "metrics", metrics);
    }
    json_object_set_new(metrics, name, number(value));
    pthread_mutex_unlock(&report->lock);
}

void report_curve(struct report *report, const char *path)
{
    pthread_mutex_lock(&report->lock);
    json_object_set_new(report->training, "curve", json_text(path));
    pthread_mutex_unlock(&report->lock);
}

void report_predictions(struct report *report, size_t classes,
                        uint64_t confusion[MODEL_CLASSES_MAX][MODEL_CLASSES_MAX],
                        const struct report_wrong *wrong, size_t count)
{
    json_t *rows = json_array();
    for (size_t truth = 0; truth < classes; truth++) {
        json_t *row = json_array();
        for (size_t k = 0; k < classes; k++) {
            json_array_append_new(row, json_integer((json_int_t)confusion[truth][k]));
        }
        json_array_append_new(rows, row);
    }
    json_t *list = json_array();
    pthread_mutex_lock(&report->lock);
    report->wrong_count = count < REPORT_WRONG_MAX ? count : REPORT_WRONG_MAX;
    for (size_t i = 0; i < report->wrong_count; i++) {
        report->wrong[i] = wrong[i];
        json_array_append_new(list, json_pack("{sI si si}", "image", (json_int_t)wrong[i].image,
                                              "prediction", (int)wrong[i].prediction, "truth",
                                              (int)wrong[i].truth));
    }
    json_object_set_new(report->training, "confusion", rows);
    json_object_set_new(report->training, "wrong", list);
    pthread_mutex_unlock(&report->lock);
}

static const char *state_name(enum publication_state state)
{
    static const char *const names[] = {
        [PUBLICATION_QUEUED] = "queued", [PUBLICATION_CONFIRMED] = "confirmed",
        [PUBLICATION_FAILED] = "failed", [PUBLICATION_SUPERSEDED] = "superseded",
        [PUBLICATION_FENCED] = "fenced",
    };
    return names[state];
}

static json_t *checkpoint_json(const struct publication *one)
{
    char crc32[16];
    snprintf(crc32, sizeof crc32, "%08x", one->crc32);
    bool confirmed = one->state == PUBLICATION_CONFIRMED;
    return json_pack(
        "{so sI sI sI sI ss ss ss so so sb}", "name", json_text(one->name), "epoch",
        (json_int_t)one->epoch, "step", (json_int_t)one->step, "cumulative_step",
        (json_int_t)one->cumulative_step, "size", (json_int_t)one->size, "crc32", crc32, "state",
        state_name(one->state), "evidence", one->evidence ? one->evidence : "", "verified",
        confirmed ? json_string(storage_verified_name(one->verified)) : json_null(),
        "seconds_to_pointer", confirmed ? number(one->seconds_to_pointer) : json_null(), "pointed",
        one->is_pointed);
}

void report_promotion(struct report *report, json_t *promotion)
{
    add(report, "promotion", promotion, "promotion", NULL);
}

/* The list is there from the first of them, or from the end on. Called with the lock held. */
static void begin_checkpoints(struct report *report)
{
    if (!report->checkpoints) {
        report->checkpoints = json_array();
        json_object_set_new(report->root, "checkpoints", report->checkpoints);
    }
}

void report_checkpoint(struct report *report, size_t index, const struct publication *one)
{
    json_t *object = checkpoint_json(one);
    pthread_mutex_lock(&report->lock);
    begin_checkpoints(report);
    if (index < json_array_size(report->checkpoints)) {
        json_array_set(report->checkpoints, index, object);
    } else {
        json_array_append(report->checkpoints, object);
    }
    if (one->epoch > report->taken_epoch ||
        (one->epoch == report->taken_epoch && one->step >= report->taken_step)) {
        copy_text(report->taken, sizeof report->taken, one->name);
        report->taken_epoch = one->epoch;
        report->taken_step = one->step;
    }
    if (one->is_pointed) {
        copy_text(report->pointed, sizeof report->pointed, one->name);
    }
    if (one->state == PUBLICATION_CONFIRMED && one->cumulative_step > report->confirmed_step) {
        report->confirmed_step = one->cumulative_step;
    }
    pthread_mutex_unlock(&report->lock);
    add(report, "checkpoint", object, NULL, NULL);
}

void report_exposure(struct report *report, uint64_t newest_local_step)
{
    pthread_mutex_lock(&report->lock);
    uint64_t confirmed = report->confirmed_step;
    begin_checkpoints(report);
    pthread_mutex_unlock(&report->lock);
    add(report, "exposure",
        json_pack("{sI sI so so}", "newest_local_step", (json_int_t)newest_local_step,
                  "newest_confirmed_step", (json_int_t)confirmed, "newest_local",
                  json_text(report->taken), "newest_confirmed", json_text(report->pointed)),
        "exposure", NULL);
}

void report_exit(struct report *report, enum exit_code code, const char *by, const char *reason)
{
    char now[32];
    log_timestamp(now, sizeof now);
    pthread_mutex_lock(&report->lock);
    json_object_set_new(report->root, "ended", json_string(now));
    pthread_mutex_unlock(&report->lock);
    add(report, "exit",
        json_pack("{si ss so}", "code", (int)code, "by", by, "reason", json_text(reason)), "exit",
        NULL);
}

/* Brings the log's warnings in; with the lock held. */
static void take_warnings(const struct report *report, const struct log *log)
{
    json_t *warnings = json_array();
    for (size_t i = 0; i < log->warning_count; i++) {
        json_array_append_new(warnings, json_text(log->warnings[i]));
    }
    json_object_set_new(report->root, "warnings", warnings);
}

char *report_text(const struct report *report, const struct log *log)
{
    take_warnings(report, log);
    return json_dumps(report->root, JSON_INDENT(2));
}

char *report_page(const struct report *report, const struct log *log)
{
    take_warnings(report, log);
    return report_html(report->root, report->wrong, report->wrong_count);
}
