/*
 * mnist_fixture.h - small datasets in the MNIST format for tests, in a temporary folder.
 *
 * The images can be learned: a class is the place of a bright bar, on noise. Failures to write are
 * failures of the test.
 */
#ifndef MNIST_FIXTURE_H
#define MNIST_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FIXTURE_PATH_MAX = 256
};

/* A fresh folder under TMPDIR or /tmp; and its removal with all that is in it. */
void fixture_folder(char folder[FIXTURE_PATH_MAX]);
void fixture_remove(const char *folder);

/* Joins folder and name. */
void fixture_path(char out[FIXTURE_PATH_MAX], const char *folder, const char *name);

/* Writes folder/name, gzipped on request. */
void fixture_write(const char *folder, const char *name, const void *bytes, size_t size, bool gzip);

/* IDX bytes of count images or labels, to be freed; *size gets their number. */
uint8_t *fixture_images(size_t count, uint64_t seed, size_t *size);
uint8_t *fixture_labels(size_t count, uint64_t seed, size_t *size);

/* Both files of a split, plain: prefix is "train" or "t10k". */
void fixture_split(const char *folder, const char *prefix, size_t count, uint64_t seed);

/* The folder of the real MNIST beside the project, or NULL when it is not there. */
const char *fixture_real_mnist(void);

#endif
