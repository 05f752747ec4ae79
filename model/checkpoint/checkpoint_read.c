/*
 * checkpoint_read.c - a .ckpt file into memory, every chunk checked.
 *
 * Three sums can vouch for a file: MindSpore's trailer (7 bytes "crc_num" and a 10-byte big-endian
 * number behind the last chunk, since 2.3), our last entry, or none (MindSpore 1.0's format has
 * none). What is there must fit; what is missing is told, not guessed.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/safetensors.h"
#include "model/data/gzip.h"
#include "model/model_error.h"

#include "model/model_banned.h"

enum {
    TRAILER_MARK = sizeof CHECKPOINT_TRAILER_MARK - 1,
    TRAILER_SIZE = CHECKPOINT_TRAILER_SIZE,
    TRAILER_NUMBER = TRAILER_SIZE - TRAILER_MARK
};

/* The bytes being read and where we are, for messages. */
struct reading {
    struct model_checkpoint *checkpoint;
    const char *path;
    const uint8_t *data;
    size_t size;     /* of the chunks, without MindSpore's trailer */
    size_t position; /* behind the chunk being looked at */
    size_t start;    /* where that chunk starts */
    uint64_t chunks; /* before it */
    struct model_error *err;
};

const struct model_tensor *checkpoint_find(const struct model_checkpoint *checkpoint,
                                           const char *name)
{
    for (size_t i = 0; i < checkpoint->count; i++) {
        if (strcmp(checkpoint->tensors[i].name, name) == 0) {
            return &checkpoint->tensors[i];
        }
    }
    return NULL;
}

static enum model_code corrupt(const struct reading *reading, const char *what)
{
    return model_fail(reading->err, MODEL_CORRUPT,
                      "read checkpoint %s: entry %" PRIu64 " at byte %zu %s", reading->path,
                      reading->chunks + 1, reading->start, what);
}

/*
 * The tensor a first chunk announces; *size gets the bytes that dims and type ask for. A scalar
 * is written with no dims, or one dim of 0, or (shape [1]) one of 1; the first two get rank 0.
 */
static enum model_code tensor_of(const struct reading *reading, const struct wire_entry *entry,
                                 struct model_tensor *tensor, size_t *size)
{
    size_t element = checkpoint_element_size(entry->type);
    if (!checkpoint_name_is_fine(entry->tag)) {
        return corrupt(reading, "has no readable name");
    }
    if (element == 0) {
        char what[80];
        snprintf(what, sizeof what, "has the unknown type %.40s",
                 checkpoint_name_is_fine(entry->type) ? entry->type : "(unreadable)");
        return corrupt(reading, what);
    }
    if (entry->rank > CHECKPOINT_RANK_MAX) {
        return corrupt(reading, "has too many dims");
    }
    *tensor = (struct model_tensor){.name = entry->tag,
                                    .type = entry->type,
                                    .rank = entry->rank,
                                    .dims = entry->dims,
                                    .data = entry->content,
                                    .size = entry->content_size};
    if (strcmp(entry->type, "str") == 0) {
        tensor->rank = 0;
        *size = entry->content_size;
        return entry->content_size % element == 0 ? MODEL_OK
                                                  : corrupt(reading, "is text cut in a character");
    }
    if (entry->rank == 1 && entry->dims[0] == 0 && entry->content_size == element) {
        tensor->rank = 0;
    }
    *size = element;
    for (size_t i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] < 0 || __builtin_mul_overflow(*size, (size_t)tensor->dims[i], size) ||
            *size > CHECKPOINT_SIZE_MAX) {
            return corrupt(reading, "has dims that cannot be");
        }
    }
    return MODEL_OK;
}

bool checkpoint_grow(struct model_checkpoint *checkpoint)
{
    if (checkpoint->count < checkpoint->capacity) {
        return true;
    }
    size_t capacity = checkpoint->capacity ? 2 * checkpoint->capacity : 32;
    void *entries = realloc(checkpoint->entries, capacity * sizeof *checkpoint->entries);
    if (entries) {
        checkpoint->entries = entries;
    }
    void *tensors = realloc(checkpoint->tensors, capacity * sizeof *checkpoint->tensors);
    if (tensors) {
        checkpoint->tensors = tensors;
    }
    void *blocks = realloc(checkpoint->blocks, capacity * sizeof *checkpoint->blocks);
    if (blocks) {
        checkpoint->blocks = blocks;
    }
    if (!entries || !tensors || !blocks) {
        return false;
    }
    checkpoint->capacity = capacity;
    return true;
}

/*
 * Appends the chunks that follow under the same tag: MindSpore cuts tensors over 512 MiB into
 * slices, each with the whole tensor's dims and type. Stops at another tag or when the tensor is
 * full.
 */
static enum model_code join_slices(struct reading *reading, struct model_tensor *tensor,
                                   void **block, size_t size)
{
    struct wire_entry slice = {0};
    enum model_code code = MODEL_OK;
    uint8_t *bytes = NULL;
    size_t filled = tensor->size;
    while (code == MODEL_OK && filled < size) {
        size_t position = reading->position;
        enum wire_result result = wire_read(reading->data, reading->size, &position, &slice);
        if (result != WIRE_ENTRY || strcmp(slice.tag, tensor->name) != 0 ||
            strcmp(slice.type, tensor->type) != 0 || slice.content_size == 0 ||
            slice.content_size > size - filled) {
            code = corrupt(reading, "holds fewer bytes than its dims ask for");
            break;
        }
        if (!bytes) {
            bytes = malloc(size);
            if (!bytes) {
                code = model_fail(reading->err, MODEL_BUG, "read checkpoint %s: no memory",
                                  reading->path);
                break;
            }
            memcpy(bytes, tensor->data, tensor->size);
        }
        memcpy(bytes + filled, slice.content, slice.content_size);
        filled += slice.content_size;
        reading->position = position;
        reading->chunks++;
        wire_release(&slice);
    }
    wire_release(&slice);
    *block = bytes;
    if (bytes) {
        tensor->data = bytes;
        tensor->size = filled;
    }
    return code;
}

/* Takes the entry over, also when it fails. */
static enum model_code add_tensor(struct reading *reading, struct wire_entry *entry)
{
    struct model_checkpoint *checkpoint = reading->checkpoint;
    if (!checkpoint_grow(checkpoint)) {
        wire_release(entry);
        return model_fail(reading->err, MODEL_BUG, "read checkpoint %s: no memory", reading->path);
    }
    size_t i = checkpoint->count;
    checkpoint->entries[i] = *entry;
    checkpoint->blocks[i] = NULL;
    struct model_tensor *tensor = &checkpoint->tensors[i];
    size_t size = 0;
    enum model_code code = tensor_of(reading, entry, tensor, &size);
    if (code == MODEL_OK && checkpoint_find(checkpoint, tensor->name)) {
        code = corrupt(reading, "has the name of an earlier one");
    }
    if (code == MODEL_OK && tensor->size > size) {
        code = corrupt(reading, "holds more bytes than its dims ask for");
    }
    checkpoint->count++; /* from here on model_checkpoint_free releases the entry */
    if (code == MODEL_OK) {
        code = join_slices(reading, tensor, &checkpoint->blocks[i], size);
    }
    return code;
}

/*
 * Whether the chunk just read is our sum and vouches for all before it. Compared as bytes, so that
 * no other spelling of the same numbers passes.
 */
static bool sum_fits(const struct reading *reading)
{
    uint32_t crc = gzip_crc32(0, reading->data, reading->start);
    uint8_t expected[CHECKPOINT_SUM_MAX];
    size_t size = checkpoint_sum_pack(reading->chunks, crc, expected);
    return size == reading->position - reading->start &&
           memcmp(expected, reading->data + reading->start, size) == 0;
}

static enum model_code read_chunks(struct reading *reading)
{
    bool ours = false;
    for (;;) {
        struct wire_entry entry = {0};
        reading->start = reading->position;
        enum wire_result result =
            wire_read(reading->data, reading->size, &reading->position, &entry);
        if (result == WIRE_CUT) {
            return corrupt(reading, "is cut short by the end of the file");
        }
        if (result == WIRE_NO_CKPT) {
            return corrupt(reading, "is not a checkpoint's");
        }
        if (result == WIRE_END) {
            break;
        }
        if (reading->chunks >= CHECKPOINT_ENTRIES_MAX) {
            wire_release(&entry);
            return corrupt(reading, "is one too many");
        }
        if (strcmp(entry.tag, CHECKPOINT_SUM) == 0) {
            wire_release(&entry);
            if (!sum_fits(reading)) {
                return corrupt(reading, "(" CHECKPOINT_SUM ") does not fit what is before it");
            }
            if (reading->position != reading->size) {
                return corrupt(reading, "(" CHECKPOINT_SUM ") is followed by more bytes");
            }
            reading->checkpoint->completeness = MODEL_VERIFIED_OWN;
            return MODEL_OK;
        }
        ours = ours || strncmp(entry.tag, CHECKPOINT_OURS, strlen(CHECKPOINT_OURS)) == 0;
        enum model_code code = add_tensor(reading, &entry);
        if (code != MODEL_OK) {
            return code;
        }
        reading->chunks++;
    }
    if (ours) {
        return corrupt(reading, "should be " CHECKPOINT_SUM ": the file was cut off here");
    }
    return MODEL_OK;
}

/* Takes MindSpore's trailer, when there is one, off reading->size; it must fit. */
static enum model_code check_trailer(struct reading *reading)
{
    if (reading->size < TRAILER_SIZE || memcmp(reading->data + reading->size - TRAILER_SIZE,
                                               CHECKPOINT_TRAILER_MARK, TRAILER_MARK) != 0) {
        return MODEL_OK;
    }
    const uint8_t *number = reading->data + reading->size - TRAILER_NUMBER;
    reading->size -= TRAILER_SIZE;
    uint64_t told = 0;
    bool fits = number[0] == 0 && number[1] == 0;
    for (size_t i = 2; i < TRAILER_NUMBER; i++) {
        told = told << 8 | number[i];
    }
    uint32_t crc = gzip_crc32(0, reading->data, reading->size);
    if (!fits || told != crc) {
        return model_fail(reading->err, MODEL_CORRUPT,
                          "read checkpoint %s: its crc_num trailer says %08" PRIx64
                          ", its bytes have CRC-32 %08" PRIx32,
                          reading->path, told, crc);
    }
    reading->checkpoint->completeness = MODEL_VERIFIED_TRAILER;
    return MODEL_OK;
}

enum model_code checkpoint_parse(struct model_checkpoint **checkpoint, const uint8_t *data,
                                 size_t size, const char *path, struct model_error *err)
{
    *checkpoint = NULL;
    if (size == 0) {
        return model_fail(err, MODEL_CORRUPT, "read checkpoint %s: it is empty", path);
    }
    assert(data);
    struct model_checkpoint *made = calloc(1, sizeof *made);
    if (!made) {
        return model_fail(err, MODEL_BUG, "read checkpoint %s: no memory", path);
    }
    struct reading reading = {
        .checkpoint = made, .path = path, .data = data, .size = size, .err = err};
    enum model_code code;
    if (safetensors_is(path, data, size)) {
        code = safetensors_parse(made, data, size, path, err);
    } else {
        code = check_trailer(&reading);
        if (code == MODEL_OK) {
            code = read_chunks(&reading);
        }
    }
    if (code == MODEL_OK && made->count == 0) {
        code = model_fail(err, MODEL_CORRUPT, "read checkpoint %s: it has no tensors", path);
    }
    if (code == MODEL_OK) {
        code = checkpoint_state_unpack(made, path, err);
    }
    if (code == MODEL_OK) {
        *checkpoint = made;
    } else {
        model_checkpoint_free(made);
    }
    return code;
}

/* The whole of an open file, malloc'ed. */
static enum model_code read_bytes(int fd, const char *path, uint8_t **bytes, size_t *size,
                                  struct model_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return model_fail_errno(err, "read checkpoint", path, errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return model_fail(err, MODEL_CORRUPT, "read checkpoint %s: it is %s", path,
                          S_ISDIR(status.st_mode) ? "a folder" : "not a regular file");
    }
    if (status.st_size > CHECKPOINT_SIZE_MAX) {
        return model_fail(err, MODEL_CORRUPT,
                          "read checkpoint %s: its %jd bytes are more than a checkpoint may have "
                          "(%d)",
                          path, (intmax_t)status.st_size, CHECKPOINT_SIZE_MAX);
    }
    *size = (size_t)status.st_size;
    *bytes = malloc(*size + 1);
    if (!*bytes) {
        return model_fail(err, MODEL_BUG, "read checkpoint %s: no memory", path);
    }
    for (size_t filled = 0; filled < *size;) {
        ssize_t got = read(fd, *bytes + filled, *size - filled);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return model_fail_errno(err, "read checkpoint", path, errno);
        }
        if (got == 0) { /* it shrank under us: the parser says where it ends */
            *size = filled;
        }
        filled += (size_t)got;
    }
    return MODEL_OK;
}

enum model_code model_checkpoint_read(struct model_checkpoint **checkpoint, const char *path,
                                      struct model_error *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    *checkpoint = NULL;
    /* O_NONBLOCK: opening a pipe must not wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return model_fail_errno(err, "read checkpoint", path, errno);
    }
    enum model_code code = read_bytes(fd, path, &bytes, &size, err);
    close(fd);
    if (code == MODEL_OK) {
        code = checkpoint_parse(checkpoint, bytes, size, path, err);
    }
    free(bytes);
    return code;
}

void model_checkpoint_free(struct model_checkpoint *checkpoint)
{
    if (!checkpoint) {
        return;
    }
    for (size_t i = 0; i < checkpoint->count; i++) {
        wire_release(&checkpoint->entries[i]);
        free(checkpoint->blocks[i]);
    }
    free(checkpoint->entries);
    free(checkpoint->tensors);
    free(checkpoint->blocks);
    free(checkpoint);
}

size_t model_checkpoint_count(const struct model_checkpoint *checkpoint)
{
    return checkpoint->count;
}

const struct model_tensor *model_checkpoint_tensor(const struct model_checkpoint *checkpoint,
                                                   size_t i)
{
    assert(i < checkpoint->count);
    return &checkpoint->tensors[i];
}

enum model_completeness model_checkpoint_completeness(const struct model_checkpoint *checkpoint)
{
    return checkpoint->completeness;
}

void model_checkpoint_state(const struct model_checkpoint *checkpoint, struct model_state *state)
{
    *state = checkpoint->state;
}
