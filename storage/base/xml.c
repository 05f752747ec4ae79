/*
 * xml.c - one walk over a document that reports each element as it ends, by its path of local
 * names ("ListBucketResult/Contents/Key") and its text; each kind of document is a function that
 * picks what it needs by comparing paths.
 */
#include "storage/base/xml.h"
#include "storage/base/xml_walk.h"

#include "storage/base/date.h"
#include "storage/base/digest.h"
#include "storage/base/url.h"

#include <libxml/xmlreader.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

void xml_start(void)
{
    xmlInitParser();
}

/* ---- the walk ------------------------------------------------------------------------------- */

struct walk {
    xml_element_fn *on_element;
    void *context;
    char path[512];
    size_t parents[XML_DEPTH_MAX]; /* length of path before each open element */
    size_t depth;
    struct buf text; /* of the innermost element since its last child */
};

/* Parsers print to stderr unless told not to; the result code says enough. */
static void ignore_error(void *context, xmlErrorPtr error)
{
    (void)context;
    (void)error;
}

static bool element_ends(struct walk *walk)
{
    bool ok = buf_ok(&walk->text) && walk->on_element(walk->context, walk->path, walk->text.data);
    walk->depth--;
    walk->path[walk->parents[walk->depth]] = '\0';
    buf_clear(&walk->text);
    return ok;
}

static bool element_starts(struct walk *walk, xmlTextReaderPtr reader)
{
    size_t length = strlen(walk->path);
    const char *name = (const char *)xmlTextReaderConstLocalName(reader);
    if (!name || walk->depth == XML_DEPTH_MAX ||
        length + 1 + strlen(name) + 1 > sizeof walk->path) {
        return false;
    }
    walk->parents[walk->depth++] = length;
    snprintf(walk->path + length, sizeof walk->path - length, "%s%s", length > 0 ? "/" : "", name);
    buf_clear(&walk->text);
    return xmlTextReaderIsEmptyElement(reader) ? element_ends(walk) : true;
}

static bool visit(struct walk *walk, xmlTextReaderPtr reader)
{
    switch (xmlTextReaderNodeType(reader)) {
    case XML_READER_TYPE_ELEMENT:
        return element_starts(walk, reader);
    case XML_READER_TYPE_END_ELEMENT:
        return element_ends(walk);
    case XML_READER_TYPE_TEXT:
    case XML_READER_TYPE_CDATA:
    case XML_READER_TYPE_WHITESPACE:
    case XML_READER_TYPE_SIGNIFICANT_WHITESPACE: {
        const char *value = (const char *)xmlTextReaderConstValue(reader);
        buf_text(&walk->text, value ? value : "");
        return true;
    }
    case XML_READER_TYPE_COMMENT:
    case XML_READER_TYPE_PROCESSING_INSTRUCTION:
    case XML_READER_TYPE_XML_DECLARATION:
        return true;
    default: /* document types and references to entities are never needed */
        return false;
    }
}

bool xml_walk(const char *data, size_t size, xml_element_fn *on_element, void *context)
{
    /* AWS keeps a slow answer's connection alive with blanks before the document. */
    while (size > 0 && strchr(" \t\r\n", *data) && *data) {
        data++;
        size--;
    }
    if (size == 0 || size > INT_MAX) {
        return false;
    }
    xmlTextReaderPtr reader = xmlReaderForMemory(
        data, (int)size, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!reader) {
        return false;
    }
    xmlTextReaderSetStructuredErrorHandler(reader, ignore_error, NULL);
    struct walk walk = {.on_element = on_element, .context = context};
    buf_init(&walk.text, XML_TEXT_MAX);
    int more = xmlTextReaderRead(reader); /* each read consumes input, which is bounded */
    while (more == 1 && visit(&walk, reader)) {
        more = xmlTextReaderRead(reader);
    }
    buf_release(&walk.text);
    xmlFreeTextReader(reader);
    return more == 0;
}

/* ---- fields --------------------------------------------------------------------------------- */

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

void xml_copy_etag(char *out, size_t size, const char *text)
{
    if (strncmp(text, "W/", 2) == 0) {
        text += 2;
    }
    if (*text == '"') {
        text++;
    }
    snprintf(out, size, "%.*s", (int)strcspn(text, "\""), text);
}

bool xml_parse_size(uint64_t *size, const char *text)
{
    uint64_t value = 0;
    if (!*text) {
        return false;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > UINT64_MAX / 10 - 1) {
            return false;
        }
        value = value * 10 + (uint64_t)(*text - '0');
    }
    *size = value;
    return true;
}

/* ---- list pages ----------------------------------------------------------------------------- */

struct page_walk {
    struct xml_page *page;
    struct xml_row row; /* the one being read */
    size_t capacity;
    bool has_key;
    bool url_encoded;
    bool is_page;
};

void xml_page_init(struct xml_page *page)
{
    *page = (struct xml_page){0};
    buf_init(&page->text, (size_t)XML_ROWS_MAX * XML_TEXT_MAX);
    buf_init(&page->marker, XML_TEXT_MAX);
    buf_init(&page->token, XML_TEXT_MAX);
}

void xml_page_release(struct xml_page *page)
{
    free(page->rows);
    buf_release(&page->text);
    buf_release(&page->marker);
    buf_release(&page->token);
    *page = (struct xml_page){0};
}

const char *xml_page_key(const struct xml_page *page, size_t row)
{
    return page->text.data + page->rows[row].key_offset;
}

/* Takes the key of the row that is being read. */
static bool take_key(struct page_walk *walk, const char *text)
{
    struct buf *keys = &walk->page->text;
    walk->row.key_offset = keys->length;
    walk->has_key = true;
    buf_add(keys, text, strlen(text) + 1);
    if (!buf_ok(keys)) {
        return false;
    }
    char *key = keys->data + walk->row.key_offset;
    if (walk->url_encoded && !url_decode(key)) {
        return false;
    }
    walk->page->doubtful |= strstr(key, "\xEF\xBF\xBD") != NULL;
    return *key != '\0';
}

static bool take_row(struct page_walk *walk, bool is_prefix)
{
    struct xml_page *page = walk->page;
    if (!walk->has_key || page->count == XML_ROWS_MAX) {
        return false;
    }
    if (page->count == walk->capacity) {
        size_t capacity = walk->capacity ? walk->capacity * 2 : 128;
        struct xml_row *rows = realloc(page->rows, capacity * sizeof *rows);
        if (!rows) {
            return false;
        }
        page->rows = rows;
        walk->capacity = capacity;
    }
    walk->row.is_prefix = is_prefix;
    page->rows[page->count++] = walk->row;
    walk->row = (struct xml_row){0};
    walk->has_key = false;
    return true;
}

static bool take_marker(struct buf *marker, const char *text, bool encoded)
{
    buf_clear(marker);
    buf_text(marker, text);
    if (!encoded || marker->length == 0) {
        return true;
    }
    bool ok = url_decode(marker->data);
    marker->length = strlen(marker->data);
    return ok;
}

static bool on_page_element(void *context, const char *path, const char *text)
{
    struct page_walk *walk = context;
    struct xml_page *page = walk->page;
    static const char root[] = "ListBucketResult";
    if (strncmp(path, root, sizeof root - 1) != 0) {
        return false;
    }
    const char *name = path + sizeof root - 1;
    if (!*name) {
        walk->is_page = true;
        return true;
    }
    if (strcmp(name, "/Contents/Key") == 0 || strcmp(name, "/CommonPrefixes/Prefix") == 0) {
        return take_key(walk, text);
    }
    if (strcmp(name, "/Contents/Size") == 0) {
        return xml_parse_size(&walk->row.size, text);
    }
    if (strcmp(name, "/Contents/ETag") == 0) {
        xml_copy_etag(walk->row.etag, sizeof walk->row.etag, text);
    } else if (strcmp(name, "/Contents/LastModified") == 0) {
        date_parse_iso(&walk->row.mtime_ns, text); /* unknown stays 0 */
    } else if (strcmp(name, "/Contents") == 0) {
        return take_row(walk, false);
    } else if (strcmp(name, "/CommonPrefixes") == 0) {
        return take_row(walk, true);
    } else if (strcmp(name, "/IsTruncated") == 0) {
        page->truncated = strcmp(text, "true") == 0;
    } else if (strcmp(name, "/NextMarker") == 0) {
        return take_marker(&page->marker, text, walk->url_encoded);
    } else if (strcmp(name, "/NextContinuationToken") == 0) {
        return take_marker(&page->token, text, false);
    }
    return true;
}

static int compare_rows(const void *left, const void *right, void *text)
{
    const struct xml_row *a = left;
    const struct xml_row *b = right;
    return strcmp((const char *)text + a->key_offset, (const char *)text + b->key_offset);
}

bool xml_page_parse(struct xml_page *page, const char *data, size_t size, bool url_encoded)
{
    xml_page_release(page);
    xml_page_init(page);
    struct page_walk walk = {.page = page, .url_encoded = url_encoded};
    if (!xml_walk(data, size, on_page_element, &walk) || !walk.is_page) {
        return false;
    }
    if (page->count > 1) {
        qsort_r(page->rows, page->count, sizeof *page->rows, compare_rows, page->text.data);
    }
    return true;
}

/* ---- error documents ------------------------------------------------------------------------ */

static bool on_error_element(void *context, const char *path, const char *text)
{
    struct xml_error *error = context;
    if (strncmp(path, "ErrorResponse/", 14) == 0) { /* as STS and IAM wrap it */
        path += 14;
    }
    if (strcmp(path, "Error/Code") == 0) {
        copy_text(error->code, sizeof error->code, text);
    } else if (strcmp(path, "Error/Message") == 0) {
        copy_text(error->message, sizeof error->message, text);
    } else if (strcmp(path, "Error/RequestId") == 0) {
        copy_text(error->request_id, sizeof error->request_id, text);
    } else if (strcmp(path, "Error/Region") == 0) {
        copy_text(error->region, sizeof error->region, text);
    } else if (strcmp(path, "Error/Endpoint") == 0) {
        copy_text(error->endpoint, sizeof error->endpoint, text);
    }
    return strncmp(path, "Error", 5) == 0;
}

bool xml_error_parse(struct xml_error *error, const char *data, size_t size)
{
    *error = (struct xml_error){0};
    return xml_walk(data, size, on_error_element, error) && error->code[0];
}

/* ---- uploads -------------------------------------------------------------------------------- */

struct upload_id_walk {
    char *id;
    size_t size;
};

static bool on_upload_id_element(void *context, const char *path, const char *text)
{
    struct upload_id_walk *walk = context;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0) {
        return true;
    }
    copy_text(walk->id, walk->size, text);
    return strlen(text) < walk->size;
}

bool xml_upload_id_parse(char *id, size_t id_size, const char *data, size_t size)
{
    struct upload_id_walk walk = {id, id_size};
    id[0] = '\0';
    return xml_walk(data, size, on_upload_id_element, &walk) && id[0];
}

static bool on_completed_element(void *context, const char *path, const char *text)
{
    static const char *const roots[] = {"CompleteMultipartUploadResult/", "CopyObjectResult/",
                                        "CopyPartResult/"};
    struct xml_completed *completed = context;
    const char *name = "";
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        size_t length = strlen(roots[i]);
        name = strncmp(path, roots[i], length) == 0 ? path + length : name;
    }
    if (strcmp(name, "ETag") == 0) {
        xml_copy_etag(completed->etag, sizeof completed->etag, text);
    } else if (strcmp(name, "ChecksumCRC32") == 0) {
        copy_text(completed->crc32, sizeof completed->crc32, text);
    } else if (strcmp(name, "ChecksumType") == 0) {
        copy_text(completed->checksum_type, sizeof completed->checksum_type, text);
    }
    return true;
}

bool xml_completed_parse(struct xml_completed *completed, const char *data, size_t size)
{
    *completed = (struct xml_completed){0};
    return xml_walk(data, size, on_completed_element, completed) && completed->etag[0];
}

/* ---- batch deletes -------------------------------------------------------------------------- */

struct deleted_walk {
    struct xml_deleted *deleted;
    bool is_result;
};

static bool on_deleted_element(void *context, const char *path, const char *text)
{
    struct deleted_walk *walk = context;
    struct xml_deleted *deleted = walk->deleted;
    if (strcmp(path, "DeleteResult") == 0) {
        walk->is_result = true;
    } else if (strcmp(path, "DeleteResult/Error") == 0) {
        deleted->refused++;
    } else if (deleted->refused > 0) {
        return true; /* the first is reported */
    } else if (strcmp(path, "DeleteResult/Error/Key") == 0) {
        copy_text(deleted->key, sizeof deleted->key, text);
    } else if (strcmp(path, "DeleteResult/Error/Code") == 0) {
        copy_text(deleted->code, sizeof deleted->code, text);
    } else if (strcmp(path, "DeleteResult/Error/Message") == 0) {
        copy_text(deleted->message, sizeof deleted->message, text);
    }
    return true;
}

bool xml_deleted_parse(struct xml_deleted *deleted, const char *data, size_t size)
{
    *deleted = (struct xml_deleted){0};
    struct deleted_walk walk = {deleted, false};
    return xml_walk(data, size, on_deleted_element, &walk) && walk.is_result;
}

/* ---- sessions of STS ------------------------------------------------------------------------ */

static void take_text(struct buf *out, const char *text)
{
    buf_clear(out);
    buf_text(out, text);
}

static bool on_session_element(void *context, const char *path, const char *text)
{
    struct xml_session *session = context;
    static const char parent[] =
        "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/";
    if (strncmp(path, parent, sizeof parent - 1) != 0) {
        return true;
    }
    const char *name = path + sizeof parent - 1;
    if (strcmp(name, "AccessKeyId") == 0) {
        take_text(&session->access_key, text);
    } else if (strcmp(name, "SecretAccessKey") == 0) {
        take_text(&session->secret_key, text);
    } else if (strcmp(name, "SessionToken") == 0) {
        take_text(&session->session_token, text);
    } else if (strcmp(name, "Expiration") == 0) {
        take_text(&session->expires, text);
    }
    return true;
}

void xml_session_init(struct xml_session *session)
{
    buf_init(&session->access_key, XML_TEXT_MAX);
    buf_init(&session->secret_key, XML_TEXT_MAX);
    buf_init(&session->session_token, XML_TEXT_MAX);
    buf_init(&session->expires, XML_TEXT_MAX);
}

bool xml_session_parse(struct xml_session *session, const char *data, size_t size)
{
    return xml_walk(data, size, on_session_element, session) && session->access_key.length > 0 &&
           session->secret_key.length > 0;
}

static void wipe_text(struct buf *text)
{
    digest_wipe(text->data, text->length);
    buf_release(text);
}

void xml_session_release(struct xml_session *session)
{
    wipe_text(&session->access_key);
    wipe_text(&session->secret_key);
    wipe_text(&session->session_token);
    wipe_text(&session->expires);
}

/* ---- writing -------------------------------------------------------------------------------- */

bool xml_is_utf8(const char *text)
{
    return xmlCheckUTF8((const unsigned char *)text);
}

bool xml_escape(struct buf *out, const char *text)
{
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') {
            return false;
        }
    }
    /* U+FFFE and U+FFFF are UTF-8 but no characters of XML. */
    if (!xml_is_utf8(text) || strstr(text, "\xEF\xBF\xBE") || strstr(text, "\xEF\xBF\xBF")) {
        return false;
    }
    for (const char *at = text; *at; at++) {
        switch (*at) {
        case '&':
            buf_text(out, "&amp;");
            break;
        case '<':
            buf_text(out, "&lt;");
            break;
        case '>':
            buf_text(out, "&gt;");
            break;
        case '\t':
        case '\n':
        case '\r': /* bare ones would be normalised away */
            buf_format(out, "&#%d;", *at);
            break;
        default:
            buf_char(out, *at);
        }
    }
    return true;
}
