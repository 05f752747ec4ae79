/*
 * hostile_store.c - a store that no real one will be, for tests/test_hostile.sh.
 *
 *   hostile_store KEY...     any bucket lists these keys, in this order, whatever they say, and
 *                            serves "bytes of KEY" for each; it takes what is put, and forgets it
 *   hostile_store --headers KEY...     the same; each header of a request is a line before its
 *   hostile_store --reset    an endpoint that resets each connection as soon as it is made
 *
 * On loopback, at a free port, which is the first line of output; each request is a line after it.
 * Runs until it is killed.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TEXT_MAX = 8192
};

struct bucket {
    char **keys;
    size_t count;
    bool tells_headers;
};

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void say_port(int port)
{
    printf("%d\n", port);
    fflush(stdout);
}

/* ---- resetting ------------------------------------------------------------------------------ */

static _Noreturn void reset_all(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server < 0 || bind(server, (struct sockaddr *)&address, size) != 0 ||
        listen(server, 16) != 0 || getsockname(server, (struct sockaddr *)&address, &size) != 0) {
        fail("listen");
    }
    say_port(ntohs(address.sin_port));
    /* Closing at once with a linger time of zero sends RST instead of FIN. */
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    for (;;) {
        int connection = accept(server, NULL, NULL);
        if (connection < 0) {
            fail("accept");
        }
        setsockopt(connection, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(connection);
    }
}

/* ---- listing and serving -------------------------------------------------------------------- */

/* The text's bytes from the first to the last that a Range header asks for, or all. */
static enum MHD_Result answer_object(struct MHD_Connection *connection, const char *key)
{
    char text[TEXT_MAX];
    size_t size = (size_t)snprintf(text, sizeof text, "bytes of %s", key);
    const char *range = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
    unsigned long first = 0;
    unsigned long last = size - 1;
    bool is_part = range && sscanf(range, "bytes=%lu-%lu", &first, &last) >= 1;
    if (last >= size) {
        last = size - 1;
    }
    if (first > last) {
        first = last;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(last - first + 1, text + first, MHD_RESPMEM_MUST_COPY);
    char content_range[96];
    snprintf(content_range, sizeof content_range, "bytes %lu-%lu/%zu", first, last, size);
    if (is_part) {
        MHD_add_response_header(response, "Content-Range", content_range);
    }
    MHD_add_response_header(response, "ETag", "\"opaque\"");
    enum MHD_Result result = MHD_queue_response(connection, is_part ? 206 : 200, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_list(struct MHD_Connection *connection, const struct bucket *bucket,
                                   const char *prefix)
{
    char text[TEXT_MAX];
    size_t length = (size_t)snprintf(text, sizeof text, "<ListBucketResult>");
    for (size_t i = 0; i < bucket->count && length < sizeof text / 2; i++) {
        if (strncmp(bucket->keys[i], prefix, strlen(prefix)) == 0) {
            length +=
                (size_t)snprintf(text + length, sizeof text - length,
                                 "<Contents><Key>%s</Key><Size>%zu</Size><ETag>\"opaque\"</ETag>"
                                 "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>",
                                 bucket->keys[i], strlen("bytes of ") + strlen(bucket->keys[i]));
        }
    }
    length += (size_t)snprintf(text + length, sizeof text - length, "</ListBucketResult>");
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_empty(struct MHD_Connection *connection, unsigned status)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "ETag", "\"opaque\"");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result print_header(void *context, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    (void)context, (void)kind;
    printf("%s: %s\n", name, value);
    return MHD_YES;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_size, void **state)
{
    const struct bucket *bucket = context;
    static int begun;
    (void)version, (void)body;
    bool puts = strcmp(method, "PUT") == 0;
    if (puts && (!*state || *body_size > 0)) { /* the body comes in pieces */
        *state = &begun;
        *body_size = 0;
        return MHD_YES;
    }
    if (bucket->tells_headers) {
        MHD_get_connection_values(connection, MHD_HEADER_KIND, print_header, NULL);
    }
    printf("%s %s\n", method, path);
    fflush(stdout);
    if (puts) {
        return answer_empty(connection, 200);
    }
    const char *key = strchr(path + 1, '/'); /* "/bucket/key" */
    const char *prefix = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "prefix");
    if (prefix) {
        return answer_list(connection, bucket, prefix);
    }
    for (size_t i = 0; key && i < bucket->count; i++) {
        if (strcmp(bucket->keys[i], key + 1) == 0) {
            return answer_object(connection, bucket->keys[i]);
        }
    }
    return answer_empty(connection, 404);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--reset") == 0) {
        reset_all();
    }
    bool tells_headers = argc > 1 && strcmp(argv[1], "--headers") == 0;
    struct bucket bucket = {.keys = argv + 1 + tells_headers,
                            .count = (size_t)(argc - 1 - tells_headers),
                            .tells_headers = tells_headers};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, &bucket,
                         MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_END);
    if (!daemon) {
        fail("start");
    }
    say_port(MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    for (;;) {
        pause();
    }
}
