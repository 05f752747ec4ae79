#include "model/layers/gemm.h"

#include <cblas.h>

#include "model/model_banned.h"

void gemm_set_up(void)
{
    openblas_set_num_threads(1);
}

void gemm(enum gemm_operand a_operand, enum gemm_operand b_operand, size_t m, size_t n, size_t k,
          const float *a, const float *b, enum gemm_result result, float *c)
{
    bool a_flipped = a_operand == GEMM_TRANSPOSED;
    bool b_flipped = b_operand == GEMM_TRANSPOSED;
    cblas_sgemm(CblasRowMajor, a_flipped ? CblasTrans : CblasNoTrans,
                b_flipped ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f, a,
                (blasint)(a_flipped ? m : k), b, (blasint)(b_flipped ? k : n),
                result == GEMM_ADD ? 1.0f : 0.0f, c, (blasint)n);
}
