#include "list_server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum {
    PAGE = 1000,
    ROW_MAX = 2048,
    GATHER_S = 20 /* then the answer comes, and the test fails by its count */
};

struct list_server {
    struct list_server_options options;
    struct MHD_Daemon *daemon;
    char endpoint[64];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t pages, afters, now, most, writes;
    bool is_gathered;
    bool is_ending;
};

static const char *argument(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
    return value ? value : "";
}

/* The first key behind `after`. */
static size_t first_behind(const struct list_server_options *options, const char *after)
{
    size_t low = 0;
    size_t high = options->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(options->keys[middle], after) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t add_text(char *page, size_t used, const char *text)
{
    for (; *text; text++) {
        used += (size_t)sprintf(page + used,
                                *text == '&'   ? "&amp;"
                                : *text == '<' ? "&lt;"
                                               : "%c",
                                *text);
    }
    return used;
}

/* Where the next page begins: a token, or with version 1 the last key of this one. */
static size_t add_next(char *page, const struct list_server *server, bool by_marker, size_t to)
{
    const struct list_server_options *options = &server->options;
    if (!by_marker) {
        return (size_t)sprintf(page, "<NextContinuationToken>%zu%s</NextContinuationToken>", to,
                               options->token_tail ? options->token_tail : "");
    }
    size_t used = (size_t)sprintf(page, "<NextMarker>");
    used = add_text(page, used, options->keys[to - 1]);
    return used + (size_t)sprintf(page + used, "</NextMarker>");
}

static char *make_page(const struct list_server *server, bool by_marker, size_t from)
{
    const struct list_server_options *options = &server->options;
    size_t size = options->page ? options->page : PAGE;
    size_t to = from + size < options->count ? from + size : options->count;
    bool more = to < options->count || options->says_more;
    char *page = malloc((to - from) * ROW_MAX + 4096);
    if (!page) {
        abort();
    }
    size_t used = (size_t)sprintf(page, "<ListBucketResult><IsTruncated>%s</IsTruncated>",
                                  more ? "true" : "false");
    if (more) {
        used += add_next(page + used, server, by_marker, to);
    }
    for (size_t i = from; i < to; i++) {
        used += (size_t)sprintf(page + used, "<Contents><Size>%zu</Size><Key>", i);
        used = add_text(page, used, options->keys[i]);
        used += (size_t)sprintf(page + used, "</Key></Contents>");
    }
    sprintf(page + used, "</ListBucketResult>");
    return page;
}

static void wait_changed(struct list_server *server)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GATHER_S;
    if (pthread_cond_timedwait(&server->changed, &server->lock, &until) != 0) {
        server->is_gathered = true;
    }
}

/* Counts the request, and keeps it as long as the test wants. */
static void arrive(struct list_server *server, bool by_after, bool stalls)
{
    pthread_mutex_lock(&server->lock);
    server->pages++;
    server->afters += by_after;
    server->now++;
    server->most = server->now > server->most ? server->now : server->most;
    server->is_gathered = server->is_gathered || server->now >= server->options.gather;
    pthread_cond_broadcast(&server->changed);
    while (!server->is_gathered && server->afters > 1 && !server->is_ending) {
        wait_changed(server);
    }
    while (stalls && !server->is_ending) {
        pthread_cond_wait(&server->changed, &server->lock);
    }
    if (server->options.pause_ms > 0) { /* to sleep for nothing takes a while, too */
        pthread_mutex_unlock(&server->lock);
        nanosleep(&(struct timespec){.tv_nsec = server->options.pause_ms * 1000000L}, NULL);
        pthread_mutex_lock(&server->lock);
    }
    server->now--;
    pthread_mutex_unlock(&server->lock);
}

static enum MHD_Result answer_write(struct list_server *server, struct MHD_Connection *connection)
{
    static char nothing[] = "<DeleteResult></DeleteResult>";
    pthread_mutex_lock(&server->lock);
    server->writes++;
    pthread_mutex_unlock(&server->lock);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof nothing - 1, nothing, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct list_server *server = context;
    const struct list_server_options *options = &server->options;
    (void)url, (void)version, (void)upload;
    if (!*state) {
        *state = server;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0) {
        return answer_write(server, connection);
    }
    const char *token = argument(connection, "continuation-token");
    const char *after = argument(connection, "start-after");
    const char *marker = argument(connection, "marker");
    const char *prefix = argument(connection, "prefix");
    bool by_marker = !*argument(connection, "list-type");
    size_t from = *token                              ? strtoul(token, NULL, 10)
                  : *after && !options->ignores_after ? first_behind(options, after)
                  : *marker                           ? first_behind(options, marker)
                                                      : first_behind(options, prefix);
    from -= *after && options->goes_back && from > 1 ? 2 : 0;
    const char *begins = from > 0 ? options->keys[from - 1] : "";
    arrive(server, *after != '\0',
           options->stall_after && strcmp(begins, options->stall_after) >= 0);
    int status = (*after && options->refuses_after) || (!by_marker && options->is_version1) ? 400
                 : options->fail_after && strcmp(begins, options->fail_after) >= 0          ? 403
                                                                                            : 200;
    char *page = status == 200 ? make_page(server, by_marker, from)
                               : strdup("<Error><Code>AccessDenied</Code></Error>");
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(page), page, MHD_RESPMEM_MUST_FREE);
    if (options->is_version1) {
        MHD_add_response_header(response, "x-obs-request-id", "0000018EBC");
    }
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

struct list_server *list_server_start(const struct list_server_options *options)
{
    struct list_server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    server->options = *options;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->daemon =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL,
                         NULL, answer, server, MHD_OPTION_END);
    assert_non_null(server->daemon);
    snprintf(server->endpoint, sizeof server->endpoint, "http://127.0.0.1:%u",
             MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    return server;
}

const char *list_server_endpoint(const struct list_server *server)
{
    return server->endpoint;
}

static size_t look(struct list_server *server, const size_t *number)
{
    pthread_mutex_lock(&server->lock);
    size_t value = *number;
    pthread_mutex_unlock(&server->lock);
    return value;
}

size_t list_server_pages(struct list_server *server)
{
    return look(server, &server->pages);
}

size_t list_server_afters(struct list_server *server)
{
    return look(server, &server->afters);
}

size_t list_server_most(struct list_server *server)
{
    return look(server, &server->most);
}

size_t list_server_writes(struct list_server *server)
{
    return look(server, &server->writes);
}

void list_server_finish(struct list_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->is_ending = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    MHD_stop_daemon(server->daemon);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
