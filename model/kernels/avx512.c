/* x86-64-v4: 16 floats in a register, 32 registers, so one register holds a value of all images of
   a block. */
#include <immintrin.h>

#include "model/kernels/lanes.h"

enum {
    VEC = 16, /* floats in a vec */
    ROW = 8,  /* floats in a row */
    ROW_LIMIT = 5,

    CONV1_OUTPUTS = 6,
    CONV2_OUTPUTS = 4,
    CONV2_LARGE = 16,
    DENSE_PARTS = 1,
    DENSE_TILE = 24,
    DENSE2_TILE = 28,
    DENSE3_TILE = 10,
    DENSE_DATA_TILE = 20,
    DENSE_WEIGHT_ROWS = 4,
    FC1_COLUMNS = 5,
    FC2_COLUMNS = 4,
    FC3_COLUMNS = 3,
    WINDOW_ROWS = 6,
    EVENT_SETS = 2
};

typedef __m512 vec;
typedef int32_t ivec __attribute__((vector_size(64)));
typedef __mmask16 mask;
typedef __m256 row;

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vec vec_splat(float value)
{
    return _mm512_set1_ps(value);
}

static inline vec vec_of_bytes(const uint8_t *bytes)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)bytes)));
}

static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

static inline mask vec_greater(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}

static inline mask mask_select(mask which, mask a, mask b)
{
    return (mask)((which & a) | (~which & b));
}

static inline vec vec_select(mask which, vec a, vec b)
{
    return _mm512_mask_blend_ps(which, b, a);
}

static inline ivec mask_value(mask which, int32_t value)
{
    return (ivec)_mm512_maskz_set1_epi32(which, value);
}

static inline vec vec_low(vec a, vec b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

static inline vec vec_high(vec a, vec b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                   31);
}

static inline row row_fma(row a, row b, row c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline row row_splat(float value)
{
    return _mm256_set1_ps(value);
}

static inline size_t pack_active(vec gradients, ivec places, float *to, int32_t *places_to)
{
    mask active = _mm512_cmp_ps_mask(gradients, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    _mm512_storeu_ps(to, _mm512_maskz_compress_ps(active, gradients));
    _mm512_storeu_si512(places_to, _mm512_maskz_compress_epi32(active, (__m512i)places));
    return (size_t)_mm_popcnt_u32(active);
}

#define LANES_KERNELS lenet_avx512
#define LANES_NAME    "avx512"
#include "model/kernels/lanes_network.inc"
