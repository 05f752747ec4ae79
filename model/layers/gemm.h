/*
 * gemm.h - dense matrix products; gemm.c is the only file that knows the BLAS.
 *
 * The products of a LeNet are far too small to be worth a BLAS's own threads, and the number of
 * those threads would change the order of sums. So the library is held to one thread, and our
 * workers call it from as many blocks of the batch as there are.
 */
#ifndef MODEL_GEMM_H
#define MODEL_GEMM_H

#include <stdbool.h>
#include <stddef.h>

enum gemm_operand {
    GEMM_AS_IS,
    GEMM_TRANSPOSED
};

/* What becomes of the result's old values. */
enum gemm_result {
    GEMM_SET, /* they are not read */
    GEMM_ADD
};

/* Holds the BLAS of this process to one thread a call. Once before the first product. */
void gemm_set_up(void);

/*
 * c[m][n] = op(a)[m][k] · op(b)[k][n], or c += it. Row-major, rows adjacent: a transposed operand
 * is stored as [k][m] or [n][k].
 */
void gemm(enum gemm_operand a_operand, enum gemm_operand b_operand, size_t m, size_t n, size_t k,
          const float *a, const float *b, enum gemm_result result, float *c);

#endif
