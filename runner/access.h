/*
 * access.h - from flags, environment and profile files to one side's struct storage_access.
 *
 * The order of design.md §4: flags; that side's environment (JOBFERRY_DATA_… or JOBFERRY_TRAIN_…);
 * --profile; AWS_…; OBS_…; moxing's names; profile files, obsutil's last; web identity; container
 * and instance services; anonymous. Key, secret and token always come from one source, never mixed.
 *
 * Here names and paths are collected and no one is asked: storage/ fetches keys when a request
 * needs them, and again before they expire.
 */
#ifndef RUNNER_ACCESS_H
#define RUNNER_ACCESS_H

#include "runner/log.h"
#include "runner/settings.h"

#include "storage/storage.h"

enum side {
    SIDE_DATA, /* where things come from */
    SIDE_TRAIN /* where they go */
};

enum {
    ACCESS_PATH_MAX = 512
};

struct access {
    struct storage_access storage;  /* texts borrowed from flags, environment and what follows */
    const char *source;             /* where the keys come from, for people: "flags", … */
    struct storage_profile profile; /* owned; of all profile files together */
    struct storage_profile obsutil; /* owned */
    char name[160];                 /* the profile's, with a word: "profile 'x'" */
    char paths[3][ACCESS_PATH_MAX]; /* the two files of AWS, obsutil's */
    const char *keys_file;          /* which file holds the profile's keys */
    char endpoint[512];             /* when one had to be put together */
};

/*
 * Resolves one side. Returns EXIT_DONE, or the code of a failure it has logged: a key without its
 * secret (64), a profile that no file has, or whose keys we cannot get (78).
 */
enum exit_code access_resolve(struct access *access, const struct settings *settings,
                              enum side side, struct log *log);
void access_release(struct access *access);

/*
 * Whether the keys come with a session token that nothing renews: given, or written in a file.
 * *expires is when it ends, seconds since 1970, where AWS_CREDENTIAL_EXPIRATION says so of keys
 * from AWS_ACCESS_KEY_ID; 0: nobody says.
 */
bool access_has_fixed_token(const struct access *access, int64_t *expires);

#endif
