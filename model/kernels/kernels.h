/*
 * kernels.h - which struct lenet_kernels this machine can run, by name.
 *
 *   reference   im2col + OpenBLAS, what the others are compared with
 *   avx512      x86-64-v4            baseline   any machine (SSE2 on x86-64)
 *   avx2        x86-64-v3            neon       aarch64
 *
 * "auto" is the best of the machine, never reference. Results of one of them are the same bits on
 * every machine of its kind; those of two differ in the last places, which is why the name of the
 * one that was used, never "auto", rides in the checkpoint.
 */
#ifndef MODEL_KERNELS_H
#define MODEL_KERNELS_H

#include "model/training/lenet.h"

/* NULL or "" is auto. MODEL_ARGUMENT for an unknown name, and for one that this build or this
   processor has not, which is then listed beside those it has. */
enum model_code kernels_find(const struct lenet_kernels **kernels, const char *name,
                             struct model_error *err);

/* The kernels that run here, best first, "reference" last; NULL past the end. For tests. */
const struct lenet_kernels *kernels_here(size_t index);

#endif
