/*
 * list_server.h - a store that only lists: any sorted keys, by pages, to many at once, with faults.
 *
 * Version 2 with continuation tokens and start-after, as S3 has them, and version 1 with markers;
 * the page size is the test's.
 */
#ifndef LIST_SERVER_H
#define LIST_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct list_server_options {
    const char *const *keys; /* sorted by bytes; borrowed */
    size_t count;
    size_t page;             /* rows of a page; 0: 1000 */
    bool ignores_after;      /* start-after is not known: the first page comes */
    bool refuses_after;      /* 400 to it */
    const char *token_tail;  /* behind the number that a token is; NULL: nothing */
    const char *fail_after;  /* a page that begins behind this key is refused (403); NULL: none */
    const char *stall_after; /* such a page does not come before the finish; NULL: none */
    bool is_version1;        /* list-type is refused (400), as on a file system of OBS */
    bool goes_back;          /* start-after gives keys before it, too */
    bool says_more;          /* the last page, too, and its token leads to itself */
    unsigned pause_ms;       /* each answer takes so long */
    size_t gather; /* an answer waits for so many requests at once, once; 0: it does not */
};

struct list_server;

struct list_server *list_server_start(const struct list_server_options *options);
/* "http://127.0.0.1:PORT" */
const char *list_server_endpoint(const struct list_server *server);
size_t list_server_pages(struct list_server *server);  /* asked for so far */
size_t list_server_afters(struct list_server *server); /* of them, by start-after */
size_t list_server_most(struct list_server *server);   /* at once */
size_t list_server_writes(struct list_server *server); /* requests that were no GET; all are fine */
void list_server_finish(struct list_server *server);

#endif
