#include "lab_fixture.h"

#include <math.h>
#include <stdlib.h>

void lab_make_inputs(float *inputs)
{
    for (int64_t i = 0; i < LAB_INPUTS * LENET_INPUTS; i++) {
        inputs[i] = (float)((i * i * 7 + i * 13) % 181 - 27) / 64.0f;
    }
}

void lab_logits(const struct model *model, float *logits)
{
    static float inputs[LAB_INPUTS * LENET_INPUTS];
    lab_make_inputs(inputs);
    void *workspace = aligned_alloc(64, (lenet_reference.workspace_size + 63) / 64 * 64);
    if (!workspace) {
        abort();
    }
    lenet_reference_logits(&model->shape, model->weights, inputs, LAB_INPUTS, logits, workspace);
    free(workspace);
}

double lab_moments_sum(const struct model *model)
{
    double sum = 0.0;
    for (size_t i = 0; i < LENET_PARAMETERS; i++) {
        sum += fabs((double)model->moments[i]);
    }
    return sum;
}
