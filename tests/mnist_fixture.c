#include "mnist_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "model/base/random.h"

enum {
    SIDE = 28
};

void fixture_folder(char folder[FIXTURE_PATH_MAX])
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, FIXTURE_PATH_MAX, "%s/jobferry-test-XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(folder));
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *position)
{
    (void)status;
    (void)kind;
    (void)position;
    return remove(path);
}

void fixture_remove(const char *folder)
{
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void fixture_path(char out[FIXTURE_PATH_MAX], const char *folder, const char *name)
{
    assert_in_range(snprintf(out, FIXTURE_PATH_MAX, "%s/%s", folder, name), 0,
                    FIXTURE_PATH_MAX - 1);
}

void fixture_write(const char *folder, const char *name, const void *bytes, size_t size, bool gzip)
{
    char path[FIXTURE_PATH_MAX];
    fixture_path(path, folder, name);
    gzFile file = gzopen(path, gzip ? "wb" : "wbT");
    assert_non_null(file);
    assert_int_equal(size ? gzwrite(file, bytes, (unsigned)size) : 0, size);
    assert_int_equal(gzclose(file), Z_OK);
}

static void put_number(uint8_t *at, uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(number >> (24 - 8 * i));
    }
}

static uint8_t label_of(size_t i, uint64_t seed)
{
    struct random random;
    random_init(&random, seed, 2 * i);
    return (uint8_t)random_below(&random, 10);
}

static void draw(uint8_t *pixels, size_t i, uint64_t seed)
{
    struct random random;
    random_init(&random, seed, 2 * i + 1);
    size_t label = label_of(i, seed);
    for (size_t p = 0; p < SIDE * SIDE; p++) {
        size_t along = label < 5 ? p / SIDE : p % SIDE;
        bool in_bar = along / 5 == label % 5;
        pixels[p] = (uint8_t)((in_bar ? 160 : 0) + random_below(&random, 96));
    }
}

uint8_t *fixture_images(size_t count, uint64_t seed, size_t *size)
{
    *size = 16 + count * SIDE * SIDE;
    uint8_t *bytes = malloc(*size);
    assert_non_null(bytes);
    put_number(bytes, 0x803);
    put_number(bytes + 4, (uint32_t)count);
    put_number(bytes + 8, SIDE);
    put_number(bytes + 12, SIDE);
    for (size_t i = 0; i < count; i++) {
        draw(bytes + 16 + i * SIDE * SIDE, i, seed);
    }
    return bytes;
}

uint8_t *fixture_labels(size_t count, uint64_t seed, size_t *size)
{
    *size = 8 + count;
    uint8_t *bytes = malloc(*size);
    assert_non_null(bytes);
    put_number(bytes, 0x801);
    put_number(bytes + 4, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        bytes[8 + i] = label_of(i, seed);
    }
    return bytes;
}

void fixture_split(const char *folder, const char *prefix, size_t count, uint64_t seed)
{
    char name[64];
    size_t size;
    uint8_t *bytes = fixture_images(count, seed, &size);
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", prefix);
    fixture_write(folder, name, bytes, size, false);
    free(bytes);
    bytes = fixture_labels(count, seed, &size);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", prefix);
    fixture_write(folder, name, bytes, size, false);
    free(bytes);
}

const char *fixture_real_mnist(void)
{
    const char *folder = TEST_SOURCE_DIR "/../shared/data/MNIST";
    return access(folder, R_OK) == 0 ? folder : NULL;
}
