/*
 * onnx.h - the trained network as an ONNX model, for any runtime that runs them.
 *
 *   image [batch,1,32,32] -Conv-Relu-MaxPool-Conv-Relu-MaxPool-Flatten-Gemm-Gemm-Gemm- logits
 *
 * image is what the network sees: 28×28 pixels resized to 32×32 (bilinear, in bytes), times
 * 0.0127282329 less 0.4242129326, or 1/255, less MNIST's mean, by its deviation. batch is free. The
 * eight weights are initializers under MindSpore's names. Opset 13, IR version 7 (ONNX 1.8): what
 * every runtime since 2020 takes.
 *
 * The messages are protobuf's (onnx/onnx.proto: field numbers in the source). They are laid down by
 * hand: eleven node attributes and eight arrays do not need the whole of ONNX's schema.
 */
#ifndef MODEL_ONNX_H
#define MODEL_ONNX_H

#include "model/training/lenet.h"

/* Writes the network of tensors[LENET_TENSORS], Float32 in their order, whole or not at all. */
enum model_code onnx_write(const struct model_tensor *tensors, const char *path,
                           struct model_error *err);

#endif
