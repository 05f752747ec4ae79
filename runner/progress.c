#include "runner/progress.h"

#include "runner/app.h"

#include <stdio.h>
#include <unistd.h>

#include "runner/runner_banned.h"

void progress_init(struct progress *progress, const char *verb, struct log *log)
{
    double now = clock_seconds();
    *progress = (struct progress){
        .verb = verb,
        .log = log,
        .terminal = isatty(STDERR_FILENO) && !log->json,
        .began = now,
        .last = now,
    };
}

void progress_show(struct progress *progress, const struct storage_progress *now)
{
    double clock = clock_seconds();
    if (clock - progress->last < (progress->terminal ? 0.2 : 30.0)) {
        return;
    }
    progress->last = clock;
    double elapsed = clock - progress->began;
    double rate = (double)now->done_bytes / elapsed;
    char done[32];
    char total[32];
    char speed[32];
    char eta[32] = "";
    format_bytes(done, sizeof done, now->done_bytes);
    format_bytes(total, sizeof total, now->total_bytes);
    format_bytes(speed, sizeof speed, (uint64_t)rate);
    if (now->listed && rate > 0) {
        double left = (double)(now->total_bytes - now->done_bytes) / rate;
        snprintf(eta, sizeof eta, ", %.0f s left", left);
    }
    char line[256];
    snprintf(line, sizeof line, "%s: %s of %s%s, %llu of %llu objects, %s/s%s", progress->verb,
             done, total, now->listed ? "" : "+", (unsigned long long)now->done_objects,
             (unsigned long long)now->total_objects, speed, eta);
    if (progress->terminal) {
        fprintf(stderr, "\r\033[K%s", line);
        fflush(stderr);
        progress->drawn = true;
    } else {
        log_info(progress->log, "%s", line);
    }
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn) {
        fprintf(stderr, "\r\033[K");
        progress->drawn = false;
    }
}
