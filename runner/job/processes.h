/*
 * processes.h - looks through /proc. Where it is not mounted there are no processes.
 */
#ifndef RUNNER_PROCESSES_H
#define RUNNER_PROCESSES_H

#include <stdbool.h>
#include <sys/types.h>

/* One line of /proc/PID/stat (proc(5)). */
struct process {
    pid_t pid, parent, group, session;
    char state;                    /* 'Z': ended and not yet waited for */
    unsigned long long start_time; /* clock ticks since boot; with pid it names a process */
};

/* False: there is no such process. */
bool process_read(struct process *process, pid_t pid);

/* Calls each with every process that can be seen. */
void processes_each(void (*each)(void *context, const struct process *process), void *context);

/*
 * Whether the environment that the process was started with has this variable; its value goes to
 * value, cut at size. One that may not be read has none.
 */
bool process_variable(pid_t pid, const char *name, char *value, size_t size);

/* Whether both see the same files, so that a path means the same to both. */
bool process_shares_files(pid_t pid);

#endif
