/*
 * http.c - the reactors behind http.h; the only file that knows curl.
 *
 * A caller prepares an easy handle in its own thread, queues it at the least busy reactor and
 * sleeps until the reactor wakes it. The reactor moves bytes and nothing else: it admits queued
 * transfers while it has connections to spare (waiting in our queue costs no time-out of curl's),
 * drives its multi, and hands results back. It looks at the stop flag at least every 100 ms while
 * anything is under way.
 *
 * Body callbacks are a memcpy: curl 7.88 cuts bodies into 16 KiB pieces whatever the buffer, so
 * whatever they did would be done 65,536 times a GiB.
 */
#include "storage/http/http.h"

#include "storage/http/http_fault.h"
#include "storage/storage_error.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_banned.h"

enum {
    REACTORS_MAX = 4,
    REACTOR_CONNECTIONS = 8, /* connections that justify one more reactor */
    CONNECTIONS_MAX = 1024,
    POLL_BUSY_MS = 100, /* how long a stop may go unseen */
    POLL_IDLE_MS = 60000,
    IDLE_CONNECTION_S = 25,      /* OBS closes at 30 */
    CONNECTION_LIFE_S = 300,     /* so that new addresses of the store come into use */
    RECEIVE_BUFFER = 256 * 1024, /* per transfer in curl 7.88 */
    SEND_BUFFER = 512 * 1024,
    EXPECT_FROM = 1024 * 1024, /* bodies worth a round trip before they are sent; curl's limit */
    HEADER_NAME_MAX = 256
};

/* One http_perform under way; lives on its caller's stack. */
struct transfer {
    struct http *http;
    const struct http_request *request;
    struct http_response *response;
    CURL *easy;
    struct curl_slist *headers;
    struct transfer *next; /* in the queue */
    pthread_cond_t woken;
    CURLcode result;
    bool finished;
    bool stopped;
    bool retried;
    bool overflowed; /* the body was longer than its sink */
    char text[CURL_ERROR_SIZE];
};

struct reactor {
    struct http *http;
    pthread_t thread;
    bool started;
    CURLM *multi;
    atomic_uint load; /* transfers queued or active */

    pthread_mutex_t lock; /* over what follows */
    struct transfer *queue_head, *queue_tail;
    CURL **idle; /* easy handles to use again; capacity is http->share */
    unsigned idle_count;
    bool quit;

    struct transfer **active; /* the reactor thread's own; capacity is http->share */
    unsigned active_count;
};

struct http {
    struct http_options options;
    char *ca_file;
    bool bundle_only; /* trust the bundle alone, so that curl caches it parsed */
    unsigned share;   /* connections of one reactor */
    unsigned reactor_count;
    struct reactor reactors[REACTORS_MAX];
};

/* ---- callbacks: what arrives ---------------------------------------------------------------- */

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    http_response_header(transfer->response, line, size * count);
    return size * count;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct http_response *response = transfer->response;
    const struct http_request *request = transfer->request;
    size *= count;
    if (!request->sink || response->status / 100 != 2) {
        buf_add(&response->body, data, size);
        transfer->overflowed = !buf_ok(&response->body);
    } else if (size <= request->sink_size - response->body_size) {
        memcpy((char *)request->sink + response->body_size, data, size);
    } else {
        transfer->overflowed = true;
    }
    if (transfer->overflowed) {
        return CURL_WRITEFUNC_ERROR;
    }
    response->body_size += size;
    return size;
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

static void set_method(CURL *easy, const struct http_request *request)
{
    const char *method = request->method;
    if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (request->body || strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0) {
        /* POSTFIELDS rather than UPLOAD for every body: curl can rewind memory by itself */
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    } else if (strcmp(method, "GET") != 0) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    }
}

static void set_tls(CURL *easy, const struct http *http)
{
    if (http->options.tls_insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (http->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, http->ca_file);
    }
    if (http->bundle_only) {
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
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
    {CURLOPT_LOW_SPEED_LIMIT, 1},
    {CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S},
    {CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S},
    {CURLOPT_DNS_SHUFFLE_ADDRESSES, 1},
    {CURLOPT_BUFFERSIZE, RECEIVE_BUFFER},
    {CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER},
    {CURLOPT_TCP_NODELAY, 1},
    {CURLOPT_TCP_KEEPALIVE, 1},
};

/* Everything is set anew each time: no request can inherit anything from another. */
static bool prepare(struct transfer *transfer)
{
    const struct http_request *request = transfer->request;
    const struct http_options *options = &transfer->http->options;
    CURL *easy = transfer->easy;
    curl_easy_reset(easy);
    if (!build_headers(transfer) || curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK) {
        return false;
    }
    for (size_t i = 0; i < sizeof fixed_options / sizeof *fixed_options; i++) {
        curl_easy_setopt(easy, fixed_options[i].option, fixed_options[i].value);
    }
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->text);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    unsigned stall = request->stall_timeout_s ? request->stall_timeout_s : options->stall_timeout_s;
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)stall);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->deadline_ms); /* 0: none */
    set_tls(easy, transfer->http);
    set_method(easy, request);
    if (host_is_link_local(request->url)) {
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    }
    return true;
}

/* ---- the reactor ---------------------------------------------------------------------------- */

static bool is_stopped(const struct http *http, const struct http_request *request)
{
    return http->options.stop && !request->ignores_stop &&
           atomic_load_explicit(http->options.stop, memory_order_relaxed);
}

static void finish(struct reactor *reactor, struct transfer *transfer, CURLcode result)
{
    pthread_mutex_lock(&reactor->lock);
    transfer->result = result;
    transfer->finished = true;
    pthread_cond_signal(&transfer->woken);
    pthread_mutex_unlock(&reactor->lock);
    atomic_fetch_sub_explicit(&reactor->load, 1, memory_order_relaxed);
}

static void deactivate(struct reactor *reactor, struct transfer *transfer)
{
    unsigned i = 0;
    curl_multi_remove_handle(reactor->multi, transfer->easy);
    while (reactor->active[i] != transfer) {
        i++;
        assert(i < reactor->active_count);
    }
    reactor->active[i] = reactor->active[--reactor->active_count];
}

/* A kept-alive connection that the server had closed meanwhile: no byte of an answer came. */
static bool is_dead_reuse(const struct transfer *transfer, CURLcode result)
{
    long connects = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connects);
    return (result == CURLE_SEND_ERROR || result == CURLE_RECV_ERROR ||
            result == CURLE_GOT_NOTHING) &&
           connects == 0 && transfer->response->status == 0 && !transfer->retried;
}

/* Admits what is queued while there is room. */
static void admit(struct reactor *reactor)
{
    while (reactor->active_count < reactor->http->share) {
        pthread_mutex_lock(&reactor->lock);
        struct transfer *transfer = reactor->queue_head;
        if (transfer) {
            reactor->queue_head = transfer->next;
            reactor->queue_tail = transfer->next ? reactor->queue_tail : NULL;
        }
        pthread_mutex_unlock(&reactor->lock);
        if (!transfer) {
            return;
        }
        if (curl_multi_add_handle(reactor->multi, transfer->easy) != CURLM_OK) {
            finish(reactor, transfer, CURLE_OUT_OF_MEMORY);
            continue;
        }
        reactor->active[reactor->active_count++] = transfer;
    }
}

/* Hands results back; tells whether there were any. */
static bool drain(struct reactor *reactor)
{
    bool any = false;
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(reactor->multi, &left));) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        struct transfer *transfer = NULL;
        CURLcode result = message->data.result; /* message dies with the removal */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        if (is_dead_reuse(transfer, result)) {
            transfer->retried = true;
            curl_multi_remove_handle(reactor->multi, transfer->easy);
            curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L);
            if (curl_multi_add_handle(reactor->multi, transfer->easy) == CURLM_OK) {
                continue;
            }
        }
        deactivate(reactor, transfer);
        finish(reactor, transfer, result);
        any = true;
    }
    return any;
}

/* Those queued become active before they are aborted, so one path ends them all. */
static bool abort_stopped(struct reactor *reactor)
{
    bool any = false;
    for (unsigned i = reactor->active_count; i-- > 0;) {
        struct transfer *transfer = reactor->active[i];
        if (is_stopped(reactor->http, transfer->request)) {
            deactivate(reactor, transfer);
            transfer->stopped = true;
            finish(reactor, transfer, CURLE_ABORTED_BY_CALLBACK);
            any = true;
        }
    }
    return any;
}

static void *reactor_run(void *context)
{
    struct reactor *reactor = context;
    for (;;) {
        pthread_mutex_lock(&reactor->lock);
        bool quit = reactor->quit;
        pthread_mutex_unlock(&reactor->lock);
        if (quit) {
            return NULL;
        }
        bool ended = false;
        do {
            int running = 0;
            admit(reactor);
            ended = abort_stopped(reactor);
            curl_multi_perform(reactor->multi, &running);
            ended = drain(reactor) || ended;
        } while (ended); /* there is room again: admit before sleeping */
        curl_multi_poll(reactor->multi, NULL, 0,
                        reactor->active_count > 0 ? POLL_BUSY_MS : POLL_IDLE_MS, NULL);
    }
}

static enum storage_code reactor_start(struct reactor *reactor, struct http *http,
                                       struct storage_error *err)
{
    sigset_t all;
    sigset_t before;
    reactor->http = http;
    pthread_mutex_init(&reactor->lock, NULL);
    reactor->multi = curl_multi_init();
    reactor->idle = calloc(http->share, sizeof(CURL *));
    reactor->active = calloc(http->share, sizeof(struct transfer *));
    if (!reactor->multi || !reactor->idle || !reactor->active) {
        return storage_fail(err, STORAGE_BUG, "start HTTP: no memory");
    }
    curl_multi_setopt(reactor->multi, CURLMOPT_MAXCONNECTS, (long)http->share);
    /* signals are the application's, and so belong to its own threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&reactor->thread, NULL, reactor_run, reactor);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        return storage_fail(err, STORAGE_BUG, "start HTTP: no thread: %s", strerrordesc_np(failed));
    }
    reactor->started = true;
    return STORAGE_OK;
}

static void reactor_release(struct reactor *reactor)
{
    if (reactor->started) {
        pthread_mutex_lock(&reactor->lock);
        reactor->quit = true;
        pthread_mutex_unlock(&reactor->lock);
        curl_multi_wakeup(reactor->multi);
        pthread_join(reactor->thread, NULL);
    }
    for (unsigned i = 0; i < reactor->idle_count; i++) {
        curl_easy_cleanup(reactor->idle[i]);
    }
    if (reactor->multi) {
        curl_multi_cleanup(reactor->multi);
    }
    free(reactor->idle);
    free(reactor->active);
    pthread_mutex_destroy(&reactor->lock);
}

/* ---- life cycle ----------------------------------------------------------------------------- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static long clamp(long value, long most)
{
    return value < 1 ? 1 : value > most ? most : value;
}

enum storage_code http_new(struct http **result, const struct http_options *options,
                           struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
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
    long connections = clamp(options->connections_max, CONNECTIONS_MAX);
    long cores = clamp(sysconf(_SC_NPROCESSORS_ONLN), REACTORS_MAX);
    unsigned wanted = (unsigned)clamp(connections / REACTOR_CONNECTIONS, cores);
    http->share = ((unsigned)connections + wanted - 1) / wanted;
    http->options.ca_file = NULL;
    if (options->ca_file && !(http->ca_file = strdup(options->ca_file))) {
        code = storage_fail(err, STORAGE_BUG, "start HTTP: no memory");
        goto done;
    }
    const char *bundle = curl_version_info(CURLVERSION_NOW)->cainfo;
    http->bundle_only = http->ca_file || (bundle && access(bundle, R_OK) == 0);
    while (code == STORAGE_OK && http->reactor_count < wanted) {
        code = reactor_start(&http->reactors[http->reactor_count++], http, err);
    }
done:
    if (code != STORAGE_OK) {
        http_free(http);
        return code;
    }
    *result = http;
    return STORAGE_OK;
}

void http_free(struct http *http)
{
    if (!http) {
        return;
    }
    for (unsigned i = 0; i < http->reactor_count; i++) {
        reactor_release(&http->reactors[i]);
    }
    free(http->ca_file);
    free(http);
}

/* ---- one request ---------------------------------------------------------------------------- */

static enum http_fault name_fault(const struct transfer *transfer)
{
    if (transfer->stopped || transfer->overflowed) {
        return transfer->stopped ? HTTP_FAULT_STOPPED : HTTP_FAULT_TOO_LONG;
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
    if (transfer->easy) {
        curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
        curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_errno);
    }
    failure.sent_body = sent > 0;
    failure.system_errno = (int)os_errno;
    failure.text = transfer->text[0] ? transfer->text : curl_easy_strerror(transfer->result);
    return http_explain(&failure, transfer->request, transfer->response, err);
}

static struct reactor *choose_reactor(struct http *http)
{
    struct reactor *best = &http->reactors[0];
    unsigned best_load = atomic_load_explicit(&best->load, memory_order_relaxed);
    for (unsigned i = 1; i < http->reactor_count; i++) {
        unsigned load = atomic_load_explicit(&http->reactors[i].load, memory_order_relaxed);
        if (load < best_load) {
            best = &http->reactors[i];
            best_load = load;
        }
    }
    atomic_fetch_add_explicit(&best->load, 1, memory_order_relaxed);
    return best;
}

/* Queues the transfer and sleeps until the reactor has finished it. */
static void await(struct reactor *reactor, struct transfer *transfer)
{
    pthread_mutex_lock(&reactor->lock);
    if (reactor->queue_tail) {
        reactor->queue_tail->next = transfer;
    } else {
        reactor->queue_head = transfer;
    }
    reactor->queue_tail = transfer;
    curl_multi_wakeup(reactor->multi);
    while (!transfer->finished) {
        pthread_cond_wait(&transfer->woken, &reactor->lock);
    }
    pthread_mutex_unlock(&reactor->lock);
}

static CURL *take_easy(struct reactor *reactor)
{
    CURL *easy = NULL;
    pthread_mutex_lock(&reactor->lock);
    if (reactor->idle_count > 0) {
        easy = reactor->idle[--reactor->idle_count];
    }
    pthread_mutex_unlock(&reactor->lock);
    return easy ? easy : curl_easy_init();
}

static void give_easy(struct reactor *reactor, CURL *easy)
{
    pthread_mutex_lock(&reactor->lock);
    if (easy && reactor->idle_count < reactor->http->share) {
        reactor->idle[reactor->idle_count++] = easy;
        easy = NULL;
    }
    pthread_mutex_unlock(&reactor->lock);
    curl_easy_cleanup(easy); /* NULL is fine */
}

enum storage_code http_perform(struct http *http, const struct http_request *request,
                               struct http_response *response, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    struct transfer transfer = {.http = http, .request = request, .response = response};
    http_response_clear(response);
    struct reactor *reactor = choose_reactor(http);
    pthread_cond_init(&transfer.woken, NULL);
    transfer.easy = take_easy(reactor);
    transfer.stopped = is_stopped(http, request);
    if (transfer.stopped || !transfer.easy || !prepare(&transfer)) {
        atomic_fetch_sub_explicit(&reactor->load, 1, memory_order_relaxed);
        transfer.result = CURLE_OUT_OF_MEMORY;
    } else {
        await(reactor, &transfer);
    }
    if (transfer.result != CURLE_OK || transfer.stopped) {
        code = explain(&transfer, err);
    }
    give_easy(reactor, transfer.easy);
    curl_slist_free_all(transfer.headers);
    pthread_cond_destroy(&transfer.woken);
    return code;
}
