/*
 * settings.h - every option's value in one struct, filled by options.c from the one table.
 *
 * Texts are borrowed from argv, or point at a default's literal. Zero-initialise, then
 * options_parse fills in the defaults and what was given.
 */
#ifndef RUNNER_SETTINGS_H
#define RUNNER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The access flags of one side; NULL where not given. */
struct access_flags {
    const char *ak;
    const char *sk;
    const char *token;
    const char *server;
    const char *region;
    const char *profile;
    const char *sign;
    const char *addressing;
    const char *verify_ssl; /* "0" or "1" */
    const char *ca_file;
};

/* What new objects are to be, and which ones are meant; NULL where not given. */
struct object_flags {
    const char *content_type;
    const char *cache_control;
    const char *metadata;
    const char *storage_class;
    const char *acl;
    const char *sse;
    const char *sse_kms_key_id;
    const char *sse_c_key_file;
    const char *data_sse_c_key_file;
    const char *train_sse_c_key_file;
    const char *version_id;
    bool request_payer;
};

enum {
    TEXT_LIST_MAX = 256
};

/* The values of an option that may be given several times, in order. */
struct text_list {
    const char *items[TEXT_LIST_MAX];
    size_t count;
};

struct settings {
    /* where */
    const char *data_url;
    const char *train_url;
    const char *work_dir;
    const char *data_dir;
    const char *ckpt_dir;
    const char *output_dir;
    struct access_flags both;  /* without prefix */
    struct access_flags data;  /* --data_…: where things come from */
    struct access_flags train; /* --train_…: where they go */
    bool unsigned_payload;
    bool make_bucket;
    uint64_t drain_timeout; /* seconds */

    /* the job, and COMMAND */
    uint64_t grace;      /* seconds */
    uint64_t time_limit; /* seconds; 0: none */
    uint64_t retries;
    const char *checkpoint_glob;
    const char *group_by;
    const char *step_pattern;
    const char *watch;
    const char *keep_remote;
    uint64_t lock_wait; /* seconds */
    bool break_lock;
    const char *preempt_signal;
    const char *signal_scope;
    bool append_urls;
    bool pass_credentials;
    struct text_list inputs;  /* NAME=URL */
    struct text_list outputs; /* NAME=URL */
    const char *termination_log;
    const char *failure_file;

    /* the trainer */
    uint64_t epochs;
    uint64_t batch_size;
    double lr;
    double momentum;
    double weight_decay;
    double loss_scale;
    bool use_nesterov;
    const char *optimizer;
    double dampening;
    double beta1;
    double beta2;
    double eps;
    const char *lr_schedule;
    uint64_t warmup_steps;
    uint64_t decay_steps; /* 0: by the schedule */
    double decay_rate;
    double min_lr;
    uint64_t seed;
    uint64_t threads;
    const char *kernels;
    const char *init;
    const char *device_target;
    const char *ckpt_name;
    bool drop_remainder;
    int64_t save_checkpoint_steps; /* -1: once an epoch */
    int64_t save_checkpoint_seconds;
    int64_t keep_checkpoint_max;
    int64_t keep_checkpoint_per_n_minutes;
    const char *integrated_save;
    bool async_save;
    bool saved_network;
    const char *append_info;
    bool exception_save;
    const char *format;
    int64_t per_print_times; /* -1: once an epoch */
    bool time_monitor;
    const char *summary_dir;
    uint64_t collect_freq; /* steps */
    const char *monitor;
    uint64_t patience; /* epochs */
    double min_delta;
    bool save_best;
    const char *resume;
    const char *init_from;
    bool allow_change;
    const char *checkpoint;
    bool strict_load;
    struct text_list image;
    bool invert;
    bool only_wrong;
    uint64_t columns; /* 0: chosen */
    const char *mindspore;
    bool crc_check;
    bool weights_only;
    const char *metrics;
    bool binarize;
    uint64_t count;
    const char *output;

    /* drawn digits */
    uint64_t digits_train;
    uint64_t digits_test;

    /* retraining */
    struct text_list gate;
    bool promote;
    bool if_changed;

    /* records */
    const char *events;
    const char *metrics_file;
    uint64_t log_max;             /* bytes */
    uint64_t log_upload_interval; /* seconds; 0: at the end alone */

    /* storage commands */
    struct object_flags objects;
    const char *from_file;
    const char *file_list;
    bool raw;
    uint64_t expires_in; /* seconds */
    uint64_t expires_at; /* seconds since 1970; 0: by expires_in */
    const char *method;
    bool recursive;
    bool yes;
    const char *older_than;
    const char *manifest;
    const char *verify;
    bool abort_leftovers;
    bool checkpoints;
    uint64_t stall_timeout; /* seconds */
    uint64_t connections;
    uint64_t part_size;       /* bytes; 0: chosen */
    uint64_t max_memory;      /* bytes; 0: the command's default */
    uint64_t bandwidth_limit; /* bytes a second; 0: none */
    uint64_t deadline;        /* seconds; 0: none */
    bool human;
    bool summarize;
    uint64_t depth;

    /* copies and syncs */
    struct text_list include;
    struct text_list exclude;
    const char *symlinks;
    bool delete_extra;
    bool dry_run;
    bool exact_mtime;
    bool size_only;
    bool checksum;
    int64_t max_delete; /* -1: the default rule */

    /* output */
    bool json;
    bool verbose;
    const char *log_format;
    bool help;
};

#endif
