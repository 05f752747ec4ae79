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

/*
 * The lab's two Rescales in one, narrowed to float as MindSpore does: 1/255 and 0, then 1/0.3081
 * and -0.1307/0.3081 (the deviation and mean of MNIST's pixels).
 */
#define DATASET_RESCALE 0.0127282329f
#define DATASET_SHIFT   (-0.4242129326f)

struct model_dataset {
    size_t count;
    uint8_t *images;  /* [count][28][28] */
    uint8_t *labels;  /* [count] */
    uint8_t *resized; /* [count][32][32] */
    size_t label_end; /* the highest label and one; 0: none has a label */
    uint32_t crc32;   /* of images, then labels */
};

/* A dataset of images[count][28][28] and labels[count], which it takes over, also when it fails. */
enum model_code dataset_of(struct model_dataset **dataset, uint8_t *images, uint8_t *labels,
                           size_t count, struct model_error *err);

/* The resized bytes [32][32] of image i, borrowed; and out[32][32], the same rescaled: what the
   network sees. */
const uint8_t *dataset_pixels(const struct model_dataset *dataset, size_t i);
void dataset_rescale(const uint8_t *pixels, float *out);

#endif
