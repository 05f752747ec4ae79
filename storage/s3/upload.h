/*
 * upload.h - an upload under way, as put.c (one PUT) and multipart.c (parts) share it.
 */
#ifndef STORAGE_S3_UPLOAD_H
#define STORAGE_S3_UPLOAD_H

#include "storage/base/digest.h"
#include "storage/s3/s3.h"

enum {
    UPLOAD_ID_MAX = 1024,
    SUM_TEXT = 32 /* base64 of an MD5 is 24 bytes */
};

struct part {
    char etag[STORAGE_ETAG_MAX + 1];
    uint64_t size;
    uint32_t crc32;
    uint8_t md5[MD5_SIZE];
    bool is_md5; /* md5 is set and the store's ETag was the same */
    bool is_done;
    bool is_listed; /* of an upload gone on with: the store has such a part, with size and etag */
};

struct s3_upload {
    struct upload base;
    char key[STORAGE_KEY_MAX + 1];
    char mtime[32]; /* "": none */

    const void *whole;       /* the only part, borrowed until it is completed */
    struct upload_body body; /* or this; read NULL: it is not */
    size_t whole_size;
    uint32_t whole_crc32;
    bool is_whole;

    pthread_mutex_t lock; /* over what follows */
    char id[UPLOAD_ID_MAX];
    bool is_crc; /* the store answered that it will keep the CRC-32 of the whole */
    struct storage_error *refusal; /* owned; why it could not be begun: nobody asks again */
    struct part *parts;
    size_t capacity; /* of parts */
    size_t count;    /* the highest number so far */
};

/* Begins the multipart upload, once; the first to come does it for all. */
enum storage_code upload_ensure_id(struct s3_upload *upload, struct storage_error *err);
/* The table's place for a part; NULL: no memory. Under the upload's lock. */
struct part *upload_part_at(struct s3_upload *upload, unsigned number);
/* Takes up the upload of a token: its id, and its parts from the store's list. */
enum storage_code upload_reopen(struct s3_upload *upload, const char *token,
                                struct storage_error *err);

/* "PUT s3://bucket/key: why". */
enum storage_code upload_fail(const struct s3_upload *upload, enum storage_code code,
                              const char *why, struct storage_error *err);

/* Sums as headers carry them, and an ETag that is md5 in hex with suffix ("-3", or "") behind. */
void upload_crc32_text(char text[SUM_TEXT], uint32_t crc32);
void upload_md5_text(char text[SUM_TEXT], const uint8_t md5[MD5_SIZE]);
bool upload_is_etag(const char *etag, const uint8_t md5[MD5_SIZE], const char *suffix);

/* Whether the next upload is to try with CRC-32 sums. */
bool upload_may_use_crc(const struct s3_upload *upload);
/* Whether a failed first try was refused for its sums; then they are not sent to this store again.
 */
bool upload_refuses_crc(const struct s3_upload *upload, const struct storage_error *err);

/* The last resort: asks the store what it has now, when its answer did not say enough. */
enum storage_code upload_verify_by_stat(struct s3_upload *upload, uint64_t size, uint32_t crc32,
                                        enum storage_verified *verified, struct storage_error *err);

/* Sends the part that is the whole, or nothing for an empty object, and checks it. */
enum storage_code upload_put_whole(struct s3_upload *upload, enum storage_verified *verified,
                                   struct storage_error *err);

#endif
