/*
 * extras.h - what a place says of its objects beside their bytes: content type, metadata, storage
 * class, encryption, who pays.
 *
 * Made once from struct storage_headers, then added by request.c to each request that says it
 * wants them, in the store's own words: OBS has other names for some values as well as prefixes.
 */
#ifndef STORAGE_S3_EXTRAS_H
#define STORAGE_S3_EXTRAS_H

#include "storage/s3/sign.h"
#include "storage/storage.h"

enum {
    EXTRAS_METADATA_MAX = 16,  /* names of --metadata; S3 allows 2 KiB in all */
    EXTRAS_METADATA_NAME = 48, /* bytes of one */
    EXTRAS_VALUES = EXTRAS_METADATA_MAX + 16,
    EXTRAS_VERSION_MAX = 1024 /* bytes of a version id: S3's limit */
};

/* Which extras a request carries; who pays is told in all. */
enum extras_kind {
    EXTRAS_NEW = 1,    /* an object is created: all that it is to have */
    EXTRAS_KEY = 2,    /* the caller's key of encryption */
    EXTRAS_SOURCE = 4, /* the same for the source of a copy */
    EXTRAS_COPY = 8    /* as NEW, but what the source says of itself is kept: no metadata */
};

struct extras {
    struct sign_pair described[EXTRAS_METADATA_MAX + 1]; /* cache control, metadata */
    size_t described_count;
    struct sign_pair kept[4]; /* class, ACL, encryption */
    size_t kept_count;
    struct sign_pair key[3];
    size_t key_count;
    struct sign_pair source_key[3]; /* the same under the names for a copy's source */
    bool request_payer;
    bool has_mtime;     /* the caller gave "mtime" among the metadata */
    char *content_type; /* NULL: by the key */
    char *version_id;   /* NULL: the newest */
    char *owned[EXTRAS_VALUES];
    size_t owned_count;
};

/* Checks and copies. On failure there is still extras_release to be called. */
enum storage_code extras_init(struct extras *extras, const struct storage_headers *headers,
                              struct storage_error *err);
/* Wipes and frees; fine on a zeroed one. */
void extras_release(struct extras *extras);

/*
 * Writes the headers of a set of extras_kind to out[0..room), in S3's names; obs gives values their
 * OBS form. source, for EXTRAS_SOURCE, are the extras of the place that is copied from. Returns how
 * many there are.
 */
size_t extras_list(const struct extras *extras, const struct extras *source, unsigned kinds,
                   bool obs, struct sign_pair *out, size_t room);

/* The Content-Type for an object of that key, when none was given. Static storage. */
const char *content_type_of(const char *key);
/* What new objects of that key are said to be. */
const char *extras_content_type(const struct extras *extras, const char *key);

#endif
