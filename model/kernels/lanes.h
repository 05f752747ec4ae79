/*
 * lanes.h - the fast kernels: what they share whatever the machine.
 *
 * The batch is the vector. A block's 16 images lie side by side as the 16 lanes of every value,
 * [y][x][channel][lane] or [neuron][lane], so every layer is vector arithmetic without shuffles or
 * tails, and weights are scalars that are broadcast:
 *
 *   pixels  --transpose, rescale-->  x [32·32][16]
 *   x   --convolution, 2×2 maximum, relu in registers-->  p1 [14·14][6][16], where each maximum was
 *   p1  --the same-->  p2 [16·25][16]  --dense-->  120, 84, classes [..][16]  --softmax--> d_logits
 *
 * On the way back only the maximum of each window has a gradient, and none where relu cut it off:
 * about one position in eight. Those are listed (struct events) and each one's patch of the layer's
 * input, which is contiguous once the block is transposed to [image][y][x][channel], is multiplied
 * by its one number. The convolutions' gradients stay in registers over a whole block.
 *
 * The dense layers' weight gradients are not computed here but by lanes_gather, for the whole batch
 * and a few rows at a time, just before the optimizer takes those rows from the cache: no gradient
 * of a block is ever stored or summed.
 *
 * One source serves all machines: avx512.c, avx2.c, baseline.c and neon.c define a vector of their
 * width (vec), a dozen operations on it and the sizes of the register tiles, then include
 * lanes_network.inc:
 *
 *   CONV1_OUTPUTS, CONV2_OUTPUTS   channels of a convolution's tile, which has 4 vecs of each
 *   CONV2_LARGE                    channels that go in such tiles; the rest go by twos
 *   DENSE_TILE, DENSE_PARTS        neurons and vecs of lanes in fc1's tile
 *   DENSE2_TILE, DENSE3_TILE       neurons in those of fc2 and fc3
 *   DENSE_DATA_TILE                neurons on the way back
 *   DENSE_WEIGHT_ROWS              rows of a dense weight gradient's tile
 *   FC1_, FC2_, FC3_COLUMNS        vecs of each row, 3 to 5
 *   ROW_LIMIT                      kernel rows whose gradient fits the registers at once
 *   WINDOW_ROWS                    rows of a 6×6 patch that do
 *   EVENT_SETS                     sums side by side, to hide the latency of additions
 *
 * and, where a convolution's tile fills all but four registers, CONVOLVE_BY_PIXEL.
 */
#ifndef MODEL_LANES_H
#define MODEL_LANES_H

#include <stdint.h>

#include "model/training/lenet.h"

#if defined(__clang__)
#define LANES_UNROLL _Pragma("unroll")
#define LANES_LOOP   _Pragma("nounroll") /* one that stays a loop */
#else
#define LANES_UNROLL _Pragma("GCC unroll 64")
#define LANES_LOOP   _Pragma("GCC unroll 1")
#endif
/* The compiler no longer knows where a pointer points: so it loads again what it would otherwise
 * keep. */
#define LANES_OPAQUE(pointer) __asm__("" : "+r"(pointer))
/* A function of a register tile: worth nothing unless its sizes are constants. */
#define LANES_TILE static inline __attribute__((always_inline))

enum {
    LANES = LENET_BLOCK,
    TAPS = 25,
    SIDE = MODEL_INPUT_SIDE,
    CHANNELS1 = 6,
    SIDE1 = 14, /* after the first pooling */
    CELLS1 = SIDE1 * SIDE1,
    CHANNELS2 = 16,
    SIDE2 = 5,
    CELLS2 = SIDE2 * SIDE2,
    FEATURES = CHANNELS2 * CELLS2,
    HIDDEN1 = 120,
    HIDDEN2 = 84,
    CLASSES_MAX = MODEL_CLASSES_MAX, /* rows of what has one a class */
    CONV1_WEIGHTS = CHANNELS1 * TAPS,
    CONV2_WEIGHTS = CHANNELS2 * CHANNELS1 * TAPS,

    /* Rounded up to whole vecs of any width, with a vec to spare where patches read over the end.
     */
    IMAGE_ROW = SIDE * SIDE + LANES,
    P1_ROW = CELLS1 * CHANNELS1 + 8 + LANES,
    HIDDEN1_ROW = 128,
    HIDDEN2_ROW = 96,
    /* The gradient by p1 has 8 channels, so that a pixel is half a cache line. */
    D1_CHANNELS = 8,
    D1_ROW = CELLS1 * D1_CHANNELS,
    /* A kernel row of conv2 is 5 pixels of 8 channels, with a pixel of zeros on either side. */
    WINDOW = 6,
    KERNEL_ROW = (1 + 5 + 1) * D1_CHANNELS,
    KERNEL = (1 + 5 + 1) * KERNEL_ROW,

    EVENTS_MAX = CELLS1 * LANES
};

/* Positions with a gradient: the number, and where its patch begins. A vec and a set to spare. */
struct events {
    size_t count;
    float gradients[EVENTS_MAX + 2 * LANES];
    int32_t places[EVENTS_MAX + 2 * LANES];
};

/* What a block leaves for lanes_gather. */
struct lanes_slot {
    _Alignas(64) float convolutions[CONV1_WEIGHTS + CONV2_WEIGHTS]; /* gradients, as the weights */
    /* Inputs of the dense layers, by image; and the gradients by their outputs, by lane. */
    _Alignas(64) float x1[LANES][FEATURES];
    _Alignas(64) float x2[LANES][HIDDEN1_ROW];
    _Alignas(64) float x3[LANES][HIDDEN2_ROW];
    _Alignas(64) float d1[HIDDEN1][LANES];
    _Alignas(64) float d2[HIDDEN2][LANES];
    _Alignas(64) float d3[CLASSES_MAX][LANES];
};

/* Zeroed when made: rows beyond HIDDEN1 and HIDDEN2, channels 7 and 8 and the zeros around kernels
   are never written. */
struct lanes_workspace {
    _Alignas(64) float x[SIDE * SIDE][LANES];
    _Alignas(64) float images[LANES][IMAGE_ROW];
    _Alignas(64) float p1[P1_ROW][LANES]; /* [cell][channel] */
    _Alignas(64) int32_t where1[CELLS1 * CHANNELS1][LANES];
    _Alignas(64) float p1_rows[LANES][P1_ROW];
    _Alignas(64) float p2[FEATURES][LANES]; /* [channel][cell], as fc1 counts its inputs */
    _Alignas(64) int32_t where2[FEATURES][LANES];
    _Alignas(64) float h1[HIDDEN1_ROW][LANES];
    _Alignas(64) float h2[HIDDEN2_ROW][LANES];
    _Alignas(64) float logits[CLASSES_MAX][LANES];
    _Alignas(64) float d_p2[FEATURES][LANES];
    _Alignas(64) float d_p2_rows[LANES][CELLS2][CHANNELS2];
    _Alignas(64) int32_t where2_rows[LANES][CELLS2][CHANNELS2];
    _Alignas(64) float kernels[CHANNELS2][KERNEL]; /* conv2's weights between zeros */
    _Alignas(64) float d_p1_rows[LANES][D1_ROW];
    _Alignas(64) float d_p1[D1_ROW][LANES];
    _Alignas(64) struct events events;
};

/* The pieces of lanes_gather: a convolution, a bias, or eight rows of a dense layer's weights. */
struct lanes_piece {
    size_t tensor; /* index in the shape's tensors */
    size_t row;    /* of a dense layer's weights */
    size_t rows;
    struct lenet_piece range;
};
size_t lanes_pieces(const struct lenet_shape *shape);
struct lanes_piece lanes_piece_at(const struct lenet_shape *shape, size_t index);
/* Its range, for struct lenet_kernels. */
struct lenet_piece lanes_piece(const struct lenet_shape *shape, size_t index);

/*
 * Softmax cross-entropy of the first count lanes: d_logits[classes][LANES] times scale, 0 in the
 * other lanes; returns the sum of the losses, in the order of the images.
 */
double lanes_loss(size_t classes, const float logits[][LANES], const uint8_t *labels, size_t count,
                  float scale, float d_logits[][LANES]);

#endif
