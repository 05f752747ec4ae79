/*
 * measure.c - runs a command and prints what it cost: measure [--sync PATH] OUT COMMAND [ARG...]
 *
 * Appends "wall user sys rss code" to the file OUT: seconds, seconds, seconds, KiB of the largest
 * process, exit code. With --sync the wall time includes making PATH's file system durable, as
 * `sync -f PATH` does, and the system time of that is counted too.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    const char *sync_path = NULL;
    struct rusage cost;
    struct rusage own;
    int status = 0;
    if (argc > 3 && strcmp(argv[1], "--sync") == 0) {
        sync_path = argv[2];
        argv += 2;
        argc -= 2;
    }
    if (argc < 3) {
        fprintf(stderr, "measure [--sync PATH] OUT COMMAND [ARG...]\n");
        return 64;
    }
    double started = now();
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &cost) != child) {
        perror("measure");
        return 70;
    }
    int fd = sync_path ? open(sync_path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        syncfs(fd);
        close(fd);
    }
    double wall = now() - started;
    getrusage(RUSAGE_SELF, &own);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    FILE *out = fopen(argv[1], "a");
    if (!out) {
        perror(argv[1]);
        return 73;
    }
    fprintf(out, "%.3f %.3f %.3f %ld %d\n", wall, seconds(cost.ru_utime),
            seconds(cost.ru_stime) + seconds(own.ru_stime), cost.ru_maxrss, code);
    return fclose(out) == 0 ? code : 73;
}
