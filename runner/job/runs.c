#include "runner/job/runs.h"

#include "runner/json_line.h"

#include "storage/storage.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "runner/runner_banned.h"

static void take_text(char *out, size_t size, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(out, size, "%s", text ? text : "");
}

static bool record_read(struct run_record *record, const json_t *object)
{
    memset(record, 0, sizeof *record);
    take_text(record->run, sizeof record->run, object, "run");
    take_text(record->prefix, sizeof record->prefix, object, "prefix");
    take_text(record->train_url, sizeof record->train_url, object, "train_url");
    record->attempt = (uint64_t)json_integer_value(json_object_get(object, "attempt"));
    record->started_ns = json_integer_value(json_object_get(object, "started_ns"));
    record->finished = json_is_true(json_object_get(object, "finished"));
    return record->run[0] && record->prefix[0];
}

bool runs_load(struct runs *runs, const char *ckpt_dir, bool *damaged)
{
    memset(runs, 0, sizeof *runs);
    *damaged = false;
    storage_join(runs->path, sizeof runs->path, ckpt_dir, ".jobferry/run.json");
    runs->list = calloc(RUNS_MAX, sizeof *runs->list);
    if (!runs->list) {
        return false;
    }
    if (access(runs->path, F_OK) != 0) {
        return true;
    }
    json_t *root = json_load_file(runs->path, 0, NULL);
    const json_t *list = json_object_get(root, "runs");
    *damaged = !json_is_array(list);
    for (size_t i = 0; i < json_array_size(list) && runs->count < RUNS_MAX; i++) {
        if (record_read(&runs->list[runs->count], json_array_get(list, i))) {
            runs->count++;
        }
    }
    json_decref(root);
    return true;
}

void runs_release(struct runs *runs)
{
    free(runs->list);
    memset(runs, 0, sizeof *runs);
}

struct run_record *runs_find(const struct runs *runs, const char *run)
{
    for (size_t i = runs->count; i > 0; i--) {
        if (strcmp(runs->list[i - 1].run, run) == 0) {
            return &runs->list[i - 1];
        }
    }
    return NULL;
}

struct run_record *runs_newest(const struct runs *runs, const char *train_url)
{
    for (size_t i = runs->count; i > 0; i--) {
        if (strcmp(runs->list[i - 1].train_url, train_url) == 0) {
            return &runs->list[i - 1];
        }
    }
    return NULL;
}

struct run_record *runs_add(struct runs *runs, const struct run_record *record)
{
    if (!runs->list) {
        return NULL;
    }
    if (runs->count == RUNS_MAX) {
        memmove(runs->list, runs->list + 1, (RUNS_MAX - 1) * sizeof *runs->list);
        runs->count--;
    }
    /* Linux stamps files by its coarse clock, which may lag the fine one by a tick. */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    runs->list[runs->count] = *record;
    runs->list[runs->count].started_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    return &runs->list[runs->count++];
}

/* The local store writes whole files, durably, or none. Returns 0 or errno. */
static int write_durably(const char *path, const char *text)
{
    struct storage_url url = {.kind = STORAGE_LOCAL};
    const struct storage_config config = {0};
    struct storage *here = NULL;
    struct storage_error err = {0};
    enum storage_code code = storage_open(&here, &url, &config, &err);
    if (!code) {
        code = storage_put(here, path, text, strlen(text), NULL, &err);
    }
    storage_close(here);
    return code == STORAGE_OK ? 0 : err.system_errno ? err.system_errno : EIO;
}

int runs_save(const struct runs *runs)
{
    json_t *list = json_array();
    for (size_t i = 0; i < runs->count; i++) {
        const struct run_record *record = &runs->list[i];
        json_array_append_new(
            list, json_pack("{ss so so sI sI sb}", "run", record->run, "prefix",
                            json_text(record->prefix), "train_url", json_text(record->train_url),
                            "attempt", (json_int_t)record->attempt, "started_ns",
                            (json_int_t)record->started_ns, "finished", record->finished));
    }
    json_t *root = json_pack("{si so}", "version", 1, "runs", list);
    char *text = json_dumps(root, JSON_INDENT(1));
    json_decref(root);
    if (!text) {
        return ENOMEM;
    }
    int result = write_durably(runs->path, text);
    free(text);
    return result;
}

int64_t runs_started_ns(const struct runs *runs, const char *run)
{
    struct tm parts = {0};
    const struct run_record *record = runs_find(runs, run);
    if (record && record->started_ns > 0) {
        return record->started_ns;
    }
    if (!strptime(run, "%Y%m%dT%H%M%SZ", &parts)) {
        return 0;
    }
    return (int64_t)timegm(&parts) * 1000000000;
}

void runs_name(char *out, size_t size)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char random[6] = {0};
    time_t now = time(NULL);
    struct tm parts;
    char stamp[24];
    gmtime_r(&now, &parts);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &parts);
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        /* Without randomness the process id still tells two runs of one second apart. */
        pid_t pid = getpid();
        memcpy(random, &pid, sizeof pid < sizeof random ? sizeof pid : sizeof random);
    }
    char tail[sizeof random + 1] = "";
    for (size_t i = 0; i < sizeof random; i++) {
        tail[i] = letters[random[i] % (sizeof letters - 1)];
    }
    snprintf(out, size, "%s-%s", stamp, tail);
}
