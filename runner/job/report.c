#include "runner/job/report.h"

#include "runner/json_line.h"
#include "runner/version.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

struct report {
    json_t *root;
    json_t *phases, *epochs, *training; /* inside root */
};

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
    report->phases = json_array();
    report->epochs = json_array();
    report->training = json_pack("{so}", "epochs", report->epochs);
    report->root =
        json_pack("{si ss ss so so so so}", "version", 1, "jobferry", jobferry_version(), "started",
                  now, "arguments", known_arguments(arguments), "unknown_arguments",
                  unknown_names(arguments), "phases", report->phases, "training", report->training);
    if (!report->root) {
        free(report);
        return NULL;
    }
    return report;
}

void report_free(struct report *report)
{
    if (report) {
        json_decref(report->root);
        free(report);
    }
}

void report_run(struct report *report, const char *run, uint64_t attempt)
{
    json_object_set_new(report->root, "run", json_text(run));
    json_object_set_new(report->root, "attempt", json_integer((json_int_t)attempt));
}

void report_phase(struct report *report, const char *name, double seconds, uint64_t bytes,
                  uint64_t objects)
{
    json_array_append_new(report->phases,
                          json_pack("{ss sf sI sI}", "name", name, "seconds", seconds, "bytes",
                                    (json_int_t)bytes, "objects", (json_int_t)objects));
}

void report_dataset(struct report *report, const char *url, uint64_t files, uint64_t bytes,
                    uint32_t manifest_crc32)
{
    char crc32[16];
    snprintf(crc32, sizeof crc32, "%08x", manifest_crc32);
    json_object_set_new(report->root, "dataset",
                        json_pack("{so sI sI ss}", "url", json_text(url), "files",
                                  (json_int_t)files, "bytes", (json_int_t)bytes, "manifest_crc32",
                                  crc32));
}

void report_epoch(struct report *report, uint64_t epoch, double loss, double accuracy,
                  double seconds, double images_per_second)
{
    json_array_append_new(report->epochs,
                          json_pack("{sI so so sf so}", "epoch", (json_int_t)epoch, "loss",
                                    number(loss), "acc", number(accuracy), "seconds", seconds,
                                    "images_per_second", number(images_per_second)));
}

void report_metrics(struct report *report, const struct model_metrics *metrics)
{
    json_object_set_new(
        report->training, "metrics",
        json_pack("{so so}", "loss", number(metrics->loss), "acc", number(metrics->accuracy)));
}

static const char *state_name(enum publication_state state)
{
    return state == PUBLICATION_CONFIRMED ? "confirmed"
           : state == PUBLICATION_FAILED  ? "failed"
                                          : "queued";
}

void report_checkpoints(struct report *report, const struct publication *publications, size_t count,
                        uint64_t newest_local_step)
{
    json_t *list = json_array();
    uint64_t confirmed = 0;
    for (size_t i = 0; i < count; i++) {
        const struct publication *one = &publications[i];
        char crc32[16];
        snprintf(crc32, sizeof crc32, "%08x", one->crc32);
        json_array_append_new(
            list, json_pack("{so sI sI sI ss ss so}", "name", json_text(one->name), "epoch",
                            (json_int_t)one->epoch, "step", (json_int_t)one->step, "size",
                            (json_int_t)one->size, "crc32", crc32, "state", state_name(one->state),
                            "seconds_to_pointer",
                            one->state == PUBLICATION_CONFIRMED ? number(one->seconds_to_pointer)
                                                                : json_null()));
        if (one->state == PUBLICATION_CONFIRMED && one->cumulative_step > confirmed) {
            confirmed = one->cumulative_step;
        }
    }
    json_object_set_new(report->root, "checkpoints", list);
    json_object_set_new(report->root, "exposure",
                        json_pack("{sI sI}", "newest_local_step", (json_int_t)newest_local_step,
                                  "newest_confirmed_step", (json_int_t)confirmed));
}

void report_exit(struct report *report, enum exit_code code, const char *by, const char *reason)
{
    char now[32];
    log_timestamp(now, sizeof now);
    json_object_set_new(report->root, "ended", json_string(now));
    json_object_set_new(
        report->root, "exit",
        json_pack("{si ss so}", "code", (int)code, "by", by, "reason", json_text(reason)));
}

char *report_text(const struct report *report, const struct log *log)
{
    json_t *warnings = json_array();
    for (size_t i = 0; i < log->warning_count; i++) {
        json_array_append_new(warnings, json_text(log->warnings[i]));
    }
    json_object_set_new(report->root, "warnings", warnings);
    return json_dumps(report->root, JSON_INDENT(2));
}
