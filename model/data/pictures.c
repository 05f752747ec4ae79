/* pictures.c - PNG files as a dataset without labels. */
#include <stdlib.h>
#include <string.h>

#include "model/data/dataset.h"
#include "model/data/gzip.h"
#include "model/model_error.h"
#include "model/picture/picture.h"

#include "model/model_banned.h"

enum {
    PICTURES_MAX = 1024,
    IMAGE_SIZE = MODEL_IDX_SIDE * MODEL_IDX_SIDE
};

/* Whether the outermost pixels are brighter than those within, on average. */
static bool is_dark_on_light(const uint8_t *pixels)
{
    unsigned border = 0;
    unsigned within = 0;
    for (unsigned i = 0; i < IMAGE_SIZE; i++) {
        unsigned x = i % MODEL_IDX_SIDE;
        unsigned y = i / MODEL_IDX_SIDE;
        bool outer = x == 0 || y == 0 || x == MODEL_IDX_SIDE - 1 || y == MODEL_IDX_SIDE - 1;
        *(outer ? &border : &within) += pixels[i];
    }
    unsigned border_count = 4 * (MODEL_IDX_SIDE - 1);
    return border / border_count > within / (IMAGE_SIZE - border_count);
}

enum model_code model_dataset_pictures(struct model_dataset **dataset, const char *const *paths,
                                       size_t count, bool invert, bool *dark_on_light,
                                       struct model_error *err)
{
    *dataset = NULL;
    *dark_on_light = false;
    if (count == 0 || count > PICTURES_MAX) {
        return model_fail(err, MODEL_ARGUMENT, "read images: %zu files; it must be 1 to %d", count,
                          PICTURES_MAX);
    }
    uint8_t *images = malloc(count * IMAGE_SIZE);
    uint8_t *labels = malloc(count);
    if (!images || !labels) {
        free(images);
        free(labels);
        return model_fail(err, MODEL_BUG, "read images: no memory");
    }
    enum model_code code = MODEL_OK;
    for (size_t i = 0; i < count && code == MODEL_OK; i++) {
        uint8_t *pixels = images + i * IMAGE_SIZE;
        code = picture_read_grey(paths[i], pixels, err);
        for (size_t p = 0; p < IMAGE_SIZE && invert && code == MODEL_OK; p++) {
            pixels[p] = (uint8_t)(255 - pixels[p]);
        }
        *dark_on_light = *dark_on_light || (code == MODEL_OK && is_dark_on_light(pixels));
    }
    if (code != MODEL_OK) {
        free(images);
        free(labels);
        return code;
    }
    memset(labels, MODEL_NO_LABEL, count);
    return dataset_of(dataset, images, labels, count, err);
}
