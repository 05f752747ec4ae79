/* command.c - COMMAND's part in each state: its options, folders, words and environment. */
#include "runner/job/command.h"

#include "runner/environment.h"
#include "runner/job/command_line.h"
#include "runner/job/ferry.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

static enum exit_code command_check(struct job *job);
static enum exit_code command_open_data(struct job *job);
static enum exit_code command_finish(struct job *job);
static void command_release(struct job *job);

const struct trainer trainer_command = {
    .check = command_check,
    .open_data = command_open_data,
    .resume = command_resume,
    .run = command_supervise,
    .stop = command_stop,
    .finish = command_finish,
    .release = command_release,
};

/* ---- VALIDATE ------------------------------------------------------------------------------- */

/* "NAME=URL" of a list of options; folders come later. */
static enum exit_code read_sides(struct job *job, const char *option, const struct text_list *list,
                                 struct command_side *sides, size_t *count)
{
    struct storage_url url;
    struct storage_error err;
    *count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const char *text = list->items[i];
        size_t length = strcspn(text, "=");
        bool good = length > 0 && length < SIDE_NAME_MAX && text[length] == '=' && text[length + 1];
        for (size_t k = 0; good && k < length; k++) {
            good = isalnum((unsigned char)text[k]) || text[k] == '_';
        }
        if (!good) {
            return app_fail(job->app, EXIT_USAGE,
                            "--%s takes NAME=URL, the name of letters, digits and '_', not '%s'",
                            option, text);
        }
        if (*count == SIDES_MAX) {
            return app_fail(job->app, EXIT_USAGE, "--%s is given more than %d times", option,
                            SIDES_MAX);
        }
        struct command_side *side = &sides[(*count)++];
        snprintf(side->name, sizeof side->name, "%.*s", (int)length, text);
        side->url = text + length + 1;
        for (size_t k = 0; k + 1 < *count; k++) {
            if (strcasecmp(sides[k].name, side->name) == 0) {
                return app_fail(job->app, EXIT_USAGE, "--%s=%s is given twice", option, side->name);
            }
        }
        if (storage_url_parse(&url, side->url, &err)) {
            return app_fail_storage(job->app, &err);
        }
    }
    return EXIT_DONE;
}

static enum exit_code command_check(struct job *job)
{
    struct app *app = job->app;
    const struct settings *settings = job->settings;
    const char *name = app->arguments->after_dashes[0];
    struct command_job *command = calloc(1, sizeof *command);
    if (!command) {
        return app_fail(app, EXIT_BUG, "begin: no memory");
    }
    command->events = -1;
    job->command = command;
    int missing = command_line_find(name, command->path, sizeof command->path);
    if (missing) {
        return app_fail(app, missing == ENOENT ? EXIT_NO_COMMAND : EXIT_NOT_EXECUTABLE,
                        missing == ENOENT ? "start %s: there is no such program%s"
                                          : "start %s: it cannot be executed%s",
                        name, strchr(name, '/') ? "" : " in PATH");
    }
    char message[512];
    const struct ferry_options patterns = {.globs = settings->checkpoint_glob,
                                           .step_pattern = settings->step_pattern,
                                           .group_by = settings->group_by};
    if (!ferry_check(&patterns, message, sizeof message)) {
        return app_fail(app, EXIT_USAGE, "%s", message);
    }
    enum exit_code code =
        read_sides(job, "input", &settings->inputs, command->inputs, &command->input_count);
    if (!code) {
        code =
            read_sides(job, "output", &settings->outputs, command->outputs, &command->output_count);
    }
    return code;
}

/* ---- STAGE_IN ------------------------------------------------------------------------------- */

/* A folder's absolute path, made when it is not there. */
static enum exit_code settle_folder(struct job *job, char *folder)
{
    char absolute[JOB_PATH_MAX];
    enum exit_code code = app_make_folder(job->app, folder);
    if (code) {
        return code;
    }
    if (!realpath(folder, absolute)) {
        return app_fail(job->app, EXIT_DISK, "look at %s: %s", folder, strerror(errno));
    }
    snprintf(folder, JOB_PATH_MAX, "%s", absolute);
    return EXIT_DONE;
}

static enum exit_code side_folder(struct job *job, struct command_side *side, const char *kind)
{
    char below[SIDE_NAME_MAX + 16];
    snprintf(below, sizeof below, "%s/%s", kind, side->name);
    if (!storage_join(side->folder, sizeof side->folder, job->settings->work_dir, below)) {
        return app_fail(job->app, EXIT_USAGE, "--work_dir is too long");
    }
    return settle_folder(job, side->folder);
}

/* Brings one --input here; a folder is used in place. */
static enum exit_code stage_input(struct job *job, struct command_side *side)
{
    struct place from = {0};
    struct place here = {0};
    struct storage_summary summary = {0};
    struct storage_error err;
    enum exit_code code = place_open(&from, job->app, SIDE_DATA, side->url, job->app->stop, 0);
    if (!code && from.url.kind == STORAGE_LOCAL) {
        copy_text(side->folder, sizeof side->folder, from.url.key);
        code = settle_folder(job, side->folder);
        goto done;
    }
    if (!code) {
        code = side_folder(job, side, "inputs");
    }
    if (!code) {
        code = place_open(&here, job->app, SIDE_DATA, side->folder, job->app->stop, 0);
    }
    if (code) {
        goto done;
    }
    struct storage_copy copy = {
        .source = from.store,
        .source_key = from.url.key,
        .destination = here.store,
        .destination_key = here.url.key,
        .recursive = true,
        .stop = job->app->stop,
    };
    app_tune_copy(job->app, &copy, JOB_MEMORY);
    if (storage_copy(&copy, &summary, &err)) {
        code = err.code == STORAGE_STOPPED ? EXIT_STOPPED : app_fail_storage(job->app, &err);
        goto done;
    }
    job->staged_bytes += summary.bytes;
    job->staged_objects += summary.objects;
    log_info(&job->app->log, "staged in %llu objects of --input=%s",
             (unsigned long long)summary.objects, side->name);
done:
    place_close(&from);
    place_close(&here);
    return code;
}

static enum exit_code command_open_data(struct job *job)
{
    struct command_job *command = job->command;
    enum exit_code code = settle_folder(job, job->data_dir);
    if (!code) {
        code = settle_folder(job, job->ckpt_dir);
    }
    if (!code) {
        code = settle_folder(job, job->output_dir);
    }
    for (size_t i = 0; !code && i < command->input_count; i++) {
        code = stage_input(job, &command->inputs[i]);
    }
    for (size_t i = 0; !code && i < command->output_count; i++) {
        code = side_folder(job, &command->outputs[i], "outputs");
    }
    return code;
}

/* ---- RUN: words and environment -------------------------------------------------------------- */

char **command_words(struct job *job)
{
    const struct command_places places = {
        .data_dir = job->data_dir,
        .ckpt_dir = job->ckpt_dir,
        .output_dir = job->output_dir,
        .resume_ckpt = job->command->resume_ckpt,
    };
    return command_line_build(job->app->arguments, &places);
}

/* JOBFERRY_INPUT_<NAME>, in capitals. */
static bool set_side(struct environment *environment, const char *kind,
                     const struct command_side *side)
{
    char name[SIDE_NAME_MAX + 32];
    snprintf(name, sizeof name, "JOBFERRY_%s_%s", kind, side->name);
    for (char *at = name; *at; at++) {
        *at = (char)toupper((unsigned char)*at);
    }
    return environment_set(environment, name, side->folder);
}

bool command_environment(struct job *job, struct environment *environment, uint64_t try)
{
    const struct command_job *command = job->command;
    char epoch[24];
    char step[24];
    char attempt[24];
    char number[24];
    char runner[48];
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)command->resume_epoch);
    snprintf(step, sizeof step, "%llu", (unsigned long long)command->resume_step);
    snprintf(attempt, sizeof attempt, "%llu", (unsigned long long)job->attempt);
    snprintf(number, sizeof number, "%llu", (unsigned long long)try);
    child_runner_name(runner, sizeof runner);
    const struct {
        const char *name, *value;
    } variables[] = {
        {"data_url", job->data_dir},
        {"train_url", job->ckpt_dir},
        {"JOBFERRY_DATA_DIR", job->data_dir},
        {"JOBFERRY_CKPT_DIR", job->ckpt_dir},
        {"JOBFERRY_OUTPUT_DIR", job->output_dir},
        {"JOBFERRY_RESUME_CKPT", command->resume_ckpt},
        {"JOBFERRY_RESUME_EPOCH", epoch},
        {"JOBFERRY_RESUME_STEP", step},
        {"JOBFERRY_RUN", job->run},
        {"JOBFERRY_ATTEMPT", attempt},
        {"JOBFERRY_TRY", number},
        {"JOBFERRY_RUNNER", runner},
    };
    bool good = environment_init(environment, job->settings->pass_credentials);
    for (size_t i = 0; good && i < sizeof variables / sizeof variables[0]; i++) {
        good = environment_set(environment, variables[i].name, variables[i].value);
    }
    for (size_t i = 0; good && i < command->input_count; i++) {
        good = set_side(environment, "INPUT", &command->inputs[i]);
    }
    for (size_t i = 0; good && i < command->output_count; i++) {
        good = set_side(environment, "OUTPUT", &command->outputs[i]);
    }
    return good;
}

/* ---- FINALIZE ------------------------------------------------------------------------------- */

static enum exit_code command_finish(struct job *job)
{
    enum exit_code code = EXIT_DONE;
    for (size_t i = 0; i < job->command->output_count; i++) {
        const struct command_side *side = &job->command->outputs[i];
        struct place there = {0};
        enum exit_code copied =
            place_open(&there, job->app, SIDE_TRAIN, side->url, job->app->stop_now, 0);
        if (!copied) {
            copied = job_copy_out(job, side->folder, &there, there.url.key);
        }
        place_close(&there);
        code = code ? code : copied;
    }
    return code;
}

static void command_release(struct job *job)
{
    free(job->command);
    job->command = NULL;
}
