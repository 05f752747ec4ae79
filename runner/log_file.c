#include "runner/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    COPY_PIECE = 64 * 1024,
    SUFFIX = 4 /* bytes of room for ".0" */
};

struct log_file {
    pthread_mutex_t lock; /* over all below */
    char path[STORAGE_PATH_MAX];
    int fd;
    uint64_t bytes;   /* the ceiling */
    uint64_t size;    /* of the present file */
    uint64_t total;   /* that ever came */
    uint64_t dropped; /* bytes that fell out of the middle */
};

static const char *const suffixes[] = {".0", ".1"}; /* the first, the one before the present */

static void part_path(char *out, size_t size, const struct log_file *file, size_t part)
{
    snprintf(out, size, "%s%s", file->path, suffixes[part]);
}

static uint64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static void make_folder_of(const char *path)
{
    char folder[STORAGE_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder, 0777); /* one that is missing shows when the file is opened */
        *slash = '/';
    }
}

static int open_present(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

struct log_file *log_file_open(const char *path, uint64_t bytes)
{
    struct log_file *file = calloc(1, sizeof *file);
    if (!file) {
        return NULL;
    }
    file->bytes = bytes;
    if ((size_t)snprintf(file->path, sizeof file->path, "%s", path) + SUFFIX > sizeof file->path) {
        free(file);
        errno = ENAMETOOLONG;
        return NULL;
    }
    make_folder_of(path);
    file->fd = open_present(path);
    if (file->fd < 0) {
        int why = errno;
        free(file);
        errno = why;
        return NULL;
    }
    file->size = size_of(path);
    file->total = file->size;
    pthread_mutex_init(&file->lock, NULL);
    return file;
}

void log_file_close(struct log_file *file)
{
    if (file) {
        close(file->fd);
        pthread_mutex_destroy(&file->lock);
        free(file);
    }
}

/* Begins a new present file; the old one becomes the first, or the one before. */
static void rotate(struct log_file *file)
{
    char first[STORAGE_PATH_MAX + SUFFIX];
    char before[STORAGE_PATH_MAX + SUFFIX];
    part_path(first, sizeof first, file, 0);
    part_path(before, sizeof before, file, 1);
    bool has_first = access(first, F_OK) == 0;
    uint64_t lost = has_first ? size_of(before) : 0;
    if (rename(file->path, has_first ? before : first) != 0) {
        return; /* it grows on, and the next line tries again */
    }
    int fd = open_present(file->path);
    if (fd < 0) {
        rename(has_first ? before : first, file->path);
        return;
    }
    close(file->fd);
    file->fd = fd;
    file->size = 0;
    file->dropped += lost;
}

static uint64_t present_max(const struct log_file *file)
{
    char first[STORAGE_PATH_MAX + SUFFIX];
    part_path(first, sizeof first, file, 0);
    return access(first, F_OK) == 0 ? file->bytes / 8 * 3 : file->bytes / 4;
}

/* Called with the lock held. */
static void append(struct log_file *file, const char *text, size_t length)
{
    if (file->size > 0 && file->size + length > present_max(file)) {
        rotate(file);
    }
    while (length > 0) {
        ssize_t done = write(file->fd, text, length);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return;
        }
        file->size += (uint64_t)done;
        file->total += (uint64_t)done;
        text += done;
        length -= (size_t)done;
    }
}

uint64_t log_file_total(struct log_file *file)
{
    pthread_mutex_lock(&file->lock);
    uint64_t total = file->total;
    pthread_mutex_unlock(&file->lock);
    return total;
}

void log_file_write(struct log_file *file, const char *text, size_t length)
{
    if (file) {
        pthread_mutex_lock(&file->lock);
        append(file, text, length);
        pthread_mutex_unlock(&file->lock);
    }
}

/* Appends to the log what fd holds, from its beginning. */
static void append_file(struct log_file *file, int fd)
{
    char piece[4096];
    ssize_t got = 0;
    for (off_t at = 0; (got = pread(fd, piece, sizeof piece, at)) > 0; at += got) {
        append(file, piece, (size_t)got);
    }
}

bool log_file_move(struct log_file *file, const char *path)
{
    if (strlen(path) + SUFFIX >= sizeof file->path) {
        errno = ENAMETOOLONG;
        return false;
    }
    pthread_mutex_lock(&file->lock);
    make_folder_of(path);
    int fd = open_present(path);
    bool moved = fd >= 0;
    if (moved) {
        int old = file->fd;
        unlink(file->path);
        snprintf(file->path, sizeof file->path, "%s", path);
        file->fd = fd;
        file->size = size_of(path);
        append_file(file, old);
        close(old);
    }
    pthread_mutex_unlock(&file->lock);
    return moved;
}

/* ---- into the store -------------------------------------------------------------------------- */

/* What a thread writes into the pipe that the store reads. */
struct outflow {
    int parts[3]; /* descriptors in their order; -1: there is none */
    uint64_t sizes[3];
    uint64_t dropped;
    int pipe;
};

static bool write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t done = write(fd, text, length);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return false;
        }
        text += done;
        length -= (size_t)done;
    }
    return true;
}

static void *flow(void *context)
{
    struct outflow *outflow = context;
    char *piece = malloc(COPY_PIECE);
    bool good = piece != NULL;
    for (size_t i = 0; good && i < 3; i++) {
        if (i == 1 && outflow->dropped > 0) {
            int length = snprintf(piece, COPY_PIECE,
                                  "[jobferry: %llu bytes of the log were left out here]\n",
                                  (unsigned long long)outflow->dropped);
            good = write_all(outflow->pipe, piece, (size_t)length);
        }
        for (uint64_t at = 0; good && outflow->parts[i] >= 0 && at < outflow->sizes[i];) {
            uint64_t left = outflow->sizes[i] - at;
            ssize_t got = pread(outflow->parts[i], piece,
                                left < COPY_PIECE ? (size_t)left : COPY_PIECE, (off_t)at);
            good = got > 0 && write_all(outflow->pipe, piece, (size_t)got);
            at += got > 0 ? (uint64_t)got : 0;
        }
    }
    free(piece);
    close(outflow->pipe);
    return NULL;
}

enum storage_code log_file_put(struct log_file *file, struct storage *store, const char *key,
                               struct storage_error *err)
{
    struct outflow outflow = {.parts = {-1, -1, -1}};
    int ends[2] = {-1, -1};
    pthread_t thread;
    uint64_t size = 0;
    enum storage_code code = STORAGE_BUG;
    char path[STORAGE_PATH_MAX + SUFFIX];
    pthread_mutex_lock(&file->lock);
    for (size_t i = 0; i < 2; i++) {
        part_path(path, sizeof path, file, i);
        outflow.parts[i] = open(path, O_RDONLY | O_CLOEXEC);
        outflow.sizes[i] = outflow.parts[i] >= 0 ? size_of(path) : 0;
    }
    outflow.parts[2] = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
    outflow.sizes[2] = file->size;
    outflow.dropped = file->dropped;
    pthread_mutex_unlock(&file->lock);
    if (outflow.parts[2] >= 0 && pipe2(ends, O_CLOEXEC) == 0) {
        outflow.pipe = ends[1];
        if (pthread_create(&thread, NULL, flow, &outflow) == 0) {
            code = storage_put_stream(store, key, ends[0], &size, NULL, err);
            close(ends[0]); /* a put that failed early: the thread's next write ends it */
            pthread_join(thread, NULL);
            ends[0] = ends[1] = -1;
        }
    }
    if (code == STORAGE_BUG && ends[0] >= 0) {
        *err = (struct storage_error){.code = code};
        snprintf(err->message, sizeof err->message, "put the log as %.1000s: no memory", key);
    }
    for (size_t i = 0; i < 3; i++) {
        if (outflow.parts[i] >= 0) {
            close(outflow.parts[i]);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            close(ends[i]);
        }
    }
    return code;
}
