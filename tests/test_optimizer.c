/*
 * test_optimizer.c - Momentum, SGD, Adam and the schedules of learning rates against numbers of a
 * real MindSpore (tests/mindspore/make_optimizers.py); their state in checkpoints; exact resume.
 */
#include "training_fixture.h"

#include "model/checkpoint/checkpoint.h"
#include "model/training/optimizer.h"
#include "model/training/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define GOLDEN TEST_SOURCE_DIR "/tests/data/mindspore-2.10-optimizers.txt"

enum {
    VALUES = 8
};

static float weight_at(int i)
{
    return (float)(i * 37 % 17 - 8) / 8.0f;
}

static float gradient_at(int step, int i)
{
    return (float)((step * 5 + i * 11) % 13 - 6) / 32.0f;
}

/* MindSpore's kernels may fuse a multiplication and an addition, and compute cosines in float32.
 */
static void assert_near(const char *what, double expected, double got)
{
    if (!(fabs(expected - got) <= 1e-6 * fabs(expected) + 5e-9)) {
        fail_msg("%s: MindSpore has %.9g, we %.9g", what, expected, got);
    }
}

/* ---- formulas -------------------------------------------------------------------------------- */

struct scene {
    struct model model;
    float gradients[VALUES], first[VALUES], second[VALUES], weights[VALUES];
    int step;
    char name[128];
};

static void begin_case(struct scene *scene, const char *line)
{
    struct model_config config = MODEL_CONFIG_INIT;
    char kind[16];
    char key[24];
    double value = 0.0;
    int used = 0;
    assert_int_equal(sscanf(line, "case %15s%n", kind, &used), 1);
    config.optimizer = strcmp(kind, "Adam") == 0  ? MODEL_ADAM
                       : strcmp(kind, "SGD") == 0 ? MODEL_SGD
                                                  : MODEL_MOMENTUM;
    config.momentum = 0.0f;
    int more = 0;
    for (const char *at = line + used; sscanf(at, "%23s %lf%n", key, &value, &more) == 2;
         at += more) {
        float number = (float)value;
        if (strcmp(key, "use_nesterov") == 0 || strcmp(key, "nesterov") == 0) {
            config.use_nesterov = true;
            continue;
        }
        float *const places[] = {&config.learning_rate, &config.momentum,  &config.weight_decay,
                                 &config.loss_scale,    &config.dampening, &config.beta1,
                                 &config.beta2,         &config.eps};
        static const char *const names[] = {"learning_rate", "momentum",  "weight_decay",
                                            "loss_scale",    "dampening", "beta1",
                                            "beta2",         "eps"};
        size_t i = 0;
        while (i < 8 && strcmp(names[i], key) != 0) {
            i++;
        }
        assert_true(i < 8);
        *places[i] = number;
    }
    *scene = (struct scene){.model = {.config = config, .beta1_power = 1, .beta2_power = 1}};
    snprintf(scene->name, sizeof scene->name, "%.*s", (int)strcspn(line, "\n"), line);
    for (int i = 0; i < VALUES; i++) {
        scene->weights[i] = weight_at(i);
        scene->second[i] = config.optimizer == MODEL_SGD ? 1.0f : 0.0f;
    }
}

static void take_step(struct scene *scene)
{
    struct optimizer_rule rule = optimizer_begin(&scene->model);
    for (int i = 0; i < VALUES; i++) {
        scene->gradients[i] = gradient_at(scene->step, i) * scene->model.config.loss_scale;
    }
    /* In two parts, which must not show. */
    bool finite =
        optimizer_step(&rule, 3, scene->gradients, scene->first, scene->second, scene->weights);
    finite = optimizer_step(&rule, VALUES - 3, scene->gradients + 3, scene->first + 3,
                            scene->second + 3, scene->weights + 3) &&
             finite;
    assert_true(finite);
    optimizer_end(&scene->model, &rule);
    scene->step++;
}

static void compare(const struct scene *scene, const char *numbers, const float *values)
{
    char *at = NULL;
    for (int i = 0; i < VALUES; i++) {
        assert_near(scene->name, strtod(numbers, &at), (double)values[i]);
        assert_ptr_not_equal(at, numbers);
        numbers = at;
    }
}

static void compare_state(const struct scene *scene, const char *line)
{
    const struct optimizer_entries *entries = &optimizer_entries[scene->model.config.optimizer];
    char name[32];
    int used = 0;
    assert_int_equal(sscanf(line, "state %31s%n", name, &used), 1);
    double value = strtod(line + used, NULL);
    if (strcmp(name, "global_step") == 0) {
        assert_near(name, value, (double)scene->model.global_step);
        return;
    }
    char *dot = strchr(name, '.');
    if (!dot) {
        bool first = strcmp(name, entries->scalars[0]) == 0;
        assert_true(first || strcmp(name, entries->scalars[1]) == 0);
        assert_near(name, value, (double)*optimizer_scalar(&scene->model, first ? 0 : 1));
        return;
    }
    *dot = '\0';
    bool first = strcmp(name, entries->blocks[0]) == 0;
    assert_true(first || strcmp(name, entries->blocks[1]) == 0);
    compare(scene, line + used, first ? scene->first : scene->second);
}

static void optimizers_do_as_mindspores(void **state)
{
    (void)state;
    struct scene scene = {.step = 0};
    char line[512];
    size_t cases = 0;
    FILE *file = fopen(GOLDEN, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) && strncmp(line, "schedule", 8) != 0) {
        if (strncmp(line, "case ", 5) == 0) {
            begin_case(&scene, line);
            cases++;
        } else if (strncmp(line, "weights ", 8) == 0) {
            take_step(&scene);
            compare(&scene, line + 8, scene.weights);
        } else if (strncmp(line, "state ", 6) == 0) {
            compare_state(&scene, line);
        }
    }
    fclose(file);
    assert_int_equal(cases, 14);
}

/* ---- schedules ------------------------------------------------------------------------------- */

static void compare_schedule(const char *line, const char *numbers)
{
    struct model_schedule schedule = {.kind = MODEL_SCHEDULE_CONSTANT};
    double rate = 0.0;
    double least = 0.0;
    unsigned long steps = 0;
    struct model *model = training_quick_model(1);
    if (sscanf(line, "schedule warmup %lf %lu", &rate, &steps) == 2) {
        schedule.warmup_steps = steps;
    } else if (sscanf(line, "schedule cosine %lf %lf %lu", &rate, &least, &steps) == 3) {
        schedule.kind = MODEL_SCHEDULE_COSINE;
        schedule.min_lr = (float)least;
        schedule.decay_steps = steps;
    } else if (sscanf(line, "schedule step %lf %lf %lu", &rate, &least, &steps) == 3) {
        schedule.kind = MODEL_SCHEDULE_STEP;
        schedule.decay_rate = (float)least;
        schedule.decay_steps = steps;
    } else {
        const float table[3] = {0.3f, 0.2f, 0.1f};
        float *rates = malloc(sizeof table);
        assert_non_null(rates);
        memcpy(rates, table, sizeof table);
        schedule_take(model, rates, 3, 0);
    }
    if (steps) {
        assert_int_equal(model_set_schedule(model, &schedule, (float)rate, 12, 0, NULL), MODEL_OK);
    }
    char *at = NULL;
    for (double expected = strtod(numbers, &at); at != numbers; expected = strtod(numbers, &at)) {
        assert_near(line, expected, (double)model_learning_rate(model));
        model->global_step++;
        numbers = at;
    }
    /* Beyond its end a table's last rate goes on. */
    assert_true(model->global_step == model->rate_count);
    assert_true(model_learning_rate(model) == model->rates[model->rate_count - 1]);
    model_free(model);
}

static void schedules_are_mindspores(void **state)
{
    (void)state;
    char line[512];
    char schedule[512] = "";
    size_t count = 0;
    FILE *file = fopen(GOLDEN, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "schedule ", 9) == 0) {
            snprintf(schedule, sizeof schedule, "%s", line);
        } else if (strncmp(line, "rates ", 6) == 0) {
            compare_schedule(schedule, line + 6);
            count++;
        }
    }
    fclose(file);
    assert_int_equal(count, 4);
}

static void a_decay_begins_after_the_warm_up(void **state)
{
    (void)state;
    struct model *model = training_quick_model(1);
    const struct model_schedule schedule = {
        .kind = MODEL_SCHEDULE_STEP, .warmup_steps = 2, .decay_steps = 2, .decay_rate = 0.5f};
    static const float expected[] = {0.0f, 0.5f, 1.0f, 1.0f, 0.5f, 0.5f, 0.25f};
    assert_int_equal(model_set_schedule(model, &schedule, 1.0f, 7, 0, NULL), MODEL_OK);
    for (size_t i = 0; i < 7; i++) {
        assert_true(model->rates[i] == expected[i]);
    }
    model_set_learning_rate(model, 0.125f);
    assert_false(model_has_schedule(model));
    assert_true(model_learning_rate(model) == 0.125f);
    model_free(model);
}

static void bad_schedules_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct model_schedule schedule;
        uint64_t steps;
        const char *message;
    } cases[] = {
        {{.kind = MODEL_SCHEDULE_CONSTANT}, 0, "has 1 to 4194304 steps, not 0"},
        {{.kind = MODEL_SCHEDULE_CONSTANT}, SCHEDULE_STEPS_MAX + 1, "not 4194305"},
        {{.kind = MODEL_SCHEDULE_STEP, .decay_rate = 0.1f}, 9, "decay_steps is 0"},
        {{.kind = MODEL_SCHEDULE_COSINE}, 9, "decay_steps is 0"},
        {{.kind = MODEL_SCHEDULE_STEP, .decay_steps = 3}, 9, "decay_rate is 0"},
        {{.kind = MODEL_SCHEDULE_STEP, .decay_steps = 3, .decay_rate = -1}, 9, "decay_rate is -1"},
        {{.kind = MODEL_SCHEDULE_STEP, .decay_steps = 3, .decay_rate = NAN},
         9,
         "decay_rate is nan"},
        {{.kind = MODEL_SCHEDULE_COSINE, .decay_steps = 3, .min_lr = -1}, 9, "min_lr is -1"},
        {{.kind = MODEL_SCHEDULE_COSINE, .decay_steps = 3, .min_lr = NAN}, 9, "min_lr is nan"},
        {{.kind = MODEL_SCHEDULE_COSINE, .decay_steps = 3, .min_lr = 0.1f}, 9, "less than the"},
    };
    struct model *model = training_quick_model(1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_error err = {0};
        assert_int_equal(
            model_set_schedule(model, &cases[i].schedule, 0.1f, cases[i].steps, 0, &err),
            MODEL_ARGUMENT);
        if (!strstr(err.message, cases[i].message)) {
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].message);
        }
        assert_false(model_has_schedule(model));
    }
    model_free(model);
}

/* ---- checkpoints, and resume ----------------------------------------------------------------- */

enum {
    WAYS = 4 /* momentum, sgd, adam, adam with a schedule */
};

static struct model *make_way(int way)
{
    static const enum model_optimizer optimizers[WAYS] = {MODEL_MOMENTUM, MODEL_SGD, MODEL_ADAM,
                                                          MODEL_ADAM};
    static const float rates[WAYS] = {0.05f, 0.05f, 0.001f, 0.002f};
    struct model_config config = MODEL_CONFIG_INIT;
    config.threads = 1;
    config.optimizer = optimizers[way];
    config.learning_rate = rates[way];
    return training_model(&config);
}

static void give_schedule(struct model *model, int way)
{
    const struct model_schedule cosine = {
        .kind = MODEL_SCHEDULE_COSINE, .warmup_steps = 3, .decay_steps = 3 * TRAINING_STEPS};
    if (way == WAYS - 1) {
        assert_int_equal(model_set_schedule(model, &cosine, 0.002f, 3 * TRAINING_STEPS, 0, NULL),
                         MODEL_OK);
    }
}

static void save_and_load(const struct model *from, struct model *to, enum model_format format)
{
    char path[] = "/tmp/jobferry-optimizer-XXXXXX";
    const struct model_saving saving = {.format = format};
    struct model_checkpoint *checkpoint = NULL;
    struct model_error err = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    if (model_save_as(from, NULL, &saving, path, &err) != MODEL_OK ||
        model_checkpoint_read(&checkpoint, path, &err) != MODEL_OK ||
        model_load(to, checkpoint, false, &err) != MODEL_OK) {
        fail_msg("%s", err.message);
    }
    model_checkpoint_free(checkpoint);
    unlink(path);
}

static void every_optimizer_resumes_exactly(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        struct model *whole = make_way(way);
        give_schedule(whole, way);
        training_run(whole, NULL, 3);
        for (int format = 0; format < 2; format++) {
            struct model *first = make_way(way);
            give_schedule(first, way);
            struct model_state half = training_run(first, NULL, 1);
            struct model *second = make_way(way);
            save_and_load(first, second, (enum model_format)format);
            assert_int_equal(model_has_schedule(second), way == WAYS - 1);
            training_run(second, &half, 3);
            training_assert_same_bits(whole, second);
            assert_true(whole->beta1_power == second->beta1_power);
            assert_true(model_learning_rate(whole) == model_learning_rate(second));
            model_free(first);
            model_free(second);
        }
        model_free(whole);
    }
}

static void another_optimizers_state_is_not_taken(void **state)
{
    (void)state;
    struct model *adam = make_way(2);
    struct model *momentum = make_way(0);
    struct model *untouched = make_way(0);
    char path[] = "/tmp/jobferry-optimizer-XXXXXX";
    struct model_checkpoint *checkpoint = NULL;
    struct model_error err = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    training_run(adam, NULL, 1);
    const struct model_state end = {.present = false};
    assert_int_equal(model_save(adam, &end, path, &err), MODEL_OK);
    assert_int_equal(model_checkpoint_read(&checkpoint, path, &err), MODEL_OK);
    assert_int_equal(model_load(momentum, checkpoint, false, &err), MODEL_CONFIG);
    assert_non_null(strstr(err.message, "the state of adam, and the optimizer is momentum"));
    training_assert_same_bits(untouched, momentum);
    assert_int_equal(model_load(momentum, checkpoint, true, &err), MODEL_OK);
    assert_memory_equal(adam->weights, momentum->weights, LENET_PARAMETERS * sizeof(float));
    model_checkpoint_free(checkpoint);
    unlink(path);
    model_free(adam);
    model_free(momentum);
    model_free(untouched);
}

static void entries_lie_as_mindspores(void **state)
{
    (void)state;
    static struct checkpoint_content content;
    struct model *model = make_way(WAYS - 1);
    give_schedule(model, WAYS - 1);
    checkpoint_gather(&content, model, NULL, false);
    static const struct {
        size_t at;
        const char *name;
    } expected[] = {
        {7, "fc3.bias"},          {8, "global_step"},           {9, "beta1_power"},
        {10, "beta2_power"},      {11, "moment1.conv1.weight"}, {19, "moment2.conv1.weight"},
        {26, "moment2.fc3.bias"}, {27, "learning_rate"}};
    assert_int_equal(content.count, 28);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_string_equal(content.tensors[expected[i].at].name, expected[i].name);
    }
    assert_int_equal(content.tensors[27].dims[0], 3 * TRAINING_STEPS);
    assert_string_equal(content.tensors[8].type, "Int32");
    model_free(model);
    model = make_way(1);
    checkpoint_gather(&content, model, NULL, false);
    assert_int_equal(content.count, 26);
    assert_string_equal(content.tensors[8].name, "learning_rate");
    assert_string_equal(content.tensors[9].name, "momentum");
    assert_string_equal(content.tensors[10].name, "accum.conv1.weight");
    assert_string_equal(content.tensors[18].name, "stat.conv1.weight");
    model_free(model);
}

static void bad_numbers_are_refused(void **state)
{
    (void)state;
    struct model_config configs[6];
    static const char *const messages[6] = {"dampening is -1", "beta1 is 1",   "beta2 is 0",
                                            "eps is 0",        "sgd with use", "sgd with use"};
    for (size_t i = 0; i < 6; i++) {
        configs[i] = (struct model_config)MODEL_CONFIG_INIT;
        configs[i].optimizer = i < 4 ? MODEL_ADAM : MODEL_SGD;
        configs[i].use_nesterov = i >= 4;
    }
    configs[0].dampening = -1.0f;
    configs[1].beta1 = 1.0f;
    configs[2].beta2 = 0.0f;
    configs[3].eps = 0.0f;
    configs[4].momentum = 0.0f;
    configs[5].dampening = 0.5f;
    for (size_t i = 0; i < 6; i++) {
        struct model *model = NULL;
        struct model_error err = {0};
        assert_int_equal(model_new(&model, &configs[i], &err), MODEL_ARGUMENT);
        assert_non_null(strstr(err.message, messages[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimizers_do_as_mindspores),
        cmocka_unit_test(schedules_are_mindspores),
        cmocka_unit_test(a_decay_begins_after_the_warm_up),
        cmocka_unit_test(bad_schedules_are_refused),
        cmocka_unit_test(every_optimizer_resumes_exactly),
        cmocka_unit_test(another_optimizers_state_is_not_taken),
        cmocka_unit_test(entries_lie_as_mindspores),
        cmocka_unit_test(bad_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, training_set_up, training_tear_down);
}
