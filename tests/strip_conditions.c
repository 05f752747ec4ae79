/*
 * strip_conditions.c - a proxy that makes a store ignore conditions, for test_publishing_s3.sh.
 *
 *   strip_conditions http://127.0.0.1:PORT
 *
 * Listens on loopback at a free port, which is its one line of output, and passes bytes on both
 * ways, but names If-Match and If-None-Match, at the beginning of a line that a client sends, by
 * other names of equal length. Signed requests would be refused for it. A process for each
 * connection; runs until it is killed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PIECE = 64 * 1024
};

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void strip(char *data, size_t size)
{
    static const char *const names[] = {"\nif-match:", "\nif-none-match:"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        size_t length = strlen(names[n]);
        for (size_t i = 0; i + length <= size; i++) {
            if (strncasecmp(data + i, names[n], length) == 0) {
                data[i + 1] = 'x';
            }
        }
    }
}

/* Passes on what is there; false at the end. */
static bool pass(int from, int to, bool strips)
{
    static char data[PIECE];
    ssize_t got = read(from, data, sizeof data);
    if (got > 0 && strips) {
        strip(data, (size_t)got);
    }
    for (ssize_t done = 0; done < got;) {
        ssize_t put = write(to, data + done, (size_t)(got - done));
        if (put <= 0) {
            return false;
        }
        done += put;
    }
    return got > 0;
}

static _Noreturn void serve(int client, const struct sockaddr_in *store)
{
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (server < 0 || connect(server, (const struct sockaddr *)store, sizeof *store) != 0) {
        fail("connect");
    }
    struct pollfd ready[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    while (poll(ready, 2, -1) > 0) {
        if ((ready[0].revents && !pass(client, server, true)) ||
            (ready[1].revents && !pass(server, client, false))) {
            break;
        }
    }
    exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in store = address;
    socklen_t size = sizeof address;
    const char *colon = argc == 2 ? strrchr(argv[1], ':') : NULL;
    if (!colon) {
        return 64;
    }
    store.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        fail("listen");
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) {
            fail("accept");
        }
        pid_t child = fork();
        if (child == 0) {
            close(listener);
            serve(client, &store);
        }
        close(client);
    }
}
