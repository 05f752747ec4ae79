/* commands.h - one function a command; each prints its result and returns the exit code. */
#ifndef RUNNER_COMMANDS_H
#define RUNNER_COMMANDS_H

#include "runner/app.h"

command_fn command_cp;
command_fn command_ls;
command_fn command_stat;
command_fn command_cat;
command_fn command_put;
command_fn command_rm;
command_fn command_mb;
command_fn command_run;
command_fn command_train;
command_fn command_eval;
command_fn command_infer;
command_fn command_ckpt_show;
command_fn command_ckpt_verify;
command_fn command_data_digits;

#endif
