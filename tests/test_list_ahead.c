/*
 * Listings read to their end: ranges of keys fetched at once. Whatever the keys, they come whole
 * and in order; whatever the store does wrong is an error, as with one page after another.
 */
#include "list_server.h"

#include "storage/s3/list.h"
#include "storage/s3/s3.h"
#include "storage/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum {
    COUNT = 20000,
    KEY_ROOM = 400
};

static char *keys[COUNT]; /* sorted, each once */
static size_t key_count;

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static uint32_t noise(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

/* ---- key spaces ------------------------------------------------------------------------------ */

static const char long_prefix[] = "p/a-very-long-folder-name-that-all-keys-share/and-another-one/"
                                  "2026-11-24T00:00:00Z/run=1/worker=00000000000000000000/shard=";

static void key_flat(char *key, uint32_t i, uint32_t *state)
{
    (void)state;
    sprintf(key, "p/%06u", i);
}

static void key_folders(char *key, uint32_t i, uint32_t *state)
{
    (void)state;
    sprintf(key, "p/%u/%03u.jpg", i / 1000, i % 1000);
}

static void key_long(char *key, uint32_t i, uint32_t *state)
{
    (void)state;
    sprintf(key, "%s%07u-of-0020000/part.bin", long_prefix, i);
}

static void key_hashes(char *key, uint32_t i, uint32_t *state)
{
    sprintf(key, "p/%04x%04x%06x-%u", noise(state) & 0xffff, noise(state) & 0xffff, noise(state),
            i % 7);
}

static void key_words(char *key, uint32_t i, uint32_t *state)
{
    static const char *const words[] = {"alpha", "beta", "Zeta",     "data", "fade", "x",
                                        "_",     "~",    "\xc3\xbc", "a b",  "a+b",  "%41"};
    uint32_t word = noise(state) % 12;
    sprintf(key, "p/%s/%s%u", words[word], words[noise(state) % 12], i * (1 + word * 97));
}

static void key_utf8(char *key, uint32_t i, uint32_t *state)
{
    (void)state;
    uint32_t point = 0x4e00 + i;
    sprintf(key, "p/\xe5\x9b\xbe\xe5\x83\x8f/%c%c%c", 0xe0 | (int)(point >> 12),
            0x80 | (int)(point >> 6 & 0x3f), 0x80 | (int)(point & 0x3f));
}

static void key_uneven(char *key, uint32_t i, uint32_t *state)
{
    (void)state; /* thick, then one at a time, then thick again */
    sprintf(key, "p/%09u", i < 8000 ? i : i < 8100 ? 100000 * i : 900000000 + i);
}

static void key_lengths(char *key, uint32_t i, uint32_t *state)
{
    (void)state;
    sprintf(key, "p/%u", i); /* 1 10 100 1000 10000 10001 … */
}

static void key_last(char *key, uint32_t i, uint32_t *state)
{
    (void)state; /* the ends of all ranges of digits and letters */
    sprintf(key, "p/%c%c%c%04u", "09AFZafz~"[i % 9], "zZ9!"[i / 9 % 4], "09fz"[i / 36 % 4], i);
}

static void key_islands(char *key, uint32_t i, uint32_t *state)
{
    (void)state; /* two pages of 100, then nothing for long: each guess beyond them is of nothing */
    sprintf(key, "p/%09u", i / 200 * 4000000 + i % 200);
}

static const struct space {
    const char *name;
    void (*make)(char *key, uint32_t i, uint32_t *state);
    bool is_parallel; /* several at once must be under way, sooner or later */
} spaces[] = {
    {"flat", key_flat, true},     {"folders", key_folders, true}, {"long", key_long, true},
    {"hashes", key_hashes, true}, {"words", key_words, false},    {"utf8", key_utf8, false},
    {"uneven", key_uneven, true}, {"lengths", key_lengths, true}, {"last", key_last, false},
};

static void free_keys(void)
{
    for (size_t i = 0; i < key_count; i++) {
        free(keys[i]);
    }
    key_count = 0;
}

static void make_keys(const struct space *space, size_t count)
{
    uint32_t state = 1;
    char key[KEY_ROOM];
    char *all[COUNT];
    for (uint32_t i = 0; i < count; i++) {
        space->make(key, i, &state);
        all[i] = strdup(key);
        assert_non_null(all[i]);
    }
    qsort(all, count, sizeof *all, compare);
    key_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (key_count > 0 && strcmp(keys[key_count - 1], all[i]) == 0) {
            free(all[i]);
        } else {
            keys[key_count++] = all[i];
        }
    }
}

/* ---- the scene ------------------------------------------------------------------------------- */

struct scene {
    struct list_server *server;
    struct storage *store;
    struct storage_lister *lister;
    struct storage_error err;
};

static void begin(struct scene *scene, struct list_server_options options)
{
    const struct storage_url url = {.kind = STORAGE_S3, .bucket = "bkt"};
    options.keys = (const char *const *)keys;
    options.count = key_count;
    memset(scene, 0, sizeof *scene);
    scene->server = list_server_start(&options);
    const struct storage_config config = {
        .access = {.endpoint = list_server_endpoint(scene->server), .signature = STORAGE_SIGN_NONE},
        .attempts_max = 1};
    assert_int_equal(storage_open(&scene->store, &url, &config, &scene->err), STORAGE_OK);
    /* as if a listing before had found that so many at once pay */
    atomic_store(&((struct s3_store *)scene->store)->list_width, 4);
}

static void open_lister(struct scene *scene)
{
    const struct storage_listing listing = {.prefix = "p/", .recursive = true, .whole = true};
    assert_int_equal(storage_lister_open_as(&scene->lister, scene->store, &listing, &scene->err),
                     STORAGE_OK);
}

static void end(struct scene *scene)
{
    storage_close(scene->store);
    list_server_finish(scene->server);
}

/* Reads on; the n-th key given must be the n-th there is. *count is how many came. */
static enum storage_code read_on(struct scene *scene, size_t *count)
{
    struct storage_entry entry;
    enum storage_code code;
    while ((code = storage_lister_next(scene->lister, &entry, &scene->err)) == STORAGE_OK &&
           entry.key) {
        if (*count >= key_count || strcmp(entry.key, keys[*count]) != 0) {
            fail_msg("key %zu is %s instead of %s", *count, entry.key,
                     *count < key_count ? keys[*count] : "none");
        }
        assert_int_equal(entry.info.size, *count);
        (*count)++;
    }
    return code;
}

static enum storage_code list(struct scene *scene, size_t *count)
{
    *count = 0;
    open_lister(scene);
    enum storage_code code = read_on(scene, count);
    storage_lister_close(scene->lister);
    return code;
}

/* ---- all is well ----------------------------------------------------------------------------- */

static void list_space(const struct space *space, bool is_far)
{
    struct scene scene;
    size_t count;
    make_keys(space, COUNT);
    begin(&scene, (struct list_server_options){.page = 250, .pause_ms = is_far ? 10 : 0});
    if (list(&scene, &count) != STORAGE_OK || count != key_count) {
        fail_msg("%s: %zu of %zu, %s", space->name, count, key_count, scene.err.message);
    }
    size_t pages = list_server_pages(scene.server);
    size_t needed = (key_count + 249) / 250;
    if (!is_far && pages > needed * 4 + 32) { /* what bad guesses cost has an end */
        fail_msg("%s: %zu pages for %zu", space->name, pages, needed);
    }
    if (is_far && list_server_afters(scene.server) < needed / 16) {
        fail_msg("%s: was not cut", space->name);
    }
    end(&scene);
    free_keys();
}

/* From afar it pays to try more; a store that is near may answer one thread before others begin. */
static void any_keys_come_whole_and_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        list_space(&spaces[i], false);
        if (spaces[i].is_parallel) {
            list_space(&spaces[i], true);
        }
    }
}

static void ranges_are_fetched_at_once(void **state)
{
    (void)state;
    struct scene scene;
    size_t count;
    make_keys(&spaces[0], COUNT);
    begin(&scene, (struct list_server_options){.page = 100, .gather = 2});
    assert_int_equal(list(&scene, &count), STORAGE_OK);
    assert_int_equal(count, key_count);
    assert_true(list_server_most(scene.server) >= 2);
    end(&scene);
    free_keys();
}

static void small_listings_cost_no_more_requests(void **state)
{
    (void)state;
    static const struct {
        size_t count, pages;
    } cases[] = {{0, 1}, {1, 1}, {100, 1}, {101, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene scene;
        size_t count;
        make_keys(&spaces[0], cases[i].count);
        begin(&scene, (struct list_server_options){.page = 100});
        assert_int_equal(list(&scene, &count), STORAGE_OK);
        assert_int_equal(count, key_count);
        assert_int_equal(list_server_pages(scene.server), cases[i].pages);
        end(&scene);
        free_keys();
    }
}

/* As long as nothing shows that more at once bring more, pages follow each other by tokens. */
static void listings_begin_one_page_after_another(void **state)
{
    (void)state;
    struct scene scene;
    size_t count;
    make_keys(&spaces[0], 600);
    begin(&scene, (struct list_server_options){.page = 100});
    atomic_store(&((struct s3_store *)scene.store)->list_width, 0);
    assert_int_equal(list(&scene, &count), STORAGE_OK);
    assert_int_equal(count, key_count);
    assert_true(list_server_pages(scene.server) <= 6 + 2); /* one was tried, on a slow machine */
    assert_int_not_equal(atomic_load(&((struct s3_store *)scene.store)->list_width), 0);
    end(&scene);
    free_keys();
}

/* However many at once once paid: guesses that are worth nothing become few. */
static void useless_pages_cost_trust(void **state)
{
    (void)state;
    struct scene scene;
    size_t count;
    const struct space islands = {.make = key_islands};
    make_keys(&islands, COUNT);
    begin(&scene, (struct list_server_options){.page = 100});
    atomic_store(&((struct s3_store *)scene.store)->list_width, 16);
    assert_int_equal(list(&scene, &count), STORAGE_OK);
    assert_int_equal(count, key_count);
    size_t pages = list_server_pages(scene.server);
    size_t needed = key_count / 100;
    if (pages > needed * 10) { /* 4 to 8 times, against 17 and more where it cost nothing */
        fail_msg("%zu pages for %zu", pages, needed);
    }
    end(&scene);
    free_keys();
}

/* Nobody reads: what is fetched ahead has an end. */
static void pages_that_wait_have_a_ceiling(void **state)
{
    (void)state;
    struct scene scene;
    struct storage_entry entry;
    make_keys(&spaces[0], COUNT);
    begin(&scene, (struct list_server_options){.page = 10});
    open_lister(&scene);
    assert_int_equal(storage_lister_next(scene.lister, &entry, &scene.err), STORAGE_OK);
    size_t before = 0;
    for (size_t same = 0; same < 20;) { /* until a fifth of a second brings nothing new */
        const struct timespec pause = {.tv_nsec = 10000000};
        size_t pages = list_server_pages(scene.server);
        same = pages == before ? same + 1 : 0;
        before = pages;
        nanosleep(&pause, NULL);
    }
    assert_true(before > 4);
    assert_true(before <= 64 * 4 + 16 + 2);
    size_t count = 1;
    assert_int_equal(read_on(&scene, &count), STORAGE_OK);
    assert_int_equal(count, key_count);
    storage_lister_close(scene.lister);
    end(&scene);
    free_keys();
}

/* ---- all is not well ------------------------------------------------------------------------- */

static void stores_without_start_after_are_served(void **state)
{
    (void)state;
    for (int refuses = 0; refuses < 2; refuses++) {
        struct scene scene;
        size_t count;
        make_keys(&spaces[0], 3000);
        begin(&scene, (struct list_server_options){
                          .page = 100, .ignores_after = !refuses, .refuses_after = refuses});
        for (size_t round = 0; round < 2; round++) {
            if (list(&scene, &count) != STORAGE_OK) {
                fail_msg("%s", scene.err.message);
            }
            assert_int_equal(count, key_count);
            assert_int_equal(list_server_afters(scene.server), 1); /* and never again */
            assert_int_equal(list_server_pages(scene.server), 30 * (round + 1) + 1);
        }
        end(&scene);
        free_keys();
    }
}

/* Which a second range would have a MinIO do once more. The tails are of
 * "[minio_cache:v2,return:]". */
static void a_store_that_walks_ahead_is_not_made_to_walk_twice(void **state)
{
    (void)state;
    static const char *const tails[] = {
        "-W21pbmlvX2NhY2hlOnYyLHJldHVybjpd",
        "-YVttaW5pb19jYWNoZTp2MixyZXR1cm46XQ==", "-YWJbbWluaW9fY2FjaGU6djIscmV0dXJuOl0="};
    make_keys(&spaces[0], 3000);
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        struct scene scene;
        size_t count;
        begin(&scene, (struct list_server_options){.page = 100, .token_tail = tails[i]});
        assert_int_equal(list(&scene, &count), STORAGE_OK);
        assert_int_equal(count, key_count);
        assert_int_equal(list_server_afters(scene.server), 0);
        assert_int_equal(list_server_pages(scene.server), 30);
        assert_int_equal(list_server_most(scene.server), 1);
        end(&scene);
    }
    free_keys();
}

/* OBS lists by version 1, whose markers are keys, too; but its file systems need not be in the
 * order of keys, and so no place in the middle is ever asked for. By a name of its own it is known
 * by its first answer only, which here is a refusal. */
static void obs_is_listed_one_page_after_another(void **state)
{
    (void)state;
    make_keys(&spaces[0], 3000);
    for (size_t is_known = 0; is_known < 2; is_known++) {
        struct scene scene;
        size_t count;
        begin(&scene, (struct list_server_options){.page = 100, .is_version1 = true});
        struct s3_store *store = (struct s3_store *)scene.store;
        atomic_store(&store->start_after, S3_START_AFTER_WORKS);
        atomic_store(&store->is_obs, is_known);
        if (list(&scene, &count) != STORAGE_OK) {
            fail_msg("%s", scene.err.message);
        }
        assert_int_equal(count, key_count);
        assert_int_equal(list_server_pages(scene.server), is_known ? 30 : 30 + 2);
        assert_int_equal(list_server_afters(scene.server), 0);
        assert_int_equal(list_server_most(scene.server), 1);
        end(&scene);
    }
    free_keys();
}

static void a_range_that_fails_fails_the_listing(void **state)
{
    (void)state;
    static const char *const places[] = {"p/000099", "p/000100", "p/003000", "p/019800"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct scene scene;
        size_t count;
        make_keys(&spaces[0], COUNT);
        begin(&scene, (struct list_server_options){.page = 100, .fail_after = places[i]});
        enum storage_code code = list(&scene, &count);
        if (code != STORAGE_DENIED || count > strtoul(places[i] + 2, NULL, 10) + 100) {
            fail_msg("%s: %d after %zu", places[i], code, count);
        }
        assert_non_null(strstr(scene.err.message, "AccessDenied"));
        assert_int_equal(scene.err.http_status, 403);
        end(&scene);
        free_keys();
    }
}

static void a_range_that_begins_too_early_fails_the_listing(void **state)
{
    (void)state;
    struct scene scene;
    size_t count;
    make_keys(&spaces[0], COUNT);
    begin(&scene, (struct list_server_options){.page = 100, .goes_back = true});
    struct s3_store *store = (struct s3_store *)scene.store;
    atomic_store(&store->start_after, S3_START_AFTER_WORKS); /* or it were not used */
    assert_int_equal(list(&scene, &count), STORAGE_TRANSFER);
    assert_non_null(strstr(scene.err.message, "order"));
    end(&scene);
    free_keys();
}

static void pages_that_never_end_do(void **state)
{
    (void)state;
    struct scene scene;
    size_t count;
    make_keys(&spaces[0], 3000);
    begin(&scene, (struct list_server_options){.page = 100, .says_more = true});
    assert_int_equal(list(&scene, &count), STORAGE_TRANSFER);
    assert_int_equal(count, key_count);
    end(&scene);
    free_keys();
}

/* What lacks in a source that could not be listed to its end is not too much elsewhere. */
static void nothing_is_deleted_after_a_range_that_failed(void **state)
{
    (void)state;
    static const char *const fail_after[] = {NULL, "p/003000"};
    for (size_t i = 0; i < 2; i++) {
        struct scene from;
        struct scene to;
        struct storage_summary summary;
        make_keys(&spaces[0], 5000);
        begin(&to, (struct list_server_options){.page = 100});
        key_count -= 2; /* these are too much there */
        begin(&from, (struct list_server_options){.page = 100, .fail_after = fail_after[i]});
        const struct storage_sync sync = {.copy = {.source = from.store,
                                                   .source_key = "p/",
                                                   .destination = to.store,
                                                   .destination_key = "p/"},
                                          .compare = STORAGE_COMPARE_SIZE_ONLY,
                                          .delete_extra = true,
                                          .delete_max = 10000};
        enum storage_code code = storage_sync(&sync, &summary, &from.err);
        assert_int_equal(code, fail_after[i] ? STORAGE_DENIED : STORAGE_OK);
        assert_int_equal(list_server_writes(to.server), fail_after[i] ? 0 : 1);
        assert_int_equal(summary.deleted, fail_after[i] ? 0 : 2);
        end(&from);
        end(&to);
        key_count += 2;
        free_keys();
    }
}

static void closing_does_not_wait_for_answers(void **state)
{
    (void)state;
    struct scene scene;
    struct storage_entry entry;
    make_keys(&spaces[0], COUNT);
    begin(&scene, (struct list_server_options){.page = 100, .stall_after = "p/000500"});
    open_lister(&scene);
    assert_int_equal(storage_lister_next(scene.lister, &entry, &scene.err), STORAGE_OK);
    while (list_server_pages(scene.server) < 8) { /* some of them do not come back */
        const struct timespec pause = {.tv_nsec = 10000000};
        nanosleep(&pause, NULL);
    }
    storage_lister_close(scene.lister); /* the stall time-out is 30 s, and this server waits on */
    end(&scene);
    free_keys();
}

/* ---- guesses --------------------------------------------------------------------------------- */

static void guesses_go_on_as_the_keys_do(void **state)
{
    (void)state;
    static const struct {
        const char *first, *last;
        unsigned pages;
        const char *guess; /* NULL: none */
    } cases[] = {
        {"p/000000", "p/000999", 4, "p/004995"},
        {"p/000000", "p/000999", 1000, "p/999999"},
        {"p/000000", "p/000999", 1001, NULL},
        {"p/0/000.jpg", "p/0/999.jpg", 1, "p/1/998"},
        {"p/7/000.jpg", "p/7/999.jpg", 4, NULL}, /* behind the last folder of one digit */
        {"p/00a0", "p/00ff", 1, "p/01fe"},
        {"p/a/0", "p/a/9", 1, NULL}, /* a letter that did not vary is no digit */
        {"p/ab", "p/cd", 1, "p/ef"},
        {"p/ab", "p/cd", 2, NULL},
        {"p/x", "p/x", 1, NULL},
        {"p/\xc3\xa4", "p/\xc3\xb6", 1, NULL},
        {"p/\xc3\xa4/1", "p/\xc3\xa4/3", 2, "p/\xc3\xa4/7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct xml_row rows[2] = {{0}};
        struct xml_page page = {.rows = rows, .count = 2};
        struct list_scale scale;
        char guess[STORAGE_KEY_MAX + 1] = "";
        buf_init(&page.text, 4096);
        buf_add(&page.text, cases[i].first, strlen(cases[i].first) + 1);
        rows[1].key_offset = page.text.length;
        buf_add(&page.text, cases[i].last, strlen(cases[i].last) + 1);
        list_scale_read(&scale, &page, 2);
        bool is_known = list_scale_guess(&scale, cases[i].pages, guess);
        if (is_known != (cases[i].guess != NULL) ||
            (is_known && strcmp(guess, cases[i].guess) != 0)) {
            fail_msg("%s .. %s: %s", cases[i].first, cases[i].last, is_known ? guess : "none");
        }
        buf_release(&page.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guesses_go_on_as_the_keys_do),
        cmocka_unit_test(any_keys_come_whole_and_in_order),
        cmocka_unit_test(ranges_are_fetched_at_once),
        cmocka_unit_test(small_listings_cost_no_more_requests),
        cmocka_unit_test(listings_begin_one_page_after_another),
        cmocka_unit_test(useless_pages_cost_trust),
        cmocka_unit_test(pages_that_wait_have_a_ceiling),
        cmocka_unit_test(stores_without_start_after_are_served),
        cmocka_unit_test(a_store_that_walks_ahead_is_not_made_to_walk_twice),
        cmocka_unit_test(obs_is_listed_one_page_after_another),
        cmocka_unit_test(a_range_that_fails_fails_the_listing),
        cmocka_unit_test(a_range_that_begins_too_early_fails_the_listing),
        cmocka_unit_test(pages_that_never_end_do),
        cmocka_unit_test(nothing_is_deleted_after_a_range_that_failed),
        cmocka_unit_test(closing_does_not_wait_for_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
