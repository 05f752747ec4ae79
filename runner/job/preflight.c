/* preflight.c - the checks in their order, their findings, and the clock over them. */
#include "runner/job/preflight_internal.h"

#include "runner/job/retraining.h"
#include "runner/job/trainer.h"
#include "runner/json_line.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

/* ---- findings -------------------------------------------------------------------------------- */

static void tell(struct preflight *preflight, const struct finding *finding)
{
    if (preflight->found) {
        preflight->found(preflight->context, finding);
    }
}

void preflight_warn(struct preflight *preflight, const char *remedy, const char *format, ...)
{
    struct finding finding = {.check = preflight->check, .state = FINDING_WARNING};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding.text, sizeof finding.text, format, arguments);
    va_end(arguments);
    copy_text(finding.remedy, sizeof finding.remedy, remedy);
    preflight->warned = true;
    tell(preflight, &finding);
}

enum exit_code preflight_fail_storage(struct preflight *preflight, struct storage_error *err,
                                      const char *hint)
{
    if (err->code == STORAGE_STOPPED && atomic_load(&preflight->late)) {
        err->code = STORAGE_UNREACHABLE;
        snprintf(err->message, sizeof err->message, "%s: no answer within the %d s of all checks",
                 preflight->check, PREFLIGHT_MS / 1000);
    }
    /* Of a probe nothing is lost that came half: the store could not be spoken with. */
    if (err->code == STORAGE_TRANSFER) {
        err->code = STORAGE_UNREACHABLE;
    }
    /* Of keys that may not do a thing we know which right they lack. */
    if (hint[0] && (!err->hint[0] || strcmp(err->service_code, "AccessDenied") == 0)) {
        copy_text(err->hint, sizeof err->hint, hint);
    }
    return app_fail_storage(preflight->job->app, err);
}

/* ---- URLs ------------------------------------------------------------------------------------ */

static bool is_below(const struct storage_url *inner, const struct storage_url *outer)
{
    if (inner->kind != outer->kind || strcmp(inner->bucket, outer->bucket) != 0) {
        return false;
    }
    size_t length = strlen(outer->key);
    while (length > 0 && outer->key[length - 1] == '/') {
        length--;
    }
    return strncmp(inner->key, outer->key, length) == 0 &&
           (inner->key[length] == '\0' || inner->key[length] == '/' || length == 0);
}

static enum exit_code open_data(struct preflight *preflight)
{
    struct job *job = preflight->job;
    const char *given = job->data_url;
    if (!given && job->command) {
        return EXIT_DONE; /* it may need none */
    }
    if (!given) {
        return app_fail(job->app, EXIT_USAGE,
                        "--data_url is missing: where the dataset comes from");
    }
    enum exit_code code =
        place_open(&preflight->data, job->app, SIDE_DATA, given, &preflight->ended, 0);
    if (!code && !job->has_remote && preflight->data.url.kind != STORAGE_LOCAL) {
        code = app_fail(job->app, EXIT_USAGE,
                        "train takes a local folder, not %s; 'jobferry run' takes URLs", given);
    }
    copy_text(job->data_text, sizeof job->data_text, preflight->data.text);
    return code;
}

static enum exit_code open_train(struct preflight *preflight)
{
    struct job *job = preflight->job;
    const char *given = job->train_url;
    if (!given) {
        return app_fail(job->app, EXIT_USAGE, "--train_url is missing: where checkpoints go");
    }
    enum exit_code code =
        place_open(&preflight->train, job->app, SIDE_TRAIN, given, &preflight->ended, 0);
    copy_text(job->train_text, sizeof job->train_text, preflight->train.text);
    return code;
}

static enum exit_code check_urls(struct preflight *preflight)
{
    struct job *job = preflight->job;
    enum exit_code code = open_data(preflight);
    if (!job->has_remote) {
        snprintf(preflight->note, sizeof preflight->note, "data from %.1500s", job->data_text);
        return code;
    }
    if (!code || preflight->all) {
        enum exit_code other = open_train(preflight);
        code = code ? code : other;
    }
    const struct storage_url *data = &preflight->data.url;
    const struct storage_url *train = &preflight->train.url;
    if (!code && job->data_url && (is_below(train, data) || is_below(data, train))) {
        code = app_fail(job->app, EXIT_CONFIG, "data_url %s and train_url %s overlap",
                        job->data_text, job->train_text);
    }
    snprintf(preflight->note, sizeof preflight->note, "from %.900s to %.900s",
             job->data_url ? job->data_text : "nowhere", job->train_text);
    return code;
}

bool preflight_may_write(const struct job *job)
{
    struct storage_url data;
    struct storage_url train;
    if (!job->has_remote || !job->train_url || storage_url_parse(&train, job->train_url, NULL)) {
        return false;
    }
    if (train.kind == STORAGE_LOCAL && access(train.key, W_OK | X_OK) != 0) {
        return false;
    }
    return !job->data_url || (storage_url_parse(&data, job->data_url, NULL) == STORAGE_OK &&
                              !is_below(&train, &data) && !is_below(&data, &train));
}

static enum exit_code check_trainer(struct preflight *preflight)
{
    snprintf(preflight->note, sizeof preflight->note, "options can be meant");
    enum exit_code code = preflight->job->trainer->check(preflight->job);
    return code ? code : retraining_check(preflight->job);
}

/* ---- the clock over them --------------------------------------------------------------------- */

struct watchdog {
    struct preflight *preflight;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool done;
};

static void *watch(void *context)
{
    enum {
        LOOK_MS = 50 /* at the signals' flag */
    };
    struct watchdog *watchdog = context;
    struct preflight *preflight = watchdog->preflight;
    pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->done && !atomic_load(&preflight->ended)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&watchdog->woken, &watchdog->lock, &until);
        bool late = (clock_seconds() - preflight->began) * 1000 > PREFLIGHT_MS;
        if (late || atomic_load(preflight->job->app->stop)) {
            atomic_store(&preflight->late, late);
            atomic_store(&preflight->ended, true);
        }
    }
    pthread_mutex_unlock(&watchdog->lock);
    return NULL;
}

static bool watchdog_start(struct watchdog *watchdog, struct preflight *preflight)
{
    *watchdog = (struct watchdog){.preflight = preflight};
    pthread_mutex_init(&watchdog->lock, NULL);
    pthread_cond_init(&watchdog->woken, NULL);
    return pthread_create(&watchdog->thread, NULL, watch, watchdog) == 0;
}

static void watchdog_end(struct watchdog *watchdog, bool started)
{
    if (started) {
        pthread_mutex_lock(&watchdog->lock);
        watchdog->done = true;
        pthread_cond_signal(&watchdog->woken);
        pthread_mutex_unlock(&watchdog->lock);
        pthread_join(watchdog->thread, NULL);
    }
    pthread_cond_destroy(&watchdog->woken);
    pthread_mutex_destroy(&watchdog->lock);
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* What a check needs to have any sense. */
enum need {
    NEED_NOTHING,
    NEED_DATA,  /* data_url's place */
    NEED_TRAIN, /* train_url's */
    NEED_ANY    /* one of them */
};

static const struct {
    const char *name;
    enum need need;
    bool only_check; /* not in a job, which does it better later */
    enum exit_code (*run)(struct preflight *preflight);
} checks[] = {
    {"trainer", NEED_NOTHING, false, check_trainer},
    {"folders", NEED_NOTHING, false, preflight_folders},
    {"urls", NEED_NOTHING, false, check_urls},
    {"train_url", NEED_TRAIN, false, preflight_train_url},
    {"data_url", NEED_DATA, false, preflight_data_url},
    {"credentials", NEED_ANY, false, preflight_credentials},
    {"clock", NEED_ANY, false, preflight_clock},
    {"lock", NEED_TRAIN, true, preflight_lock},
    {"disk", NEED_DATA, false, preflight_disk},
};

static bool is_met(const struct preflight *preflight, enum need need)
{
    bool data = preflight->data.store != NULL;
    bool train = preflight->train.store != NULL;
    return need == NEED_NOTHING || (need == NEED_DATA && data) || (need == NEED_TRAIN && train) ||
           (need == NEED_ANY && (data || train));
}

/* Does the check, and tells its finding. */
static enum exit_code run_check(struct preflight *preflight, size_t i)
{
    struct log *log = &preflight->job->app->log;
    preflight->check = checks[i].name;
    preflight->note[0] = '\0';
    preflight->warned = false;
    struct finding finding = {.check = checks[i].name};
    finding.code = checks[i].run(preflight);
    if (finding.code == EXIT_DONE && (preflight->warned || !preflight->note[0])) {
        return EXIT_DONE;
    }
    finding.state = finding.code ? FINDING_FAILED : FINDING_OK;
    copy_text(finding.text, sizeof finding.text, finding.code ? log->failure : preflight->note);
    copy_text(finding.remedy, sizeof finding.remedy, finding.code ? log->hint : "");
    tell(preflight, &finding);
    return finding.code;
}

enum exit_code preflight_run(struct job *job, bool all, finding_fn *found, void *context)
{
    struct preflight preflight = {.job = job, .all = all, .found = found, .context = context};
    struct watchdog watchdog;
    enum exit_code first = EXIT_DONE;
    preflight.began = clock_seconds();
    bool started = watchdog_start(&watchdog, &preflight);
    job->app->log.muted = all;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0] && (all || !first); i++) {
        bool wanted = all || !checks[i].only_check;
        if (wanted && is_met(&preflight, checks[i].need) && !atomic_load(job->app->stop)) {
            enum exit_code code = run_check(&preflight, i);
            first = first ? first : code;
        }
    }
    job->app->log.muted = false;
    watchdog_end(&watchdog, started);
    place_close(&preflight.data);
    place_close(&preflight.train);
    return atomic_load(job->app->stop) ? EXIT_INTERRUPTED : first;
}

/* ---- check ----------------------------------------------------------------------------------- */

static const char *const state_names[] = {"ok", "warning", "failed"};

struct tally {
    bool json;
    json_int_t counts[3]; /* by enum finding_state */
};

static void print_finding(void *context, const struct finding *finding)
{
    struct tally *tally = context;
    tally->counts[finding->state]++;
    if (tally->json) {
        json_t *line = json_pack("{ss ss so}", "check", finding->check, "state",
                                 state_names[finding->state], "text", json_text(finding->text));
        if (finding->remedy[0]) {
            json_object_set_new(line, "remedy", json_text(finding->remedy));
        }
        if (finding->state == FINDING_FAILED) {
            json_object_set_new(line, "exit", json_integer((json_int_t)finding->code));
        }
        json_line_print(line);
        return;
    }
    printf("%-8s %-12s %s%s%s\n", state_names[finding->state], finding->check, finding->text,
           finding->remedy[0] ? "; " : "", finding->remedy);
    fflush(stdout);
}

enum exit_code preflight_print(struct app *app)
{
    struct job *job = job_new(app, true);
    struct tally tally = {.json = app->settings->json};
    if (!job) {
        return app_fail(app, EXIT_BUG, "check: no memory");
    }
    double began = clock_seconds();
    enum exit_code code = state_init(job);
    if (!code) {
        code = preflight_run(job, true, print_finding, &tally);
    }
    if (app->settings->json) {
        json_line_print(json_pack("{s{sI sI sI sf}}", "summary", "checks",
                                  tally.counts[0] + tally.counts[1] + tally.counts[2], "warnings",
                                  tally.counts[FINDING_WARNING], "failed",
                                  tally.counts[FINDING_FAILED], "seconds",
                                  clock_seconds() - began));
    }
    job_free(job);
    return code;
}
