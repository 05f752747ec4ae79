/*
 * errors.c - what a store's refusal means: which code it is, whether trying again can help, and
 * what a person could do.
 *
 * One table row per word of the services (AWS S3's and OBS's error lists); an answer without a
 * word, as every HEAD's, is judged by its status.
 */
#include "storage/s3/s3.h"

#include <stdio.h>
#include <string.h>

#include "storage/storage_banned.h"

struct service_error {
    const char *code;
    enum storage_code meaning;
    enum s3_remedy remedy;
    const char *hint; /* NULL: none */
};

static const struct service_error service_errors[] = {
    {"NoSuchBucket", STORAGE_NOT_FOUND, S3_FAIL, NULL}, /* its hint names the bucket: see below */
    {"NoSuchKey", STORAGE_NOT_FOUND, S3_FAIL, NULL},
    {"NoSuchVersion", STORAGE_NOT_FOUND, S3_FAIL, NULL},
    {"NoSuchUpload", STORAGE_NOT_FOUND, S3_FAIL, NULL},

    {"InvalidAccessKeyId", STORAGE_DENIED, S3_FAIL,
     "the store does not know this access key: check it, and that the endpoint is its store's"},
    {"SignatureDoesNotMatch", STORAGE_DENIED, S3_FAIL,
     "the access key is known but the secret key does not fit it: check the secret key"},
    {"TooManyWrongSignature", STORAGE_DENIED, S3_FAIL,
     "the account is blocked for a while after many wrong signatures: check the secret key, wait"},
    {"AccessDenied", STORAGE_DENIED, S3_FAIL,
     "these keys are valid but may not do this: ask the bucket's owner for the right"},
    {"AllAccessDisabled", STORAGE_DENIED, S3_FAIL, NULL},
    {"AccountProblem", STORAGE_DENIED, S3_FAIL, "the account's owner must settle this"},
    {"InArrearOrInsufficientBalance", STORAGE_DENIED, S3_FAIL,
     "the account is in arrears: its owner must settle this"},
    {"RequestPayerDenied", STORAGE_DENIED, S3_FAIL, NULL},
    {"ExpiredToken", STORAGE_DENIED, S3_FAIL, "the temporary keys have expired: get new ones"},
    {"InvalidToken", STORAGE_DENIED, S3_FAIL,
     "the session token does not fit the access key: take key, secret and token from one place"},
    {"InvalidTokenId", STORAGE_DENIED, S3_FAIL, /* MinIO's word for the same */
     "the session token does not fit the access key: take key, secret and token from one place"},
    {"InvalidSecurity", STORAGE_DENIED, S3_FAIL, NULL},
    {"RequestTimeTooSkewed", STORAGE_DENIED, S3_FAIL, "set this machine's clock"},
    {"AuthorizationHeaderMalformed", STORAGE_DENIED, S3_FAIL,
     "the region may be wrong: name it with --region"},
    {"InsufficientStorageSpace", STORAGE_CONFLICT, S3_FAIL, "the bucket's quota is used up"},
    {"XMinioStorageFull", STORAGE_CONFLICT, S3_FAIL, "the store's disks are full"},
    {"InvalidObjectState", STORAGE_CONFLICT, S3_FAIL,
     "the object is archived: restore it first, in the store's console"},
    {"BucketAlreadyExists", STORAGE_CONFLICT, S3_FAIL,
     "bucket names are shared by all accounts: choose another"},
    {"BucketNotEmpty", STORAGE_CONFLICT, S3_FAIL, NULL},
    {"OperationAborted", STORAGE_CONFLICT, S3_RETRY, NULL},
    {"PreconditionFailed", STORAGE_CHANGED, S3_FAIL, NULL},

    {"VirtualHostDomainRequired", STORAGE_USAGE, S3_FAIL, "use --addressing=virtual"},
    {"SecondLevelDomainForbidden", STORAGE_USAGE, S3_FAIL, "use --addressing=virtual"},
    {"PathStyleDomainForbidden", STORAGE_USAGE, S3_FAIL, "use --addressing=virtual"},
    {"PermanentRedirect", STORAGE_USAGE, S3_FAIL,
     "the bucket is in another region: name its endpoint with --server"},
    {"InvalidBucketName", STORAGE_USAGE, S3_FAIL, NULL},
    {"KeyTooLongError", STORAGE_USAGE, S3_FAIL, NULL},
    {"EntityTooLarge", STORAGE_USAGE, S3_FAIL, "the store takes 5 GB in one request or part"},
    {"EntityTooSmall", STORAGE_USAGE, S3_FAIL, "the store wants parts of 5 MiB and more"},

    {"BadDigest", STORAGE_INTEGRITY, S3_RETRY, NULL},
    {"XAmzContentChecksumMismatch", STORAGE_INTEGRITY, S3_RETRY, NULL},
    {"InvalidDigest", STORAGE_INTEGRITY, S3_FAIL, NULL},
    {"IncompleteBody", STORAGE_TRANSFER, S3_RETRY, NULL},
    {"RequestTimeout", STORAGE_TRANSFER, S3_RETRY, NULL},
    {"InternalError", STORAGE_UNREACHABLE, S3_RETRY, NULL},
    {"ServiceUnavailable", STORAGE_UNREACHABLE, S3_THROTTLE, NULL},
    {"SlowDown", STORAGE_UNREACHABLE, S3_THROTTLE, NULL},
    {"SlowDownRead", STORAGE_UNREACHABLE, S3_THROTTLE, NULL},
    {"SlowDownWrite", STORAGE_UNREACHABLE, S3_THROTTLE, NULL},
    {"TooManyRequests", STORAGE_UNREACHABLE, S3_THROTTLE, NULL},
    {"RequestLimitExceeded", STORAGE_UNREACHABLE, S3_THROTTLE, NULL},
};

static const struct service_error *find(const char *code)
{
    for (size_t i = 0; i < sizeof service_errors / sizeof *service_errors; i++) {
        if (strcmp(service_errors[i].code, code) == 0) {
            return &service_errors[i];
        }
    }
    return NULL;
}

enum storage_code s3_error_code(int status, const char *service_code)
{
    const struct service_error *known = find(service_code);
    if (known) {
        return known->meaning;
    }
    switch (status) {
    case 401:
    case 403:
        return STORAGE_DENIED;
    case 404:
        return STORAGE_NOT_FOUND;
    case 409:
    case 507:
        return STORAGE_CONFLICT;
    case 412:
        return STORAGE_CHANGED;
    case 408:
    case 429:
        return STORAGE_UNREACHABLE;
    default:
        return status >= 500 ? STORAGE_UNREACHABLE : STORAGE_TRANSFER;
    }
}

enum s3_remedy s3_error_remedy(int status, const char *service_code)
{
    const struct service_error *known = find(service_code);
    if (known) {
        return known->remedy;
    }
    switch (status) {
    case 429:
    case 503:
        return S3_THROTTLE;
    case 408:
    case 425:
    case 500:
    case 502:
    case 504:
        return S3_RETRY;
    default:
        return S3_FAIL;
    }
}

/* The reason phrase of RFC 9110 for answers that come without a document. */
static const char *reason(int status)
{
    switch (status) {
    case 301:
        return "Moved Permanently";
    case 307:
        return "Temporary Redirect";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 412:
        return "Precondition Failed";
    case 503:
        return "Service Unavailable";
    default:
        return "no reason given";
    }
}

void s3_name_error(const struct s3_store *store, const struct s3_request *request,
                   struct storage_error *err)
{
    snprintf(err->operation, sizeof err->operation, "%s %s", request->method, request->what);
    snprintf(err->target, sizeof err->target, "s3://%s/%s", store->base.bucket,
             request->key ? request->key : "");
}

static void add_hint(const struct s3_store *store, struct storage_error *err)
{
    const struct service_error *known = find(err->service_code);
    if (strcmp(err->service_code, "NoSuchBucket") == 0) {
        storage_hint(err,
                     "check the bucket's name and the endpoint %s, or make it with 'jobferry "
                     "mb s3://%s'",
                     store->base.place, store->base.bucket);
    } else if (err->code == STORAGE_DENIED && atomic_load(&store->is_unsigned)) {
        storage_hint(err, "no keys were given, and this is not public: give them with --ak and "
                          "--sk, or in the environment");
    } else if (known && known->hint) {
        storage_hint(err, "%s", known->hint);
    }
}

enum storage_code s3_fail(const struct s3_store *store, const struct s3_request *request,
                          const struct http_response *response, const struct xml_error *document,
                          struct storage_error *err)
{
    const char *request_id = response->request_id[0] ? response->request_id : document->request_id;
    struct buf text;
    buf_init(&text, sizeof err->message - 1);
    buf_format(&text, "%s s3://%s/%s: %d ", request->method, store->base.bucket,
               request->key ? request->key : "", response->status);
    if (document->code[0]) {
        buf_text(&text, document->code);
        if (document->message[0]) {
            /* Some services end their sentences with a full stop, ours have none. */
            size_t length = strlen(document->message);
            length -= document->message[length - 1] == '.';
            buf_format(&text, ": %.*s", (int)length, document->message);
        }
    } else {
        buf_text(&text, reason(response->status));
    }
    if (request_id[0]) {
        buf_format(&text, " (request %s)", request_id);
    }
    enum storage_code code =
        storage_fail(err, s3_error_code(response->status, document->code), "%s", text.data);
    buf_release(&text);
    s3_name_error(store, request, err);
    err->http_status = response->status;
    snprintf(err->service_code, sizeof err->service_code, "%s", document->code);
    snprintf(err->request_id, sizeof err->request_id, "%s", request_id);
    add_hint(store, err);
    return code;
}
