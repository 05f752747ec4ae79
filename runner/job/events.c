#include "runner/job/events.h"

#include "runner/app.h"
#include "runner/version.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    PHASES_MAX = 16
};

static const double METRICS_PAUSE_S = 1.0;

struct phase {
    char name[32];
    double seconds;
};

/* What the metrics say; a number that nobody told is NaN and left out. */
struct metrics {
    char run[64], state[32];
    json_int_t attempt, warnings, waiting, confirmed, failed, superseded;
    double epoch, loss, accuracy, images_per_second, confirmed_step, exit_code, data_bytes;
    struct phase phases[PHASES_MAX];
    size_t phase_count;
};

struct events {
    int fd; /* of --events; -1: none */
    const char *metrics_path;
    struct log *log; /* never written to: its lock may be held when we are told of a warning */
    struct metrics metrics;
    double written; /* clock_seconds */
    bool stale;     /* the file does not say yet what the metrics are */
    bool failed;
};

static void write_event(struct events *events, const char *event, const json_t *object)
{
    char now[32];
    log_timestamp(now, sizeof now);
    json_t *whole = json_pack("{ss ss}", "time", now, "event", event);
    json_object_update(whole, (json_t *)(uintptr_t)object);
    char *text = json_dumps(whole, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(whole);
    char *line = NULL;
    int length = text ? asprintf(&line, "%s\n", text) : -1;
    /* One write a line: readers and other writers never see half of one. */
    if (length < 0 || write(events->fd, line, (size_t)length) != length) {
        events->failed = true;
    }
    if (length >= 0) {
        free(line);
    }
    free(text);
}

/* ---- metrics --------------------------------------------------------------------------------- */

static void add_number(FILE *out, const char *name, const char *type, const char *help,
                       double value)
{
    if (isfinite(value)) {
        fprintf(out, "# HELP jobferry_%s %s\n# TYPE jobferry_%s %s\njobferry_%s %.17g\n", name,
                help, name, type, name, value);
    }
}

/* Names of runs, states and phases are ours: they need no escaping. */
static void print_metrics(FILE *out, const struct metrics *metrics)
{
    fprintf(out,
            "# HELP jobferry_info Which run this is.\n# TYPE jobferry_info gauge\n"
            "jobferry_info{version=\"%s\",run=\"%s\",attempt=\"%lld\"} 1\n",
            jobferry_version(), metrics->run, (long long)metrics->attempt);
    fprintf(out,
            "# HELP jobferry_state The job's state.\n# TYPE jobferry_state gauge\n"
            "jobferry_state{state=\"%s\"} 1\n",
            metrics->state);
    if (metrics->phase_count > 0) {
        fprintf(out, "# HELP jobferry_phase_seconds How long a phase took.\n"
                     "# TYPE jobferry_phase_seconds gauge\n");
    }
    for (size_t i = 0; i < metrics->phase_count; i++) {
        fprintf(out, "jobferry_phase_seconds{phase=\"%s\"} %.6f\n", metrics->phases[i].name,
                metrics->phases[i].seconds);
    }
    add_number(out, "data_bytes", "gauge", "Bytes of the dataset.", metrics->data_bytes);
    add_number(out, "epoch", "gauge", "The newest epoch that is done.", metrics->epoch);
    add_number(out, "epoch_loss", "gauge", "Its mean loss.", metrics->loss);
    add_number(out, "test_accuracy", "gauge", "The newest test accuracy.", metrics->accuracy);
    add_number(out, "images_per_second", "gauge", "Training speed of that epoch.",
               metrics->images_per_second);
    fprintf(out,
            "# HELP jobferry_checkpoints_total Checkpoints by what became of them.\n"
            "# TYPE jobferry_checkpoints_total counter\n"
            "jobferry_checkpoints_total{state=\"confirmed\"} %lld\n"
            "jobferry_checkpoints_total{state=\"failed\"} %lld\n"
            "jobferry_checkpoints_total{state=\"superseded\"} %lld\n",
            (long long)metrics->confirmed, (long long)metrics->failed,
            (long long)metrics->superseded);
    add_number(out, "checkpoints_waiting", "gauge", "Checkpoints on their way to train_url.",
               (double)metrics->waiting);
    add_number(out, "newest_confirmed_step", "gauge", "The newest step that is safe in train_url.",
               metrics->confirmed_step);
    add_number(out, "warnings_total", "counter", "Warnings so far.", (double)metrics->warnings);
    add_number(out, "exit_code", "gauge", "The exit code, once it is known.", metrics->exit_code);
    add_number(out, "updated_timestamp_seconds", "gauge", "When this was written.",
               (double)time(NULL));
}

static bool replace_metrics(const struct events *events)
{
    char path[STORAGE_PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s.part", events->metrics_path) >= sizeof path) {
        errno = ENAMETOOLONG;
        return false;
    }
    FILE *out = fopen(path, "we");
    if (!out) {
        return false;
    }
    print_metrics(out, &events->metrics);
    bool good = !ferror(out);
    good = fclose(out) == 0 && good;
    good = good && rename(path, events->metrics_path) == 0;
    if (!good) {
        int why = errno;
        unlink(path);
        errno = why;
    }
    return good;
}

static double real_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static json_int_t integer_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void keep_phase(struct metrics *metrics, const json_t *object)
{
    if (metrics->phase_count < PHASES_MAX) {
        struct phase *phase = &metrics->phases[metrics->phase_count++];
        copy_text(phase->name, sizeof phase->name, text_of(object, "name"));
        phase->seconds = real_of(object, "seconds");
    }
}

static void keep_checkpoint(struct metrics *metrics, const json_t *object)
{
    const char *state = text_of(object, "state");
    bool waits = strcmp(state, "queued") == 0;
    metrics->waiting += waits ? 1 : -1; /* each was queued first */
    if (strcmp(state, "confirmed") == 0) {
        double step = real_of(object, "cumulative_step");
        metrics->confirmed++;
        metrics->confirmed_step = metrics->confirmed_step >= step ? metrics->confirmed_step : step;
    } else if (strcmp(state, "superseded") == 0) {
        metrics->superseded++;
    } else if (!waits) {
        metrics->failed++;
    }
}

static void keep(struct metrics *metrics, const char *event, const json_t *object)
{
    if (strcmp(event, "state") == 0) {
        copy_text(metrics->state, sizeof metrics->state, text_of(object, "state"));
    } else if (strcmp(event, "run") == 0) {
        copy_text(metrics->run, sizeof metrics->run, text_of(object, "run"));
        metrics->attempt = integer_of(object, "attempt");
    } else if (strcmp(event, "phase") == 0) {
        keep_phase(metrics, object);
    } else if (strcmp(event, "dataset") == 0) {
        metrics->data_bytes = real_of(object, "bytes");
    } else if (strcmp(event, "epoch") == 0) {
        metrics->epoch = real_of(object, "epoch");
        metrics->loss = real_of(object, "loss");
        metrics->accuracy = real_of(object, "acc");
        metrics->images_per_second = real_of(object, "images_per_second");
    } else if (strcmp(event, "metrics") == 0) {
        metrics->accuracy = real_of(object, "acc");
    } else if (strcmp(event, "checkpoint") == 0) {
        keep_checkpoint(metrics, object);
    } else if (strcmp(event, "warning") == 0) {
        metrics->warnings++;
    } else if (strcmp(event, "exit") == 0) {
        metrics->exit_code = real_of(object, "code");
        copy_text(metrics->state, sizeof metrics->state, "ended");
    }
}

/* ---- life cycle ------------------------------------------------------------------------------ */

static void on_event(void *context, const char *event, const json_t *object)
{
    struct events *events = context;
    if (object && events->fd >= 0) {
        write_event(events, event, object);
    }
    if (object) {
        keep(&events->metrics, event, object);
        events->stale = true;
    }
    if (events->metrics_path && events->stale &&
        clock_seconds() - events->written >= METRICS_PAUSE_S) {
        events->failed |= !replace_metrics(events);
        events->written = clock_seconds();
        events->stale = false;
    }
}

struct events *events_open(struct report *report, const char *events_path, const char *metrics_path,
                           struct log *log)
{
    struct events *events = calloc(1, sizeof *events);
    if (!events) {
        return NULL;
    }
    const double unknown = (double)NAN;
    events->fd = -1;
    events->metrics_path = metrics_path;
    events->log = log;
    events->metrics = (struct metrics){.state = "init",
                                       .epoch = unknown,
                                       .loss = unknown,
                                       .accuracy = unknown,
                                       .images_per_second = unknown,
                                       .confirmed_step = unknown,
                                       .exit_code = unknown,
                                       .data_bytes = unknown};
    if (events_path) {
        events->fd = open(events_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }
    if ((events_path && events->fd < 0) || (metrics_path && !replace_metrics(events))) {
        int why = errno;
        if (events->fd >= 0) {
            close(events->fd);
        }
        free(events);
        errno = why;
        return NULL;
    }
    report_listen(report, on_event, events);
    return events;
}

void events_close(struct events *events)
{
    if (!events) {
        return;
    }
    if (events->metrics_path) {
        events->failed |= !replace_metrics(events);
    }
    if (events->failed) {
        log_warn(events->log, "not all events or metrics could be written");
    }
    if (events->fd >= 0) {
        close(events->fd);
    }
    free(events);
}
