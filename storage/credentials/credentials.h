/*
 * credentials.h - keys that may expire, shared by all requests of a place.
 *
 * A `struct credentials` holds the keys in use and knows how to fetch newer ones. A request takes
 * them for each try that it signs and gives them back when it has been answered; keys never change
 * under a holder, who may be the last to know them.
 *
 *     credentials_take ── keys good for long ──────────────────▶ those
 *            │             within ten minutes of expiry ────────▶ one caller fetches, the others
 *            │                                                    go on with the old ones
 *            └──────────── none, or expired ────────────────────▶ one caller fetches, all wait
 *
 * A refresh that fails leaves the old keys in use until they really expire, and is tried again no
 * sooner than CREDENTIALS_PAUSE_S later, as is one that brought the same keys. Keys that were
 * fetched within that time are used whatever our clock says of their expiry: it may be wrong, and
 * the store will tell, which credentials_renew turns into a fetch.
 *
 * Secrets are wiped when they are freed. Source of the ten minutes: Huawei's SDKs.
 */
#ifndef STORAGE_CREDENTIALS_CREDENTIALS_H
#define STORAGE_CREDENTIALS_CREDENTIALS_H

#include "storage/storage.h"

enum {
    CREDENTIALS_EARLY_S = 600,  /* fetch newer keys so long before the old ones expire */
    CREDENTIALS_SPREAD_S = 60,  /* and up to so much earlier, at random: machines come in fleets */
    CREDENTIALS_PAUSE_S = 60,   /* between fetches that did not help */
    CREDENTIALS_KEY_MAX = 1024, /* bytes of an access key or secret key */
    CREDENTIALS_TOKEN_MAX = 16 * 1024
};

/* One set of keys, immutable and counted. access_key "" is anonymous; texts are never NULL. */
struct credentials_keys {
    atomic_uint holders;
    uint64_t generation; /* counts the fetches; for credentials_renew */
    int64_t expires;     /* seconds since 1970; 0: never, or nobody said */
    char *access_key;
    char *secret_key;
    char *session_token;
};

/*
 * Copies the texts (NULL is "") into new keys with one holder. Keys with blanks, line ends or other
 * bytes that no key has, overlong ones, and an access key without its secret are STORAGE_USAGE;
 * source names them in the error.
 */
enum storage_code credentials_keys_new(struct credentials_keys **keys, const char *source,
                                       const char *access_key, const char *secret_key,
                                       const char *session_token, int64_t expires,
                                       struct storage_error *err);

/* Brings keys, one holder; takes seconds, so it is called without any lock, by one thread. */
typedef enum storage_code credentials_fetch_fn(void *context, struct credentials_keys **keys,
                                               struct storage_error *err);

struct credentials;

/* How keys are fetched. The context is the credentials' own from now on. */
struct credentials_provider {
    credentials_fetch_fn *fetch;
    void (*free)(void *context);
    void *context;
    int64_t (*clock)(void); /* seconds since 1970; NULL: the system's */
};

/* Always the same keys: theirs from now on. NULL: no memory. */
struct credentials *credentials_new_given(struct credentials_keys *keys);
/* Keys of a provider; nothing is fetched yet. NULL: no memory, the context is still the caller's.
 */
struct credentials *credentials_new(const struct credentials_provider *provider);
/* NULL is fine. Nobody may be taking. */
void credentials_free(struct credentials *credentials);

/* The keys to sign with now; fetches when needed. *keys is the caller's to give back. */
enum storage_code credentials_take(struct credentials *credentials, struct credentials_keys **keys,
                                   struct storage_error *err);
/* NULL is fine. */
void credentials_give(struct credentials_keys *keys);

/*
 * The store refused these keys as expired or unknown: returns whether there are others now, of this
 * or of another caller's fetch. in_doubt: it did not say why, so keys that are new are kept.
 */
bool credentials_renew(struct credentials *credentials, const struct credentials_keys *refused,
                       bool in_doubt);

/* Whether both have the same keys now, which may mean to fetch them. NULL is anonymous. */
bool credentials_match(struct credentials *a, struct credentials *b);

/* When the keys in use expire, seconds since 1970; 0: never, nobody said, or none are in use. */
int64_t credentials_expiry(struct credentials *credentials);

#endif
