/*
 * wire_server.h - an HTTP server that misbehaves on request, byte by byte, on a loopback port.
 *
 * What it does is chosen by the path of the request; see the table in wire_server.c. Every
 * connection has a thread; all end with wire_server_stop.
 */
#ifndef WIRE_SERVER_H
#define WIRE_SERVER_H

#include <stdatomic.h>

struct wire_server;

struct wire_server *wire_server_start(void);
void wire_server_stop(struct wire_server *server);

/* "http://127.0.0.1:port" and path; the text lives until the eighth next call. */
const char *wire_server_url(const struct wire_server *server, const char *path);
unsigned wire_server_port(const struct wire_server *server);

/* Connections accepted, and requests read, so far. */
int wire_server_connections(const struct wire_server *server);
int wire_server_requests(const struct wire_server *server);
/* The most requests that were waiting for their answers ("/slow") at once. */
int wire_server_peak(const struct wire_server *server);

#endif
