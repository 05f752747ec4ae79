/* lab_fixture.h - inputs and sums that C and tests/mindspore/lab.py make alike. */
#ifndef LAB_FIXTURE_H
#define LAB_FIXTURE_H

#include "model/training/lenet.h"

enum {
    LAB_INPUTS = 4
};

/* lab.py's make_inputs: inputs[LAB_INPUTS][32][32], already as the network sees them. */
void lab_make_inputs(float *inputs);

/* logits[LAB_INPUTS][10] of those, by lenet_reference. */
void lab_logits(const struct model *model, float *logits);

/* The sum of the moments' absolute values. */
double lab_moments_sum(const struct model *model);

#endif
