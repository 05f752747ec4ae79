/* metrics.c - what --metrics names, as the lab's line and as JSON. */
#include "runner/job/metrics.h"
#include "runner/json_line.h"
#include "runner/nearest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runner/runner_banned.h"

typedef double single_fn(const struct model_metrics *metrics);
typedef double per_class_fn(const struct model_metrics *metrics, size_t class_index);

static double loss(const struct model_metrics *metrics)
{
    return metrics->loss;
}

static double accuracy(const struct model_metrics *metrics)
{
    return metrics->accuracy;
}

static double top_5(const struct model_metrics *metrics)
{
    return metrics->top_5;
}

static double mae(const struct model_metrics *metrics)
{
    return metrics->mae;
}

static double mse(const struct model_metrics *metrics)
{
    return metrics->mse;
}

/* MindSpore's names, and the short ones; loss comes first whatever the order that was asked for. */
static const struct metric {
    const char *name;
    single_fn *single;
    per_class_fn *per_class; /* both NULL: the confusion matrix */
} table[] = {
    {"loss", loss, NULL},
    {"acc", accuracy, NULL},
    {"accuracy", accuracy, NULL},
    {"precision", NULL, model_precision},
    {"recall", NULL, model_recall},
    {"F1", NULL, model_f1},
    {"top_1", accuracy, NULL},
    {"top_1_accuracy", accuracy, NULL},
    {"top_5", top_5, NULL},
    {"top_5_accuracy", top_5, NULL},
    {"mae", mae, NULL},
    {"mse", mse, NULL},
    {"confusion_matrix", NULL, NULL},
};

enum {
    METRICS = sizeof table / sizeof table[0]
};

static const struct metric *find(const char *name, size_t length)
{
    for (size_t i = 0; i < METRICS; i++) {
        if (strlen(table[i].name) == length && strncmp(table[i].name, name, length) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

enum exit_code job_check_metrics(struct app *app)
{
    const char *at = app->settings->metrics;
    if (!*at) {
        return app_fail(app, EXIT_USAGE, "--metrics names nothing");
    }
    while (*at) {
        size_t length = strcspn(at, ",");
        if (!find(at, length)) {
            size_t least = nearest_limit(length);
            const char *nearest = NULL;
            for (size_t i = 0; i < METRICS; i++) {
                size_t distance = nearest_distance(table[i].name, at, length);
                if (distance < least) {
                    least = distance;
                    nearest = table[i].name;
                }
            }
            return app_fail(app, EXIT_USAGE, "--metrics knows no '%.*s'%s%s%s", (int)length, at,
                            nearest ? "; did you mean '" : "", nearest ? nearest : "",
                            nearest ? "'?" : "");
        }
        at += length;
        at += *at == ',';
    }
    return EXIT_DONE;
}

/* A line that grows; the longest, with every metric of 64 classes, has about 40,000 bytes. */
struct line {
    char text[65536];
    size_t used;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = vsnprintf(line->text + line->used, sizeof line->text - line->used, format, values);
    va_end(values);
    line->used += length > 0 ? (size_t)length : 0;
    line->used = line->used < sizeof line->text ? line->used : sizeof line->text - 1;
}

static void add_number(struct line *line, double value)
{
    char text[40];
    model_format_double(text, sizeof text, value);
    add(line, "%s", text);
}

static double average(const struct metric *metric, const struct model_metrics *metrics)
{
    double sum = 0.0;
    for (size_t k = 0; k < metrics->classes; k++) {
        sum += metric->per_class(metrics, k);
    }
    return sum / (double)metrics->classes;
}

static void add_metric(struct line *line, const struct metric *metric,
                       const struct model_metrics *metrics)
{
    add(line, "'%s': ", metric->name);
    if (metric->single) {
        add_number(line, metric->single(metrics));
        return;
    }
    add(line, "[");
    for (size_t k = 0; k < metrics->classes; k++) {
        add(line, "%s", k ? ", " : "");
        if (metric->per_class) {
            add_number(line, metric->per_class(metrics, k));
            continue;
        }
        for (size_t j = 0; j < metrics->classes; j++) {
            add(line, "%s%llu", j ? ", " : "[", (unsigned long long)metrics->confusion[k][j]);
        }
        add(line, "]");
    }
    add(line, "]");
    if (metric->per_class) {
        add(line, ", '%s_average': ", metric->name);
        add_number(line, average(metric, metrics));
    }
}

void job_print_metrics(struct app *app, const struct model_metrics *metrics)
{
    struct line whole = {.used = 0};
    struct line *line = &whole;
    bool first = true;
    add(line, "Metrics: {");
    for (int pass = 0; pass < 2; pass++) { /* loss, then the others */
        for (const char *at = app->settings->metrics; *at;) {
            size_t length = strcspn(at, ",");
            const struct metric *metric = find(at, length);
            if (metric && (metric == &table[0]) == (pass == 0)) {
                add(line, "%s", first ? "" : ", ");
                add_metric(line, metric, metrics);
                first = false;
            }
            at += length;
            at += *at == ',';
        }
    }
    add(line, "}");
    log_result(&app->log, line->text);
}

json_t *job_metrics_json(const struct model_metrics *metrics)
{
    json_t *object = json_object();
    for (size_t i = 0; i < METRICS; i++) {
        const struct metric *metric = &table[i];
        char name[40];
        if (metric->single) {
            json_object_set_new(object, metric->name, json_real(metric->single(metrics)));
            continue;
        }
        json_t *list = json_array();
        for (size_t k = 0; k < metrics->classes; k++) {
            json_t *row =
                metric->per_class ? json_real(metric->per_class(metrics, k)) : json_array();
            for (size_t j = 0; j < metrics->classes && !metric->per_class; j++) {
                json_array_append_new(row, json_integer((json_int_t)metrics->confusion[k][j]));
            }
            json_array_append_new(list, row);
        }
        json_object_set_new(object, metric->name, list);
        if (metric->per_class) {
            snprintf(name, sizeof name, "%s_average", metric->name);
            json_object_set_new(object, name, json_real(average(metric, metrics)));
        }
    }
    return object;
}
