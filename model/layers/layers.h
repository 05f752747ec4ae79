/*
 * layers.h - the layers of the network as pairs: forward, and backward, which turns the gradient of
 * the loss by a layer's outputs into those by its inputs and its weights.
 *
 * Shapes stand beside the names, C-order, float32: N images, C channels in, O channels (or outputs)
 * out, H and W rows and columns in, K the kernel's side. d_x is d(loss)/d(x) and has x's shape.
 * Nothing is allocated; what a layer must remember for its way back is an output of its forward.
 * Results depend on the arguments alone, and every sum has a fixed order.
 */
#ifndef MODEL_LAYERS_H
#define MODEL_LAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- convolution: one image, stride 1, no padding ("valid"), no bias ------------------------ */

struct conv_shape {
    size_t channels; /* C */
    size_t height;   /* H */
    size_t width;    /* W */
    size_t outputs;  /* O */
    size_t kernel;   /* K; the result is [O][H-K+1][W-K+1] */
};

/* Floats of a columns buffer: C·K·K rows, one a weight, of (H-K+1)·(W-K+1) pixels. */
size_t conv_columns_count(const struct conv_shape *shape);

/* Lays the image out so that the convolution is a product: columns[c,ky,kx][y,x] is
   image[c][y+ky][x+kx]. */
void conv_columns(const struct conv_shape *shape, const float *image, float *columns);

/* out[O][…] = weight[O][C·K·K] · columns: cross-correlation, the kernel is not flipped. */
void conv_forward(const struct conv_shape *shape, const float *weight, const float *columns,
                  float *out);

/* d_weight[O][C][K][K] = d_out · columns' with the columns of the image; += when add. */
void conv_backward_weight(const struct conv_shape *shape, const float *d_out, const float *columns,
                          bool add, float *d_weight);

/* d_image[C][H][W] from d_out; scratch is a columns buffer. */
void conv_backward_data(const struct conv_shape *shape, const float *weight, const float *d_out,
                        float *scratch, float *d_image);

/* ---- 2×2 maximum, stride 2; H and W even ----------------------------------------------------- */

/*
 * in[C][H][W] to out[C][H/2][W/2]; where[C][H/2][W/2] is which of the window was it: 0 1 / 2 3. Of
 * equals the first in the order 0, 2, 1, 3 is taken: column by column, as MindSpore's CPU kernel
 * does.
 */
void pool_forward(size_t channels, size_t height, size_t width, const float *in, float *out,
                  uint8_t *where);

/* d_in[C][H][W]: each d_out at the place of its maximum, 0 elsewhere. */
void pool_backward(size_t channels, size_t height, size_t width, const float *d_out,
                   const uint8_t *where, float *d_in);

/* ---- relu, in place -------------------------------------------------------------------------- */

/* values[count]: negative ones become 0. NaN stays NaN, so a divergence stays visible. */
void relu_forward(size_t count, float *values);

/* gradient[count] becomes 0 where the forward's result is not positive. */
void relu_backward(size_t count, const float *values, float *gradient);

/* ---- fully connected: y = x · weight' + bias ------------------------------------------------- */

/* out[N][O] of in[N][I], weight[O][I], bias[O]. */
void dense_forward(size_t images, size_t inputs, size_t outputs, const float *in,
                   const float *weight, const float *bias, float *out);

/* Sets d_weight[O][I], d_bias[O] and d_in[N][I]. */
void dense_backward(size_t images, size_t inputs, size_t outputs, const float *in,
                    const float *weight, const float *d_out, float *d_weight, float *d_bias,
                    float *d_in);

/* ---- softmax cross-entropy of class labels --------------------------------------------------- */

/*
 * losses[N] = log(sum_j exp(logits[i][j])) - logits[i][labels[i]], in double, the row's maximum
 * taken out first so that nothing overflows. labels[i] < classes.
 */
void loss_forward(size_t images, size_t classes, const float *logits, const uint8_t *labels,
                  double *losses);

/* d_logits[N][classes] = (softmax(logits) - onehot(label)) · scale; scale is 1/batch for a mean. */
void loss_backward(size_t images, size_t classes, const float *logits, const uint8_t *labels,
                   float scale, float *d_logits);

/* The class with the largest of logits[classes], the first of equals (as numpy's argmax). */
size_t loss_predict(size_t classes, const float *logits);

#endif
