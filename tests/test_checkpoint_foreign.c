/* test_checkpoint_foreign.c - other .ckpt files: types, dims, slices, trailer, networks. */
#include "checkpoint_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

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
    assert_true(builder->size + wire_size(&entry) <= sizeof builder->bytes);
    builder->size += wire_pack(&entry, builder->bytes + builder->size);
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

static void test_other_files_are_no_checkpoints(void **unused)
{
    (void)unused;
    struct builder builder = {.size = 0};
    struct model_error err = {0};
    add(&builder, "a", "Int8", 1, (const int64_t[]){3}, 3);
    /* Every other first byte: another field, another wire type, a zip, a gzip, text. */
    for (unsigned first = 0; first < 256; first++) {
        builder.bytes[0] = (uint8_t)first;
        assert_int_equal(parse(builder.bytes, builder.size, &err),
                         first == 0x0A ? MODEL_OK : MODEL_CORRUPT);
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

    builder.size = 0;
    add(&builder, "a", "Int8", 2, dims, 4);
    add(&builder, "a", "UInt8", 2, dims, 6);
    assert_int_equal(parse(builder.bytes, builder.size, &err), MODEL_CORRUPT);

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
    memset(bytes + size, 0, 17);
    memcpy(bytes + size, (const char[7]){'c', 'r', 'c', '_', 'n', 'u', 'm'}, 7);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_entry_of_every_kind),
        cmocka_unit_test(test_other_files_are_no_checkpoints),
        cmocka_unit_test(test_packed_dims_are_accepted),
        cmocka_unit_test(test_slices_of_one_tensor_are_joined),
        cmocka_unit_test(test_mindspores_trailer_is_verified),
        cmocka_unit_test(test_other_networks_are_refused_by_name),
        cmocka_unit_test(test_weights_only_judges_the_network_alone),
        cmocka_unit_test(test_an_impossible_learning_rate_is_refused),
        cmocka_unit_test(test_long_lists_of_names_are_cut),
        cmocka_unit_test(test_state_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
