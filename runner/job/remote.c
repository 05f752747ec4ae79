#include "runner/job/remote.h"

#include "runner/log.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

void remote_key(const struct remote *remote, char *out, const char *name)
{
    /* A key that is too long is cut and then refused by the store: no silent other object. */
    if (!storage_join(out, STORAGE_PATH_MAX, remote->root, name)) {
        memset(out, 'x', STORAGE_PATH_MAX - 1);
        out[STORAGE_PATH_MAX - 1] = '\0';
    }
}

static uint64_t number_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

static void text_of(char *out, size_t size, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(out, size, "%s", text ? text : "");
}

/* ---- manifests in memory -------------------------------------------------------------------- */

void manifest_release(struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->file_count; i++) {
        free(manifest->files[i].name);
        free(manifest->files[i].key);
    }
    free(manifest->files);
    memset(manifest, 0, sizeof *manifest);
}

bool manifest_add_file(struct manifest *manifest, const struct manifest_file *file)
{
    size_t count = manifest->file_count;
    if ((count & (count - 1)) == 0) { /* room for twice as many, at each power of two */
        struct manifest_file *grown =
            realloc(manifest->files, (count ? 2 * count : 1) * sizeof *grown);
        if (!grown) {
            return false;
        }
        manifest->files = grown;
    }
    struct manifest_file *added = &manifest->files[count];
    *added = *file;
    added->name = strdup(file->name);
    added->key = strdup(file->key);
    if (!added->name || !added->key) {
        free(added->name);
        free(added->key);
        return false;
    }
    manifest->file_count++;
    return true;
}

bool manifest_copy(struct manifest *to, const struct manifest *from)
{
    *to = *from;
    to->files = NULL;
    to->file_count = 0;
    for (size_t i = 0; i < from->file_count; i++) {
        if (!manifest_add_file(to, &from->files[i])) {
            manifest_release(to);
            return false;
        }
    }
    return true;
}

/* ---- JSON objects in the store --------------------------------------------------------------- */

enum storage_code remote_json(const struct remote *remote, const char *name, json_t **root,
                              struct storage_error *err)
{
    char key[STORAGE_PATH_MAX];
    char *data = NULL;
    size_t size = 0;
    *root = NULL;
    remote_key(remote, key, name);
    enum storage_code code = storage_get(remote->store, key, REMOTE_JSON_MAX, &data, &size, err);
    if (!code) {
        *root = json_loadb(data, size, 0, NULL);
    }
    free(data);
    return code;
}

/* Whether it is one of ours; if not it is freed and *root NULL. */
static enum storage_code check_version(const char *key, json_t **root, struct storage_error *err)
{
    if (json_is_object(*root) && number_of(*root, "version") == 1) {
        return STORAGE_OK;
    }
    json_decref(*root);
    *root = NULL;
    if (err) {
        *err = (struct storage_error){.code = STORAGE_INTEGRITY};
        snprintf(err->message, sizeof err->message, "read %.1000s: not a JSON object of version 1",
                 key);
    }
    return STORAGE_INTEGRITY;
}

/* Gets one JSON object of ours; *root is the caller's. */
static enum storage_code get_json(const struct remote *remote, const char *name, json_t **root,
                                  struct storage_error *err)
{
    char key[STORAGE_PATH_MAX];
    remote_key(remote, key, name);
    enum storage_code code = remote_json(remote, name, root, err);
    return code ? code : check_version(key, root, err);
}

static enum storage_code put_json(const struct remote *remote, const char *name, json_t *root,
                                  struct storage_error *err)
{
    char key[STORAGE_PATH_MAX];
    remote_key(remote, key, name);
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    json_decref(root);
    enum storage_code code =
        text ? storage_put(remote->store, key, text, strlen(text), NULL, err) : STORAGE_BUG;
    free(text);
    return code;
}

static void read_pointer(struct pointer *pointer, const json_t *root)
{
    text_of(pointer->run, sizeof pointer->run, root, "run");
    pointer->attempt = number_of(root, "attempt");
    text_of(pointer->manifest, sizeof pointer->manifest, root, "manifest");
    pointer->cumulative_step = number_of(root, "cumulative_step");
    pointer->finished = json_is_true(json_object_get(root, "finished"));
}

enum storage_code remote_latest(const struct remote *remote, struct pointer *pointer,
                                struct storage_error *err)
{
    return remote_pointer(remote, ".jobferry/latest.json", pointer, err);
}

enum storage_code remote_pointer(const struct remote *remote, const char *name,
                                 struct pointer *pointer, struct storage_error *err)
{
    struct storage_error own;
    err = err ? err : &own;
    memset(pointer, 0, sizeof *pointer);
    json_t *root = NULL;
    enum storage_code code = get_json(remote, name, &root, err);
    if (code == STORAGE_NOT_FOUND && strcmp(err->service_code, "NoSuchBucket") != 0) {
        return STORAGE_OK;
    }
    if (code) {
        return code;
    }
    read_pointer(pointer, root);
    json_decref(root);
    return STORAGE_OK;
}

static json_t *make_pointer(const struct pointer *pointer)
{
    char now[32];
    log_timestamp(now, sizeof now);
    return json_pack("{si ss sI ss sI sb ss}", "version", 1, "run", pointer->run, "attempt",
                     (json_int_t)pointer->attempt, "manifest", pointer->manifest, "cumulative_step",
                     (json_int_t)pointer->cumulative_step, "finished", pointer->finished, "updated",
                     now);
}

enum storage_code remote_set_latest(const struct remote *remote, const struct pointer *pointer,
                                    struct storage_error *err)
{
    return put_json(remote, ".jobferry/latest.json", make_pointer(pointer), err);
}

/* ---- moving the pointer ---------------------------------------------------------------------- */

/* The pointer as it is, with its tag; absent it is as zeroed, and so is the tag. */
static enum storage_code look_at_latest(const struct remote *remote, const char *key,
                                        struct pointer *now, char tag[STORAGE_ETAG_MAX + 1],
                                        struct storage_error *err)
{
    char *data = NULL;
    size_t size = 0;
    json_t *root = NULL;
    memset(now, 0, sizeof *now);
    enum storage_code code =
        storage_get_tagged(remote->store, key, POINTER_JSON_MAX, &data, &size, tag, err);
    if (code == STORAGE_NOT_FOUND && strcmp(err->service_code, "NoSuchBucket") != 0) {
        return STORAGE_OK;
    }
    if (!code) {
        root = json_loadb(data, size, 0, NULL);
        code = check_version(key, &root, err);
    }
    if (!code) {
        read_pointer(now, root);
    }
    json_decref(root);
    free(data);
    return code;
}

/* Whether the pointer is ours to move. */
static bool is_ours(const struct pointer *now, const struct pointer *next,
                    const struct pointer *began)
{
    bool is_as_it_was =
        strcmp(now->run, began->run) == 0 && strcmp(now->manifest, began->manifest) == 0;
    return !now->run[0] || is_as_it_was ||
           (strcmp(now->run, next->run) == 0 && now->attempt <= next->attempt);
}

enum storage_code remote_move_latest(const struct remote *remote, const struct pointer *pointer,
                                     const struct pointer *began, struct storage_error *err)
{
    enum {
        TRIES = 4
    };
    struct storage_error own;
    err = err ? err : &own;
    char key[STORAGE_PATH_MAX];
    char tag[STORAGE_ETAG_MAX + 1];
    json_t *root = make_pointer(pointer);
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    enum storage_code code = text ? STORAGE_CHANGED : STORAGE_BUG;
    remote_key(remote, key, ".jobferry/latest.json");
    for (int i = 0; code == STORAGE_CHANGED && i < TRIES; i++) {
        struct pointer now;
        code = look_at_latest(remote, key, &now, tag, err);
        if (code == STORAGE_INTEGRITY) { /* damaged: it points nowhere, ours is better */
            memset(&now, 0, sizeof now);
            code = STORAGE_OK;
        }
        if (!code && !is_ours(&now, pointer, began)) {
            *err = (struct storage_error){.code = STORAGE_CONFLICT};
            snprintf(err->message, sizeof err->message,
                     "move %.1000s: run %s, attempt %llu, has moved it meanwhile", key, now.run,
                     (unsigned long long)now.attempt);
            code = STORAGE_CONFLICT;
        }
        if (!code) {
            code = remote->is_conditional
                       ? storage_put_if(remote->store, key, text, strlen(text), tag[0] ? tag : NULL,
                                        tag, err)
                       : storage_put(remote->store, key, text, strlen(text), NULL, err);
            /* The store's own conflict is no other job's doing. */
            code = code == STORAGE_CONFLICT ? STORAGE_TRANSFER : code;
        }
    }
    if (code == STORAGE_UNREACHABLE || code == STORAGE_TRANSFER) {
        struct pointer now;
        struct storage_error ignored;
        bool is_there = !look_at_latest(remote, key, &now, tag, &ignored) &&
                        strcmp(now.run, pointer->run) == 0 &&
                        strcmp(now.manifest, pointer->manifest) == 0 &&
                        now.finished == pointer->finished;
        code = is_there ? STORAGE_OK : code;
    }
    free(text);
    json_decref(root);
    return code;
}

static enum storage_verified verified_of(const json_t *file)
{
    const char *name = json_string_value(json_object_get(file, "verified"));
    for (int i = STORAGE_VERIFIED_CRC32; name && i < STORAGE_VERIFIED_SIZE; i++) {
        if (strcmp(storage_verified_name((enum storage_verified)i), name) == 0) {
            return (enum storage_verified)i;
        }
    }
    return STORAGE_VERIFIED_SIZE;
}

static double metric_of(const json_t *root, const char *name)
{
    const json_t *value = json_object_get(json_object_get(root, "metrics"), name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* One line of a manifest's files. */
static enum storage_code read_file(struct manifest *manifest, const json_t *one)
{
    char name[STORAGE_PATH_MAX];
    char key[STORAGE_PATH_MAX];
    const char *crc32 = json_string_value(json_object_get(one, "crc32"));
    text_of(name, sizeof name, one, "name");
    text_of(key, sizeof key, one, "key");
    const struct manifest_file file = {
        .name = name,
        .key = key,
        .size = number_of(one, "size"),
        .crc32 = crc32 ? (uint32_t)strtoul(crc32, NULL, 16) : 0,
        .verified = verified_of(one),
    };
    bool fits = name[0] && key[0] && manifest->file_count < MANIFEST_FILES_MAX;
    return !fits                                ? STORAGE_INTEGRITY
           : manifest_add_file(manifest, &file) ? STORAGE_OK
                                                : STORAGE_BUG;
}

enum storage_code remote_manifest(const struct remote *remote, const char *name,
                                  struct manifest *manifest, struct storage_error *err)
{
    memset(manifest, 0, sizeof *manifest);
    json_t *root = NULL;
    enum storage_code code = get_json(remote, name, &root, err);
    if (code) {
        return code;
    }
    text_of(manifest->run, sizeof manifest->run, root, "run");
    manifest->attempt = number_of(root, "attempt");
    manifest->seq = number_of(root, "seq");
    manifest->epoch = number_of(root, "epoch");
    manifest->step = number_of(root, "step");
    manifest->cumulative_step = number_of(root, "cumulative_step");
    manifest->loss = metric_of(root, "loss");
    manifest->accuracy = metric_of(root, "acc");
    const json_t *files = json_object_get(root, "files");
    for (size_t i = 0; !code && i < json_array_size(files); i++) {
        code = read_file(manifest, json_array_get(files, i));
    }
    json_decref(root);
    if (code) {
        manifest_release(manifest);
        if (err) {
            *err = (struct storage_error){.code = code};
            snprintf(err->message, sizeof err->message, "read %.1000s: its files are no list",
                     name);
        }
    }
    return code;
}

bool remote_name_is_text(const char *name)
{
    json_t *text = json_string(name);
    json_decref(text);
    return text != NULL;
}

void remote_manifest_name(char *name, const struct manifest *manifest)
{
    snprintf(name, REMOTE_KEY_MAX, ".jobferry/manifest/%s/%llu-%llu.json", manifest->run,
             (unsigned long long)manifest->attempt, (unsigned long long)manifest->seq);
}

enum storage_code remote_put_manifest(const struct remote *remote, const struct manifest *manifest,
                                      char *name, struct storage_error *err)
{
    json_t *files = json_array();
    for (size_t i = 0; i < manifest->file_count; i++) {
        const struct manifest_file *file = &manifest->files[i];
        char crc32[16];
        snprintf(crc32, sizeof crc32, "%08x", file->crc32);
        json_array_append_new(files,
                              json_pack("{ss ss sI ss ss}", "name", file->name, "key", file->key,
                                        "size", (json_int_t)file->size, "crc32", crc32, "verified",
                                        storage_verified_name(file->verified)));
    }
    json_t *metrics = json_object();
    if (isfinite(manifest->loss)) {
        json_object_set_new(metrics, "loss", json_real(manifest->loss));
    }
    if (isfinite(manifest->accuracy)) {
        json_object_set_new(metrics, "acc", json_real(manifest->accuracy));
    }
    char now[32];
    log_timestamp(now, sizeof now);
    remote_manifest_name(name, manifest);
    return put_json(remote, name,
                    json_pack("{si ss sI sI sI sI sI ss so so}", "version", 1, "run", manifest->run,
                              "attempt", (json_int_t)manifest->attempt, "seq",
                              (json_int_t)manifest->seq, "epoch", (json_int_t)manifest->epoch,
                              "step", (json_int_t)manifest->step, "cumulative_step",
                              (json_int_t)manifest->cumulative_step, "created", now, "files", files,
                              "metrics", metrics),
                    err);
}

enum storage_code remote_each_manifest(const struct remote *remote, const char *run,
                                       bool (*each)(void *context, const struct manifest *manifest),
                                       void *context, struct storage_error *err)
{
    char folder[128];
    char prefix[STORAGE_PATH_MAX];
    snprintf(folder, sizeof folder, ".jobferry/manifest/%s%s", run, run[0] ? "/" : "");
    remote_key(remote, prefix, folder);
    struct storage_lister *lister = NULL;
    struct manifest manifest;
    enum storage_code code = storage_lister_open(&lister, remote->store, prefix, true, err);
    for (size_t i = 0; !code && i < MANIFESTS_MAX; i++) {
        struct storage_entry entry;
        code = storage_lister_next(lister, &entry, err);
        if (code == STORAGE_NOT_FOUND) {
            code = STORAGE_OK; /* no such folder: no manifests */
            break;
        }
        if (code || !entry.key) {
            break;
        }
        /* The listing gives whole keys; names are relative to train_url. */
        size_t root = strlen(remote->root);
        const char *name = entry.key + root + (root > 0 && remote->root[root - 1] != '/');
        code = remote_manifest(remote, name, &manifest, err);
        if (code == STORAGE_INTEGRITY || code == STORAGE_NOT_FOUND) {
            code = STORAGE_OK;
        } else if (!code) {
            bool more = each(context, &manifest);
            manifest_release(&manifest);
            if (!more) {
                break;
            }
        }
    }
    storage_lister_close(lister);
    return code;
}
