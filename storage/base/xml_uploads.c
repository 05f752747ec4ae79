/* xml_uploads.c - lists of an upload's parts, and of the uploads that a bucket has. */
#include "storage/base/date.h"
#include "storage/base/url.h"
#include "storage/base/xml.h"
#include "storage/base/xml_walk.h"

#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

/* ---- parts of an upload, and uploads under way ---------------------------------------------- */

/* Makes room for one row more, of row_size bytes, zeroed; NULL: no memory, or too many. */
static void *add_row(void *rows_at, size_t *count, size_t row_size)
{
    void *rows = NULL;
    memcpy(&rows, rows_at, sizeof rows);
    if (*count == XML_ROWS_MAX) {
        return NULL;
    }
    if ((*count & (*count - 1)) == 0) { /* at each power of two */
        rows = realloc(rows, (*count ? *count * 2 : 1) * row_size);
        if (!rows) {
            return NULL;
        }
        memcpy(rows_at, &rows, sizeof rows);
    }
    char *row = (char *)rows + row_size * (*count)++;
    memset(row, 0, row_size);
    return row;
}

struct parts_walk {
    struct xml_parts *parts;
    struct xml_part row; /* the one being read */
    bool is_list;
};

static bool on_part_element(void *context, const char *path, const char *text)
{
    struct parts_walk *walk = context;
    static const char root[] = "ListPartsResult";
    uint64_t number = 0;
    if (strncmp(path, root, sizeof root - 1) != 0) {
        return false;
    }
    const char *name = path + sizeof root - 1;
    if (!*name) {
        walk->is_list = true;
    } else if (strcmp(name, "/Part/PartNumber") == 0) {
        if (!xml_parse_size(&number, text) || number > XML_ROWS_MAX) {
            return false;
        }
        walk->row.number = (unsigned)number;
    } else if (strcmp(name, "/Part/Size") == 0) {
        return xml_parse_size(&walk->row.size, text);
    } else if (strcmp(name, "/Part/ETag") == 0) {
        xml_copy_etag(walk->row.etag, sizeof walk->row.etag, text);
    } else if (strcmp(name, "/Part") == 0) {
        struct xml_part *row = add_row(&walk->parts->rows, &walk->parts->count, sizeof *row);
        if (!row || walk->row.number == 0) {
            return false;
        }
        *row = walk->row;
        walk->row = (struct xml_part){0};
    } else if (strcmp(name, "/IsTruncated") == 0) {
        walk->parts->truncated = strcmp(text, "true") == 0;
    } else if (strcmp(name, "/NextPartNumberMarker") == 0) {
        return !*text || xml_parse_size(&walk->parts->marker, text);
    }
    return true;
}

bool xml_parts_parse(struct xml_parts *parts, const char *data, size_t size)
{
    xml_parts_release(parts);
    struct parts_walk walk = {.parts = parts};
    return xml_walk(data, size, on_part_element, &walk) && walk.is_list;
}

void xml_parts_release(struct xml_parts *parts)
{
    free(parts->rows);
    *parts = (struct xml_parts){0};
}

struct pendings_walk {
    struct xml_pendings *pendings;
    struct xml_pending row; /* the one being read; its texts are owned */
    bool is_list;
};

/* Takes a copy of text, instead of what was there. */
static bool replace_text(char **at, const char *text)
{
    free(*at);
    *at = strdup(text);
    return *at != NULL;
}

static bool on_pending_element(void *context, const char *path, const char *text)
{
    struct pendings_walk *walk = context;
    struct xml_pendings *pendings = walk->pendings;
    static const char root[] = "ListMultipartUploadsResult";
    if (strncmp(path, root, sizeof root - 1) != 0) {
        return false;
    }
    const char *name = path + sizeof root - 1;
    if (!*name) {
        walk->is_list = true;
    } else if (strcmp(name, "/Upload/Key") == 0) {
        return replace_text(&walk->row.key, text);
    } else if (strcmp(name, "/Upload/UploadId") == 0) {
        return replace_text(&walk->row.id, text);
    } else if (strcmp(name, "/Upload/Initiated") == 0) {
        date_parse_iso(&walk->row.started_ns, text); /* unknown stays 0 */
    } else if (strcmp(name, "/Upload") == 0) {
        struct xml_pending *row = add_row(&pendings->rows, &pendings->count, sizeof *row);
        if (!row || !walk->row.key || !walk->row.id) {
            return false;
        }
        *row = walk->row;
        walk->row = (struct xml_pending){0};
    } else if (strcmp(name, "/IsTruncated") == 0) {
        pendings->truncated = strcmp(text, "true") == 0;
    } else if (strcmp(name, "/EncodingType") == 0) {
        pendings->encoded = strcmp(text, "url") == 0;
    } else if (strcmp(name, "/NextKeyMarker") == 0) {
        return replace_text(&pendings->key_marker, text);
    } else if (strcmp(name, "/NextUploadIdMarker") == 0) {
        return replace_text(&pendings->id_marker, text);
    }
    return true;
}

bool xml_pendings_parse(struct xml_pendings *pendings, const char *data, size_t size)
{
    xml_pendings_release(pendings);
    struct pendings_walk walk = {.pendings = pendings};
    bool ok = xml_walk(data, size, on_pending_element, &walk) && walk.is_list;
    free(walk.row.key);
    free(walk.row.id);
    for (size_t i = 0; ok && pendings->encoded && i < pendings->count; i++) {
        ok = url_decode(pendings->rows[i].key);
    }
    return ok && (!pendings->encoded || !pendings->key_marker || url_decode(pendings->key_marker));
}

void xml_pendings_release(struct xml_pendings *pendings)
{
    for (size_t i = 0; i < pendings->count; i++) {
        free(pendings->rows[i].key);
        free(pendings->rows[i].id);
    }
    free(pendings->rows);
    free(pendings->key_marker);
    free(pendings->id_marker);
    *pendings = (struct xml_pendings){0};
}
