/*
 * Big copies to, from and between real stores that are killed in the middle: started again they
 * move what was missing and no more, counted from the requests, and every byte is right. Run by
 * with_minio.sh. kill_copy.sh does the same by hand with the program and more bytes.
 */
#include "kill_fixture.h"
#include "minio_fixture.h"
#include "scratch.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PART = 5 * MIB, /* S3's least */
    PARTS = 8,
    SIZE = (PARTS - 1) * PART + MIB + 54321,
    WORKERS = 4,
    ROUNDS = 2,
    DIE_MAX = SIZE - WORKERS * PART /* see test_resume.c */
};

struct world {
    char *folder;
    char source[256], target[256], state_folder[256], far_endpoint[256];
    unsigned char *bytes;
    struct storage_config config;
    struct storage_config far; /* the same store under another name */
    struct kill_run run;
    atomic_ullong in, out; /* bytes of bodies of objects and parts */
    unsigned overwrites;
};

/* Sums the bytes of each request on an object's content. */
static void on_trace(void *context, const char *line)
{
    struct world *world = context;
    const char *sizes = strstr(line, " bytes out, ");
    while (sizes && sizes[-1] != ' ') {
        sizes--;
    }
    unsigned long long out = 0;
    unsigned long long in = 0;
    if (sizes && sscanf(sizes, "%llu bytes out, %llu in", &out, &in) == 2) {
        atomic_fetch_add(&world->out, strncmp(line, "PUT ", 4) == 0 ? out : 0);
        atomic_fetch_add(&world->in, strncmp(line, "GET ", 4) == 0 && in > MIB / 2 ? in : 0);
    }
}

static int world_make(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->folder = scratch_make();
    world->bytes = malloc(SIZE);
    scratch_fill(world->bytes, SIZE, 5);
    scratch_write(world->folder, "source", world->bytes, SIZE);
    snprintf(world->source, sizeof world->source, "%s/source", world->folder);
    snprintf(world->target, sizeof world->target, "%s/target", world->folder);
    snprintf(world->state_folder, sizeof world->state_folder, "%s/state/jobferry", world->folder);
    world->config = (struct storage_config){.access = minio_root_access(),
                                            .state_folder = world->state_folder,
                                            .trace = on_trace,
                                            .trace_context = world};
    world->config.access.endpoint = getenv("MINIO_ENDPOINT");
    world->config.access.ca_file = getenv("MINIO_CA_FILE");
    world->far = world->config;
    const char *port = strrchr(world->config.access.endpoint, ':');
    snprintf(world->far_endpoint, sizeof world->far_endpoint, "%s://localhost%s",
             world->config.access.ca_file ? "https" : "http", port);
    world->far.access.endpoint = world->far_endpoint;
    world->run = (struct kill_run){
        .config = &world->config, .part_size = PART, .workers = WORKERS, .context = world};
    struct storage *store = minio_open_root("jf-resume");
    struct storage_error err;
    minio_must(storage_make_bucket(store, "", &err), &err);
    storage_close(store);
    *state = world;
    return 0;
}

static int world_free(void **state)
{
    struct world *world = *state;
    scratch_remove(world->folder);
    free(world->bytes);
    free(world);
    return 0;
}

/* Dies with bytes in, then goes on, and moves only the rest. */
static void die_and_go_on(struct world *world, uint64_t bytes, enum storage_verified verified)
{
    struct kill_run run = world->run;
    run.die_at = bytes;
    kill_run_and_die(&run);
    atomic_store(&world->in, 0);
    atomic_store(&world->out, 0);
    struct kill_result result = kill_run(&world->run);
    minio_must(result.code, &result.err);
    assert_int_equal(result.verified, verified);
    assert_in_range(result.summary.resumed, bytes, SIZE);
    uint64_t missing = SIZE - result.summary.resumed;
    bool from_store = strncmp(world->run.source, "s3:", 3) == 0;
    bool to_store = strncmp(world->run.destination, "s3:", 3) == 0;
    assert_int_equal(atomic_load(&world->in), from_store ? missing : 0);
    assert_int_equal(atomic_load(&world->out), to_store ? missing : 0);
}

static void assert_file(const struct world *world, const char *name)
{
    size_t size = 0;
    void *got = scratch_read(world->folder, name, &size);
    assert_non_null(got);
    assert_int_equal(size, SIZE);
    assert_memory_equal(got, world->bytes, SIZE);
    free(got);
}

/* The object holds the bytes, read back in one go by a plain copy. */
static void assert_object(struct world *world, const char *url)
{
    struct kill_run run = world->run;
    char path[300];
    snprintf(path, sizeof path, "%s/back", world->folder);
    run.source = url;
    run.destination = path;
    run.to = NULL;
    struct kill_result result = kill_run(&run);
    minio_must(result.code, &result.err);
    assert_int_equal(result.summary.resumed, 0);
    assert_file(world, "back");
    unlink(path);
}

/* So many files and folders are there, and no more. */
static void assert_tidy(const struct world *world, size_t files)
{
    assert_int_equal(scratch_count(world->folder), files);
}

static void a_killed_upload_goes_on(void **state)
{
    struct world *world = *state;
    uint64_t seed = 11;
    world->run.source = world->source;
    world->run.destination = "s3://jf-resume/up";
    for (int round = 0; round < ROUNDS; round++) {
        die_and_go_on(world, 1 + kill_random(&seed, DIE_MAX), STORAGE_VERIFIED_CRC32);
        assert_object(world, "s3://jf-resume/up");
        assert_tidy(world, 3); /* source, state, state/jobferry */
    }
}

static void a_killed_download_goes_on(void **state)
{
    struct world *world = *state;
    uint64_t seed = 12;
    world->run.source = "s3://jf-resume/up"; /* of the test before */
    world->run.destination = world->target;
    for (int round = 0; round < ROUNDS; round++) {
        die_and_go_on(world, 1 + kill_random(&seed, DIE_MAX), STORAGE_VERIFIED_CRC32);
        assert_file(world, "target");
        assert_tidy(world, 2);
        unlink(world->target);
    }
}

static void a_killed_copy_between_stores_goes_on(void **state)
{
    struct world *world = *state;
    uint64_t seed = 13;
    world->run.source = "s3://jf-resume/up";
    world->run.destination = "s3://jf-resume/far";
    world->run.to = &world->far;
    die_and_go_on(world, 1 + kill_random(&seed, DIE_MAX), STORAGE_VERIFIED_CRC32);
    assert_object(world, "s3://jf-resume/far");
}

static void a_changed_file_is_sent_anew(void **state)
{
    struct world *world = *state;
    world->run.source = world->source;
    world->run.destination = "s3://jf-resume/changed";
    struct kill_run run = world->run;
    run.die_at = SIZE / 2;
    kill_run_and_die(&run);
    world->bytes[0] ^= 1;
    scratch_write(world->folder, "source", world->bytes, SIZE);
    struct kill_result result = kill_run(&world->run);
    minio_must(result.code, &result.err);
    assert_int_equal(result.summary.resumed, 0);
    assert_object(world, "s3://jf-resume/changed");
}

/* The upload under way would give the object the old type. */
static void other_headers_begin_anew(void **state)
{
    struct world *world = *state;
    world->run.source = world->source;
    world->run.destination = "s3://jf-resume/headers";
    struct kill_run run = world->run;
    run.die_at = SIZE / 2;
    kill_run_and_die(&run);
    world->config.headers.content_type = "text/x-other";
    struct kill_result result = kill_run(&world->run);
    minio_must(result.code, &result.err);
    assert_int_equal(result.summary.resumed, 0);
}

/* The store has lost the upload: another began, all the same. */
static void an_upload_that_is_gone_is_begun_anew(void **state)
{
    struct world *world = *state;
    struct storage_error err;
    world->run.source = world->source;
    world->run.destination = "s3://jf-resume/gone";
    struct kill_run run = world->run;
    run.die_at = SIZE / 2;
    kill_run_and_die(&run);
    struct storage *store = minio_open_root("jf-resume");
    DIR *folder = opendir(world->state_folder);
    char token[1200] = "";
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        size_t size = 0;
        char name[400];
        snprintf(name, sizeof name, "state/jobferry/%.300s", entry->d_name);
        char *text = entry->d_name[0] == '.' ? NULL : scratch_read(world->folder, name, &size);
        const char *at = text ? memmem(text, size, "token=crc32%3A", 14) : NULL;
        if (at) {
            snprintf(token, sizeof token, "crc32:%.*s", (int)strcspn(at + 14, "\n"), at + 14);
        }
        free(text);
    }
    closedir(folder);
    assert_string_not_equal(token, "");
    struct upload_plan plan = {.size = SIZE, .part_size = PART, .resume = token};
    struct upload *upload = NULL;
    minio_must(store->backend->upload_begin(&upload, store, "gone", &plan, &err), &err);
    store->backend->upload_abort(upload);
    /* and is known not to be there any more */
    assert_int_equal(store->backend->upload_begin(&upload, store, "gone", &plan, &err),
                     STORAGE_NOT_FOUND);
    storage_close(store);
    struct kill_result result = kill_run(&world->run);
    minio_must(result.code, &result.err);
    assert_int_equal(result.summary.resumed, 0);
    assert_object(world, "s3://jf-resume/gone");
}

/* Puts other bytes of the same size there: the first so many times it is called. */
static void overwrite(void *context)
{
    struct world *world = context;
    struct storage_error err;
    if (world->overwrites > 0) {
        world->overwrites--;
        struct storage *store = minio_open_root("jf-resume");
        scratch_fill(world->bytes, SIZE, 100 + world->overwrites);
        minio_must(storage_put(store, "over", world->bytes, SIZE, NULL, &err), &err);
        storage_close(store);
    }
}

static void an_object_overwritten_meanwhile_is_never_mixed(void **state)
{
    struct world *world = *state;
    world->overwrites = 1;
    overwrite(world);
    world->run.source = "s3://jf-resume/over";
    world->run.destination = world->target;
    world->run.meddle = overwrite;
    world->overwrites = 1;
    struct kill_result result = kill_run(&world->run); /* starts over, once */
    minio_must(result.code, &result.err);
    assert_file(world, "target");
    assert_tidy(world, 2);
    unlink(world->target);
    world->overwrites = 2 * WORKERS + 4; /* more than both tries see */
    result = kill_run(&world->run);
    assert_int_equal(result.code, STORAGE_CHANGED);
    assert_int_equal(result.failed, 1);
    assert_non_null(strstr(result.err.message, "over"));
    assert_tidy(world, 1);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_make, world_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_killed_upload_goes_on),
        WORLD_TEST(a_killed_download_goes_on),
        WORLD_TEST(a_killed_copy_between_stores_goes_on),
        WORLD_TEST(a_changed_file_is_sent_anew),
        WORLD_TEST(other_headers_begin_anew),
        WORLD_TEST(an_upload_that_is_gone_is_begun_anew),
        WORLD_TEST(an_object_overwritten_meanwhile_is_never_mixed),
    };
    if (!minio_is_there()) {
        return MINIO_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
