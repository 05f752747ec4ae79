#include "checkpoint_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char folder[64];
char path[128];
uint8_t saved[FILE_MAX];
size_t saved_size;
size_t boundaries[OUR_ENTRIES + 1];

const struct lab_entry lab[LAB_ENTRIES] = {
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

const struct model_state made_state = {.present = true,
                                       .run = "20261124T081500Z-k3f9qa",
                                       .epoch = 2,
                                       .step = 1000,
                                       .steps_per_epoch = 1875,
                                       .cumulative_step = 6625,
                                       .base_step = 3750,
                                       .seed = INT64_MAX,
                                       .batch_size = 32,
                                       .data_crc32 = 0xFEDCBA98,
                                       .kernels = "reference",
                                       .has_settings = true,
                                       .loss_scale = 1.0f,
                                       .beta1 = 0.9f,
                                       .beta2 = 0.999f,
                                       .eps = 1e-8f};

struct model *make_model(float learning_rate)
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

size_t read_file(const char *from, uint8_t *bytes)
{
    FILE *file = fopen(from, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, FILE_MAX, file);
    fclose(file);
    return size;
}

int fixture_set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/jobferry-checkpoint-XXXXXX");
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

int fixture_tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

enum model_code parse(const uint8_t *bytes, size_t size, struct model_error *err)
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

enum model_code parse_and_load(const uint8_t *bytes, size_t size, struct model_error *err)
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
