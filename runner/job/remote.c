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

/* Gets and parses one JSON object; *root is the caller's. */
static enum storage_code get_json(const struct remote *remote, const char *name, json_t **root,
                                  struct storage_error *err)
{
    char key[STORAGE_PATH_MAX];
    char *data = NULL;
    size_t size = 0;
    *root = NULL;
    remote_key(remote, key, name);
    enum storage_code code = storage_get(remote->store, key, REMOTE_JSON_MAX, &data, &size, err);
    if (code) {
        return code;
    }
    json_error_t reason;
    *root = json_loadb(data, size, 0, &reason);
    free(data);
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

enum storage_code remote_latest(const struct remote *remote, struct pointer *pointer,
                                struct storage_error *err)
{
    struct storage_error own;
    err = err ? err : &own;
    memset(pointer, 0, sizeof *pointer);
    json_t *root = NULL;
    enum storage_code code = get_json(remote, ".jobferry/latest.json", &root, err);
    if (code == STORAGE_NOT_FOUND && strcmp(err->service_code, "NoSuchBucket") != 0) {
        return STORAGE_OK;
    }
    if (code) {
        return code;
    }
    text_of(pointer->run, sizeof pointer->run, root, "run");
    pointer->attempt = number_of(root, "attempt");
    text_of(pointer->manifest, sizeof pointer->manifest, root, "manifest");
    pointer->cumulative_step = number_of(root, "cumulative_step");
    pointer->finished = json_is_true(json_object_get(root, "finished"));
    json_decref(root);
    return STORAGE_OK;
}

enum storage_code remote_set_latest(const struct remote *remote, const struct pointer *pointer,
                                    struct storage_error *err)
{
    char now[32];
    log_timestamp(now, sizeof now);
    return put_json(remote, ".jobferry/latest.json",
                    json_pack("{si ss sI ss sI sb ss}", "version", 1, "run", pointer->run,
                              "attempt", (json_int_t)pointer->attempt, "manifest",
                              pointer->manifest, "cumulative_step",
                              (json_int_t)pointer->cumulative_step, "finished", pointer->finished,
                              "updated", now),
                    err);
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
    for (size_t i = 0; i < json_array_size(files) && i < MANIFEST_FILES_MAX; i++) {
        const json_t *one = json_array_get(files, i);
        struct manifest_file *file = &manifest->files[manifest->file_count++];
        text_of(file->name, sizeof file->name, one, "name");
        text_of(file->key, sizeof file->key, one, "key");
        file->size = number_of(one, "size");
        const char *crc32 = json_string_value(json_object_get(one, "crc32"));
        file->crc32 = crc32 ? (uint32_t)strtoul(crc32, NULL, 16) : 0;
        file->verified = verified_of(one);
    }
    json_decref(root);
    return STORAGE_OK;
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
    snprintf(name, REMOTE_KEY_MAX, ".jobferry/manifest/%s/%llu-%llu.json", manifest->run,
             (unsigned long long)manifest->attempt, (unsigned long long)manifest->seq);
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
    snprintf(folder, sizeof folder, ".jobferry/manifest/%s/", run);
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
        } else if (!code && !each(context, &manifest)) {
            break;
        }
    }
    storage_lister_close(lister);
    return code;
}
