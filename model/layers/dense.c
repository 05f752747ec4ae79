/* Fully connected layer. */
#include "model/layers/layers.h"

#include <string.h>

#include "model/layers/gemm.h"

#include "model/model_banned.h"

void dense_forward(size_t images, size_t inputs, size_t outputs, const float *in,
                   const float *weight, const float *bias, float *out)
{
    for (size_t i = 0; i < images; i++) {
        memcpy(out + i * outputs, bias, outputs * sizeof *out);
    }
    gemm(GEMM_AS_IS, GEMM_TRANSPOSED, images, outputs, inputs, in, weight, GEMM_ADD, out);
}

void dense_backward(size_t images, size_t inputs, size_t outputs, const float *in,
                    const float *weight, const float *d_out, float *d_weight, float *d_bias,
                    float *d_in)
{
    gemm(GEMM_TRANSPOSED, GEMM_AS_IS, outputs, inputs, images, d_out, in, GEMM_SET, d_weight);
    memcpy(d_bias, d_out, outputs * sizeof *d_bias);
    for (size_t i = 1; i < images; i++) {
        for (size_t o = 0; o < outputs; o++) {
            d_bias[o] += d_out[i * outputs + o];
        }
    }
    gemm(GEMM_AS_IS, GEMM_AS_IS, images, inputs, outputs, d_out, weight, GEMM_SET, d_in);
}
