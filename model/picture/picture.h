/* picture.h - what model/data takes from the file that knows cairo. */
#ifndef MODEL_PICTURE_H
#define MODEL_PICTURE_H

#include "model/model.h"

/* A square PNG as pixels[28][28], grey (model_dataset_pictures). MODEL_DATA, MODEL_NOT_FOUND. */
enum model_code picture_read_grey(const char *path, uint8_t *pixels, struct model_error *err);

#endif
