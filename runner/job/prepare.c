/* prepare.c - validate: everything that can be found wrong before work begins; and stage in. */
#include "runner/job/job.h"
#include "runner/progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runner/runner_banned.h"

struct model_config job_model_config(const struct settings *settings)
{
    return (struct model_config){
        .seed = settings->seed,
        .batch_size = (uint32_t)settings->batch_size,
        .learning_rate = (float)settings->lr,
        .momentum = (float)settings->momentum,
        .weight_decay = (float)settings->weight_decay,
        .loss_scale = (float)settings->loss_scale,
        .use_nesterov = settings->use_nesterov,
        .threads = (unsigned)settings->threads,
    };
}

enum exit_code job_check_metrics(struct app *app)
{
    const char *at = app->settings->metrics;
    while (*at) {
        size_t length = strcspn(at, ",");
        bool known = (length == 4 && strncmp(at, "loss", 4) == 0) ||
                     (length == 3 && strncmp(at, "acc", 3) == 0) ||
                     (length == 8 && strncmp(at, "accuracy", 8) == 0);
        if (!known) {
            return app_fail(app, EXIT_USAGE, "--metrics knows loss, acc and accuracy, not '%.*s'",
                            (int)length, at);
        }
        at += length;
        at += *at == ',';
    }
    return EXIT_DONE;
}

/* The environment's data_url or train_url, by the names that platforms use. */
static const char *from_environment(const char *plain, const char *dls)
{
    const char *value = getenv(plain);
    if (!value || !value[0]) {
        value = getenv(dls);
    }
    return value && value[0] ? value : NULL;
}

/* Says once which arguments are not ours: their names, never their values. */
static void log_unknown(struct app *app)
{
    char names[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < app->arguments->unknown_count && used + 64 < sizeof names; i++) {
        const char *word = app->arguments->unknown[i];
        int length = (int)strcspn(word, "=");
        if (word[0] == '-') {
            used += (size_t)snprintf(names + used, sizeof names - used, " %.*s",
                                     length < 60 ? length : 60, word);
        }
    }
    log_info(&app->log, "arguments that the built-in trainer does not know are ignored:%s", names);
}

static enum exit_code check_options(struct job *job)
{
    struct app *app = job->app;
    const struct settings *settings = job->settings;
    const struct arguments *arguments = app->arguments;
    if (strcasecmp(settings->device_target, "CPU") != 0) {
        return app_fail(app, EXIT_USAGE,
                        "--device_target=%s: the built-in trainer runs on the CPU only; for %s run "
                        "that framework's own script",
                        settings->device_target, settings->device_target);
    }
    if (arguments->after_dashes_count > 0) {
        return app_fail(app, EXIT_USAGE,
                        "a COMMAND after '--' is not taken by this version: it runs the built-in "
                        "trainer");
    }
    if (settings->ckpt_name[0] == '\0' || strchr(settings->ckpt_name, '/') ||
        strlen(settings->ckpt_name) > PREFIX_MAX - 24) {
        return app_fail(app, EXIT_USAGE, "--ckpt_name must be a plain file name prefix, not '%s'",
                        settings->ckpt_name);
    }
    if (settings->save_checkpoint_steps == 0 && settings->save_checkpoint_seconds == 0) {
        return app_fail(app, EXIT_USAGE,
                        "--save_checkpoint_steps=0 without --save_checkpoint_seconds: no "
                        "checkpoint would ever be saved");
    }
    if (arguments->unknown_count > 0) {
        log_unknown(app);
    }
    return job_check_metrics(app);
}

/* Puts, reads back and removes a small object: the training must not find out at its end. */
static enum exit_code probe_train_url(struct job *job)
{
    static const char text[] = "jobferry writes here\n";
    char name[64];
    char key[STORAGE_PATH_MAX];
    char *back = NULL;
    size_t size = 0;
    struct storage_error err;
    char run[MODEL_RUN_MAX + 1];
    runs_name(run, sizeof run);
    snprintf(name, sizeof name, ".jobferry/probe-%s", run);
    remote_key(&job->remote, key, name);
    enum storage_code code = storage_put(job->train.store, key, text, sizeof text - 1, NULL, &err);
    if (code == STORAGE_NOT_FOUND && job->settings->make_bucket) {
        code = storage_make_bucket(job->train.store, "", &err);
        if (!code) {
            log_info(&job->app->log, "made the bucket of %s", job->train_text);
            code = storage_put(job->train.store, key, text, sizeof text - 1, NULL, &err);
        }
    }
    if (!code) {
        code = storage_get(job->train.store, key, sizeof text, &back, &size, &err);
    }
    if (!code && (size != sizeof text - 1 || memcmp(back, text, size) != 0)) {
        free(back);
        return app_fail(job->app, EXIT_INTEGRITY, "probe %s: what was written came back different",
                        job->train_text);
    }
    if (!code) {
        code = storage_remove(job->train.store, key, &err);
    }
    free(back);
    if (code) {
        if (!err.hint[0] && job->train.url.kind == STORAGE_S3) {
            snprintf(err.hint, sizeof err.hint,
                     "train_url must let its key put, get and delete objects");
        }
        return app_fail_storage(job->app, &err);
    }
    return EXIT_DONE;
}

static bool is_below(const struct storage_url *inner, const struct storage_url *outer)
{
    if (inner->kind != outer->kind || strcmp(inner->bucket, outer->bucket) != 0) {
        return false;
    }
    size_t length = strlen(outer->key);
    while (length > 0 && outer->key[length - 1] == '/') {
        length--;
    }
    return strncmp(inner->key, outer->key, length) == 0 &&
           (inner->key[length] == '\0' || inner->key[length] == '/' || length == 0);
}

/* The first listing of data_url: there must be something. */
static enum exit_code probe_data_url(struct job *job)
{
    struct storage_lister *lister = NULL;
    struct storage_entry entry = {0};
    struct storage_error err;
    char prefix[STORAGE_PATH_MAX + 2];
    size_t length = strlen(job->data.url.key);
    snprintf(prefix, sizeof prefix, "%s%s", job->data.url.key,
             length > 0 && job->data.url.key[length - 1] != '/' ? "/" : "");
    enum storage_code code = storage_lister_open(&lister, job->data.store, prefix, true, &err);
    if (!code) {
        code = storage_lister_next(lister, &entry, &err);
    }
    bool empty = !code && !entry.key;
    storage_lister_close(lister);
    if (code) {
        return app_fail_storage(job->app, &err);
    }
    return empty ? app_fail(job->app, EXIT_MISSING, "list %s: it holds nothing", job->data_text)
                 : EXIT_DONE;
}

/* Milliseconds of the preflight's time that are left since began; at least 1. */
static unsigned preflight_left_ms(double began)
{
    double left = PREFLIGHT_MS - (clock_seconds() - began) * 1000;
    return left > 1 ? (unsigned)left : 1;
}

/* Opens train_url for the whole job, having proved within the preflight's time that it works. */
static enum exit_code validate_train_url(struct job *job, const char *text, double began)
{
    struct app *app = job->app;
    enum exit_code code =
        place_open(&job->train, app, SIDE_TRAIN, text, app->stop, preflight_left_ms(began));
    if (code) {
        return code;
    }
    snprintf(job->train_text, sizeof job->train_text, "%s", job->train.text);
    job->remote = (struct remote){.store = job->train.store, .root = job->train.url.key};
    code = probe_train_url(job);
    place_close(&job->train);
    job->remote.store = NULL;
    return code;
}

static enum exit_code validate_urls(struct job *job)
{
    struct app *app = job->app;
    const struct settings *settings = job->settings;
    const char *data = settings->data_url ? settings->data_url
                       : job->has_remote  ? from_environment("data_url", "DLS_DATA_URL")
                                          : job->data_dir;
    const char *train =
        settings->train_url ? settings->train_url : from_environment("train_url", "DLS_TRAIN_URL");
    if (!data) {
        return app_fail(app, EXIT_USAGE, "--data_url is missing: where the dataset comes from");
    }
    if (job->has_remote && !train) {
        return app_fail(app, EXIT_USAGE, "--train_url is missing: where checkpoints go");
    }
    double began = clock_seconds();
    enum exit_code code =
        place_open(&job->data, app, SIDE_DATA, data, app->stop, preflight_left_ms(began));
    if (code) {
        return code;
    }
    snprintf(job->data_text, sizeof job->data_text, "%s", job->data.text);
    if (!job->has_remote) {
        return job->data.url.kind == STORAGE_LOCAL
                   ? EXIT_DONE
                   : app_fail(app, EXIT_USAGE,
                              "train takes a local folder, not %s; 'jobferry run' "
                              "takes URLs",
                              data);
    }
    struct storage_url train_url;
    struct storage_error err;
    if (storage_url_parse(&train_url, train, &err)) {
        return app_fail_storage(app, &err);
    }
    if (is_below(&train_url, &job->data.url) || is_below(&job->data.url, &train_url)) {
        return app_fail(app, EXIT_CONFIG, "data_url %s and train_url %s overlap", job->data_text,
                        train);
    }
    code = probe_data_url(job);
    if (!code) {
        code = validate_train_url(job, train, began);
    }
    return code;
}

enum exit_code job_validate(struct job *job)
{
    struct app *app = job->app;
    enum exit_code code = check_options(job);
    if (!code) {
        code = validate_urls(job);
    }
    if (code) {
        return code;
    }
    /* From here on requests may take as long as they need; publishing goes on after a first
       signal, staging in does not. */
    place_close(&job->data);
    code = place_open(&job->data, app, SIDE_DATA, job->data_text, app->stop, 0);
    if (!code && job->has_remote) {
        code = place_open(&job->train, app, SIDE_TRAIN, job->train_text, &job->give_up, 0);
        job->remote = (struct remote){.store = job->train.store, .root = job->train.url.key};
    }
    return code;
}

struct staging {
    struct job *job;
    struct progress progress;
};

static void on_staged(void *context, const struct storage_copied *copied)
{
    struct staging *staging = context;
    if (copied->error) {
        app_fail_storage(staging->job->app, copied->error);
    }
}

static void on_staging(void *context, const struct storage_progress *now)
{
    struct staging *staging = context;
    progress_show(&staging->progress, now);
}

static enum exit_code copy_data_in(struct job *job)
{
    struct app *app = job->app;
    struct staging staging = {.job = job};
    struct place here = {0};
    enum exit_code code = place_open(&here, app, SIDE_DATA, job->data_dir, app->stop, 0);
    if (code) {
        return code;
    }
    progress_init(&staging.progress, "staging in", &app->log);
    struct storage_copy copy = {
        .source = job->data.store,
        .source_key = job->data.url.key,
        .destination = here.store,
        .destination_key = here.url.key,
        .recursive = true,
        .stop = app->stop,
        .on_object = on_staged,
        .on_progress = on_staging,
        .context = &staging,
    };
    app_tune_copy(app, &copy, JOB_MEMORY);
    struct storage_summary summary = {0};
    struct storage_error err;
    enum storage_code result = storage_copy(&copy, &summary, &err);
    progress_end(&staging.progress);
    place_close(&here);
    job->staged_bytes = summary.bytes;
    job->staged_objects = summary.objects;
    if (result == STORAGE_STOPPED) {
        return app_fail(app, EXIT_PREEMPTED, "stopped on a signal while staging in");
    }
    if (result) {
        return summary.failed ? exit_code_of_storage(result) : app_fail_storage(app, &err);
    }
    char bytes[32];
    format_bytes(bytes, sizeof bytes, summary.bytes);
    log_info(&app->log, "staged in %llu objects, %s, from %s in %.2f s",
             (unsigned long long)summary.objects, bytes, job->data_text, summary.seconds);
    return EXIT_DONE;
}

enum exit_code job_open_dataset(struct app *app, struct model_dataset **dataset, const char *folder,
                                enum model_split split, bool optional)
{
    struct model_error err;
    enum model_code code =
        model_dataset_open(dataset, folder, split, app->settings->binarize, &err);
    if (code == MODEL_NOT_FOUND && optional) {
        return EXIT_DONE;
    }
    return code ? app_fail_model(app, &err) : EXIT_DONE;
}

enum exit_code job_stage_in(struct job *job)
{
    struct app *app = job->app;
    if (job->data.url.kind == STORAGE_LOCAL) {
        snprintf(job->data_dir, sizeof job->data_dir, "%s", job->data.url.key);
        if (job->has_remote) {
            log_info(&app->log, "data_url is a folder: used in place");
        }
    } else {
        enum exit_code code = copy_data_in(job);
        if (code) {
            return code;
        }
    }
    enum exit_code code = job_open_dataset(app, &job->train_set, job->data_dir, MODEL_TRAIN, false);
    if (!code) {
        code = job_open_dataset(app, &job->test_set, job->data_dir, MODEL_TEST, true);
    }
    if (code) {
        return code;
    }
    if (!job->test_set) {
        log_warn(&app->log, "%s has no test images: nothing is evaluated", job->data_dir);
    }
    report_dataset(job->report, job->data_text, job->staged_objects, job->staged_bytes,
                   model_dataset_crc32(job->train_set));
    return EXIT_DONE;
}
