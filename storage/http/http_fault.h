/* http_fault.h - what can go wrong with one request, and how it is told; between http.c and here.
 */
#ifndef STORAGE_HTTP_FAULT_H
#define STORAGE_HTTP_FAULT_H

#include "storage/http/http.h"

enum http_fault {
    HTTP_FAULT_BROKEN, /* anything on the way that has no name of its own */
    HTTP_FAULT_STOPPED,
    HTTP_FAULT_TOO_LONG, /* the body was longer than its sink, or HTTP_BODY_MAX */
    HTTP_FAULT_REFUSED,  /* the caller's read or write gave up; why is the caller's to say */
    HTTP_FAULT_URL,
    HTTP_FAULT_MEMORY,
    HTTP_FAULT_NAME,    /* the host's name */
    HTTP_FAULT_PROXY,   /* the proxy's name */
    HTTP_FAULT_CONNECT, /* refused, no route, … */
    HTTP_FAULT_TLS,
    HTTP_FAULT_UNTRUSTED, /* the certificate */
    HTTP_FAULT_NO_BUNDLE  /* nothing to verify certificates with */
};

/* What http.c knows of a request that failed. */
struct http_failure {
    enum http_fault fault;
    bool sent_body;   /* bytes of the request's body left */
    int system_errno; /* 0: not known */
    const char *text; /* curl's sentence */
};

/* Fills *err (NULL is fine) and response->is_untrusted; returns the code. */
enum storage_code http_explain(const struct http_failure *failure,
                               const struct http_request *request, struct http_response *response,
                               struct storage_error *err);

#endif
