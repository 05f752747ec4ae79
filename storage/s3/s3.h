/*
 * s3.h - one bucket behind an S3 or OBS endpoint: what the files of s3/ share.
 *
 *     object.c put.c multipart.c copy.c list.c    what a store can do, each operation a few
 * requests
 *                |
 *            request.c               one request: build, sign, send, judge the answer, try again
 *        /       |       \
 *   endpoint  sign_*    errors       pure functions
 *                |
 *             ../http.h
 *
 * Everything that is learnt from answers (the dialect, the region, the clock's offset, whether
 * checksums are honoured) is kept in the store, so the next request starts with it.
 */
#ifndef STORAGE_S3_S3_H
#define STORAGE_S3_S3_H

#include "storage/backend.h"
#include "storage/base/pace.h"
#include "storage/base/xml.h"
#include "storage/credentials/credentials.h"
#include "storage/http/http.h"
#include "storage/s3/endpoint.h"
#include "storage/s3/extras.h"
#include "storage/s3/sign.h"
#include "storage/storage_error.h"

#include <pthread.h>

/* Whether the store keeps x-amz-checksum-crc32 values; known after the first upload's answer. */
enum s3_checksums {
    S3_CHECKSUMS_UNKNOWN,
    S3_CHECKSUMS_HONOURED,
    S3_CHECKSUMS_IGNORED
};

/* Whether a listing may begin behind any key; known after the second page of one read ahead. */
enum s3_start_after {
    S3_START_AFTER_UNKNOWN,
    S3_START_AFTER_WORKS,
    S3_START_AFTER_COSTS, /* it works, but the store walks through its keys anew for each */
    S3_START_AFTER_FAILS
};

struct s3_store {
    struct storage base;
    struct http *http;
    struct storage_config config;    /* defaults filled in; its access strings are NULL */
    struct credentials *credentials; /* owned; NULL: anonymous */
    bool signature_is_auto;
    struct extras extras; /* constant */

    pthread_mutex_t lock;
    struct endpoint endpoint;    /* under lock */
    struct sign_day_key day_key; /* under lock */
    struct pace pace;            /* under lock */

    atomic_int signature;    /* enum storage_signature, never AUTO */
    atomic_bool is_unsigned; /* the last request was: no keys were given, or found */
    atomic_bool is_obs;      /* by its host, or by what it answered */
    atomic_bool is_found;    /* some request succeeded: the bucket exists */
    atomic_int checksums;    /* enum s3_checksums */
    atomic_int start_after;  /* enum s3_start_after */
    atomic_uint list_width; /* how many pages at once the last listing found worth it; 0: unknown */
    atomic_int budget;      /* of retries, see request.c */
    _Atomic int64_t offset; /* the store's clock minus ours, seconds */
    _Atomic int64_t seen_offset; /* the same by the newest good answer, right or not */
    atomic_bool has_seen_offset;
    _Atomic int64_t blocked_until; /* the account is blocked: nothing is sent; see request.c */
};

/* A request in S3's words; request.c says it in the store's dialect. All is borrowed. */
struct s3_request {
    const char *method;
    const char *what; /* "object", "bucket", "list", "upload", "part": for the error */
    const char *key;  /* NULL or "": the bucket itself */
    const struct sign_pair *query;
    size_t query_count;
    const struct sign_pair *headers; /* "x-amz-…" becomes "x-obs-…" where that is spoken */
    size_t header_count;
    unsigned extras;             /* set of extras_kind */
    const struct extras *copied; /* for EXTRAS_SOURCE: those of the place copied from */
    const void *body;
    size_t body_size;
    void *sink; /* see struct http_request */
    size_t sink_size;
    bool (*read)(void *context, uint64_t offset, void *data, size_t size); /* see http_request */
    bool (*write)(void *context, uint64_t offset, const void *data, size_t size);
    void *context;
    const char *sha256;      /* of a body given by `read`, in hex */
    bool error_in_200;       /* a 2xx answer may hold an error document (Complete, Copy) */
    bool is_long;            /* the store may be silent for long while it works */
    bool ignores_stop;       /* clean-up: one try, few seconds, also after a stop */
    const atomic_bool *stop; /* of this request alone, beside the store's; NULL: none */
};

/*
 * Sends the request until it succeeds, fails for good, or tries, deadline or stop end it.
 * STORAGE_OK is a 2xx answer; response (initialised by the caller) then holds it. Otherwise *err
 * tells all, http_status and service_code included, and response holds the last answer.
 */
enum storage_code s3_perform(struct s3_store *store, const struct s3_request *request,
                             struct http_response *response, struct storage_error *err);

/* The query that picks the version asked for; false, and the request as it was, when none was. */
bool s3_pick_version(const struct s3_store *store, struct s3_request *request,
                     struct sign_pair *query);

/* Whether both reach their stores by the same keys. */
bool s3_shares_keys(const struct s3_store *a, const struct s3_store *b);

/* Whether x-amz-checksum-* may be sent to, and asked of, this store. */
bool s3_speaks_checksums(const struct s3_store *store);

/* Whether requests' bodies are signed by their SHA-256: plain http, unless opted out of. */
bool s3_signs_bodies(struct s3_store *store);

/* ---- errors.c ---- */

/* The code of an answer: its HTTP status and the service's own word, "" when it gave none. */
enum storage_code s3_error_code(int status, const char *service_code);

/* How an answer that is no success is to be met. */
enum s3_remedy {
    S3_FAIL,
    S3_RETRY,    /* transient: wait a little */
    S3_THROTTLE, /* the store asks for less: wait longer */
    S3_AGAIN     /* something was learnt: at once */
};
enum s3_remedy s3_error_remedy(int status, const char *service_code);

/* Fills *err (not NULL) from an answer and its error document. */
enum storage_code s3_fail(const struct s3_store *store, const struct s3_request *request,
                          const struct http_response *response, const struct xml_error *document,
                          struct storage_error *err);

/* Fills operation and target of *err. */
void s3_name_error(const struct s3_store *store, const struct s3_request *request,
                   struct storage_error *err);

/* ---- object.c ---- */

enum storage_code s3_stat(struct storage *base, const char *key, struct storage_info *info,
                          struct storage_error *err);
enum storage_code s3_read(struct storage *base, const char *key, uint64_t offset, void *data,
                          size_t size, bool whole, const char *etag, size_t *got,
                          struct storage_info *info, struct storage_error *err);
enum storage_code s3_read_pieces(struct storage *base, const char *key, uint64_t offset,
                                 uint64_t size, bool whole, const char *etag,
                                 storage_piece_fn *take, void *context, struct storage_info *info,
                                 struct storage_error *err);
enum storage_code s3_remove(struct storage *base, const char *key, struct storage_error *err);
enum storage_code s3_remove_batch(struct storage *base, const char *const *keys, size_t count,
                                  size_t *removed, struct storage_error *err);
enum storage_code s3_make_bucket(struct storage *base, const char *key, struct storage_error *err);

/* The CRC-32 in a base64 header or element; false when there is none. */
bool s3_parse_crc32(uint32_t *crc32, const char *text);

/* ---- multipart.c ---- */

enum storage_code s3_upload_begin(struct upload **upload, struct storage *base, const char *key,
                                  const struct upload_plan *plan, struct storage_error *err);
enum storage_code s3_upload_part(struct upload *base, unsigned number, const void *data,
                                 size_t size, uint32_t crc32, struct storage_error *err);
enum storage_code s3_upload_part_body(struct upload *base, unsigned number,
                                      const struct upload_body *body, struct storage_error *err);
void s3_upload_body_wants(struct upload *base, struct body_wants *wants);
enum storage_code s3_upload_complete(struct upload *base, uint64_t size, uint32_t crc32,
                                     enum storage_verified *verified, struct storage_error *err);
void s3_upload_abort(struct upload *base);

/* ---- resume.c ---- */

enum storage_code s3_upload_token(struct upload *base, char *token, size_t size,
                                  struct storage_error *err);
void s3_upload_part_tag(struct upload *base, unsigned number, char *tag, size_t size);
bool s3_upload_keep(struct upload *base, unsigned number, size_t size, uint32_t crc32,
                    const char *tag, void *data);
void s3_upload_suspend(struct upload *base);

/* ---- copy.c ---- */

bool s3_can_copy(const struct storage *from, const struct storage *to);
enum storage_code s3_copy(struct storage *base, const char *to_key, struct storage *from,
                          const char *from_key, struct storage_info *info,
                          enum storage_verified *verified, struct storage_error *err);

/* ---- presign.c ---- */

/* As storage_presign, at a given time. */
enum storage_code s3_presign_at(struct s3_store *store, const char *key, const char *method,
                                int64_t now, int64_t expires_at, char *url, size_t size,
                                struct storage_error *err);
/* ---- leftovers.c ---- */

enum storage_code s3_leftovers(struct storage *base, const char *prefix, storage_leftover_fn *take,
                               void *context, struct storage_error *err);
enum storage_code s3_leftover_remove(struct storage *base, const struct storage_leftover *leftover,
                                     struct storage_error *err);

/* ---- list.c ---- */

enum storage_code s3_lister_open(struct storage_lister **lister, struct storage *base,
                                 const struct storage_listing *listing, struct storage_error *err);
enum storage_code s3_lister_next(struct storage_lister *base, struct storage_entry *entry,
                                 struct storage_error *err);
void s3_lister_close(struct storage_lister *base);

#endif
