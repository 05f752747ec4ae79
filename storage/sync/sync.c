/*
 * sync.c - storage_sync: merges the two listings, and hands what differs to the copy engine. See
 * sync.h for the whole picture.
 */
#include "storage/sync/sync.h"
#include "storage/storage_error.h"

#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

static bool is_local(const struct storage *store)
{
    return store->kind == STORAGE_LOCAL;
}

void sync_tell(struct sync_state *state, enum storage_action action, const char *source,
               const char *destination, uint64_t size)
{
    const struct storage_step step = {action, source, destination, size};
    pthread_mutex_lock(&state->hooks);
    state->planned += action == STORAGE_ACTION_COPY;
    state->planned_bytes += action == STORAGE_ACTION_COPY ? size : 0;
    if (state->sync.on_step) {
        state->sync.on_step(state->sync.copy.context, &step);
    }
    pthread_mutex_unlock(&state->hooks);
}

/* ---- one name ------------------------------------------------------------------------------- */

/*
 * Whether the source has a file where this name has a folder: "a" and "a/b". All names between the
 * two begin with "a", so it is enough to know where names end that the present one begins with.
 */
static bool clashes(struct sync_state *state)
{
    const char *name = state->source.name;
    size_t common = 0;
    bool found = false;
    while (name[common] && name[common] == state->previous[common]) {
        common++;
    }
    while (state->file_end_count > 0 && state->file_ends[state->file_end_count - 1] > common) {
        state->file_end_count--;
    }
    for (size_t i = 0; i < state->file_end_count; i++) {
        found = found || name[state->file_ends[i]] == '/';
    }
    size_t length = strlen(name);
    if (!found && length > 0 && name[length - 1] != '/') {
        state->file_ends[state->file_end_count++] = length;
    }
    memcpy(state->previous, name, length + 1);
    return found;
}

/* Where the source's name goes; *failure says why it cannot. */
static enum copy_verdict route_name(struct sync_state *state)
{
    const struct storage_copy *copy = &state->sync.copy;
    struct storage_error *failure = &state->failure;
    memset(failure, 0, sizeof *failure);
    bool clash = clashes(state);
    enum copy_verdict verdict =
        copy_route_name(&state->route, copy, &state->source.entry, state->destination, failure);
    if (verdict == COPY_TAKE && clash && is_local(copy->destination)) {
        storage_fail(failure, STORAGE_CONFLICT,
                     "copy %s: a part of its path is an object of its own, and so no folder",
                     state->source.key);
        return COPY_REFUSE;
    }
    /* a folder's marker goes to a store as the empty object that it is */
    return verdict == COPY_SKIP ? COPY_TAKE : verdict;
}

/* An empty folder; true: item tells of a failure. */
static bool make_folder(struct sync_state *state)
{
    struct storage *to = state->sync.copy.destination;
    struct storage_info info;
    if (storage_stat(to, state->destination, &info, NULL) == STORAGE_OK && info.is_directory) {
        return true;
    }
    if (state->sync.dry_run) {
        sync_tell(state, STORAGE_ACTION_FOLDER, state->source.key, state->destination, 0);
        return true;
    }
    return folders_make(state->folders, state->destination, &state->failure) == STORAGE_OK;
}

/* Deals with the source's present name; true: item is filled. */
static bool take_source(struct sync_state *state, bool is_pair, struct storage_item *item)
{
    const struct storage_entry *there = &state->there.entry;
    const struct sync_line *line =
        state->record ? sync_record_find(state->record, state->source.name, state->source.filter)
                      : NULL;
    enum copy_verdict verdict = route_name(state);
    *item = (struct storage_item){.source = state->source.key,
                                  .destination = state->destination,
                                  .info = &state->source.entry.info};
    if (verdict == COPY_REFUSE || (verdict == COPY_FOLDER && !is_pair && !make_folder(state))) {
        item->failure = &state->failure;
        return true;
    }
    if (verdict == COPY_FOLDER) {
        return false;
    }
    enum sync_verdict same = SYNC_DIFFERENT;
    if (is_pair && there->link < STORAGE_LINK_UNFOLLOWED) {
        bool is_marker = state->source.name[strlen(state->source.name) - 1] == '/';
        same = is_marker && there->info.size == item->info->size
                   ? SYNC_SAME
                   : sync_compare(&state->sync, item->info, &there->info, line);
    }
    if (same == SYNC_SAME) {
        atomic_fetch_add(&state->skipped, 1);
        return false;
    }
    if (same == SYNC_DOUBTFUL) {
        item->there = &there->info;
    } else if (state->sync.dry_run) {
        sync_tell(state, STORAGE_ACTION_COPY, item->source, item->destination, item->info->size);
        return false;
    }
    return true;
}

/* Notes what only the destination has. */
static void take_there(struct sync_state *state)
{
    const char *name = state->there.name;
    size_t length = strlen(name);
    /* an empty folder, or its marker, is no extra when the source has something in that folder */
    bool is_parent = name[length - 1] == '/' && state->source_pending &&
                     strncmp(state->source.name, name, length) == 0;
    if (state->sync.delete_extra && !is_parent && state->there.entry.link != STORAGE_LINK_BEHIND) {
        sync_extras_add(&state->extras, state->there.key);
    }
}

/* ---- the merge ------------------------------------------------------------------------------ */

static enum storage_code advance(struct sync_stream *stream, bool *pending,
                                 struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    if (!*pending && !stream->ended) {
        code = sync_stream_next(stream, err);
        *pending = code == STORAGE_OK && !stream->ended;
    }
    return code;
}

/* The copy's `next`: goes on until something is to be copied. */
static enum storage_code next(void *context, struct storage_item *item, struct storage_error *err)
{
    struct sync_state *state = context;
    const atomic_bool *stop = state->sync.copy.stop;
    for (;;) {
        if (stop && atomic_load_explicit(stop, memory_order_relaxed)) {
            return storage_fail(err, STORAGE_STOPPED, "sync: stopped on request");
        }
        enum storage_code code = advance(&state->source, &state->source_pending, err);
        if (code == STORAGE_OK) {
            code = advance(&state->there, &state->there_pending, err);
        }
        if (code != STORAGE_OK) {
            return code;
        }
        if (!state->source_pending && !state->there_pending) {
            state->is_ended = true;
            memset(item, 0, sizeof *item);
            return STORAGE_OK;
        }
        int order = !state->source_pending  ? 1
                    : !state->there_pending ? -1
                                            : strcmp(state->source.name, state->there.name);
        if (order > 0) {
            take_there(state);
            state->there_pending = false;
            continue;
        }
        state->source_pending = false;
        state->there_pending = state->there_pending && order != 0;
        if (take_source(state, order == 0, item)) {
            return STORAGE_OK;
        }
    }
}

/* ---- what workers tell ---------------------------------------------------------------------- */

/* What lies in the folder now belongs to the object of that ETag. */
static void note(struct sync_state *state, const char *source, const char *destination,
                 const char *etag)
{
    struct storage *to = state->sync.copy.destination;
    struct sync_line line = {0};
    struct storage_info info;
    if (state->record && *etag && storage_stat(to, destination, &info, NULL) == STORAGE_OK &&
        !info.is_directory) {
        snprintf(line.name, sizeof line.name, "%s", source + strlen(state->route.from));
        snprintf(line.etag, sizeof line.etag, "%s", etag);
        line.size = info.size;
        line.mtime_ns = info.mtime_ns;
        sync_record_note(state->record, &line);
    }
}

static enum storage_code is_needed(void *context, const struct storage_item *item, bool *needed,
                                   struct storage_error *err)
{
    struct sync_state *state = context;
    struct storage_info source = *item->info;
    bool same = false;
    enum storage_code code = sync_compare_closely(&state->sync, item->source, &source,
                                                  item->destination, item->there, &same, err);
    *needed = !same;
    if (code == STORAGE_OK && same) {
        atomic_fetch_add(&state->skipped, 1);
        if (!state->sync.dry_run) {
            note(state, item->source, item->destination, source.etag);
        }
    } else if (code == STORAGE_OK && state->sync.dry_run) {
        sync_tell(state, STORAGE_ACTION_COPY, item->source, item->destination, source.size);
        *needed = false;
    }
    return code;
}

static void on_object(void *context, const struct storage_copied *copied)
{
    struct sync_state *state = context;
    const struct storage_copy *copy = &state->sync.copy;
    if (!copied->error) {
        note(state, copied->source, copied->destination, copied->info->etag);
    }
    pthread_mutex_lock(&state->hooks);
    if (copy->on_object) {
        copy->on_object(copy->context, copied);
    }
    pthread_mutex_unlock(&state->hooks);
}

static void on_progress(void *context, const struct storage_progress *progress)
{
    struct sync_state *state = context;
    const struct storage_copy *copy = &state->sync.copy;
    pthread_mutex_lock(&state->hooks);
    if (copy->on_progress) {
        copy->on_progress(copy->context, progress);
    }
    pthread_mutex_unlock(&state->hooks);
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* A folder's or prefix's key becomes "" or ends in one slash. */
static enum storage_code set_prefix(char out[STORAGE_PATH_MAX], const struct storage *store,
                                    const char *key, struct storage_error *err)
{
    size_t length = strlen(key);
    bool fits = length + 1 < STORAGE_PATH_MAX;
    if (fits && (length == 0 || key[length - 1] == '/')) {
        memcpy(out, key, length + 1);
    } else {
        fits = fits && storage_join(out, STORAGE_PATH_MAX, key, "");
    }
    if (!fits || (!is_local(store) && strlen(out) > STORAGE_KEY_MAX)) {
        return storage_fail(err, STORAGE_USAGE, "sync %.512s…: the name is too long", key);
    }
    return STORAGE_OK;
}

/* A local side must be a folder; the destination may be missing yet. */
static enum storage_code check_folder(struct storage *store, const char *prefix,
                                      bool may_be_missing, struct storage_error *err)
{
    struct storage_info info;
    char path[STORAGE_PATH_MAX];
    struct storage_error why = {0};
    if (!is_local(store)) {
        return STORAGE_OK;
    }
    size_t length = strlen(prefix);
    length -= length > 1; /* with its slash a file would be "missing" */
    memcpy(path, prefix, length);
    path[length] = '\0';
    enum storage_code code = store->backend->stat(store, path, &info, &why);
    if (code == STORAGE_NOT_FOUND && may_be_missing) {
        return STORAGE_OK;
    }
    if (code == STORAGE_OK && !info.is_directory) {
        code = storage_fail(&why, STORAGE_USAGE, "sync %s: it is a file", path);
        storage_hint(&why, "sync takes folders and prefixes; cp takes files");
    }
    if (code != STORAGE_OK) {
        *err = why;
    }
    return code;
}

static void prepare_stream(struct sync_stream *stream, const struct sync_state *state, bool there)
{
    const struct storage_copy *copy = &state->sync.copy;
    stream->store = there ? copy->destination : copy->source;
    stream->filter = copy->filter;
    stream->may_be_missing = there && is_local(stream->store);
    memcpy(stream->prefix, there ? state->route.to : state->route.from, sizeof stream->prefix);
}

/* The record's word for the source: another one makes it void. */
static struct sync_record *open_record(const struct sync_state *state)
{
    const struct storage_copy *copy = &state->sync.copy;
    char name[2 * STORAGE_PATH_MAX];
    snprintf(name, sizeof name, "%s %s/%s", copy->source->place, copy->source->bucket,
             state->route.from);
    for (char *at = name; *at; at++) {
        *at = (unsigned char)*at < 0x20 ? '?' : *at;
    }
    return sync_record_open(state->route.to, name);
}

static enum storage_code open_both(struct sync_state *state, struct storage_error *err)
{
    const struct storage_copy *copy = &state->sync.copy;
    enum storage_code code = set_prefix(state->route.from, copy->source, copy->source_key, err);
    if (code == STORAGE_OK) {
        code = set_prefix(state->route.to, copy->destination, copy->destination_key, err);
    }
    if (code == STORAGE_OK) {
        code = check_folder(copy->source, state->route.from, false, err);
    }
    if (code == STORAGE_OK) {
        code = check_folder(copy->destination, state->route.to, true, err);
    }
    if (code == STORAGE_OK) {
        code = copy_check_overlap(&state->route, copy, err);
    }
    if (code != STORAGE_OK) {
        return code;
    }
    if (is_local(copy->destination)) {
        state->folders = folders_new(state->route.to);
        if (!state->folders) {
            return storage_fail(err, STORAGE_BUG, "sync: no memory for folders");
        }
    }
    prepare_stream(&state->source, state, false);
    prepare_stream(&state->there, state, true);
    code = sync_stream_open(&state->source, copy->symlinks, err);
    if (code == STORAGE_OK) {
        code = sync_stream_open(&state->there, STORAGE_SYMLINKS_FOLLOW, err);
    }
    if (code == STORAGE_OK && is_local(copy->destination) && !is_local(copy->source)) {
        state->record = open_record(state);
        if (!state->record) {
            code = storage_fail(err, STORAGE_BUG, "sync: no memory for the record");
        }
    }
    return code;
}

/* Copies, with the merge as what is named. */
static enum storage_code copy_all(struct sync_state *state, struct storage_summary *summary,
                                  struct storage_error *err)
{
    struct storage_copy copy = state->sync.copy;
    copy.recursive = false;
    copy.remove_source = false;
    copy.next = next;
    copy.is_needed = is_needed;
    copy.on_object = on_object;
    copy.on_progress = on_progress;
    copy.context = state;
    enum storage_code code = copy_into(&copy, state->folders, summary, err);
    if (code == STORAGE_NOT_FOUND && state->is_ended && summary->failed == 0) {
        code = STORAGE_OK; /* nothing had to be copied */
    }
    summary->skipped = atomic_load(&state->skipped);
    if (state->sync.dry_run) {
        summary->objects = state->planned;
        summary->bytes = state->planned_bytes;
    }
    return code;
}

/* What is left when the copying is over. */
static enum storage_code finish(struct sync_state *state, enum storage_code code,
                                struct storage_summary *summary, struct storage_error *err)
{
    struct storage_error own = {0};
    if (state->record && !state->sync.dry_run) {
        if (state->is_ended) { /* what the source lacks is forgotten */
            sync_record_find(state->record, "\xFF\xFF", state->source.filter);
        }
        enum storage_code saved = sync_record_save(state->record, state->folders, &own);
        if (code == STORAGE_OK && saved != STORAGE_OK) {
            code = saved;
            summary->failed++;
            *err = own;
        }
    }
    if (code == STORAGE_OK && state->folders) {
        code = folders_check(state->folders, err);
    }
    if (code != STORAGE_OK) {
        summary->withheld = state->extras.count;
        return code;
    }
    if (state->source.count == 0 && state->extras.count == 0) {
        const struct storage *from = state->source.store;
        return storage_fail(err, STORAGE_NOT_FOUND, "sync %s%s%s%s: nothing is there",
                            is_local(from) ? "" : "s3://", from->bucket, is_local(from) ? "" : "/",
                            state->route.from);
    }
    return sync_extras_remove(state, summary, err);
}

enum storage_code storage_sync(const struct storage_sync *sync, struct storage_summary *summary,
                               struct storage_error *err)
{
    struct storage_summary ignored;
    double started = copy_now();
    struct sync_state *state = calloc(1, sizeof *state);
    err = STORAGE_ERROR_OR_OWN(err);
    summary = summary ? summary : &ignored;
    memset(summary, 0, sizeof *summary);
    if (!state || pthread_mutex_init(&state->hooks, NULL) != 0) {
        free(state);
        return storage_fail(err, STORAGE_BUG, "sync: no memory");
    }
    state->sync = *sync;
    enum storage_code code = open_both(state, err);
    if (code == STORAGE_OK) {
        code = copy_all(state, summary, err);
        code = finish(state, code, summary, err);
    }
    summary->seconds = copy_now() - started;
    if (code == STORAGE_OK) {
        memset(err, 0, sizeof *err);
    }
    sync_stream_close(&state->source);
    sync_stream_close(&state->there);
    sync_record_close(state->record);
    folders_free(state->folders);
    sync_extras_release(&state->extras);
    pthread_mutex_destroy(&state->hooks);
    free(state);
    return code;
}
