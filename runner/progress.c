#include "runner/progress.h"

#include "runner/app.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    BAR_MIN = 10,
    BAR_MAX = 30,
    COLUMNS_DEFAULT = 80,
    TERMINAL_MS = 200,
    PLAIN_MS = 30000
};

/* How much of the last interval's rate goes into the one shown. */
static const double smoothing = 0.1;

static unsigned terminal_columns(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : COLUMNS_DEFAULT;
}

/* "1:02:03", "2:03", "0:09" */
static void format_left(char *out, size_t size, double seconds)
{
    if (seconds >= 359999) { /* 100 hours: who knows */
        snprintf(out, size, "long");
        return;
    }
    unsigned left = (unsigned)(seconds + 0.5);
    unsigned hours = left / 3600;
    if (hours > 0) {
        snprintf(out, size, "%u:%02u:%02u", hours, left / 60 % 60, left % 60);
    } else {
        snprintf(out, size, "%u:%02u", left / 60, left % 60);
    }
}

void progress_line(char line[PROGRESS_LINE], const char *verb, const struct storage_progress *now,
                   double rate, unsigned columns)
{
    char done[32];
    char total[32];
    char speed[32];
    char left[32] = "";
    char bar[64] = "";
    char text[PROGRESS_LINE];
    format_bytes(done, sizeof done, now->done_bytes);
    format_bytes(total, sizeof total, now->total_bytes);
    format_bytes(speed, sizeof speed, (uint64_t)rate);
    bool bounded = now->listed && now->done_bytes <= now->total_bytes;
    if (bounded && rate >= 1) {
        char time[16];
        format_left(time, sizeof time, (double)(now->total_bytes - now->done_bytes) / rate);
        snprintf(left, sizeof left, ", %s left", time);
    }
    snprintf(text, sizeof text, "%s of %s%s, %llu/%llu%s files, %s/s%s", done, total,
             now->listed ? "" : "+", (unsigned long long)now->done_objects,
             (unsigned long long)now->total_objects, now->listed ? "" : "+", speed, left);
    size_t taken = strlen(verb) + 2 + strlen(text) + sizeof "[] 100% " - 1;
    if (bounded && now->total_bytes > 0 && columns >= taken + BAR_MIN) {
        size_t width = columns - taken < BAR_MAX ? columns - taken : BAR_MAX;
        double share = (double)now->done_bytes / (double)now->total_bytes;
        size_t full = (size_t)(share * (double)width);
        bar[0] = '[';
        memset(bar + 1, '=', full);
        memset(bar + 1 + full, ' ', width - full);
        snprintf(bar + 1 + width, sizeof bar - 1 - width, "] %3.0f%% ", share * 100);
    }
    int fits = columns > 0 && columns < PROGRESS_LINE ? (int)columns : PROGRESS_LINE - 1;
    char whole[PROGRESS_LINE + 128];
    snprintf(whole, sizeof whole, "%s: %s%s", verb, bar, text);
    snprintf(line, PROGRESS_LINE, "%.*s", fits, whole);
}

/* Called with the lock held. */
static void draw(struct progress *progress)
{
    double clock = clock_seconds();
    double passed = clock - progress->last;
    const struct storage_progress *now = &progress->now;
    /* A part that is read again takes back what it had added. */
    double moved = now->done_bytes > progress->last_bytes
                       ? (double)(now->done_bytes - progress->last_bytes)
                       : 0;
    if (passed > 0) {
        progress->rate += (moved / passed - progress->rate) * (progress->has_rate ? smoothing : 1);
        progress->has_rate = true;
    }
    progress->last = clock;
    progress->last_bytes = now->done_bytes;
    char line[PROGRESS_LINE];
    if (progress->terminal) {
        /* the last column stays free: some terminals wrap there */
        progress_line(line, progress->verb, now, progress->rate, terminal_columns() - 1);
        log_draw(progress->log, line);
    } else {
        progress_line(line, progress->verb, now, progress->rate, 0);
        log_info(progress->log, "%s", line);
    }
}

static void *tick(void *context)
{
    struct progress *progress = context;
    int64_t interval_ms = progress->terminal ? TERMINAL_MS : PLAIN_MS;
    pthread_mutex_lock(&progress->lock);
    while (!progress->ended) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t ns = until.tv_nsec + interval_ms % 1000 * 1000000;
        until.tv_sec += (time_t)(interval_ms / 1000 + ns / 1000000000);
        until.tv_nsec = ns % 1000000000;
        int woken = 0;
        while (!progress->ended && woken == 0) {
            woken = pthread_cond_timedwait(&progress->woken, &progress->lock, &until);
        }
        if (!progress->ended) {
            draw(progress);
        }
    }
    pthread_mutex_unlock(&progress->lock);
    return NULL;
}

void progress_init(struct progress *progress, const char *verb, struct log *log)
{
    const char *kind = getenv("TERM");
    pthread_condattr_t monotonic;
    sigset_t all;
    sigset_t before;
    memset(progress, 0, sizeof *progress);
    progress->verb = verb;
    progress->log = log;
    progress->terminal =
        isatty(STDERR_FILENO) && !log->json && !(kind && strcmp(kind, "dumb") == 0);
    progress->last = clock_seconds();
    pthread_mutex_init(&progress->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&progress->woken, &monotonic);
    pthread_condattr_destroy(&monotonic);
    /* Signals are for the threads that wait for something. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    progress->ticking = pthread_create(&progress->thread, NULL, tick, progress) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void progress_show(struct progress *progress, const struct storage_progress *now)
{
    pthread_mutex_lock(&progress->lock);
    progress->now = *now;
    pthread_mutex_unlock(&progress->lock);
}

void progress_end(struct progress *progress)
{
    pthread_mutex_lock(&progress->lock);
    progress->ended = true;
    pthread_cond_signal(&progress->woken);
    pthread_mutex_unlock(&progress->lock);
    if (progress->ticking) {
        pthread_join(progress->thread, NULL);
    }
    log_draw(progress->log, NULL);
    pthread_cond_destroy(&progress->woken);
    pthread_mutex_destroy(&progress->lock);
}
