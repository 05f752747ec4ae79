/* test_checkpoint.c - .ckpt files: MindSpore's bytes, round trip, and every way to be damaged. */
#include "model/checkpoint.h"
#include "model/model.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
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
#include <zlib.h>

#include <cmocka.h>

enum {
    LAB_ENTRIES = 18,
    LAB_SIZE = 494155, /* bytes of the lab's 18 entries */
    OUR_ENTRIES = LAB_ENTRIES + CHECKPOINT_STATE_ENTRIES + 1,
    FILE_MAX = 1 << 20
};

static char folder[] = "/tmp/jobferry-checkpoint-XXXXXX";
static char path[128];
static uint8_t saved[FILE_MAX]; /* what model_save wrote of make_model and made_state */
static size_t saved_size;
static size_t boundaries[OUR_ENTRIES + 1]; /* where each chunk of it starts, and the end */

static const struct model_state made_state = {.present = true,
                                              .run = "20261124T081500Z-k3f9qa",
                                              .epoch = 2,
                                              .step = 1000,
                                              .steps_per_epoch = 1875,
                                              .cumulative_step = 6625,
                                              .base_step = 3750,
                                              .seed = INT64_MAX,
                                              .batch_size = 32,
                                              .data_crc32 = 0xFEDCBA98,
                                              .kernels = "reference"};

/* A model whose every value is another. */
static struct model *make_model(float learning_rate)
{
    struct model_config config = MODEL_CONFIG_INIT;
    config.learning_rate = learning_rate;
    config.threads = 1;
    struct model *model = NULL;
    assert_int_equal(model_new(&model, &config, NULL), MODEL_OK);
    for (size_t i = 0; i < LENET_PARAMETERS; i++) {
        model->weights[i] = (float)i * 0.25f - 3.0f;
        model->moments[i] = -(float)i;
    }
    return model;
}

static size_t read_file(const char *from, uint8_t *bytes)
{
    FILE *file = fopen(from, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, FILE_MAX, file);
    fclose(file);
    return size;
}

static void write_file(const char *to, const void *bytes, size_t size)
{
    FILE *file = fopen(to, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/lenet-2_1000.ckpt", folder);
    struct model *model = make_model(0.01f);
    struct model_error err = {0};
    assert_int_equal(model_save(model, &made_state, path, &err), MODEL_OK);
    model_free(model);
    saved_size = read_file(path, saved);
    size_t position = 0;
    for (size_t i = 0; i < OUR_ENTRIES; i++) {
        struct wire_entry entry = {0};
        boundaries[i] = position;
        assert_int_equal(wire_read(saved, saved_size, &position, &entry), WIRE_ENTRY);
        wire_release(&entry);
    }
    boundaries[OUR_ENTRIES] = position;
    return position == saved_size ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails when a test or a failed save left something */
}

/* ---- MindSpore's own entries ---------------------------------------------------------------- */

/* The lab's file by reference: tag, dims, bytes of data, offset of the chunk. */
static const struct {
    const char *tag;
    size_t rank;
    int64_t dims[4];
    size_t size;
    size_t offset;
} lab[LAB_ENTRIES] = {
    {"conv1.weight", 4, {6, 1, 5, 5}, 600, 0},
    {"conv2.weight", 4, {16, 6, 5, 5}, 9600, 640},
    {"fc1.weight", 2, {120, 400}, 192000, 10280},
    {"fc1.bias", 1, {120}, 480, 202318},
    {"fc2.weight", 2, {84, 120}, 40320, 202828},
    {"fc2.bias", 1, {84}, 336, 243185},
    {"fc3.weight", 2, {10, 84}, 3360, 243551},
    {"fc3.bias", 1, {10}, 40, 246945},
    {"learning_rate", 1, {0}, 4, 247012},
    {"momentum", 1, {0}, 4, 247048},
    {"moments.conv1.weight", 4, {6, 1, 5, 5}, 600, 247079},
    {"moments.conv2.weight", 4, {16, 6, 5, 5}, 9600, 0},
    {"moments.fc1.weight", 2, {120, 400}, 192000, 0},
    {"moments.fc1.bias", 1, {120}, 480, 0},
    {"moments.fc2.weight", 2, {84, 120}, 40320, 0},
    {"moments.fc2.bias", 1, {84}, 336, 0},
    {"moments.fc3.weight", 2, {10, 84}, 3360, 0},
    {"moments.fc3.bias", 1, {10}, 40, 0},
};

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

/* Reads bytes as a file; the message must name the file. */
static enum model_code parse(const uint8_t *bytes, size_t size, struct model_error *err)
{
    struct model_checkpoint *checkpoint = NULL;
    /* A copy of just that size, so that reading past its end is seen. */
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    enum model_code code = checkpoint_parse(&checkpoint, copy, size, "some.ckpt", err);
    free(copy);
    if (code == MODEL_OK) {
        assert_non_null(checkpoint);
    } else {
        assert_null(checkpoint);
        assert_non_null(strstr(err->message, "some.ckpt"));
    }
    model_checkpoint_free(checkpoint);
    return code;
}

static enum model_code parse_and_load(const uint8_t *bytes, size_t size, struct model_error *err)
{
    struct model_checkpoint *checkpoint = NULL;
    enum model_code code = checkpoint_parse(&checkpoint, bytes, size, "some.ckpt", err);
    if (code == MODEL_OK) {
        struct model *model = make_model(0.5f);
        code = model_load(model, checkpoint, false, err);
        if (code != MODEL_OK) {
            struct model *untouched = make_model(0.5f);
            assert_memory_equal(model->weights, untouched->weights,
                                LENET_PARAMETERS * sizeof(float));
            assert_memory_equal(model->moments, untouched->moments,
                                LENET_PARAMETERS * sizeof(float));
            assert_true(model_learning_rate(model) == 0.5f);
            model_free(untouched);
        }
        model_free(model);
    }
    model_checkpoint_free(checkpoint);
    return code;
}

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

/* ---- foreign files -------------------------------------------------------------------------- */

/* Small files built from entries, to say what a reader must think of them. */
struct builder {
    uint8_t bytes[4096];
    size_t size;
};

static void add(struct builder *builder, const char *tag, const char *type, size_t rank,
                const int64_t *dims, size_t content_size)
{
    static const uint8_t content[256] = {1, 2, 3};
    const struct wire_entry entry = {.tag = tag,
                                     .type = type,
                                     .rank = rank,
                                     .dims = dims,
                                     .content = content,
                                     .content_size = content_size};
    size_t size = 0;
    uint8_t *chunk = wire_pack(&entry, &size);
    assert_non_null(chunk);
    assert_true(builder->size + size <= sizeof builder->bytes);
    memcpy(builder->bytes + builder->size, chunk, size);
    builder->size += size;
    free(chunk);
}

static void test_one_entry_of_every_kind(void **unused)
{
    (void)unused;
    static const struct {
        const char *tag;
        const char *type;
        size_t rank;
        int64_t dims[10];
        size_t size;
        size_t expected_rank;
        const char *refusal; /* NULL: fine */
    } cases[] = {
        {"a", "Float32", 0, {0}, 4, 0, NULL},
        {"a", "Float32", 1, {0}, 4, 0, NULL},
        {"a", "Float32", 1, {1}, 4, 1, NULL},
        {"a", "Float32", 1, {0}, 0, 1, NULL}, /* no values at all */
        {"a", "Float32", 2, {3, 0}, 0, 2, NULL},
        {"a", "Int64", 2, {2, 3}, 48, 2, NULL},
        {"a", "Bool", 1, {3}, 3, 1, NULL},
        {"a", "BFloat16", 1, {3}, 6, 1, NULL},
        {"a", "UInt32", 1, {3}, 12, 1, NULL},
        {"a", "Uint32", 1, {3}, 12, 1, NULL},
        {"a", "str", 1, {0}, 12, 0, NULL},
        {"\xe5\xb1\x82.weight", "Int8", 1, {3}, 3, 1, NULL},
        {"a", "str", 1, {0}, 13, 0, "cut in a character"},
        {"a", "Float33", 1, {1}, 4, 0, "unknown type Float33"},
        {"a", "float32", 1, {1}, 4, 0, "unknown type float32"},
        {"a", "\n", 1, {1}, 4, 0, "unknown type (unreadable)"},
        {"a", "", 1, {1}, 4, 0, "unknown type"},
        {"", "Int8", 1, {1}, 1, 0, "no readable name"},
        {"a\x1b[2J", "Int8", 1, {1}, 1, 0, "no readable name"},
        {"a\xff", "Int8", 1, {1}, 1, 0, "no readable name"},
        {"a\xc0\x80", "Int8", 1, {1}, 1, 0, "no readable name"},
        {"a\xe0\x80\x80", "Int8", 1, {1}, 1, 0, "no readable name"},
        {"a\xed\xa0\x80", "Int8", 1, {1}, 1, 0, "no readable name"},
        {"a\xc2\x85", "Int8", 1, {1}, 1, 0, "no readable name"},
        {"a\xe5\xb1", "Int8", 1, {1}, 1, 0, "no readable name"},
        {"a", "Float32", 2, {2, 2}, 15, 0, "fewer bytes"},
        {"a", "Float32", 2, {2, 2}, 17, 0, "more bytes"},
        {"a", "Float32", 0, {0}, 0, 0, "fewer bytes"},
        {"a", "Float32", 1, {0}, 8, 0, "more bytes"},
        {"a", "Float32", 1, {-1}, 4, 0, "dims that cannot be"},
        {"a", "Float32", 2, {INT64_MAX, INT64_MAX}, 4, 0, "dims that cannot be"},
        {"a", "Float32", 2, {1LL << 32, 1LL << 32}, 0, 0, "dims that cannot be"},
        {"a", "Int8", 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}, 1, 0, "too many dims"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct builder builder = {.size = 0};
        struct model_error err = {0};
        struct model_checkpoint *checkpoint = NULL;
        add(&builder, cases[i].tag, cases[i].type, cases[i].rank, cases[i].dims, cases[i].size);
        enum model_code code =
            checkpoint_parse(&checkpoint, builder.bytes, builder.size, "some.ckpt", &err);
        if (cases[i].refusal) {
            assert_int_equal(code, MODEL_CORRUPT);
            assert_non_null(strstr(err.message, cases[i].refusal));
            continue;
        }
        assert_int_equal(code, MODEL_OK);
        assert_int_equal(model_checkpoint_completeness(checkpoint), MODEL_UNVERIFIED);
        const struct model_tensor *tensor = model_checkpoint_tensor(checkpoint, 0);
        assert_string_equal(tensor->name, cases[i].tag);
        assert_int_equal(tensor->rank, cases[i].expected_rank);
        assert_int_equal(tensor->size, cases[i].size);
        struct model_state state;
        model_checkpoint_state(checkpoint, &state);
        assert_false(state.present);
        model_checkpoint_free(checkpoint);
    }
}

static void test_packed_dims_are_accepted(void **unused)
{
    (void)unused;
    /* tag "a", dims 2,2 in one length-delimited field, Int8, four bytes. */
    static const uint8_t bytes[] = {0x0A, 21,  0x0A, 1,   'a', 0x12, 16, 0x0A, 2, 2, 2, 0x12,
                                    4,    'I', 'n',  't', '8', 0x1A, 4,  1,    2, 3, 4};
    struct model_checkpoint *checkpoint = NULL;
    struct model_error err = {0};
    assert_int_equal(checkpoint_parse(&checkpoint, bytes, sizeof bytes, "x", &err), MODEL_OK);
    const struct model_tensor *tensor = model_checkpoint_tensor(checkpoint, 0);
    assert_int_equal(tensor->rank, 2);
    assert_int_equal(tensor->dims[0], 2);
    assert_int_equal(tensor->dims[1], 2);
    assert_memory_equal(tensor->data, "\1\2\3\4", 4);
    model_checkpoint_free(checkpoint);
}

static void test_slices_of_one_tensor_are_joined(void **unused)
{
    (void)unused;
    static const int64_t dims[] = {2, 5};
    struct builder builder = {.size = 0};
    struct model_error err = {0};
    struct model_checkpoint *checkpoint = NULL;
    add(&builder, "before", "Int8", 2, dims, 10);
    add(&builder, "a", "Int8", 2, dims, 4);
    add(&builder, "a", "Int8", 2, dims, 3);
    add(&builder, "a", "Int8", 2, dims, 3);
    add(&builder, "behind", "Int8", 2, dims, 10);
    assert_int_equal(checkpoint_parse(&checkpoint, builder.bytes, builder.size, "x", &err),
                     MODEL_OK);
    assert_int_equal(model_checkpoint_count(checkpoint), 3);
    const struct model_tensor *tensor = model_checkpoint_tensor(checkpoint, 1);
    assert_int_equal(tensor->size, 10);
    assert_memory_equal(tensor->data, "\1\2\3\0\1\2\3\1\2\3", 10);
    model_checkpoint_free(checkpoint);

    /* One slice short, one too many, one of another tensor in between, a name again. */
    static const struct {
        const char *tags;
        size_t sizes[4];
        const char *refusal;
    } cases[] = {
        {"aa", {4, 3}, "fewer bytes"},     {"aab", {4, 3, 10}, "fewer bytes"},
        {"aaa", {4, 3, 4}, "fewer bytes"}, {"aaaa", {4, 3, 3, 1}, "earlier one"},
        {"aa", {10, 10}, "earlier one"},   {"aba", {10, 10, 10}, "earlier one"},
        {"aaa", {4, 0, 6}, "fewer bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        builder.size = 0;
        for (size_t s = 0; cases[i].tags[s]; s++) {
            const char tag[] = {cases[i].tags[s], '\0'};
            add(&builder, tag, "Int8", 2, dims, cases[i].sizes[s]);
        }
        assert_int_equal(parse(builder.bytes, builder.size, &err), MODEL_CORRUPT);
        assert_non_null(strstr(err.message, cases[i].refusal));
    }
}

static void test_mindspores_trailer_is_verified(void **unused)
{
    (void)unused;
    static uint8_t bytes[FILE_MAX];
    struct model_error err = {0};
    struct model_checkpoint *checkpoint = NULL;
    size_t size = LAB_SIZE;
    memcpy(bytes, saved, size);
    uLong crc = crc32(0, bytes, (uInt)size);
    memcpy(bytes + size, "crc_num\0\0\0\0\0\0", 13);
    for (unsigned i = 0; i < 4; i++) {
        bytes[size + 13 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    size += 17;
    assert_int_equal(checkpoint_parse(&checkpoint, bytes, size, "x", &err), MODEL_OK);
    assert_int_equal(model_checkpoint_completeness(checkpoint), MODEL_VERIFIED_TRAILER);
    assert_int_equal(model_checkpoint_count(checkpoint), LAB_ENTRIES);
    model_checkpoint_free(checkpoint);
    /* Any bit of data or number; in the mark itself it becomes a chunk that is none. */
    for (size_t bit = 8 * (LAB_SIZE - 50); bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(parse(bytes, size, &err), MODEL_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    /* A trailer alone is right about nothing. */
    assert_int_equal(parse((const uint8_t *)"crc_num\0\0\0\0\0\0\0\0\0\0", 17, &err),
                     MODEL_CORRUPT);
    assert_non_null(strstr(err.message, "no tensors"));
}

/* ---- loading what does not belong here ------------------------------------------------------- */

/* The lab's entries without those in `leave_out`, and `extra` behind. */
static size_t compose(uint8_t *bytes, const char *leave_out, const char *extra)
{
    size_t size = 0;
    for (size_t i = 0; i < LAB_ENTRIES; i++) {
        if (leave_out && strcmp(lab[i].tag, leave_out) == 0) {
            continue;
        }
        memcpy(bytes + size, saved + boundaries[i], boundaries[i + 1] - boundaries[i]);
        size += boundaries[i + 1] - boundaries[i];
    }
    if (extra) {
        struct builder builder = {.size = 0};
        add(&builder, extra, "Int32", 1, (const int64_t[]){1}, 4);
        memcpy(bytes + size, builder.bytes, builder.size);
        size += builder.size;
    }
    return size;
}

static void test_other_networks_are_refused_by_name(void **unused)
{
    (void)unused;
    static uint8_t bytes[FILE_MAX];
    static const struct {
        const char *leave_out;
        const char *extra;
        enum model_code code;
        const char *message;
    } cases[] = {
        {NULL, NULL, MODEL_OK, NULL},
        {NULL, "global_step", MODEL_OK, NULL},
        {NULL, "epoch_num", MODEL_OK, NULL},
        {NULL, "step_num", MODEL_OK, NULL},
        /* Not taken from moments.fc3.bias, as MindSpore would. */
        {"fc3.bias", NULL, MODEL_CORRUPT, "missing: fc3.bias; unexpected: none"},
        {"momentum", NULL, MODEL_CORRUPT, "missing: momentum; unexpected: none"},
        {NULL, "conv3.weight", MODEL_CORRUPT, "missing: none; unexpected: conv3.weight"},
        {"fc1.weight", "fc9.weight", MODEL_CORRUPT, "missing: fc1.weight; unexpected: fc9.weight"},
        {"fc3.bias", "fc3.bias", MODEL_CORRUPT, "of another shape or type: fc3.bias"},
        {"learning_rate", "learning_rate", MODEL_CORRUPT, "shape or type: learning_rate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_error err = {0};
        size_t size = compose(bytes, cases[i].leave_out, cases[i].extra);
        assert_int_equal(parse_and_load(bytes, size, &err), cases[i].code);
        if (cases[i].message) {
            assert_non_null(strstr(err.message, cases[i].message));
        }
    }
}

static void test_weights_only_judges_the_network_alone(void **unused)
{
    (void)unused;
    static uint8_t bytes[FILE_MAX];
    static const struct {
        const char *extra;
        enum model_code code;
    } cases[] = {
        {NULL, MODEL_OK},
        {"beta1_power", MODEL_OK},
        {"moment1.fc1.weight", MODEL_OK},
        {"bn1.gamma", MODEL_CORRUPT},
        {"backbone.fc9.weight", MODEL_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_checkpoint *checkpoint = NULL;
        struct builder builder = {.size = 0};
        size_t size = boundaries[8]; /* the eight network tensors and nothing of an optimizer */
        memcpy(bytes, saved, size);
        if (cases[i].extra) {
            add(&builder, cases[i].extra, "Float32", 1, (const int64_t[]){1}, 4);
            memcpy(bytes + size, builder.bytes, builder.size);
            size += builder.size;
        }
        assert_int_equal(checkpoint_parse(&checkpoint, bytes, size, "x", NULL), MODEL_OK);
        struct model *model = make_model(0.5f);
        assert_int_equal(model_load(model, checkpoint, true, NULL), cases[i].code);
        assert_int_equal(model_load(model, checkpoint, false, NULL), MODEL_CORRUPT);
        model_free(model);
        model_checkpoint_free(checkpoint);
    }
}

static void test_an_impossible_learning_rate_is_refused(void **unused)
{
    (void)unused;
    static uint8_t bytes[FILE_MAX];
    static const float rates[] = {NAN, INFINITY, -0.01f};
    size_t size = compose(bytes, NULL, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct model_error err = {0};
        memcpy(bytes + 247048 - sizeof rates[i], &rates[i], sizeof rates[i]);
        assert_int_equal(parse_and_load(bytes, size, &err), MODEL_CORRUPT);
        assert_non_null(strstr(err.message, "learning_rate"));
    }
}

static void test_long_lists_of_names_are_cut(void **unused)
{
    (void)unused;
    struct builder builder = {.size = 0};
    struct model_error err = {0};
    for (int i = 0; i < 50; i++) {
        char tag[64];
        snprintf(tag, sizeof tag, "a_layer_with_a_very_long_name_%d.w", i);
        add(&builder, tag, "Int8", 1, (const int64_t[]){1}, 1);
    }
    assert_int_equal(parse_and_load(builder.bytes, builder.size, &err), MODEL_CORRUPT);
    assert_non_null(strstr(err.message, "missing: conv1.weight, conv2.weight, "));
    assert_non_null(strstr(err.message, " more"));
}

static void test_state_that_cannot_be_is_refused(void **unused)
{
    (void)unused;
    struct model_error err = {0};
    struct model_checkpoint *checkpoint = NULL;
    struct model *model = make_model(0.01f);
    char other[160];
    snprintf(other, sizeof other, "%s/other.ckpt", folder);
    struct model_state wrong[3] = {made_state, made_state, made_state};
    wrong[0].step = wrong[0].steps_per_epoch + 1;
    wrong[1].base_step = wrong[1].cumulative_step + 1;
    snprintf(wrong[2].run, sizeof wrong[2].run, "../up");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(model_save(model, &wrong[i], other, &err), MODEL_OK);
        assert_int_equal(model_checkpoint_read(&checkpoint, other, &err), MODEL_CORRUPT);
        assert_non_null(strstr(err.message, "jobferry."));
    }
    model_free(model);
    assert_int_equal(unlink(other), 0);
}

/* ---- the disk ------------------------------------------------------------------------------- */

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
    /* tear_down's rmdir sees whether the temporary is gone. */
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
        cmocka_unit_test(test_weights_only_leaves_the_optimizer),
        cmocka_unit_test(test_saving_twice_gives_the_same_file_with_its_mode),
        cmocka_unit_test(test_a_flipped_bit_is_found),
        cmocka_unit_test(test_a_file_cut_between_chunks_is_found),
        cmocka_unit_test(test_a_file_cut_inside_a_chunk_is_found),
        cmocka_unit_test(test_bytes_behind_the_sum_are_found),
        cmocka_unit_test(test_a_lost_entry_is_found),
        cmocka_unit_test(test_what_is_no_checkpoint_file),
        cmocka_unit_test(test_one_entry_of_every_kind),
        cmocka_unit_test(test_packed_dims_are_accepted),
        cmocka_unit_test(test_slices_of_one_tensor_are_joined),
        cmocka_unit_test(test_mindspores_trailer_is_verified),
        cmocka_unit_test(test_other_networks_are_refused_by_name),
        cmocka_unit_test(test_weights_only_judges_the_network_alone),
        cmocka_unit_test(test_an_impossible_learning_rate_is_refused),
        cmocka_unit_test(test_long_lists_of_names_are_cut),
        cmocka_unit_test(test_state_that_cannot_be_is_refused),
        cmocka_unit_test(test_a_full_disk_leaves_the_old_file),
        cmocka_unit_test(test_a_missing_folder_is_the_disks_fault),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
