/* preflight_store.c - the checks that ask the stores. */
#include "runner/job/preflight_internal.h"

#include "runner/job/lock.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner/runner_banned.h"

/* ---- train_url ------------------------------------------------------------------------------- */

static const char may_write[] = "train_url's keys must be allowed to put, get and delete objects";
static const char may_upload[] =
    "its keys must also be allowed to begin and abort uploads in parts (s3:PutObject, "
    "s3:AbortMultipartUpload)";

/* The bucket is made when that was asked for and it was missing; *code is of the put that failed.
 */
static bool make_bucket(struct preflight *preflight, enum storage_code *code,
                        struct storage_error *err)
{
    struct job *job = preflight->job;
    if (*code != STORAGE_NOT_FOUND || !job->settings->make_bucket || preflight->all) {
        return false;
    }
    *code = storage_make_bucket(preflight->train.store, "", err);
    if (!*code) {
        log_info(&job->app->log, "made the bucket of %s", job->train_text);
    }
    return !*code;
}

/*
 * A check leaves no folder behind that it made: the deepest that were missing are removed again. A
 * folder that holds something stays, whoever put it there.
 */
static void remove_made_folder(struct preflight *preflight, bool was_there)
{
    char private_key[STORAGE_PATH_MAX];
    struct place *train = &preflight->train;
    if (train->url.kind == STORAGE_LOCAL && preflight->all) {
        const struct remote remote = {.store = train->store, .root = train->url.key};
        remote_key(&remote, private_key, ".jobferry");
        rmdir(private_key);
        if (!was_there) {
            rmdir(train->url.key);
        }
    }
}

static enum storage_code put_and_get(struct preflight *preflight, const char *key, bool *differs,
                                     struct storage_error *err)
{
    static const char text[] = "jobferry writes here\n";
    struct storage *store = preflight->train.store;
    char *back = NULL;
    size_t size = 0;
    enum storage_code code = storage_put(store, key, text, sizeof text - 1, NULL, err);
    if (make_bucket(preflight, &code, err)) {
        code = storage_put(store, key, text, sizeof text - 1, NULL, err);
    }
    if (!code) {
        code = storage_get(store, key, sizeof text, &back, &size, err);
    }
    *differs = !code && (size != sizeof text - 1 || memcmp(back, text, size) != 0);
    free(back);
    return code;
}

/* Puts, reads back and removes a small object: the training must not find out at its end. */
enum exit_code preflight_train_url(struct preflight *preflight)
{
    struct job *job = preflight->job;
    char name[64];
    char key[STORAGE_PATH_MAX];
    char run[MODEL_RUN_MAX + 1];
    const struct remote remote = {.store = preflight->train.store,
                                  .root = preflight->train.url.key};
    struct storage_error err = {0};
    bool differs = false;
    bool was_there =
        preflight->train.url.kind == STORAGE_LOCAL && access(preflight->train.url.key, F_OK) == 0;
    runs_name(run, sizeof run);
    snprintf(name, sizeof name, ".jobferry/probe-%s", run);
    remote_key(&remote, key, name);
    const char *hint = preflight->train.url.kind == STORAGE_S3
                           ? may_write
                           : "--train_url must be a folder that can be made and written";
    enum storage_code code = put_and_get(preflight, key, &differs, &err);
    bool no_bucket = code == STORAGE_NOT_FOUND && preflight->all && job->settings->make_bucket;
    if (!code) {
        code = storage_remove(remote.store, key, &err);
    }
    if (!code) {
        hint = may_upload;
        code = storage_probe_upload(remote.store, key, &err);
    }
    remove_made_folder(preflight, was_there);
    if (differs) {
        return app_fail(job->app, EXIT_INTEGRITY,
                        "probe %s: what was written came back different; a proxy or gateway in "
                        "between changes bodies",
                        job->train_text);
    }
    if (no_bucket) {
        snprintf(preflight->note, sizeof preflight->note,
                 "the bucket is missing; --make_bucket will make it");
        return EXIT_DONE;
    }
    if (code) {
        return preflight_fail_storage(preflight, &err, hint);
    }
    snprintf(preflight->note, sizeof preflight->note, "%s",
             preflight->train.url.kind == STORAGE_S3
                 ? "objects can be put, read and deleted, uploads in parts begun and aborted"
                 : "files can be written, read and deleted");
    return EXIT_DONE;
}

/* ---- data_url -------------------------------------------------------------------------------- */

enum exit_code preflight_data_url(struct preflight *preflight)
{
    struct job *job = preflight->job;
    struct data_manifest *manifest = &job->data_manifest;
    struct storage_error err = {0};
    bool is_remote = preflight->data.url.kind == STORAGE_S3;
    /* A listing of millions need not come to its end here; half of the time is for it. */
    double deadline = preflight->began + PREFLIGHT_MS / 2000.0;
    enum storage_code code =
        data_manifest_list(manifest, preflight->data.store, &preflight->data.url,
                           is_remote ? job->data_dir : NULL, deadline, &err);
    if (code) {
        return preflight_fail_storage(
            preflight, &err,
            is_remote ? "data_url's keys must be allowed to list and get"
                      : "--data_url must be a folder that is there and can be read");
    }
    if (manifest->complete && manifest->objects == 0) {
        return app_fail(job->app, EXIT_MISSING,
                        "list %s: it holds nothing; is the bucket, the prefix and its case right? "
                        "'jobferry ls' shows what is there",
                        job->data_text);
    }
    char bytes[32];
    format_bytes(bytes, sizeof bytes, manifest->bytes);
    snprintf(preflight->note, sizeof preflight->note, "%s%llu objects, %s",
             manifest->complete ? "" : "at least ", (unsigned long long)manifest->objects, bytes);
    return EXIT_DONE;
}

/* ---- keys and clocks ------------------------------------------------------------------------- */

/* "in 59 min", "in 14 s", "already". */
static void say_left(char *out, size_t size, int64_t left_s)
{
    snprintf(out, size,
             left_s <= 0    ? "already"
             : left_s < 120 ? "in %lld s"
                            : "in %lld min",
             (long long)(left_s < 120 ? left_s : left_s / 60));
}

/* Warns of a session token that nothing renews, unless it is known to outlast --time_limit. */
static void look_at_token(struct preflight *preflight, const struct place *place, const char *side)
{
    const char *loss = strcmp(side, "data_url") == 0 ? "read" : "published";
    const uint64_t limit = preflight->job->settings->time_limit;
    int64_t left = place->keys.expires - (int64_t)time(NULL);
    char until[32];
    char text[32];
    if (!place->keys.expires) {
        preflight_warn(
            preflight, "give keys without a token, or a profile, role or service that renews them",
            "%s's session token from %s cannot be renewed: once it expires, nothing more "
            "is %s",
            side, place->keys.source, loss);
        return;
    }
    if (limit > 0 && left > 0 && (uint64_t)left >= limit + preflight->job->settings->grace) {
        return;
    }
    format_time(until, sizeof until, place->keys.expires * 1000000000);
    say_left(text, sizeof text, left);
    preflight_warn(preflight,
                   limit > 0 ? "begin with newer keys, give a shorter --time_limit, or a profile, "
                               "role or service that renews them"
                             : "give a --time_limit that ends before, or a profile, role or "
                               "service that renews them",
                   "%s's session token from %s expires %s, at %s%s, and cannot be renewed: then "
                   "nothing more is %s",
                   side, place->keys.source, text, until,
                   limit > 0 ? ", before --time_limit and --grace are over" : "", loss);
}

/* Says of one side whose keys they are; warns of those that cannot outlive their expiry. */
static void look_at_keys(struct preflight *preflight, const struct place *place, const char *side)
{
    if (!place->store || place->url.kind != STORAGE_S3) {
        return;
    }
    char until[32] = "";
    char text[400];
    int64_t renewed = storage_keys_expiry(place->store);
    int64_t expiry = renewed ? renewed : place->keys.expires;
    format_time(until, sizeof until, expiry * 1000000000);
    snprintf(text, sizeof text, "%s%s's keys from %.160s%s%s", preflight->note[0] ? "; " : "", side,
             place->keys.source,
             renewed  ? ", renewed before "
             : expiry ? ", until "
                      : "",
             expiry ? until : "");
    size_t used = strlen(preflight->note);
    copy_text(preflight->note + used, sizeof preflight->note - used, text);
    if (place->keys.is_fixed_token) {
        look_at_token(preflight, place, side);
    }
}

enum exit_code preflight_credentials(struct preflight *preflight)
{
    look_at_keys(preflight, &preflight->data, "data_url");
    look_at_keys(preflight, &preflight->train, "train_url");
    return EXIT_DONE;
}

enum exit_code preflight_clock(struct preflight *preflight)
{
    enum {
        CLOCK_WARN_S = 60
    };
    const struct place *places[] = {&preflight->data, &preflight->train};
    static const char *const names[] = {"data_url", "train_url"};
    for (size_t i = 0; i < 2; i++) {
        int64_t ahead = 0;
        if (!places[i]->store || !storage_clock_offset(places[i]->store, &ahead)) {
            continue;
        }
        if (ahead > CLOCK_WARN_S || ahead < -CLOCK_WARN_S) {
            preflight_warn(preflight, "set this machine's clock (NTP)",
                           "this machine's clock is %lld s %s that of %s's store: requests go by "
                           "the store's, but names and logs of this run have the wrong time",
                           (long long)(ahead > 0 ? ahead : -ahead), ahead > 0 ? "behind" : "before",
                           names[i]);
        } else {
            snprintf(preflight->note, sizeof preflight->note, "within %d s of the store's",
                     CLOCK_WARN_S);
        }
    }
    return EXIT_DONE;
}

/* ---- lock ------------------------------------------------------------------------------------ */

/* Seconds since the lock was last written, by the store's own clock. */
static double lock_age(const struct place *train, const struct storage_info *info)
{
    struct timespec now;
    int64_t ahead = 0;
    storage_clock_offset(train->store, &ahead);
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)(now.tv_sec + ahead) - (double)info->mtime_ns / 1e9;
}

enum exit_code preflight_lock(struct preflight *preflight)
{
    enum {
        LOCK_MAX = 64 * 1024 /* bytes */
    };
    char key[STORAGE_PATH_MAX];
    const struct place *train = &preflight->train;
    const struct remote remote = {.store = train->store, .root = train->url.key};
    struct storage_error err = {0};
    struct storage_info info = {0};
    char *text = NULL;
    size_t size = 0;
    remote_key(&remote, key, ".jobferry/lock.json");
    enum storage_code code = storage_get(train->store, key, LOCK_MAX, &text, &size, &err);
    if (!code) {
        code = storage_stat(train->store, key, &info, &err);
    }
    json_t *lock = code ? NULL : json_loadb(text, size, 0, NULL);
    bool is_dead = !code && lock_is_of_the_dead(text, size);
    free(text);
    enum exit_code result = EXIT_DONE;
    const char *run = json_string_value(json_object_get(lock, "run"));
    json_int_t lease = json_integer_value(json_object_get(lock, "lease_seconds"));
    snprintf(preflight->note, sizeof preflight->note, "nobody else runs here");
    if (code && code != STORAGE_NOT_FOUND) {
        result = preflight_fail_storage(preflight, &err, "");
    } else if (run && (is_dead || lock_age(train, &info) > (double)lease)) {
        snprintf(preflight->note, sizeof preflight->note,
                 "run %.64s was here and left its lock: the next takes it over", run);
    } else if (run) {
        const char *host = json_string_value(json_object_get(lock, "host"));
        result =
            app_fail(preflight->job->app, EXIT_CONFIG,
                     "run %s on %s holds %s; wait for its end, give another train_url, or take "
                     "it with --break_lock",
                     run, host ? host : "another host", preflight->job->train_text);
    }
    json_decref(lock);
    return result;
}
