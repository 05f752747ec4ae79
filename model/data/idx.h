/*
 * idx.h - reads the two IDX files of a split, and finds them in a folder.
 *
 *   images  00 00 08 03 | count | rows | columns | count·rows·columns bytes, row by row
 *   labels  00 00 08 01 | count | count bytes          (numbers are big-endian, 32 bits)
 *
 * as on Y. LeCun's MNIST page. Plain or gzipped is told by the first bytes, not by the name
 * (gzip.h). The header is checked before anything is believed, memory grows only as bytes arrive,
 * so a small file that promises much costs little.
 *
 * Faults are MODEL_DATA with one line that names the file and the byte offset: in the IDX content,
 * unpacked; in the file itself where it is gzip that is broken.
 */
#ifndef MODEL_IDX_H
#define MODEL_IDX_H

#include "model/model.h"

enum {
    /* Ceiling of images in a file: 1.9 GB with the resized copies. The largest set of this format
       that is in use, EMNIST by class, has 814,255. */
    IDX_COUNT_MAX = 1 << 20
};

enum idx_kind {
    IDX_IMAGES,
    IDX_LABELS
};

/*
 * Writes the path of the split's file of a kind to out. MindSpore's rule: the name begins with
 * "train-" or "t10k-" (EMNIST's with "emnist-", and contains "-train-" or "-test-") and contains
 * "-images" and "idx3-ubyte", or "-labels" and "idx1-ubyte". Where several do, the plain file is
 * taken (its name ends in "-ubyte"), then the gzipped one (".gz"), then any other; of equals the
 * first by the bytes of the name. Only regular files count. MODEL_NOT_FOUND when there is none or
 * no folder.
 */
enum model_code idx_find(char *out, size_t size, const char *folder, enum model_split split,
                         enum idx_kind kind, struct model_error *err);

/* Whether a path is that of one of EMNIST's files, whose images are transposed. */
bool idx_is_emnist(const char *path);

/*
 * Reads a whole file: *bytes is [count][28][28] pixels or [count] labels of 0..63, at least one, to
 * be freed with free(). A file that cannot be opened or read is MODEL_NOT_FOUND or MODEL_DISK.
 */
enum model_code idx_read(uint8_t **bytes, size_t *count, const char *path, enum idx_kind kind,
                         struct model_error *err);

#endif
