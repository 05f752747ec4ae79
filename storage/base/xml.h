/*
 * xml.h - what stores answer in XML; xml.c alone knows libxml2.
 *
 * Elements are matched by local name, since every cloud has a namespace of its own. What comes in
 * is hostile until shown otherwise: no network, no document type (so no entities), 16 levels, a
 * text of 16 KiB, a page of 10,000 rows are the ceilings; beyond them the document is refused.
 * All functions return false for what is not well-formed, not the expected document, or refused.
 */
#ifndef STORAGE_XML_H
#define STORAGE_XML_H

#include "storage/base/buf.h"
#include "storage/storage.h"

enum {
    XML_DEPTH_MAX = 16,
    XML_TEXT_MAX = 16 * 1024,
    XML_ROWS_MAX = 10000
};

/* Once before threads start that may parse. */
void xml_start(void);

/* A row of a list page: an object, or a common prefix. */
struct xml_row {
    size_t key_offset; /* of a NUL-terminated text in struct xml_page's text */
    uint64_t size;
    int64_t mtime_ns;
    char etag[STORAGE_ETAG_MAX + 1]; /* without quotes */
    bool is_prefix;
};

/* ListBucketResult, of version 1 or 2. Rows are sorted by key, prefixes among them. */
struct xml_page {
    struct xml_row *rows; /* owned */
    size_t count;
    struct buf text;
    bool truncated;
    bool doubtful;     /* a key holds U+FFFD, which some stores put where XML has no character */
    struct buf marker; /* NextMarker; "": absent */
    struct buf token;  /* NextContinuationToken; "": absent */
};

void xml_page_init(struct xml_page *page);
void xml_page_release(struct xml_page *page);
/* url_encoded: keys and markers are to be decoded, as encoding-type=url was asked for. */
bool xml_page_parse(struct xml_page *page, const char *data, size_t size, bool url_encoded);
const char *xml_page_key(const struct xml_page *page, size_t row);

/* An error document; fields are "" where absent and cut where too long. */
struct xml_error {
    char code[64];
    char message[512];
    char request_id[96];
    char region[64];    /* where the bucket is, in a redirect */
    char endpoint[256]; /* the same, as a host */
};
bool xml_error_parse(struct xml_error *error, const char *data, size_t size);

/* InitiateMultipartUploadResult: the upload id, at most size - 1 bytes, never "". */
bool xml_upload_id_parse(char *id, size_t id_size, const char *data, size_t size);

/* CompleteMultipartUploadResult, CopyObjectResult or CopyPartResult; etag is never "". */
struct xml_completed {
    char etag[STORAGE_ETAG_MAX + 1];
    char crc32[16];         /* base64; "": absent */
    char checksum_type[24]; /* FULL_OBJECT, COMPOSITE or "" */
};
bool xml_completed_parse(struct xml_completed *completed, const char *data, size_t size);

/* ListPartsResult: a page of the parts that an upload has. */
struct xml_part {
    unsigned number;
    uint64_t size;
    char etag[STORAGE_ETAG_MAX + 1]; /* without quotes */
};
struct xml_parts {
    struct xml_part *rows; /* owned */
    size_t count;
    bool truncated;
    uint64_t marker; /* NextPartNumberMarker; 0: absent */
};
/* parts is zeroed by the caller, before its first use, and released after its last. */
bool xml_parts_parse(struct xml_parts *parts, const char *data, size_t size);
void xml_parts_release(struct xml_parts *parts);

/* ListMultipartUploadsResult: a page of uploads that are neither complete nor aborted. */
struct xml_pending {
    char *key; /* owned; decoded where the answer says that it is encoded */
    char *id;  /* owned */
    int64_t started_ns;
};
struct xml_pendings {
    struct xml_pending *rows; /* owned */
    size_t count;
    bool truncated;
    bool encoded;
    char *key_marker; /* owned; NextKeyMarker, decoded; NULL: absent */
    char *id_marker;  /* owned; NextUploadIdMarker; NULL: absent */
};
bool xml_pendings_parse(struct xml_pendings *pendings, const char *data, size_t size);
void xml_pendings_release(struct xml_pendings *pendings);

/* DeleteResult: how many keys were refused, and the first of them. */
struct xml_deleted {
    size_t refused;
    char key[STORAGE_KEY_MAX + 1];
    char code[64];
    char message[512];
};
bool xml_deleted_parse(struct xml_deleted *deleted, const char *data, size_t size);

/* AssumeRoleWithWebIdentityResponse: owned texts, as they stand; xml_session_release wipes. */
struct xml_session {
    struct buf access_key;
    struct buf secret_key;
    struct buf session_token;
    struct buf expires; /* ISO 8601; "": absent */
};
void xml_session_init(struct xml_session *session);
bool xml_session_parse(struct xml_session *session, const char *data, size_t size);
void xml_session_release(struct xml_session *session);

bool xml_is_utf8(const char *text);

/*
 * Appends text as element content. False, with nothing appended, when XML 1.0 has no way to write
 * it (control characters, bytes that are not UTF-8).
 */
bool xml_escape(struct buf *out, const char *text);

#endif
