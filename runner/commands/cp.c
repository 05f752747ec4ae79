/*
 * cp.c - `jobferry cp` and `jobferry mv`: parallel copies of what words, wildcards or files of
 * lines name, with progress and one summary. A move is a copy whose sources go, each when its copy
 * is whole and durable.
 */
#include "runner/commands/commands.h"
#include "runner/commands/naming.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/runner_banned.h"

/* What a command line comes to. */
struct transfer {
    struct app *app;
    const char *command; /* "cp", "mv" */
    const char *verb;
    bool moves;
    struct storage_summary summary;
    enum storage_code result; /* of the first copy that failed */
};

/* ---- after a move --------------------------------------------------------------------------- */

static int remove_empty_folder(const char *path, const struct stat *status, int kind,
                               struct FTW *where)
{
    (void)status;
    (void)where;
    if (kind == FTW_DP) {
        rmdir(path); /* one that still holds something stays */
    }
    return 0;
}

/* The folders that a move has emptied go, and the markers that stand for folders in a store. */
static void remove_folders(const struct copy_view *view)
{
    enum {
        OPEN_FOLDERS = 16
    };
    const char *key = view->source.url.key;
    char prefix[STORAGE_PATH_MAX];
    struct storage_lister *lister = NULL;
    struct storage_entry entry = {0};
    if (view->source.url.kind == STORAGE_LOCAL) {
        nftw(key, remove_empty_folder, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
        return;
    }
    if (!storage_join(prefix, sizeof prefix, key, "") ||
        storage_lister_open(&lister, view->source.store, *key ? prefix : "", true, NULL)) {
        return;
    }
    while (storage_lister_next(lister, &entry, NULL) == STORAGE_OK && entry.key) {
        size_t length = strlen(entry.key);
        if (length > 0 && entry.key[length - 1] == '/' && entry.info.size == 0 &&
            !strstr(entry.key + (*key ? strlen(prefix) : 0), ".jobferry/")) {
            storage_remove(view->source.store, entry.key, NULL);
        }
    }
    storage_lister_close(lister);
}

/* ---- the manifest --------------------------------------------------------------------------- */

/* Begins the manifest that --manifest asks for. */
static enum exit_code begin_manifest(struct copy_view *view)
{
    const char *path = view->app->settings->manifest;
    view->manifest = path ? manifest_begin(path, view->destination.url.key) : NULL;
    return !path || view->manifest
               ? EXIT_DONE
               : app_fail(view->app, EXIT_DISK, "create %s: %s", path, strerror(errno));
}

/* Publishes it, unless nothing was copied. */
static enum exit_code end_manifest(struct copy_view *view, uint64_t copied, bool is_complete)
{
    struct manifest_writer *manifest = view->manifest;
    view->manifest = NULL;
    if (!manifest || copied == 0) {
        manifest_discard(manifest);
    } else if (!manifest_publish(manifest, is_complete)) {
        return app_fail(view->app, EXIT_DISK, "write %s: %s", view->app->settings->manifest,
                        strerror(errno));
    }
    return EXIT_DONE;
}

/* ---- one copy ------------------------------------------------------------------------------- */

static void add_summary(struct storage_summary *sum, const struct storage_summary *one)
{
    sum->objects += one->objects;
    sum->bytes += one->bytes;
    sum->resumed += one->resumed;
    sum->failed += one->failed;
    sum->skipped += one->skipped;
    sum->deleted += one->deleted;
    sum->retries += one->retries;
    sum->seconds += one->seconds;
}

/*
 * Runs a copy to its end; a failure of the whole is told here, those of objects were. Returns how
 * the manifest fared.
 */
static enum exit_code run(struct transfer *transfer, struct copy_view *view,
                          struct storage_copy *copy)
{
    struct storage_summary summary = {0};
    struct storage_error err = {0};
    enum exit_code code = begin_manifest(view);
    if (code) {
        progress_end(&view->progress);
        return code;
    }
    copy->recursive = transfer->app->settings->recursive;
    copy->remove_source = transfer->moves;
    enum storage_code result = storage_copy(copy, &summary, &err);
    progress_end(&view->progress);
    if (result && summary.failed == 0) {
        app_fail_storage(transfer->app, &err);
    }
    if (!result && transfer->moves && copy->recursive && !copy->next && !view->filter) {
        remove_folders(view);
    }
    transfer->result = transfer->result ? transfer->result : result;
    add_summary(&transfer->summary, &summary);
    return end_manifest(view, summary.objects, !result);
}

/* The summary, unless the one thing that was to be done failed as a whole and was told. */
static enum exit_code conclude(const struct transfer *transfer)
{
    struct app *app = transfer->app;
    enum storage_code result = transfer->result;
    if (!result || transfer->summary.failed > 0 || transfer->summary.objects > 0) {
        copy_view_print_summary(app, &transfer->summary);
        /* what failed before was told; a stop is what ended it */
        if (result && atomic_load(app->stop)) {
            return EXIT_INTERRUPTED;
        }
    }
    return result ? exit_code_of_storage(result) : EXIT_DONE;
}

/* ---- what is to be copied ------------------------------------------------------------------- */

/* Opens the places of a naming. Where names are chosen one by one, globs beside them are refused.
 */
static enum exit_code open_naming(struct naming *naming, struct transfer *transfer,
                                  const char *source, const char *destination)
{
    enum exit_code code =
        copy_view_open_places(&naming->view, transfer->app, transfer->verb, source, destination);
    naming->recursive = transfer->app->settings->recursive;
    naming->moves = transfer->moves;
    if (!code && naming->view.filter) {
        progress_end(&naming->view.progress);
        code = app_fail(transfer->app, EXIT_USAGE,
                        "%s: --include and --exclude go with one source, without wildcards, "
                        "--file_list or --from_file",
                        transfer->command);
    }
    return code;
}

/* Several words, or wildcards: what they name lands in the destination, which is a folder. */
static enum exit_code copy_words(struct transfer *transfer, size_t count)
{
    const char *const *words = transfer->app->arguments->positional;
    struct naming naming = {.words = words, .word_count = count};
    enum exit_code code = open_naming(&naming, transfer, words[0], words[count]);
    if (!code) {
        struct storage_copy copy = copy_view_copy(&naming.view);
        copy.next = naming_next_word;
        code = run(transfer, &naming.view, &copy);
    }
    naming_release(&naming);
    return code;
}

static enum exit_code copy_listed(struct transfer *transfer)
{
    const char *const *words = transfer->app->arguments->positional;
    struct naming naming = {0};
    enum exit_code code = open_naming(&naming, transfer, words[0], words[1]);
    if (!code) {
        code = naming_open_file(&naming, transfer->app->settings->file_list);
        if (code) {
            progress_end(&naming.view.progress);
        }
    }
    if (!code) {
        struct storage_copy copy = copy_view_copy(&naming.view);
        copy.next = naming_next_listed;
        code = run(transfer, &naming.view, &copy);
    }
    naming_release(&naming);
    return code;
}

/* Lines that follow each other and are of the same two places make one copy. */
static enum exit_code copy_pairs(struct transfer *transfer)
{
    struct naming naming = {.view.app = transfer->app};
    enum exit_code code = naming_open_file(&naming, transfer->app->settings->from_file);
    while (!code && !atomic_load(transfer->app->stop) && naming_hold_pair(&naming)) {
        char source[STORAGE_PATH_MAX + 80];
        char destination[STORAGE_PATH_MAX + 80];
        storage_url_format(&naming.from, source, sizeof source);
        storage_url_format(&naming.to, destination, sizeof destination);
        code = open_naming(&naming, transfer, source, destination);
        if (!code) {
            struct storage_copy copy = copy_view_copy(&naming.view);
            copy.next = naming_next_pair;
            code = run(transfer, &naming.view, &copy);
        }
        copy_view_release(&naming.view);
        naming.view = (struct copy_view){.app = transfer->app};
    }
    transfer->summary.failed += naming.bad_lines;
    if (naming.bad_lines > 0 && !transfer->result) {
        transfer->result = STORAGE_USAGE;
    }
    naming_release(&naming);
    return code;
}

static enum exit_code copy_one(struct transfer *transfer)
{
    const char *const *words = transfer->app->arguments->positional;
    struct copy_view view;
    enum exit_code code =
        copy_view_open_places(&view, transfer->app, transfer->verb, words[0], words[1]);
    if (!code) {
        struct storage_copy copy = copy_view_copy(&view);
        code = run(transfer, &view, &copy);
    }
    copy_view_release(&view);
    return code;
}

static enum exit_code run_transfer(struct app *app, const char *command, const char *verb,
                                   bool moves)
{
    const struct settings *settings = app->settings;
    const struct arguments *arguments = app->arguments;
    struct transfer transfer = {.app = app, .command = command, .verb = verb, .moves = moves};
    size_t count = arguments->positional_count;
    enum exit_code code = EXIT_DONE;
    if (settings->from_file && (count > 0 || settings->file_list || settings->manifest)) {
        return app_fail(app, EXIT_USAGE,
                        "%s --from_file=FILE takes nothing beside the file, and no --manifest",
                        command);
    }
    if (!settings->from_file && (count < 2 || (settings->file_list && count != 2))) {
        return app_fail(app, EXIT_USAGE, "%s takes a source and a destination, not %zu words",
                        command, count);
    }
    if (settings->objects.version_id && (count != 2 || settings->recursive)) {
        return app_fail(app, EXIT_USAGE, "%s --version_id takes one object", command);
    }
    if (settings->from_file) {
        code = copy_pairs(&transfer);
    } else if (settings->file_list) {
        code = copy_listed(&transfer);
    } else if (count > 2 || (!settings->raw && naming_is_pattern(arguments->positional[0]))) {
        code = copy_words(&transfer, count - 1);
    } else {
        code = copy_one(&transfer);
    }
    enum exit_code concluded = code && !transfer.summary.objects ? code : conclude(&transfer);
    return concluded ? concluded : code;
}

enum exit_code command_cp(struct app *app)
{
    return run_transfer(app, "cp", "copying", false);
}

enum exit_code command_mv(struct app *app)
{
    return run_transfer(app, "mv", "moving", true);
}
