#include "model/callbacks/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/base/atomic_file.h"
#include "model/model_error.h"

#include "model/model_banned.h"

enum {
    PATH_SIZE = 4096,
    VARINT = 0, /* wire types of protobuf */
    FIXED64 = 1,
    BYTES = 2,
    FIXED32 = 5,
    /* Limits of buckets: 0, and ±1e-12 · 1.1^k up to 1e20, as TensorFlow's own histograms. */
    BUCKETS_OF_A_SIGN = 774,
    BUCKETS = 2 * BUCKETS_OF_A_SIGN + 2
};

struct event_file {
    int fd;
    char path[PATH_SIZE];
    double limits[BUCKETS]; /* upper, rising */
};

/* ---- protobuf, into a growing buffer ----------------------------------------------------------
 */

struct bytes {
    uint8_t *data;
    size_t size, capacity;
    bool failed; /* no memory: what follows is lost, told once at the end */
};

static void put(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->size + size > bytes->capacity && !bytes->failed) {
        size_t capacity = 2 * (bytes->size + size) + 64;
        uint8_t *grown = realloc(bytes->data, capacity);
        bytes->failed = !grown;
        bytes->data = grown ? grown : bytes->data;
        bytes->capacity = grown ? capacity : bytes->capacity;
    }
    if (!bytes->failed && size > 0) {
        memcpy(bytes->data + bytes->size, data, size);
        bytes->size += size;
    }
}

static void put_varint(struct bytes *bytes, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        put(bytes, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static void put_key(struct bytes *bytes, unsigned field, unsigned type)
{
    put_varint(bytes, field << 3 | type);
}

static void put_double(struct bytes *bytes, unsigned field, double value)
{
    put_key(bytes, field, FIXED64);
    put(bytes, &value, sizeof value);
}

static void put_bytes(struct bytes *bytes, unsigned field, const void *data, size_t size)
{
    put_key(bytes, field, BYTES);
    put_varint(bytes, size);
    put(bytes, data, size);
}

/* ---- records -----------------------------------------------------------------------------------
 */

uint32_t event_crc32c(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (UINT32_C(0x82F63B78) & (0 - (crc & 1)));
        }
    }
    return ~crc;
}

static uint32_t masked(const void *data, size_t size)
{
    uint32_t crc = event_crc32c(data, size);
    return (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8);
}

static enum model_code write_all(struct event_file *file, const uint8_t *data, size_t size,
                                 struct model_error *err)
{
    while (size > 0) {
        ssize_t written = write(file->fd, data, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return model_fail(err, MODEL_DISK, "write %s: %s", file->path, strerror(errno));
        }
        data += written;
        size -= (size_t)written;
    }
    return MODEL_OK;
}

static double wall_seconds(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Writes the event whose field `field` holds `content`, as one record. */
static enum model_code write_event(struct event_file *file, uint64_t step, unsigned field,
                                   const struct bytes *content, struct model_error *err)
{
    struct bytes event = {0};
    struct bytes record = {0};
    put_double(&event, 1, wall_seconds());
    if (step > 0) {
        put_key(&event, 2, VARINT);
        put_varint(&event, step);
    }
    put_bytes(&event, field, content->data, content->size);
    const uint64_t length = event.size;
    uint32_t sum = masked(&length, sizeof length);
    put(&record, &length, sizeof length);
    put(&record, &sum, sizeof sum);
    put(&record, event.data, event.size);
    sum = event.failed ? 0 : masked(event.data, event.size);
    put(&record, &sum, sizeof sum);
    enum model_code code = content->failed || event.failed || record.failed
                               ? model_fail(err, MODEL_BUG, "write %s: no memory", file->path)
                               : write_all(file, record.data, record.size, err);
    free(event.data);
    free(record.data);
    return code;
}

/* A Summary of one Value, whose field holds what `value` has, key and all. */
static enum model_code write_value(struct event_file *file, const char *tag, uint64_t step,
                                   struct bytes *value, struct model_error *err)
{
    struct bytes tagged = {0};
    struct bytes summary = {0};
    put_bytes(&tagged, 1, tag, strlen(tag));
    put(&tagged, value->data, value->size);
    put_bytes(&summary, 1, tagged.data, tagged.size);
    summary.failed = summary.failed || tagged.failed || value->failed;
    enum model_code code = write_event(file, step, 5, &summary, err);
    free(tagged.data);
    free(summary.data);
    free(value->data);
    return code;
}

/* ---- values -------------------------------------------------------------------------------------
 */

enum model_code event_file_scalar(struct event_file *file, const char *tag, uint64_t step,
                                  double value, struct model_error *err)
{
    struct bytes bytes = {0};
    float number = (float)value;
    put_key(&bytes, 2, FIXED32);
    put(&bytes, &number, sizeof number);
    return write_value(file, tag, step, &bytes, err);
}

enum model_code event_file_image(struct event_file *file, const char *tag, uint64_t step,
                                 const void *png, size_t size, uint32_t width, uint32_t height,
                                 struct model_error *err)
{
    const uint32_t numbers[] = {height, width, 3};
    struct bytes image = {0};
    struct bytes bytes = {0};
    for (unsigned i = 0; i < 3; i++) {
        put_key(&image, i + 1, VARINT);
        put_varint(&image, numbers[i]);
    }
    put_bytes(&image, 4, png, size);
    put_bytes(&bytes, 4, image.data, image.size);
    bytes.failed = bytes.failed || image.failed;
    free(image.data);
    return write_value(file, tag, step, &bytes, err);
}

/* The bucket of a value: the first whose limit is above it. */
static size_t bucket_of(const struct event_file *file, double value)
{
    size_t low = 0;
    size_t high = BUCKETS - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (file->limits[middle] > value) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Only the buckets from the first to the last that hold something, with an empty one before. */
static void put_buckets(struct bytes *histogram, const struct event_file *file,
                        const double *counts)
{
    size_t first = 0;
    size_t last = BUCKETS - 1;
    while (first < last && counts[first] == 0.0) {
        first++;
    }
    while (last > first && counts[last] == 0.0) {
        last--;
    }
    first -= first > 0;
    put_bytes(histogram, 6, file->limits + first, (last - first + 1) * sizeof(double));
    put_bytes(histogram, 7, counts + first, (last - first + 1) * sizeof(double));
}

enum model_code event_file_histogram(struct event_file *file, const char *tag, uint64_t step,
                                     const float *values, size_t count, struct model_error *err)
{
    double *counts = calloc(BUCKETS, sizeof *counts);
    if (!counts) {
        return model_fail(err, MODEL_BUG, "write %s: no memory", file->path);
    }
    double numbers[5] = {HUGE_VAL, -HUGE_VAL, 0.0, 0.0, 0.0}; /* min max num sum sum_squares */
    for (size_t i = 0; i < count; i++) {
        double value = (double)values[i];
        if (!isfinite(value)) {
            continue;
        }
        numbers[0] = fmin(numbers[0], value);
        numbers[1] = fmax(numbers[1], value);
        numbers[2] += 1.0;
        numbers[3] += value;
        numbers[4] += value * value;
        counts[bucket_of(file, value)] += 1.0;
    }
    if (numbers[2] == 0.0) {
        numbers[0] = numbers[1] = 0.0;
    }
    struct bytes histogram = {0};
    struct bytes bytes = {0};
    for (unsigned i = 0; i < 5; i++) {
        put_double(&histogram, i + 1, numbers[i]);
    }
    put_buckets(&histogram, file, counts);
    put_bytes(&bytes, 5, histogram.data, histogram.size);
    bytes.failed = bytes.failed || histogram.failed;
    free(histogram.data);
    free(counts);
    return write_value(file, tag, step, &bytes, err);
}

/* ---- the file
 * ------------------------------------------------------------------------------------ */

static void set_limits(double *limits)
{
    double limit = 1e-12;
    limits[BUCKETS_OF_A_SIGN] = 0.0;
    for (size_t i = 0; i < BUCKETS_OF_A_SIGN; i++) {
        limits[BUCKETS_OF_A_SIGN + 1 + i] = limit;
        limits[BUCKETS_OF_A_SIGN - 1 - i] = -limit;
        limit *= 1.1;
    }
    limits[BUCKETS - 1] = 1.7976931348623157e308; /* DBL_MAX */
}

enum model_code event_file_new(struct event_file **out, const char *folder, struct model_error *err)
{
    static const char version[] = "brain.Event:2";
    *out = NULL;
    enum model_code code = folder_make(folder, err);
    if (code != MODEL_OK) {
        return code;
    }
    struct event_file *file = calloc(1, sizeof *file);
    if (!file) {
        return model_fail(err, MODEL_BUG, "write events in %s: no memory", folder);
    }
    char host[65] = "localhost";
    gethostname(host, sizeof host - 1);
    int length =
        snprintf(file->path, sizeof file->path, "%s/events.out.tfevents.%.0f.%s.%d.jobferry",
                 folder, floor(wall_seconds()), host, (int)getpid());
    file->fd = length > 0 && length < PATH_SIZE
                   ? open(file->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)
                   : -1;
    if (file->fd < 0) {
        code = model_fail(err, MODEL_DISK, "write %s: %s", file->path,
                          strerror(length < PATH_SIZE ? errno : ENAMETOOLONG));
        free(file);
        return code;
    }
    set_limits(file->limits);
    struct bytes content = {0};
    put(&content, version, sizeof version - 1);
    code = write_event(file, 0, 3, &content, err);
    free(content.data);
    if (code != MODEL_OK) {
        event_file_free(file);
        return code;
    }
    *out = file;
    return MODEL_OK;
}

void event_file_free(struct event_file *file)
{
    if (file) {
        close(file->fd);
        free(file);
    }
}
