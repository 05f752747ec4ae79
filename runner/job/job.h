/*
 * job.h - the job of `run` and `train`: a machine of states, one function and one file a state.
 *
 *   INIT -> VALIDATE -> LOCK -> STAGE_IN -> RESUME -> RUN -> DRAIN -> FINALIZE
 *                                                      \-> STOPPING -/
 *
 * A state does its work on the one struct job and returns an exit code; the table in job.c says
 * which state follows. The built-in trainer and COMMAND (trainer.h) go through the same states, and
 * `train` is the same job without a train_url: nothing is ferried, all else is equal.
 */
#ifndef RUNNER_JOB_H
#define RUNNER_JOB_H

#include "runner/app.h"
#include "runner/job/data_manifest.h"
#include "runner/job/platform.h"
#include "runner/job/publish.h"
#include "runner/job/report.h"
#include "runner/job/runs.h"
#include "runner/job/termination.h"

struct records;     /* records.h */
struct trainer;     /* trainer.h */
struct command_job; /* command.h */

enum {
    JOB_MEMORY = 64 * 1024 * 1024, /* bytes of part buffers, unless --max_memory says otherwise */
    JOB_PATH_MAX = 4096,
    PREFLIGHT_MS = 30000
};

enum job_state {
    STATE_INIT,     /* folders, the report */
    STATE_VALIDATE, /* what can be found wrong before work begins, cheapest first */
    STATE_LOCK,     /* train_url is ours */
    STATE_STAGE_IN, /* the dataset comes here */
    STATE_RESUME,   /* which run this is, where it goes on */
    STATE_RUN,      /* the training */
    STATE_STOPPING, /* it was told to stop: it saves, and ends */
    STATE_DRAIN,    /* what was saved goes out */
    STATE_FINALIZE, /* output, records, the report */
    STATE_END
};

struct job {
    enum exit_code code; /* of the job so far */
    char reason[2048];   /* for it */
    struct termination termination;
    bool by_command; /* it is COMMAND's own */
    const struct trainer *trainer;
    struct app *app;
    const struct settings *settings;
    bool has_remote;    /* false for `train` */
    int preempt_signal; /* 0: none but SIGTERM and SIGINT */

    struct platform platform;
    char node_url[STORAGE_PATH_MAX + 80]; /* train_url of a node other than the first */
    const char *data_url, *train_url;     /* as given, wherever that was; NULL: nowhere */
    char data_dir[JOB_PATH_MAX];
    char ckpt_dir[JOB_PATH_MAX];
    char output_dir[JOB_PATH_MAX];
    char data_text[STORAGE_PATH_MAX + 80];  /* data_url for people and records */
    char train_text[STORAGE_PATH_MAX + 80]; /* train_url, "" without */
    struct place data, train;
    struct remote remote;
    struct data_manifest data_manifest; /* of data_url, before it was copied */

    struct command_job *command;                /* command.h; NULL for the built-in trainer */
    struct model_dataset *train_set, *test_set; /* test_set NULL: the data has none */
    struct model *model;

    struct runs runs;
    char run[MODEL_RUN_MAX + 1];
    char prefix[PREFIX_MAX + 1];
    uint64_t attempt;
    struct model_state start, end;
    char from[MODEL_RUN_MAX + 1];  /* the run of the checkpoint it goes on from; "" for none */
    struct model_callback history; /* curve.h; the built-in trainer's */
    char newest[JOB_PATH_MAX];     /* the newest checkpoint on disk, "" while there is none */

    struct lock *lock;               /* NULL: `train` */
    struct ferry *ferry;             /* of COMMAND's checkpoints, while and after it runs */
    char metrics_path[JOB_PATH_MAX]; /* of COMMAND's checkpoints */
    bool pointer_failed;             /* what latest.json names is not whole */
    struct publisher *publisher;
    atomic_bool give_up; /* ends what train's store is doing */
    bool nothing_to_do;  /* VALIDATE found so: the job ends, well */
    struct report *report;
    struct records *records; /* records.h; NULL before VALIDATE */
    uint64_t staged_bytes, staged_objects;
};

/* `run` with remote, `train` without. */
enum exit_code job_main(struct app *app, bool has_remote);

/* A job before its first state; NULL without memory. And the end of one, in whatever state. */
struct job *job_new(struct app *app, bool has_remote);
void job_free(struct job *job); /* NULL is fine */

/*
 * The states. Each returns EXIT_DONE, EXIT_PREEMPTED when it was told to stop (DRAIN tells of it,
 * when it is known what is safe), or the code of a failure it has logged.
 */
enum exit_code state_init(struct job *job);
enum exit_code state_validate(struct job *job);
enum exit_code state_lock(struct job *job);
enum exit_code state_stage_in(struct job *job);
enum exit_code state_resume(struct job *job);
enum exit_code state_run(struct job *job);
enum exit_code state_stopping(struct job *job);
enum exit_code state_drain(struct job *job);
enum exit_code state_finalize(struct job *job);

/* Copies a local folder below key; an absent or empty one is nothing to copy. */
enum exit_code job_copy_out(struct job *job, const char *folder, const struct place *there,
                            const char *key);

/* A new run: its name, and a prefix for its checkpoints that overwrites nothing here or there. */
enum exit_code run_begin(struct job *job);

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
void job_print_metrics(struct app *app, const struct model_metrics *metrics);
/* Whether --metrics holds only names we know; logs and returns EXIT_USAGE otherwise. */
enum exit_code job_check_metrics(struct app *app);

#endif
