/*
 * kernels.c - the speed of each part of one machine's kernels, beside the peak of its multiply-adds
 * measured in the same run. KERNELS_SOURCE is the source that is measured, "model/kernels/avx2.c".
 *
 * One block of drawn images, hot in the cache, one thread; the best of ROUNDS times. GF/s counts
 * two for a multiplication and an addition of the dense computation, so the parts that skip what is
 * zero can pass the peak.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model/base/random.h"

#include KERNELS_SOURCE

enum {
    CLASSES = MODEL_CLASSES,
    ROUNDS = 15,
    BLOCKS = 60000 / LANES /* of an epoch of MNIST */
};

static struct lanes_workspace workspace;
static struct lanes_slot slots[2];
static float parameters[LENET_PARAMETERS];
static float gradients[LENET_PARAMETERS];
static uint8_t pixels[LANES][SIDE * SIDE];
static uint8_t labels[LANES];
static const uint8_t *images[LANES];
static struct lenet_parameters w;
static struct lenet_shape shape;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- the peak ----------------------------------------------------------------------------------
 */

enum {
    CHAINS = 12,
    PEAK_STEPS = 200000
};

static void peak(void)
{
    vec sums[CHAINS];
    vec a = vec_splat(parameters[0]);
    vec b = vec_splat(parameters[1]);
    LANES_UNROLL
    for (int i = 0; i < CHAINS; i++) {
        sums[i] = vec_splat((float)i);
    }
    for (int step = 0; step < PEAK_STEPS; step++) {
        LANES_UNROLL
        for (int i = 0; i < CHAINS; i++) {
            sums[i] = vec_fma(sums[i], a, b);
        }
    }
    LANES_UNROLL
    for (int i = 0; i < CHAINS; i++) {
        vec_store(&workspace.x[i][0], sums[i]);
    }
}

/* ---- the parts ---------------------------------------------------------------------------------
 */

static void part_take(void)
{
    take_lanes(images, LANES, workspace.x);
    take_images(images, LANES, workspace.images);
}

static void part_conv1(void)
{
    convolve1((const float(*)[LANES])workspace.x, w.conv1_weight, workspace.p1, workspace.where1);
}

static void part_conv2(void)
{
    convolve2((const float(*)[LANES])workspace.p1, w.conv2_weight, workspace.p2, workspace.where2);
}

static void part_dense(void)
{
    dense_forward1(&w, &workspace);
    dense_forward2(&w, &workspace);
    dense_forward3(CLASSES, &w, &workspace);
}

static void part_loss(void)
{
    lanes_loss(CLASSES, (const float(*)[LANES])workspace.logits, labels, LANES, 1.0f / 32,
               slots[0].d3);
}

static void part_turn(void)
{
    keep_inputs(&workspace, &slots[0]);
    transpose(workspace.p1, LANES, CELLS1 * CHANNELS1, LANES, workspace.p1_rows, P1_ROW);
    transpose(workspace.d_p1_rows, D1_ROW, LANES, D1_ROW, workspace.d_p1, LANES);
}

static void part_dense_data(void)
{
    dense_backward_data(CLASSES, &w, &slots[0], &workspace);
}

static void part_conv2_weight(void)
{
    convolve2_backward_weight(&workspace, slots[0].convolutions + CONV1_WEIGHTS);
}

static void part_conv2_data(void)
{
    convolve2_backward_data(w.conv2_weight, LANES, &workspace);
}

static void part_conv1_weight(void)
{
    convolve1_backward_weight(&workspace, slots[0].convolutions);
}

static void part_gather(void)
{
    for (size_t piece = 0; piece < lanes_pieces(&shape); piece++) {
        lanes_gather(&shape, slots, 2, piece, false, gradients);
    }
}

static void part_all(void)
{
    for (size_t i = 0; i < 2; i++) {
        lanes_train(&shape, parameters, images, labels, LANES, 1.0f / 32, &slots[i], &workspace);
    }
    part_gather();
}

static void part_forward(void)
{
    float logits[LANES * CLASSES];
    lanes_forward(&shape, parameters, images, LANES, logits, &workspace);
}

/* Multiply-adds of a block. */
enum {
    CONV1_WORK = LANES * CELLS1 * 4 * CONV1_WEIGHTS,
    CONV2_WORK = LANES * CELLS2 * 4 * CONV2_WEIGHTS,
    DENSE_WORK = LANES * (FEATURES * HIDDEN1 + HIDDEN1 * HIDDEN2 + HIDDEN2 * CLASSES),
    FORWARD_WORK = CONV1_WORK + CONV2_WORK + DENSE_WORK
};

static const struct part {
    const char *name;
    void (*run)(void);
    double work;   /* multiply-adds; 0: not counted */
    double blocks; /* that one run serves */
} parts[] = {
    {"transpose and rescale", part_take, 0, 1},
    {"conv1 forward, pool, relu", part_conv1, CONV1_WORK, 1},
    {"conv2 forward, pool, relu", part_conv2, CONV2_WORK, 1},
    {"dense forward", part_dense, DENSE_WORK, 1},
    {"softmax and loss", part_loss, 0, 1},
    {"dense data gradient", part_dense_data, DENSE_WORK, 1},
    {"transpose activations", part_turn, 0, 1},
    {"conv2 weight gradient (sparse)", part_conv2_weight, CONV2_WORK, 1},
    {"conv2 data gradient (sparse)", part_conv2_data, CONV2_WORK, 1},
    {"conv1 weight gradient (sparse)", part_conv1_weight, CONV1_WORK, 1},
    {"dense weight gradient", part_gather, 2 * DENSE_WORK, 2},
    {"whole step without optimizer", part_all, 2.0 * (3 * FORWARD_WORK - CONV1_WORK), 2},
    {"whole inference", part_forward, FORWARD_WORK, 1},
};

/* Seconds of one run, the best of ROUNDS; each round long enough for the clock. */
static double seconds_of(void (*run)(void), int repeats)
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int i = 0; i < repeats; i++) {
            run();
        }
        double seconds = (now() - start) / repeats;
        best = seconds < best ? seconds : best;
    }
    return best;
}

/* Weights and images that keep about as many positions alive as training does. */
static void draw(void)
{
    struct random random;
    random_init(&random, 3, 0);
    lenet_shape_init(&shape, CLASSES);
    for (size_t t = 0; t < LENET_TENSORS; t++) {
        static const double sigmas[LENET_TENSORS] = {0.2, 0.1, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1};
        for (size_t i = 0; i < lenet_tensors[t].count; i++) {
            parameters[lenet_tensors[t].offset + i] = (float)random_normal(&random, sigmas[t]);
        }
    }
    for (size_t i = 0; i < LANES; i++) {
        images[i] = pixels[i];
        labels[i] = (uint8_t)random_below(&random, CLASSES);
        for (size_t p = 0; p < SIDE * SIDE; p++) {
            pixels[i][p] = (uint8_t)random_below(&random, 256);
        }
    }
    w = lenet_point_at(&shape, parameters);
}

int main(void)
{
    draw();
    double top = 2.0 * VEC * CHAINS * PEAK_STEPS / seconds_of(peak, 1) * 1e-9;
    printf("%s: peak of multiply-adds, one thread: %.0f GF/s\n\n", LANES_NAME, top);
    printf("| part | s/epoch | GF/s | of peak |\n|---|---|---|---|\n");
    part_all();
    part_all();
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const struct part *part = &parts[i];
        double seconds = seconds_of(part->run, 20);
        printf("| %s | %.4f |", part->name, seconds / part->blocks * BLOCKS);
        if (part->work > 0) {
            double speed = 2 * part->work / seconds * 1e-9;
            printf(" %.0f | %.0f %% |\n", speed, 100 * speed / top);
        } else {
            printf(" | |\n");
        }
    }
    return 0;
}
