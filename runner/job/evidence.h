/*
 * evidence.h - what a file itself tells of its being whole, and whether anybody is still writing.
 *
 * Nothing here changes the file, or keeps anybody from writing to it.
 */
#ifndef RUNNER_EVIDENCE_H
#define RUNNER_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

/* What the format says, of formats that tell where they end. */
enum file_shape {
    SHAPE_UNKNOWN, /* a format that proves nothing, or that we do not know */
    SHAPE_WHOLE,   /* the file ends where its format says it ends, and its sum, if any, fits */
    SHAPE_BROKEN   /* it is of a format that we know, and cut or damaged */
};

/*
 * Judges an open file of size bytes by its first bytes and its name's suffix:
 *
 *   .ckpt          MindSpore's: entries to the file's end; whole only with a sum, ours or
 *                  MindSpore's, since a writer may be killed between two entries
 *   .safetensors   the header's length, and the furthest data_offsets in it
 *   zip            as torch.save writes: the end of the central directory, at the file's end
 *   .meta          a protobuf that runs over its end is broken; one that does not proves nothing
 *
 * An empty file of one of these suffixes is broken. Reads the whole file where there is a sum, else
 * a few kilobytes.
 */
enum file_shape file_shape(int fd, const char *name, uint64_t size);

/* CRC-32 of the first size bytes; false when they cannot all be read. */
bool file_crc32(int fd, uint64_t size, uint32_t *crc32);

enum file_writers {
    WRITERS_NONE,
    WRITERS_SOME,
    WRITERS_UNKNOWN /* neither the kernel nor /proc would tell */
};

/*
 * Whether any process has the file open, or mapped, for writing. fd must be open for reading only.
 * Asks for a read lease (fcntl(2), F_SETLEASE), which is refused while there is a writer, and gives
 * it back at once; where there are no leases, or the file is another user's, looks through
 * /proc/<pid>/fd of the processes that we may look at.
 */
enum file_writers file_writers(int fd);

#endif
