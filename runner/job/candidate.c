/* candidate.c - looks through local files and the store's manifests for the newest good one. */
#include "runner/job/candidate.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

void job_each_checkpoint(const char *folder, bool (*each)(void *context, const char *path),
                         void *context)
{
    DIR *listing = opendir(folder);
    if (!listing) {
        return;
    }
    char path[JOB_PATH_MAX];
    for (const struct dirent *entry = readdir(listing); entry; entry = readdir(listing)) {
        if (!model_is_checkpoint_name(entry->d_name) || entry->d_name[0] == '.' ||
            !storage_join(path, sizeof path, folder, entry->d_name)) {
            continue;
        }
        if (!each(context, path)) {
            break;
        }
    }
    closedir(listing);
}

/* A local file: kept when it is of the candidate's run, verifies, and is further than what we have.
 */
static bool weigh_local(void *context, const char *path)
{
    struct candidate *candidate = context;
    struct model_checkpoint *checkpoint = NULL;
    struct model_state state;
    struct model_error err;
    if (model_checkpoint_read(&checkpoint, path, &err)) {
        log_warn(&candidate->job->app->log, "%s; it is passed over", err.message);
        return true;
    }
    model_checkpoint_state(checkpoint, &state);
    model_checkpoint_free(checkpoint);
    if (state.present && strcmp(state.run, candidate->run) == 0 &&
        (!candidate->path[0] || state.cumulative_step > candidate->state.cumulative_step)) {
        snprintf(candidate->path, sizeof candidate->path, "%s", path);
        candidate->state = state;
    }
    return true;
}

/* A manifest: tells the publisher's side what is taken, and is kept when it is the furthest. */
static bool weigh_manifest(void *context, const struct manifest *manifest)
{
    struct candidate *candidate = context;
    if (manifest->attempt > candidate->attempt) {
        candidate->attempt = manifest->attempt;
    }
    if (manifest->file_count > 0 && manifest->cumulative_step < candidate->below &&
        (!candidate->has_manifest ||
         manifest->cumulative_step > candidate->manifest.cumulative_step)) {
        manifest_release(&candidate->manifest);
        candidate->has_manifest = manifest_copy(&candidate->manifest, manifest);
    }
    return true;
}

/* Fetches one file of a manifest into the checkpoint folder and checks it against the manifest. */
static enum storage_code fetch_file(struct job *job, const struct manifest_file *file, char *path,
                                    struct storage_error *err)
{
    enum {
        CHECKPOINT_MAX = 512 * 1024 * 1024
    };
    char key[STORAGE_PATH_MAX];
    char *data = NULL;
    size_t size = 0;
    struct place here = {0};
    if (!storage_name_is_safe(file->name, NULL) || strchr(file->name, '/') ||
        !storage_join(path, JOB_PATH_MAX, job->ckpt_dir, file->name)) {
        *err = (struct storage_error){.code = STORAGE_HOSTILE};
        snprintf(err->message, sizeof err->message, "the manifest names a file '%s'", file->name);
        return STORAGE_HOSTILE;
    }
    remote_key(&job->remote, key, file->key);
    enum storage_code code = storage_get(job->train.store, key, CHECKPOINT_MAX, &data, &size, err);
    if (!code && (size != file->size || storage_crc32(0, data, size) != file->crc32)) {
        *err = (struct storage_error){.code = STORAGE_INTEGRITY};
        snprintf(err->message, sizeof err->message,
                 "%s in the store is not what its manifest names", file->key);
        code = STORAGE_INTEGRITY;
    }
    if (!code && place_open(&here, job->app, SIDE_DATA, path, NULL, 0)) {
        code = STORAGE_BUG;
    }
    if (!code) {
        code = storage_put(here.store, here.url.key, data, size, NULL, err);
    }
    place_close(&here);
    free(data);
    return code;
}

/* Fetches a manifest's files. The checkpoint must verify; the graph's file may be missing. */
static enum storage_code fetch_manifest(struct candidate *candidate, struct storage_error *err)
{
    struct job *job = candidate->job;
    for (size_t i = 0; i < candidate->manifest.file_count; i++) {
        const struct manifest_file *file = &candidate->manifest.files[i];
        char path[JOB_PATH_MAX];
        bool checkpoint = model_is_checkpoint_name(file->name);
        enum storage_code code = fetch_file(job, file, path, err);
        if (code && checkpoint) {
            return code;
        }
        if (!code && checkpoint) {
            log_info(&job->app->log, "fetched %s from %s", file->name, job->train_text);
            weigh_local(candidate, path);
        }
    }
    return STORAGE_OK;
}

/* Brings the best manifest's checkpoint here while it is further than the best local file. */
static enum exit_code fetch_newer(struct candidate *candidate)
{
    struct job *job = candidate->job;
    for (;;) {
        struct storage_error err = {0};
        candidate->has_manifest = false;
        manifest_release(&candidate->manifest);
        if (remote_each_manifest(&job->remote, candidate->run, weigh_manifest, candidate, &err)) {
            return app_fail_storage(job->app, &err);
        }
        uint64_t step = candidate->manifest.cumulative_step;
        if (!candidate->has_manifest ||
            (candidate->path[0] && step <= candidate->state.cumulative_step)) {
            return EXIT_DONE;
        }
        enum storage_code code = fetch_manifest(candidate, &err);
        if (!code && candidate->path[0] && candidate->state.cumulative_step >= step) {
            return EXIT_DONE;
        }
        if (code && code != STORAGE_INTEGRITY && code != STORAGE_NOT_FOUND &&
            code != STORAGE_HOSTILE) {
            return app_fail_storage(job->app, &err);
        }
        log_warn(&job->app->log, "%s; that checkpoint is passed over",
                 code ? err.message : "a checkpoint in the store does not load");
        candidate->below = step;
    }
}

enum exit_code candidate_find_run(struct candidate *candidate)
{
    struct job *job = candidate->job;
    struct storage_error err;
    struct pointer latest = {0};
    const struct run_record *record = runs_newest(&job->runs, job->train_text);
    if (job->has_remote) {
        enum storage_code code = remote_latest(&job->remote, &latest, &err);
        if (code) {
            return app_fail_storage(job->app, &err);
        }
    }
    /* Names begin with the time a run started, so the greater name is the newer run. */
    bool local_is_newer = record && strcmp(record->run, latest.run) > 0;
    snprintf(candidate->run, sizeof candidate->run, "%s",
             local_is_newer ? record->run : latest.run);
    if (!candidate->run[0]) {
        return EXIT_DONE;
    }
    record = runs_find(&job->runs, candidate->run);
    candidate->finished = (record && record->finished) || (!local_is_newer && latest.finished);
    candidate->attempt = record ? record->attempt : 0;
    if (!local_is_newer && latest.attempt > candidate->attempt) {
        candidate->attempt = latest.attempt;
    }
    return EXIT_DONE;
}

void candidate_release(struct candidate *candidate)
{
    manifest_release(&candidate->manifest);
}

enum exit_code candidate_find_newest(struct candidate *candidate)
{
    struct job *job = candidate->job;
    enum exit_code code = candidate_find_run(candidate);
    if (code || !candidate->run[0]) {
        return code;
    }
    job_each_checkpoint(job->ckpt_dir, weigh_local, candidate);
    candidate->below = UINT64_MAX;
    return job->has_remote ? fetch_newer(candidate) : EXIT_DONE;
}

enum exit_code candidate_fetch(struct job *job, const char *text, const char *name, char *path)
{
    struct app *app = job->app;
    struct storage_url url;
    struct storage_error err;
    if (storage_url_parse(&url, text, &err)) {
        return app_fail_storage(app, &err);
    }
    snprintf(path, JOB_PATH_MAX, "%s", url.key);
    if (url.kind == STORAGE_S3) {
        struct place from = {0};
        struct place here = {0};
        storage_join(path, JOB_PATH_MAX, job->ckpt_dir, name);
        enum exit_code code = place_open(&from, app, SIDE_TRAIN, text, app->stop, 0);
        if (!code) {
            code = place_open(&here, app, SIDE_DATA, path, app->stop, 0);
        }
        struct storage_copy copy = {.source = from.store,
                                    .source_key = from.url.key,
                                    .destination = here.store,
                                    .destination_key = here.url.key,
                                    .stop = app->stop};
        app_tune_copy(app, &copy, JOB_MEMORY);
        struct storage_summary summary;
        if (!code && storage_copy(&copy, &summary, &err)) {
            code = app_fail_storage(app, &err);
        }
        place_close(&from);
        place_close(&here);
        if (code) {
            return code;
        }
    }
    return EXIT_DONE;
}

enum exit_code candidate_find_named(struct candidate *candidate)
{
    struct job *job = candidate->job;
    struct app *app = job->app;
    enum exit_code fetched =
        candidate_fetch(job, job->settings->resume, ".jobferry/resume.ckpt", candidate->path);
    if (fetched) {
        return fetched;
    }
    struct model_checkpoint *checkpoint = NULL;
    struct model_error model_err;
    if (model_checkpoint_read(&checkpoint, candidate->path, &model_err)) {
        return app_fail_model(app, &model_err);
    }
    model_checkpoint_state(checkpoint, &candidate->state);
    model_checkpoint_free(checkpoint);
    const struct run_record *record =
        candidate->state.present ? runs_find(&job->runs, candidate->state.run) : NULL;
    snprintf(candidate->run, sizeof candidate->run, "%s", candidate->state.run);
    candidate->finished = !record || record->finished;
    candidate->attempt = record ? record->attempt : 0;
    return EXIT_DONE;
}
