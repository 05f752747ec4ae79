#include "scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    REQUESTS_MAX = 32,
    REQUEST_MAX = 64 * 1024, /* bytes kept of one; more is read and forgotten */
};

struct scripted_server {
    const struct script_step *steps;
    size_t count;
    int socket;
    pthread_t thread;
    char endpoint[64];
    atomic_size_t seen;
    char *requests[REQUESTS_MAX];
};

static size_t body_length(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");
    return at ? strtoul(at + 17, NULL, 10) : 0;
}

/* Reads one request; its first REQUEST_MAX bytes as text. */
static char *read_request(int connection)
{
    char *text = calloc(1, REQUEST_MAX + 1);
    size_t length = 0;
    size_t total = SIZE_MAX; /* of head and body, once the head is in */
    if (!text) {
        abort();
    }
    while (length < total) {
        char piece[16384];
        ssize_t got = recv(connection, piece, sizeof piece, 0);
        if (got <= 0) {
            break;
        }
        size_t keep = length < REQUEST_MAX ? REQUEST_MAX - length : 0;
        memcpy(text + (length < REQUEST_MAX ? length : 0), piece,
               (size_t)got < keep ? (size_t)got : keep);
        length += (size_t)got;
        const char *end = strstr(text, "\r\n\r\n");
        if (end && total == SIZE_MAX) {
            total = (size_t)(end - text) + 4 + body_length(text);
            if (strcasestr(text, "\r\nexpect: 100-continue")) {
                send(connection, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
            }
        }
    }
    return text;
}

static void answer(int connection, const char *text)
{
    const char *body = strstr(text, "\n\n");
    size_t head = body ? (size_t)(body - text) : strlen(text);
    body = body ? body + 2 : "";
    char out[16384];
    size_t length = (size_t)snprintf(out, sizeof out, "HTTP/1.1 ");
    for (size_t i = 0; i < head; i++) {
        length += (size_t)snprintf(out + length, sizeof out - length, "%s%c",
                                   text[i] == '\n' ? "\r" : "", text[i]);
    }
    const char *own_length = strcasestr(text, "\ncontent-length:");
    const char *own_encoding = strcasestr(text, "\ntransfer-encoding:");
    own_length = own_length ? own_length : own_encoding;
    if (!own_length || own_length > text + head) {
        length += (size_t)snprintf(out + length, sizeof out - length, "\r\nContent-Length: %zu",
                                   strlen(body));
    }
    length += (size_t)snprintf(out + length, sizeof out - length, "\r\nConnection: close\r\n\r\n%s",
                               body);
    send(connection, out, length, MSG_NOSIGNAL);
}

static void *serve(void *context)
{
    struct scripted_server *server = context;
    for (;;) {
        int connection = accept(server->socket, NULL, NULL);
        if (connection < 0) {
            return NULL; /* finish() has closed the socket */
        }
        char *request = read_request(connection);
        size_t n = atomic_load(&server->seen);
        if (n >= REQUESTS_MAX) {
            abort();
        }
        server->requests[n] = request;
        atomic_store(&server->seen, n + 1);
        if (n >= server->count) {
            answer(connection, "599 Beyond the script");
        } else if (server->steps[n].answer) {
            answer(connection, server->steps[n].answer);
        }
        shutdown(connection, SHUT_RDWR);
        close(connection);
    }
}

struct scripted_server *scripted_server_start(const struct script_step *steps, size_t count)
{
    struct scripted_server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_non_null(server);
    server->steps = steps;
    server->count = count;
    server->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->socket, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server->socket, 16), 0);
    assert_int_equal(getsockname(server->socket, (struct sockaddr *)&address, &size), 0);
    snprintf(server->endpoint, sizeof server->endpoint, "http://127.0.0.1:%d",
             ntohs(address.sin_port));
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

const char *scripted_server_endpoint(const struct scripted_server *server)
{
    return server->endpoint;
}

const char *scripted_server_request(const struct scripted_server *server, size_t n)
{
    return n < atomic_load(&server->seen) ? server->requests[n] : "";
}

void scripted_server_finish(struct scripted_server *server)
{
    char fault[512] = "";
    shutdown(server->socket, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->socket);
    size_t seen = atomic_load(&server->seen);
    for (size_t i = 0; i < seen || i < server->count; i++) {
        const char *line = i < seen ? server->requests[i] : "nothing";
        const char *expect = i < server->count ? server->steps[i].expect : "nothing";
        size_t length = strlen(expect);
        if (!fault[0] && (i >= seen || i >= server->count || strncmp(line, expect, length) != 0 ||
                          line[length] != ' ')) {
            snprintf(fault, sizeof fault, "request %zu: %.*s instead of %s", i,
                     (int)strcspn(line, "\r\n"), line, expect);
        }
    }
    for (size_t i = 0; i < seen; i++) {
        free(server->requests[i]);
    }
    free(server);
    if (fault[0]) {
        fail_msg("%s", fault);
    }
}
