#include "storage/credentials/credentials.h"

#include "storage/base/digest.h"
#include "storage/storage_error.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "storage/storage_banned.h"

struct credentials {
    struct credentials_provider provider; /* fetch NULL: keys are given once and for all */

    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t landed;
    struct credentials_keys *keys; /* NULL: none yet, one hold is ours */
    uint64_t generation;
    int64_t fetched_at;
    int64_t refresh_at; /* when to fetch newer ones; 0: never */
    int64_t failed_at;  /* the last flight, when it failed; else 0 */
    int64_t pause_until;
    bool in_flight;
    uint64_t flights;             /* landed so far */
    enum storage_code last_code;  /* of the last flight */
    struct storage_error failure; /* of the last flight that failed */
};

/* ---- keys ----------------------------------------------------------------------------------- */

/* A token with a line end in it would make a header of its own; a key has one when badly pasted. */
static bool is_key(const char *text, size_t max)
{
    for (size_t i = 0; text[i]; i++) {
        if (i >= max || text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    return true;
}

static void free_secret(char *text)
{
    if (text) {
        digest_wipe(text, strlen(text));
    }
    free(text);
}

static void free_keys(struct credentials_keys *keys)
{
    if (keys) {
        free_secret(keys->access_key);
        free_secret(keys->secret_key);
        free_secret(keys->session_token);
        free(keys);
    }
}

enum storage_code credentials_keys_new(struct credentials_keys **result, const char *source,
                                       const char *access_key, const char *secret_key,
                                       const char *session_token, int64_t expires,
                                       struct storage_error *err)
{
    *result = NULL;
    access_key = access_key ? access_key : "";
    secret_key = secret_key ? secret_key : "";
    session_token = session_token ? session_token : "";
    if (!is_key(access_key, CREDENTIALS_KEY_MAX) || !is_key(secret_key, CREDENTIALS_KEY_MAX) ||
        !is_key(session_token, CREDENTIALS_TOKEN_MAX)) {
        return storage_fail(err, STORAGE_USAGE,
                            "take the keys from %s: a key or token holds a blank, a line end or "
                            "another character that keys do not have, or is far too long",
                            source);
    }
    if (access_key[0] && !secret_key[0]) {
        return storage_fail(err, STORAGE_USAGE,
                            "take the keys from %s: an access key without its secret key", source);
    }
    struct credentials_keys *keys = calloc(1, sizeof *keys);
    if (keys) {
        atomic_init(&keys->holders, 1);
        keys->expires = expires;
        keys->access_key = strdup(access_key);
        keys->secret_key = strdup(secret_key);
        keys->session_token = strdup(session_token);
    }
    if (!keys || !keys->access_key || !keys->secret_key || !keys->session_token) {
        free_keys(keys);
        return storage_fail(err, STORAGE_BUG, "take the keys from %s: no memory", source);
    }
    *result = keys;
    return STORAGE_OK;
}

void credentials_give(struct credentials_keys *keys)
{
    if (keys && atomic_fetch_sub(&keys->holders, 1) == 1) {
        free_keys(keys);
    }
}

static bool same_keys(const struct credentials_keys *a, const struct credentials_keys *b)
{
    return strcmp(a->access_key, b->access_key) == 0 && strcmp(a->secret_key, b->secret_key) == 0 &&
           strcmp(a->session_token, b->session_token) == 0;
}

/* ---- life cycle ----------------------------------------------------------------------------- */

static int64_t system_clock(void)
{
    return time(NULL);
}

struct credentials *credentials_new(const struct credentials_provider *provider)
{
    struct credentials *credentials = calloc(1, sizeof *credentials);
    if (!credentials) {
        return NULL;
    }
    credentials->provider = *provider;
    if (!credentials->provider.clock) {
        credentials->provider.clock = system_clock;
    }
    pthread_mutex_init(&credentials->lock, NULL);
    pthread_cond_init(&credentials->landed, NULL);
    return credentials;
}

struct credentials *credentials_new_given(struct credentials_keys *keys)
{
    struct credentials *credentials = credentials_new(&(struct credentials_provider){0});
    if (credentials) {
        credentials->keys = keys;
    }
    return credentials;
}

void credentials_free(struct credentials *credentials)
{
    if (!credentials) {
        return;
    }
    credentials_give(credentials->keys);
    if (credentials->provider.free) {
        credentials->provider.free(credentials->provider.context);
    }
    pthread_cond_destroy(&credentials->landed);
    pthread_mutex_destroy(&credentials->lock);
    free(credentials);
}

/* ---- fetching, with the lock held but while the provider works ------------------------------- */

static int64_t spread(void)
{
    uint32_t value = 0;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value) {
        return 0;
    }
    return value % CREDENTIALS_SPREAD_S;
}

static void take_fetched(struct credentials *credentials, struct credentials_keys *keys,
                         int64_t now)
{
    bool same = credentials->keys && same_keys(credentials->keys, keys);
    credentials->fetched_at = now;
    credentials->refresh_at =
        keys->expires > 0 ? keys->expires - CREDENTIALS_EARLY_S - spread() : 0;
    /* What looks expired, or about to, on arrival is not asked for again at once. */
    credentials->pause_until = same || (keys->expires > 0 && credentials->refresh_at <= now)
                                   ? now + CREDENTIALS_PAUSE_S
                                   : 0;
    keys->generation = same ? credentials->generation : ++credentials->generation;
    credentials_give(credentials->keys);
    credentials->keys = keys;
}

/* One flight: the others wait for it to land, or go on. */
static void fly(struct credentials *credentials)
{
    struct credentials_keys *keys = NULL;
    struct storage_error failure = {0};
    credentials->in_flight = true;
    pthread_mutex_unlock(&credentials->lock);
    enum storage_code code =
        credentials->provider.fetch(credentials->provider.context, &keys, &failure);
    pthread_mutex_lock(&credentials->lock);
    int64_t now = credentials->provider.clock();
    if (code == STORAGE_OK && !keys->access_key[0] && credentials->keys &&
        credentials->keys->access_key[0]) { /* who had keys does not become nobody */
        credentials_give(keys);
        code = STORAGE_UNREACHABLE;
        storage_fail(&failure, code,
                     "refresh the keys: where they came from, nobody is there any more");
    }
    credentials->in_flight = false;
    credentials->flights++;
    credentials->last_code = code;
    credentials->failed_at = code == STORAGE_OK ? 0 : now;
    if (code == STORAGE_OK) {
        take_fetched(credentials, keys, now);
    } else {
        credentials->failure = failure;
        credentials->pause_until = now + CREDENTIALS_PAUSE_S;
    }
    pthread_cond_broadcast(&credentials->landed);
}

/* Flies, or waits for the flight that is under way. */
static void fly_or_wait(struct credentials *credentials)
{
    uint64_t flights = credentials->flights;
    if (!credentials->in_flight) {
        fly(credentials);
        return;
    }
    while (credentials->flights == flights) {
        pthread_cond_wait(&credentials->landed, &credentials->lock);
    }
}

/* ---- taking --------------------------------------------------------------------------------- */

static bool are_usable(const struct credentials *credentials, int64_t now)
{
    const struct credentials_keys *keys = credentials->keys;
    return keys && (keys->expires == 0 || now < keys->expires ||
                    now - credentials->fetched_at < CREDENTIALS_PAUSE_S);
}

enum storage_code credentials_take(struct credentials *credentials, struct credentials_keys **keys,
                                   struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    pthread_mutex_lock(&credentials->lock);
    int64_t now = credentials->provider.clock();
    bool usable = are_usable(credentials, now);
    bool due = usable && credentials->refresh_at > 0 && now >= credentials->refresh_at &&
               now >= credentials->pause_until && !credentials->in_flight;
    if (due) {
        fly(credentials); /* if it fails the old ones do */
    } else if (!usable) {
        if (credentials->in_flight || now != credentials->failed_at) {
            fly_or_wait(credentials);
        } /* else many come at once: one failure a second is enough */
        code = credentials->last_code;
    }
    if (code == STORAGE_OK) {
        *keys = credentials->keys;
        atomic_fetch_add(&(*keys)->holders, 1);
    } else {
        *keys = NULL;
        if (err) {
            *err = credentials->failure;
        }
    }
    pthread_mutex_unlock(&credentials->lock);
    return code;
}

bool credentials_renew(struct credentials *credentials, const struct credentials_keys *refused,
                       bool in_doubt)
{
    if (!credentials->provider.fetch) {
        return false;
    }
    pthread_mutex_lock(&credentials->lock);
    int64_t now = credentials->provider.clock();
    bool is_old = credentials->keys && credentials->generation == refused->generation;
    bool is_paused = now < credentials->pause_until ||
                     (in_doubt && now - credentials->fetched_at < CREDENTIALS_PAUSE_S);
    if (is_old && (credentials->in_flight || !is_paused)) {
        fly_or_wait(credentials);
    }
    bool renewed = credentials->generation != refused->generation;
    pthread_mutex_unlock(&credentials->lock);
    return renewed;
}

bool credentials_match(struct credentials *a, struct credentials *b)
{
    struct credentials_keys *keys_a = NULL;
    struct credentials_keys *keys_b = NULL;
    if (!a || !b) {
        return a == b;
    }
    bool match = credentials_take(a, &keys_a, NULL) == STORAGE_OK &&
                 credentials_take(b, &keys_b, NULL) == STORAGE_OK && same_keys(keys_a, keys_b);
    credentials_give(keys_a);
    credentials_give(keys_b);
    return match;
}

int64_t credentials_expiry(struct credentials *credentials)
{
    pthread_mutex_lock(&credentials->lock);
    int64_t expires = credentials->keys ? credentials->keys->expires : 0;
    pthread_mutex_unlock(&credentials->lock);
    return expires;
}
