#include "runner/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runner/runner_banned.h"

static atomic_bool stop_flag;
static atomic_bool stop_now_flag;
static atomic_int cause;
static atomic_uint grace_s; /* 0: none */
static atomic_int listener = -1;
static atomic_uint_least64_t pending;

static void tell_listener(int number)
{
    static const uint64_t one = 1;
    atomic_fetch_or(&pending, (uint64_t)1 << (number - 1));
    int fd = atomic_load(&listener);
    if (fd >= 0 && write(fd, &one, sizeof one) < 0) {
        /* The counter is full: then it is readable all the same. */
    }
}

static void on_stop(int number)
{
    int failure = errno;
    if (atomic_exchange(&stop_flag, true)) {
        atomic_store(&stop_now_flag, true);
    } else {
        atomic_store(&cause, number);
        alarm(atomic_load(&grace_s));
    }
    tell_listener(number);
    errno = failure;
}

static void on_other(int number)
{
    int failure = errno;
    tell_listener(number);
    errno = failure;
}

static void set_handler(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void signals_catch(void)
{
    /* Without SA_RESTART, so that what waits for a terminal or a pipe notices. */
    static const int stops[] = {SIGINT, SIGTERM, SIGALRM};
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        signals_add_stop(stops[i]);
    }
    set_handler(SIGPIPE, SIG_IGN);
}

const atomic_bool *signals_stop(void)
{
    return &stop_flag;
}

const atomic_bool *signals_stop_now(void)
{
    return &stop_now_flag;
}

int signals_cause(void)
{
    return atomic_load(&cause);
}

void signals_set_grace(unsigned seconds)
{
    atomic_store(&grace_s, seconds);
}

void signals_add_stop(int number)
{
    struct sigaction action = {.sa_handler = on_stop};
    sigfillset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void signals_set_alarm(uint64_t seconds)
{
    alarm((unsigned)seconds);
}

/* Whether it can be caught and passed on, and means nothing of our own doing. */
static bool is_foreign(int number)
{
    static const int own[] = {SIGKILL, SIGSTOP, SIGPIPE, SIGILL,  SIGTRAP,
                              SIGABRT, SIGBUS,  SIGFPE,  SIGSEGV, SIGSYS};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (number == own[i]) {
            return false;
        }
    }
    /* Those between are the C library's own. */
    return number < 32 || number >= SIGRTMIN;
}

/*
 * What was ignored at our start, as by nohup, stays so; but a shell also ignores SIGQUIT, and
 * SIGINT, for everything that it starts in the background.
 */
int signals_listen(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return -1;
    }
    atomic_store(&listener, fd);
    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction now;
        if (is_foreign(number) && sigaction(number, NULL, &now) == 0 &&
            (now.sa_handler == SIG_DFL || number == SIGCHLD || number == SIGQUIT)) {
            set_handler(number, on_other);
        }
    }
    return fd;
}

uint64_t signals_take(void)
{
    uint64_t count = 0;
    if (read(atomic_load(&listener), &count, sizeof count) < 0) {
        /* Nothing came since the last time. */
    }
    return atomic_exchange(&pending, 0);
}

int signals_parse(const char *name)
{
    char *end = NULL;
    if (strncasecmp(name, "SIG", 3) == 0) {
        name += 3;
    }
    if (strncasecmp(name, "RTMIN+", 6) == 0) {
        long above = strtol(name + 6, &end, 10);
        return *end || end == name + 6 || above < 0 || above > SIGRTMAX - SIGRTMIN
                   ? 0
                   : SIGRTMIN + (int)above;
    }
    for (int number = 1; number < 32; number++) {
        const char *known = sigabbrev_np(number);
        if (known && strcasecmp(known, name) == 0) {
            return number;
        }
    }
    long number = strtol(name, &end, 10);
    return *end || end == name || number < 1 || number > SIGRTMAX ? 0 : (int)number;
}

void signals_name(int number, char *out, unsigned size)
{
    const char *known = sigabbrev_np(number);
    if (known) {
        snprintf(out, size, "SIG%s", known);
    } else {
        snprintf(out, size, "signal %d", number);
    }
}
