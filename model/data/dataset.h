/*
 * dataset.h - what the training reads of a struct model_dataset: the resized images as numbers.
 *
 * The pipeline of the lab, in its order: bytes as read (binarised on request) -> Resize to 32×32
 * bytes, once, when the dataset is opened -> Rescale to float, each time an image is used: a
 * multiplication and an addition for each pixel is cheaper than reading four times the memory.
 * HWC -> CHW changes nothing with one channel.
 */
#ifndef MODEL_DATASET_H
#define MODEL_DATASET_H

#include "model/model.h"

struct model_dataset {
    size_t count;
    uint8_t *images;  /* [count][28][28] */
    uint8_t *labels;  /* [count] */
    uint8_t *resized; /* [count][32][32] */
    uint32_t crc32;   /* of images, then labels */
};

/* out[32][32] is image i, resized and rescaled: what the network sees. */
void dataset_input(const struct model_dataset *dataset, size_t i, float *out);

#endif
