/*
 * request.c - one request to a store, from its words to its answer, however many tries that takes.
 *
 * Each try is built and signed anew with the present time and with what the answers before it
 * taught: a clock that differs, a region, OBS's dialect. Such a lesson is worth a try at once; a
 * transient failure is waited out with full jitter (a random time up to a bound that doubles), the
 * bound starting higher when the store asked for less.
 *
 * The budget is shared by all requests of a store: a retry takes from it, a success gives back.
 * While it is used up the store is in trouble as a whole, and retries wait seconds, so that many
 * workers do not become part of the trouble; they do not fail, as a job's restart costs more than
 * patience. Source of the numbers: AWS SDKs' standard retry mode (500 tokens, 5 for throttling, 14
 * for other retries; base 50 ms and 1 s, cap 20 s); ours starts at 100 ms.
 */
#include "storage/s3/s3.h"

#include "storage/base/date.h"
#include "storage/base/digest.h"
#include "storage/base/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "storage/storage_banned.h"

enum {
    BUDGET_MAX = 500,
    BUDGET_THROTTLE = 5,
    BUDGET_RETRY = 14,
    WAIT_RETRY_MS = 100,
    WAIT_THROTTLE_MS = 1000,
    WAIT_MAX_MS = 20000,
    WAIT_EMPTY_MS = 5000,   /* and as much again, at random, with the budget used up */
    RETRY_AFTER_MAX_S = 60, /* longer wishes are cut */
    STOP_LOOK_MS = 50,      /* how late a stop may be seen while waiting */
    LESSONS_MAX = 4,        /* tries at once, after an answer that taught something */
    CLEAN_UP_MS = 5000,     /* for a request that ignores a stop */
    SKEW_MIN_S = 240,       /* stores allow 900; a Date header is good to seconds */
    LONG_STALLS = 10,       /* a long request may be silent for so many stall time-outs */
    URL_MAX = 32 * 1024,
    TEXT_MAX = 64 * 1024
};

static const char unsigned_payload[] = "UNSIGNED-PAYLOAD";

/* What one try stands on; the store may learn more while it runs. */
struct attempt {
    struct endpoint endpoint;
    enum storage_signature signature;
    bool is_obs;
    int64_t offset;
    int64_t now; /* by the store's clock */
};

/* One try in full. Buffers own the texts that the arrays point into. */
struct outgoing {
    struct buf url, path, resource, host, lines, authorization;
    struct sign_pair headers[HTTP_HEADERS_MAX]; /* [0] is Host, which curl sends itself */
    size_t count;
    char names[HTTP_HEADERS_MAX][64]; /* of those that are renamed */
    char date[DATE_HTTP_SIZE];
    const char *pointers[HTTP_HEADERS_MAX];
};

/* ---- time ----------------------------------------------------------------------------------- */

static int64_t clock_ms(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_stopped(const struct s3_store *store, const struct s3_request *request)
{
    return store->config.stop && !request->ignores_stop && atomic_load(store->config.stop);
}

static void sleep_ms(const struct s3_store *store, const struct s3_request *request, int64_t ms)
{
    int64_t end = clock_ms() + ms;
    for (int64_t left = ms; left > 0 && !is_stopped(store, request); left = end - clock_ms()) {
        int64_t piece = left < STOP_LOOK_MS ? left : STOP_LOOK_MS;
        struct timespec time = {.tv_nsec = piece * 1000000};
        nanosleep(&time, NULL);
    }
}

/* A random number up to bound, which is at most WAIT_MAX_MS. */
static int64_t jitter(int64_t bound)
{
    uint32_t value = 0;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value) {
        return bound / 2;
    }
    return (int64_t)((uint64_t)value * (uint64_t)bound >> 32);
}

/* Takes from the budget; false when it is used up. */
static bool spend(struct s3_store *store, int cost)
{
    int left = atomic_load(&store->budget);
    while (left >= cost) {
        if (atomic_compare_exchange_weak(&store->budget, &left, left - cost)) {
            return true;
        }
    }
    return false;
}

static void earn(struct s3_store *store)
{
    int left = atomic_load(&store->budget);
    while (left < BUDGET_MAX && !atomic_compare_exchange_weak(&store->budget, &left, left + 1)) {
    }
}

static int64_t choose_wait(struct s3_store *store, enum s3_remedy remedy, unsigned tries,
                           unsigned retry_after_s)
{
    bool throttled = remedy == S3_THROTTLE;
    int64_t bound = throttled ? WAIT_THROTTLE_MS : WAIT_RETRY_MS;
    for (unsigned i = 1; i < tries && bound < WAIT_MAX_MS; i++) {
        bound *= 2;
    }
    int64_t wait = jitter(bound < WAIT_MAX_MS ? bound : WAIT_MAX_MS);
    if (!spend(store, throttled ? BUDGET_THROTTLE : BUDGET_RETRY)) {
        wait = WAIT_EMPTY_MS + jitter(WAIT_EMPTY_MS);
    }
    unsigned asked = retry_after_s < RETRY_AFTER_MAX_S ? retry_after_s : RETRY_AFTER_MAX_S;
    return wait > asked * 1000 ? wait : asked * 1000;
}

/* ---- building ------------------------------------------------------------------------------- */

static void outgoing_init(struct outgoing *out)
{
    memset(out, 0, sizeof *out);
    buf_init(&out->url, URL_MAX);
    buf_init(&out->path, URL_MAX);
    buf_init(&out->resource, URL_MAX);
    buf_init(&out->host, 1024);
    buf_init(&out->lines, TEXT_MAX);
    buf_init(&out->authorization, TEXT_MAX);
}

static void outgoing_release(struct outgoing *out)
{
    buf_release(&out->url);
    buf_release(&out->path);
    buf_release(&out->resource);
    buf_release(&out->host);
    buf_release(&out->lines);
    buf_release(&out->authorization);
}

static bool outgoing_ok(const struct outgoing *out)
{
    return buf_ok(&out->url) && buf_ok(&out->path) && buf_ok(&out->resource) &&
           buf_ok(&out->host) && buf_ok(&out->lines) && buf_ok(&out->authorization) &&
           out->count < HTTP_HEADERS_MAX;
}

static void add_header(struct outgoing *out, const char *name, const char *value)
{
    if (out->count < HTTP_HEADERS_MAX) {
        out->headers[out->count++] = (struct sign_pair){name, value};
    }
}

/* OBS's own dialect has the same headers under another prefix. */
static bool speaks_obs(const struct attempt *attempt)
{
    return attempt->signature == STORAGE_SIGN_OBS ||
           (attempt->signature == STORAGE_SIGN_NONE && attempt->is_obs);
}

static void add_service_header(struct outgoing *out, const struct attempt *attempt,
                               const char *name, const char *value)
{
    if (speaks_obs(attempt) && strncmp(name, "x-amz-", 6) == 0 && out->count < HTTP_HEADERS_MAX) {
        char *renamed = out->names[out->count];
        snprintf(renamed, sizeof out->names[0], "x-obs-%s", name + 6);
        name = renamed;
    }
    add_header(out, name, value);
}

static void build_target(struct outgoing *out, const struct s3_store *store,
                         const struct attempt *attempt, const struct s3_request *request)
{
    const char *bucket = store->base.bucket;
    buf_format(&out->resource, "/%s/", bucket);
    buf_text(&out->path, attempt->endpoint.is_virtual ? "/" : out->resource.data);
    if (request->key) {
        url_encode_path(&out->path, request->key);
        url_encode_path(&out->resource, request->key);
    }
    endpoint_add_host(&out->host, &attempt->endpoint, bucket);
    buf_format(&out->url, "%s://%s%s", attempt->endpoint.is_https ? "https" : "http",
               out->host.data, out->path.data);
    for (size_t i = 0; i < request->query_count; i++) {
        buf_char(&out->url, i == 0 ? '?' : '&');
        url_encode_query(&out->url, request->query[i].name);
        if (request->query[i].value) {
            buf_char(&out->url, '=');
            url_encode_query(&out->url, request->query[i].value);
        }
    }
}

/* What the signature covers beside Host; in the order in which it is sent. */
static void build_headers(struct outgoing *out, const struct s3_store *store,
                          const struct attempt *attempt, const struct s3_request *request,
                          const char *payload)
{
    add_header(out, "Host", out->host.data);
    for (size_t i = 0; i < request->header_count; i++) {
        add_service_header(out, attempt, request->headers[i].name, request->headers[i].value);
    }
    struct sign_pair extras[EXTRAS_VALUES];
    size_t count = extras_list(&store->extras, request->copied, request->extras,
                               speaks_obs(attempt), extras, EXTRAS_VALUES);
    for (size_t i = 0; i < count; i++) {
        add_service_header(out, attempt, extras[i].name, extras[i].value);
    }
    if (attempt->signature == STORAGE_SIGN_NONE) {
        return;
    }
    if (attempt->signature == STORAGE_SIGN_V4) {
        date_format_amz(out->date, attempt->now);
        add_header(out, "x-amz-content-sha256", payload);
    } else {
        date_format_http(out->date, attempt->now);
    }
    add_service_header(out, attempt, "x-amz-date", out->date);
    if (store->session_token[0]) {
        add_service_header(out, attempt, "x-amz-security-token", store->session_token);
    }
}

/* Proxies and curl may touch others; those of S3 and of the body must arrive as they are. */
static bool is_covered(const char *name)
{
    return strncasecmp(name, "x-amz-", 6) == 0 || strcasecmp(name, "host") == 0 ||
           strcasecmp(name, "content-type") == 0 || strcasecmp(name, "content-md5") == 0;
}

static void sign(struct outgoing *out, const struct s3_store *store, const struct attempt *attempt,
                 const struct s3_request *request, const char *payload)
{
    struct sign_pair covered[HTTP_HEADERS_MAX];
    size_t count = 0;
    struct buf canonical, string;
    buf_init(&canonical, 2 * TEXT_MAX);
    buf_init(&string, 2 * TEXT_MAX);
    struct sign_keys keys = {store->access_key, store->secret_key, attempt->endpoint.region, "s3"};
    struct sign_request subject = {
        .method = request->method,
        .path = out->path.data,
        .resource = out->resource.data,
        .query = request->query,
        .query_count = request->query_count,
        .headers = out->headers,
        .header_count = out->count,
        .payload = payload,
    };
    if (attempt->signature == STORAGE_SIGN_V4) {
        for (size_t i = 0; i < out->count; i++) {
            if (is_covered(out->headers[i].name)) {
                covered[count++] = out->headers[i];
            }
        }
        subject.headers = covered;
        subject.header_count = count;
        sign_v4_canonical(&canonical, &subject);
        sign_v4_string(&string, canonical.data, &keys, attempt->now);
        sign_v4_authorization(&out->authorization, string.data, &subject, &keys, attempt->now);
    } else if (attempt->signature != STORAGE_SIGN_NONE) {
        enum sign_dialect dialect = attempt->signature == STORAGE_SIGN_OBS ? SIGN_OBS : SIGN_V2;
        sign_obs_canonical(&canonical, &subject, dialect);
        sign_obs_string(&string, canonical.data, &subject, ""); /* the date is a header of theirs */
        sign_obs_authorization(&out->authorization, string.data, &keys, dialect);
    }
    out->authorization.failed |= canonical.failed || string.failed;
    buf_release(&canonical);
    buf_release(&string);
    if (out->authorization.length > 0) {
        add_header(out, "Authorization", out->authorization.data);
    }
}

/* The headers as lines; pointers are taken when the text no longer moves. */
static void build_lines(struct outgoing *out)
{
    for (size_t i = 1; i < out->count; i++) {
        buf_format(&out->lines, "%s: %s", out->headers[i].name, out->headers[i].value);
        buf_add(&out->lines, "", 1);
    }
    const char *line = out->lines.data;
    for (size_t i = 1; i < out->count && buf_ok(&out->lines); i++) {
        out->pointers[i - 1] = line;
        line += strlen(line) + 1;
    }
}

/*
 * What x-amz-content-sha256 says: over TLS, and to OBS in any case, that the body is not signed;
 * else its SHA-256. hash keeps that for the next try. NULL: no SHA-256 here.
 */
static const char *choose_payload(const struct s3_store *store, const struct attempt *attempt,
                                  const struct s3_request *request, struct buf *hash)
{
    if (attempt->endpoint.is_https || attempt->is_obs || store->config.access.unsigned_payload) {
        return unsigned_payload;
    }
    if (hash->length == 0) {
        uint8_t digest[SHA256_SIZE];
        const void *body = request->body ? request->body : "";
        if (!digest_sha256(digest, body, request->body_size)) {
            return NULL;
        }
        digest_add_hex(hash, digest, sizeof digest);
    }
    return buf_ok(hash) ? hash->data : NULL;
}

/* ---- one try -------------------------------------------------------------------------------- */

static void trace(const struct s3_store *store, const struct s3_request *request,
                  const struct outgoing *out, const struct http_response *response,
                  enum storage_code code, int64_t started)
{
    if (!store->config.trace) {
        return;
    }
    struct buf line;
    buf_init(&line, URL_MAX + 1024);
    buf_format(&line, "%s %s: ", request->method, out->url.data);
    if (code == STORAGE_OK) {
        buf_format(&line, "%d", response->status);
    } else {
        buf_text(&line, storage_code_text(code));
    }
    buf_format(&line, ", %zu bytes out, %zu in, %" PRId64 " ms", request->body_size,
               response->body_size, clock_ms() - started);
    if (response->request_id[0]) {
        buf_format(&line, " (request %s)", response->request_id);
    }
    store->config.trace(store->config.trace_context, line.data);
    buf_release(&line);
}

static struct attempt prepare(struct s3_store *store)
{
    struct attempt attempt = {0};
    pthread_mutex_lock(&store->lock);
    attempt.endpoint = store->endpoint;
    pthread_mutex_unlock(&store->lock);
    attempt.signature = (enum storage_signature)atomic_load(&store->signature);
    attempt.is_obs = atomic_load(&store->is_obs);
    attempt.offset = atomic_load(&store->offset);
    attempt.now = (int64_t)time(NULL) + attempt.offset;
    return attempt;
}

static enum storage_code send_once(struct s3_store *store, const struct attempt *attempt,
                                   const struct s3_request *request, struct buf *hash,
                                   unsigned deadline_ms, struct http_response *response,
                                   struct storage_error *err)
{
    struct outgoing out;
    enum storage_code code = STORAGE_BUG;
    int64_t started = clock_ms();
    outgoing_init(&out);
    const char *payload = choose_payload(store, attempt, request, hash);
    if (payload) {
        build_target(&out, store, attempt, request);
        build_headers(&out, store, attempt, request, payload);
        sign(&out, store, attempt, request, payload);
        build_lines(&out);
    }
    if (!payload || !outgoing_ok(&out)) {
        http_response_clear(response);
        storage_fail(err, code, "%s s3://%s/%s: the request could not be built", request->method,
                     store->base.bucket, request->key ? request->key : "");
        goto done;
    }
    struct http_request http = {
        .method = request->method,
        .url = out.url.data,
        .headers = out.pointers,
        .header_count = out.count - 1,
        .body = request->body,
        .body_size = request->body_size,
        .sink = request->sink,
        .sink_size = request->sink_size,
        .deadline_ms = deadline_ms,
        .stall_timeout_s = request->is_long ? LONG_STALLS * store->config.stall_timeout_s : 0,
        .ignores_stop = request->ignores_stop,
    };
    code = http_perform(store->http, &http, response, err);
    trace(store, request, &out, response, code, started);
done:
    if (code != STORAGE_OK) {
        s3_name_error(store, request, err);
    }
    outgoing_release(&out);
    return code;
}

/* ---- judging the answer --------------------------------------------------------------------- */

/* A store that turns out to be OBS is spoken to as one from now on. */
static bool learn_dialect(struct s3_store *store, const struct attempt *attempt,
                          const struct http_response *response)
{
    if (!response->is_obs || attempt->is_obs) {
        return false;
    }
    atomic_store(&store->is_obs, true);
    if (store->signature_is_auto) {
        atomic_store(&store->signature, (int)STORAGE_SIGN_OBS);
    }
    return true;
}

/* Only a refusal with a Date far from ours speaks of clocks; a cached answer would, too. */
static bool learn_clock(struct s3_store *store, const struct attempt *attempt,
                        const struct http_response *response, const char *service_code)
{
    int64_t date = 0;
    if (response->status != 403 || !date_parse_http(&date, response->date)) {
        return false;
    }
    int64_t skew = date - attempt->now;
    bool is_far = skew > SKEW_MIN_S || skew < -SKEW_MIN_S;
    if (!is_far || (service_code[0] && strcmp(service_code, "RequestTimeTooSkewed") != 0)) {
        return false;
    }
    atomic_store(&store->offset, attempt->offset + skew);
    return true;
}

static bool learn_place(struct s3_store *store, const struct attempt *attempt,
                        const struct http_response *response, const struct xml_error *document)
{
    bool is_redirect = response->status / 100 == 3 ||
                       strcmp(document->code, "AuthorizationHeaderMalformed") == 0 ||
                       strcmp(document->code, "IllegalLocationConstraintException") == 0 ||
                       (!document->code[0] && response->status == 400);
    if (!is_redirect) {
        return false;
    }
    const char *region = response->bucket_region[0] ? response->bucket_region : document->region;
    const char *host = document->endpoint[0] ? document->endpoint : response->location;
    pthread_mutex_lock(&store->lock);
    /* Another request may have learnt the same meanwhile. */
    bool learnt = strcmp(store->endpoint.host, attempt->endpoint.host) != 0 ||
                  strcmp(store->endpoint.region, attempt->endpoint.region) != 0 ||
                  endpoint_redirect(&store->endpoint, store->base.bucket, region, host);
    pthread_mutex_unlock(&store->lock);
    return learnt;
}

/* Of one request over its tries. */
struct course {
    unsigned tries;
    unsigned lessons;
    int64_t deadline; /* on clock_ms; 0: none */
};

/*
 * Looks at an answer: fills err when it is no success; tells whether the store learnt something
 * that makes another try worthwhile now.
 */
static bool judge(struct s3_store *store, const struct attempt *attempt,
                  const struct s3_request *request, struct http_response *response,
                  enum storage_code *code, struct storage_error *err)
{
    struct xml_error document = {0};
    bool has_error = response->status / 100 != 2;
    if (has_error || request->error_in_200) {
        has_error |= xml_error_parse(&document, response->body.data, response->body.length);
    }
    bool is_new_dialect = learn_dialect(store, attempt, response);
    if (!has_error) {
        atomic_store(&store->is_found, true);
        earn(store);
        return false;
    }
    *code = s3_fail(store, request, response, &document, err);
    return is_new_dialect || learn_clock(store, attempt, response, document.code) ||
           learn_place(store, attempt, response, &document);
}

/* What can be done about a try that ended in code without an answer. */
static enum s3_remedy transport_remedy(enum storage_code code, const struct http_response *response)
{
    bool is_transient = code == STORAGE_UNREACHABLE || code == STORAGE_TRANSFER;
    return is_transient && !response->is_untrusted ? S3_RETRY : S3_FAIL;
}

/* The time one try may take: 0 for any, negative when none is left. */
static int64_t time_left(const struct course *course)
{
    if (course->deadline == 0) {
        return 0;
    }
    int64_t left = course->deadline - clock_ms();
    return left > 0 ? left : -1;
}

/* Waits before the next try. False: the tries, the time or a stop have ended them. */
static bool await_next(struct s3_store *store, const struct s3_request *request,
                       const struct http_response *response, enum s3_remedy remedy,
                       const struct course *course)
{
    if (remedy == S3_FAIL || request->ignores_stop || course->tries >= store->config.attempts_max) {
        return false;
    }
    int64_t wait = choose_wait(store, remedy, course->tries, response->retry_after_s);
    if (course->deadline > 0 && clock_ms() + wait >= course->deadline) {
        return false;
    }
    sleep_ms(store, request, wait);
    return true;
}

static enum storage_code fail_stopped(const struct s3_store *store,
                                      const struct s3_request *request, struct storage_error *err)
{
    enum storage_code code =
        storage_fail(err, STORAGE_STOPPED, "%s s3://%s/%s: stopped on request", request->method,
                     store->base.bucket, request->key ? request->key : "");
    s3_name_error(store, request, err);
    return code;
}

static void count_tries(const struct course *course, struct storage_error *err)
{
    size_t length = strlen(err->message);
    if (course->tries > 1 && err->code != STORAGE_STOPPED) {
        snprintf(err->message + length, sizeof err->message - length, ", after %u tries",
                 course->tries);
    }
}

enum storage_code s3_perform(struct s3_store *store, const struct s3_request *request,
                             struct http_response *response, struct storage_error *err)
{
    struct storage_error own;
    struct course course = {0};
    struct buf hash;
    enum storage_code code = STORAGE_OK;
    err = err ? err : &own;
    buf_init(&hash, 2 * SHA256_SIZE);
    unsigned limit_ms = request->ignores_stop ? CLEAN_UP_MS : store->config.request_deadline_ms;
    course.deadline = limit_ms ? clock_ms() + limit_ms : 0;
    for (;;) {
        int64_t left = time_left(&course);
        if (is_stopped(store, request)) {
            code = fail_stopped(store, request, err);
            break;
        }
        if (left < 0 && course.tries > 0) {
            break; /* with what the last try said */
        }
        struct attempt attempt = prepare(store);
        bool learnt = false;
        enum s3_remedy remedy = S3_FAIL;
        course.tries++;
        code = send_once(store, &attempt, request, &hash, left > 0 ? (unsigned)left : 0, response,
                         err);
        if (code == STORAGE_OK) {
            learnt = judge(store, &attempt, request, response, &code, err);
            remedy =
                code == STORAGE_OK ? S3_FAIL : s3_error_remedy(err->http_status, err->service_code);
        } else {
            remedy = transport_remedy(code, response);
        }
        if (code == STORAGE_OK) {
            break;
        }
        if (learnt && course.lessons < LESSONS_MAX) {
            course.lessons++;
        } else if (!await_next(store, request, response, remedy, &course)) {
            count_tries(&course, err);
            break;
        }
        atomic_fetch_add(&store->base.retries, 1);
    }
    buf_release(&hash);
    return code;
}
