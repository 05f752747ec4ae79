/*
 * number_set.c - writes a learnable set of more than ten classes, in EMNIST's form: plain IDX files
 * of its names, each image transposed, labels from FIRST on.
 *
 *   number_set FOLDER NAME FIRST CLASSES TRAIN TEST
 *
 * A class is a number, drawn as two digits side by side ("07", "46").
 */
#include <stdio.h>
#include <stdlib.h>

#include "model/base/random.h"
#include "model/data/digits.h"

enum {
    SIDE = MODEL_IDX_SIDE,
    TRAIN_STREAM = 1,
    TEST_STREAM = 1 << 24
};

/* A digit, half as wide as it is drawn, from column `left` on. */
static void draw_half(unsigned digit, size_t left, struct random *random, uint8_t *pixels)
{
    uint8_t whole[SIDE * SIDE];
    digit_draw(whole, digit, random);
    for (size_t y = 0; y < SIDE; y++) {
        for (size_t x = 0; x < SIDE / 2; x++) {
            uint8_t a = whole[y * SIDE + 2 * x];
            uint8_t b = whole[y * SIDE + 2 * x + 1];
            pixels[y * SIDE + left + x] = a > b ? a : b;
        }
    }
}

static void put_number(FILE *file, size_t number)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        fputc((int)(number >> shift & 0xFF), file);
    }
}

static FILE *open_file(const char *folder, const char *name, const char *split, const char *kind)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/emnist-%s-%s-%s-ubyte", folder, name, split, kind);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

static void write_split(char **argv, const char *split, size_t count, uint64_t stream)
{
    size_t first = strtoul(argv[3], NULL, 10);
    size_t classes = strtoul(argv[4], NULL, 10);
    FILE *images = open_file(argv[1], argv[2], split, "images-idx3");
    FILE *labels = open_file(argv[1], argv[2], split, "labels-idx1");
    put_number(images, 0x803);
    put_number(images, count);
    put_number(images, SIDE);
    put_number(images, SIDE);
    put_number(labels, 0x801);
    put_number(labels, count);
    for (size_t i = 0; i < count; i++) {
        uint8_t pixels[SIDE * SIDE];
        struct random random;
        random_init(&random, 1, stream + i);
        /* Every class occurs, the last in both splits too. */
        size_t label = first + (i < classes ? classes - 1 - i : random_below(&random, classes));
        draw_half((unsigned)(label / 10), 0, &random, pixels);
        draw_half((unsigned)(label % 10), SIDE / 2, &random, pixels);
        for (size_t x = 0; x < SIDE; x++) {
            for (size_t y = 0; y < SIDE; y++) {
                fputc(pixels[y * SIDE + x], images);
            }
        }
        fputc((int)label, labels);
    }
    if (fclose(images) != 0 || fclose(labels) != 0) {
        perror(argv[1]);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: number_set FOLDER NAME FIRST CLASSES TRAIN TEST\n");
        return 64;
    }
    write_split(argv, "train", strtoul(argv[5], NULL, 10), TRAIN_STREAM);
    write_split(argv, "test", strtoul(argv[6], NULL, 10), TEST_STREAM);
    return 0;
}
