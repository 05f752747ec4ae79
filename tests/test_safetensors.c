/* test_safetensors.c - the other format: round trip, sums, and headers that mean harm. */
#include "checkpoint_fixture.h"
#include "model/checkpoint/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char file[160];

static void save(const struct model_saving *saving, const struct model_state *state)
{
    struct model *model = make_model(0.01f);
    struct model_error err = {0};
    snprintf(file, sizeof file, "%s/lenet-2_1000.safetensors", folder);
    assert_int_equal(model_save_as(model, state, saving, file, &err), MODEL_OK);
    model_free(model);
}

static struct model_checkpoint *read_back(const char *from)
{
    struct model_checkpoint *checkpoint = NULL;
    struct model_error err = {0};
    enum model_code code = model_checkpoint_read(&checkpoint, from, &err);
    if (code != MODEL_OK) {
        fail_msg("%s", err.message);
    }
    return checkpoint;
}

/* ---- ours ------------------------------------------------------------------------------------ */

static void test_holds_what_a_ckpt_holds(void **state)
{
    (void)state;
    const struct model_saving saving = {.format = MODEL_FORMAT_SAFETENSORS};
    save(&saving, &made_state);
    struct model_checkpoint *ckpt = read_back(path);
    struct model_checkpoint *other = read_back(file);
    assert_int_equal(model_checkpoint_completeness(other), MODEL_VERIFIED_OWN);
    assert_int_equal(model_checkpoint_count(other), model_checkpoint_count(ckpt));
    for (size_t i = 0; i < model_checkpoint_count(ckpt); i++) {
        const struct model_tensor *a = model_checkpoint_tensor(ckpt, i);
        const struct model_tensor *b = model_checkpoint_tensor(other, i);
        assert_string_equal(a->name, b->name);
        assert_string_equal(a->type, b->type);
        assert_int_equal(a->rank, b->rank);
        for (size_t d = 0; d < a->rank; d++) {
            assert_int_equal(a->dims[d], b->dims[d]);
        }
        assert_int_equal(a->size, b->size);
        assert_memory_equal(a->data, b->data, a->size);
    }
    struct model_state got;
    model_checkpoint_state(other, &got);
    assert_memory_equal(&got, &made_state, sizeof got);
    struct model *model = make_model(0.5f);
    struct model *wanted = make_model(0.01f);
    assert_int_equal(model_load(model, other, false, NULL), MODEL_OK);
    assert_memory_equal(model->weights, wanted->weights, LENET_PARAMETERS * sizeof(float));
    assert_memory_equal(model->moments, wanted->moments, LENET_PARAMETERS * sizeof(float));
    assert_true(model_learning_rate(model) == 0.01f);
    model_free(model);
    model_free(wanted);
    model_checkpoint_free(ckpt);
    model_checkpoint_free(other);
    unlink(file);
}

static void test_bytes_are_the_formats(void **state)
{
    (void)state;
    static uint8_t bytes[FILE_MAX];
    const struct model_saving saving = {.format = MODEL_FORMAT_SAFETENSORS, .weights_only = true};
    save(&saving, NULL);
    size_t size = read_file(file, bytes);
    uint64_t length = 0;
    for (size_t i = 0; i < 8; i++) {
        length |= (uint64_t)bytes[i] << (8 * i);
    }
    assert_int_equal(length % 8, 0);
    assert_int_equal(size, 8 + length + 61684 * sizeof(float));
    static const char metadata[] = "\",\"format\":\"ms\"},\"conv1.weight\":{\"dtype\":\"F32\","
                                   "\"shape\":[6,1,5,5],\"data_offsets\":[0,600]},"
                                   "\"conv2.weight\":{\"dtype\":\"F32\",\"shape\":[16,6,5,5],"
                                   "\"data_offsets\":[600,10200]},";
    assert_memory_equal(bytes + 8, SAFETENSORS_OURS, strlen(SAFETENSORS_OURS));
    assert_memory_equal(bytes + 8 + strlen(SAFETENSORS_OURS) + 8, metadata, strlen(metadata));
    struct model_checkpoint *checkpoint = read_back(file);
    assert_int_equal(model_checkpoint_count(checkpoint), LENET_TENSORS);
    struct model *model = make_model(0.5f);
    assert_int_equal(model_load(model, checkpoint, true, NULL), MODEL_OK);
    model_free(model);
    model_checkpoint_free(checkpoint);
    unlink(file);
}

static void test_every_cut_and_flip_is_seen(void **state)
{
    (void)state;
    static uint8_t bytes[FILE_MAX];
    struct model_error err;
    const struct model_saving saving = {.format = MODEL_FORMAT_SAFETENSORS};
    save(&saving, &made_state);
    size_t size = read_file(file, bytes);
    unlink(file);
    assert_int_equal(parse(bytes, size, &err), MODEL_OK);
    for (size_t i = 0; i < size; i += i < 4096 ? 1 : 9973) {
        bytes[i] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(parse(bytes, size, &err), MODEL_CORRUPT);
        bytes[i] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(parse(bytes, i, &err), MODEL_CORRUPT);
    }
    assert_int_equal(parse(bytes, size - 1, &err), MODEL_CORRUPT);
    bytes[size] = 0;
    assert_int_equal(parse(bytes, size + 1, &err), MODEL_CORRUPT);
}

/* MindSpore would make as many zeros as data_crc32 and seed say: gigabytes. */
static void test_mindspores_sum_is_for_weights(void **state)
{
    (void)state;
    struct model *model = make_model(0.01f);
    struct model_error err = {0};
    struct model_saving saving = {.format = MODEL_FORMAT_SAFETENSORS, .crc_check = true};
    snprintf(file, sizeof file, "%s/crc.safetensors", folder);
    assert_int_equal(model_save_as(model, &made_state, &saving, file, &err), MODEL_ARGUMENT);
    assert_int_not_equal(access(file, F_OK), 0);
    saving.weights_only = true;
    assert_int_equal(model_save_as(model, NULL, &saving, file, &err), MODEL_OK);
    model_checkpoint_free(read_back(file));
    unlink(file);
    model_free(model);
}

static void test_a_broken_write_leaves_nothing(void **state)
{
    (void)state;
    const struct model_saving saving = {.format = MODEL_FORMAT_SAFETENSORS};
    struct model *model = make_model(0.01f);
    struct model_error err = {0};
    snprintf(file, sizeof file, "%s/none/some.safetensors", folder);
    assert_int_equal(model_save_as(model, &made_state, &saving, file, &err), MODEL_DISK);
    model_free(model);
}

/* ---- others' --------------------------------------------------------------------------------- */

/* Parses a file of a header and some bytes of data. */
static enum model_code parse_made(const char *json, size_t data, struct model_error *err)
{
    static uint8_t bytes[FILE_MAX];
    uint64_t length = strlen(json);
    *err = (struct model_error){0};
    memcpy(bytes, &length, 8);
    snprintf((char *)bytes + 8, sizeof bytes - 8, "%s", json);
    memset(bytes + 8 + length, 7, data);
    struct model_checkpoint *checkpoint = NULL;
    enum model_code code =
        checkpoint_parse(&checkpoint, bytes, 8 + length + data, "some.safetensors", err);
    assert_int_equal(code == MODEL_OK, checkpoint != NULL);
    model_checkpoint_free(checkpoint);
    return code;
}

#define TENSOR(name, dtype, shape, from, to)                                                     \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to \
    "]}"

static void test_files_of_others_are_taken(void **state)
{
    (void)state;
    struct model_error err;
    assert_int_equal(
        parse_made("{" TENSOR("b", "F32", "[2]", 2, 10) "," TENSOR("a", "U8", "[2]", 0, 2) "}   ",
                   10, &err),
        MODEL_OK);
    assert_int_equal(
        parse_made("{\"__metadata__\":{\"format\":\"pt\"}," TENSOR(
                       "x", "BF16", "[]", 0, 2) "," TENSOR("e", "F32", "[0,3]", 2, 2) "}",
                   2, &err),
        MODEL_OK);
    /* The order of dtype, shape and data_offsets is free; escapes are JSON's. */
    assert_int_equal(parse_made("{\"\\u00e4\": {\"data_offsets\": [0, 1], \"shape\": [1], "
                                "\"dtype\": \"BOOL\"}}",
                                1, &err),
                     MODEL_OK);
}

static void test_headers_that_mean_harm_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        size_t data;
        const char *says;
    } cases[] = {
        {"[]", 0, "begins with '{'"},
        {" {}", 0, "begins with '{'"},
        {"{}", 0, "no tensors"},
        {"{}", 3, "end at byte 0 of 3"},
        {"{", 0, "no JSON object"},
        {"{}{}", 0, "no JSON object"},
        {"{\"a\":3}", 0, "dtype, shape and data_offsets"},
        {"{" TENSOR("", "U8", "[1]", 0, 1) "}", 1, "a name that is not readable"},
        {"{" TENSOR("a\\n", "U8", "[1]", 0, 1) "}", 1, "a name that is not readable"},
        {"{" TENSOR("a\\u0000", "U8", "[1]", 0, 1) "}", 1, "no JSON object"},
        {"{" TENSOR("a", "F8_E4M3", "[1]", 0, 1) "}", 1, "a dtype that is not known"},
        {"{" TENSOR("a", "", "[1]", 0, 4) "}", 4, "a dtype that is not known"},
        {"{" TENSOR("a", "U8", "[-1]", 0, 1) "}", 1, "a shape that cannot be"},
        {"{" TENSOR("a", "U8", "[1.0]", 0, 1) "}", 1, "a shape that cannot be"},
        {"{" TENSOR("a", "U8", "3", 0, 3) "}", 3, "a shape that cannot be"},
        {"{" TENSOR("a", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, "a shape that cannot be"},
        {"{" TENSOR("a", "F64", "[1073741824,1073741824,1073741824]", 0, 0) "}", 0,
         "a shape that cannot be"},
        {"{" TENSOR("a", "U8", "[9223372036854775807]", 0, 1) "}", 1, "a shape that cannot be"},
        {"{" TENSOR("a", "U8", "[99999999999999999999]", 0, 1) "}", 1, "no JSON object"},
        {"{" TENSOR("a", "F32", "[1]", 0, 3) "}", 3, "of another size"},
        {"{" TENSOR("a", "U8", "[1]", 1, 0) "}", 1, "data_offsets that cannot be"},
        {"{" TENSOR("a", "U8", "[1]", -1, 0) "}", 1, "data_offsets that cannot be"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1,
         "data_offsets that cannot be"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":0}}", 1,
         "something else"},
        {"{" TENSOR("a", "U8", "[2]", 0, 2) "," TENSOR("b", "U8", "[2]", 1, 3) "}", 3,
         "b has the bytes 1 to 3"},
        {"{" TENSOR("a", "U8", "[1]", 0, 1) "," TENSOR("b", "U8", "[1]", 2, 3) "}", 3,
         "b has the bytes 2 to 3"},
        {"{" TENSOR("a", "U8", "[1]", 1, 2) "}", 2, "a has the bytes 1 to 2"},
        {"{" TENSOR("a", "U8", "[4]", 0, 4) "}", 3, "cut off"},
        {"{" TENSOR("a", "U8", "[4]", 0, 4) "}", 5, "end at byte 4 of 5"},
        {"{" TENSOR("a", "U8", "[1]", 0, 1) "," TENSOR("a", "U8", "[1]", 1, 2) "}", 2,
         "no JSON object"},
        {"{\"__metadata__\":[]," TENSOR("a", "U8", "[1]", 0, 1) "}", 1,
         "something else than texts"},
        {"{\"__metadata__\":{\"a\":1}," TENSOR("a", "U8", "[1]", 0, 1) "}", 1,
         "something else than texts"},
        {"{\"__metadata__\":{\"crc_num\":\"1\"}," TENSOR("a", "U8", "[1]", 0, 1) "}", 1,
         "crc_num in its metadata"},
        {"{\"__metadata__\":{\"jobferry.crc32\":\"00000000\"}," TENSOR("a", "U8", "[1]", 0, 1) "}",
         1, "does not fit the file"},
        {"{\"__metadata__\":{\"x\":\"\",\"jobferry.crc32\":\"0\"}," TENSOR("a", "U8", "[1]", 0,
                                                                           1) "}",
         1, "does not fit the file"},
        {"{" TENSOR("jobferry.step", "I64", "[]", 0, 8) "}", 8, "without jobferry.crc32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_error err;
        enum model_code code = parse_made(cases[i].json, cases[i].data, &err);
        if (code != MODEL_CORRUPT || !strstr(err.message, cases[i].says)) {
            fail_msg("%s: code %d, %s", cases[i].json, (int)code, err.message);
        }
    }
}

static void test_bombs_are_refused(void **state)
{
    (void)state;
    struct model_error err;
    static char json[FILE_MAX / 2];
    size_t used = (size_t)snprintf(json, sizeof json, "{\"a\":");
    memset(json + used, '[', sizeof json - 1 - used);
    assert_int_equal(parse_made(json, 0, &err), MODEL_CORRUPT); /* depth */
    used = (size_t)snprintf(json, sizeof json, "{\"__metadata__\":{}");
    for (unsigned i = 0; i <= CHECKPOINT_ENTRIES_MAX; i++) {
        used += (size_t)snprintf(json + used, sizeof json - used, ",\"%u\":{}", i);
    }
    snprintf(json + used, sizeof json - used, "}");
    assert_int_equal(parse_made(json, 0, &err), MODEL_CORRUPT);
    assert_non_null(strstr(err.message, "more than 16384"));
    /* Lengths: of all kinds, in a file of few bytes, told apart by its name. */
    static const uint64_t lengths[] = {2, 3, 1u << 21, (1u << 21) + 1, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t few[10] = "........{}";
        struct model_checkpoint *checkpoint = NULL;
        memcpy(few, &lengths[i], 8);
        assert_int_equal(checkpoint_parse(&checkpoint, few, 10, "x.safetensors", &err),
                         MODEL_CORRUPT);
        assert_null(checkpoint);
    }
    for (size_t size = 1; size < 9; size++) {
        struct model_checkpoint *checkpoint = NULL;
        assert_int_equal(checkpoint_parse(&checkpoint, (const uint8_t *)"\0\0\0\0\0\0\0\0{", size,
                                          "x.safetensors", &err),
                         MODEL_CORRUPT);
    }
}

/* Every type as MindSpore 2.10 writes it, with its sum; epoch_num is a scalar of the odd kind. */
static void test_mindspores_own_file(void **state)
{
    (void)state;
    struct model_checkpoint *checkpoint =
        read_back(TEST_SOURCE_DIR "/tests/data/mindspore-2.10-types.safetensors");
    assert_int_equal(model_checkpoint_completeness(checkpoint), MODEL_VERIFIED_TRAILER);
    assert_non_null(checkpoint_find(checkpoint, "Float16"));
    const struct model_tensor *scalar = checkpoint_find(checkpoint, "epoch_num");
    assert_non_null(scalar);
    assert_int_equal(scalar->rank, 0);
    assert_int_equal(*(const int64_t *)scalar->data, 3);
    model_checkpoint_free(checkpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds_what_a_ckpt_holds),
        cmocka_unit_test(test_bytes_are_the_formats),
        cmocka_unit_test(test_every_cut_and_flip_is_seen),
        cmocka_unit_test(test_mindspores_sum_is_for_weights),
        cmocka_unit_test(test_a_broken_write_leaves_nothing),
        cmocka_unit_test(test_files_of_others_are_taken),
        cmocka_unit_test(test_headers_that_mean_harm_are_refused),
        cmocka_unit_test(test_bombs_are_refused),
        cmocka_unit_test(test_mindspores_own_file),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
