/* Any machine with vectors of 4 floats and 16 registers, as every x86-64 (SSE2). */
#include "model/kernels/lanes.h"

#include "model/kernels/quad.inc"

enum {
    ROW_LIMIT = 1,
    CONV1_OUTPUTS = 3,
    CONV2_OUTPUTS = 3,
    CONV2_LARGE = 12,
    DENSE_PARTS = 4,
    DENSE_TILE = 2,
    DENSE2_TILE = 2,
    DENSE3_TILE = 2,
    DENSE_DATA_TILE = 2,
    DENSE_WEIGHT_ROWS = 2,
    FC1_COLUMNS = 5,
    FC2_COLUMNS = 5,
    FC3_COLUMNS = 5,
    WINDOW_ROWS = 1,
    EVENT_SETS = 1
};

static inline vec vec_fma(vec a, vec b, vec c)
{
    return a * b + c;
}

#define CONVOLVE_BY_PIXEL true
#define LANES_KERNELS     lenet_baseline
#define LANES_NAME        "baseline"
#include "model/kernels/lanes_network.inc"
