/*
 * storage.h - the public face of storage/: objects in S3, OBS and folders, and copies between them.
 *
 * One `struct storage` is one place: a bucket behind an endpoint, or the local file system. Every
 * operation names objects by their whole key within that place: "MNIST/train/x.gz" in a bucket, a
 * path in the file system. `storage_copy` moves objects between any two places in parallel; all
 * else here is one object or one listing.
 *
 * Conventions, the same in model/model.h:
 *   - the result object comes first, options are const structs whose zero value means "default",
 *     the error comes last and may be NULL;
 *   - functions return a code; STORAGE_OK is 0. The error, when given, then says what was being
 *     done, on what, and what came back;
 *   - X_new/X_open pairs with X_free/X_close; both take NULL;
 *   - nothing here prints, exits, or reads the environment.
 *
 * Threads: every function may be called from any thread, also on the same `struct storage`.
 */
#ifndef STORAGE_H
#define STORAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The library is built with hidden names; those below are its face. */
#pragma GCC visibility push(default)

/* ---- errors --------------------------------------------------------------------------------- */

/* One line per code: identifier, name for machines, sentence for people. */
#define STORAGE_CODES(X)                                           \
    X(OK, "ok", "done")                                            \
    X(USAGE, "usage", "the request cannot be meant")               \
    X(NOT_FOUND, "not_found", "no such bucket, object or file")    \
    X(DENIED, "denied", "access denied or bad credentials")        \
    X(UNREACHABLE, "unreachable", "the store cannot be reached")   \
    X(TRANSFER, "transfer", "the transfer did not complete")       \
    X(INTEGRITY, "integrity", "what arrived is not what was sent") \
    X(DISK, "disk", "the local disk refused")                      \
    X(HOSTILE, "hostile", "the key is refused")                    \
    X(CHANGED, "changed", "the source changed while it was read")  \
    X(CONFLICT, "conflict", "the store's state forbids it")        \
    X(WITHHELD, "withheld", "deletions were withheld")             \
    X(STOPPED, "stopped", "stopped on request")                    \
    X(BUG, "bug", "a bug, or no memory")

enum storage_code {
#define STORAGE_CODE_ENUM(id, name, text) STORAGE_##id,
    STORAGE_CODES(STORAGE_CODE_ENUM)
#undef STORAGE_CODE_ENUM
};

/*
 * What went wrong. `message` is one whole sentence without a full stop; `hint`, when not empty,
 * says what to try. The other fields are its parts, for machines.
 */
struct storage_error {
    enum storage_code code;
    int system_errno;      /* 0 when no system call failed */
    int http_status;       /* 0 when no answer came */
    char service_code[64]; /* "NoSuchBucket", as the store said it */
    char request_id[96];   /* the store's, for its support desk */
    char operation[32];    /* "GET object", "open file" */
    char target[1200];     /* the URL or path it was done on */
    char message[2048];
    char hint[320];
};

/* The sentence of a code; static storage. */
const char *storage_code_text(enum storage_code code);
/* The lower-case name of a code ("not_found"), for JSON; static storage. */
const char *storage_code_name(enum storage_code code);

/* ---- URLs ----------------------------------------------------------------------------------- */

enum storage_kind {
    STORAGE_LOCAL, /* file:///path and plain paths */
    STORAGE_S3     /* s3://bucket/key and obs://bucket/key, which are the same thing */
};

enum {
    STORAGE_KEY_MAX = 1024,  /* bytes of an object key: S3 and OBS limit, UTF-8 */
    STORAGE_PATH_MAX = 4096, /* bytes of a local path with its NUL: PATH_MAX */
    STORAGE_BUCKET_MAX = 63, /* bytes of a bucket name: S3 naming rules */
    STORAGE_ETAG_MAX = 96    /* an MD5 in hex, a part count, and room for stores that invent */
};

/* A parsed URL. `key` is the object key without leading slash, or the local path; may be "". */
struct storage_url {
    enum storage_kind kind;
    char bucket[STORAGE_BUCKET_MAX + 1];
    char key[STORAGE_PATH_MAX];
};

/*
 * Parses a URL or path. Any other scheme, "obs:/bucket", a bucket name that no store takes, or a
 * key over STORAGE_KEY_MAX is STORAGE_USAGE, never a local folder.
 */
enum storage_code storage_url_parse(struct storage_url *url, const char *text,
                                    struct storage_error *err);

/* Writes the URL as a person would type it ("s3://b/k", "/path") into text; cut at size. */
void storage_url_format(const struct storage_url *url, char *text, size_t size);

/*
 * Joins base and name with exactly one slash into out (base "" gives name). Returns false when
 * size does not hold it.
 */
bool storage_join(char *out, size_t size, const char *base, const char *name);

/*
 * Whether name, relative to some destination, may be written below it: refuses "", absolute names,
 * "." and ".." segments, empty segments ("//"), NUL and control bytes. One trailing slash is
 * allowed. On refusal *why, when given, points at a static phrase.
 */
bool storage_name_is_safe(const char *name, const char **why);

/* ---- opening a place ------------------------------------------------------------------------ */

enum storage_signature {
    STORAGE_SIGN_AUTO, /* obs for myhuaweicloud.com and stores that answer x-obs-request-id; else v4
                        */
    STORAGE_SIGN_V4,
    STORAGE_SIGN_OBS,
    STORAGE_SIGN_V2,
    STORAGE_SIGN_NONE /* anonymous */
};

enum storage_addressing {
    STORAGE_ADDRESSING_AUTO, /* virtual for AWS, OBS and stores known to refuse path style */
    STORAGE_ADDRESSING_VIRTUAL,
    STORAGE_ADDRESSING_PATH
};

/* Where keys come from that may be fetched, and fetched again before they expire. */
enum storage_keys_kind {
    STORAGE_KEYS_GIVEN,        /* access_key and its like, or anonymous */
    STORAGE_KEYS_FILE,         /* a section of a profile file, or an obsutil configuration */
    STORAGE_KEYS_PROCESS,      /* what a command prints (AWS's credential_process) */
    STORAGE_KEYS_WEB_IDENTITY, /* a token file, exchanged at AWS's STS or one like it */
    STORAGE_KEYS_CONTAINER,    /* a container's credential service (ECS, EKS, Greengrass) */
    STORAGE_KEYS_INSTANCE /* a virtual machine's metadata service: Huawei's agency, AWS's role */
};

/*
 * One source of keys; fields of other kinds are ignored. How each is asked is told in
 * storage/credentials/README.md.
 */
struct storage_key_source {
    enum storage_keys_kind kind;
    const char *name;               /* for people: "profile 'x'"; NULL: a word for its kind */
    const char *file;               /* FILE: which; WEB_IDENTITY: the token's */
    const char *section;            /* FILE: which; NULL: an obsutil configuration */
    const char *command;            /* PROCESS: the command and its arguments; no shell sees it */
    const char *role_arn;           /* WEB_IDENTITY */
    const char *session_name;       /* WEB_IDENTITY; NULL: "jobferry" */
    const char *sts_endpoint;       /* WEB_IDENTITY; NULL: AWS's in the place's region */
    const char *url;                /* CONTAINER: whole, or a path below http://169.254.170.2 */
    const char *authorization;      /* CONTAINER: the Authorization header's value; may be NULL */
    const char *authorization_file; /* CONTAINER: a file that holds it, read each time; or NULL */
    const char *huawei_metadata; /* INSTANCE: another address of Huawei's service; NULL: its own */
    const char *aws_metadata;    /* INSTANCE: another address of AWS's service; NULL: its own */
    bool aws_metadata_disabled;  /* INSTANCE: AWS's service is not asked */
};

/*
 * The values of one section of an AWS-style profile file, or of an obsutil configuration; NULL
 * where absent. Owned: storage_profile_release.
 */
struct storage_profile {
    char *access_key;
    char *secret_key;
    char *session_token;
    char *region;
    char *endpoint;
    char *ca_file;
    char *process;      /* credential_process */
    char *role_arn;     /* with token_file: web identity */
    char *session_name; /* role_session_name */
    char *token_file;   /* web_identity_token_file */
    char *borrowed; /* its keys come from another profile, an instance or SSO, which we do not do */
    bool is_encrypted; /* obsutil's: its keys are of no use to others */
};

/*
 * Adds what section says in the file to profile; values already there stay. Returns whether the
 * section was found; a file that cannot be read, or is over 1 MiB, has no sections.
 */
bool storage_profile_read(struct storage_profile *profile, const char *path, const char *section);
/* The same for an obsutil configuration (ak, sk, token, endpoint); false also without an ak. */
bool storage_profile_read_obsutil(struct storage_profile *profile, const char *path);
/* Wipes and frees. */
void storage_profile_release(struct storage_profile *profile);

/*
 * How one side is reached. Strings are borrowed until storage_open returns. access_key,
 * secret_key and session_token always come from one source; with STORAGE_KEYS_GIVEN, NULL or ""
 * access_key is anonymous. With another kind of keys these three are not looked at.
 */
struct storage_access {
    const char *access_key;
    const char *secret_key;
    const char *session_token;
    struct storage_key_source keys;
    const char *endpoint; /* "https://host[:port]", "http://…" or a bare host; NULL: AWS's */
    const char *region;   /* NULL: from an OBS or AWS endpoint, else us-east-1 */
    const char *ca_file;  /* PEM bundle that replaces the system's; NULL: the system's */
    enum storage_signature signature;
    enum storage_addressing addressing;
    bool tls_insecure;     /* do not verify certificates */
    bool unsigned_payload; /* on plain http: sign UNSIGNED-PAYLOAD instead of the body's SHA-256 */
};

enum {
    STORAGE_SSE_C_KEY_SIZE = 32 /* bytes: AES-256 */
};

/*
 * What requests to one place say of its objects beside their bytes. Strings are borrowed until
 * storage_open returns; NULL or "" is not said. Values are S3's or OBS's words; each store is told
 * in its own. What cannot stand in a header is STORAGE_USAGE. The local file system ignores all.
 */
struct storage_headers {
    /* of objects that are written */
    const char *content_type; /* NULL: by the key's extension, else application/octet-stream */
    const char *cache_control;
    const char *metadata;      /* "name=value,name=value"; a comma in a value is written "\\," */
    const char *storage_class; /* "STANDARD_IA", "WARM", … */
    const char *acl;           /* a canned one: "private", "public-read", … */
    const char *sse;           /* "AES256" or "aws:kms" */
    const char *sse_kms_key_id;
    /* of objects that are written and read */
    const unsigned char *sse_c_key; /* STORAGE_SSE_C_KEY_SIZE bytes; NULL: none */
    bool request_payer;             /* we pay, not the bucket's owner */
    /* of objects that are looked at, read and removed; storage_copy's source is that version */
    const char *version_id;
};

/* One line about one request, secrets removed; called from any thread. */
typedef void storage_trace_fn(void *context, const char *line);

/* Limits and hooks of one place. Zero means the default named beside each. */
struct storage_config {
    struct storage_access access;
    struct storage_headers headers;
    uint64_t server_copy_max;     /* bytes that the store copies in one request; 5 GiB */
    unsigned connections_max;     /* requests in flight; 16 */
    uint64_t bandwidth_max;       /* bytes of bodies a second, both ways together; no limit */
    size_t stream_part;           /* bytes of storage_put_stream's buffer and parts; 32 MiB */
    unsigned attempts_max;        /* tries of one request; 6 */
    unsigned connect_timeout_ms;  /* 10,000 */
    unsigned stall_timeout_s;     /* a transfer below 256 bytes/s for so long is dead; 30 */
    unsigned request_deadline_ms; /* all tries of one request together; 0: none */
    const atomic_bool *stop;      /* when it turns true every call ends with STORAGE_STOPPED */
    storage_trace_fn *trace;      /* NULL: none */
    void *trace_context;
    const char *state_folder; /* where journals of big uploads are kept, made when needed; borrowed
                                 during the call; NULL: an upload cannot go on after a death */
};

struct storage;

/*
 * Opens the place of url's bucket (no request is made) or the local file system. *store is the
 * caller's, to close. A malformed endpoint is STORAGE_USAGE, an unreadable ca_file STORAGE_DISK.
 */
enum storage_code storage_open(struct storage **store, const struct storage_url *url,
                               const struct storage_config *config, struct storage_error *err);

/* Ends all connections, wipes the keys, frees. NULL is fine. No call may be in flight. */
void storage_close(struct storage *store);

enum storage_kind storage_kind(const struct storage *store);

/*
 * When the keys in use expire, seconds since 1970; they are refreshed before that where their
 * source can. 0: never, nobody said, or no request has needed keys yet.
 */
int64_t storage_keys_expiry(struct storage *store);
/* Reads such a moment as services tell it, "2026-11-24T20:00:00Z" or "…+08:00". */
bool storage_keys_parse_expiry(int64_t *seconds, const char *text);

/*
 * How far the store's clock is before ours, seconds, by the Date of its newest good answer. False:
 * no answer had one yet, or the place is the local file system, whose clock is ours.
 */
bool storage_clock_offset(const struct storage *store, int64_t *seconds);

/* ---- looking -------------------------------------------------------------------------------- */

/* What is known of one object or file. */
struct storage_info {
    uint64_t size;    /* bytes */
    int64_t mtime_ns; /* Last-Modified, or the file's mtime; ns since 1970; 0 unknown */
    char etag[STORAGE_ETAG_MAX + 1]; /* without quotes; "" for files */
    bool etag_is_opaque;             /* never an MD5: encrypted with a key of KMS or the caller */
    bool has_crc32;                  /* the store keeps a CRC-32 of the whole object */
    uint32_t crc32;
    bool is_directory; /* a local folder */
};

/* HEAD. A missing bucket and a missing key are both STORAGE_NOT_FOUND; service_code tells them. */
enum storage_code storage_stat(struct storage *store, const char *key, struct storage_info *info,
                               struct storage_error *err);

/* What is done about symbolic links below a local folder. */
enum storage_symlinks {
    STORAGE_SYMLINKS_FOLLOW, /* links to files and folders pass for them; loops are noticed */
    STORAGE_SYMLINKS_SKIP,   /* links are left out */
    STORAGE_SYMLINKS_ERROR   /* a link is that name's failure */
};

/* What links have to do with an entry; stores have none. */
enum storage_link {
    STORAGE_LINK_NONE,
    STORAGE_LINK_FILE,       /* it is a link to a file */
    STORAGE_LINK_BEHIND,     /* it lies behind a link to a folder */
    STORAGE_LINK_UNFOLLOWED, /* a link, with STORAGE_SYMLINKS_ERROR */
    STORAGE_LINK_BROKEN,     /* a link that leads nowhere; a name that cannot be looked at */
    STORAGE_LINK_LOOP        /* a link to a folder that it lies in */
};

/* One row of a listing. Pointers live until the next call on the lister. */
struct storage_entry {
    const char *key; /* whole key or path; a prefix ends in '/'; NULL: the listing has ended */
    bool is_prefix;  /* not an object: a common prefix, or a folder */
    enum storage_link link;
    struct storage_info info;
};

/* What is to be listed. */
struct storage_listing {
    const char *prefix; /* borrowed until the opening returns */
    bool recursive;
    bool whole; /* it will be read to its end: pages may be fetched ahead, several at once */
    enum storage_symlinks symlinks;
};

struct storage_lister;

/*
 * Lists what begins with prefix, in key order (bytes). Recursive gives objects only; otherwise
 * one level, prefixes included. A page at a time is held, whatever the number of objects, and with
 * `whole` at most 8 MiB of them. A local prefix names a folder with or without its slash; an empty
 * folder comes as "folder/", as folder markers do in stores. Opening makes no request, unless
 * `whole` has it begun in another thread.
 */
enum storage_code storage_lister_open(struct storage_lister **lister, struct storage *store,
                                      const char *prefix, bool recursive,
                                      struct storage_error *err);
enum storage_code storage_lister_open_as(struct storage_lister **lister, struct storage *store,
                                         const struct storage_listing *listing,
                                         struct storage_error *err);
enum storage_code storage_lister_next(struct storage_lister *lister, struct storage_entry *entry,
                                      struct storage_error *err);
void storage_lister_close(struct storage_lister *lister);

/* ---- one object ----------------------------------------------------------------------------- */

/* How we know that the bytes are the right ones, best first. */
enum storage_verified {
    STORAGE_VERIFIED_CRC32, /* the store's CRC-32 of the whole equals ours */
    STORAGE_VERIFIED_MD5,   /* Content-MD5 checked by the store, or its ETag is our MD5 */
    STORAGE_VERIFIED_ETAG,  /* a multipart ETag computed from our parts equals the store's */
    STORAGE_VERIFIED_SIZE   /* only the size could be compared */
};
const char *storage_verified_name(enum storage_verified verified); /* "crc32", … */

/*
 * Reads up to size bytes from offset into data; *got is less than size only at the object's end.
 * When etag is not NULL and not "", the object must still have it, else STORAGE_CHANGED. info,
 * when given, is filled from the answer.
 */
enum storage_code storage_read(struct storage *store, const char *key, uint64_t offset, void *data,
                               size_t size, const char *etag, size_t *got,
                               struct storage_info *info, struct storage_error *err);

/*
 * Reads a whole small object into a new NUL-terminated buffer of the caller's (free it). More than
 * size_max bytes is STORAGE_TRANSFER.
 */
enum storage_code storage_get(struct storage *store, const char *key, size_t size_max, char **data,
                              size_t *size, struct storage_error *err);

/* Writes a whole object from memory, atomically: it is there whole, or as it was before. */
enum storage_code storage_put(struct storage *store, const char *key, const void *data, size_t size,
                              enum storage_verified *verified, struct storage_error *err);

/*
 * A whole small object with a tag of its state: a store's ETag, a sum of a file's bytes. Where a
 * store tells none, tag is "".
 */
enum storage_code storage_get_tagged(struct storage *store, const char *key, size_t size_max,
                                     char **data, size_t *size, char tag[STORAGE_ETAG_MAX + 1],
                                     struct storage_error *err);

/*
 * Writes a small object, of at most STORAGE_PUT_IF_MAX bytes, on a condition: tag NULL, that there
 * is none; else that its state is still that of tag. new_tag, which may be tag's own memory, gets
 * its tag. STORAGE_CHANGED: the condition does not hold, nothing was written. A failure that may
 * hide a success (no answer came) is looked into: what is there and has these bytes was written.
 *
 * A store that does not know conditions ignores them, and writes, or refuses: STORAGE_USAGE. Only
 * a try tells. Folders know them among the processes of one machine.
 */
enum storage_code storage_put_if(struct storage *store, const char *key, const void *data,
                                 size_t size, const char *tag, char new_tag[STORAGE_ETAG_MAX + 1],
                                 struct storage_error *err);
enum {
    STORAGE_PUT_IF_MAX = 1024 * 1024 /* bytes */
};

/*
 * Writes an object of unknown length from a descriptor, in parts, until its end. Nothing becomes
 * visible before the last byte is in. *size gets the number of bytes.
 */
enum storage_code storage_put_stream(struct storage *store, const char *key, int fd, uint64_t *size,
                                     enum storage_verified *verified, struct storage_error *err);

/*
 * Whether large objects can be written: begins an upload in parts of key, and aborts it. Nothing
 * becomes visible. A folder needs no proof beside storage_put.
 */
enum storage_code storage_probe_upload(struct storage *store, const char *key,
                                       struct storage_error *err);

/* Removes one object or file (an empty folder too). A missing one is fine, as in S3. */
enum storage_code storage_remove(struct storage *store, const char *key, struct storage_error *err);

/*
 * Removes keys[0..count), in batches of 1,000 where the store takes them. *removed counts those
 * gone; the first refusal is the error, the others are still tried.
 */
enum storage_code storage_remove_batch(struct storage *store, const char *const *keys, size_t count,
                                       size_t *removed, struct storage_error *err);

/* Makes the store's bucket, or the folder with its parents. One that is ours already is fine. */
enum storage_code storage_make_bucket(struct storage *store, const char *key,
                                      struct storage_error *err);

/* ---- names to be taken ---------------------------------------------------------------------- */

/*
 * Which names are taken: those that match an include pattern, or all when there is none, but never
 * one that matches an exclude pattern, in whatever order they were added (as s5cmd has it).
 *
 * Patterns are rclone's globs, held against the name relative to what is copied: `*` any characters
 * but '/', `**` any, `?` one but '/', `[a-z]` `[^a-z]` one of a set, `{a,b}` one of several, `\`
 * takes the next character as it is. A pattern that begins with '/' must match from the top, any
 * other may begin after any '/'. It must match to the end, or to a '/': a pattern that matches a
 * folder takes all that lies in it. One that ends in '/' matches folders only.
 */
struct storage_filter;
/* NULL: no memory. */
struct storage_filter *storage_filter_new(void);
void storage_filter_free(struct storage_filter *filter); /* NULL is fine */
/* A pattern that is malformed, or beyond the ceilings, is STORAGE_USAGE. */
enum storage_code storage_filter_add(struct storage_filter *filter, const char *pattern,
                                     bool exclude, struct storage_error *err);
bool storage_filter_takes(const struct storage_filter *filter, const char *name); /* NULL: all */

/*
 * Writes a URL with which anybody may make one request ("GET", "PUT", …) on the object until
 * expires_at (seconds since 1970; with SigV4 at most a week ahead). No request is made; url gets
 * "" on failure. size: STORAGE_PRESIGN_MAX holds any.
 */
enum storage_code storage_presign(struct storage *store, const char *key, const char *method,
                                  int64_t expires_at, char *url, size_t size,
                                  struct storage_error *err);
enum {
    STORAGE_PRESIGN_MAX = 32 * 1024 /* bytes: keys and tokens encoded */
};

/* ---- left-overs ----------------------------------------------------------------------------- */

/*
 * What copies that died have left: in a store an upload that is neither completed nor aborted, in
 * a folder a temporary file or a journal. A copy that is still under way looks the same, unless it
 * has a journal on this machine (`in_use`): age tells.
 */
struct storage_leftover {
    const char *key;       /* what the upload is to become; the path of the file */
    const char *upload_id; /* NULL: a file */
    int64_t started_ns;    /* when the upload began, or the file was last written; 0 unknown */
    uint64_t size;         /* of a file, bytes */
    bool in_use;
};

/* Called for each; it may remove it. An error ends the listing and is its result. */
typedef enum storage_code storage_leftover_fn(void *context,
                                              const struct storage_leftover *leftover,
                                              struct storage_error *err);

/* Lists them below a prefix, or a folder, a page at a time. */
enum storage_code storage_leftovers(struct storage *store, const char *prefix,
                                    storage_leftover_fn *take, void *context,
                                    struct storage_error *err);
/* Aborts the upload, with its journal here, or removes the file. One that is gone is fine. */
enum storage_code storage_leftover_remove(struct storage *store,
                                          const struct storage_leftover *leftover,
                                          struct storage_error *err);

/* ---- copies --------------------------------------------------------------------------------- */

/* What became of one object of a copy. Strings live during the call. */
struct storage_copied {
    const char *source;      /* key or path */
    const char *destination; /* key or path */
    uint64_t size;
    uint32_t crc32; /* of the whole; meaningful when error is NULL and has_crc32 */
    bool has_crc32; /* false where the store copied it by itself and keeps no sum */
    enum storage_verified verified;
    uint64_t resumed; /* bytes of it that were there from an earlier try */
    double seconds;
    const struct storage_info *info;   /* of the source as it was copied; NULL when error is not */
    const struct storage_error *error; /* NULL: copied */
};

/* How far a copy is. total_* grow while the listing runs and are final when `listed`. */
struct storage_progress {
    uint64_t done_bytes, total_bytes;
    uint64_t done_objects, total_objects;
    bool listed;
};

/* One object to be copied, when the caller chooses them. */
struct storage_item {
    const char *source;              /* key or path; NULL: there are no more */
    const char *destination;         /* key or path; may be written as it stands */
    const struct storage_info *info; /* of the source, as a listing has it; NULL: look at it */
    /* what lies at the destination: the copy's `is_needed` is asked first; NULL: copy */
    const struct storage_info *there;
    /* not to be copied, but to be counted and reported as failed so; NULL: copy */
    const struct storage_error *failure;
};

/*
 * One copy. When source_key names an object, it lands at destination_key (inside it, under its own
 * last name, when destination_key ends in '/' or is a local folder). Otherwise, with recursive,
 * the contents of the directory source_key land in destination_key, as moxing's copy_parallel and
 * `cp -r src/. dst` do. Hooks are called one at a time, from worker threads.
 *
 * With `next` the caller names each object instead, in any order; source_key, destination_key and
 * recursive are then not looked at. It is called from storage_copy's own thread, and what it gives
 * is used until the next call. An error from it ends the naming, and is the copy's unless an object
 * failed before.
 *
 * Between two buckets of one endpoint that are reached by the same keys the store copies by itself,
 * in parts above server_copy_max; what it refuses is streamed. remove_source makes the copy a move:
 * a source is removed once its destination is complete, checked and durable, and the source is
 * still what was copied; one that cannot be removed is a failure.
 *
 * An object of more than four parts can go on after a death, a stop or a failure that may pass: a
 * journal tells the parts that are in. That of a file is beside it (".name.<sum>.journal", and the
 * temporary file stays too), that of an upload in the destination's state_folder. The same copy,
 * started again, moves only the rest, unless the source has changed; whoever finishes it removes
 * both. Of two copies to one target at once, the second goes without.
 */
struct storage_copy {
    struct storage *source;
    const char *source_key;
    struct storage *destination;
    const char *destination_key;
    bool recursive;
    bool remove_source;
    enum storage_code (*next)(void *context, struct storage_item *item, struct storage_error *err);
    /*
     * Asked from a worker's thread, not one at a time, for items with `there`: *needed false leaves
     * the object out, without a count; an error is the object's failure.
     */
    enum storage_code (*is_needed)(void *context, const struct storage_item *item, bool *needed,
                                   struct storage_error *err);
    enum storage_symlinks symlinks;      /* below a local source */
    const struct storage_filter *filter; /* which names below source_key; NULL: all */
    bool include_private;    /* also ".jobferry/" below source_key, which is else left out */
    unsigned workers;        /* objects or parts in flight; default: 16 */
    size_t part_size;        /* bytes of a range or part; default 8 MiB; at least 5 MiB to S3 */
    uint64_t memory_max;     /* ceiling of all part buffers, bytes; default 256 MiB */
    const atomic_bool *stop; /* NULL: never */
    void (*on_object)(void *context, const struct storage_copied *copied);
    void (*on_progress)(void *context, const struct storage_progress *progress);
    void *context;
};

struct storage_summary {
    uint64_t objects; /* copied */
    uint64_t bytes;   /* of those */
    uint64_t failed;
    uint64_t resumed;  /* bytes of those copied that were there from an earlier try */
    uint64_t skipped;  /* storage_sync: unchanged */
    uint64_t deleted;  /* storage_sync */
    uint64_t withheld; /* storage_sync: what was to be deleted and was not */
    uint64_t retries;  /* requests that were sent again */
    double seconds;
};

/*
 * Copies. Objects that fail do not stop the others; the first failure is the error and *summary
 * counts them. A source that is missing or empty is STORAGE_NOT_FOUND. Keys that
 * storage_name_is_safe refuses are STORAGE_HOSTILE, counted as failed. A source and destination
 * that overlap are STORAGE_USAGE. Local files appear under their name only when whole and fsynced.
 */
enum storage_code storage_copy(const struct storage_copy *copy, struct storage_summary *summary,
                               struct storage_error *err);

/* ---- syncs ---------------------------------------------------------------------------------- */

/* When an object is the same on both sides; a size that differs always means no. */
enum storage_compare {
    /*
     * To a store: its object is not older than the source. To a folder from a store: the last
     * sync's record, ".jobferry-sync" in the folder, says that this object and this file belong
     * together; where it says nothing, both have one mtime. Between folders: both have one mtime.
     */
    STORAGE_COMPARE_DEFAULT,
    /* Both have one mtime, or are objects of one ETag; a request for each object. */
    STORAGE_COMPARE_EXACT_MTIME,
    STORAGE_COMPARE_SIZE_ONLY, /* sizes decide */
    STORAGE_COMPARE_CHECKSUM   /* both have one CRC-32, MD5 or multipart ETag; reads all files */
};

enum storage_action {
    STORAGE_ACTION_COPY,
    STORAGE_ACTION_FOLDER, /* make an empty folder */
    STORAGE_ACTION_DELETE
};

/* One step of a sync. Strings live during the call. */
struct storage_step {
    enum storage_action action;
    const char *source;      /* key or path; NULL for a deletion */
    const char *destination; /* key or path */
    uint64_t size;
};

/*
 * Makes the destination hold what the source holds. `copy` says between which places and how; its
 * recursive, next, is_needed and remove_source are not looked at. Both sides are listed at once in
 * the order of keys and merged, so memory does not grow with the number of objects. ".jobferry/"
 * is left out at any depth, on both sides, and so is what the filter does not take.
 *
 * delete_extra removes from the destination what the source lacks, after all copies, and only when
 * both listings ended cleanly, nothing failed, the source is not empty, and no more than delete_max
 * would go: else STORAGE_WITHHELD. What lies behind a link to a folder is never deleted.
 *
 * dry_run changes nothing and tells the steps instead.
 */
struct storage_sync {
    struct storage_copy copy;
    enum storage_compare compare;
    bool delete_extra;
    bool dry_run;
    uint64_t delete_max; /* UINT64_MAX: the lesser of 1,000 and half of what is there */
    /* With dry_run each step; else each deletion done. One call at a time, with copy.context. */
    void (*on_step)(void *context, const struct storage_step *step);
};

/*
 * Syncs; errors, hooks and *summary as in storage_copy. A listing out of order, or with a name
 * twice, is STORAGE_TRANSFER. A source that is no folder is STORAGE_USAGE.
 */
enum storage_code storage_sync(const struct storage_sync *sync, struct storage_summary *summary,
                               struct storage_error *err);

/* ---- sums ----------------------------------------------------------------------------------- */

/* CRC-32 (IEEE 802.3, as zlib and gzip) of data, continuing from crc; begin with 0. */
uint32_t storage_crc32(uint32_t crc, const void *data, size_t size);

#pragma GCC visibility pop

#endif
