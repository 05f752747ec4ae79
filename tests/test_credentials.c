/*
 * When keys are fetched, by a provider and a clock that the test moves: early refresh, failures,
 * renewal after a refusal, and one flight for a hundred threads.
 */
#include "storage/credentials/credentials.h"
#include "storage/storage_error.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum {
    THREADS = 100,
    START = 1000000
};

/* The provider's side; one test runs at a time. */
static struct {
    _Atomic int64_t now;
    atomic_int fetches;
    atomic_int failures_left;
    atomic_bool same;    /* every fetch brings the same keys */
    atomic_bool nobody;  /* every fetch brings anonymous keys */
    atomic_int life;     /* seconds; 0: keys without expiry */
    atomic_int waiting;  /* callers that have announced themselves */
    atomic_int wait_for; /* a fetch lands when so many have */
    atomic_bool frees;
} world;

static int64_t world_clock(void)
{
    return atomic_load(&world.now);
}

static enum storage_code world_fetch(void *context, struct credentials_keys **keys,
                                     struct storage_error *err)
{
    char key[32];
    assert_ptr_equal(context, &world);
    int number = atomic_fetch_add(&world.fetches, 1) + 1;
    while (atomic_load(&world.waiting) < atomic_load(&world.wait_for)) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    if (atomic_load(&world.failures_left) > 0) {
        atomic_fetch_sub(&world.failures_left, 1);
        return storage_fail(err, STORAGE_UNREACHABLE, "failure %d", number);
    }
    snprintf(key, sizeof key, "AK%d", atomic_load(&world.same) ? 1 : number);
    int life = atomic_load(&world.life);
    bool nobody = atomic_load(&world.nobody);
    return credentials_keys_new(keys, "the test", nobody ? "" : key, nobody ? "" : "SK", "TOK",
                                life ? world_clock() + life : 0, err);
}

static void world_free(void *context)
{
    (void)context;
    atomic_store(&world.frees, true);
}

static struct credentials *open_world(int life)
{
    memset(&world, 0, sizeof world);
    atomic_store(&world.now, START);
    atomic_store(&world.life, life);
    struct credentials_provider provider = {world_fetch, world_free, &world, world_clock};
    struct credentials *credentials = credentials_new(&provider);
    assert_non_null(credentials);
    return credentials;
}

static void close_world(struct credentials *credentials)
{
    credentials_free(credentials);
    assert_true(atomic_load(&world.frees));
}

/* Takes keys, and says which: the number in "AK7". */
static int take(struct credentials *credentials)
{
    struct credentials_keys *keys = NULL;
    struct storage_error err;
    if (credentials_take(credentials, &keys, &err) != STORAGE_OK) {
        fail_msg("%s", err.message);
    }
    int number = keys->access_key[0] ? (int)strtol(keys->access_key + 2, NULL, 10) : 0;
    credentials_give(keys);
    return number;
}

static void pass(int64_t seconds)
{
    atomic_fetch_add(&world.now, seconds);
}

static void keys_without_expiry_are_fetched_once(void **state)
{
    (void)state;
    struct credentials *credentials = open_world(0);
    assert_int_equal(credentials_expiry(credentials), 0);
    assert_int_equal(atomic_load(&world.fetches), 0); /* opening asks nobody */
    assert_int_equal(take(credentials), 1);
    pass(100000000);
    assert_int_equal(take(credentials), 1);
    close_world(credentials);
}

static void keys_are_refreshed_ten_minutes_early(void **state)
{
    (void)state;
    struct credentials *credentials = open_world(3600);
    assert_int_equal(take(credentials), 1);
    assert_int_equal(credentials_expiry(credentials), START + 3600);
    pass(3600 - CREDENTIALS_EARLY_S - CREDENTIALS_SPREAD_S - 1);
    assert_int_equal(take(credentials), 1);
    pass(CREDENTIALS_SPREAD_S + 1);
    assert_int_equal(take(credentials), 2);
    assert_int_equal(take(credentials), 2);
    assert_int_equal(credentials_expiry(credentials), atomic_load(&world.now) + 3600);
    close_world(credentials);
}

static void old_keys_are_kept_until_they_expire(void **state)
{
    (void)state;
    struct credentials_keys *keys = NULL;
    struct storage_error err;
    struct credentials *credentials = open_world(3600);
    assert_int_equal(take(credentials), 1);
    atomic_store(&world.failures_left, 1000);
    pass(3600 - 500);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(take(credentials), 1);
    }
    assert_int_equal(atomic_load(&world.fetches), 2); /* failures are paused after */
    pass(CREDENTIALS_PAUSE_S);
    assert_int_equal(take(credentials), 1);
    assert_int_equal(atomic_load(&world.fetches), 3);
    pass(500);
    assert_int_equal(credentials_take(credentials, &keys, &err), STORAGE_UNREACHABLE);
    assert_null(keys);
    assert_string_equal(err.message, "failure 4");
    for (int i = 0; i < 20; i++) { /* many that come at once are told the same */
        assert_int_equal(credentials_take(credentials, &keys, &err), STORAGE_UNREACHABLE);
    }
    assert_int_equal(atomic_load(&world.fetches), 4);
    atomic_store(&world.failures_left, 0);
    pass(1);
    assert_int_equal(take(credentials), 5);
    close_world(credentials);
}

/* Our clock may be wrong: what was just fetched is used, and not fetched again and again. */
static void keys_that_look_expired_on_arrival_are_used(void **state)
{
    (void)state;
    struct credentials *credentials = open_world(-3600);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(take(credentials), 1);
    }
    pass(CREDENTIALS_PAUSE_S);
    assert_int_equal(take(credentials), 2);
    close_world(credentials);
}

static void refused_keys_are_renewed_once(void **state)
{
    (void)state;
    struct credentials_keys *old = NULL;
    struct credentials_keys *newer = NULL;
    struct credentials *credentials = open_world(3600);
    assert_int_equal(credentials_take(credentials, &old, NULL), STORAGE_OK);
    assert_true(credentials_renew(credentials, old, false));
    assert_true(credentials_renew(credentials, old, false)); /* another request that held them */
    assert_int_equal(atomic_load(&world.fetches), 2);
    assert_int_equal(credentials_take(credentials, &newer, NULL), STORAGE_OK);
    assert_string_equal(newer->access_key, "AK2");
    assert_string_equal(old->access_key, "AK1"); /* under its holder keys do not change */
    /* no word was given: keys that are new are not doubted */
    assert_false(credentials_renew(credentials, newer, true));
    pass(CREDENTIALS_PAUSE_S);
    assert_true(credentials_renew(credentials, newer, true));
    credentials_give(old);
    credentials_give(newer);
    close_world(credentials);
}

static void the_same_keys_again_are_no_renewal(void **state)
{
    (void)state;
    struct credentials_keys *keys = NULL;
    struct credentials *credentials = open_world(0);
    atomic_store(&world.same, true);
    assert_int_equal(credentials_take(credentials, &keys, NULL), STORAGE_OK);
    for (int i = 0; i < 10; i++) {
        assert_false(credentials_renew(credentials, keys, false));
    }
    assert_int_equal(atomic_load(&world.fetches), 2);
    atomic_store(&world.failures_left, 1);
    pass(CREDENTIALS_PAUSE_S);
    assert_false(credentials_renew(credentials, keys, false));
    assert_int_equal(take(credentials), 1); /* a failed renewal takes nothing away */
    credentials_give(keys);
    close_world(credentials);
}

static void who_had_keys_does_not_become_nobody(void **state)
{
    (void)state;
    struct credentials *credentials = open_world(3600);
    assert_int_equal(take(credentials), 1);
    atomic_store(&world.nobody, true);
    pass(3600 - 500);
    assert_int_equal(take(credentials), 1);
    pass(500);
    struct credentials_keys *keys = NULL;
    assert_int_equal(credentials_take(credentials, &keys, NULL), STORAGE_UNREACHABLE);
    close_world(credentials);
    credentials = open_world(0);
    atomic_store(&world.nobody, true);
    assert_int_equal(take(credentials), 0); /* who had none is anonymous */
    close_world(credentials);
}

static void given_keys_stay(void **state)
{
    (void)state;
    struct credentials_keys *keys = NULL;
    struct credentials_keys *taken = NULL;
    assert_int_equal(credentials_keys_new(&keys, "a", "AK", "SK", NULL, 0, NULL), STORAGE_OK);
    struct credentials *credentials = credentials_new_given(keys);
    assert_int_equal(credentials_take(credentials, &taken, NULL), STORAGE_OK);
    assert_ptr_equal(taken, keys);
    assert_string_equal(taken->session_token, "");
    assert_false(credentials_renew(credentials, taken, false));
    credentials_free(credentials);
    assert_string_equal(taken->secret_key, "SK"); /* a holder outlives them */
    credentials_give(taken);
}

static void the_same_keys_are_known(void **state)
{
    (void)state;
    struct credentials *all[3];
    static const char *const secrets[] = {"SK", "SK", "other"};
    for (size_t i = 0; i < 3; i++) {
        struct credentials_keys *keys = NULL;
        credentials_keys_new(&keys, "a", "AK", secrets[i], NULL, 0, NULL);
        all[i] = credentials_new_given(keys);
    }
    assert_true(credentials_match(all[0], all[1]));
    assert_false(credentials_match(all[0], all[2]));
    assert_false(credentials_match(all[0], NULL));
    assert_true(credentials_match(NULL, NULL));
    for (size_t i = 0; i < 3; i++) {
        credentials_free(all[i]);
    }
}

static void what_is_no_key_is_refused(void **state)
{
    (void)state;
    char *longer = calloc(1, CREDENTIALS_TOKEN_MAX + 2);
    memset(longer, 'x', CREDENTIALS_TOKEN_MAX + 1);
    const char *const cases[][3] = {
        {"AK", "", NULL},       {"AK", "S K", NULL},  {"A\nK", "SK", NULL}, {"AK", "SK", "T\r"},
        {"AK", "SK\x7f", NULL}, {longer, "SK", NULL}, {"AK", "SK", longer}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct credentials_keys *keys = NULL;
        struct storage_error err;
        assert_int_equal(
            credentials_keys_new(&keys, "a", cases[i][0], cases[i][1], cases[i][2], 0, &err),
            STORAGE_USAGE);
        assert_null(keys);
        assert_null(strstr(err.message, "S K"));
    }
    longer[CREDENTIALS_TOKEN_MAX] = '\0';
    struct credentials_keys *keys = NULL;
    assert_int_equal(credentials_keys_new(&keys, "a", "AK", "SK", longer, 0, NULL), STORAGE_OK);
    credentials_give(keys);
    free(longer);
}

/* ---- a hundred threads ---------------------------------------------------------------------- */

struct taker {
    pthread_t thread;
    struct credentials *credentials;
    enum storage_code code;
    int number;
};

static void *run_taker(void *context)
{
    struct taker *taker = context;
    struct credentials_keys *keys = NULL;
    atomic_fetch_add(&world.waiting, 1);
    taker->code = credentials_take(taker->credentials, &keys, NULL);
    taker->number = keys ? (int)strtol(keys->access_key + 2, NULL, 10) : 0;
    credentials_give(keys);
    return NULL;
}

static void run_takers(struct taker takers[THREADS], struct credentials *credentials)
{
    atomic_store(&world.waiting, 0);
    atomic_store(&world.wait_for, THREADS); /* nobody is served before all have come */
    for (size_t i = 0; i < THREADS; i++) {
        takers[i] = (struct taker){.credentials = credentials};
        assert_int_equal(pthread_create(&takers[i].thread, NULL, run_taker, &takers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(takers[i].thread, NULL);
    }
}

static void a_hundred_threads_fetch_once(void **state)
{
    (void)state;
    static struct taker takers[THREADS];
    struct credentials *credentials = open_world(3600);
    run_takers(takers, credentials);
    assert_int_equal(atomic_load(&world.fetches), 1);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(takers[i].number, 1);
    }
    /* due, not expired: one fetches, and the fetch ends although nobody waits for it */
    pass(3600 - 500);
    run_takers(takers, credentials);
    assert_int_equal(atomic_load(&world.fetches), 2);
    /* expired, and the fetch fails: all are told, by one flight */
    pass(4000);
    atomic_store(&world.failures_left, 1);
    run_takers(takers, credentials);
    assert_int_equal(atomic_load(&world.fetches), 3);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(takers[i].code, STORAGE_UNREACHABLE);
    }
    close_world(credentials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_without_expiry_are_fetched_once),
        cmocka_unit_test(keys_are_refreshed_ten_minutes_early),
        cmocka_unit_test(old_keys_are_kept_until_they_expire),
        cmocka_unit_test(keys_that_look_expired_on_arrival_are_used),
        cmocka_unit_test(refused_keys_are_renewed_once),
        cmocka_unit_test(the_same_keys_again_are_no_renewal),
        cmocka_unit_test(who_had_keys_does_not_become_nobody),
        cmocka_unit_test(given_keys_stay),
        cmocka_unit_test(the_same_keys_are_known),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(a_hundred_threads_fetch_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
