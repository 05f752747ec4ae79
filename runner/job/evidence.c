#include "runner/job/evidence.h"

#include "storage/storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    PIECE = 256 * 1024,
    ENTRIES_MAX = 1000000,          /* of a .ckpt */
    TRAILER_SIZE = 17,              /* "crc_num" and ten bytes (MindSpore 2.3 and later) */
    HEADER_MAX = 100 * 1000 * 1000, /* of a .safetensors, as its reference reader allows */
    ZIP_END = 22,                   /* bytes of the end record without its comment */
    ZIP_COMMENT_MAX = 65535,
    ZIP64_LOCATOR = 20
};

static bool read_at(int fd, void *data, size_t size, uint64_t offset)
{
    return pread(fd, data, size, (off_t)offset) == (ssize_t)size;
}

bool file_crc32(int fd, uint64_t size, uint32_t *crc32)
{
    char *piece = malloc(PIECE);
    uint64_t done = 0;
    *crc32 = 0;
    while (piece && done < size) {
        size_t most = size - done < PIECE ? (size_t)(size - done) : PIECE;
        ssize_t got = pread(fd, piece, most, (off_t)done);
        if (got <= 0) {
            break;
        }
        *crc32 = storage_crc32(*crc32, piece, (size_t)got);
        done += (uint64_t)got;
    }
    free(piece);
    return piece && done == size;
}

static uint64_t little_endian(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = count; i > 0; i--) {
        value = value << 8 | bytes[i - 1];
    }
    return value;
}

/* A protobuf varint (its encoding: protobuf.dev, "Encoding"); 0 when it does not end. */
static size_t read_varint(const uint8_t *bytes, size_t size, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < size && i < 10; i++) {
        *value |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if (!(bytes[i] & 0x80)) {
            return i + 1;
        }
    }
    return 0;
}

/* ---- protobuf ------------------------------------------------------------------------------- */

/* Where the field at offset ends, or 0: it is cut, or no field. head gets its first bytes. */
static uint64_t field_end(int fd, uint64_t offset, uint64_t size, uint8_t head[48])
{
    uint64_t key = 0;
    uint64_t length = 0;
    size_t have = size - offset < 48 ? (size_t)(size - offset) : 48;
    memset(head, 0, 48);
    if (!read_at(fd, head, have, offset)) {
        return 0;
    }
    size_t used = read_varint(head, have, &key);
    if (used == 0 || key >> 3 == 0) {
        return 0;
    }
    size_t more = read_varint(head + used, have - used, &length);
    uint64_t end = 0;
    switch (key & 7) {
    case 0: /* a number */
        end = more ? offset + used + more : 0;
        break;
    case 1:
        end = offset + used + 8;
        break;
    case 2: /* bytes, a text, a message */
        end = more && length <= size ? offset + used + more + length : 0;
        break;
    case 5:
        end = offset + used + 4;
        break;
    default:
        break;
    }
    return end <= size ? end : 0;
}

/* Whether the entry of which head are the first bytes has this tag, or one that begins so. */
static bool has_tag(const uint8_t head[48], const char *tag)
{
    uint64_t length = 0;
    size_t at = 1 + read_varint(head + 1, 10, &length); /* the entry's key and length */
    return head[0] == 0x0a && head[at] == 0x0a &&       /* its first field: the tag */
           memcmp(head + at + 2, tag, strlen(tag)) == 0;
}

/* The sum that our last entry ends in: two 64-bit numbers, the second is the CRC-32 of what is
 * before the entry. */
static enum file_shape check_own_sum(int fd, uint64_t start, uint64_t end)
{
    uint8_t number[8];
    uint32_t crc32 = 0;
    bool fits = end - start >= 24 && read_at(fd, number, sizeof number, end - 8) &&
                file_crc32(fd, start, &crc32) && little_endian(number, 8) == crc32;
    return fits ? SHAPE_WHOLE : SHAPE_BROKEN;
}

static enum file_shape check_trailer(int fd, const uint8_t trailer[TRAILER_SIZE], uint64_t end)
{
    uint32_t crc32 = 0;
    uint64_t told = 0;
    for (size_t i = 7; i < TRAILER_SIZE; i++) {
        told = told << 8 | trailer[i];
    }
    return file_crc32(fd, end, &crc32) && told == crc32 ? SHAPE_WHOLE : SHAPE_BROKEN;
}

static enum file_shape checkpoint_shape(int fd, uint64_t size)
{
    uint8_t trailer[TRAILER_SIZE];
    uint8_t head[48];
    uint64_t end = size;
    uint64_t at = 0;
    bool is_ours = false;
    bool has_trailer = size > TRAILER_SIZE &&
                       read_at(fd, trailer, TRAILER_SIZE, size - TRAILER_SIZE) &&
                       memcmp(trailer, "crc_num", 7) == 0;
    end -= has_trailer ? TRAILER_SIZE : 0;
    for (size_t i = 0; at < end; i++) {
        uint64_t next = field_end(fd, at, end, head);
        if (next == 0 || head[0] != 0x0a || i == ENTRIES_MAX) {
            return SHAPE_BROKEN;
        }
        if (has_tag(head, "jobferry.crc32")) {
            return next == end ? check_own_sum(fd, at, next) : SHAPE_BROKEN;
        }
        is_ours = is_ours || has_tag(head, "jobferry.");
        at = next;
    }
    return has_trailer ? check_trailer(fd, trailer, end)
           : is_ours   ? SHAPE_BROKEN /* our last entry is missing */
                       : SHAPE_UNKNOWN;
}

static enum file_shape protobuf_shape(int fd, uint64_t size)
{
    uint8_t head[48];
    uint64_t at = 0;
    for (size_t i = 0; at < size && i < ENTRIES_MAX; i++) {
        uint64_t next = field_end(fd, at, size, head);
        if (next == 0) {
            return i > 0 ? SHAPE_BROKEN : SHAPE_UNKNOWN; /* no protobuf at all, perhaps */
        }
        at = next;
    }
    return SHAPE_UNKNOWN;
}

/* ---- safetensors ---------------------------------------------------------------------------- */

/* The furthest end that the header's data_offsets name: "data_offsets":[begin,end]. */
static uint64_t furthest_offset(const char *header)
{
    static const char key[] = "\"data_offsets\"";
    uint64_t furthest = 0;
    for (const char *at = strstr(header, key); at; at = strstr(at, key)) {
        at += sizeof key - 1;
        const char *comma = strchr(at, ',');
        uint64_t end = comma ? strtoull(comma + 1, NULL, 10) : UINT64_MAX;
        furthest = end > furthest ? end : furthest;
    }
    return furthest;
}

static enum file_shape safetensors_shape(int fd, uint64_t size)
{
    uint8_t head[8];
    if (size < sizeof head + 2 || !read_at(fd, head, sizeof head, 0)) {
        return SHAPE_BROKEN;
    }
    uint64_t length = little_endian(head, sizeof head);
    if (length < 2 || length > HEADER_MAX || length > size - sizeof head) {
        return SHAPE_BROKEN;
    }
    char *header = malloc((size_t)length + 1);
    bool fits = header && read_at(fd, header, (size_t)length, sizeof head);
    if (fits) {
        header[length] = '\0';
        fits = header[0] == '{' && furthest_offset(header) == size - sizeof head - length;
    }
    free(header);
    return fits ? SHAPE_WHOLE : SHAPE_BROKEN;
}

/* ---- zip ------------------------------------------------------------------------------------ */

/* The central directory's end as the zip64 record says it; 0: there is none that fits. */
static uint64_t zip64_directory_end(int fd, uint64_t end_record)
{
    uint8_t locator[ZIP64_LOCATOR];
    uint8_t record[56];
    if (end_record < ZIP64_LOCATOR ||
        !read_at(fd, locator, sizeof locator, end_record - ZIP64_LOCATOR) ||
        memcmp(locator, "PK\6\7", 4) != 0) {
        return 0;
    }
    uint64_t at = little_endian(locator + 8, 8);
    if (at > end_record - ZIP64_LOCATOR || !read_at(fd, record, sizeof record, at) ||
        memcmp(record, "PK\6\6", 4) != 0) {
        return 0;
    }
    uint64_t end = little_endian(record + 40, 8) + little_endian(record + 48, 8);
    return end == at ? end_record : 0;
}

/*
 * The end record (APPNOTE 4.3.16) stands at the end, behind it only its comment, and the central
 * directory ends where it, or the zip64 record, begins.
 */
static enum file_shape zip_shape(int fd, uint64_t size)
{
    uint64_t room = size < ZIP_END + ZIP_COMMENT_MAX ? size : ZIP_END + ZIP_COMMENT_MAX;
    enum file_shape shape = SHAPE_BROKEN;
    uint8_t *tail = malloc((size_t)room);
    if (!tail || room < ZIP_END || !read_at(fd, tail, (size_t)room, size - room)) {
        goto done;
    }
    for (uint64_t i = room - ZIP_END + 1; i > 0 && shape == SHAPE_BROKEN; i--) {
        const uint8_t *record = tail + i - 1;
        uint64_t at = size - room + i - 1;
        if (memcmp(record, "PK\5\6", 4) != 0 ||
            at + ZIP_END + little_endian(record + 20, 2) != size) {
            continue;
        }
        uint64_t length = little_endian(record + 12, 4);
        uint64_t offset = little_endian(record + 16, 4);
        bool fits = length + offset == at || zip64_directory_end(fd, at) == at;
        shape = fits ? SHAPE_WHOLE : SHAPE_BROKEN;
    }
done:
    free(tail);
    return shape;
}

/* ---- which ---------------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    size_t tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

enum file_shape file_shape(int fd, const char *name, uint64_t size)
{
    uint8_t magic[4] = {0};
    bool is_meta = ends_in(name, ".meta");
    bool is_ckpt = ends_in(name, ".ckpt");
    if (ends_in(name, ".safetensors")) {
        return safetensors_shape(fd, size);
    }
    if (size == 0) {
        bool known = is_meta || is_ckpt || ends_in(name, ".pt") || ends_in(name, ".pth");
        return known ? SHAPE_BROKEN : SHAPE_UNKNOWN;
    }
    if (!read_at(fd, magic, size < sizeof magic ? (size_t)size : sizeof magic, 0)) {
        return SHAPE_UNKNOWN;
    }
    if (memcmp(magic, "PK\3\4", 4) == 0) {
        return zip_shape(fd, size);
    }
    if (is_ckpt && magic[0] == 0x0a) {
        return checkpoint_shape(fd, size);
    }
    return is_meta ? protobuf_shape(fd, size) : SHAPE_UNKNOWN;
}

/* ---- writers -------------------------------------------------------------------------------- */

/* Whether one descriptor of a process is the file, open for writing. */
static bool is_writer(const char *process, const char *number, const struct stat *file)
{
    char path[600];
    char line[256];
    struct stat status;
    bool writes = false;
    snprintf(path, sizeof path, "/proc/%s/fd/%s", process, number);
    if (stat(path, &status) != 0 || status.st_ino != file->st_ino ||
        status.st_dev != file->st_dev) {
        return false;
    }
    snprintf(path, sizeof path, "/proc/%s/fdinfo/%s", process, number);
    FILE *info = fopen(path, "re");
    while (info && fgets(line, sizeof line, info)) {
        static const char label[] = "flags:"; /* proc(5): octal */
        if (strncmp(line, label, sizeof label - 1) == 0) {
            writes = (strtoul(line + sizeof label - 1, NULL, 8) & O_ACCMODE) != O_RDONLY;
        }
    }
    if (info) {
        fclose(info);
    }
    return writes;
}

static enum file_writers look_through_processes(const struct stat *file)
{
    enum file_writers writers = WRITERS_NONE;
    char path[300];
    DIR *processes = opendir("/proc");
    if (!processes) {
        return WRITERS_UNKNOWN;
    }
    for (const struct dirent *process = readdir(processes); process && writers != WRITERS_SOME;
         process = readdir(processes)) {
        if (process->d_name[0] < '0' || process->d_name[0] > '9') {
            continue;
        }
        snprintf(path, sizeof path, "/proc/%.20s/fd", process->d_name);
        DIR *descriptors = opendir(path);
        if (!descriptors) {
            writers = errno == EACCES ? WRITERS_UNKNOWN : writers;
            continue;
        }
        for (const struct dirent *one = readdir(descriptors); one; one = readdir(descriptors)) {
            if (one->d_name[0] != '.' && is_writer(process->d_name, one->d_name, file)) {
                writers = WRITERS_SOME;
                break;
            }
        }
        closedir(descriptors);
    }
    closedir(processes);
    return writers;
}

enum file_writers file_writers(int fd)
{
    struct stat file;
    /* Who opens it in the meantime waits until we let go, and we are told: by a signal that does
       nothing, where SIGIO would end us. */
    fcntl(fd, F_SETSIG, SIGURG);
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
        fcntl(fd, F_SETLEASE, F_UNLCK);
        return WRITERS_NONE;
    }
    if (errno == EAGAIN) {
        return WRITERS_SOME;
    }
    return fstat(fd, &file) == 0 ? look_through_processes(&file) : WRITERS_UNKNOWN;
}
