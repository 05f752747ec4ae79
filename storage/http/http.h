/*
 * http.h - HTTP/1.1 requests over libcurl; the only header through which curl is reached.
 *
 * http_perform carries one request out in its caller's thread and returns when the answer is whole,
 * so that retries, part loops and listings above it are plain code. It may be called from any
 * number of threads; connections are kept alive (at most 25 s idle: OBS closes at 30), reused, and
 * capped: with all in use callers wait.
 *
 * Redirects are not followed (each must be signed again), nothing is decoded, no signal is used.
 * A transfer below 256 bytes/s for stall_timeout_s is aborted. A reused connection that turns out
 * dead is retried once for free, inside. Certificates are verified unless told otherwise.
 */
#ifndef STORAGE_HTTP_H
#define STORAGE_HTTP_H

#include "storage/base/buf.h"
#include "storage/storage.h"

#include <stdatomic.h>

struct http;

struct http_options {
    unsigned connections_max;
    unsigned connect_timeout_ms;
    unsigned stall_timeout_s;
    const char *ca_file; /* borrowed until http_new returns; NULL: the system's */
    bool tls_insecure;
    uint64_t bandwidth; /* bytes of bodies a second, both ways together; 0: no limit */
    bool no_proxy;      /* whatever the environment says: services of this machine's own network */
    const atomic_bool *stop;
};

enum {
    HTTP_HEADERS_MAX = 56,          /* metadata and encryption among them */
    HTTP_BODY_MAX = 8 * 1024 * 1024 /* bytes of a body without sink */
};

/*
 * Everything is borrowed until http_perform returns. A body that is not in memory is given by
 * `read`, and a 2xx answer's body taken by `write`, in pieces of any size, in order; after a
 * connection that died both may begin again at offset 0. When one returns false the request ends.
 */
struct http_request {
    const char *method;         /* "GET", "HEAD", "PUT", "POST", "DELETE" */
    const char *url;            /* whole, encoded */
    const char *const *headers; /* "Name: value", as signed; Host is curl's own, from url */
    size_t header_count;
    const void *body; /* NULL: none; Content-Length is always sent for PUT and POST */
    size_t body_size;
    void *sink;       /* where the body of a 2xx answer goes; NULL: into response->body */
    size_t sink_size; /* of sink, or what `write` may get: a longer body is an error */
    bool (*read)(void *context, uint64_t offset, void *data, size_t size); /* PUT; NULL: body */
    bool (*write)(void *context, uint64_t offset, const void *data, size_t size); /* NULL: sink */
    void *context;
    unsigned deadline_ms;     /* of this one try; 0: none */
    unsigned stall_timeout_s; /* 0: that of the options */
    bool ignores_stop;        /* cleaning up after a stop: give it a deadline_ms */
    const atomic_bool *stop;  /* of this request alone, beside that of the options; NULL: none */
};

/*
 * The answer. Text fields are "" and numbers 0 when the header was absent, or longer than its
 * field: half a value is none.
 */
struct http_response {
    int status;
    size_t body_size; /* bytes that arrived, in sink or body */
    struct buf body;  /* error documents, list pages */
    uint64_t content_length;
    bool has_content_length;
    bool is_chunked;      /* the body says itself where it ends */
    uint64_t range_total; /* from Content-Range "bytes a-b/total" */
    bool has_range_total;
    char etag[STORAGE_ETAG_MAX + 1]; /* quotes and W/ removed */
    char request_id[96];             /* x-amz-request-id or x-obs-request-id */
    bool is_obs;                     /* x-obs-request-id was there */
    char date[64];                   /* Date, RFC 1123 */
    char last_modified[64];
    char location[1024];
    char bucket_region[64]; /* x-amz-bucket-region */
    char crc32[16];         /* x-amz-checksum-crc32: base64 of 4 bytes, big-endian */
    char checksum_type[24]; /* x-amz-checksum-type: FULL_OBJECT or COMPOSITE */
    char upload_id[128];    /* x-obs-uploadId */
    char mtime[40];         /* x-amz-meta-mtime or x-obs-meta-mtime */
    bool etag_is_opaque;    /* encrypted with a key of KMS or the caller: the ETag is no MD5 */
    unsigned retry_after_s; /* Retry-After in seconds */
    char retry_at[40];      /* Retry-After as a date */
    struct buf *described;  /* the caller's, also over clear: what the object is said to be, see
                               below; NULL: not kept */
    bool is_untrusted;      /* no answer: the certificate was refused; trying again is useless */
};

void http_response_init(struct http_response *response);
void http_response_release(struct http_response *response);
void http_response_clear(struct http_response *response);
/*
 * Into `described` go, as "Name\0value\0", the headers that describe an object and are given again
 * when it is copied: its content's type, encoding, language and disposition, cache control,
 * expiry, and metadata, these under x-amz-meta- in any dialect.
 *
 * Takes one header line as it arrived (its line end may be there). A status line forgets what
 * lines before it said, as after "100 Continue". For http.c.
 */
void http_response_header(struct http_response *response, const char *line, size_t size);

enum storage_code http_new(struct http **http, const struct http_options *options,
                           struct storage_error *err);
void http_free(struct http *http); /* NULL is fine; no http_perform may be running */

/*
 * One request, one answer, whatever its status: STORAGE_OK means that a whole answer came.
 * Otherwise STORAGE_UNREACHABLE (no connection, name, or time; certificate not trusted, with a
 * hint that names the CA option), STORAGE_TRANSFER (it broke midway or stalled), STORAGE_STOPPED.
 * response must be initialised and is cleared first. A header without value ("Name:") is sent so.
 * Proxies are those of curl's environment variables, but never for link-local addresses
 * (169.254.0.0/16), where credential services live.
 */
enum storage_code http_perform(struct http *http, const struct http_request *request,
                               struct http_response *response, struct storage_error *err);

#endif
