/*
 * job.h - the story of `run` and `train`: one function a state, each returns the exit code that
 * ends the job, or EXIT_DONE to go on.
 *
 *   validate -> stage in -> resume -> train -> drain -> finalize
 *
 * A failure in any state goes straight to finalize, which still writes the report. `train` is the
 * same story without a train_url: nothing is ferried, all else is equal.
 */
#ifndef RUNNER_JOB_H
#define RUNNER_JOB_H

#include "runner/app.h"
#include "runner/job/publish.h"
#include "runner/job/report.h"
#include "runner/job/runs.h"

enum {
    JOB_MEMORY = 64 * 1024 * 1024, /* bytes of part buffers, unless --max_memory says otherwise */
    JOB_PATH_MAX = 4096,
    PREFLIGHT_MS = 30000
};

struct job {
    struct app *app;
    const struct settings *settings;
    bool has_remote; /* false for `train` */

    char data_dir[JOB_PATH_MAX];
    char ckpt_dir[JOB_PATH_MAX];
    char output_dir[JOB_PATH_MAX];
    char data_text[STORAGE_PATH_MAX + 80];  /* data_url for people and records */
    char train_text[STORAGE_PATH_MAX + 80]; /* train_url, "" without */
    struct place data, train;
    struct remote remote;

    struct model_dataset *train_set, *test_set; /* test_set NULL: the data has none */
    struct model *model;

    struct runs runs;
    char run[MODEL_RUN_MAX + 1];
    char prefix[PREFIX_MAX + 1];
    uint64_t attempt;
    struct model_state start, end;
    char newest[JOB_PATH_MAX]; /* the newest checkpoint on disk, "" while there is none */
    bool stopped;              /* the training ended on a signal */

    struct publisher *publisher;
    atomic_bool give_up; /* ends what train's store is doing */
    struct report *report;
    uint64_t staged_bytes, staged_objects;
};

/* `run` with remote, `train` without. */
enum exit_code job_main(struct app *app, bool has_remote);

/* The states. */
enum exit_code job_validate(struct job *job);
enum exit_code job_stage_in(struct job *job);
enum exit_code job_resume(struct job *job);
enum exit_code job_train(struct job *job);

/* The local folders of a command: --data_dir and its kin, or their defaults under --work_dir. */
void job_folders(const struct settings *settings, char *data_dir, char *ckpt_dir, char *output_dir);

/* The model's configuration as the options say it. */
struct model_config job_model_config(const struct settings *settings);

/*
 * Opens one split of the dataset, logging a failure. With optional, a split that is not there
 * leaves *dataset NULL and is no failure.
 */
enum exit_code job_open_dataset(struct app *app, struct model_dataset **dataset, const char *folder,
                                enum model_split split, bool optional);

/*
 * Walks the `.ckpt` files of a folder, one level. each returns false to end; the path is borrowed.
 * A folder that is not there has none.
 */
void job_each_checkpoint(const char *folder, bool (*each)(void *context, const char *path),
                         void *context);

/* Prints the lab's line: Metrics: {'loss': 0.105, 'acc': 0.97}, those of --metrics. */
void job_print_metrics(const struct settings *settings, const struct model_metrics *metrics);
/* Whether --metrics holds only names we know; logs and returns EXIT_USAGE otherwise. */
enum exit_code job_check_metrics(struct app *app);

#endif
