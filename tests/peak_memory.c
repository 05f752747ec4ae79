/*
 * peak_memory.c - runs a command and says its peak of resident memory on stderr; fails above the
 * 256 MiB that jobferry may take: peak_memory COMMAND [ARG...]
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int status = 0;
    struct rusage usage;
    pid_t child = argc > 1 ? fork() : -1;
    if (child == 0) {
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || getrusage(RUSAGE_CHILDREN, &usage) != 0) {
        perror("peak_memory");
        return 1;
    }
    fprintf(stderr, "%.1f MiB at the peak\n", (double)usage.ru_maxrss / 1024);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 && usage.ru_maxrss < 256 * 1024 ? 0 : 1;
}
