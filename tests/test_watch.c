/*
 * Which files of a folder are taken for complete, and why: writers that behave badly, with inotify
 * and without. Times are only waited for, never measured.
 */
#include "runner/job/evidence.h"
#include "runner/job/watch.h"
#include "scratch.h"

#include "model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    BODY = 40000
};

/* A folder under watch. The quiet time is short, or so long that a test never sees it pass. */
struct scene {
    char *folder;
    struct watch *watch;
    struct log log;
    struct storage_filter *filter;
    bool polls;
};

static const double SHORT_S = 0.05;
static const double LONG_S = 1000;

static void start(struct scene *scene, bool polls, double quiet_s)
{
    scene->folder = scratch_make();
    log_init(&scene->log, false, false);
    scene->polls = polls;
    scene->filter = storage_filter_new();
    static const char *const patterns[] = {"*.ckpt", "*.pt", "*.pth", "*.safetensors", "*.meta"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        assert_int_equal(storage_filter_add(scene->filter, patterns[i], false, NULL), STORAGE_OK);
    }
    const struct watch_options options = {.folder = scene->folder,
                                          .filter = scene->filter,
                                          .polls = polls,
                                          .quiet_s = quiet_s,
                                          .look_s = polls ? 0.01 : 0};
    scene->watch = watch_new(&options, &scene->log);
    assert_non_null(scene->watch);
}

static void stop(struct scene *scene)
{
    watch_free(scene->watch);
    log_release(&scene->log);
    storage_filter_free(scene->filter);
    scratch_remove(scene->folder);
}

/* Waits until a file is complete, however long it takes. */
static void expect_file(struct scene *scene, const char *name, enum watch_reason reason)
{
    struct watch_file file;
    while (!watch_take(scene->watch, &file)) {
        watch_wait(scene->watch, 0.02);
    }
    assert_string_equal(file.name, name);
    assert_string_equal(watch_reason_text(file.reason), watch_reason_text(reason));
    close(file.fd);
}

/* All that happened has been seen, and no file is complete. */
static void expect_none(struct scene *scene)
{
    struct watch_file file;
    watch_wait(scene->watch, 0);
    watch_look(scene->watch);
    if (watch_take(scene->watch, &file)) {
        fail_msg("%s was taken: %s", file.name, watch_reason_text(file.reason));
    }
}

/* Waits until so many files are complete, and then no more. */
static void expect_count(struct scene *scene, size_t count)
{
    size_t found = 0;
    while (found < count) {
        struct watch_file file;
        watch_wait(scene->watch, 0.02);
        while (watch_take(scene->watch, &file)) {
            close(file.fd);
            found++;
        }
    }
    assert_int_equal(found, count);
    expect_none(scene);
}

static int create(const struct scene *scene, const char *name)
{
    int fd = open(scratch_path(scene->folder, name), O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void put(int fd, const void *data, size_t size)
{
    assert_int_equal(write(fd, data, size), size);
}

/* A zip of one stored file, as torch.save's are, by hand. */
static size_t make_zip(uint8_t *out, const void *body, size_t size)
{
    uint8_t local[30] = {'P', 'K', 3, 4, 20};
    uint8_t central[46] = {'P', 'K', 1, 2, 20, 0, 20};
    uint8_t end[22] = {'P', 'K', 5, 6, 0, 0, 0, 0, 1, 0, 1};
    uint32_t numbers[3] = {(uint32_t)size, (uint32_t)size, 0};
    memcpy(local + 18, numbers, 8);
    memcpy(central + 20, numbers, 8);
    local[26] = central[28] = 1; /* the name's length */
    uint32_t directory[2] = {sizeof central + 1, (uint32_t)(sizeof local + 1 + size)};
    memcpy(end + 12, directory, 8);
    uint8_t *at = out;
    memcpy(at, local, sizeof local);
    at += sizeof local;
    *at++ = 'x';
    memcpy(at, body, size);
    at += size;
    memcpy(at, central, sizeof central);
    at += sizeof central;
    *at++ = 'x';
    memcpy(at, end, sizeof end);
    return (size_t)(at - out) + sizeof end;
}

/* One whose file has so many bytes of a seed; out has 100 more. */
static size_t make_zip_of(uint8_t *out, size_t size, unsigned seed)
{
    uint8_t *body = malloc(size);
    scratch_fill(body, size, seed);
    size_t whole = make_zip(out, body, size);
    free(body);
    return whole;
}

static size_t make_safetensors(uint8_t *out, const void *body, size_t size)
{
    char header[128];
    int length =
        snprintf(header, sizeof header,
                 "{\"w\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", size, size);
    uint64_t told = (uint64_t)length;
    memcpy(out, &told, 8);
    memcpy(out + 8, header, (size_t)length);
    memcpy(out + 8 + length, body, size);
    return 8 + (size_t)length + size;
}

static enum file_shape shape(const struct scene *scene, const char *name, const void *data,
                             size_t size)
{
    scratch_write(scene->folder, name, data, size);
    int fd = open(scratch_path(scene->folder, name), O_RDONLY);
    assert_true(fd >= 0);
    enum file_shape found = file_shape(fd, name, size);
    close(fd);
    return found;
}

/* ---- formats -------------------------------------------------------------------------------- */

static void a_cut_file_shows_at_every_length(void **state)
{
    (void)state;
    struct scene scene;
    start(&scene, true, LONG_S);
    uint8_t body[300];
    uint8_t data[1024];
    scratch_fill(body, sizeof body, 1);
    size_t size = make_zip(data, body, sizeof body);
    assert_int_equal(shape(&scene, "a.pt", data, size), SHAPE_WHOLE);
    for (size_t cut = 4; cut < size; cut++) {
        assert_int_equal(shape(&scene, "a.pt", data, cut), SHAPE_BROKEN);
    }
    size = make_safetensors(data, body, sizeof body);
    assert_int_equal(shape(&scene, "a.safetensors", data, size), SHAPE_WHOLE);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(shape(&scene, "a.safetensors", data, cut), SHAPE_BROKEN);
    }
    assert_int_equal(shape(&scene, "b.pt", "\x80\x02pickle", 8), SHAPE_UNKNOWN);
    assert_int_equal(shape(&scene, "b.ckpt", "TF's", 4), SHAPE_UNKNOWN);
    assert_int_equal(shape(&scene, "b.meta", "{}", 2), SHAPE_UNKNOWN);
    assert_int_equal(shape(&scene, "b.meta", "\x08\x01\x12\x05x", 5), SHAPE_BROKEN);
    assert_int_equal(shape(&scene, "b.meta", "\x08\x01\x12\x01x", 5), SHAPE_UNKNOWN);
    assert_int_equal(shape(&scene, "empty.pth", "", 0), SHAPE_BROKEN);
    stop(&scene);
}

static void our_checkpoint_is_whole_only_to_its_last_byte(void **state)
{
    (void)state;
    struct scene scene;
    struct model *model = NULL;
    struct model_config config = MODEL_CONFIG_INIT;
    struct model_state at = {.present = true, .epoch = 1, .step = 2, .cumulative_step = 2};
    start(&scene, true, LONG_S);
    assert_int_equal(model_new(&model, &config, NULL), MODEL_OK);
    snprintf(at.run, sizeof at.run, "20261124T081500Z-k3f9qa");
    assert_int_equal(model_save(model, &at, scratch_path(scene.folder, "m.ckpt"), NULL), MODEL_OK);
    model_free(model);
    size_t size = 0;
    uint8_t *data = scratch_read(scene.folder, "m.ckpt", &size);
    assert_int_equal(shape(&scene, "n.ckpt", data, size), SHAPE_WHOLE);
    for (size_t cut = 1; cut < 2000; cut++) {
        /* Cut between MindSpore's entries and all of ours it is another's, without a proof. */
        assert_int_not_equal(shape(&scene, "n.ckpt", data, size - cut), SHAPE_WHOLE);
    }
    assert_int_equal(shape(&scene, "n.ckpt", data, size - 1), SHAPE_BROKEN);
    data[1000] ^= 1;
    assert_int_equal(shape(&scene, "n.ckpt", data, size), SHAPE_BROKEN);
    free(data);
    stop(&scene);
}

static void who_writes_is_known(void **state)
{
    (void)state;
    struct scene scene;
    start(&scene, true, LONG_S);
    int writer = create(&scene, "w.pt");
    put(writer, "abc", 3);
    int reader = open(scratch_path(scene.folder, "w.pt"), O_RDONLY);
    assert_int_equal(file_writers(reader), WRITERS_SOME);
    void *mapped = mmap(NULL, 3, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);
    assert_ptr_not_equal(mapped, MAP_FAILED);
    close(writer);
    assert_int_equal(file_writers(reader), WRITERS_SOME);
    munmap(mapped, 3);
    assert_int_equal(file_writers(reader), WRITERS_NONE);
    close(reader);
    stop(&scene);
}

/* ---- writers -------------------------------------------------------------------------------- */

static void both_ways(void (*test)(struct scene *scene), double quiet_s)
{
    for (int polls = 0; polls < 2; polls++) {
        struct scene scene;
        start(&scene, polls, quiet_s);
        test(&scene);
        stop(&scene);
    }
}

static void rename_writer(struct scene *scene)
{
    int fd = create(scene, "a.tmp");
    put(fd, "12345", 5);
    expect_none(scene);
    close(fd);
    assert_int_equal(
        rename(scratch_path(scene->folder, "a.tmp"), scratch_path(scene->folder, "a-1_5.ckpt")), 0);
    chmod(scratch_path(scene->folder, "a-1_5.ckpt"), 0400); /* as MindSpore does */
    if (scene->polls) {                                     /* nobody saw the rename */
        expect_none(scene);
        watch_writer(scene->watch, WATCH_WRITER_ENDED);
        expect_file(scene, "a-1_5.ckpt", WATCH_ENDED);
    } else {
        expect_file(scene, "a-1_5.ckpt", WATCH_RENAMED);
    }
    expect_none(scene);
}

static void a_renamed_file_is_complete(void **state)
{
    (void)state;
    both_ways(rename_writer, LONG_S);
}

/* The end is known before the watch has come to the rename. */
static void a_rename_just_before_a_death_is_known(void **state)
{
    (void)state;
    struct scene scene;
    start(&scene, false, LONG_S);
    expect_none(&scene);
    scratch_write(scene.folder, "a.tmp", "what is this", 12);
    rename(scratch_path(scene.folder, "a.tmp"), scratch_path(scene.folder, "a-1_5.ckpt"));
    watch_writer(scene.watch, WATCH_WRITER_DIED);
    watch_look(scene.watch); /* as at the end: it sees the name, and not how it came */
    struct watch_file file;
    assert_true(watch_take(scene.watch, &file));
    assert_string_equal(watch_reason_text(file.reason), "rename");
    close(file.fd);
    stop(&scene);
}

static void append_writer(struct scene *scene)
{
    int fd = create(scene, "a.pt");
    put(fd, "one", 3);
    close(fd);
    expect_none(scene); /* the quiet time has not passed */
    fd = open(scratch_path(scene->folder, "a.pt"), O_WRONLY | O_APPEND);
    put(fd, "two", 3);
    expect_none(scene);
    close(fd);
    expect_none(scene);
    watch_writer(scene->watch, WATCH_WRITER_ENDED);
    expect_file(scene, "a.pt", WATCH_ENDED);
    fd = open(scratch_path(scene->folder, "a.pt"), O_WRONLY | O_APPEND);
    put(fd, "three", 5);
    close(fd);
    expect_file(scene, "a.pt", WATCH_ENDED);
}

static void a_closed_file_may_be_appended_to(void **state)
{
    (void)state;
    both_ways(append_writer, LONG_S);
}

static void quiet_writer(struct scene *scene)
{
    int fd = create(scene, "a.pt");
    put(fd, "one", 3);
    for (int i = 0; i < 5; i++) { /* longer than the quiet time, but it is open */
        watch_wait(scene->watch, SHORT_S);
        expect_none(scene);
    }
    close(fd);
    expect_file(scene, "a.pt", WATCH_QUIET);
}

static void a_file_left_alone_is_complete(void **state)
{
    (void)state;
    both_ways(quiet_writer, SHORT_S);
}

static void format_writer(struct scene *scene)
{
    uint8_t *data = malloc(BODY + 1000);
    size_t size = make_zip_of(data, BODY, 2);
    int fd = create(scene, "model ü 1.pt");
    put(fd, data, size / 2);
    expect_none(scene);
    put(fd, data + size / 2, size - size / 2);
    expect_none(scene);
    close(fd);
    expect_file(scene, "model ü 1.pt", WATCH_FORMAT); /* no quiet time: its end is there */
    /* Truncated in place and written again. */
    fd = create(scene, "model ü 1.pt");
    put(fd, data, size / 2);
    close(fd);
    expect_none(scene);
    fd = create(scene, "model ü 1.pt");
    put(fd, data, size);
    close(fd);
    expect_file(scene, "model ü 1.pt", WATCH_FORMAT);
    free(data);
}

static void a_format_that_tells_its_end_is_believed(void **state)
{
    (void)state;
    both_ways(format_writer, LONG_S);
}

static void mmap_writer(struct scene *scene)
{
    uint8_t body[1000];
    uint8_t data[2000];
    scratch_fill(body, sizeof body, 3);
    size_t size = make_safetensors(data, body, sizeof body);
    int fd = create(scene, "m.safetensors");
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    uint8_t *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(mapped, MAP_FAILED);
    close(fd);
    memcpy(mapped, data, size - 100);
    expect_none(scene); /* by its lengths it is whole, but it is mapped */
    memcpy(mapped + size - 100, data + size - 100, 100);
    munmap(mapped, size);
    expect_file(scene, "m.safetensors", WATCH_FORMAT);
}

static void a_mapped_file_is_not_complete(void **state)
{
    (void)state;
    both_ways(mmap_writer, LONG_S);
}

static void killed_writer(struct scene *scene)
{
    uint8_t data[2000];
    size_t size = make_zip_of(data, 1000, 4);
    int whole = create(scene, "whole.pt");
    int cut = create(scene, "cut.pt");
    int unknown = create(scene, "unknown.ckpt");
    put(whole, data, size);
    put(cut, data, size - 1);
    put(unknown, "what is this", 12);
    expect_none(scene);
    close(whole); /* as the kernel does when it kills */
    close(cut);
    close(unknown);
    watch_writer(scene->watch, WATCH_WRITER_DIED);
    watch_look(scene->watch);
    expect_file(scene, "whole.pt", WATCH_FORMAT);
    expect_none(scene);
    assert_int_equal(watch_refused(scene->watch), 2);
}

static void what_a_killed_writer_left_needs_a_proof(void **state)
{
    (void)state;
    both_ways(killed_writer, LONG_S);
}

static void broken_rename(struct scene *scene)
{
    uint8_t data[400];
    size_t size = make_zip_of(data, 100, 5);
    scratch_write(scene->folder, "a.tmp", data, size - 10);
    rename(scratch_path(scene->folder, "a.tmp"), scratch_path(scene->folder, "a.pth"));
    while (watch_refused(scene->watch) == 0) {
        watch_wait(scene->watch, SHORT_S);
        expect_none(scene);
    }
}

static void a_cut_file_is_refused_even_renamed(void **state)
{
    (void)state;
    both_ways(broken_rename, SHORT_S);
}

static void deleting_writer(struct scene *scene)
{
    struct watch_file file;
    uint8_t *data = malloc(BODY + 1000);
    uint8_t *back = malloc(BODY + 1000);
    size_t size = make_zip_of(data, BODY, 6);
    scratch_write(scene->folder, "a.pt", data, size);
    watch_wait(scene->watch, 0);
    watch_look(scene->watch);
    assert_true(watch_take(scene->watch, &file));
    unlink(scratch_path(scene->folder, "a.pt"));
    assert_int_equal(pread(file.fd, back, size, 0), size);
    assert_memory_equal(back, data, size);
    close(file.fd);
    scratch_write(scene->folder, "b.pt", data, size);
    unlink(scratch_path(scene->folder, "b.pt")); /* before anybody looked */
    expect_none(scene);
    free(back);
    free(data);
}

static void a_file_given_away_outlives_its_name(void **state)
{
    (void)state;
    both_ways(deleting_writer, LONG_S);
}

static bool count_one(void *context, const char *name, bool is_refused)
{
    (void)name;
    (void)is_refused;
    (*(size_t *)context)++;
    return true;
}

static void nesting_writer(struct scene *scene)
{
    enum {
        DEEP = 12
    };
    char name[200] = "";
    uint8_t data[200];
    size_t size = make_zip_of(data, 10, 7);
    for (int i = 0; i < DEEP; i++) { /* each folder made and filled before we can watch it */
        size_t length = strlen(name);
        snprintf(name + length, sizeof name - length, "d%d/", i);
        char file[260];
        snprintf(file, sizeof file, "%sx.pt", name);
        scratch_write(scene->folder, file, data, size);
        snprintf(file, sizeof file, "%s.hidden/x.pt", name);
        scratch_write(scene->folder, file, data, size);
    }
    expect_count(scene, DEEP);
    size_t pending = 0;
    watch_each_pending(scene->watch, count_one, &pending);
    assert_int_equal(pending, 0);
    /* A folder that is renamed brings its files with it. */
    scratch_write(scene->folder, "tmp-step/x.pt", "what is this", 12);
    expect_none(scene);
    rename(scratch_path(scene->folder, "tmp-step"), scratch_path(scene->folder, "step"));
    if (!scene->polls) {
        expect_file(scene, "step/x.pt", WATCH_RENAMED);
    }
    expect_none(scene);
}

static void nested_folders_made_fast_are_found(void **state)
{
    (void)state;
    both_ways(nesting_writer, LONG_S);
}

static void many_files(struct scene *scene)
{
    enum {
        MANY = 10000
    };
    uint8_t data[200];
    size_t size = make_zip_of(data, 10, 8);
    for (int i = 0; i < MANY; i++) {
        char name[40];
        snprintf(name, sizeof name, "f%d.pt", i);
        scratch_write(scene->folder, name, data, size);
    }
    expect_count(scene, MANY);
}

static void many_files_are_all_found_once(void **state)
{
    (void)state;
    both_ways(many_files, LONG_S);
}

static void what_was_there_before_can_be_left_out(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t data[200];
    size_t size = make_zip(data, "abc", 3);
    scene.folder = scratch_make();
    log_init(&scene.log, false, false);
    scratch_write(scene.folder, "old.pt", data, size);
    const struct watch_options options = {.folder = scene.folder, .skips_present = true};
    scene.filter = NULL;
    scene.watch = watch_new(&options, &scene.log);
    expect_none(&scene);
    scratch_write(scene.folder, "new.pt", data, size);
    expect_file(&scene, "new.pt", WATCH_FORMAT);
    stop(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_file_shows_at_every_length),
        cmocka_unit_test(our_checkpoint_is_whole_only_to_its_last_byte),
        cmocka_unit_test(who_writes_is_known),
        cmocka_unit_test(a_renamed_file_is_complete),
        cmocka_unit_test(a_rename_just_before_a_death_is_known),
        cmocka_unit_test(a_closed_file_may_be_appended_to),
        cmocka_unit_test(a_file_left_alone_is_complete),
        cmocka_unit_test(a_format_that_tells_its_end_is_believed),
        cmocka_unit_test(a_mapped_file_is_not_complete),
        cmocka_unit_test(what_a_killed_writer_left_needs_a_proof),
        cmocka_unit_test(a_cut_file_is_refused_even_renamed),
        cmocka_unit_test(a_file_given_away_outlives_its_name),
        cmocka_unit_test(nested_folders_made_fast_are_found),
        cmocka_unit_test(many_files_are_all_found_once),
        cmocka_unit_test(what_was_there_before_can_be_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
