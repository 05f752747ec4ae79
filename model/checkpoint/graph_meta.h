/* graph_meta.h - the text of "<prefix>-graph.meta": the network, its loss, its optimizer. */
#ifndef MODEL_GRAPH_META_H
#define MODEL_GRAPH_META_H

#include "model/training/lenet.h"

enum {
    GRAPH_META_SIZE = 4096
};

/* Writes the text, the same for the same shape, to out; returns its length. */
size_t graph_meta_text(const struct lenet_shape *shape, char *out, size_t size);

#endif
