#include "runner/job/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/runner_banned.h"

/* Reads what a file of /proc holds, at most size - 1 bytes, and ends it with NUL; -1: cannot. */
static ssize_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && used + 1 < size) {
        got = read(fd, text + used, size - 1 - used);
        used += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    text[used] = '\0';
    return got < 0 ? -1 : (ssize_t)used;
}

bool process_read(struct process *process, pid_t pid)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    if (read_file(path, text, sizeof text) <= 0) {
        return false;
    }
    /* proc(5). The name stands in parentheses and may hold any character, those too. */
    enum {
        PARENT = 1, /* fields after the state, counted from 1 */
        GROUP = 2,
        SESSION = 3,
        START_TIME = 19
    };
    unsigned long long fields[START_TIME + 1] = {0};
    char *rest = strrchr(text, ')');
    memset(process, 0, sizeof *process);
    if (!rest || rest[1] != ' ' || rest[2] == '\0') {
        return false;
    }
    process->state = rest[2];
    rest += 3;
    for (size_t i = 1; i <= START_TIME; i++) {
        char *end = rest;
        fields[i] = strtoull(rest, &end, 10);
        if (end == rest) {
            return false;
        }
        rest = end;
    }
    process->pid = pid;
    process->parent = (pid_t)fields[PARENT];
    process->group = (pid_t)fields[GROUP];
    process->session = (pid_t)fields[SESSION];
    process->start_time = fields[START_TIME];
    return true;
}

void processes_each(void (*each)(void *context, const struct process *process), void *context)
{
    DIR *listing = opendir("/proc");
    if (!listing) {
        return;
    }
    for (const struct dirent *entry = readdir(listing); entry; entry = readdir(listing)) {
        char *end = NULL;
        long pid = strtol(entry->d_name, &end, 10);
        struct process process;
        if (pid > 0 && !*end && process_read(&process, (pid_t)pid)) {
            each(context, &process);
        }
    }
    closedir(listing);
}

bool process_variable(pid_t pid, const char *name, char *value, size_t size)
{
    char path[64];
    char *variable = NULL;
    size_t room = 0;
    size_t length = strlen(name);
    bool found = false;
    snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
    FILE *file = fopen(path, "re");
    while (file && !found && getdelim(&variable, &room, '\0', file) > 0) {
        if (strncmp(variable, name, length) == 0 && variable[length] == '=') {
            snprintf(value, size, "%s", variable + length + 1);
            found = true;
        }
    }
    if (file) {
        fclose(file);
    }
    free(variable);
    return found;
}

bool process_shares_files(pid_t pid)
{
    char path[64];
    struct stat ours;
    struct stat its;
    snprintf(path, sizeof path, "/proc/%ld/ns/mnt", (long)pid);
    return stat("/proc/self/ns/mnt", &ours) == 0 && stat(path, &its) == 0 &&
           ours.st_ino == its.st_ino && ours.st_dev == its.st_dev;
}
