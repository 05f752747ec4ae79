/* Objects written on a condition: folders, and what a scripted store answers. */
#include "scene.h"
#include "scratch.h"

#include <pthread.h>

static struct storage *open_folder(const char *folder)
{
    struct storage *store = NULL;
    struct storage_url url;
    struct storage_config config = {0};
    assert_int_equal(storage_url_parse(&url, folder, NULL), STORAGE_OK);
    assert_int_equal(storage_open(&store, &url, &config, NULL), STORAGE_OK);
    return store;
}

static void a_file_is_written_only_in_the_state_that_was_seen(void **state)
{
    (void)state;
    char *folder = scratch_make();
    struct storage *store = open_folder(folder);
    const char *key = scratch_path(folder, "deep/lock.json");
    char first[STORAGE_ETAG_MAX + 1];
    char second[STORAGE_ETAG_MAX + 1];
    char *data = NULL;
    size_t size = 0;
    struct storage_error err;
    assert_int_equal(storage_put_if(store, key, "a", 1, "0-0", first, &err), STORAGE_CHANGED);
    assert_int_equal(storage_put_if(store, key, "one", 3, NULL, first, &err), STORAGE_OK);
    assert_int_equal(storage_put_if(store, key, "two", 3, NULL, second, &err), STORAGE_CHANGED);
    assert_int_equal(storage_put_if(store, key, "two", 3, first, second, &err), STORAGE_OK);
    assert_int_equal(storage_put_if(store, key, "six", 3, first, first, &err), STORAGE_CHANGED);
    assert_int_equal(storage_get_tagged(store, key, 10, &data, &size, first, &err), STORAGE_OK);
    assert_string_equal(data, "two");
    assert_string_equal(first, second);
    free(data);
    assert_int_equal(storage_get_tagged(store, key, 2, &data, &size, first, &err),
                     STORAGE_TRANSFER);
    storage_close(store);
    scratch_remove(folder);
}

enum {
    WRITERS = 4,
    ROUNDS = 25
};

struct race {
    struct storage *store;
    char key[256];
};

/* Counts up ROUNDS times; each time somebody else was faster it looks again. */
static void *count_up(void *context)
{
    struct race *race = context;
    for (int done = 0; done < ROUNDS;) {
        char *data = NULL;
        size_t size = 0;
        char tag[STORAGE_ETAG_MAX + 1];
        char text[32];
        if (storage_get_tagged(race->store, race->key, 100, &data, &size, tag, NULL)) {
            continue; /* it is never missing, but may change while it is read */
        }
        snprintf(text, sizeof text, "%d", atoi(data) + 1);
        free(data);
        /* Equal bytes pass for ours: each thread has its own spelling. */
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, " by %p", (void *)&done);
        done += storage_put_if(race->store, race->key, text, strlen(text), tag, tag, NULL) ==
                STORAGE_OK;
    }
    return NULL;
}

static void nothing_comes_between_look_and_rename(void **state)
{
    (void)state;
    char *folder = scratch_make();
    struct race race = {.store = open_folder(folder)};
    pthread_t threads[WRITERS];
    size_t size = 0;
    snprintf(race.key, sizeof race.key, "%s", scratch_path(folder, "count"));
    scratch_write(folder, "count", "0", 1);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, &race), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    char *text = scratch_read(folder, "count", &size);
    assert_int_equal(strtol(text, NULL, 10), WRITERS * ROUNDS);
    free(text);
    storage_close(race.store);
    scratch_remove(folder);
}

static void a_store_is_told_the_condition(void **state)
{
    (void)state;
    static const struct {
        const char *tag;
        const char *header;
        struct script_step steps[2];
        size_t count;
        enum storage_code code;
        const char *new_tag;
    } cases[] = {
        {NULL, "If-None-Match: *", {{"PUT /bkt/k", "200 OK\nETag: \"x\""}}, 1, STORAGE_OK, "x"},
        {"t", "If-Match: \"t\"", {{"PUT /bkt/k", "200 OK\nETag: \"y\""}}, 1, STORAGE_OK, "y"},
        {"t",
         "If-Match: \"t\"",
         {{"PUT /bkt/k", "412 No" SCENE_ERROR("PreconditionFailed")},
          {"GET /bkt/k", "206 OK\nContent-Range: bytes 0-2/3\nETag: \"z\"\n\nxyz"}},
         2,
         STORAGE_CHANGED,
         ""},
        /* Ours got there and its answer did not: the repetition is refused. */
        {"t",
         "If-Match: \"t\"",
         {{"PUT /bkt/k", "412 No" SCENE_ERROR("PreconditionFailed")},
          {"GET /bkt/k", "206 OK\nContent-Range: bytes 0-2/3\nETag: \"z\"\n\nabc"}},
         2,
         STORAGE_OK,
         "z"},
        {NULL,
         "If-None-Match: *",
         {{"PUT /bkt/k", "501 No" SCENE_ERROR("NotImplemented")}},
         1,
         STORAGE_USAGE,
         ""},
        {"t",
         "If-Match: \"t\"",
         {{"PUT /bkt/k", "404 No" SCENE_ERROR("NoSuchKey")},
          {"GET /bkt/k", "404 No" SCENE_ERROR("NoSuchKey")}},
         2,
         STORAGE_CHANGED,
         ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene scene;
        char tag[STORAGE_ETAG_MAX + 1] = "";
        scene_start(&scene, cases[i].steps, cases[i].count);
        enum storage_code code =
            storage_put_if(scene.store, "k", "abc", 3, cases[i].tag, tag, &scene.err);
        if (code != cases[i].code || strcmp(tag, cases[i].new_tag) != 0) {
            fail_msg("case %zu: %d, '%s', %s", i, (int)code, tag, scene.err.message);
        }
        scene_assert_sent(&scene, 0, cases[i].header, true);
        scene_finish(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_written_only_in_the_state_that_was_seen),
        cmocka_unit_test(nothing_comes_between_look_and_rename),
        cmocka_unit_test(a_store_is_told_the_condition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
