/*
 * graph_meta.c - a description of the trained graph for people.
 *
 * MindSpore writes its compiled graph under this name and never reads it again, so there is no
 * format to keep; the lab shows the file in its lists. No date and no path goes in: the same
 * network always gives the same bytes.
 */
#include "model/checkpoint/graph_meta.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "model/training/lenet.h"

#include "model/model_banned.h"

static const char graph_head[] =
    "jobferry graph 1\n"
    "network LeNet5\n"
    "input image Float32 N,1,32,32\n"
    "input label Int32 N\n"
    "node conv1 Conv2d in=1 out=6 kernel=5 stride=1 pad_mode=valid has_bias=false -> N,6,28,28\n"
    "node relu1 ReLU -> N,6,28,28\n"
    "node pool1 MaxPool2d kernel=2 stride=2 -> N,6,14,14\n"
    "node conv2 Conv2d in=6 out=16 kernel=5 stride=1 pad_mode=valid has_bias=false -> N,16,10,10\n"
    "node relu2 ReLU -> N,16,10,10\n"
    "node pool2 MaxPool2d kernel=2 stride=2 -> N,16,5,5\n"
    "node flatten Flatten -> N,400\n"
    "node fc1 Dense in=400 out=120 -> N,120\n"
    "node fc2 Dense in=120 out=84 -> N,84\n";

static const char graph_tail[] = "loss SoftmaxCrossEntropyWithLogits sparse=true reduction=mean\n"
                                 "optimizer Momentum\n";

struct text {
    char *at;
    size_t room;
    size_t length;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->at + text->length, text->room - text->length, format, arguments);
    va_end(arguments);
    assert(length >= 0 && (size_t)length < text->room - text->length);
    text->length += (size_t)length;
}

size_t graph_meta_text(const struct lenet_shape *shape, char *out, size_t size)
{
    struct text text = {.room = size};
    text.at = out;
    add(&text, "%s", graph_head);
    add(&text, "node fc3 Dense in=84 out=%zu -> N,%zu\n", shape->classes, shape->classes);
    add(&text, "%s", graph_tail);
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        add(&text, "parameter %s Float32 ", shape->tensors[i].name);
        for (size_t d = 0; d < shape->tensors[i].rank; d++) {
            add(&text, "%s%" PRId64, d ? "," : "", shape->tensors[i].dims[d]);
        }
        add(&text, "\n");
    }
    return text.length;
}
