/* preflight_machine.c - the checks that ask the machine: folders and room. */
#include "runner/job/preflight_internal.h"

#include "runner/job/trainer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    /* Of the built-in trainer: 494,155 of tensors, and our entries; what sgd and adam keep more. */
    CHECKPOINT_BYTES = 495019,
    SECOND_STATE_BYTES = 247113
};

/* The nearest folder above path, or path itself, that is there; errno tells what hid the others. */
static void nearest_folder(char *out, size_t size, const char *path)
{
    copy_text(out, size, path);
    while (access(out, F_OK) != 0) {
        char *slash = strrchr(out, '/');
        if (!slash || slash == out) {
            copy_text(out, size, slash ? "/" : ".");
            return;
        }
        *slash = '\0';
    }
}

static enum exit_code check_folder(struct preflight *preflight, const char *option,
                                   const char *path)
{
    char folder[JOB_PATH_MAX];
    struct stat status;
    struct app *app = preflight->job->app;
    nearest_folder(folder, sizeof folder, path);
    if (stat(folder, &status) == 0 && !S_ISDIR(status.st_mode)) {
        return app_fail(app, EXIT_DISK, "write into %s: %s is no folder; --%s names another", path,
                        folder, option);
    }
    if (access(folder, W_OK | X_OK) != 0) {
        return app_fail(app, EXIT_DISK, "write into %s: %s; --%s names another folder", path,
                        strerror(errno), option);
    }
    return EXIT_DONE;
}

enum exit_code preflight_folders(struct preflight *preflight)
{
    const struct job *job = preflight->job;
    enum exit_code code = check_folder(preflight, "ckpt_dir", job->ckpt_dir);
    if (!code) {
        code = check_folder(preflight, "output_dir", job->output_dir);
    }
    snprintf(preflight->note, sizeof preflight->note, "can be written");
    return code;
}

/* What must fit on one file system. */
struct demand {
    const char *option; /* that moves it elsewhere */
    const char *path;
    const char *what;
    uint64_t bytes, files;
    struct statvfs room;
    dev_t device;
};

static bool look_at_room(struct demand *demand)
{
    char folder[JOB_PATH_MAX];
    struct stat status;
    nearest_folder(folder, sizeof folder, demand->path);
    if (statvfs(folder, &demand->room) != 0 || stat(folder, &status) != 0) {
        return false;
    }
    demand->device = status.st_dev;
    return true;
}

/* Fails when the room is too small; warns when it is filled to nine tenths. */
static enum exit_code weigh(struct preflight *preflight, const struct demand *demand)
{
    struct app *app = preflight->job->app;
    uint64_t room = (uint64_t)demand->room.f_bavail * demand->room.f_frsize;
    char needed[32];
    char free_text[32];
    format_bytes(needed, sizeof needed, demand->bytes);
    format_bytes(free_text, sizeof free_text, room);
    if (demand->bytes > room) {
        return app_fail(app, EXIT_DISK,
                        "%s: %s take %s, and %s are free; make room, or --%s or --work_dir names a "
                        "folder on a larger disk",
                        demand->path, demand->what, needed, free_text, demand->option);
    }
    /* A file system without a fixed number of files says 0 of 0. */
    if (demand->room.f_files > 0 && demand->files > demand->room.f_favail) {
        return app_fail(app, EXIT_DISK,
                        "%s: %s take %llu files, and %llu more can be made; --%s names a folder on "
                        "another disk",
                        demand->path, demand->what, (unsigned long long)demand->files,
                        (unsigned long long)demand->room.f_favail, demand->option);
    }
    if (demand->bytes > room / 10 * 9) {
        preflight_warn(preflight, "make room, or choose another disk with --work_dir",
                       "%s: %s take %s of the %s that are free", demand->path, demand->what, needed,
                       free_text);
    }
    snprintf(preflight->note, sizeof preflight->note, "%s needed, %s free in %.1000s", needed,
             free_text, demand->path);
    return EXIT_DONE;
}

/* Bytes of the checkpoints that lie on the disk at once; 0 where that is not known beforehand. */
static uint64_t checkpoint_bytes(const struct job *job)
{
    const struct settings *settings = job->settings;
    uint64_t keep = (uint64_t)settings->keep_checkpoint_max;
    if (job->trainer != &trainer_builtin) {
        return 0;
    }
    uint64_t bytes = CHECKPOINT_BYTES;
    if (strcmp(settings->optimizer, model_optimizer_name(MODEL_MOMENTUM)) != 0) {
        bytes += SECOND_STATE_BYTES;
    }
    /* One more than is kept: the oldest goes when the newest is whole. */
    return (keep ? keep + 1 : settings->epochs) * bytes;
}

enum exit_code preflight_disk(struct preflight *preflight)
{
    const struct job *job = preflight->job;
    const struct data_manifest *manifest = &job->data_manifest;
    bool is_copied = preflight->data.url.kind == STORAGE_S3;
    struct demand checkpoints = {.option = "ckpt_dir",
                                 .path = job->ckpt_dir,
                                 .what = "the checkpoints",
                                 .bytes = checkpoint_bytes(job)};
    /* What is there already is read again and replaced file by file. */
    struct demand data = {.option = "data_dir",
                          .path = job->data_dir,
                          .what = "the data",
                          .bytes = is_copied ? manifest->bytes - manifest->there +
                                                   (manifest->there ? manifest->largest : 0)
                                             : 0,
                          .files = is_copied ? manifest->objects : 0};
    bool known = look_at_room(&checkpoints) && look_at_room(&data);
    if (!known) {
        return EXIT_DONE;
    }
    if (is_copied && data.device == checkpoints.device) {
        data.bytes += checkpoints.bytes;
        data.what = checkpoints.bytes ? "data and checkpoints" : data.what;
    } else {
        enum exit_code code = weigh(preflight, &checkpoints);
        if (code || !is_copied) {
            return code;
        }
    }
    return weigh(preflight, &data);
}
