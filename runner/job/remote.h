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

enum {
    MANIFEST_FILES_MAX = 8,
    MANIFESTS_MAX = 10000,         /* of one run */
    REMOTE_JSON_MAX = 1024 * 1024, /* bytes of a manifest or pointer */
    REMOTE_KEY_MAX = STORAGE_PATH_MAX
};

struct manifest_file {
    char name[256];           /* in the checkpoint folder */
    char key[REMOTE_KEY_MAX]; /* relative to train_url */
    uint64_t size;
    uint32_t crc32;
    enum storage_verified verified;
};

struct manifest {
    char run[MODEL_RUN_MAX + 1];
    uint64_t attempt, seq;
    uint64_t epoch, step, cumulative_step;
    double loss, accuracy; /* NaN: not known */
    struct manifest_file files[MANIFEST_FILES_MAX];
    size_t file_count;
};

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
    const char *root; /* without trailing slash; borrowed */
};

/* The whole key of a name under train_url; out holds STORAGE_PATH_MAX. */
void remote_key(const struct remote *remote, char *out, const char *name);

/* Reads the pointer. Absent: STORAGE_OK with run "". Not ours or damaged: STORAGE_INTEGRITY. */
enum storage_code remote_latest(const struct remote *remote, struct pointer *pointer,
                                struct storage_error *err);
enum storage_code remote_set_latest(const struct remote *remote, const struct pointer *pointer,
                                    struct storage_error *err);

/* Reads one manifest by its name under train_url. */
enum storage_code remote_manifest(const struct remote *remote, const char *name,
                                  struct manifest *manifest, struct storage_error *err);
/* Writes one; its name goes to name (REMOTE_KEY_MAX bytes). */
enum storage_code remote_put_manifest(const struct remote *remote, const struct manifest *manifest,
                                      char *name, struct storage_error *err);

/*
 * Calls each with every manifest of a run that can be read; each returns false to end. Damaged
 * ones are passed over: nothing trusts them.
 */
enum storage_code remote_each_manifest(const struct remote *remote, const char *run,
                                       bool (*each)(void *context, const struct manifest *manifest),
                                       void *context, struct storage_error *err);

#endif
