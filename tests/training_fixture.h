/*
 * training_fixture.h - two small datasets (mnist_fixture.h) and models to train on them.
 *
 * Failures of the fixture are failures of the test.
 */
#ifndef TRAINING_FIXTURE_H
#define TRAINING_FIXTURE_H

#include "mnist_fixture.h"

#include "model/model.h"
#include "model/training/blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    TRAINING_COUNT = 200, /* images: 6 batches of 32, and 8 that are dropped */
    TRAINING_STEPS = 6,
    TRAINING_TEST_COUNT = 90
};

extern struct model_dataset *training_images;
extern struct model_dataset *training_test_images;

/* cmocka's setup and teardown of a group: the datasets. */
int training_set_up(void **state);
int training_tear_down(void **state);

struct model *training_model(const struct model_config *config);

/* Weights ten times the lab's: they learn at once, without the lab's plateau of a thousand steps.
 */
struct model *training_quick_model(unsigned threads);

/* Trains to the end of the epochs; start may be NULL. */
struct model_state training_run(struct model *model, const struct model_state *start,
                                uint64_t epochs);

void training_assert_same_bits(const struct model *a, const struct model *b);

#endif
