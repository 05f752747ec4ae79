/*
 * fuzz_model.c - libFuzzer entry for the readers of model/: whatever bytes a file holds, a reader
 * says what is wrong and leaves nothing behind. The first byte chooses the reader.
 *
 * Run: build/fuzz/tests/fuzz_model -max_total_time=60
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/data/idx.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_idx(const char *path, enum idx_kind kind)
{
    uint8_t *bytes = NULL;
    size_t count = 0;
    struct model_error err = {0};
    enum model_code code = idx_read(&bytes, &count, path, kind, &err);
    if ((code == MODEL_OK) != (bytes != NULL) || (code != MODEL_OK && err.message[0] == '\0')) {
        abort();
    }
    free(bytes);
}

static void read_checkpoint(const char *path)
{
    struct model_checkpoint *checkpoint = NULL;
    struct model_error err = {0};
    enum model_code code = model_checkpoint_read(&checkpoint, path, &err);
    if ((code == MODEL_OK) != (checkpoint != NULL) ||
        (code != MODEL_OK && err.message[0] == '\0')) {
        abort();
    }
    model_checkpoint_free(checkpoint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    int fd = memfd_create("fuzz.ckpt", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1)) {
        abort();
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    switch (data[0] % 3) {
    case 0:
        read_idx(path, IDX_IMAGES);
        break;
    case 1:
        read_idx(path, IDX_LABELS);
        break;
    default:
        read_checkpoint(path);
    }
    close(fd);
    return 0;
}
