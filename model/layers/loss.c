/* Softmax cross-entropy with class labels, and the prediction it stands for. */
#include "model/layers/layers.h"

#include <assert.h>
#include <math.h>

#include "model/model_banned.h"

/* sum_j exp(row[j] - highest). At least 1: the highest itself is among them. */
static double sum_of_exponentials(size_t classes, const float *row, double highest)
{
    double sum = 0.0;
    for (size_t j = 0; j < classes; j++) {
        sum += exp((double)row[j] - highest);
    }
    return sum;
}

void loss_forward(size_t images, size_t classes, const float *logits, const uint8_t *labels,
                  double *losses)
{
    for (size_t i = 0; i < images; i++) {
        const float *row = logits + i * classes;
        assert(labels[i] < classes);
        double highest = (double)row[loss_predict(classes, row)];
        double sum = sum_of_exponentials(classes, row, highest);
        losses[i] = log(sum) + highest - (double)row[labels[i]];
    }
}

void loss_backward(size_t images, size_t classes, const float *logits, const uint8_t *labels,
                   float scale, float *d_logits)
{
    for (size_t i = 0; i < images; i++) {
        const float *row = logits + i * classes;
        double highest = (double)row[loss_predict(classes, row)];
        double sum = sum_of_exponentials(classes, row, highest);
        for (size_t j = 0; j < classes; j++) {
            double probability = exp((double)row[j] - highest) / sum;
            double truth = j == labels[i] ? 1.0 : 0.0;
            d_logits[i * classes + j] = (float)((probability - truth) * (double)scale);
        }
    }
}

size_t loss_predict(size_t classes, const float *logits)
{
    size_t best = 0;
    for (size_t j = 1; j < classes; j++) {
        best = logits[j] > logits[best] ? j : best;
    }
    return best;
}
