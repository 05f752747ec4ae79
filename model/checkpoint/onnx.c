#include "model/checkpoint/onnx.h"

#include <stdlib.h>
#include <string.h>

#include "model/base/atomic_file.h"
#include "model/model_error.h"

#include "model/model_banned.h"

/* Bytes that grow; failed stays set, and is looked at once at the end. */
struct message {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    bool failed;
};

/* Field numbers of onnx.proto's messages, as far as they are used. */
enum {
    FILE_IR_VERSION = 1,
    FILE_PRODUCER = 2,
    FILE_DOC = 6,
    FILE_GRAPH = 7,
    FILE_OPSET = 8,
    OPSET_VERSION = 2,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_I = 3,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_TYPE = 20,
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TYPE_ELEMENT = 1,
    TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1,
    DIM_NAME = 2
};

enum {
    IR_VERSION = 7,
    OPSET = 13,
    ELEMENT_FLOAT = 1,
    ATTRIBUTE_IS_INT = 2,
    ATTRIBUTE_IS_INTS = 7,
    WIRE_VARINT = 0,
    WIRE_BYTES = 2,
    FREE_DIM = -1
};

/* ---- protobuf's wire format ------------------------------------------------------------------ */

static void add(struct message *message, const void *bytes, size_t size)
{
    if (message->size + size > message->capacity && !message->failed) {
        size_t capacity = 2 * (message->size + size);
        uint8_t *grown = realloc(message->bytes, capacity);
        message->failed = !grown;
        message->bytes = grown ? grown : message->bytes;
        message->capacity = grown ? capacity : message->capacity;
    }
    if (!message->failed && size > 0) {
        memcpy(message->bytes + message->size, bytes, size);
        message->size += size;
    }
}

static void add_varint(struct message *message, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;
    do {
        bytes[size++] = (uint8_t)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        value >>= 7;
    } while (value);
    add(message, bytes, size);
}

static void add_number(struct message *message, unsigned field, int64_t value)
{
    add_varint(message, (uint64_t)field << 3 | WIRE_VARINT);
    add_varint(message, (uint64_t)value);
}

static void add_bytes(struct message *message, unsigned field, const void *bytes, size_t size)
{
    add_varint(message, (uint64_t)field << 3 | WIRE_BYTES);
    add_varint(message, size);
    add(message, bytes, size);
}

static void add_text(struct message *message, unsigned field, const char *text)
{
    add_bytes(message, field, text, strlen(text));
}

/* A message within another; inner is done with. */
static void add_message(struct message *message, unsigned field, struct message *inner)
{
    add_bytes(message, field, inner->bytes, inner->size);
    message->failed = message->failed || inner->failed;
    free(inner->bytes);
    *inner = (struct message){0};
}

/* ---- ONNX ------------------------------------------------------------------------------------ */

/* An attribute of a node: one integer, or count of them. */
struct attribute {
    const char *name;
    size_t count; /* 0: a single integer */
    int64_t values[4];
};

struct node {
    const char *name, *type;
    const char *inputs[4]; /* NULL ends them */
    const char *output;
    struct attribute attributes[3]; /* a NULL name ends them */
};

#define CONV(number, input)                                                            \
    {                                                                                  \
        "conv" number, "Conv", {input, "conv" number ".weight"}, "conv" number ".out", \
        {                                                                              \
            {"kernel_shape", 2, {5, 5}}, {"strides", 2, {1, 1}},                       \
            {                                                                          \
                "pads", 4,                                                             \
                {                                                                      \
                    0, 0, 0, 0                                                         \
                }                                                                      \
            }                                                                          \
        }                                                                              \
    }
#define POOL(number)                                                            \
    {                                                                           \
        "pool" number, "MaxPool", {"relu" number ".out"}, "pool" number ".out", \
        {                                                                       \
            {"kernel_shape", 2, {2, 2}},                                        \
            {                                                                   \
                "strides", 2,                                                   \
                {                                                               \
                    2, 2                                                        \
                }                                                               \
            }                                                                   \
        }                                                                       \
    }
#define DENSE(number, input, output)                                                      \
    {                                                                                     \
        "fc" number, "Gemm", {input, "fc" number ".weight", "fc" number ".bias"}, output, \
        {                                                                                 \
            {                                                                             \
                "transB", 0,                                                              \
                {                                                                         \
                    1                                                                     \
                }                                                                         \
            }                                                                             \
        }                                                                                 \
    }

static const struct node nodes[] = {
    CONV("1", "image"),
    {"relu1", "Relu", {"conv1.out"}, "relu1.out", {{0}}},
    POOL("1"),
    CONV("2", "pool1.out"),
    {"relu2", "Relu", {"conv2.out"}, "relu2.out", {{0}}},
    POOL("2"),
    {"flatten", "Flatten", {"pool2.out"}, "flat", {{"axis", 0, {1}}}},
    DENSE("1", "flat", "fc1.out"),
    DENSE("2", "fc1.out", "fc2.out"),
    DENSE("3", "fc2.out", "logits"),
};

static void add_attribute(struct message *node, const struct attribute *attribute)
{
    struct message message = {0};
    add_text(&message, ATTRIBUTE_NAME, attribute->name);
    if (attribute->count == 0) {
        add_number(&message, ATTRIBUTE_I, attribute->values[0]);
    }
    for (size_t i = 0; i < attribute->count; i++) {
        add_number(&message, ATTRIBUTE_INTS, attribute->values[i]);
    }
    add_number(&message, ATTRIBUTE_TYPE, attribute->count ? ATTRIBUTE_IS_INTS : ATTRIBUTE_IS_INT);
    add_message(node, NODE_ATTRIBUTE, &message);
}

static void add_node(struct message *graph, const struct node *node)
{
    struct message message = {0};
    for (size_t i = 0; i < 4 && node->inputs[i]; i++) {
        add_text(&message, NODE_INPUT, node->inputs[i]);
    }
    add_text(&message, NODE_OUTPUT, node->output);
    add_text(&message, NODE_NAME, node->name);
    add_text(&message, NODE_TYPE, node->type);
    for (size_t i = 0; i < 3 && node->attributes[i].name; i++) {
        add_attribute(&message, &node->attributes[i]);
    }
    add_message(graph, GRAPH_NODE, &message);
}

static void add_initializer(struct message *graph, const struct model_tensor *tensor)
{
    struct message message = {0};
    for (size_t i = 0; i < tensor->rank; i++) {
        add_number(&message, TENSOR_DIMS, tensor->dims[i]);
    }
    add_number(&message, TENSOR_TYPE, ELEMENT_FLOAT);
    add_text(&message, TENSOR_NAME, tensor->name);
    add_bytes(&message, TENSOR_RAW, tensor->data, tensor->size);
    add_message(graph, GRAPH_INITIALIZER, &message);
}

/* An input or output: a name, and dims of which FREE_DIM is the batch. */
static void add_value(struct message *graph, unsigned field, const char *name, const int64_t *dims,
                      size_t rank)
{
    struct message shape = {0};
    struct message tensor = {0};
    struct message type = {0};
    struct message value = {0};
    for (size_t i = 0; i < rank; i++) {
        struct message dim = {0};
        if (dims[i] == FREE_DIM) {
            add_text(&dim, DIM_NAME, "batch");
        } else {
            add_number(&dim, DIM_VALUE, dims[i]);
        }
        add_message(&shape, SHAPE_DIM, &dim);
    }
    add_number(&tensor, TYPE_ELEMENT, ELEMENT_FLOAT);
    add_message(&tensor, TYPE_SHAPE, &shape);
    add_message(&type, TYPE_TENSOR, &tensor);
    add_text(&value, VALUE_NAME, name);
    add_message(&value, VALUE_TYPE, &type);
    add_message(graph, field, &value);
}

static void add_graph(struct message *model, const struct model_tensor *tensors)
{
    const int64_t image[] = {FREE_DIM, 1, MODEL_INPUT_SIDE, MODEL_INPUT_SIDE};
    const int64_t logits[] = {FREE_DIM, tensors[LENET_TENSORS - 1].dims[0]};
    struct message graph = {0};
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        add_node(&graph, &nodes[i]);
    }
    add_text(&graph, GRAPH_NAME, "lenet5");
    for (size_t i = 0; i < LENET_TENSORS; i++) {
        add_initializer(&graph, &tensors[i]);
    }
    add_value(&graph, GRAPH_INPUT, "image", image, 4);
    add_value(&graph, GRAPH_OUTPUT, "logits", logits, 2);
    add_message(model, FILE_GRAPH, &graph);
}

enum model_code onnx_write(const struct model_tensor *tensors, const char *path,
                           struct model_error *err)
{
    struct message model = {0};
    struct message opset = {0};
    add_number(&model, FILE_IR_VERSION, IR_VERSION);
    add_text(&model, FILE_PRODUCER, "jobferry");
    add_text(&model, FILE_DOC,
             "LeNet5. image: 28x28 grey pixels (0..255) resized to 32x32 bilinearly and rounded, "
             "times 0.0127282329, minus 0.4242129326; white on black");
    add_graph(&model, tensors);
    add_number(&opset, OPSET_VERSION, OPSET);
    add_message(&model, FILE_OPSET, &opset);
    enum model_code code = model.failed ? model_fail(err, MODEL_BUG, "write %s: no memory", path)
                                        : atomic_file_put(path, model.bytes, model.size, err);
    free(model.bytes);
    return code;
}
