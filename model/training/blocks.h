/*
 * blocks.h - a batch as blocks of LENET_BLOCK images shared among the model's threads: what
 * training and evaluation have in common with the network.
 *
 * Blocks are cut by position in the batch, never by thread, and their results are added in their
 * order: the bits are those of one thread.
 */
#ifndef MODEL_BLOCKS_H
#define MODEL_BLOCKS_H

#include "model/data/dataset.h"
#include "model/training/lenet.h"

/*
 * One step on the images samples[count], count >= 1: gradients, then the optimizer. *loss is the
 * batch's mean loss. False when the loss is not finite (the model is then as before) or a weight
 * has become so (the model is then of no use).
 */
bool blocks_train(struct model *model, const struct model_dataset *dataset, const uint32_t *samples,
                  size_t count, float *loss);

/* logits[count][classes] of the images first..first+count-1. */
void blocks_forward(struct model *model, const struct model_dataset *dataset, size_t first,
                    size_t count, float *logits);

#endif
