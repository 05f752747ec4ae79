#include "runner/job/curve.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    HISTORY_MAX_SIZE = 4 * 1024 * 1024 /* bytes, many times what we write */
};

#define HISTORY_NAME "history.jsonl"

/* What an earlier start copied out, where nothing is here. */
static void fetch(struct job *job)
{
    char path[JOB_PATH_MAX];
    char key[STORAGE_PATH_MAX];
    char *data = NULL;
    size_t size = 0;
    struct storage_error err;
    struct place here = {0};
    if (!job->remote.store || !storage_join(path, sizeof path, job->output_dir, HISTORY_NAME) ||
        access(path, F_OK) == 0) {
        return;
    }
    remote_key(&job->remote, key, "output/" HISTORY_NAME);
    enum storage_code code =
        storage_get(job->remote.store, key, HISTORY_MAX_SIZE, &data, &size, &err);
    if (!code && !place_open(&here, job->app, SIDE_DATA, path, NULL, 0)) {
        code = storage_put(here.store, here.url.key, data, size, NULL, &err);
    }
    if (code && code != STORAGE_NOT_FOUND) {
        log_warn(&job->app->log, "the curve begins anew, as its history was not fetched: %s",
                 err.message);
    }
    place_close(&here);
    free(data);
}

void curve_begin(struct job *job)
{
    const struct model_history_begin begin = {.run = job->run,
                                              .from = job->from[0] ? job->from : NULL,
                                              .step = job->start.cumulative_step};
    struct model_error err;
    if (begin.from) {
        fetch(job);
    }
    if (model_history_new(&job->history, job->output_dir, &begin, &err)) {
        log_warn(&job->app->log, "no curve is drawn: %s", err.message);
    }
}

void curve_end(struct job *job)
{
    static const char *const names[] = {"curve.svg", "curve.png"};
    struct model_error err;
    char path[JOB_PATH_MAX];
    if (!job->history.context) {
        return;
    }
    if (model_history_finish(&job->history, &err)) {
        log_warn(&job->app->log, "a later start will lack a part of the curve: %s", err.message);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        enum model_code code = storage_join(path, sizeof path, job->output_dir, names[i])
                                   ? model_history_draw(&job->history, path, &err)
                                   : MODEL_ARGUMENT;
        if (code == MODEL_OK) {
            log_info(&job->app->log, "drew %s", path);
            /* Beside the report are output_dir's copy in train_url, and output_dir if nobody put it
               elsewhere. */
            if (job->has_remote || !job->settings->output_dir) {
                report_curve(job->report, "output/curve.svg");
            }
        } else if (code != MODEL_ARGUMENT) {
            log_warn(&job->app->log, "no curve is drawn: %s", err.message);
            break;
        }
    }
    model_history_free(&job->history);
}
