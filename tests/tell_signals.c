/*
 * tell_signals.c - a child for test_pid1.sh: prints "ready", then the number of every signal it
 * gets, a line each. SIGTERM ends it with 0.
 */
#include <signal.h>
#include <stdio.h>

int main(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int number = sigwaitinfo(&all, NULL);
        if (number > 0) {
            printf("%d\n", number);
            fflush(stdout);
        }
        if (number == SIGTERM) {
            return 0;
        }
    }
}
