#include "model/kernels/lanes.h"

#include <string.h>

#include "model/layers/layers.h"

#include "model/model_banned.h"

enum {
    PIECE_ROWS = 8
};

static size_t pieces_of(const struct lenet_tensor *tensor)
{
    return tensor->rank == 2 ? ((size_t)tensor->dims[0] + PIECE_ROWS - 1) / PIECE_ROWS : 1;
}

size_t lanes_pieces(const struct lenet_shape *shape)
{
    size_t count = 0;
    for (size_t t = 0; t < LENET_TENSORS; t++) {
        count += pieces_of(&shape->tensors[t]);
    }
    return count;
}

struct lanes_piece lanes_piece_at(const struct lenet_shape *shape, size_t index)
{
    size_t t = 0;
    while (index >= pieces_of(&shape->tensors[t])) {
        index -= pieces_of(&shape->tensors[t++]);
    }
    const struct lenet_tensor *tensor = &shape->tensors[t];
    if (tensor->rank != 2) {
        return (struct lanes_piece){.tensor = t, .range = {tensor->offset, tensor->count}};
    }
    size_t row = index * PIECE_ROWS;
    size_t left = (size_t)tensor->dims[0] - row;
    size_t rows = left < PIECE_ROWS ? left : PIECE_ROWS;
    size_t columns = (size_t)tensor->dims[1];
    return (struct lanes_piece){
        .tensor = t,
        .row = row,
        .rows = rows,
        .range = {tensor->offset + row * columns, rows * columns},
    };
}

struct lenet_piece lanes_piece(const struct lenet_shape *shape, size_t index)
{
    return lanes_piece_at(shape, index).range;
}

double lanes_loss(size_t classes, const float logits[][LANES], const uint8_t *labels, size_t count,
                  float scale, float d_logits[][LANES])
{
    memset(d_logits, 0, classes * sizeof d_logits[0]);
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        float row[CLASSES_MAX];
        float d_row[CLASSES_MAX];
        for (size_t j = 0; j < classes; j++) {
            row[j] = logits[j][i];
        }
        double loss;
        loss_forward(1, classes, row, &labels[i], &loss);
        loss_backward(1, classes, row, &labels[i], scale, d_row);
        for (size_t j = 0; j < classes; j++) {
            d_logits[j][i] = d_row[j];
        }
        sum += loss;
    }
    return sum;
}
