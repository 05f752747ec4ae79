/* exit_codes.h - the contract with whoever starts us (design: "Exit codes"); the README explains
 * them. */
#ifndef RUNNER_EXIT_CODES_H
#define RUNNER_EXIT_CODES_H

#include "model/model.h"
#include "storage/storage.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_UNEQUAL = 1,           /* ckpt diff: they differ */
    EXIT_USAGE = 64,            /* sysexits.h EX_USAGE */
    EXIT_DATA = 65,             /* dataset or checkpoint is corrupt */
    EXIT_MISSING = 66,          /* source missing or empty */
    EXIT_UNREACHABLE = 69,      /* store unreachable */
    EXIT_BUG = 70,              /* a bug, or no memory */
    EXIT_DISK = 73,             /* local disk full, read-only */
    EXIT_TRANSFER = 74,         /* transfer not completed, or last checkpoint not confirmed */
    EXIT_PREEMPTED = 75,        /* stopped, newest checkpoint confirmed: run me again */
    EXIT_INTEGRITY = 76,        /* what arrived is not what was sent */
    EXIT_DENIED = 77,           /* access denied or bad credentials */
    EXIT_CONFIG = 78,           /* configuration, or another job holds this train_url */
    EXIT_PREEMPTED_UNSAFE = 79, /* stopped, newest checkpoint not confirmed */
    EXIT_GATE = 80,             /* --gate not met */
    EXIT_DIVERGED = 81,         /* NaN or Inf loss */
    EXIT_TIME_LIMIT = 82,       /* --time_limit */
    EXIT_NOT_EXECUTABLE = 126,  /* COMMAND cannot be executed, as a shell says it */
    EXIT_NO_COMMAND = 127,      /* COMMAND is not there, likewise */
    EXIT_INTERRUPTED = 130,     /* Ctrl-C, as a shell says it */
    EXIT_PIPE = 141,            /* stdout's reader went away */
    EXIT_TERMINATED = 143,      /* SIGTERM to a storage command, likewise */
    EXIT_STOPPED = 256 /* within a job: a state was told to stop. What is safe decides the code */
};

enum exit_code exit_code_of_storage(enum storage_code code);
enum exit_code exit_code_of_model(enum model_code code);

#endif
