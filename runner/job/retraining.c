#include "runner/job/retraining.h"

#include "runner/job/candidate.h"
#include "runner/job/gate.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

enum {
    CHECKPOINT_MAX = 512 * 1024 * 1024 /* bytes, as candidate.c has it */
};

static const char best_name[] = ".jobferry/best.json";
static const struct gate more_accurate = {.metric = "acc", .wants_more = true};

/* ---- options --------------------------------------------------------------------------------- */

enum exit_code retraining_check(struct job *job)
{
    const struct settings *settings = job->settings;
    char message[512];
    struct gate gate;
    for (size_t i = 0; i < settings->gate.count; i++) {
        if (!gate_parse(&gate, settings->gate.items[i], message, sizeof message)) {
            return app_fail(job->app, EXIT_USAGE, "%s", message);
        }
        bool known = job->command || strstr(settings->metrics, gate.metric) ||
                     strcmp(gate.metric, "acc") == 0 || strcmp(gate.metric, "loss") == 0 ||
                     strcmp(gate.metric, "accuracy") == 0;
        if (!known) {
            return app_fail(job->app, EXIT_USAGE,
                            "--gate: the built-in trainer has loss, acc and accuracy, not '%s'",
                            gate.metric);
        }
    }
    if (settings->init_from && job->command) {
        return app_fail(job->app, EXIT_USAGE,
                        "--init_from is for the built-in trainer; COMMAND reads what it is given");
    }
    return EXIT_DONE;
}

enum exit_code retraining_can_judge(struct job *job)
{
    bool judges = job->settings->gate.count > 0 || job->settings->promote;
    return judges && !job->command && !job->test_set
               ? app_fail(job->app, EXIT_CONFIG,
                          "%s has no test images, so there is nothing that --gate and --promote "
                          "could judge by",
                          job->data_text)
               : EXIT_DONE;
}

/* ---- is there anything new ------------------------------------------------------------------- */

/* A small JSON object under train_url; NULL with STORAGE_OK when there is none. */
static enum storage_code get_json(const struct remote *remote, const char *name, json_t **object,
                                  struct storage_error *err)
{
    enum storage_code code = remote_json(remote, name, object, err);
    return code == STORAGE_NOT_FOUND ? STORAGE_OK : code;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Whether the report is of a run on the very data of the manifest. */
static bool is_of_these(const json_t *report, const struct data_manifest *manifest)
{
    const json_t *dataset = json_object_get(report, "dataset");
    char crc32[16];
    snprintf(crc32, sizeof crc32, "%08x", manifest->crc32);
    return manifest->complete && strcmp(text_of(dataset, "manifest_crc32"), crc32) == 0 &&
           json_integer_value(json_object_get(dataset, "files")) == (json_int_t)manifest->objects &&
           json_integer_value(json_object_get(dataset, "bytes")) == (json_int_t)manifest->bytes;
}

/* A metric in a report's JSON; NaN: it has none such. */
static double recorded_metric(const json_t *report, const char *name)
{
    const json_t *metrics = json_object_get(json_object_get(report, "training"), "metrics");
    const json_t *value = json_object_get(metrics, name);
    if (!value && strcmp(name, "accuracy") == 0) {
        value = json_object_get(metrics, "acc");
    }
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/*
 * Nothing has changed since a run: training again would come to the same, so its outcome is this
 * start's too. Held against today's --gate: one that it misses is EXIT_GATE again. Where it did not
 * end well, or today's gate asks what it was not judged by, there is something to do after all.
 */
static enum exit_code repeat_outcome(struct job *job, const char *run, const json_t *report)
{
    json_int_t code = json_integer_value(json_object_get(json_object_get(report, "exit"), "code"));
    const char *again = code && code != EXIT_GATE ? "did not end well" : NULL;
    char message[512];
    struct gate gate;
    for (size_t i = 0; !again && i < job->settings->gate.count; i++) {
        const char *text = job->settings->gate.items[i];
        if (!gate_parse(&gate, text, message, sizeof message)) {
            return app_fail(job->app, EXIT_USAGE, "%s", message);
        }
        double value = recorded_metric(report, gate.metric);
        if (!isnan(value) && !gate_passes(&gate, value)) {
            job->nothing_to_do = true;
            return app_fail(job->app, EXIT_GATE,
                            "--if_changed: %s holds what run %s used, and that misses --gate '%s': "
                            "%s is %.6g; training again would come to the same",
                            job->data_text, run, text, gate.metric, value);
        }
        again = isnan(value) ? "has no metric that --gate asks for" : NULL;
    }
    again = !again && code == EXIT_GATE ? "missed another --gate than today's" : again;
    job->nothing_to_do = !again;
    if (again) {
        log_info(&job->app->log, "--if_changed: %s holds what run %s used, but that %s: once more",
                 job->data_text, run, again);
    } else {
        log_info(&job->app->log,
                 "--if_changed: %s holds what the finished run %s used (%llu objects, manifest "
                 "%08x): nothing to do",
                 job->data_text, run, (unsigned long long)job->data_manifest.objects,
                 job->data_manifest.crc32);
    }
    return EXIT_DONE;
}

/* *outcome is what the job is to end with, when nothing has changed. */
static enum storage_code compare(struct job *job, const struct remote *remote,
                                 enum exit_code *outcome, struct storage_error *err)
{
    struct pointer latest;
    json_t *report = NULL;
    char name[128];
    enum storage_code code = remote_latest(remote, &latest, err);
    if (code || !latest.finished) {
        return code;
    }
    if (!job->data_manifest.complete) { /* the preflight's time was too short for it */
        code =
            data_manifest_list(&job->data_manifest, job->data.store, &job->data.url, NULL, 0, err);
    }
    snprintf(name, sizeof name, "log/%s.report.json", latest.run);
    code = code ? code : get_json(remote, name, &report, err);
    if (!code && is_of_these(report, &job->data_manifest)) {
        *outcome = repeat_outcome(job, latest.run, report);
    }
    json_decref(report);
    return code;
}

enum exit_code retraining_look_for_change(struct job *job)
{
    struct place train = {0};
    struct storage_error err;
    if (!job->settings->if_changed || !job->data_url) {
        return EXIT_DONE;
    }
    enum exit_code code =
        place_open(&train, job->app, SIDE_TRAIN, job->train_text, job->app->stop, 0);
    const struct remote remote = {.store = train.store, .root = train.url.key};
    enum exit_code outcome = EXIT_DONE;
    if (!code && compare(job, &remote, &outcome, &err)) {
        code = app_fail_storage(job->app, &err);
    }
    place_close(&train);
    return code ? code : outcome;
}

/* ---- is it good enough ----------------------------------------------------------------------- */

/* COMMAND's own numbers, into the report. */
static void take_command_metrics(struct job *job)
{
    char path[JOB_PATH_MAX];
    const char *name = NULL;
    json_t *value = NULL;
    if (!storage_join(path, sizeof path, job->output_dir, "metrics.json")) {
        return;
    }
    json_t *object = json_load_file(path, 0, NULL);
    json_object_foreach(object, name, value)
    {
        if (json_is_number(value)) {
            report_metric_add(job->report, name, json_number_value(value));
        }
    }
    json_decref(object);
}

/* A metric of the run by its name; NaN: it has none such. */
static double metric_of(const struct job *job, const char *name)
{
    double value = report_metric(job->report, name);
    return isnan(value) && strcmp(name, "accuracy") == 0 ? report_metric(job->report, "acc")
                                                         : value;
}

static enum exit_code pass_gates(struct job *job)
{
    char message[512];
    struct gate gate;
    for (size_t i = 0; i < job->settings->gate.count; i++) {
        const char *text = job->settings->gate.items[i];
        if (!gate_parse(&gate, text, message, sizeof message)) {
            return app_fail(job->app, EXIT_USAGE, "%s", message);
        }
        double value = metric_of(job, gate.metric);
        if (isnan(value)) {
            return app_fail(
                job->app, EXIT_GATE, "--gate '%s' is not met: the run has no metric '%s'%s", text,
                gate.metric,
                job->command ? " in output/metrics.json, which COMMAND should write" : "");
        }
        if (!gate_passes(&gate, value)) {
            return app_fail(job->app, EXIT_GATE, "--gate '%s' is not met: %s is %.6g", text,
                            gate.metric, value);
        }
        log_info(&job->app->log, "gate '%s' is met: %s is %.6g", text, gate.metric, value);
    }
    return EXIT_DONE;
}

/* ---- is it the best -------------------------------------------------------------------------- */

/* The best's value of a metric: its own, or what its manifest has; NaN: not known. */
static double best_value(const struct job *job, const json_t *best, const char *metric)
{
    struct storage_error err;
    if (strcmp(text_of(best, "metric"), metric) == 0) {
        return json_number_value(json_object_get(best, "value"));
    }
    struct manifest *manifest = calloc(1, sizeof *manifest);
    double value = (double)NAN;
    if (manifest && !remote_manifest(&job->remote, text_of(best, "manifest"), manifest, &err)) {
        value = strcmp(metric, "loss") == 0                                     ? manifest->loss
                : strcmp(metric, "acc") == 0 || strcmp(metric, "accuracy") == 0 ? manifest->accuracy
                                                                                : (double)NAN;
    }
    if (manifest) {
        manifest_release(manifest);
    }
    free(manifest);
    return value;
}

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* What the best was before; null when there was none. */
static json_t *previous_of(const json_t *best, double value)
{
    return best ? json_pack("{so so so}", "run", json_string(text_of(best, "run")), "manifest",
                            json_string(text_of(best, "manifest")), "value", real_or_null(value))
                : json_null();
}

static enum storage_code put_best(struct job *job, const struct pointer *latest,
                                  const struct gate *gate, double value, json_t *previous,
                                  struct storage_error *err)
{
    char key[STORAGE_PATH_MAX];
    char now[32];
    log_timestamp(now, sizeof now);
    json_t *object =
        json_pack("{si ss sI ss sI sb ss ss sf sO}", "version", 1, "run", latest->run, "attempt",
                  (json_int_t)latest->attempt, "manifest", latest->manifest, "cumulative_step",
                  (json_int_t)latest->cumulative_step, "finished", latest->finished, "updated", now,
                  "metric", gate->metric, "value", value, "previous", previous);
    char *text = json_dumps(object, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    json_decref(object);
    remote_key(&job->remote, key, best_name);
    enum storage_code code =
        text ? storage_put(job->remote.store, key, text, strlen(text), NULL, err) : STORAGE_BUG;
    free(text);
    return code;
}

/* Decides, moves the pointer, and tells both sides of it. */
static enum storage_code promote(struct job *job, const struct gate *gate,
                                 struct storage_error *err)
{
    struct pointer latest;
    json_t *best = NULL;
    enum storage_code code = remote_latest(&job->remote, &latest, err);
    code = code ? code : get_json(&job->remote, best_name, &best, err);
    if (code) {
        return code;
    }
    double value = metric_of(job, gate->metric);
    double old = best ? best_value(job, best, gate->metric) : (double)NAN;
    bool ours = strcmp(latest.run, job->run) == 0 && latest.manifest[0];
    bool promoted = ours && isfinite(value) && (!best || gate_prefers(gate, value, old));
    json_t *previous = previous_of(best, old);
    char reason[512];
    if (promoted && !best) {
        snprintf(reason, sizeof reason, "promoted: the first with %s %.6g", gate->metric, value);
    } else if (!ours || !isfinite(value)) {
        snprintf(reason, sizeof reason, "not promoted: %s",
                 ours ? "its metric is not known" : "the run published no checkpoint");
    } else if (best && isnan(old)) {
        snprintf(reason, sizeof reason,
                 "not promoted: what %.64s, the best, has of %s is not known", text_of(best, "run"),
                 gate->metric);
    } else {
        snprintf(reason, sizeof reason, "%s: %s is %.6g, that of %.64s, %s, %.6g",
                 promoted ? "promoted" : "not promoted", gate->metric, value, text_of(best, "run"),
                 promoted ? "the best so far" : "the best", old);
    }
    if (promoted) {
        code = put_best(job, &latest, gate, value, previous, err);
    }
    if (!code) {
        log_info(&job->app->log, "%s", reason);
        report_promotion(job->report, json_pack("{sb ss so sO ss}", "promoted", promoted, "metric",
                                                gate->metric, "value", real_or_null(value),
                                                "previous", previous, "reason", reason));
    }
    json_decref(previous);
    json_decref(best);
    return code;
}

enum exit_code retraining_judge(struct job *job)
{
    char message[512];
    struct gate gate = more_accurate;
    struct storage_error err;
    if (job->command) {
        take_command_metrics(job);
    }
    enum exit_code code = pass_gates(job);
    if (code || !job->settings->promote || !job->remote.store) {
        return code;
    }
    if (job->settings->gate.count > 0) {
        gate_parse(&gate, job->settings->gate.items[0], message, sizeof message);
    }
    return promote(job, &gate, &err) ? app_fail_storage(job->app, &err) : EXIT_DONE;
}

/* ---- where to begin -------------------------------------------------------------------------- */

/* Fetches what best.json names, and holds it against its manifest. */
static enum exit_code fetch_best(struct job *job, char path[JOB_PATH_MAX])
{
    struct storage_error err = {0};
    json_t *best = NULL;
    char key[STORAGE_PATH_MAX];
    char *data = NULL;
    size_t size = 0;
    struct place here = {0};
    const struct manifest_file *file = NULL;
    struct manifest *manifest = calloc(1, sizeof *manifest);
    enum exit_code result = EXIT_DONE;
    enum storage_code code =
        manifest ? get_json(&job->remote, best_name, &best, &err) : STORAGE_BUG;
    if (!code && !best) {
        result = app_fail(job->app, EXIT_MISSING,
                          "--init_from=best: %s has no promoted run; --promote makes one",
                          job->train_text);
        goto done;
    }
    code = code ? code : remote_manifest(&job->remote, text_of(best, "manifest"), manifest, &err);
    for (size_t i = 0; !code && i < manifest->file_count && !file; i++) {
        file = model_is_checkpoint_name(manifest->files[i].name) ? &manifest->files[i] : NULL;
    }
    if (file) {
        remote_key(&job->remote, key, file->key);
        code = storage_get(job->remote.store, key, CHECKPOINT_MAX, &data, &size, &err);
    }
    if (code) {
        result = app_fail_storage(job->app, &err);
    } else if (!file || size != file->size || storage_crc32(0, data, size) != file->crc32) {
        result =
            app_fail(job->app, EXIT_INTEGRITY,
                     "--init_from=best: what %s names is not what its manifest says", best_name);
    } else {
        char name[64];
        snprintf(name, sizeof name, ".jobferry/init%s", strrchr(file->name, '.'));
        storage_join(path, JOB_PATH_MAX, job->ckpt_dir, name);
        result = place_open(&here, job->app, SIDE_DATA, path, NULL, 0);
        if (!result && storage_put(here.store, here.url.key, data, size, NULL, &err)) {
            result = app_fail_storage(job->app, &err);
        }
        log_info(&job->app->log, "begins with %s of run %s, the best: %s %.6g", file->name,
                 text_of(best, "run"), text_of(best, "metric"),
                 json_number_value(json_object_get(best, "value")));
    }
done:
    place_close(&here);
    free(data);
    if (manifest) {
        manifest_release(manifest);
    }
    free(manifest);
    json_decref(best);
    return result;
}

enum exit_code retraining_init_file(struct job *job, char path[JOB_PATH_MAX])
{
    const char *text = job->settings->init_from;
    return job->has_remote && strcmp(text, "best") == 0
               ? fetch_best(job, path)
               : candidate_fetch(job, text, ".jobferry/init.ckpt", path);
}
