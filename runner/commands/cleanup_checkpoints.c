#include "runner/commands/cleanup_checkpoints.h"

#include "runner/job/lock.h"
#include "runner/job/retention.h"
#include "runner/json_line.h"

#include <stdio.h>
#include <string.h>

#include "runner/runner_banned.h"

struct deletion {
    struct app *app;
    bool dry_run;
    uint64_t manifests, objects;
};

static void on_deletion(void *context, const char *name, bool is_manifest)
{
    struct deletion *deletion = context;
    deletion->manifests += is_manifest;
    deletion->objects += !is_manifest;
    if (deletion->app->settings->json) {
        json_line_print(json_pack("{so ss sb}", "name", json_text(name), "kind",
                                  is_manifest ? "manifest" : "data", "deleted",
                                  !deletion->dry_run));
        return;
    }
    printf("%s %s\n", deletion->dry_run ? "to be deleted" : "deleted", name);
}

static bool learn(void *context, const struct manifest *manifest)
{
    char name[REMOTE_KEY_MAX];
    remote_manifest_name(name, manifest);
    return ledger_add(context, name, manifest);
}

/* Reads what is there, and applies the rules. */
static enum storage_code apply(const struct remote *remote, const struct retention *retention,
                               struct deletion *deletion, struct storage_error *err)
{
    struct ledger ledger = {0};
    struct pointer latest;
    struct pointer best;
    enum storage_code code = remote_latest(remote, &latest, err);
    if (!code) {
        code = remote_pointer(remote, ".jobferry/best.json", &best, err);
    }
    if (!code) {
        code = remote_each_manifest(remote, "", learn, &ledger, err);
    }
    if (!code) {
        const struct retention_job job = {.remote = remote,
                                          .ledger = &ledger,
                                          .pointed = {latest.manifest, best.manifest},
                                          .dry_run = deletion->dry_run,
                                          .told = on_deletion,
                                          .context = deletion};
        code = retention_apply(retention, &job, err);
    }
    ledger_release(&ledger);
    return code;
}

enum exit_code cleanup_checkpoints(struct app *app)
{
    const struct settings *settings = app->settings;
    const char *text = app->arguments->positional[0];
    struct retention retention;
    struct place place = {0};
    struct lock *lock = NULL;
    struct storage_error err = {0};
    char message[512];
    bool is_conditional = false;
    struct deletion deletion = {.app = app, .dry_run = !settings->yes};
    if (!retention_parse(&retention, settings->keep_remote, message, sizeof message)) {
        return app_fail(app, EXIT_USAGE, "%s", message);
    }
    if (retention.count == 0) {
        return app_fail(app, EXIT_USAGE,
                        "cleanup --checkpoints needs --keep_remote=RULES, as latest:3,best:acc:1");
    }
    enum exit_code code = place_open(&place, app, SIDE_TRAIN, text, app->stop, 0);
    if (!code && !deletion.dry_run) {
        /* A job that runs there may be about to name what would go. */
        const struct lock_options options = {.train_text = text};
        code = lock_take(&lock, app, &options, &is_conditional);
    }
    if (!code) {
        const struct remote remote = {.store = place.store, .root = place.url.key};
        enum storage_code result = apply(&remote, &retention, &deletion, &err);
        code = result ? app_fail_storage(app, &err) : EXIT_DONE;
    }
    if (!code && !settings->json) {
        log_info(&app->log, "%llu checkpoints and %llu objects of theirs %s%s",
                 (unsigned long long)deletion.manifests, (unsigned long long)deletion.objects,
                 deletion.dry_run ? "are not kept by the rules" : "deleted",
                 deletion.dry_run && deletion.manifests > 0 ? "; --yes deletes them" : "");
    }
    lock_release(lock);
    place_close(&place);
    return code;
}
