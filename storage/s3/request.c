/*
 * request.c - one request to a store, from its words to its answer, however many tries that takes.
 *
 * Each try is built and signed anew with the present time, the present keys, and with what the
 * answers before it taught: a clock that differs, a region, OBS's dialect, keys that have expired
 * (newer ones are fetched, once a request). Such a lesson is worth a try at once; a
 * transient failure is waited out with full jitter (a random time up to a bound that doubles), the
 * bound starting higher when the store asked for less.
 *
 * The budget is shared by all requests of a store: a retry takes from it, a success gives back.
 * While it is used up the store is in trouble as a whole, and retries wait seconds, so that many
 * workers do not become part of the trouble; they do not fail, as a job's restart costs more than
 * patience. Source of the numbers: AWS SDKs' standard retry mode (500 tokens, 5 for throttling, 14
 * for other retries; base 50 ms and 1 s, cap 20 s); ours starts at 100 ms.
 *
 * A store that asks for less gets half as many requests a second, of all of ours together, and then
 * slowly more (pace.h).
 */
#include "storage/s3/outgoing.h"

#include "storage/base/date.h"
#include "storage/base/digest.h"

#include <inttypes.h>
#include <stdarg.h>
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
    LONG_STALLS = 10,       /* a long request may be silent for so many stall time-outs */
    BLOCK_MS = 60000        /* nothing is sent for so long after TooManyWrongSignature */
};

static const char blocked_word[] = "TooManyWrongSignature";

/* ---- time ----------------------------------------------------------------------------------- */

static int64_t clock_ms(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_stopped(const struct s3_store *store, const struct s3_request *request)
{
    return !request->ignores_stop && ((store->config.stop && atomic_load(store->config.stop)) ||
                                      (request->stop && atomic_load(request->stop)));
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

/* How long the store wants to be left alone: in seconds, or until a time of its own clock. */
static int64_t asked_wait_ms(const struct http_response *response)
{
    int64_t seconds = response->retry_after_s;
    int64_t then = 0;
    int64_t now = 0;
    if (date_parse_http(&then, response->retry_at)) {
        seconds = then - (date_parse_http(&now, response->date) ? now : (int64_t)time(NULL));
    }
    seconds = seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S;
    return seconds > 0 ? seconds * 1000 : 0;
}

static int64_t choose_wait(struct s3_store *store, enum s3_remedy remedy, unsigned tries,
                           const struct http_response *response)
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
    int64_t asked = asked_wait_ms(response);
    return wait > asked ? wait : asked;
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
    buf_init(&line, OUTGOING_URL_MAX + 1024);
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

/* Takes what this try stands on; attempt->keys are to be given back. */
static enum storage_code prepare(struct s3_store *store, const struct s3_request *request,
                                 struct attempt *attempt, struct storage_error *err)
{
    *attempt = (struct attempt){0};
    if (store->credentials) {
        enum storage_code code = credentials_take(store->credentials, &attempt->keys, err);
        if (code != STORAGE_OK) {
            s3_name_error(store, request, err);
            return code;
        }
    }
    pthread_mutex_lock(&store->lock);
    attempt->endpoint = store->endpoint;
    attempt->day_key = store->day_key;
    pthread_mutex_unlock(&store->lock);
    bool anonymous = !attempt->keys || !attempt->keys->access_key[0];
    attempt->signature =
        anonymous ? STORAGE_SIGN_NONE : (enum storage_signature)atomic_load(&store->signature);
    atomic_store(&store->is_unsigned, anonymous);
    attempt->is_obs = atomic_load(&store->is_obs);
    attempt->offset = atomic_load(&store->offset);
    attempt->now = (int64_t)time(NULL) + attempt->offset;
    return STORAGE_OK;
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
    if (!outgoing_build(&out, store, attempt, request, hash)) {
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
        .read = request->read,
        .write = request->write,
        .context = request->context,
        .deadline_ms = deadline_ms,
        .stall_timeout_s = request->is_long ? LONG_STALLS * store->config.stall_timeout_s : 0,
        .ignores_stop = request->ignores_stop,
        .stop = request->stop,
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

/*
 * Looks at an answer: fills err when it is no success; tells whether the store learnt something
 * that makes another try worthwhile now.
 */
static bool judge(struct s3_store *store, const struct attempt *attempt,
                  const struct s3_request *request, struct http_response *response,
                  struct course *course, enum storage_code *code, struct storage_error *err)
{
    struct xml_error document = {0};
    bool has_error = response->status / 100 != 2;
    if (has_error || request->error_in_200) {
        has_error |= xml_error_parse(&document, response->body.data, response->body.length);
    }
    if (!has_error) {
        s3_learn_dialect(store, attempt, response);
        s3_note_clock(store, response);
        atomic_store(&store->is_found, true);
        earn(store);
        return false;
    }
    *code = s3_fail(store, request, response, &document, err);
    if (strcmp(document.code, blocked_word) == 0) {
        atomic_store(&store->blocked_until, clock_ms() + BLOCK_MS);
    }
    return s3_learn(store, attempt, request, response, &document, course);
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
    int64_t wait = choose_wait(store, remedy, course->tries, response);
    if (course->deadline > 0 && clock_ms() + wait >= course->deadline) {
        return false;
    }
    sleep_ms(store, request, wait);
    return true;
}

static double clock_s(void)
{
    return (double)clock_ms() / 1000;
}

/* Waits until the store's pace lets one more request go; no longer than the request may take. */
static void await_pace(struct s3_store *store, const struct s3_request *request, int64_t left_ms)
{
    pthread_mutex_lock(&store->lock);
    double wait = request->ignores_stop ? 0 : pace_take(&store->pace, clock_s());
    pthread_mutex_unlock(&store->lock);
    int64_t wait_ms = (int64_t)(wait * 1000);
    sleep_ms(store, request, left_ms > 0 && wait_ms > left_ms ? left_ms : wait_ms);
}

static void slow_down(struct s3_store *store)
{
    pthread_mutex_lock(&store->lock);
    pace_slow(&store->pace, clock_s());
    pthread_mutex_unlock(&store->lock);
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

/* While an account is blocked each signature more keeps it so: this request was not sent. */
static enum storage_code fail_blocked(const struct s3_store *store,
                                      const struct s3_request *request, struct storage_error *err)
{
    enum storage_code code = storage_fail(
        err, STORAGE_DENIED, "%s s3://%s/%s: not sent: %s a moment ago", request->method,
        store->base.bucket, request->key ? request->key : "", blocked_word);
    storage_hint(err, "the account is blocked for a while after many wrong signatures: check the "
                      "secret key, wait");
    snprintf(err->service_code, sizeof err->service_code, "%s", blocked_word);
    s3_name_error(store, request, err);
    return code;
}

static void append(struct storage_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void append(struct storage_error *err, const char *format, ...)
{
    size_t length = strlen(err->message);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message + length, sizeof err->message - length, format, arguments);
    va_end(arguments);
}

static bool is_same_trouble(const struct storage_error *a, const struct storage_error *b)
{
    return a->code == b->code && a->http_status == b->http_status &&
           strcmp(a->service_code, b->service_code) == 0;
}

/*
 * Tries have come to their end. The cause is the first trouble, what follows may be its
 * consequence; but a refusal at the end decides what kind of failure it is. Both are told.
 */
static enum storage_code conclude(const struct course *course, const struct storage_error *first,
                                  enum s3_remedy last, struct storage_error *err)
{
    char told[512];
    bool is_other = first->code != STORAGE_OK && !is_same_trouble(first, err);
    if (course->tries < 2 || err->code == STORAGE_STOPPED) {
        return err->code;
    }
    snprintf(told, sizeof told, "%.511s",
             is_other && last == S3_FAIL ? first->message : err->message);
    if (is_other && last != S3_FAIL) {
        *err = *first;
    }
    append(err, ", after %u tries", course->tries);
    if (is_other) {
        append(err,
               last == S3_FAIL ? ", of which the first met: %s" : ", of which the last met: %s",
               told);
    }
    return err->code;
}

/* One try from keys to verdict: remedy says what may be done about a failure. */
static enum storage_code try_once(struct s3_store *store, const struct s3_request *request,
                                  struct course *course, struct buf *hash, unsigned deadline_ms,
                                  struct http_response *response, enum s3_remedy *remedy,
                                  struct storage_error *err)
{
    struct attempt attempt;
    *remedy = S3_FAIL;
    http_response_clear(response);
    enum storage_code code = prepare(store, request, &attempt, err);
    if (code == STORAGE_OK) {
        code = send_once(store, &attempt, request, hash, deadline_ms, response, err);
    }
    if (code != STORAGE_OK) {
        *remedy = transport_remedy(code, response);
    } else if (judge(store, &attempt, request, response, course, &code, err) &&
               course->lessons < LESSONS_MAX) {
        course->lessons++;
        *remedy = S3_AGAIN;
    } else if (code != STORAGE_OK) {
        *remedy = s3_error_remedy(err->http_status, err->service_code);
    }
    credentials_give(attempt.keys);
    digest_wipe(&attempt.day_key, sizeof attempt.day_key);
    return code;
}

enum storage_code s3_perform(struct s3_store *store, const struct s3_request *request,
                             struct http_response *response, struct storage_error *err)
{
    struct storage_error first; /* trouble of a try that was tried again */
    struct course course = {0};
    struct buf hash;
    enum storage_code code = STORAGE_OK;
    first.code = STORAGE_OK; /* it is large: the rest is not cleared */
    first.http_status = 0;
    first.service_code[0] = '\0';
    buf_init(&hash, 2 * SHA256_SIZE);
    unsigned limit_ms = request->ignores_stop ? CLEAN_UP_MS : store->config.request_deadline_ms;
    course.deadline = limit_ms ? clock_ms() + limit_ms : 0;
    for (;;) {
        enum s3_remedy remedy = S3_FAIL;
        int64_t left = time_left(&course);
        if (is_stopped(store, request)) {
            code = fail_stopped(store, request, err);
            break;
        }
        if (clock_ms() < atomic_load(&store->blocked_until)) {
            code = course.tries > 0 ? code : fail_blocked(store, request, err);
            break;
        }
        if (left < 0 && course.tries > 0) {
            break; /* with what the last try said */
        }
        course.tries++;
        await_pace(store, request, left);
        code = try_once(store, request, &course, &hash, left > 0 ? (unsigned)left : 0, response,
                        &remedy, err);
        if (code == STORAGE_OK) {
            break;
        }
        if (remedy == S3_THROTTLE) {
            slow_down(store);
        }
        if (remedy != S3_AGAIN && !await_next(store, request, response, remedy, &course)) {
            code = conclude(&course, &first, remedy, err);
            break;
        }
        if (remedy != S3_AGAIN && first.code == STORAGE_OK) {
            first = *err;
        }
        atomic_fetch_add(&store->base.retries, 1);
    }
    buf_release(&hash);
    return code;
}
