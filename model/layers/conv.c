/* Convolution as a matrix product over a laid-out image (im2col). */
#include "model/layers/layers.h"

#include <string.h>

#include "model/layers/gemm.h"

#include "model/model_banned.h"

static size_t out_height(const struct conv_shape *shape)
{
    return shape->height - shape->kernel + 1;
}

static size_t out_width(const struct conv_shape *shape)
{
    return shape->width - shape->kernel + 1;
}

static size_t out_pixels(const struct conv_shape *shape)
{
    return out_height(shape) * out_width(shape);
}

static size_t taps(const struct conv_shape *shape)
{
    return shape->channels * shape->kernel * shape->kernel;
}

size_t conv_columns_count(const struct conv_shape *shape)
{
    return taps(shape) * out_pixels(shape);
}

/* The columns of the image, whose rows hold out_width pixels. */
static inline void lay_out(const struct conv_shape *shape, size_t width, const float *image,
                           float *columns)
{
    size_t rows = out_height(shape);
    for (size_t c = 0; c < shape->channels; c++) {
        const float *plane = image + c * shape->height * shape->width;
        for (size_t ky = 0; ky < shape->kernel; ky++) {
            for (size_t kx = 0; kx < shape->kernel; kx++) {
                const float *from = plane + ky * shape->width + kx;
                for (size_t y = 0; y < rows; y++) {
                    memcpy(columns, from + y * shape->width, width * sizeof *columns);
                    columns += width;
                }
            }
        }
    }
}

void conv_columns(const struct conv_shape *shape, const float *image, float *columns)
{
    /* A width known to the compiler turns millions of tiny memcpy calls into a few moves each. */
    switch (out_width(shape)) {
    case 28:
        lay_out(shape, 28, image, columns);
        break;
    case 10:
        lay_out(shape, 10, image, columns);
        break;
    default:
        lay_out(shape, out_width(shape), image, columns);
    }
}

/* The way back: every pixel gets the sum of the columns' cells that were read from it. */
static void add_columns(const struct conv_shape *shape, const float *columns, float *image)
{
    size_t rows = out_height(shape);
    size_t width = out_width(shape);
    memset(image, 0, shape->channels * shape->height * shape->width * sizeof *image);
    for (size_t c = 0; c < shape->channels; c++) {
        float *plane = image + c * shape->height * shape->width;
        for (size_t ky = 0; ky < shape->kernel; ky++) {
            for (size_t kx = 0; kx < shape->kernel; kx++) {
                for (size_t y = 0; y < rows; y++) {
                    float *to = plane + (y + ky) * shape->width + kx;
                    for (size_t x = 0; x < width; x++) {
                        to[x] += columns[x];
                    }
                    columns += width;
                }
            }
        }
    }
}

void conv_forward(const struct conv_shape *shape, const float *weight, const float *columns,
                  float *out)
{
    gemm(GEMM_AS_IS, GEMM_AS_IS, shape->outputs, out_pixels(shape), taps(shape), weight, columns,
         GEMM_SET, out);
}

void conv_backward_weight(const struct conv_shape *shape, const float *d_out, const float *columns,
                          bool add, float *d_weight)
{
    gemm(GEMM_AS_IS, GEMM_TRANSPOSED, shape->outputs, taps(shape), out_pixels(shape), d_out,
         columns, add ? GEMM_ADD : GEMM_SET, d_weight);
}

void conv_backward_data(const struct conv_shape *shape, const float *weight, const float *d_out,
                        float *scratch, float *d_image)
{
    gemm(GEMM_TRANSPOSED, GEMM_AS_IS, taps(shape), out_pixels(shape), shape->outputs, weight, d_out,
         GEMM_SET, scratch);
    add_columns(shape, scratch, d_image);
}
