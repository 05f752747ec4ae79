/*
 * child.h - COMMAND as processes: its start, its end, and the end of all that it left.
 *
 * The child leads a session and a process group of its own, so that a terminal's Ctrl-C reaches it
 * through us alone. What it leaves behind comes to us, who are PID 1 or else a subreaper, and is
 * waited for and ended.
 */
#ifndef RUNNER_CHILD_H
#define RUNNER_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
    pid_t pid; /* 0: never started */
    bool ended;
    int status; /* as waitpid tells, once ended */
};

/* What is started. Texts and arrays are borrowed for the call. */
struct child_start {
    const char *path; /* no PATH is searched; a file without #! is given to /bin/sh */
    char *const *arguments;
    char *const *variables;
    int output, errors; /* descriptors for its stdout and stderr; -1: ours */
};

/*
 * Starts it; it is told SIGTERM when we die. Returns 0, or the errno of what failed, execve's
 * included: then there is no child.
 */
int child_start(struct child *child, const struct child_start *start);

/* Waits for all that have ended, without blocking; notes when the child itself has. */
void child_reap(struct child *child);

/* Sends a signal to the child, or to its whole group. One that is gone is fine. */
void child_signal(const struct child *child, int number, bool to_group);

/*
 * Ends what an ended child left: SIGTERM to its group and to what came to us, SIGKILL to what is
 * there after patience_ms. Returns how many there were.
 */
unsigned child_clear(const struct child *child, unsigned patience_ms);

/* Makes us the parent of the orphans below us. */
void child_adopt_orphans(void);

/*
 * Ends what a runner that died has left at work in this checkpoint folder (an absolute path): all
 * whose environment says JOBFERRY_CKPT_DIR=folder and names in JOBFERRY_RUNNER one that is gone.
 * Returns how many there were.
 */
unsigned child_clear_strays(const char *ckpt_dir, unsigned patience_ms);

/* What JOBFERRY_RUNNER says of us: "PID.START"; size >= 48. */
void child_runner_name(char *out, size_t size);

#endif
