/*
 * backend.h - what a kind of place must be able to do; storage.c and copy.c know nothing else.
 *
 * Two backends: local.c (the file system) and s3/ (S3 and OBS). Both speak in parts, so the copy
 * engine is one loop for every pair: read a range of the source, hand it to the destination's
 * upload. For a folder an upload is a temporary file, a part a pwrite, completing it fsync and
 * rename; for S3 they are the multipart requests, or one PUT when the whole fits one part.
 *
 * Here err is never NULL.
 */
#ifndef STORAGE_BACKEND_H
#define STORAGE_BACKEND_H

#include "storage/storage.h"

struct folders; /* storage/local/folders.h */

/* What an upload may know beforehand. */
struct upload_plan {
    uint64_t size;      /* bytes of the whole; UINT64_MAX: unknown */
    size_t part_size;   /* every part but the last has this size */
    int64_t mtime_ns;   /* to keep with the object where the backend can; 0: none */
    const char *resume; /* what upload_token said of an upload to go on with; NULL: a fresh one */
    struct folders *folders; /* of the copy that it belongs to, into a folder; NULL: by itself */
    bool
        is_kept; /* a complete that fails for a reason that may pass suspends, and does not abort */
};

/* One upload under way. Each backend embeds it first in a struct of its own. */
struct upload {
    struct storage *store;
    struct upload_plan plan;
};

/*
 * Takes a piece of what is read, at offset from where the reading began; pieces come in order, and
 * after a try that broke from offset 0 again. False ends the reading.
 */
typedef bool storage_piece_fn(void *context, uint64_t offset, const void *data, size_t size);

/* A part that is read when it is sent, maybe more than once; its sums are known before. */
struct upload_body {
    bool (*read)(void *context, uint64_t offset, void *data, size_t size);
    void *context;
    size_t size;
    uint32_t crc32;
    char sha256[65]; /* in hex; "" where it was not wanted */
    uint8_t md5[16];
    bool has_md5;
};

/* What must be known of a body beside its CRC-32 before it is sent. */
struct body_wants {
    bool sha256; /* the request signs it */
    bool md5;    /* the store does not keep CRC-32 sums, or has not said so yet */
};

/* A source held open, so that what is read twice is read from the same thing. */
struct source_reader;

struct backend {
    enum storage_code (*stat)(struct storage *store, const char *key, struct storage_info *info,
                              struct storage_error *err);
    /* As storage_read. whole: these bytes should be all, so the store's sum of them is wanted. */
    enum storage_code (*read)(struct storage *store, const char *key, uint64_t offset, void *data,
                              size_t size, bool whole, const char *etag, size_t *got,
                              struct storage_info *info, struct storage_error *err);
    /*
     * As read, but what arrives is handed on instead of kept, and all of size must come. *info is
     * filled before the first piece. NULL where reading into memory costs nothing more.
     */
    enum storage_code (*read_pieces)(struct storage *store, const char *key, uint64_t offset,
                                     uint64_t size, bool whole, const char *etag,
                                     storage_piece_fn *take, void *context,
                                     struct storage_info *info, struct storage_error *err);
    /*
     * Reading at leisure; all NULL where a reading is a request. *info is filled anew by open and
     * by look. read gives exactly size bytes, and may be called from any thread.
     */
    enum storage_code (*reader_open)(struct source_reader **reader, struct storage *store,
                                     const char *key, struct storage_info *info,
                                     struct storage_error *err);
    enum storage_code (*reader_read)(const struct source_reader *reader, uint64_t offset,
                                     void *data, size_t size, struct storage_error *err);
    enum storage_code (*reader_look)(const struct source_reader *reader, struct storage_info *info,
                                     struct storage_error *err);
    void (*reader_close)(struct source_reader *reader);
    enum storage_code (*remove)(struct storage *store, const char *key, struct storage_error *err);
    enum storage_code (*remove_batch)(struct storage *store, const char *const *keys, size_t count,
                                      size_t *removed, struct storage_error *err);
    enum storage_code (*make_bucket)(struct storage *store, const char *key,
                                     struct storage_error *err);

    /*
     * An upload: begin, parts numbered from 1 in any order and from several threads, then complete
     * or abort, which both free it. Nothing is visible under key before complete returns OK; after
     * abort, or a failed complete, key is as it was. crc32 is that of the part, or of the whole.
     * When one part is the whole, its data is borrowed until complete or abort.
     */
    enum storage_code (*upload_begin)(struct upload **upload, struct storage *store,
                                      const char *key, const struct upload_plan *plan,
                                      struct storage_error *err);
    enum storage_code (*upload_part)(struct upload *upload, unsigned number, const void *data,
                                     size_t size, uint32_t crc32, struct storage_error *err);
    /*
     * A piece of any size, at offset from the whole's beginning; NULL where parts must come whole.
     * upload_part, with NULL for data, then says that all of a part has come so.
     */
    enum storage_code (*upload_piece)(struct upload *upload, uint64_t offset, const void *data,
                                      size_t size, struct storage_error *err);
    /*
     * A part that is not in memory, and what it needs; both NULL where parts must be. When the part
     * is the whole, what body->read needs is borrowed until complete or abort.
     */
    void (*upload_body_wants)(struct upload *upload, struct body_wants *wants);
    enum storage_code (*upload_part_body)(struct upload *upload, unsigned number,
                                          const struct upload_body *body,
                                          struct storage_error *err);
    enum storage_code (*upload_complete)(struct upload *upload, uint64_t size, uint32_t crc32,
                                         enum storage_verified *verified,
                                         struct storage_error *err);
    /*
     * Completes several at once, each with its own outcome, where that is cheaper; NULL where it is
     * not.
     */
    void (*upload_complete_many)(struct upload *const *uploads, const uint64_t *sizes, size_t count,
                                 enum storage_code *codes, struct storage_error *errs);
    void (*upload_abort)(struct upload *upload);

    /*
     * A copy within the store; NULL where there is none. can_copy: whether both are one endpoint's,
     * reached by the same keys. info is the source's, its ETag pins it; *verified says how the copy
     * is known to be whole, and info->has_crc32 then whether the store keeps its sum.
     */
    bool (*can_copy)(const struct storage *from, const struct storage *to);
    enum storage_code (*copy)(struct storage *to, const char *to_key, struct storage *from,
                              const char *from_key, struct storage_info *info,
                              enum storage_verified *verified, struct storage_error *err);

    /*
     * What lets another process go on with an upload; all NULL where that is not possible. Begun
     * with plan.resume an upload is the one of that token (STORAGE_NOT_FOUND: it is gone), and has
     * the parts that upload_keep says it has.
     *
     *   upload_token     begins the upload in earnest and writes what it is found again by
     *   upload_part_tag  what a part that is in is known by; "" for nothing
     *   upload_keep      whether a part is in, with this size, CRC-32 and tag; it then counts as
     *                    given. data, when not NULL, has room for size bytes: a folder reads the
     *                    part into it and holds it against crc32
     *   upload_sync      what is in outlives the machine from here on; NULL: it does anyway
     *   upload_suspend   frees like abort, and leaves what is in for later
     */
    enum storage_code (*upload_token)(struct upload *upload, char *token, size_t size,
                                      struct storage_error *err);
    void (*upload_part_tag)(struct upload *upload, unsigned number, char *tag, size_t size);
    bool (*upload_keep)(struct upload *upload, unsigned number, size_t size, uint32_t crc32,
                        const char *tag, void *data);
    enum storage_code (*upload_sync)(struct upload *upload, struct storage_error *err);
    void (*upload_suspend)(struct upload *upload);

    /* The tag of a small object just read, as storage_get_tagged says; and as storage_put_if. */
    void (*tag)(char tag[STORAGE_ETAG_MAX + 1], const struct storage_info *info, const void *data,
                size_t size);
    enum storage_code (*put_if)(struct storage *store, const char *key, const void *data,
                                size_t size, const char *tag, char new_tag[STORAGE_ETAG_MAX + 1],
                                struct storage_error *err);

    /* As storage_presign; NULL: nothing here has URLs of its own. */
    enum storage_code (*presign)(struct storage *store, const char *key, const char *method,
                                 int64_t expires_at, char *url, size_t size,
                                 struct storage_error *err);
    /* As storage_leftovers and storage_leftover_remove. */
    enum storage_code (*leftovers)(struct storage *store, const char *prefix,
                                   storage_leftover_fn *take, void *context,
                                   struct storage_error *err);
    enum storage_code (*leftover_remove)(struct storage *store,
                                         const struct storage_leftover *leftover,
                                         struct storage_error *err);

    /* A lister embeds struct storage_lister first. */
    enum storage_code (*lister_open)(struct storage_lister **lister, struct storage *store,
                                     const struct storage_listing *listing,
                                     struct storage_error *err);
    enum storage_code (*lister_next)(struct storage_lister *lister, struct storage_entry *entry,
                                     struct storage_error *err);
    void (*lister_close)(struct storage_lister *lister);

    void (*close)(struct storage *store);
};

/*
 * Each backend embeds this first. retries counts requests that were sent again. stop,
 * state_folder and headers_sum are set by storage_open.
 */
struct storage {
    const struct backend *backend;
    const atomic_bool *stop; /* NULL: never */
    enum storage_kind kind;
    char bucket[STORAGE_BUCKET_MAX + 1];
    char
        place[320]; /* the endpoint, so that equal buckets of two stores are told apart; "" local */
    size_t stream_part;   /* set by storage_open */
    char *state_folder;   /* owned; where journals of uploads to a store are kept; NULL: nowhere */
    uint32_t headers_sum; /* tells apart what places say of the objects they write */
    _Atomic uint64_t retries;
};

struct storage_lister {
    struct storage *store;
};

enum storage_code local_open(struct storage **store, const struct storage_config *config,
                             struct storage_error *err);
enum storage_code s3_open(struct storage **store, const struct storage_url *url,
                          const struct storage_config *config, struct storage_error *err);
/* local/condition.c and s3/condition.c: the backends' tag and put_if. */
void local_tag(char tag[STORAGE_ETAG_MAX + 1], const struct storage_info *info, const void *data,
               size_t size);
enum storage_code local_put_if(struct storage *store, const char *key, const void *data,
                               size_t size, const char *tag, char new_tag[STORAGE_ETAG_MAX + 1],
                               struct storage_error *err);
void s3_tag(char tag[STORAGE_ETAG_MAX + 1], const struct storage_info *info, const void *data,
            size_t size);
enum storage_code s3_put_if(struct storage *base, const char *key, const void *data, size_t size,
                            const char *tag, char new_tag[STORAGE_ETAG_MAX + 1],
                            struct storage_error *err);
/* storage_keys_expiry of an S3 store. */
int64_t s3_keys_expiry(struct storage *store);
/* storage_clock_offset and storage_probe_upload of an S3 store. */
bool s3_clock_offset(const struct storage *store, int64_t *seconds);
enum storage_code s3_probe_upload(struct storage *store, const char *key,
                                  struct storage_error *err);

#endif
