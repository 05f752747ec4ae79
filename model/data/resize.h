/* resize.h - the lab's Resize((32, 32)): 28×28 bytes to 32×32 bytes as OpenCV does it. */
#ifndef MODEL_RESIZE_H
#define MODEL_RESIZE_H

#include "model/model.h"

/*
 * out[32][32] of in[28][28]: cv::resize, INTER_LINEAR, 8 bits, in integers as OpenCV 4.2 computes
 * it (modules/imgproc/src/resize.cpp, which MindSpore 1.0 links; later versions give the same).
 * Pixel centres lie at half: source = (d + 0.5)·28/32 - 0.5. Weights have 11 bits and are exact for
 * this ratio; the result is rounded to a byte, before any rescaling.
 */
void resize_28_to_32(const uint8_t *in, uint8_t *out);

#endif
