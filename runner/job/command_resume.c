/* command_resume.c - where COMMAND goes on: its newest checkpoint that is as its manifest says. */
#include "runner/job/candidate.h"
#include "runner/job/command.h"
#include "runner/job/survivors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    STRAYS_MS = 5000 /* patience with what a runner that died has left at work */
};

/* Whether the file is there with this size and sum. */
static bool file_is(const char *path, uint64_t size, uint32_t crc32)
{
    enum {
        PIECE = 256 * 1024
    };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *piece = fd >= 0 ? malloc(PIECE) : NULL;
    uint64_t seen = 0;
    uint32_t sum = 0;
    ssize_t got = -1;
    while (piece && (got = read(fd, piece, PIECE)) > 0) {
        sum = storage_crc32(sum, piece, (size_t)got);
        seen += (uint64_t)got;
    }
    free(piece);
    if (fd >= 0) {
        close(fd);
    }
    return got == 0 && seen == size && sum == crc32;
}

/* Copies one object or file to a local path. */
static enum storage_code fetch(struct job *job, struct storage *store, const char *key,
                               const char *path, struct storage_error *err)
{
    struct place here = {0};
    struct storage_summary summary;
    if (place_open(&here, job->app, SIDE_DATA, path, job->app->stop, 0)) {
        *err = (struct storage_error){.code = STORAGE_BUG};
        return STORAGE_BUG;
    }
    struct storage_copy copy = {
        .source = store,
        .source_key = key,
        .destination = here.store,
        .destination_key = here.url.key,
        .stop = job->app->stop,
    };
    app_tune_copy(job->app, &copy, JOB_MEMORY);
    enum storage_code code = storage_copy(&copy, &summary, err);
    place_close(&here);
    return code;
}

/* Brings one file of a manifest into the checkpoint folder, unless it is there. */
static enum storage_code fetch_file(struct job *job, const struct manifest_file *file, char *path,
                                    struct storage_error *err)
{
    char key[STORAGE_PATH_MAX];
    char temporary[JOB_PATH_MAX];
    if (!storage_name_is_safe(file->name, NULL) ||
        !storage_join(path, JOB_PATH_MAX, job->ckpt_dir, file->name) ||
        !storage_join(temporary, sizeof temporary, job->ckpt_dir, ".jobferry/fetched")) {
        *err = (struct storage_error){.code = STORAGE_HOSTILE};
        snprintf(err->message, sizeof err->message, "the manifest names a file '%s'", file->name);
        return STORAGE_HOSTILE;
    }
    if (file_is(path, file->size, file->crc32)) {
        return STORAGE_OK;
    }
    remote_key(&job->remote, key, file->key);
    enum storage_code code = fetch(job, job->train.store, key, temporary, err);
    if (!code && !file_is(temporary, file->size, file->crc32)) {
        *err = (struct storage_error){.code = STORAGE_INTEGRITY};
        snprintf(err->message, sizeof err->message,
                 "%s in the store is not what its manifest names", file->key);
        code = STORAGE_INTEGRITY;
    }
    char folder[JOB_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    if (!code && (app_make_folder(job->app, folder) || rename(temporary, path) != 0)) {
        *err = (struct storage_error){.code = STORAGE_DISK, .system_errno = errno};
        snprintf(err->message, sizeof err->message, "write %.1000s: %s", path, strerror(errno));
        code = STORAGE_DISK;
    }
    return code;
}

/* The checkpoint itself, not the graph's file beside it. */
static bool is_main(const struct manifest *manifest, size_t i)
{
    const char *dot = strrchr(manifest->files[i].name, '.');
    return manifest->file_count == 1 || !dot || strcmp(dot, ".meta") != 0;
}

/* Brings all files of a manifest here; COMMAND then goes on from it. */
static enum storage_code fetch_unit(struct job *job, const struct manifest *manifest,
                                    struct storage_error *err)
{
    char first[JOB_PATH_MAX] = "";
    enum storage_code code = STORAGE_OK;
    for (size_t i = 0; !code && i < manifest->file_count; i++) {
        char path[JOB_PATH_MAX];
        code = fetch_file(job, &manifest->files[i], path, err);
        if (!first[0] && is_main(manifest, i)) {
            snprintf(first, sizeof first, "%s", path);
        }
    }
    if (!code) {
        struct command_job *command = job->command;
        copy_text(command->resume_ckpt, sizeof command->resume_ckpt, first);
        command->resume_epoch = manifest->epoch;
        command->resume_step = manifest->step;
    }
    return code;
}

/* The search for the newest manifest below one that proved bad. */
struct search {
    struct manifest best, below;
    bool has_best, has_below;
};

/* By how far it is, then by when it was published. */
static int compare(const struct manifest *left, const struct manifest *right)
{
    const uint64_t pairs[][2] = {
        {left->cumulative_step, right->cumulative_step},
        {left->epoch, right->epoch},
        {left->step, right->step},
        {left->attempt, right->attempt},
        {left->seq, right->seq},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i][0] != pairs[i][1]) {
            return pairs[i][0] < pairs[i][1] ? -1 : 1;
        }
    }
    return 0;
}

static bool weigh(void *context, const struct manifest *manifest)
{
    struct search *search = context;
    if (manifest->file_count > 0 && (!search->has_below || compare(manifest, &search->below) < 0) &&
        (!search->has_best || compare(manifest, &search->best) > 0)) {
        manifest_release(&search->best);
        search->has_best = manifest_copy(&search->best, manifest);
    }
    return true;
}

/* Whether another checkpoint may serve where this failure came. */
static bool is_passable(enum storage_code code)
{
    return code == STORAGE_INTEGRITY || code == STORAGE_NOT_FOUND || code == STORAGE_HOSTILE;
}

/* What the pointer names is the newest, if it is whole: whoever moved it knew more than names tell.
 */
static bool fetch_pointed(struct job *job, const char *run)
{
    struct storage_error err = {0};
    struct pointer latest;
    struct manifest manifest = {0};
    bool fetched = remote_latest(&job->remote, &latest, &err) == STORAGE_OK &&
                   strcmp(latest.run, run) == 0 && latest.manifest[0] &&
                   remote_manifest(&job->remote, latest.manifest, &manifest, &err) == STORAGE_OK &&
                   fetch_unit(job, &manifest, &err) == STORAGE_OK;
    if (!fetched && err.message[0]) {
        log_warn(&job->app->log, "%s; older checkpoints are looked at", err.message);
    }
    manifest_release(&manifest);
    return fetched;
}

/* Fetches the newest checkpoint of a run that is whole; none is no failure. */
static enum exit_code fetch_newest(struct job *job, const char *run, struct search *search)
{
    job->pointer_failed = false;
    if (fetch_pointed(job, run)) {
        return EXIT_DONE;
    }
    job->pointer_failed = true;
    for (;;) {
        struct storage_error err = {0};
        search->has_best = false;
        if (remote_each_manifest(&job->remote, run, weigh, search, &err)) {
            return err.code == STORAGE_STOPPED ? EXIT_STOPPED : app_fail_storage(job->app, &err);
        }
        if (!search->has_best) {
            return EXIT_DONE;
        }
        enum storage_code code = fetch_unit(job, &search->best, &err);
        if (!code) {
            return EXIT_DONE;
        }
        if (!is_passable(code)) {
            return code == STORAGE_STOPPED ? EXIT_STOPPED : app_fail_storage(job->app, &err);
        }
        log_warn(&job->app->log, "%s; that checkpoint is passed over", err.message);
        manifest_release(&search->below);
        search->below = search->best;
        search->best = (struct manifest){0};
        search->has_below = true;
    }
}

/* --resume=FILE or URL: COMMAND goes on from a copy of it. */
static enum exit_code resume_named(struct job *job)
{
    struct command_job *command = job->command;
    const char *text = job->settings->resume;
    const char *slash = strrchr(text, '/');
    struct place from = {0};
    struct storage_error err;
    char name[300];
    snprintf(name, sizeof name, ".jobferry/resume/%.255s", slash ? slash + 1 : text);
    if (!storage_join(command->resume_ckpt, sizeof command->resume_ckpt, job->ckpt_dir, name)) {
        return app_fail(job->app, EXIT_USAGE, "--ckpt_dir is too long");
    }
    enum exit_code code = place_open(&from, job->app, SIDE_TRAIN, text, job->app->stop, 0);
    if (!code && fetch(job, from.store, from.url.key, command->resume_ckpt, &err)) {
        code = err.code == STORAGE_STOPPED ? EXIT_STOPPED : app_fail_storage(job->app, &err);
    }
    place_close(&from);
    return code ? code : run_begin(job);
}

/* What lies here and is newer than what the store has. */
static enum exit_code take_survivor(struct job *job, const char *run)
{
    struct command_job *command = job->command;
    const struct ferry_options options = {.folder = job->ckpt_dir,
                                          .globs = job->settings->checkpoint_glob,
                                          .step_pattern = job->settings->step_pattern,
                                          .group_by = job->settings->group_by};
    struct survivor newest;
    if (!runs_find(&job->runs, run)) {
        return EXIT_DONE; /* the run was never here */
    }
    if (!survivors_newest(&newest, &options, runs_started_ns(&job->runs, run))) {
        return app_fail(job->app, EXIT_DISK, "look through %s: %s", job->ckpt_dir, strerror(errno));
    }
    bool is_newer = newest.epoch > command->resume_epoch ||
                    (newest.epoch == command->resume_epoch && newest.step > command->resume_step);
    if (newest.name[0] && (!command->resume_ckpt[0] || is_newer) &&
        storage_join(command->resume_ckpt, sizeof command->resume_ckpt, job->ckpt_dir,
                     newest.name)) {
        command->resume_epoch = newest.epoch;
        command->resume_step = newest.step;
    }
    return EXIT_DONE;
}

enum exit_code command_resume_again(struct job *job)
{
    return take_survivor(job, job->run);
}

static enum exit_code choose(struct job *job, struct candidate *candidate, struct search *search)
{
    const char *mode = job->settings->resume;
    struct command_job *command = job->command;
    bool is_always = strcmp(mode, "always") == 0;
    if (strcmp(mode, "never") == 0) {
        return run_begin(job);
    }
    if (!is_always && strcmp(mode, "auto") != 0) {
        return resume_named(job);
    }
    enum exit_code code = candidate_find_run(candidate);
    bool continues = candidate->run[0] && !candidate->finished;
    if (!code && candidate->run[0] && (continues || is_always)) {
        code = fetch_newest(job, candidate->run, search);
        code = code ? code : take_survivor(job, candidate->run);
    }
    if (code) {
        return code;
    }
    if (is_always && !command->resume_ckpt[0]) {
        return app_fail(job->app, EXIT_MISSING,
                        "--resume=always: no checkpoint of a recorded run is whole in %s",
                        job->train_text);
    }
    if (!continues) {
        return run_begin(job);
    }
    snprintf(job->run, sizeof job->run, "%s", candidate->run);
    snprintf(job->prefix, sizeof job->prefix, "%s", job->settings->ckpt_name);
    job->attempt = candidate->attempt + 1;
    return EXIT_DONE;
}

enum exit_code command_resume(struct job *job)
{
    unsigned strays = child_clear_strays(job->ckpt_dir, STRAYS_MS);
    if (strays > 0) {
        log_warn(&job->app->log, "a runner that died had left %u process%s at work: ended", strays,
                 strays == 1 ? "" : "es");
    }
    struct candidate *candidate = calloc(1, sizeof *candidate);
    struct search *search = calloc(1, sizeof *search);
    enum exit_code code = EXIT_BUG;
    if (!candidate || !search) {
        app_fail(job->app, code, "resume: no memory");
        goto done;
    }
    candidate->job = job;
    code = choose(job, candidate, search);
    if (!code) {
        const char *from = job->command->resume_ckpt;
        log_info(&job->app->log, "run %s, attempt %llu%s%s", job->run,
                 (unsigned long long)job->attempt, from[0] ? ", goes on from " : ", starts fresh",
                 from);
    }
done:
    if (search) {
        manifest_release(&search->best);
        manifest_release(&search->below);
    }
    if (candidate) {
        candidate_release(candidate);
    }
    free(search);
    free(candidate);
    return code;
}
