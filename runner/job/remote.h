/*
 * remote.h - what lies under a train_url (design.md §5): manifests, and the pointer to the newest.
 *
 * A reader trusts only what a manifest names. Manifests are small JSON objects, written once under
 * `.jobferry/manifest/<run>/<attempt>-<seq>.json`; `.jobferry/latest.json` points at one and moves
 * last.
 */
#ifndef RUNNER_REMOTE_H
#define RUNNER_REMOTE_H

#include "model/model.h"
#include "storage/storage.h"

#include <jansson.h>

enum {
    MANIFEST_FILES_MAX = 20000,
    MANIFESTS_MAX = 100000,             /* of one train_url */
    REMOTE_JSON_MAX = 16 * 1024 * 1024, /* bytes of a manifest */
    POINTER_JSON_MAX = 64 * 1024,       /* bytes of a pointer */
    REMOTE_KEY_MAX = STORAGE_PATH_MAX
};

struct manifest_file {
    char *name; /* in the checkpoint folder, "step/model.pt" below a folder in it */
    char *key;  /* relative to train_url */
    uint64_t size;
    uint32_t crc32;
    enum storage_verified verified;
};

struct manifest {
    char run[MODEL_RUN_MAX + 1];
    uint64_t attempt, seq;
    uint64_t epoch, step, cumulative_step;
    double loss, accuracy;       /* NaN: not known */
    struct manifest_file *files; /* owned, with their texts */
    size_t file_count;
};

/* Frees the files; the manifest is then as zeroed. */
void manifest_release(struct manifest *manifest);
/* A copy of its own; false without memory, *to is then as zeroed. */
bool manifest_copy(struct manifest *to, const struct manifest *from);
/* Adds a file, of which the texts are copied; false without memory. */
bool manifest_add_file(struct manifest *manifest, const struct manifest_file *file);

/* .jobferry/latest.json */
struct pointer {
    char run[MODEL_RUN_MAX + 1];
    uint64_t attempt;
    char manifest[REMOTE_KEY_MAX]; /* relative to train_url; "" while nothing is published */
    uint64_t cumulative_step;
    bool finished;
};

/* A train_url: a store and the key its objects begin with. */
struct remote {
    struct storage *store;
    const char *root;    /* without trailing slash; borrowed */
    bool is_conditional; /* the store writes on conditions (storage_put_if), as was found out */
};

/* The whole key of a name under train_url; out holds STORAGE_PATH_MAX. */
void remote_key(const struct remote *remote, char *out, const char *name);

/*
 * Gets a small JSON object by its name under train_url; *root is the caller's, NULL when what is
 * there is no JSON.
 */
enum storage_code remote_json(const struct remote *remote, const char *name, json_t **root,
                              struct storage_error *err);

/* Reads the pointer. Absent: STORAGE_OK with run "". Not ours or damaged: STORAGE_INTEGRITY. */
enum storage_code remote_latest(const struct remote *remote, struct pointer *pointer,
                                struct storage_error *err);
/* Reads a pointer by its name under train_url, as remote_latest does. */
enum storage_code remote_pointer(const struct remote *remote, const char *name,
                                 struct pointer *pointer, struct storage_error *err);
enum storage_code remote_set_latest(const struct remote *remote, const struct pointer *pointer,
                                    struct storage_error *err);

/*
 * Moves the pointer, unless another job has: it must still be one of ours (run, an attempt up to
 * pointer's), or what it was when ours began (*began; run "" for none), else STORAGE_CONFLICT. On a
 * store that writes on conditions nothing comes between the look and the move. A move whose answer
 * was lost is read back.
 */
enum storage_code remote_move_latest(const struct remote *remote, const struct pointer *pointer,
                                     const struct pointer *began, struct storage_error *err);

/* Reads one manifest by its name under train_url; release it. */
enum storage_code remote_manifest(const struct remote *remote, const char *name,
                                  struct manifest *manifest, struct storage_error *err);
/* Whether a file's name can stand in a manifest: it is UTF-8. */
bool remote_name_is_text(const char *name);
/* The name of a manifest under train_url; REMOTE_KEY_MAX bytes. */
void remote_manifest_name(char *name, const struct manifest *manifest);
/* Writes one; its name goes to name (REMOTE_KEY_MAX bytes). */
enum storage_code remote_put_manifest(const struct remote *remote, const struct manifest *manifest,
                                      char *name, struct storage_error *err);

/*
 * Calls each with every manifest of a run (run "": of all runs) that can be read; each returns
 * false to end. Damaged ones are passed over: nothing trusts them. The manifest, with its files, is
 * borrowed during the call.
 */
enum storage_code remote_each_manifest(const struct remote *remote, const char *run,
                                       bool (*each)(void *context, const struct manifest *manifest),
                                       void *context, struct storage_error *err);

#endif
