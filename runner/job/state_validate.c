/* state_validate.c - VALIDATE: everything that can be found wrong before work begins. */
#include "runner/job/job.h"
#include "runner/job/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

/* The environment's data_url or train_url, by the names that platforms use. */
static const char *from_environment(const char *plain, const char *dls)
{
    const char *value = getenv(plain);
    if (!value || !value[0]) {
        value = getenv(dls);
    }
    return value && value[0] ? value : NULL;
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

enum exit_code state_validate(struct job *job)
{
    struct app *app = job->app;
    enum exit_code code = job->trainer->check(job);
    if (!code) {
        code = validate_urls(job);
    }
    if (code) {
        return code;
    }
    /* Staging in may take as long as it needs. */
    place_close(&job->data);
    return place_open(&job->data, app, SIDE_DATA, job->data_text, app->stop, 0);
}
