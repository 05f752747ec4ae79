/*
 * source.h - the sources of keys that must be fetched; credentials.h decides when.
 *
 * One function for each kind, each a few exchanges: file.c, process.c, web_identity.c, container.c,
 * instance.c. All of them end by themselves within about a minute, and soon after a stop. What a
 * source says is never put into an error or a trace, its own words of refusal are.
 */
#ifndef STORAGE_CREDENTIALS_SOURCE_H
#define STORAGE_CREDENTIALS_SOURCE_H

#include "storage/credentials/credentials.h"

/* A source, and what it needs to know of the place. */
struct key_source {
    struct storage_key_source is; /* its texts are owned */
    char *name;                   /* never NULL */
    char *ca_file;                /* NULL: the system's */
    char region[64];              /* for STS */
    bool asks_huawei;             /* INSTANCE: which services, Huawei's first */
    bool asks_aws;
    const atomic_bool *stop;
    storage_trace_fn *trace; /* NULL: none */
    void *trace_context;
};

/* What the place is, as its endpoint tells. */
struct key_place {
    const char *region;
    bool is_huawei;
    bool is_aws;
};

/*
 * Opens the credentials of config's access: nothing is asked yet. *credentials stays NULL when
 * there is nobody to ask: no keys given, or no metadata service that could be meant. A source that
 * lacks what its kind needs, and given keys that cannot be, are STORAGE_USAGE. Everything in the
 * access is copied.
 */
enum storage_code credentials_open(struct credentials **credentials,
                                   const struct storage_config *config,
                                   const struct key_place *place, struct storage_error *err);

/* ---- the kinds; each brings new keys, or fails with a sentence that begins with its name ---- */

enum storage_code keys_from_file(const struct key_source *source, struct credentials_keys **keys,
                                 struct storage_error *err);
enum storage_code keys_from_process(const struct key_source *source, struct credentials_keys **keys,
                                    struct storage_error *err);
enum storage_code keys_from_web_identity(const struct key_source *source,
                                         struct credentials_keys **keys, struct storage_error *err);
enum storage_code keys_from_container(const struct key_source *source,
                                      struct credentials_keys **keys, struct storage_error *err);
/* Nobody there, or no role given to the machine: anonymous keys, no failure. */
enum storage_code keys_from_instance(const struct key_source *source,
                                     struct credentials_keys **keys, struct storage_error *err);

/* ---- shared ---- */

/*
 * Reads a small file whole, and NUL-terminated, into *text, which secret_free wipes. Returns 0, or
 * the errno: EFBIG when it has more than max bytes.
 */
int secret_file_read(char **text, size_t *size, const char *path, size_t max);
void secret_free(char *text); /* wipes up to the NUL; NULL is fine */
/* Ends text before its trailing white space, as a file's last line end. */
void secret_trim(char *text);

/* An ISO 8601 time in any zone ("…Z", "…+08:00") as seconds since 1970. */
bool keys_parse_expiry(int64_t *seconds, const char *text);

/* "take the keys from <name>: " and the rest as err's message. */
enum storage_code keys_fail(const struct key_source *source, struct storage_error *err,
                            enum storage_code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Keys from a JSON document: text at the three paths ("credential/access"), an ISO 8601 time at
 * expires_path, which may be absent. Anything else is STORAGE_DENIED.
 */
struct key_paths {
    const char *access_key;
    const char *secret_key;
    const char *session_token;
    const char *expires;
};
extern const struct key_paths key_paths_aws;
enum storage_code keys_from_json(const struct key_source *source, const char *data, size_t size,
                                 const struct key_paths *paths, struct credentials_keys **keys,
                                 struct storage_error *err);

#endif
