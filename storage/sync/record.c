/*
 * record.c - what the last sync left in a folder, `.jobferry-sync`: a head, then one line an
 * object, in the order of names.
 *
 *     jobferry-sync 1 <source>
 *     <size> <mtime in ns> <etag> <name>
 *
 * Names have '%', control bytes and DEL as %XX. Lines of a sync come in any order: they are sorted
 * a few MiB at a time into files without a name, which at the end are merged with the old record.
 * A line that is lost costs one request at the next sync, nothing else; so whatever goes wrong here
 * is no failure of the sync, and a damaged record is read up to the damage.
 */
#include "storage/base/url.h"
#include "storage/local/files.h"
#include "storage/storage_error.h"
#include "storage/sync/sync.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    RUNS_MAX = 256,
    RUN_BYTES = 4 * 1024 * 1024,
    LINES_MAX = RUN_BYTES / 64,
    TEXT_MAX = 3 * STORAGE_PATH_MAX + 256,
    WRITE_BYTES = 256 * 1024
};

/* A file of lines, read in order. */
struct reader {
    FILE *file;
    bool ended;
    struct sync_line line;
};

struct sync_record {
    char path[STORAGE_PATH_MAX];
    char *source;
    struct reader old;
    bool found; /* the old reader's line is that of the last name asked for */

    pthread_mutex_t lock; /* over what follows */
    char *arena;          /* lines as text, NUL-terminated, until they fill it */
    size_t used;
    char **lines; /* into the arena */
    size_t count;
    FILE *runs[RUNS_MAX];
    size_t run_count;
};

/* ---- text ----------------------------------------------------------------------------------- */

/* What a line escapes: what would break it, and what url_decode takes for an escape. */
static bool is_odd(unsigned char c)
{
    return c < 0x20 || c == 0x7F || c == '%' || c == '+';
}

/* Writes a line without its end; returns its length, 0 when it does not fit. */
static size_t format_line(char *out, size_t size, const struct sync_line *line)
{
    int head = snprintf(out, size, "%" PRIu64 " %" PRId64 " %s ", line->size, line->mtime_ns,
                        *line->etag ? line->etag : "-");
    size_t length = head > 0 ? (size_t)head : size;
    for (const char *at = line->name; *at; at++) {
        if (length + 4 > size) {
            return 0;
        }
        if (is_odd((unsigned char)*at)) {
            snprintf(out + length, 4, "%%%02X", (unsigned char)*at);
            length += 3;
        } else {
            out[length++] = *at;
        }
    }
    if (length >= size) {
        return 0;
    }
    out[length] = '\0';
    return length;
}

static bool parse_line(struct sync_line *line, const char *text)
{
    char *end = NULL;
    line->size = strtoull(text, &end, 10);
    if (end == text || *end != ' ') {
        return false;
    }
    text = end + 1;
    line->mtime_ns = strtoll(text, &end, 10);
    if (end == text || *end != ' ') {
        return false;
    }
    text = end + 1;
    size_t length = strcspn(text, " ");
    if (length == 0 || length >= sizeof line->etag || text[length] != ' ') {
        return false;
    }
    memcpy(line->etag, text, length);
    line->etag[length] = '\0';
    if (strcmp(line->etag, "-") == 0) {
        line->etag[0] = '\0';
    }
    text += length + 1;
    /* Longest when every byte is escaped. */
    char name[3 * sizeof line->name];
    if (strlen(text) >= sizeof name) {
        return false;
    }
    memcpy(name, text, strlen(text) + 1);
    if (!url_decode(name) || strlen(name) >= sizeof line->name) {
        return false;
    }
    memcpy(line->name, name, strlen(name) + 1);
    return line->name[0] != '\0';
}

/* ---- reading -------------------------------------------------------------------------------- */

/* A whole line without its end; false at the file's end, or when it is too long or cut. */
static bool read_text(FILE *file, char text[TEXT_MAX])
{
    if (!file || !fgets(text, TEXT_MAX, file)) {
        return false;
    }
    size_t length = strlen(text);
    if (length == 0 || text[length - 1] != '\n') {
        return false;
    }
    text[length - 1] = '\0';
    return true;
}

static void reader_advance(struct reader *reader)
{
    char text[TEXT_MAX];
    struct sync_line line;
    if (!reader->ended) {
        bool good = read_text(reader->file, text) && parse_line(&line, text) &&
                    strcmp(line.name, reader->line.name) > 0;
        reader->ended = !good;
        if (good) {
            reader->line = line;
        }
    }
}

static void open_old(struct sync_record *record)
{
    char text[TEXT_MAX];
    char wanted[TEXT_MAX];
    snprintf(wanted, sizeof wanted, "jobferry-sync 1 %s", record->source);
    record->old.file = fopen(record->path, "re");
    record->old.ended = !read_text(record->old.file, text) || strcmp(text, wanted) != 0;
    reader_advance(&record->old);
}

struct sync_record *sync_record_open(const char *folder, const char *source)
{
    struct sync_record *record = calloc(1, sizeof *record);
    if (!record) {
        return NULL;
    }
    record->source = strdup(source);
    record->arena = malloc(RUN_BYTES);
    record->lines = malloc(LINES_MAX * sizeof *record->lines);
    if (!record->source || !record->arena || !record->lines ||
        !storage_join(record->path, sizeof record->path, folder, SYNC_RECORD_NAME) ||
        pthread_mutex_init(&record->lock, NULL) != 0) {
        free(record->source);
        free(record->arena);
        free(record->lines);
        free(record);
        return NULL;
    }
    open_old(record);
    return record;
}

void sync_record_close(struct sync_record *record)
{
    if (!record) {
        return;
    }
    if (record->old.file) {
        fclose(record->old.file);
    }
    for (size_t i = 0; i < record->run_count; i++) {
        fclose(record->runs[i]);
    }
    pthread_mutex_destroy(&record->lock);
    free(record->source);
    free(record->arena);
    free(record->lines);
    free(record);
}

static void forget(struct sync_record *record, const char *name)
{
    struct sync_line line = {0};
    snprintf(line.name, sizeof line.name, "%s", name);
    sync_record_note(record, &line);
}

const struct sync_line *sync_record_find(struct sync_record *record, const char *name,
                                         const struct storage_filter *filter)
{
    struct reader *old = &record->old;
    if (record->found) {
        record->found = false;
        reader_advance(old);
    }
    while (!old->ended && strcmp(old->line.name, name) < 0) {
        if (storage_filter_takes(filter, old->line.name)) {
            forget(record, old->line.name);
        }
        reader_advance(old);
    }
    record->found = !old->ended && strcmp(old->line.name, name) == 0;
    return record->found ? &old->line : NULL;
}

/* ---- noting --------------------------------------------------------------------------------- */

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts what the arena holds into a run. Lines begin with their plain name, see note. */
static void flush(struct sync_record *record)
{
    FILE *run = record->count > 0 && record->run_count < RUNS_MAX ? tmpfile() : NULL;
    if (run) {
        qsort(record->lines, record->count, sizeof *record->lines, compare_lines);
        for (size_t i = 0; i < record->count; i++) {
            fprintf(run, "%s\n", record->lines[i] + strlen(record->lines[i]) + 1);
        }
        record->runs[record->run_count++] = run;
    }
    record->used = 0;
    record->count = 0;
}

void sync_record_note(struct sync_record *record, const struct sync_line *line)
{
    char text[TEXT_MAX];
    size_t length = format_line(text, sizeof text, line);
    size_t name = strlen(line->name);
    if (length == 0 || strchr(line->etag, ' ')) {
        return;
    }
    pthread_mutex_lock(&record->lock);
    if (record->used + name + length + 2 > RUN_BYTES || record->count == LINES_MAX) {
        flush(record);
    }
    char *at = record->arena + record->used;
    memcpy(at, line->name, name + 1); /* to sort by */
    memcpy(at + name + 1, text, length + 1);
    record->lines[record->count++] = at;
    record->used += name + length + 2;
    pthread_mutex_unlock(&record->lock);
}

/* ---- writing -------------------------------------------------------------------------------- */

struct writer {
    struct files_draft draft;
    char *data;
    size_t used;
    uint64_t offset;
};

static enum storage_code writer_flush(struct writer *writer, struct storage_error *err)
{
    enum storage_code code =
        files_draft_write(&writer->draft, writer->data, writer->used, writer->offset, err);
    writer->offset += writer->used;
    writer->used = 0;
    return code;
}

static enum storage_code writer_add(struct writer *writer, const char *text,
                                    struct storage_error *err)
{
    size_t length = strlen(text);
    enum storage_code code = STORAGE_OK;
    if (writer->used + length + 1 > WRITE_BYTES) {
        code = writer_flush(writer, err);
    }
    memcpy(writer->data + writer->used, text, length);
    writer->data[writer->used + length] = '\n';
    writer->used += length + 1;
    return code;
}

/* The reader with the least name; of equal ones the last, which is the newest. */
static struct reader *least(struct reader *readers, size_t count)
{
    struct reader *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!readers[i].ended && (!found || strcmp(readers[i].line.name, found->line.name) <= 0)) {
            found = &readers[i];
        }
    }
    return found;
}

static enum storage_code merge(struct writer *writer, struct reader *readers, size_t count,
                               struct storage_error *err)
{
    char text[TEXT_MAX];
    enum storage_code code = STORAGE_OK;
    for (struct reader *next = least(readers, count); next && code == STORAGE_OK;
         next = least(readers, count)) {
        const struct sync_line line = next->line;
        if (*line.etag && format_line(text, sizeof text, &line) > 0) {
            code = writer_add(writer, text, err);
        }
        for (size_t i = 0; i < count; i++) {
            if (!readers[i].ended && strcmp(readers[i].line.name, line.name) == 0) {
                reader_advance(&readers[i]);
            }
        }
    }
    return code;
}

enum storage_code sync_record_save(struct sync_record *record, struct folders *folders,
                                   struct storage_error *err)
{
    char head[TEXT_MAX];
    struct writer writer = {.draft = {.fd = -1}};
    struct reader *readers = NULL;
    flush(record);
    size_t count = record->run_count + 1;
    if (record->run_count == 0) {
        return STORAGE_OK; /* nothing is new */
    }
    enum storage_code code = STORAGE_OK;
    writer.data = malloc(WRITE_BYTES);
    readers = calloc(count, sizeof *readers);
    if (!writer.data || !readers) {
        code = storage_fail(err, STORAGE_BUG, "write %s: no memory", record->path);
        goto done;
    }
    /* the old record, from its beginning, comes before those that renew it */
    if (record->old.file) {
        fclose(record->old.file);
    }
    memset(&record->old, 0, sizeof record->old);
    open_old(record);
    readers[0] = record->old;
    for (size_t i = 1; i < count; i++) {
        readers[i].file = record->runs[i - 1];
        rewind(readers[i].file);
        reader_advance(&readers[i]);
    }
    code = files_draft_open(&writer.draft, folders, record->path, 0, err);
    if (code == STORAGE_OK) {
        snprintf(head, sizeof head, "jobferry-sync 1 %s", record->source);
        code = writer_add(&writer, head, err);
    }
    if (code == STORAGE_OK) {
        code = merge(&writer, readers, count, err);
    }
    if (code == STORAGE_OK) {
        code = writer_flush(&writer, err);
    }
    if (code == STORAGE_OK) {
        code = files_draft_publish(&writer.draft, 0, err);
    } else if (writer.draft.fd >= 0) {
        files_draft_discard(&writer.draft);
    }
done:
    free(writer.data);
    free(readers);
    return code;
}
