/*
 * commands.h - one function a command; each prints its result and returns the exit code. Their
 * names, options and help stand in one table, in main.c; struct app borrows it.
 */
#ifndef RUNNER_COMMANDS_H
#define RUNNER_COMMANDS_H

#include "runner/app.h"

struct command {
    const char *name; /* two words where there is a sub-command */
    enum command_bit bit;
    command_fn *enter;
    const char *synopsis;
    const char *purpose;
    const char *example;
};

command_fn command_cp;
command_fn command_sync;
command_fn command_ls;
command_fn command_stat;
command_fn command_cat;
command_fn command_put;
command_fn command_rm;
command_fn command_mb;
command_fn command_du;
command_fn command_cleanup;
command_fn command_completion;
command_fn command_mv;
command_fn command_presign;
command_fn command_run;
command_fn command_train;
command_fn command_check;
command_fn command_eval;
command_fn command_infer;
command_fn command_ckpt_show;
command_fn command_ckpt_verify;
command_fn command_ckpt_diff;
command_fn command_ckpt_convert;
command_fn command_data_digits;

#endif
