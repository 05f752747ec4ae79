/*
 * event_file.h - TensorBoard's event files: "events.out.tfevents.<seconds>.<host>…", records of
 * protobuf messages that tensorboard and EventAccumulator read.
 *
 *   record   u64 length, u32 masked CRC-32C of those 8 bytes, payload, u32 masked CRC-32C of it;
 *            all little-endian; masked(c) = ((c >> 15) | (c << 17)) + 0xa282ead8
 *            (tensorflow/core/lib/io/record_writer.h, tensorflow/core/lib/hash/crc32c.h)
 *   Event    wall_time double = 1, step int64 = 2, file_version string = 3, summary = 5
 *   Summary  repeated Value = 1 {tag = 1, simple_value float = 2, image = 4, histo = 5}
 *   Image    height = 1, width = 2, colorspace = 3, encoded_image_string = 4
 *   HistogramProto  min = 1, max = 2, num = 3, sum = 4, sum_squares = 5 (double),
 *            bucket_limit = 6, bucket = 7 (repeated double, packed)
 *            (tensorboard/compat/proto/event.proto, summary.proto, histogram.proto)
 *
 * Each event is flushed to the file as it is written, so that a run's curve can be watched; it is
 * no checkpoint and is not synced.
 */
#ifndef MODEL_EVENT_FILE_H
#define MODEL_EVENT_FILE_H

#include "model/model.h"

struct event_file;

/* Makes the folder where it is missing and a new file in it. MODEL_DISK. */
enum model_code event_file_new(struct event_file **file, const char *folder,
                               struct model_error *err);
/* NULL is fine. */
void event_file_free(struct event_file *file);

/* Each writes one event of one value at a step. MODEL_DISK. */
enum model_code event_file_scalar(struct event_file *file, const char *tag, uint64_t step,
                                  double value, struct model_error *err);
enum model_code event_file_histogram(struct event_file *file, const char *tag, uint64_t step,
                                     const float *values, size_t count, struct model_error *err);
/* png: a whole file of that format, of width × height RGB pixels. */
enum model_code event_file_image(struct event_file *file, const char *tag, uint64_t step,
                                 const void *png, size_t size, uint32_t width, uint32_t height,
                                 struct model_error *err);

/* The Castagnoli CRC of data, as iSCSI has it (RFC 3720 B.4): "123456789" is e3069283. */
uint32_t event_crc32c(const void *data, size_t size);

#endif
