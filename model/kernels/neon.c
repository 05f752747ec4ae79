/* aarch64: 4 floats in a register, 32 registers, fused multiply-add. */
#include <arm_neon.h>

#include "model/kernels/lanes.h"

#include "model/kernels/quad.inc"

enum {
    ROW_LIMIT = 3,
    CONV1_OUTPUTS = 6,
    CONV2_OUTPUTS = 4,
    CONV2_LARGE = 16,
    DENSE_PARTS = 4,
    DENSE_TILE = 6,
    DENSE2_TILE = 6,
    DENSE3_TILE = 5,
    DENSE_DATA_TILE = 5,
    DENSE_WEIGHT_ROWS = 4,
    FC1_COLUMNS = 5,
    FC2_COLUMNS = 5,
    FC3_COLUMNS = 5,
    WINDOW_ROWS = 2,
    EVENT_SETS = 2
};

static inline vec vec_fma(vec a, vec b, vec c)
{
    return vfmaq_f32(c, a, b);
}

#define LANES_KERNELS lenet_neon
#define LANES_NAME    "neon"
#include "model/kernels/lanes_network.inc"
