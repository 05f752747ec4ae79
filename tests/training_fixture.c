#include "training_fixture.h"

struct model_dataset *training_images;
struct model_dataset *training_test_images;
static char folder[FIXTURE_PATH_MAX];

static struct model_dataset *open_split(enum model_split split)
{
    struct model_dataset *dataset = NULL;
    assert_int_equal(model_dataset_open(&dataset, folder, split, false, NULL), MODEL_OK);
    return dataset;
}

int training_set_up(void **state)
{
    (void)state;
    fixture_folder(folder);
    fixture_split(folder, "train", TRAINING_COUNT, 1);
    fixture_split(folder, "t10k", TRAINING_TEST_COUNT, 2);
    training_images = open_split(MODEL_TRAIN);
    training_test_images = open_split(MODEL_TEST);
    return 0;
}

int training_tear_down(void **state)
{
    (void)state;
    model_dataset_free(training_images);
    model_dataset_free(training_test_images);
    fixture_remove(folder);
    return 0;
}

struct model *training_model(const struct model_config *config)
{
    struct model *model = NULL;
    struct model_error err = {0};
    if (model_new(&model, config, &err) != MODEL_OK) {
        fail_msg("%s", err.message);
    }
    return model;
}

struct model *training_quick_model(unsigned threads)
{
    struct model_config config = MODEL_CONFIG_INIT;
    config.threads = threads;
    struct model *model = training_model(&config);
    for (size_t i = 0; i < LENET_PARAMETERS; i++) {
        model->weights[i] *= 10.0f;
    }
    return model;
}

struct model_state training_run(struct model *model, const struct model_state *start,
                                uint64_t epochs)
{
    struct model_training training = {.epochs = epochs};
    if (start) {
        training.start = *start;
    }
    struct model_state state;
    struct model_error err = {0};
    if (model_train(model, training_images, &training, &state, &err) != MODEL_OK) {
        fail_msg("%s", err.message);
    }
    return state;
}

void training_assert_same_bits(const struct model *a, const struct model *b)
{
    assert_memory_equal(a->weights, b->weights, LENET_PARAMETERS * sizeof(float));
    assert_memory_equal(a->moments, b->moments, LENET_PARAMETERS * sizeof(float));
    assert_memory_equal(a->second, b->second, LENET_PARAMETERS * sizeof(float));
}
