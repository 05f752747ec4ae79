/* test_checkpoint.c - our .ckpt files: MindSpore's bytes, round trip, every kind of damage. */
#include "checkpoint_fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void write_file(const char *to, const void *bytes, size_t size)
{
    FILE *file = fopen(to, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* ---- MindSpore's own entries ---------------------------------------------------------------- */

static void test_the_first_18_are_the_labs(void **state)
{
    (void)state;
    size_t position = 0;
    for (size_t i = 0; i < LAB_ENTRIES; i++) {
        struct wire_entry entry = {0};
        if (lab[i].offset || i == 0) {
            assert_int_equal(position, lab[i].offset);
        }
        assert_int_equal(wire_read(saved, saved_size, &position, &entry), WIRE_ENTRY);
        assert_string_equal(entry.tag, lab[i].tag);
        assert_string_equal(entry.type, "Float32");
        assert_int_equal(entry.rank, lab[i].rank);
        assert_memory_equal(entry.dims, lab[i].dims, lab[i].rank * sizeof(int64_t));
        assert_int_equal(entry.content_size, lab[i].size);
        wire_release(&entry);
    }
    assert_int_equal(position, LAB_SIZE);
}

static void assert_hex(const uint8_t *bytes, const char *hex)
{
    for (size_t i = 0; hex[2 * i]; i++) {
        char two[3];
        snprintf(two, sizeof two, "%02x", bytes[i]);
        assert_memory_equal(two, hex + 2 * i, 2);
    }
}

static void test_chunks_have_mindspores_bytes(void **state)
{
    (void)state;
    assert_hex(saved + 247012,
               "0a220a0d6c6561726e696e675f72617465121108001207466c6f617433321a040ad7233c");
    assert_hex(saved,
               "0afd040a0c636f6e76312e77656967687412ec0408060801080508051207466c6f617433321ad804");
}

/* ---- round trip ----------------------------------------------------------------------------- */

/* Field by field, through the table that knows them all. */
static void assert_same_state(const struct model_state *a, const struct model_state *b)
{
    struct checkpoint_state_entries packed[2];
    memset(packed, 0, sizeof packed);
    checkpoint_state_pack(&packed[0], a);
    checkpoint_state_pack(&packed[1], b);
    assert_memory_equal(packed[0].numbers, packed[1].numbers, sizeof packed[0].numbers);
    assert_memory_equal(packed[0].texts, packed[1].texts, sizeof packed[0].texts);
}

static void test_what_is_saved_is_loaded(void **unused)
{
    (void)unused;
    struct model_error err = {0};
    struct model_checkpoint *checkpoint = NULL;
    assert_int_equal(model_checkpoint_read(&checkpoint, path, &err), MODEL_OK);
    assert_int_equal(model_checkpoint_completeness(checkpoint), MODEL_VERIFIED_OWN);
    assert_int_equal(model_checkpoint_count(checkpoint), OUR_ENTRIES - 1);
    struct model_state state;
    model_checkpoint_state(checkpoint, &state);
    assert_true(state.present);
    assert_same_state(&state, &made_state);
    assert_int_equal(checkpoint_find(checkpoint, "learning_rate")->rank, 0);
    int64_t number = 0;
    memcpy(&number, checkpoint_find(checkpoint, "epoch_num")->data, sizeof number);
    assert_int_equal(number, 4);
    memcpy(&number, checkpoint_find(checkpoint, "step_num")->data, sizeof number);
    assert_int_equal(number, 6625);

    struct model *model = make_model(0.5f);
    struct model *expected = make_model(0.01f);
    memset(model->weights, 0, LENET_PARAMETERS * sizeof(float));
    memset(model->moments, 0, LENET_PARAMETERS * sizeof(float));
    assert_int_equal(model_load(model, checkpoint, false, &err), MODEL_OK);
    assert_memory_equal(model->weights, expected->weights, LENET_PARAMETERS * sizeof(float));
    assert_memory_equal(model->moments, expected->moments, LENET_PARAMETERS * sizeof(float));
    assert_true(model_learning_rate(model) == 0.01f);
    assert_true(model->config.momentum == 0.9f);
    model_free(model);
    model_free(expected);
    model_checkpoint_free(checkpoint);
}

/* EMNIST's balanced set, in every format that is read back. */
static void test_47_classes_are_saved_and_loaded(void **unused)
{
    (void)unused;
    static const struct model_saving savings[] = {
        {.format = MODEL_FORMAT_CKPT},
        {.format = MODEL_FORMAT_CKPT, .crc_check = true, .mindspore = 2},
        {.format = MODEL_FORMAT_SAFETENSORS}};
    struct model_config config = MODEL_CONFIG_INIT;
    config.classes = 47;
    config.threads = 1;
    struct model *model = NULL;
    assert_int_equal(model_new(&model, &config, NULL), MODEL_OK);
    assert_int_equal(model_classes(model), 47);
    const size_t parameters = 60834 + 85 * 47;
    for (size_t i = 0; i < parameters; i++) {
        model->moments[i] = (float)i;
    }
    char other[sizeof path + 8];
    snprintf(other, sizeof other, "%s.47", path);
    for (size_t i = 0; i < 3; i++) {
        struct model_error err = {0};
        struct model_checkpoint *checkpoint = NULL;
        struct model *loaded = NULL;
        assert_int_equal(model_save_as(model, &made_state, &savings[i], other, &err), MODEL_OK);
        assert_int_equal(model_checkpoint_read(&checkpoint, other, &err), MODEL_OK);
        assert_int_equal(model_checkpoint_classes(checkpoint), 47);
        assert_int_equal(checkpoint_find(checkpoint, "moments.fc3.bias")->dims[0], 47);
        config.seed = 2;
        assert_int_equal(model_new(&loaded, &config, NULL), MODEL_OK);
        assert_int_equal(model_load(loaded, checkpoint, false, &err), MODEL_OK);
        assert_memory_equal(loaded->weights, model->weights, parameters * sizeof(float));
        assert_memory_equal(loaded->moments, model->moments, parameters * sizeof(float));
        model_free(loaded);

        /* Ten are another network; as its eight tensors it goes into every format. */
        loaded = make_model(0.01f);
        assert_int_equal(model_load(loaded, checkpoint, false, &err), MODEL_CORRUPT);
        assert_non_null(strstr(err.message, "fc3.weight, fc3.bias"));
        const struct model_saving onnx = {.format = MODEL_FORMAT_ONNX};
        assert_int_equal(model_checkpoint_write(checkpoint, &onnx, other, &err), MODEL_OK);
        model_free(loaded);
        model_checkpoint_free(checkpoint);
    }
    remove(other);
    model_free(model);
}

static void test_a_model_has_1_to_64_classes(void **unused)
{
    (void)unused;
    static const uint32_t wrong[] = {0, 65, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct model_config config = MODEL_CONFIG_INIT;
        struct model_error err = {0};
        struct model *model = NULL;
        config.classes = wrong[i];
        assert_int_equal(model_new(&model, &config, &err), MODEL_ARGUMENT);
        assert_non_null(strstr(err.message, "must be 1 to 64"));
    }
}

static void test_weights_only_leaves_the_optimizer(void **unused)
{
    (void)unused;
    struct model_checkpoint *checkpoint = NULL;
    struct model *model = make_model(0.5f);
    model->moments[7] = 1234.0f;
    memset(model->weights, 0, LENET_PARAMETERS * sizeof(float));
    assert_int_equal(checkpoint_parse(&checkpoint, saved, saved_size, "x", NULL), MODEL_OK);
    assert_int_equal(model_load(model, checkpoint, true, NULL), MODEL_OK);
    assert_true(model->weights[9] == 9 * 0.25f - 3.0f);
    assert_true(model->moments[7] == 1234.0f);
    assert_true(model_learning_rate(model) == 0.5f);
    model_checkpoint_free(checkpoint);
    model_free(model);
}

static void test_saving_twice_gives_the_same_file_with_its_mode(void **unused)
{
    (void)unused;
    static uint8_t again[FILE_MAX];
    struct model *model = make_model(0.01f);
    assert_int_equal(model_save(model, &made_state, path, NULL), MODEL_OK);
    model_free(model);
    assert_int_equal(read_file(path, again), saved_size);
    assert_memory_equal(again, saved, saved_size);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
}

/* ---- damage --------------------------------------------------------------------------------- */

/* Every step-th bit from byte `from` to byte `to`, flipped and put back. */
static void flip_bits(uint8_t *bytes, size_t from, size_t to, size_t step)
{
    struct model_error err = {0};
    for (size_t bit = 8 * from; bit < 8 * to; bit += step) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(parse(bytes, saved_size, &err), MODEL_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_a_flipped_bit_is_found(void **unused)
{
    (void)unused;
    static uint8_t bytes[FILE_MAX];
    memcpy(bytes, saved, saved_size);
    /* Here and there in the values, the head of each chunk, all of our own entries. */
    flip_bits(bytes, 0, LAB_SIZE, 12503);
    for (size_t i = 0; i < LAB_ENTRIES; i++) {
        flip_bits(bytes, boundaries[i], boundaries[i] + 40, 3);
    }
    flip_bits(bytes, LAB_SIZE, saved_size, 1);
    assert_int_equal(parse(bytes, saved_size, NULL), MODEL_OK);
}

static void test_a_file_cut_between_chunks_is_found(void **unused)
{
    (void)unused;
    struct model_error err = {0};
    for (size_t i = 0; i < OUR_ENTRIES; i++) {
        enum model_code code = parse(saved, boundaries[i], &err);
        if (i == 0) {
            assert_int_equal(code, MODEL_CORRUPT);
            assert_non_null(strstr(err.message, "is empty"));
        } else if (i <= LAB_ENTRIES) {
            /* These are files of MindSpore 1.0: whole ones, as far as their format can say. */
            assert_int_equal(code, MODEL_OK);
            code = parse_and_load(saved, boundaries[i], &err);
            assert_int_equal(code, i < LAB_ENTRIES ? MODEL_CORRUPT : MODEL_OK);
        } else {
            assert_int_equal(code, MODEL_CORRUPT);
            assert_non_null(strstr(err.message, "cut off"));
        }
    }
}

static void test_a_file_cut_inside_a_chunk_is_found(void **unused)
{
    (void)unused;
    struct model_error err = {0};
    for (size_t i = 0; i < OUR_ENTRIES; i++) {
        size_t length = boundaries[i + 1] - boundaries[i];
        const size_t cuts[] = {1, 2, 3, length / 2, length - 1};
        for (size_t c = 0; c < sizeof cuts / sizeof cuts[0]; c++) {
            assert_int_equal(parse(saved, boundaries[i] + cuts[c], &err), MODEL_CORRUPT);
            char where[64];
            snprintf(where, sizeof where, "entry %zu at byte %zu is cut short", i + 1,
                     boundaries[i]);
            assert_non_null(strstr(err.message, where));
        }
    }
}

static void test_bytes_behind_the_sum_are_found(void **unused)
{
    (void)unused;
    static uint8_t bytes[2 * FILE_MAX];
    struct model_error err = {0};
    memcpy(bytes, saved, saved_size);
    memcpy(bytes + saved_size, saved, saved_size);
    assert_int_equal(parse(bytes, 2 * saved_size, &err), MODEL_CORRUPT);
    assert_int_equal(parse(bytes, saved_size + 1, &err), MODEL_CORRUPT);
    memcpy(bytes + saved_size, saved + boundaries[8], boundaries[9] - boundaries[8]);
    assert_int_equal(parse(bytes, saved_size + boundaries[9] - boundaries[8], &err), MODEL_CORRUPT);
}

static void test_a_lost_entry_is_found(void **unused)
{
    (void)unused;
    static uint8_t bytes[FILE_MAX];
    struct model_error err = {0};
    for (size_t i = 0; i < OUR_ENTRIES; i++) {
        memcpy(bytes, saved, boundaries[i]);
        memcpy(bytes + boundaries[i], saved + boundaries[i + 1], saved_size - boundaries[i + 1]);
        size_t size = saved_size - (boundaries[i + 1] - boundaries[i]);
        assert_int_equal(parse(bytes, size, &err), MODEL_CORRUPT);
    }
}

static void test_what_is_no_checkpoint_file(void **unused)
{
    (void)unused;
    struct model_error err = {0};
    struct model_checkpoint *checkpoint = NULL;
    char other[160];
    assert_int_equal(model_checkpoint_read(&checkpoint, folder, &err), MODEL_CORRUPT);
    assert_non_null(strstr(err.message, "a folder"));

    snprintf(other, sizeof other, "%s/none.ckpt", folder);
    assert_int_equal(model_checkpoint_read(&checkpoint, other, &err), MODEL_NOT_FOUND);

    assert_int_equal(mkfifo(other, 0600), 0);
    assert_int_equal(model_checkpoint_read(&checkpoint, other, &err), MODEL_CORRUPT);
    assert_int_equal(unlink(other), 0);

    write_file(other, "", 0);
    assert_int_equal(model_checkpoint_read(&checkpoint, other, &err), MODEL_CORRUPT);
    assert_non_null(strstr(err.message, "empty"));

    /* A hole of more than the ceiling: refused before it is read. */
    assert_int_equal(truncate(other, (off_t)CHECKPOINT_SIZE_MAX + 1), 0);
    assert_int_equal(model_checkpoint_read(&checkpoint, other, &err), MODEL_CORRUPT);
    assert_non_null(strstr(err.message, "more than a checkpoint may have"));
    assert_null(checkpoint);
    assert_int_equal(unlink(other), 0);
}

/* ---- the disk ------------------------------------------------------------------------------- */

/* No temporary: "." and ".." and the checkpoint. */
static void assert_nothing_else_in_folder(void)
{
    size_t count = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    assert_int_equal(count, 3);
}

static void test_a_full_disk_leaves_the_old_file(void **unused)
{
    (void)unused;
    static uint8_t after[FILE_MAX];
    struct model *model = make_model(0.25f);
    struct model_error err = {0};
    struct rlimit old_limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    struct rlimit limit = {.rlim_cur = 300000, .rlim_max = old_limit.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum model_code code = model_save(model, &made_state, path, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
    model_free(model);
    assert_int_equal(code, MODEL_DISK);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(read_file(path, after), saved_size);
    assert_memory_equal(after, saved, saved_size);
    assert_nothing_else_in_folder();
}

static void test_a_missing_folder_is_the_disks_fault(void **unused)
{
    (void)unused;
    struct model *model = make_model(0.25f);
    struct model_error err = {0};
    char other[160];
    snprintf(other, sizeof other, "%s/none/a.ckpt", folder);
    assert_int_equal(model_save(model, &made_state, other, &err), MODEL_DISK);
    assert_int_equal(err.code, MODEL_DISK);
    model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_18_are_the_labs),
        cmocka_unit_test(test_chunks_have_mindspores_bytes),
        cmocka_unit_test(test_what_is_saved_is_loaded),
        cmocka_unit_test(test_47_classes_are_saved_and_loaded),
        cmocka_unit_test(test_a_model_has_1_to_64_classes),
        cmocka_unit_test(test_weights_only_leaves_the_optimizer),
        cmocka_unit_test(test_saving_twice_gives_the_same_file_with_its_mode),
        cmocka_unit_test(test_a_flipped_bit_is_found),
        cmocka_unit_test(test_a_file_cut_between_chunks_is_found),
        cmocka_unit_test(test_a_file_cut_inside_a_chunk_is_found),
        cmocka_unit_test(test_bytes_behind_the_sum_are_found),
        cmocka_unit_test(test_a_lost_entry_is_found),
        cmocka_unit_test(test_what_is_no_checkpoint_file),
        cmocka_unit_test(test_a_full_disk_leaves_the_old_file),
        cmocka_unit_test(test_a_missing_folder_is_the_disks_fault),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
