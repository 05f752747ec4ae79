#include "wire_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 256,
    HEAD_MAX = 16384,
    RING = 8
};

struct connection {
    struct wire_server *server;
    pthread_t thread;
    int fd;
    bool dying;  /* the next request gets no answer */
    bool resets; /* and the connection is not even closed in order */
};

struct wire_server {
    int fd;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock;
    struct connection connections[CONNECTIONS_MAX];
    int count;
    atomic_int requests;
    atomic_int slow, slow_peak;
};

struct request {
    char head[HEAD_MAX];
    char method[16];
    char path[HEAD_MAX];
    size_t length; /* of the body */
};

static bool send_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool send_text(int fd, const char *text)
{
    return send_all(fd, text, strlen(text));
}

/* Waits until the peer has gone. */
static void wait_for_end(int fd)
{
    char byte = 0;
    while (recv(fd, &byte, 1, 0) > 0) {
    }
}

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static bool read_head(int fd, struct request *request)
{
    size_t length = 0;
    memset(request, 0, sizeof *request);
    while (!strstr(request->head, "\r\n\r\n")) {
        if (length + 1 >= sizeof request->head || recv(fd, request->head + length, 1, 0) != 1) {
            return false;
        }
        if (request->head[length++] == 0x16) { /* the first byte of TLS */
            send_text(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            return false;
        }
    }
    sscanf(request->head, "%15s %16000s", request->method, request->path);
    const char *field = strcasestr(request->head, "\r\nContent-Length:");
    request->length = field ? strtoul(field + 17, NULL, 10) : 0;
    return true;
}

static void read_body(int fd, size_t length)
{
    char bytes[4096];
    while (length > 0) {
        ssize_t got = recv(fd, bytes, length < sizeof bytes ? length : sizeof bytes, 0);
        if (got <= 0) {
            return;
        }
        length -= (size_t)got;
    }
}

/* The request's head comes back as the body. */
static bool echo(int fd, const struct request *request)
{
    char head[128];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
             strlen(request->head));
    return send_text(fd, head) && send_text(fd, request->head);
}

static bool slow(struct wire_server *server, int fd)
{
    int now = atomic_fetch_add(&server->slow, 1) + 1;
    int peak = atomic_load(&server->slow_peak);
    while (now > peak && !atomic_compare_exchange_weak(&server->slow_peak, &peak, now)) {
    }
    usleep(20000);
    atomic_fetch_sub(&server->slow, 1);
    return send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void drip(int fd)
{
    send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while (send_text(fd, ".")) {
        usleep(50000);
    }
}

/* Whether the connection may go on after the answer. */
static bool answer(struct connection *connection, const struct request *request)
{
    static const struct {
        const char *path, *text;
        bool goes_on;
    } plain[] = {
        {"/ok", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true},
        {"/missing", "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nnothing", true},
        {"/empty", "HTTP/1.1 204 No Content\r\n\r\n", true},
        {"/redirect", "HTTP/1.1 307 T\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", true},
        {"/chunked",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
         true},
        {"/until-close", "HTTP/1.1 200 OK\r\n\r\nhello", false},
        {"/short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", false},
        {"/short-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhello", false},
        {"/gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
         true},
        {"/noise", "this is not HTTP\r\n\r\n", false},
        {"/nothing", "", false},
        {"/headers",
         "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/99\r\n"
         "ETag: \"abc-3\"\r\nx-amz-request-id: R1\r\nDate: Tue, 24 Nov 2026 11:00:00 GMT\r\n"
         "Last-Modified: Mon, 23 Nov 2026 11:00:00 GMT\r\nx-amz-bucket-region: eu-west-1\r\n"
         "x-amz-checksum-crc32: AAAAAA==\r\nX-AMZ-Checksum-Type: FULL_OBJECT\r\n"
         "Retry-After: 7\r\n\r\nhello",
         true},
    };
    int fd = connection->fd;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(request->path, plain[i].path) == 0) {
            return send_text(fd, plain[i].text) && plain[i].goes_on;
        }
    }
    if (strncmp(request->path, "/echo", 5) == 0) {
        return echo(fd, request);
    }
    if (strcmp(request->path, "/slow") == 0) {
        return slow(connection->server, fd);
    }
    if (strcmp(request->path, "/drip") == 0) { /* a byte at a time, and no end in sight */
        drip(fd);
    } else if (strcmp(request->path, "/stall") == 0) { /* begins, then says no more */
        send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
        wait_for_end(fd);
    } else if (strcmp(request->path, "/silent") == 0) {
        wait_for_end(fd);
    } else if (strcmp(request->path, "/reset") == 0) {
        send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
        usleep(50000); /* so that the bytes arrive before the reset */
        reset(fd);
    } else if (strncmp(request->path, "/last", 5) == 0) { /* the next request here gets nothing */
        connection->dying = true;
        connection->resets = strcmp(request->path, "/last-reset") == 0;
        return send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    }
    return false;
}

static void *serve(void *context)
{
    struct connection *connection = context;
    struct request *request = malloc(sizeof *request);
    while (read_head(connection->fd, request)) {
        atomic_fetch_add(&connection->server->requests, 1);
        if (connection->dying) {
            if (connection->resets) {
                reset(connection->fd);
            }
            break;
        }
        if (strcmp(request->path, "/denied-early") == 0) {
            send_text(connection->fd, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
            break;
        }
        if (strcasestr(request->head, "\r\nExpect: 100-continue") &&
            strcmp(request->path, "/echo-without-continue") != 0) {
            send_text(connection->fd, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        read_body(connection->fd, request->length);
        if (!answer(connection, request)) {
            break;
        }
    }
    free(request);
    /* the descriptor stays reserved until the end, so that its number is not used again */
    shutdown(connection->fd, SHUT_RDWR);
    struct linger linger = {0};
    socklen_t size = sizeof linger;
    getsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, &size);
    if (linger.l_onoff) {
        pthread_mutex_lock(&connection->server->lock);
        close(connection->fd);
        connection->fd = -1;
        pthread_mutex_unlock(&connection->server->lock);
    }
    return NULL;
}

static void *run(void *context)
{
    struct wire_server *server = context;
    for (;;) {
        int fd = accept(server->fd, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        pthread_mutex_lock(&server->lock);
        assert(server->count < CONNECTIONS_MAX);
        struct connection *connection = &server->connections[server->count++];
        connection->server = server;
        connection->fd = fd;
        int failed = pthread_create(&connection->thread, NULL, serve, connection);
        pthread_mutex_unlock(&server->lock);
        assert(failed == 0);
    }
}

struct wire_server *wire_server_start(void)
{
    struct wire_server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    pthread_mutex_init(&server->lock, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = bind(server->fd, (struct sockaddr *)&address, sizeof address) ||
                 listen(server->fd, CONNECTIONS_MAX) ||
                 getsockname(server->fd, (struct sockaddr *)&address, &size) ||
                 pthread_create(&server->thread, NULL, run, server);
    assert(!failed);
    server->port = ntohs(address.sin_port);
    return server;
}

void wire_server_stop(struct wire_server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    for (int i = 0; i < server->count; i++) {
        pthread_mutex_lock(&server->lock);
        if (server->connections[i].fd >= 0) {
            shutdown(server->connections[i].fd, SHUT_RDWR);
        }
        pthread_mutex_unlock(&server->lock);
        pthread_join(server->connections[i].thread, NULL);
        if (server->connections[i].fd >= 0) {
            close(server->connections[i].fd);
        }
    }
    close(server->fd);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *wire_server_url(const struct wire_server *server, const char *path)
{
    static _Thread_local char ring[RING][1024];
    static _Thread_local unsigned next;
    char *out = ring[next++ % RING];
    snprintf(out, sizeof *ring, "http://127.0.0.1:%u%s", server->port, path);
    return out;
}

unsigned wire_server_port(const struct wire_server *server)
{
    return server->port;
}

int wire_server_connections(const struct wire_server *server)
{
    struct wire_server *mine = (struct wire_server *)server;
    pthread_mutex_lock(&mine->lock);
    int count = mine->count;
    pthread_mutex_unlock(&mine->lock);
    return count;
}

int wire_server_requests(const struct wire_server *server)
{
    return atomic_load(&server->requests);
}

int wire_server_peak(const struct wire_server *server)
{
    return atomic_load(&server->slow_peak);
}
