/* x86-64-v3: 8 floats in a register, 16 registers, fused multiply-add. */
#include <immintrin.h>

#include "model/kernels/lanes.h"

enum {
    VEC = 8,
    ROW = 8,
    ROW_LIMIT = 3,

    CONV1_OUTPUTS = 3,
    CONV2_OUTPUTS = 3,
    CONV2_LARGE = 12,
    DENSE_PARTS = 2,
    DENSE_TILE = 6,
    DENSE2_TILE = 6,
    DENSE3_TILE = 5,
    DENSE_DATA_TILE = 5,
    DENSE_WEIGHT_ROWS = 4,
    FC1_COLUMNS = 3,
    FC2_COLUMNS = 3,
    FC3_COLUMNS = 3,
    WINDOW_ROWS = 2,
    EVENT_SETS = 2
};

typedef __m256 vec;
typedef int32_t ivec __attribute__((vector_size(32)));
typedef ivec mask;
typedef __m256 row;

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vec vec_splat(float value)
{
    return _mm256_set1_ps(value);
}

static inline vec vec_of_bytes(const uint8_t *bytes)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)bytes)));
}

static inline vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

static inline mask vec_greater(vec a, vec b)
{
    return (mask)_mm256_cmp_ps(a, b, _CMP_GT_OQ);
}

static inline mask mask_select(mask which, mask a, mask b)
{
    return (which & a) | (~which & b);
}

static inline vec vec_select(mask which, vec a, vec b)
{
    return _mm256_blendv_ps(b, a, (__m256)which);
}

static inline ivec mask_value(mask which, int32_t value)
{
    return which & value;
}

/* The halves of a0 b0 a1 b1 … : unpacking works within 128 bits, so the halves are then sorted. */
static inline vec vec_low(vec a, vec b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
}

static inline vec vec_high(vec a, vec b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
}

static inline row row_fma(row a, row b, row c)
{
    return vec_fma(a, b, c);
}

static inline row row_splat(float value)
{
    return vec_splat(value);
}

/* Compression as a permutation: the bytes 0..7 of the active lanes, pressed together, say which
   lane goes where. */
static inline size_t pack_active(vec gradients, ivec places, float *to, int32_t *places_to)
{
    __m256 active = _mm256_cmp_ps(gradients, _mm256_setzero_ps(), _CMP_NEQ_UQ);
    unsigned bits = (unsigned)_mm256_movemask_ps(active);
    uint64_t bytes = _pdep_u64(bits, UINT64_C(0x0101010101010101)) * 0xff;
    uint64_t lanes = _pext_u64(UINT64_C(0x0706050403020100), bytes);
    __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)lanes));
    _mm256_storeu_ps(to, _mm256_permutevar8x32_ps(gradients, order));
    _mm256_storeu_si256((__m256i_u *)places_to,
                        _mm256_permutevar8x32_epi32((__m256i)places, order));
    return (size_t)__builtin_popcount(bits);
}

#define CONVOLVE_BY_PIXEL true

#define LANES_KERNELS lenet_avx2
#define LANES_NAME    "avx2"
#include "model/kernels/lanes_network.inc"
