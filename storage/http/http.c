/*
 * http.c - the lanes behind http.h; the only file that knows curl.
 *
 * A lane is a curl multi with one easy handle and the one connection that it keeps alive. A caller
 * takes the lane that was used last, drives its transfer in its own thread, and puts the lane back:
 * nothing is handed from thread to thread, which for small objects costs more than the transfer.
 * When all lanes are taken callers wait here, where waiting costs no time-out of curl's. The stop
 * flag is looked at every 100 ms at least. Lanes share resolved names and TLS sessions.
 *
 * Body callbacks are a memcpy or the caller's own function: curl 7.88 cuts bodies into 16 KiB
 * pieces whatever the buffer.
 */
#include "storage/http/http.h"

#include "storage/http/http_fault.h"
#include "storage/http/limit.h"
#include "storage/http/tls.h"
#include "storage/storage_error.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "storage/storage_banned.h"

enum {
    CONNECTIONS_MAX = 1024,
    LOOK_MS = 100,               /* how long a stop may go unseen */
    IDLE_CONNECTION_S = 25,      /* OBS closes at 30 */
    CONNECTION_LIFE_S = 300,     /* so that new addresses of the store come into use */
    RECEIVE_BUFFER = 128 * 1024, /* per lane; more gained nothing on loopback */
    SEND_BUFFER = 128 * 1024,
    EXPECT_FROM = 1024 * 1024, /* bodies worth a round trip before they are sent; curl's limit */
    STALL_BYTES_PER_S = 256,   /* at 1, a trickle could hold a part for weeks */
    HEADER_NAME_MAX = 256
};

/* One http_perform under way; lives on its caller's stack. */
struct transfer {
    struct http *http;
    const struct http_request *request;
    struct http_response *response;
    struct lane *lane;
    struct curl_slist *headers;
    uint64_t sent; /* of a body that the caller gives in pieces */
    CURLcode result;
    bool stopped;
    bool overflowed; /* the body was longer than its sink */
    bool refused;    /* the caller's own function gave up */
    char text[CURL_ERROR_SIZE];
};

/* A connection with what drives it. */
struct lane {
    struct lane *next; /* in http->idle */
    CURLM *multi;
    CURL *easy;
};

struct http {
    struct http_options options;
    struct tls *tls;
    struct limit limit;
    CURLSH *shared;                              /* names and TLS sessions of all lanes */
    pthread_mutex_t shares[CURL_LOCK_DATA_LAST]; /* over each kind of those */

    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t freed;
    struct lane *idle; /* the last used first: its connection is the warmest */
    unsigned lane_count;
};

/* ---- callbacks: what arrives ---------------------------------------------------------------- */

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    http_response_header(transfer->response, line, size * count);
    return size * count;
}

/* Keeps the rate; waiting here keeps the connection from being read, so the server waits too. */
static bool pay(struct transfer *transfer, size_t size)
{
    const struct http *http = transfer->http;
    const atomic_bool *stop = transfer->request->ignores_stop ? NULL : http->options.stop;
    transfer->stopped = !limit_take(&transfer->http->limit, size, stop);
    return !transfer->stopped;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct http_response *response = transfer->response;
    const struct http_request *request = transfer->request;
    size *= count;
    if (response->status / 100 != 2 || (!request->sink && !request->write)) {
        buf_add(&response->body, data, size);
        transfer->overflowed = !buf_ok(&response->body);
    } else if (size > request->sink_size - response->body_size) {
        transfer->overflowed = true;
    } else if (request->write) {
        transfer->refused = !request->write(request->context, response->body_size, data, size);
    } else {
        memcpy((char *)request->sink + response->body_size, data, size);
    }
    if (transfer->overflowed || transfer->refused) {
        return CURL_WRITEFUNC_ERROR;
    }
    response->body_size += size;
    return pay(transfer, size) ? size : CURL_WRITEFUNC_ERROR;
}

/* ---- callbacks: what leaves ----------------------------------------------------------------- */

static size_t on_read(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    const struct http_request *request = transfer->request;
    uint64_t left = request->body_size - transfer->sent;
    size *= count;
    size = size < left ? size : (size_t)left;
    if (!request->read) {
        memcpy(data, (const char *)request->body + transfer->sent, size);
    } else if (size > 0 && !request->read(request->context, transfer->sent, data, size)) {
        transfer->refused = true;
        return CURL_READFUNC_ABORT;
    }
    if (!pay(transfer, size)) {
        return CURL_READFUNC_ABORT;
    }
    transfer->sent += size;
    return size;
}

/* A connection that died before the answer: curl begins the body again. */
static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct transfer *transfer = context;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > transfer->request->body_size) {
        return CURL_SEEKFUNC_FAIL;
    }
    transfer->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* A new connection's TLS: what curl 7.88 has no option for, and certificates read once for all. */
static CURLcode on_tls(CURL *easy, void *context, void *http)
{
    (void)easy;
    return tls_prepare(((struct http *)http)->tls, context) ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

static void on_lock(CURL *easy, curl_lock_data data, curl_lock_access access, void *http)
{
    (void)easy;
    (void)access;
    pthread_mutex_lock(&((struct http *)http)->shares[data]);
}

static void on_unlock(CURL *easy, curl_lock_data data, void *http)
{
    (void)easy;
    pthread_mutex_unlock(&((struct http *)http)->shares[data]);
}

/* ---- preparing an easy handle --------------------------------------------------------------- */

/* Hosts that must be reached directly: credential services of clouds. */
static bool host_is_link_local(const char *url)
{
    const char *host = strstr(url, "://");
    return strncmp(host ? host + 3 : url, "169.254.", 8) == 0;
}

static bool append_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*headers, line);
    if (longer) {
        *headers = longer;
    }
    return longer != NULL;
}

/* The caller's headers, and the removal of those that curl would add by itself. */
static bool build_headers(struct transfer *transfer)
{
    const struct http_request *request = transfer->request;
    bool has_type = false;
    bool ok = true;
    for (size_t i = 0; ok && i < request->header_count; i++) {
        const char *line = request->headers[i];
        size_t name = strcspn(line, ":");
        char bare[HEADER_NAME_MAX];
        has_type = has_type || strncasecmp(line, "content-type:", 13) == 0;
        if (line[name] && line[name + 1 + strspn(line + name + 1, " ")] == '\0') {
            /* curl reads "Name:" as removal, and "Name;" as a header without value */
            snprintf(bare, sizeof bare, "%.*s;", (int)name, line);
            line = bare;
        }
        ok = append_header(&transfer->headers, line);
    }
    return ok && (has_type || append_header(&transfer->headers, "Content-Type:")) &&
           (request->body_size >= EXPECT_FROM || append_header(&transfer->headers, "Expect:"));
}

/* The body, or its lack. Every option that another method sets is set back by CURLOPT_HTTPGET. */
static void set_method(CURL *easy, const struct http *http, const struct http_request *request)
{
    const char *method = request->method;
    bool is_get = strcmp(method, "GET") == 0;
    bool is_head = strcmp(method, "HEAD") == 0;
    bool is_put = strcmp(method, "PUT") == 0;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* after it: fields make it a POST */
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, is_get || is_head ? NULL : method);
    if (is_head) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (request->read || (request->body && http->limit.rate > 0)) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size);
    } else if (request->body || is_put || strcmp(method, "POST") == 0) {
        /* curl can rewind memory by itself */
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
    }
}

/* What is the same for every request. */
static const struct {
    CURLoption option;
    long value;
} fixed_options[] = {
    {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
    {CURLOPT_NOSIGNAL, 1},
    {CURLOPT_FOLLOWLOCATION, 0},
    {CURLOPT_PATH_AS_IS, 1}, /* keys may hold "/../" */
    {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
    {CURLOPT_QUICK_EXIT, 1}, /* an abort does not wait for the resolver */
    {CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_PER_S},
    {CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S},
    {CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S},
    {CURLOPT_DNS_SHUFFLE_ADDRESSES, 1},
    {CURLOPT_BUFFERSIZE, RECEIVE_BUFFER},
    {CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER},
    {CURLOPT_TCP_NODELAY, 1},
    {CURLOPT_TCP_KEEPALIVE, 1},
};

/* A new lane's easy handle. Certificates are tls.c's, so curl is given none to read. */
static void set_fixed(CURL *easy, struct http *http)
{
    const struct http_options *options = &http->options;
    for (size_t i = 0; i < sizeof fixed_options / sizeof *fixed_options; i++) {
        curl_easy_setopt(easy, fixed_options[i].option, fixed_options[i].value);
    }
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SHARE, http->shared);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, http);
    if (options->tls_insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

/* All that differs from request to request, each option every time: none inherits another's. */
static bool prepare(struct transfer *transfer)
{
    const struct http_request *request = transfer->request;
    unsigned stall = request->stall_timeout_s ? request->stall_timeout_s
                                              : transfer->http->options.stall_timeout_s;
    CURL *easy = transfer->lane->easy;
    if (!build_headers(transfer) || curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK) {
        return false;
    }
    set_method(easy, transfer->http, request);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->text);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)stall);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->deadline_ms); /* 0: none */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 0L);
    bool is_direct = transfer->http->options.no_proxy || host_is_link_local(request->url);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, is_direct ? "*" : NULL);
    return true;
}

/* After it nothing of curl's points to the caller's stack. */
static void forget(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
}

/* ---- lanes ---------------------------------------------------------------------------------- */

static bool is_set(const atomic_bool *flag)
{
    return flag && atomic_load_explicit(flag, memory_order_relaxed);
}

static bool is_stopped(const struct http *http, const struct http_request *request)
{
    return !request->ignores_stop && (is_set(http->options.stop) || is_set(request->stop));
}

static void lane_free(struct lane *lane)
{
    if (lane) {
        curl_easy_cleanup(lane->easy);
        curl_multi_cleanup(lane->multi);
        free(lane);
    }
}

static struct lane *lane_new(struct http *http)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane) {
        return NULL;
    }
    lane->multi = curl_multi_init();
    lane->easy = curl_easy_init();
    if (!lane->multi || !lane->easy) {
        lane_free(lane);
        return NULL;
    }
    curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, 1L);
    set_fixed(lane->easy, http);
    return lane;
}

/* Waits on http->freed, its lock held, so long as a stop may go unseen. */
static void wait_freed(struct http *http)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&http->freed, &http->lock, &until);
}

/* An idle lane, or a new one where there may be more. NULL: stopped, or no memory. */
static struct lane *take_lane(struct http *http, const struct http_request *request, bool *stopped)
{
    bool is_new = false;
    struct lane *lane = NULL;
    pthread_mutex_lock(&http->lock);
    while (!lane && !is_new) {
        *stopped = is_stopped(http, request);
        if (*stopped) {
            break;
        }
        lane = http->idle;
        is_new = !lane && http->lane_count < http->options.connections_max;
        if (lane) {
            http->idle = lane->next;
        } else if (is_new) {
            http->lane_count++;
        } else {
            wait_freed(http);
        }
    }
    pthread_mutex_unlock(&http->lock);
    if (is_new && !(lane = lane_new(http))) {
        pthread_mutex_lock(&http->lock);
        http->lane_count--;
        pthread_mutex_unlock(&http->lock);
    }
    return lane;
}

static void give_lane(struct http *http, struct lane *lane)
{
    pthread_mutex_lock(&http->lock);
    lane->next = http->idle;
    http->idle = lane;
    pthread_cond_signal(&http->freed);
    pthread_mutex_unlock(&http->lock);
}

/* Moves bytes until the transfer has ended, or a stop. */
static CURLcode drive(struct transfer *transfer)
{
    CURLM *multi = transfer->lane->multi;
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    int running = 1;
    int left = 0;
    if (curl_multi_add_handle(multi, transfer->lane->easy) != CURLM_OK) {
        return CURLE_OUT_OF_MEMORY;
    }
    while (running) {
        transfer->stopped = is_stopped(transfer->http, transfer->request);
        if (transfer->stopped || curl_multi_perform(multi, &running) != CURLM_OK) {
            break;
        }
        if (running) {
            curl_multi_poll(multi, NULL, 0, LOOK_MS, NULL);
        }
    }
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    if (!transfer->stopped && message && message->msg == CURLMSG_DONE) {
        result = message->data.result; /* message dies with the removal */
    }
    curl_multi_remove_handle(multi, transfer->lane->easy);
    return result;
}

/* A kept-alive connection that the server had closed meanwhile: no byte of an answer came. */
static bool is_dead_reuse(const struct transfer *transfer)
{
    long connects = 0;
    curl_easy_getinfo(transfer->lane->easy, CURLINFO_NUM_CONNECTS, &connects);
    return (transfer->result == CURLE_SEND_ERROR || transfer->result == CURLE_RECV_ERROR ||
            transfer->result == CURLE_GOT_NOTHING) &&
           connects == 0 && transfer->response->status == 0;
}

/* ---- life cycle ----------------------------------------------------------------------------- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool share_init(struct http *http)
{
    for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++) {
        pthread_mutex_init(&http->shares[i], NULL);
    }
    http->shared = curl_share_init();
    return http->shared &&
           curl_share_setopt(http->shared, CURLSHOPT_USERDATA, http) == CURLSHE_OK &&
           curl_share_setopt(http->shared, CURLSHOPT_LOCKFUNC, on_lock) == CURLSHE_OK &&
           curl_share_setopt(http->shared, CURLSHOPT_UNLOCKFUNC, on_unlock) == CURLSHE_OK &&
           curl_share_setopt(http->shared, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) == CURLSHE_OK &&
           curl_share_setopt(http->shared, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) ==
               CURLSHE_OK;
}

enum storage_code http_new(struct http **result, const struct http_options *options,
                           struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    pthread_condattr_t monotonic;
    *result = NULL;
    pthread_once(&curl_once, init_curl);
    if (options->ca_file && access(options->ca_file, R_OK) != 0) {
        return storage_fail_errno(err, "read CA file", options->ca_file, errno);
    }
    struct http *http = calloc(1, sizeof *http);
    if (!http) {
        return storage_fail(err, STORAGE_BUG, "start HTTP: no memory");
    }
    http->options = *options;
    http->options.ca_file = NULL; /* borrowed until now */
    limit_init(&http->limit, options->bandwidth);
    if (http->options.connections_max < 1 || http->options.connections_max > CONNECTIONS_MAX) {
        http->options.connections_max = http->options.connections_max ? CONNECTIONS_MAX : 1;
    }
    pthread_mutex_init(&http->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&http->freed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
    http->tls = tls_new(options->ca_file ? options->ca_file : tls_bundle(built->cainfo),
                        options->ca_file ? NULL : built->capath, options->tls_insecure);
    if (!share_init(http) || !http->tls) {
        code = storage_fail(err, STORAGE_BUG, "start HTTP: no memory");
        http_free(http);
        return code;
    }
    *result = http;
    return code;
}

void http_free(struct http *http)
{
    if (!http) {
        return;
    }
    while (http->idle) {
        struct lane *lane = http->idle;
        http->idle = lane->next;
        lane_free(lane);
    }
    curl_share_cleanup(http->shared); /* after all that share */
    for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++) {
        pthread_mutex_destroy(&http->shares[i]);
    }
    pthread_cond_destroy(&http->freed);
    pthread_mutex_destroy(&http->lock);
    tls_free(http->tls);
    free(http);
}

/* ---- one request ---------------------------------------------------------------------------- */

static enum http_fault name_fault(const struct transfer *transfer)
{
    if (transfer->stopped || transfer->overflowed) {
        return transfer->stopped ? HTTP_FAULT_STOPPED : HTTP_FAULT_TOO_LONG;
    }
    if (transfer->refused) {
        return HTTP_FAULT_REFUSED;
    }
    switch (transfer->result) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return transfer->response->status ? HTTP_FAULT_BROKEN : HTTP_FAULT_URL;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
        return HTTP_FAULT_MEMORY;
    case CURLE_COULDNT_RESOLVE_HOST:
        return HTTP_FAULT_NAME;
    case CURLE_COULDNT_RESOLVE_PROXY:
        return HTTP_FAULT_PROXY;
    case CURLE_COULDNT_CONNECT:
        return HTTP_FAULT_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
        return HTTP_FAULT_TLS;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return HTTP_FAULT_UNTRUSTED;
    case CURLE_SSL_CACERT_BADFILE:
        return HTTP_FAULT_NO_BUNDLE;
    default:
        return HTTP_FAULT_BROKEN;
    }
}

static enum storage_code explain(const struct transfer *transfer, struct storage_error *err)
{
    curl_off_t sent = 0;
    long os_errno = 0;
    struct http_failure failure = {.fault = name_fault(transfer)};
    if (transfer->lane) {
        curl_easy_getinfo(transfer->lane->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
        curl_easy_getinfo(transfer->lane->easy, CURLINFO_OS_ERRNO, &os_errno);
    }
    failure.sent_body = sent > 0;
    failure.system_errno = (int)os_errno;
    failure.text = transfer->text[0] ? transfer->text : curl_easy_strerror(transfer->result);
    return http_explain(&failure, transfer->request, transfer->response, err);
}

enum storage_code http_perform(struct http *http, const struct http_request *request,
                               struct http_response *response, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    struct transfer transfer = {
        .http = http, .request = request, .response = response, .result = CURLE_OUT_OF_MEMORY};
    http_response_clear(response);
    transfer.lane = take_lane(http, request, &transfer.stopped);
    if (transfer.lane && prepare(&transfer)) {
        transfer.result = drive(&transfer);
        if (is_dead_reuse(&transfer)) {
            transfer.sent = 0;
            curl_easy_setopt(transfer.lane->easy, CURLOPT_FRESH_CONNECT, 1L);
            transfer.result = drive(&transfer);
        }
    }
    if (transfer.result == CURLE_SSL_CACERT_BADFILE) {
        snprintf(transfer.text, sizeof transfer.text, "no certificate could be read from '%.200s'",
                 tls_source(http->tls));
    }
    if (transfer.result != CURLE_OK || transfer.stopped) {
        code = explain(&transfer, err);
    }
    if (transfer.lane) {
        forget(transfer.lane->easy);
        give_lane(http, transfer.lane);
    }
    curl_slist_free_all(transfer.headers);
    return code;
}
