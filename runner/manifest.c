#include "runner/manifest.h"

#include "runner/json_line.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    LINE_MAX_BYTES = 64 * 1024, /* a name of STORAGE_PATH_MAX bytes, each escaped, and some */
    FILE_MODE = 0666            /* cut by the umask */
};

/* ---- writing -------------------------------------------------------------------------------- */

struct manifest_writer {
    FILE *file;
    char *path;
    char *temporary;
    char *root;
    uint64_t files, bytes;
    int failure; /* errno of the first */
};

static void free_writer(struct manifest_writer *writer)
{
    free(writer->path);
    free(writer->temporary);
    free(writer->root);
    free(writer);
}

struct manifest_writer *manifest_begin(const char *path, const char *root)
{
    struct manifest_writer *writer = calloc(1, sizeof *writer);
    int fd = -1;
    if (!writer) {
        return NULL;
    }
    size_t size = strlen(path) + 32;
    writer->path = strdup(path);
    writer->root = strdup(root);
    writer->temporary = malloc(size);
    if (writer->path && writer->root && writer->temporary) {
        snprintf(writer->temporary, size, "%s.%ld.tmp", path, (long)getpid());
        fd = open(writer->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                  FILE_MODE);
        writer->file = fd >= 0 ? fdopen(fd, "w") : NULL;
    }
    if (!writer->file) {
        int failure = errno;
        if (fd >= 0) {
            close(fd);
            unlink(writer->temporary);
        }
        free_writer(writer);
        errno = failure;
        return NULL;
    }
    return writer;
}

void manifest_discard(struct manifest_writer *writer)
{
    if (writer) {
        fclose(writer->file);
        unlink(writer->temporary);
        free_writer(writer);
    }
}

/* The destination relative to the root; its last name when it is the root. */
static const char *name_below(const char *destination, const char *root)
{
    size_t length = strlen(root);
    const char *slash = strrchr(destination, '/');
    if (strncmp(destination, root, length) == 0) {
        const char *rest = destination + length;
        if (length == 0 || root[length - 1] == '/') {
            return rest;
        }
        if (*rest == '/' && rest[1]) {
            return rest + 1;
        }
    }
    return slash ? slash + 1 : destination;
}

/* Sets name, or name_hex where JSON cannot say it. */
static bool set_name(json_t *line, const char *name)
{
    json_t *text = json_string(name);
    if (text) {
        return json_object_set_new(line, "name", text) == 0;
    }
    char hex[2 * STORAGE_PATH_MAX + 1] = "";
    for (size_t i = 0; name[i] && i < STORAGE_PATH_MAX; i++) {
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)name[i]);
    }
    return json_object_set_new(line, "name_hex", json_string(hex)) == 0;
}

static void write_line(struct manifest_writer *writer, json_t *line)
{
    char *text = line ? json_dumps(line, JSON_ENSURE_ASCII) : NULL;
    if (writer->failure == 0 && (!text || fprintf(writer->file, "%s\n", text) < 0)) {
        writer->failure = text ? errno : ENOMEM;
    }
    free(text);
    json_decref(line);
}

void manifest_add(struct manifest_writer *writer, const struct storage_copied *copied)
{
    char crc32[16];
    json_t *line = json_object();
    bool ok = line && set_name(line, name_below(copied->destination, writer->root)) &&
              json_object_set_new(line, "size", json_integer((json_int_t)copied->size)) == 0;
    if (ok && copied->has_crc32) {
        snprintf(crc32, sizeof crc32, "%08x", copied->crc32);
        ok = json_object_set_new(line, "crc32", json_string(crc32)) == 0;
    }
    ok = ok && json_object_set_new(line, "verified",
                                   json_string(storage_verified_name(copied->verified))) == 0;
    if (!ok) {
        json_decref(line);
        line = NULL;
    }
    write_line(writer, line);
    writer->files++;
    writer->bytes += copied->size;
}

/* Makes the names in the folder of path durable; a file system that cannot need not. */
static void sync_folder_of(const char *path)
{
    char folder[STORAGE_PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

bool manifest_publish(struct manifest_writer *writer, bool complete)
{
    write_line(writer, json_pack("{si sI sI sb}", "manifest", 1, "files", (json_int_t)writer->files,
                                 "bytes", (json_int_t)writer->bytes, "complete", complete));
    if (writer->failure == 0 && (fflush(writer->file) != 0 || fsync(fileno(writer->file)) != 0)) {
        writer->failure = errno;
    }
    if (fclose(writer->file) != 0 && writer->failure == 0) {
        writer->failure = errno;
    }
    if (writer->failure == 0 && rename(writer->temporary, writer->path) != 0) {
        writer->failure = errno;
    }
    int failure = writer->failure;
    if (failure) {
        unlink(writer->temporary);
    } else {
        sync_folder_of(writer->path);
    }
    free_writer(writer);
    errno = failure;
    return failure == 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

struct manifest_reader {
    FILE *file;
    char *line; /* of getline */
    size_t room;
    uint64_t number; /* of the line */
    uint64_t files, bytes;
    bool complete;
    char message[256];
};

struct manifest_reader *manifest_open(const char *path)
{
    struct manifest_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        return NULL;
    }
    reader->file = fopen(path, "re");
    if (!reader->file) {
        int failure = errno;
        free(reader);
        errno = failure;
        return NULL;
    }
    return reader;
}

void manifest_close(struct manifest_reader *reader)
{
    if (reader) {
        fclose(reader->file);
        free(reader->line);
        free(reader);
    }
}

bool manifest_is_complete(const struct manifest_reader *reader)
{
    return reader->complete;
}

const char *manifest_message(const struct manifest_reader *reader)
{
    return reader->message;
}

static enum manifest_answer fail_line(struct manifest_reader *reader, const char *why)
{
    snprintf(reader->message, sizeof reader->message, "line %" PRIu64 ": %s", reader->number, why);
    return MANIFEST_BAD;
}

static bool decode_hex(char *out, size_t size, const char *hex)
{
    size_t length = strlen(hex);
    if (length % 2 || length / 2 >= size || strspn(hex, "0123456789abcdef") != length) {
        return false;
    }
    for (size_t i = 0; i < length / 2; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (char)strtoul(digits, NULL, 16);
    }
    out[length / 2] = '\0';
    return true;
}

static bool read_name(struct manifest_file *file, const json_t *line)
{
    const char *name = json_string_value(json_object_get(line, "name"));
    const char *hex = json_string_value(json_object_get(line, "name_hex"));
    if (hex) {
        return decode_hex(file->name, sizeof file->name, hex);
    }
    return name && (size_t)snprintf(file->name, sizeof file->name, "%s", name) < sizeof file->name;
}

static enum manifest_answer read_file(struct manifest_reader *reader, const json_t *line,
                                      struct manifest_file *file)
{
    const json_t *size = json_object_get(line, "size");
    const char *crc32 = json_string_value(json_object_get(line, "crc32"));
    const char *why = NULL;
    memset(file, 0, sizeof *file);
    if (!read_name(file, line)) {
        return fail_line(reader, "no name, or one that is too long");
    }
    if (!storage_name_is_safe(file->name, &why)) {
        return fail_line(reader, why);
    }
    if (!json_is_integer(size) || json_integer_value(size) < 0) {
        return fail_line(reader, "no size");
    }
    if (crc32 && (strlen(crc32) != 8 || strspn(crc32, "0123456789abcdef") != 8)) {
        return fail_line(reader, "a CRC-32 is eight hex digits");
    }
    file->size = (uint64_t)json_integer_value(size);
    file->has_crc32 = crc32 != NULL;
    file->crc32 = crc32 ? (uint32_t)strtoul(crc32, NULL, 16) : 0;
    reader->files++;
    reader->bytes += file->size;
    return MANIFEST_FILE;
}

static enum manifest_answer read_end(struct manifest_reader *reader, const json_t *line)
{
    if (json_integer_value(json_object_get(line, "manifest")) != 1) {
        return fail_line(reader, "it is of a version that is not known here");
    }
    if ((uint64_t)json_integer_value(json_object_get(line, "files")) != reader->files ||
        (uint64_t)json_integer_value(json_object_get(line, "bytes")) != reader->bytes) {
        return fail_line(reader, "lines are missing, or were changed: the sums differ");
    }
    reader->complete = json_is_true(json_object_get(line, "complete"));
    return getc(reader->file) == EOF ? MANIFEST_END
                                     : fail_line(reader, "something follows the last line");
}

enum manifest_answer manifest_next(struct manifest_reader *reader, struct manifest_file *file)
{
    reader->number++;
    ssize_t length = getline(&reader->line, &reader->room, reader->file);
    if (length < 0) {
        return fail_line(reader, "the last line is missing: the manifest is cut");
    }
    if (length > LINE_MAX_BYTES) {
        return fail_line(reader, "it is too long");
    }
    json_t *line = json_loadb(reader->line, (size_t)length, JSON_REJECT_DUPLICATES, NULL);
    enum manifest_answer answer = !json_is_object(line) ? fail_line(reader, "it is no JSON object")
                                  : json_object_get(line, "manifest")
                                      ? read_end(reader, line)
                                      : read_file(reader, line, file);
    json_decref(line);
    return answer;
}
