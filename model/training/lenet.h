/*
 * lenet.h - the network's shape, its parameters in one block, and what computes it.
 *
 *   1×32×32 -conv1 5×5→ 6×28×28 -relu,pool2→ 6×14×14 -conv2 5×5→ 16×10×10 -relu,pool2→ 16×5×5 = 400
 *   -fc1→ 120 -fc2→ 84 -fc3→ classes   (no bias in the convolutions, no activation between the fc)
 *
 * as the lab defines it (MindSpore course, checkpoint/main.py; reference: nn.Conv2d pad_mode
 * valid). The lab has ten classes; a set with more (EMNIST) has as many as its labels say, and
 * then fc3 is wider. Nothing else depends on it.
 */
#ifndef MODEL_LENET_H
#define MODEL_LENET_H

#include "model/model.h"

enum {
    LENET_TENSORS = 8,
    LENET_PARAMETERS = 61684, /* float32 values of all eight, for the lab's ten classes */
    LENET_PARAMETERS_MAX = LENET_PARAMETERS + (MODEL_CLASSES_MAX - MODEL_CLASSES) * (84 + 1),
    LENET_INPUTS = MODEL_INPUT_SIDE * MODEL_INPUT_SIDE,
    /* Images per unit of work. Gradients are summed a block at a time in this fixed order, so the
       bits do not depend on how many threads share the blocks. */
    LENET_BLOCK = 16
};

/* One parameter tensor: MindSpore's name, its shape, where it lies in the block. */
struct lenet_tensor {
    const char *name;
    size_t rank;
    int64_t dims[4];
    size_t offset; /* floats */
    size_t count;  /* floats */
};

/* conv1.weight [6,1,5,5], conv2.weight [16,6,5,5], fc1.weight [120,400], fc1.bias [120],
   fc2.weight [84,120], fc2.bias [84], fc3.weight [10,84], fc3.bias [10]: the order of a .ckpt.
   Names and all but the last two shapes are those of any number of classes. */
extern const struct lenet_tensor lenet_tensors[LENET_TENSORS];

/* The network of so many classes. */
struct lenet_shape {
    size_t classes;    /* 1 to MODEL_CLASSES_MAX */
    size_t parameters; /* floats of the block */
    struct lenet_tensor tensors[LENET_TENSORS];
};

void lenet_shape_init(struct lenet_shape *shape, size_t classes);

/* The block with a name for each part; shapes beside them. */
struct lenet_parameters {
    float *conv1_weight; /* [6][1][5][5] */
    float *conv2_weight; /* [16][6][5][5] */
    float *fc1_weight;   /* [120][400] */
    float *fc1_bias;     /* [120] */
    float *fc2_weight;   /* [84][120] */
    float *fc2_bias;     /* [84] */
    float *fc3_weight;   /* [classes][84] */
    float *fc3_bias;     /* [classes] */
};

/* Points the names into a block of shape->parameters floats. */
struct lenet_parameters lenet_point(const struct lenet_shape *shape, float *block);
/* The same for a block that is only read. */
struct lenet_parameters lenet_point_at(const struct lenet_shape *shape, const float *block);

/*
 * Fills a block with initial values. Each tensor draws from its own stream of the seed (random.h).
 * MODEL_NORMAL is MindSpore 1.0's default of Conv2d and Dense: weight_init 'normal', sigma 0.01,
 * bias_init 'zeros'. MODEL_HE_UNIFORM is MindSpore 2's: HeUniform(negative_slope=sqrt(5)), whose
 * bound sqrt(6 / ((1 + 5) · fan_in)) is 1/sqrt(fan_in), and biases uniform within the same bound
 * (mindspore/nn/layer/basic.py and conv.py, 2.2).
 */
void lenet_draw(const struct lenet_shape *shape, float *block, uint64_t seed, enum model_init init);

/* A range of the block of parameters, in floats. */
struct lenet_piece {
    size_t offset;
    size_t count;
};

/*
 * One way of computing the network; "reference" is im2col + sgemm. A step has two phases. In the
 * first, blocks of 1 to LENET_BLOCK images go forward and back, on any thread, each leaving in its
 * slot what the gradient needs of it. In the second, pieces of the gradient are put together from
 * all slots, on any thread, each just before the optimizer takes it. Both touch nothing but their
 * workspace and outputs, and every sum is over slots in their order.
 *
 * images[count] are resized bytes [32][32]; kernels rescale them (dataset.h).
 */
struct lenet_kernels {
    const char *name;
    size_t workspace_size; /* bytes of scratch a thread needs, zeroed, 64-byte aligned */
    size_t slot_size;      /* bytes of a slot, a multiple of 64, aligned so */

    /* The pieces cover the parameters without a gap. */
    size_t (*pieces)(const struct lenet_shape *shape);
    struct lenet_piece (*piece)(const struct lenet_shape *shape, size_t index);

    /* logits[count][classes]. */
    void (*forward)(const struct lenet_shape *shape, const float *parameters,
                    const uint8_t *const *images, size_t count, float *logits, void *workspace);

    /*
     * Forward and backward; scale is 1/batch times the loss scale. Returns the block's sum of
     * losses, unscaled.
     */
    double (*train)(const struct lenet_shape *shape, const float *parameters,
                    const uint8_t *const *images, const uint8_t *labels, size_t count, float scale,
                    void *slot, void *workspace);

    /*
     * Writes the piece's range of gradients[shape->parameters]: the sum over the slots of
     * d(loss · scale)/d(parameter); adds to what is there when add.
     */
    void (*gather)(const struct lenet_shape *shape, const void *slots, size_t slot_count,
                   size_t piece, bool add, float *gradients);
};

extern const struct lenet_kernels lenet_reference;

/* logits[count][classes] of inputs[count][32][32] that need not have been bytes, by
 * lenet_reference. */
void lenet_reference_logits(const struct lenet_shape *shape, const float *parameters,
                            const float *inputs, size_t count, float *logits, void *workspace);

struct workers; /* threads.h */

enum {
    /* Blocks that are held at once: more of a batch go in further rounds, so memory is bounded
       whatever the batch size. */
    LENET_ROUND = 16
};

/*
 * Public as `struct model`. weights and each of the optimizer's two are one block, order of
 * lenet_tensors: Momentum's moments; SGD's accum and stat; Adam's moment1 and moment2.
 */
struct model {
    struct model_config config; /* learning_rate and momentum are the ones in use */
    struct lenet_shape shape;
    const struct lenet_kernels *kernels;
    struct workers *workers;
    void **workspaces; /* one a thread */
    void *slots;       /* [LENET_ROUND], what the blocks of a round leave */
    float *weights;    /* [shape.parameters] */
    float *moments;    /* [shape.parameters], the first */
    float *second;     /* [shape.parameters] */
    float *gradients;  /* [shape.parameters] of the last batch, times the loss scale */
    float beta1_power; /* Adam's, 1 at first */
    float beta2_power;
    uint64_t global_step; /* steps of this optimizer, or of its schedule */
    float *rates;         /* [rate_count], the schedule; NULL: config.learning_rate always */
    size_t rate_count;
};

#endif
