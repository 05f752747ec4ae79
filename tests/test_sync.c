/*
 * test_sync.c - storage_sync held against a model: random trees in a folder or a store in memory,
 * what must lie there afterwards, and that nothing is ever deleted after anything went wrong.
 */
#include "copy_world.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

enum {
    NAMES = 14,
    ROUNDS = 60,
    CONTENTS = 3
};

/* In S3's order, with folders that sort between files; none is a folder of another. */
static const char *const names[NAMES] = {
    "a",  "a-",      "a.txt", "b/a", "b/a!", "b/c/d", "b/c/e",
    "b0", "c/x/y/z", "c/xy",  "d e", "d%41", "d+",    "\xC3\xA9/\xC3\xA9"};
static const char *const contents[CONTENTS] = {"", "one", "two"};

/* One side: contents by name, -1 where there is none. */
struct model {
    int content[NAMES];
};

struct random {
    uint64_t state;
};

static unsigned draw(struct random *random, unsigned below)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return (unsigned)(random->state >> 33) % below;
}

static void draw_model(struct random *random, struct model *model)
{
    unsigned density = draw(random, 4);
    for (int i = 0; i < NAMES; i++) {
        model->content[i] = draw(random, 4) < density ? (int)draw(random, CONTENTS) : -1;
    }
}

static void full_key(char out[STORAGE_PATH_MAX], const char *prefix, const char *name)
{
    assert_true(storage_join(out, STORAGE_PATH_MAX, prefix, name));
}

/* Gives one side what the model says. Equal contents get equal times, others never. */
static void fill(struct world *world, struct storage *store, const char *prefix,
                 const struct model *model)
{
    char key[STORAGE_PATH_MAX];
    for (int i = 0; i < NAMES; i++) {
        if (model->content[i] < 0) {
            continue;
        }
        const char *text = contents[model->content[i]];
        full_key(key, prefix, names[i]);
        if (store->kind == STORAGE_LOCAL) {
            const struct timespec times[2] = {{.tv_sec = 1000 + model->content[i]},
                                              {.tv_sec = 1000 + model->content[i]}};
            scratch_write("", key + 1, text, strlen(text)); /* key is absolute */
            assert_int_equal(utimensat(AT_FDCWD, key, times, 0), 0);
        } else {
            fake_store_add(world->fake, key, text, strlen(text), FAKE_CRC32);
            for (size_t k = 0; k < world->fake->count; k++) {
                if (strcmp(world->fake->objects[k].key, key) == 0) {
                    world->fake->objects[k].mtime_ns = (1000 + model->content[i]) * 1000000000LL;
                }
            }
        }
    }
}

/* What a side holds, held against the model. */
static void check_side(struct storage *store, const char *prefix, const struct model *model,
                       unsigned round)
{
    char key[STORAGE_PATH_MAX];
    for (int i = 0; i < NAMES; i++) {
        size_t size = 0;
        char *data = NULL;
        full_key(key, prefix, names[i]);
        bool there = storage_get(store, key, 100, &data, &size, NULL) == STORAGE_OK;
        bool wanted = model->content[i] >= 0;
        if (there != wanted || (there && strcmp(data, contents[model->content[i]]) != 0)) {
            fail_msg("round %u: %s %s", round, key, there ? data : "is not there");
        }
        free(data);
    }
}

static int remove_any(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    return where->level > 0 ? remove(path) : 0;
}

static void clear(struct world *world)
{
    nftw(world->folder, remove_any, 16, FTW_DEPTH | FTW_PHYS);
    while (world->fake->count > 0) {
        char *key = strdup(world->fake->objects[0].key);
        fake_store_drop(world->fake, key);
        free(key);
    }
}

/* Whether the drawn filter takes the name: it excludes "b/" or includes only "*a*". */
static bool model_takes(unsigned filter, const char *name)
{
    const char *last = strrchr(name, '/');
    bool has_a = strchr(last ? last + 1 : name, 'a') != NULL;
    return filter == 1 ? strncmp(name, "b/", 2) != 0 : filter == 2 ? has_a : true;
}

static struct storage_filter *make_filter(unsigned filter)
{
    struct storage_filter *made = filter ? storage_filter_new() : NULL;
    if (filter == 1) {
        assert_int_equal(storage_filter_add(made, "/b/", true, NULL), STORAGE_OK);
    } else if (filter == 2) {
        assert_int_equal(storage_filter_add(made, "*a*", false, NULL), STORAGE_OK);
    }
    return made;
}

/* What must lie at the destination after a sync in which nothing fails. */
static struct model expect(const struct model *from, const struct model *to, unsigned filter,
                           bool deletes)
{
    struct model result = *to;
    for (int i = 0; i < NAMES; i++) {
        if (model_takes(filter, names[i]) && (from->content[i] >= 0 || deletes)) {
            result.content[i] = from->content[i];
        }
    }
    return result;
}

static void sync_once(struct world *world, struct random *random, unsigned round, unsigned pair)
{
    struct model from;
    struct model to;
    char from_prefix[STORAGE_PATH_MAX];
    char to_prefix[STORAGE_PATH_MAX];
    struct storage *stores[2] = {pair & 1 ? &world->fake->base : world->local,
                                 pair & 2 ? &world->fake->base : world->local};
    clear(world);
    draw_model(random, &from);
    draw_model(random, &to);
    snprintf(from_prefix, sizeof from_prefix, "%s",
             pair & 1 ? "from" : scratch_path(world->folder, "from"));
    snprintf(to_prefix, sizeof to_prefix, "%s",
             pair & 2 ? "to" : scratch_path(world->folder, "to"));
    if (!(pair & 1)) {
        mkdir(from_prefix, 0777);
    }
    fill(world, stores[0], from_prefix, &from);
    fill(world, stores[1], to_prefix, &to);
    unsigned filter = draw(random, 3);
    bool deletes = draw(random, 2);
    /* with listings of equal time at a store one object is as old as the other: sums decide */
    struct storage_sync sync = {
        .copy = world_copy(world, stores[0], from_prefix, stores[1], to_prefix),
        .compare = draw(random, 2) ? STORAGE_COMPARE_CHECKSUM : STORAGE_COMPARE_EXACT_MTIME,
        .delete_extra = deletes,
        .delete_max = 1000};
    sync.copy.filter = make_filter(filter);
    world->fake->may_remove = true;
    bool faulty = (pair & 3) != 0 && draw(random, 3) == 0;
    world->fake->list_fault = (enum fake_fault)draw(random, 3);
    world->fake->list_fault_at = faulty ? 1 + draw(random, 4) : 0;

    struct storage_summary summary;
    struct storage_error err = {0};
    enum storage_code code = storage_sync(&sync, &summary, &err);
    world->fake->list_fault_at = 0;
    struct model wanted = expect(&from, &to, filter, deletes);
    size_t source_count = 0;
    size_t extras = 0;
    for (int i = 0; i < NAMES; i++) {
        source_count += from.content[i] >= 0 && model_takes(filter, names[i]);
        extras += wanted.content[i] < 0 && to.content[i] >= 0;
    }
    if (code == STORAGE_OK) {
        check_side(stores[1], to_prefix, &wanted, round);
        assert_int_equal(summary.deleted, extras);
        sync.copy.on_object = NULL;
        assert_int_equal(storage_sync(&sync, &summary, &err), STORAGE_OK);
        assert_int_equal(summary.objects + summary.deleted, 0); /* it is at rest */
        assert_int_equal(summary.skipped, source_count);
    } else {
        if (!faulty && source_count > 0) {
            fail_msg("round %u: %s", round, err.message);
        }
        assert_int_equal(summary.deleted, 0);
        /* copies may have been made; whatever only the destination had is as it was */
        for (int i = 0; i < NAMES; i++) {
            if (from.content[i] >= 0) {
                to.content[i] = -2;
            }
        }
        for (int i = 0; i < NAMES; i++) {
            char key[STORAGE_PATH_MAX];
            struct storage_info info;
            full_key(key, to_prefix, names[i]);
            if (to.content[i] >= 0 && storage_stat(stores[1], key, &info, NULL) != STORAGE_OK) {
                fail_msg("round %u: after \"%s\" %s is gone", round, err.message, key);
            }
        }
    }
    storage_filter_free((struct storage_filter *)sync.copy.filter);
}

static void random_trees_come_out_as_the_model_says(void **state)
{
    struct random random = {88172645463325252ULL};
    for (unsigned round = 0; round < ROUNDS; round++) {
        sync_once(*state, &random, round, round % 4);
    }
}

/* ---- what the model leaves out -------------------------------------------------------------- */

static enum storage_code sync_down(struct world *world, bool deletes,
                                   struct storage_summary *summary, struct storage_error *err)
{
    struct storage_sync sync = {.copy = world_copy(world, &world->fake->base, "from", world->local,
                                                   scratch_path(world->folder, "to")),
                                .delete_extra = deletes,
                                .delete_max = 1000};
    memset(err, 0, sizeof *err);
    return storage_sync(&sync, summary, err);
}

static void add_text(struct world *world, const char *key, const char *text)
{
    fake_store_add(world->fake, key, text, strlen(text), FAKE_CRC32);
}

static void a_failed_object_keeps_deletions_back(void **state)
{
    struct world *world = *state;
    struct storage_summary summary;
    struct storage_error err;
    add_text(world, "from/a", "one");
    add_text(world, "from/b", "two");
    scratch_write(world->folder, "to/extra", "x", 1);
    world->fake->fail_key = "from/a";
    assert_int_equal(sync_down(world, true, &summary, &err), STORAGE_DENIED);
    assert_int_equal(summary.objects, 1);
    assert_int_equal(summary.failed, 1);
    assert_int_equal(summary.withheld, 1);
    assert_true(scratch_exists(world->folder, "to/extra"));
    world->fake->fail_key = NULL;
    assert_int_equal(sync_down(world, true, &summary, &err), STORAGE_OK);
    assert_int_equal(summary.objects, 1);
    assert_int_equal(summary.skipped, 1);
    assert_int_equal(summary.deleted, 1);
    assert_false(scratch_exists(world->folder, "to/extra"));
}

static void an_empty_source_deletes_nothing(void **state)
{
    struct world *world = *state;
    struct storage_summary summary;
    struct storage_error err;
    scratch_write(world->folder, "to/extra", "x", 1);
    assert_int_equal(sync_down(world, true, &summary, &err), STORAGE_WITHHELD);
    assert_non_null(strstr(err.message, "the source is empty"));
    assert_true(scratch_exists(world->folder, "to/extra"));
}

static void refused_deletions_are_an_error(void **state)
{
    struct world *world = *state;
    struct storage_summary summary;
    struct storage_error err;
    scratch_write(world->folder, "up/a", "one", 3);
    add_text(world, "to/extra", "x");
    struct storage_sync sync = {.copy = world_copy(world, world->local,
                                                   scratch_path(world->folder, "up"),
                                                   &world->fake->base, "to"),
                                .delete_extra = true,
                                .delete_max = 1};
    assert_int_equal(storage_sync(&sync, &summary, &err), STORAGE_DENIED);
    assert_int_equal(summary.objects, 1);
    assert_int_equal(summary.deleted, 0);
    assert_int_equal(summary.failed, 1);
}

static void names_that_no_folder_takes_fail_alone(void **state)
{
    struct world *world = *state;
    struct storage_summary summary;
    struct storage_error err;
    char key[STORAGE_KEY_MAX + 1];
    add_text(world, "from/a", "file");
    add_text(world, "from/a!", "between");
    add_text(world, "from/a/b", "a is a file");
    add_text(world, "from/a/c/d", "so is this");
    add_text(world, "from/line\nbreak", "control bytes");
    add_text(world, "from/ok %+\xC3\xA9", "fine");
    /* comes behind a/b, so that no worker can fail on it before a/b is refused */
    snprintf(key, sizeof key, "from/m%0299d", 7);
    add_text(world, key, "a segment of 300 bytes");
    snprintf(key, sizeof key, "from/z/%0250d/%0250d/%0250d/%0243d", 1, 2, 3, 4);
    memset(key + 7, 'x', 20);
    key[sizeof key - 1] = '\0';
    assert_true(strlen(key) > 990);
    add_text(world, key, "long, but fine");
    assert_int_equal(sync_down(world, true, &summary, &err), STORAGE_CONFLICT);
    assert_int_equal(summary.failed, 4);
    assert_int_equal(summary.objects, 4);
    assert_non_null(strstr(err.message, "from/a/b"));
    world_check_file(world, "to/a", "file", 4);
    world_check_file(world, "to/a!", "between", 7);
    world_check_file(world, "to/ok %+\xC3\xA9", "fine", 4);
}

static void a_source_that_changes_is_its_own_failure(void **state)
{
    struct world *world = *state;
    struct storage_summary summary;
    struct storage_error err;
    fake_store_add(world->fake, "from/big", world->big, BIG, FAKE_CRC32);
    add_text(world, "from/other", "fine");
    world->fake->change_key = "from/big";
    assert_int_equal(sync_down(world, true, &summary, &err), STORAGE_CHANGED);
    assert_string_equal(world->failed_source, "from/big");
    assert_int_equal(summary.objects, 1);
    world_check_file(world, "to/other", "fine", 4);
}

static void the_record_says_what_belongs_together(void **state)
{
    struct world *world = *state;
    struct storage_summary summary;
    struct storage_error err;
    add_text(world, "from/a", "one");
    add_text(world, "from/n%e w", "two");
    assert_int_equal(sync_down(world, false, &summary, &err), STORAGE_OK);
    assert_int_equal(summary.objects, 2);
    add_text(world, "from/a", "ONE"); /* as long, and of the same time */
    assert_int_equal(sync_down(world, false, &summary, &err), STORAGE_OK);
    assert_int_equal(summary.objects, 1);
    world_check_file(world, "to/a", "ONE", 3);
    assert_int_equal(sync_down(world, false, &summary, &err), STORAGE_OK);
    assert_int_equal(summary.objects, 0);
    size_t size = 0;
    char *record = scratch_read(world->folder, "to/.jobferry-sync", &size);
    assert_non_null(record);
    assert_non_null(memmem(record, size, "n%25e w\n", 8));
    free(record);
    /* what the source no longer has is forgotten */
    fake_store_drop(world->fake, "from/a");
    assert_int_equal(sync_down(world, false, &summary, &err), STORAGE_OK);
    record = scratch_read(world->folder, "to/.jobferry-sync", &size);
    assert_null(memmem(record, size, " a\n", 3));
    assert_non_null(memmem(record, size, "n%25e w\n", 8));
    free(record);
}

/* ---- patterns ------------------------------------------------------------------------------- */

static void patterns_match_as_told(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"*.txt", "a.txt", true},
        {"*.txt", "d/e/a.txt", true},
        {"*.txt", "a.txt.gz", false},
        {"/*.txt", "a.txt", true},
        {"/*.txt", "d/a.txt", false},
        {"d/*", "d/a", true},
        {"d/*", "d/e/a", true}, /* "d/e" is a folder that matches */
        {"d/*", "x/d/a", true},
        {"/d/*", "x/d/a", false},
        {"d/**", "d/e/a", true},
        {"d/", "d/e/a", true},
        {"d/", "x/d/a", true},
        {"d/", "d", false},
        {"d/", "d/", true},
        {"d", "d/e", true},
        {"d", "de", false},
        {"a?c", "abc", true},
        {"a?c", "a/c", false},
        {"a**c", "a/x/c", true},
        {"a*c", "a/x/c", false},
        {"[a-c]x", "bx", true},
        {"[^a-c]x", "bx", false},
        {"[]]x", "]x", true},
        {"[\\]x]y", "xy", true},
        {"{ab,c{d,e}}f", "cef", true},
        {"{ab,c{d,e}}f", "abf", true},
        {"{ab,c{d,e}}f", "cf", false},
        {"{,x}a", "a", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"**", "any/thing", true},
        {"*", "any/thing", true},
        {"\xC3\xA9*", "d/\xC3\xA9t", true},
        {"*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    static const char *const bad[] = {"", "/", "[a", "{a", "a\\", "[", "[]"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_filter *filter = storage_filter_new();
        assert_int_equal(storage_filter_add(filter, cases[i].pattern, true, NULL), STORAGE_OK);
        if (storage_filter_takes(filter, cases[i].name) == cases[i].matches) {
            fail_msg("%s and %s", cases[i].pattern, cases[i].name);
        }
        storage_filter_free(filter);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct storage_filter *filter = storage_filter_new();
        if (storage_filter_add(filter, bad[i], true, NULL) != STORAGE_USAGE) {
            fail_msg("%s is taken", bad[i]);
        }
        storage_filter_free(filter);
    }
    assert_true(storage_filter_takes(NULL, "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(random_trees_come_out_as_the_model_says),
        WORLD_TEST(a_failed_object_keeps_deletions_back),
        WORLD_TEST(an_empty_source_deletes_nothing),
        WORLD_TEST(refused_deletions_are_an_error),
        WORLD_TEST(names_that_no_folder_takes_fail_alone),
        WORLD_TEST(a_source_that_changes_is_its_own_failure),
        WORLD_TEST(the_record_says_what_belongs_together),
        cmocka_unit_test(patterns_match_as_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
