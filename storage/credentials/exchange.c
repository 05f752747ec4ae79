#include "storage/credentials/exchange.h"

#include "storage/base/digest.h"
#include "storage/storage_error.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/storage_banned.h"

enum {
    NEAR_CONNECT_MS = 1000,
    NEAR_DEADLINE_MS = 2000,
    FAR_CONNECT_MS = 5000,
    FAR_DEADLINE_MS = 15000,
    STALL_S = 10,
    TRIES = 2,
    PAUSE_MS = 100
};

enum storage_code exchange_start(struct exchange *exchange, const struct key_source *source,
                                 enum exchange_place place, struct storage_error *err)
{
    bool near = place == EXCHANGE_NEAR;
    struct http_options options = {
        .connections_max = 1,
        .connect_timeout_ms = near ? NEAR_CONNECT_MS : FAR_CONNECT_MS,
        .stall_timeout_s = STALL_S,
        .ca_file = source->ca_file,
        .no_proxy = near,
        .stop = source->stop,
    };
    *exchange = (struct exchange){.source = source,
                                  .deadline_ms = near ? NEAR_DEADLINE_MS : FAR_DEADLINE_MS};
    http_response_init(&exchange->response);
    exchange->answer = calloc(1, EXCHANGE_ANSWER_MAX + 1);
    if (!exchange->answer) {
        return keys_fail(source, err, STORAGE_BUG, "no memory");
    }
    return http_new(&exchange->http, &options, err);
}

void exchange_end(struct exchange *exchange)
{
    http_free(exchange->http);
    http_response_release(&exchange->response);
    if (exchange->answer) {
        digest_wipe(exchange->answer, EXCHANGE_ANSWER_MAX);
    }
    free(exchange->answer);
}

static bool is_transient(int status)
{
    return status == 429 || status / 100 == 5;
}

enum storage_code exchange_send(struct exchange *exchange, const char *method, const char *url,
                                const char *const *headers, size_t header_count, const char *body,
                                struct storage_error *err)
{
    struct http_response *response = &exchange->response;
    struct storage_error failure = {0};
    struct http_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .header_count = header_count,
        .body = body,
        .body_size = body ? strlen(body) : 0,
        .sink = exchange->answer,
        .sink_size = EXCHANGE_ANSWER_MAX,
        .deadline_ms = exchange->deadline_ms,
    };
    enum storage_code code = STORAGE_OK;
    for (unsigned tries = 0; tries < TRIES; tries++) {
        if (tries > 0) {
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
        }
        code = http_perform(exchange->http, &request, response, &failure);
        if (code == STORAGE_OK) {
            bool is_in_answer = response->status / 100 == 2;
            exchange->answer[is_in_answer ? response->body_size : 0] = '\0';
        }
        bool again = code == STORAGE_OK ? is_transient(response->status)
                                        : code == STORAGE_UNREACHABLE || code == STORAGE_TRANSFER;
        if (!again || response->is_untrusted) {
            break;
        }
    }
    if (code != STORAGE_OK) {
        keys_fail(exchange->source, err, code, "%s", failure.message);
        storage_hint(err, "%s", failure.hint);
    }
    return code;
}

enum storage_code exchange_refused(const struct exchange *exchange, const char *what,
                                   const char *word, struct storage_error *err)
{
    int status = exchange->response.status;
    enum storage_code code = is_transient(status) ? STORAGE_UNREACHABLE : STORAGE_DENIED;
    keys_fail(exchange->source, err, code, "%s: it answered %d%s%s", what, status,
              word[0] ? " " : "", word);
    if (err) {
        err->http_status = status;
    }
    return code;
}
