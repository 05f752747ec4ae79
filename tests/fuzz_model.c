/*
 * fuzz_model.c - libFuzzer entry for the readers of model/: whatever bytes a file holds, a reader
 * says what is wrong and leaves nothing behind. The first byte chooses the reader, or for all
 * inputs FUZZ_READER in the environment: 0 images, 1 labels, 2 .ckpt, 3 safetensors. A checkpoint
 * that reads is also looked through.
 *
 * Run: FUZZ_READER=3 build/fuzz/tests/fuzz_model -runs=1000000 CORPUS
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/checkpoint/checkpoint.h"
#include "model/data/idx.h"

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

static void look_through(const struct model_checkpoint *checkpoint)
{
    struct model_tensor network[LENET_TENSORS];
    for (size_t i = 0; i < model_checkpoint_count(checkpoint); i++) {
        const struct model_tensor *tensor = model_checkpoint_tensor(checkpoint, i);
        struct model_tensor_summary summary;
        model_tensor_summary(tensor, &summary);
        if (model_tensor_difference(tensor, tensor) != 0.0) {
            abort();
        }
    }
    checkpoint_network(checkpoint, network);
}

static void read_checkpoint(const uint8_t *data, size_t size, const char *name)
{
    struct model_checkpoint *checkpoint = NULL;
    struct model_error err = {0};
    uint8_t *copy = malloc(size + 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, data, size);
    enum model_code code = checkpoint_parse(&checkpoint, copy, size, name, &err);
    free(copy);
    if ((code == MODEL_OK) != (checkpoint != NULL) ||
        (code != MODEL_OK && err.message[0] == '\0')) {
        abort();
    }
    if (checkpoint) {
        look_through(checkpoint);
    }
    model_checkpoint_free(checkpoint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *chosen = getenv("FUZZ_READER");
    unsigned reader = chosen ? (unsigned)chosen[0] - '0' : data[0] % 4u;
    if (reader > 1) {
        read_checkpoint(data + 1, size - 1, reader == 2 ? "fuzz.ckpt" : "fuzz.safetensors");
        return 0;
    }
    int fd = memfd_create("fuzz.idx", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1)) {
        abort();
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    read_idx(path, reader == 0 ? IDX_IMAGES : IDX_LABELS);
    close(fd);
    return 0;
}
