/*
 * scripted_server.h - an HTTP server on loopback that plays a script: failures are data.
 *
 * Each request takes the next step: its first line must begin as the step expects, and the step's
 * answer goes back as it stands, on a connection of its own. What was asked is kept as text.
 */
#ifndef SCRIPTED_SERVER_H
#define SCRIPTED_SERVER_H

#include <stddef.h>

struct script_step {
    const char *expect; /* "GET /bucket/key?x=y"; a following ' ' is implied */
    /* "200 OK\nName: value\n\nbody": Content-Length is added where neither it nor
     * Transfer-Encoding is there; NULL drops the connection */
    const char *answer;
};

struct scripted_server;

/* Plays steps[0..count); later requests are answered 599. Steps are borrowed. */
struct scripted_server *scripted_server_start(const struct script_step *steps, size_t count);

/* "http://127.0.0.1:PORT" */
const char *scripted_server_endpoint(const struct scripted_server *server);

/* The n-th request so far, head and body; "" when it has not come. */
const char *scripted_server_request(const struct scripted_server *server, size_t n);

/* Ends it, and fails the running test when a step was not met, or not in order. */
void scripted_server_finish(struct scripted_server *server);

#endif
