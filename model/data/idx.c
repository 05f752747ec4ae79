#include "model/data/idx.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model/data/gzip.h"
#include "model/model_error.h"

#include "model/model_banned.h"

static const struct idx_format {
    const char *what;     /* the noun of messages */
    const char *contains; /* in a file's name */
    const char *suffix;   /* likewise */
    uint32_t magic;
    size_t header_size; /* bytes */
    size_t item_size;   /* bytes of one image or label */
} formats[] = {
    [IDX_IMAGES] = {"images", "-images", "idx3-ubyte", 0x803, 16, MODEL_IDX_SIDE *MODEL_IDX_SIDE},
    [IDX_LABELS] = {"labels", "-labels", "idx1-ubyte", 0x801, 8, 1},
};

/* ---- finding -------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    size_t end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static const char emnist[] = "emnist-";

bool idx_is_emnist(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strncmp(slash ? slash + 1 : path, emnist, strlen(emnist)) == 0;
}

/* Whether a name is of the split: "train-…", or EMNIST's "emnist-letters-train-…". */
static bool is_of_split(const char *name, enum model_split split)
{
    const char *prefix = split == MODEL_TRAIN ? "train-" : "t10k-";
    const char *within = split == MODEL_TRAIN ? "-train-" : "-test-";
    return idx_is_emnist(name) ? strstr(name, within) != NULL
                               : strncmp(name, prefix, strlen(prefix)) == 0;
}

/* How well a name fits: 0 plain, 1 gzipped, 2 otherwise named, -1 not at all; EMNIST's after all
   of MNIST's. */
static int rank_of(const char *name, enum model_split split, const struct idx_format *format)
{
    if (!is_of_split(name, split) || !strstr(name, format->contains) ||
        !strstr(name, format->suffix)) {
        return -1;
    }
    int rank = idx_is_emnist(name) ? 3 : 0;
    if (ends_with(name, format->suffix)) {
        return rank;
    }
    return rank + (ends_with(name, ".gz") ? 1 : 2);
}

static bool is_regular(int folder_fd, const char *name)
{
    struct stat status;
    return fstatat(folder_fd, name, &status, 0) == 0 && S_ISREG(status.st_mode);
}

/* The best name of an open folder, to `best` (empty when there is none). */
static void pick_name(DIR *directory, enum model_split split, const struct idx_format *format,
                      char best[NAME_MAX + 1])
{
    int best_rank = INT_MAX;
    best[0] = '\0';
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        int rank = rank_of(entry->d_name, split, format);
        bool is_better = rank < best_rank || (rank == best_rank && strcmp(entry->d_name, best) < 0);
        if (rank < 0 || !is_better || !is_regular(dirfd(directory), entry->d_name)) {
            continue;
        }
        best_rank = rank;
        snprintf(best, NAME_MAX + 1, "%s", entry->d_name);
    }
}

enum model_code idx_find(char *out, size_t size, const char *folder, enum model_split split,
                         enum idx_kind kind, struct model_error *err)
{
    const struct idx_format *format = &formats[kind];
    const char *prefix = split == MODEL_TRAIN ? "train-" : "t10k-";
    DIR *directory = opendir(folder);
    if (!directory) {
        return model_fail_errno(err, "opening", folder, errno);
    }
    char name[NAME_MAX + 1];
    pick_name(directory, split, format, name);
    closedir(directory);
    if (name[0] == '\0') {
        model_fail(err, MODEL_NOT_FOUND, "looking for %s in %s: no file %s*%s*%s*", format->what,
                   folder, prefix, format->contains, format->suffix);
        model_hint(err, "MNIST's files are train-images-idx3-ubyte, train-labels-idx1-ubyte, "
                        "t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, plain or with .gz; "
                        "EMNIST's begin with emnist-");
        return MODEL_NOT_FOUND;
    }
    int length = snprintf(out, size, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= size) {
        return model_fail(err, MODEL_ARGUMENT, "opening %s/%s: the path is too long", folder, name);
    }
    return MODEL_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           (uint32_t)bytes[3];
}

/* Reads and checks the header; *count gets the number of items. */
static enum model_code read_header(struct gzip_reader *reader, const struct idx_format *format,
                                   size_t *count, struct model_error *err)
{
    uint8_t header[16] = {0};
    size_t got = gzip_read(reader, header, format->header_size);
    if (got >= 4 && big_endian(header) != format->magic) {
        return model_fail(err, MODEL_DATA,
                          "reading %s: the magic number at byte 0 is 0x%08x, not 0x%08x of IDX %s",
                          reader->path, big_endian(header), format->magic, format->what);
    }
    if (got < format->header_size) {
        return gzip_fail(reader, format->header_size, err);
    }
    uint32_t items = big_endian(header + 4);
    if (items < 1 || items > IDX_COUNT_MAX) {
        return model_fail(err, MODEL_DATA,
                          "reading %s: the count of %s at byte 4 is %u; it must be 1 to %d",
                          reader->path, format->what, items, IDX_COUNT_MAX);
    }
    for (size_t at = 8; at < format->header_size; at += 4) {
        uint32_t side = big_endian(header + at);
        if (side != MODEL_IDX_SIDE) {
            return model_fail(err, MODEL_DATA,
                              "reading %s: the images' number of %s at byte %zu is %u, not %d",
                              reader->path, at == 8 ? "rows" : "columns", at, side, MODEL_IDX_SIDE);
        }
    }
    *count = items;
    return MODEL_OK;
}

/* Reads count items into fresh memory that doubles as bytes arrive. */
static enum model_code read_items(struct gzip_reader *reader, const struct idx_format *format,
                                  size_t count, uint8_t **bytes, struct model_error *err)
{
    enum {
        FIRST_CAPACITY = 1 << 20
    };
    size_t wanted = count * format->item_size;
    size_t capacity = 0;
    size_t have = 0;
    while (have < wanted) {
        capacity = capacity == 0 ? FIRST_CAPACITY : 2 * capacity;
        capacity = capacity < wanted ? capacity : wanted;
        uint8_t *grown = realloc(*bytes, capacity);
        if (!grown) {
            return model_fail(err, MODEL_BUG, "reading %s: no memory for %zu bytes", reader->path,
                              capacity);
        }
        *bytes = grown;
        have += gzip_read(reader, grown + have, capacity - have);
        if (have < capacity) {
            return gzip_fail(reader, format->header_size + wanted, err);
        }
    }
    return MODEL_OK;
}

static enum model_code check_labels(const char *path, const uint8_t *labels, size_t count,
                                    struct model_error *err)
{
    assert(labels); /* a header promises one at least */
    for (size_t i = 0; i < count; i++) {
        if (labels[i] >= MODEL_CLASSES_MAX) {
            return model_fail(
                err, MODEL_DATA, "reading %s: the label at byte %zu is %u; it must be 0 to %d",
                path, formats[IDX_LABELS].header_size + i, labels[i], MODEL_CLASSES_MAX - 1);
        }
    }
    return MODEL_OK;
}

enum model_code idx_read(uint8_t **bytes, size_t *count, const char *path, enum idx_kind kind,
                         struct model_error *err)
{
    *bytes = NULL;
    *count = 0;
    size_t items = 0;
    uint8_t *read = NULL;
    const struct idx_format *format = &formats[kind];
    struct gzip_reader reader = {.file = NULL};
    enum model_code code = gzip_open(&reader, path, err);
    if (code != MODEL_OK) {
        goto done;
    }
    code = read_header(&reader, format, &items, err);
    if (code != MODEL_OK) {
        goto done;
    }
    code = read_items(&reader, format, items, &read, err);
    if (code != MODEL_OK) {
        goto done;
    }
    code = gzip_end(&reader, err);
    if (code != MODEL_OK) {
        goto done;
    }
    code = kind == IDX_LABELS ? check_labels(path, read, items, err) : MODEL_OK;
    if (code != MODEL_OK) {
        goto done;
    }
    *bytes = read;
    *count = items;
    read = NULL;
done:
    free(read);
    gzip_close(&reader);
    return code;
}
