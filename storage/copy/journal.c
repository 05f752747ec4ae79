/*
 * journal.c - see journal.h. Lines are written with one write() each to a descriptor that appends,
 * so a line is whole or, after a death in between, the last one and cut.
 */
#include "storage/copy/journal.h"
#include "storage/base/buf.h"
#include "storage/base/digest.h"
#include "storage/base/url.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/storage_banned.h"

enum {
    LINE_MAX_BYTES = 32 * 1024,         /* a head with every text encoded */
    FILE_MAX_BYTES = 128 * 1024 * 1024, /* JOURNAL_PARTS_MAX lines, and some */
    SUM_DIGITS = 8,
    OPEN_TRIES = 8,
    BOOT_MAX = 40,
    NAME_MAX_KEPT = 200 /* bytes of a file's name kept in its journal's */
};

static const char suffix[] = ".journal";

struct journal {
    int fd;
    int folder; /* in which path is looked up; owned, unless it is AT_FDCWD */
    char *path;
    struct journal_head head;
    bool has_head;
    uint32_t seed; /* the head line's sum */

    pthread_mutex_t lock; /* over what follows */
    struct journal_part *parts;
    size_t capacity; /* of parts */
    unsigned *order; /* part numbers as their lines came, `count` of them */
    size_t order_capacity;
    size_t count;
    bool failed; /* a write failed: the file's end is not known to be whole */
};

/* ---- the table ------------------------------------------------------------------------------ */

static void forget_parts(struct journal *journal)
{
    for (size_t i = 0; i < journal->capacity; i++) {
        free((char *)journal->parts[i].tag);
    }
    free(journal->parts);
    free(journal->order);
    journal->parts = NULL;
    journal->order = NULL;
    journal->capacity = 0;
    journal->order_capacity = 0;
    journal->count = 0;
}

static bool grow_parts(struct journal *journal, unsigned number)
{
    size_t capacity = journal->capacity ? journal->capacity : 64;
    while (capacity < number) {
        capacity *= 2;
    }
    if (capacity == journal->capacity) {
        return true;
    }
    struct journal_part *parts = realloc(journal->parts, capacity * sizeof *parts);
    if (!parts) {
        return false;
    }
    memset(parts + journal->capacity, 0, (capacity - journal->capacity) * sizeof *parts);
    journal->parts = parts;
    journal->capacity = capacity;
    return true;
}

static bool grow_order(struct journal *journal)
{
    if (journal->count < journal->order_capacity) {
        return true;
    }
    size_t capacity = journal->order_capacity ? journal->order_capacity * 2 : 64;
    unsigned *order = realloc(journal->order, capacity * sizeof *order);
    if (!order) {
        return false;
    }
    journal->order = order;
    journal->order_capacity = capacity;
    return true;
}

static bool take_part(struct journal *journal, unsigned number, uint32_t crc32, const char *tag)
{
    if (number == 0 || number > JOURNAL_PARTS_MAX || strlen(tag) >= JOURNAL_TAG_MAX ||
        journal->count >= JOURNAL_PARTS_MAX || !grow_parts(journal, number) ||
        !grow_order(journal)) {
        return false;
    }
    char *copy = *tag ? strdup(tag) : NULL;
    if (*tag && !copy) {
        return false;
    }
    struct journal_part *part = &journal->parts[number - 1];
    free((char *)part->tag);
    *part = (struct journal_part){.is_done = true, .crc32 = crc32, .tag = copy};
    journal->order[journal->count++] = number;
    return true;
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* This boot of the machine; "" where it has no name, which is equal to nothing. */
static void read_boot(char boot[BOOT_MAX])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    memset(boot, 0, BOOT_MAX);
    if (fd >= 0) {
        if (read(fd, boot, BOOT_MAX - 1) < 0) {
            boot[0] = '\0';
        }
        close(fd);
    }
    boot[strcspn(boot, "\n")] = '\0';
}

/* Appends "<crc32> <payload>\n" to the file. */
static bool write_line(struct journal *journal, uint32_t sum, const struct buf *payload)
{
    char line[LINE_MAX_BYTES];
    int length = snprintf(line, sizeof line, "%08x %s\n", sum, payload->data);
    if (!buf_ok(payload) || length < 0 || (size_t)length >= sizeof line || journal->failed) {
        return false;
    }
    ssize_t written = write(journal->fd, line, (size_t)length);
    journal->failed = written != length;
    return !journal->failed;
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_format(out, " %s=", name);
    url_encode_query(out, text);
}

/* The next word of a line; "" at its end. */
static char *next_word(char **at)
{
    char *word = *at;
    size_t length = strcspn(word, " ");
    *at = word + length;
    if (**at == ' ') {
        *(*at)++ = '\0';
    }
    return word;
}

static bool parse_number(uint64_t *value, const char *text, int base)
{
    char *end = NULL;
    if (*text == '\0' || *text == '-' || *text == '+' || *text == ' ') {
        return false;
    }
    errno = 0;
    *value = strtoull(text, &end, base);
    return errno == 0 && *end == '\0';
}

/* The value of the next word, which must be "name=value". */
static bool next_text(char **at, const char *name, char *out, size_t size)
{
    char *word = next_word(at);
    size_t length = strlen(name);
    if (strncmp(word, name, length) != 0 || word[length] != '=' || !url_decode(word + length + 1) ||
        strlen(word + length + 1) >= size) {
        return false;
    }
    memcpy(out, word + length + 1, strlen(word + length + 1) + 1);
    return true;
}

static bool next_number(char **at, const char *name, uint64_t *value)
{
    char text[32];
    return next_text(at, name, text, sizeof text) && parse_number(value, text, 10);
}

static bool parse_head(struct journal_head *head, char boot[BOOT_MAX], char *line)
{
    uint64_t needs_sync = 0;
    uint64_t mtime = 0;
    bool ok =
        strcmp(next_word(&line), "jobferry-journal") == 0 && strcmp(next_word(&line), "1") == 0 &&
        next_text(&line, "boot", boot, BOOT_MAX) && next_number(&line, "synced", &needs_sync) &&
        next_number(&line, "size", &head->size) &&
        next_number(&line, "part_size", &head->part_size) && next_number(&line, "mtime", &mtime) &&
        next_text(&line, "etag", head->etag, sizeof head->etag) &&
        next_text(&line, "source", head->source, sizeof head->source) &&
        next_text(&line, "token", head->token, sizeof head->token);
    head->needs_sync = needs_sync != 0;
    head->mtime_ns = (int64_t)mtime; /* two's complement, as it was written */
    return ok && head->part_size > 0 && *line == '\0';
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Takes one line after the head; *synced grows with sync lines. */
static bool parse_line(struct journal *journal, char *line, size_t *synced)
{
    uint64_t number = 0;
    uint64_t crc = 0;
    const char *kind = next_word(&line);
    if (!parse_number(&number, next_word(&line), 10)) {
        return false;
    }
    if (strcmp(kind, "sync") == 0 && *line == '\0' && number <= journal->count) {
        *synced = (size_t)number;
        return true;
    }
    char *sum = next_word(&line);
    char *tag = next_word(&line);
    return strcmp(kind, "part") == 0 && *line == '\0' && number <= JOURNAL_PARTS_MAX &&
           strlen(sum) == SUM_DIGITS && parse_number(&crc, sum, 16) && url_decode(tag) &&
           take_part(journal, (unsigned)number, (uint32_t)crc, tag);
}

/*
 * Splits the line at *at off and checks its sum, which goes on from seed. NULL: none, cut, or
 * damaged. *at is then where it was.
 */
static char *check_line(char **at, uint32_t seed, uint32_t *sum)
{
    char *line = *at;
    char *end = strchr(line, '\n');
    char digits[SUM_DIGITS + 1];
    if (!end || end - line <= SUM_DIGITS || line[SUM_DIGITS] != ' ') {
        return NULL;
    }
    char *payload = line + SUM_DIGITS + 1;
    *sum = storage_crc32(seed, payload, (size_t)(end - payload));
    snprintf(digits, sizeof digits, "%08x", *sum);
    if (memcmp(line, digits, SUM_DIGITS) != 0) {
        return NULL;
    }
    *end = '\0';
    *at = end + 1;
    return payload;
}

/*
 * Takes what text says; returns how many of its bytes are good. *synced is the number of part lines
 * that outlive the machine; boot the one they were written in.
 */
static size_t parse(struct journal *journal, char *text, char boot[BOOT_MAX], size_t *synced)
{
    char *at = text;
    uint32_t sum = 0;
    char *line = check_line(&at, 0, &journal->seed);
    if (!line || !parse_head(&journal->head, boot, line)) {
        return 0;
    }
    journal->has_head = true;
    char *good = at;
    while ((line = check_line(&at, journal->seed, &sum)) != NULL &&
           parse_line(journal, line, synced)) {
        good = at;
    }
    return (size_t)(good - text);
}

/* After another boot: writes the file anew, with those lines only whose data cannot be lost. */
static bool keep_synced(struct journal *journal, size_t synced)
{
    const struct journal_head head = journal->head;
    struct journal old = {.parts = journal->parts,
                          .capacity = journal->capacity,
                          .order = journal->order,
                          .order_capacity = journal->order_capacity};
    journal->parts = NULL;
    journal->order = NULL;
    journal->capacity = 0;
    journal->order_capacity = 0;
    bool ok = journal_start(journal, &head);
    for (size_t i = 0; ok && i < synced; i++) {
        const struct journal_part *part = &old.parts[old.order[i] - 1];
        ok = journal_add(journal, old.order[i], part->crc32, part->tag ? part->tag : "");
    }
    forget_parts(&old);
    return ok && journal_synced(journal, synced);
}

static bool read_file(struct journal *journal)
{
    struct stat status;
    if (fstat(journal->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return false;
    }
    size_t size = status.st_size < FILE_MAX_BYTES ? (size_t)status.st_size : 0;
    char *text = calloc(1, size + 1);
    if (!text) {
        return false;
    }
    size_t got = 0;
    ssize_t count = 1;
    while (got < size && count > 0) {
        count = pread(journal->fd, text + got, size - got, (off_t)got);
        got += count > 0 ? (size_t)count : 0;
    }
    char boot[BOOT_MAX] = "";
    char now[BOOT_MAX];
    size_t synced = 0;
    size_t good = parse(journal, text, boot, &synced);
    free(text);
    read_boot(now);
    if (journal->has_head && journal->head.needs_sync && (!*now || strcmp(now, boot) != 0)) {
        return keep_synced(journal, synced);
    }
    /* what comes next must stand behind what is good */
    return ftruncate(journal->fd, (off_t)good) == 0;
}

/* ---- life cycle ----------------------------------------------------------------------------- */

/* Opens and locks; -1: not to be had. A file removed before we had its lock is tried anew. */
static int open_locked(int folder, const char *path)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        struct stat ours;
        struct stat named;
        int fd = openat(folder, path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
            return -1;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            close(fd);
            return -1;
        }
        if (fstat(fd, &ours) == 0 && fstatat(folder, path, &named, 0) == 0 &&
            ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) {
            return fd;
        }
        close(fd);
    }
    return -1;
}

/* Takes folder over, a descriptor or AT_FDCWD. */
static struct journal *open_in(int folder, const char *path)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal) {
        if (folder >= 0) {
            close(folder);
        }
        return NULL;
    }
    pthread_mutex_init(&journal->lock, NULL);
    journal->folder = folder;
    journal->path = strdup(path);
    journal->fd = journal->path ? open_locked(folder, path) : -1;
    if (journal->fd < 0 || !read_file(journal)) {
        journal_close(journal);
        return NULL;
    }
    return journal;
}

struct journal *journal_open(const char *path)
{
    return open_in(AT_FDCWD, path);
}

struct journal *journal_open_at(int folder, const char *name)
{
    int own = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    return own < 0 ? NULL : open_in(own, name);
}

void journal_close(struct journal *journal)
{
    if (!journal) {
        return;
    }
    if (journal->fd >= 0) {
        close(journal->fd);
    }
    if (journal->folder >= 0) {
        close(journal->folder);
    }
    forget_parts(journal);
    pthread_mutex_destroy(&journal->lock);
    free(journal->path);
    free(journal);
}

void journal_remove(struct journal *journal)
{
    if (journal) {
        unlinkat(journal->folder, journal->path, 0); /* while it is locked: nobody else's */
        journal_close(journal);
    }
}

const struct journal_head *journal_head(const struct journal *journal)
{
    return journal->has_head ? &journal->head : NULL;
}

bool journal_start(struct journal *journal, const struct journal_head *head)
{
    char boot[BOOT_MAX];
    struct buf payload;
    pthread_mutex_lock(&journal->lock);
    forget_parts(journal);
    journal->head = *head;
    journal->has_head = true;
    read_boot(boot);
    buf_init(&payload, LINE_MAX_BYTES);
    buf_text(&payload, "jobferry-journal 1");
    add_text(&payload, "boot", boot);
    buf_format(&payload, " synced=%d size=%llu part_size=%llu mtime=%llu", head->needs_sync,
               (unsigned long long)head->size, (unsigned long long)head->part_size,
               (unsigned long long)head->mtime_ns);
    add_text(&payload, "etag", head->etag);
    add_text(&payload, "source", head->source);
    add_text(&payload, "token", head->token);
    journal->seed = storage_crc32(0, payload.data, payload.length);
    journal->failed = ftruncate(journal->fd, 0) != 0;
    bool ok = write_line(journal, journal->seed, &payload);
    buf_release(&payload);
    pthread_mutex_unlock(&journal->lock);
    return ok;
}

/* ---- parts ---------------------------------------------------------------------------------- */

struct journal_part journal_part(struct journal *journal, unsigned number)
{
    struct journal_part part = {0};
    pthread_mutex_lock(&journal->lock);
    if (number > 0 && number <= journal->capacity) {
        part = journal->parts[number - 1];
    }
    pthread_mutex_unlock(&journal->lock);
    part.tag = part.tag ? part.tag : "";
    return part;
}

bool journal_add(struct journal *journal, unsigned number, uint32_t crc32, const char *tag)
{
    struct buf payload;
    buf_init(&payload, LINE_MAX_BYTES);
    buf_format(&payload, "part %u %08x ", number, crc32);
    url_encode_query(&payload, tag);
    pthread_mutex_lock(&journal->lock);
    bool ok =
        take_part(journal, number, crc32, tag) &&
        write_line(journal, storage_crc32(journal->seed, payload.data, payload.length), &payload);
    pthread_mutex_unlock(&journal->lock);
    buf_release(&payload);
    return ok;
}

size_t journal_count(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    size_t count = journal->count;
    pthread_mutex_unlock(&journal->lock);
    return count;
}

bool journal_synced(struct journal *journal, size_t count)
{
    struct buf payload;
    buf_init(&payload, LINE_MAX_BYTES);
    buf_format(&payload, "sync %zu", count);
    pthread_mutex_lock(&journal->lock);
    bool ok =
        write_line(journal, storage_crc32(journal->seed, payload.data, payload.length), &payload);
    pthread_mutex_unlock(&journal->lock);
    buf_release(&payload);
    return ok;
}

/* ---- names ---------------------------------------------------------------------------------- */

bool journal_name_beside(char *path, size_t size, const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    int length = snprintf(path, size, "%.*s.%.*s.%08x%s", (int)(name - file), file, NAME_MAX_KEPT,
                          name, storage_crc32(0, name, strlen(name)), suffix);
    return length > 0 && (size_t)length < size;
}

bool journal_name_in(char *path, size_t size, const char *folder, const char *place,
                     const char *bucket, const char *key)
{
    uint8_t sum[SHA256_SIZE];
    struct buf text;
    struct buf hex;
    buf_init(&text, STORAGE_PATH_MAX * 2);
    buf_init(&hex, sizeof sum * 2);
    buf_format(&text, "%s\n%s\n%s", place, bucket, key);
    bool ok = folder && buf_ok(&text) && digest_sha256(sum, text.data, text.length);
    if (ok) {
        digest_add_hex(&hex, sum, sizeof sum);
        int length = snprintf(path, size, "%s/%s%s", folder, hex.data, suffix);
        ok = buf_ok(&hex) && length > 0 && (size_t)length < size;
    }
    buf_release(&text);
    buf_release(&hex);
    return ok;
}

bool journal_is_name(const char *name)
{
    size_t length = strlen(name);
    return length >= sizeof suffix && strcmp(name + length - (sizeof suffix - 1), suffix) == 0;
}

bool journal_is_beside(const char *name)
{
    size_t length = strlen(name);
    size_t tail = 1 + SUM_DIGITS + sizeof suffix - 1; /* ".<sum>.journal" */
    return journal_is_name(name) && name[0] == '.' && length > tail + 1 &&
           name[length - tail] == '.' &&
           strspn(name + length - tail + 1, "0123456789abcdef") == SUM_DIGITS;
}

bool journal_is_held(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (fd >= 0) {
        close(fd);
    }
    return held;
}
