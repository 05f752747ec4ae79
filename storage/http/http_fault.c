/*
 * http_fault.c - the words for what went wrong with a request, and its code: when nothing was
 * exchanged the store was not reached, else a transfer broke.
 */
#include "storage/http/http_fault.h"

#include "storage/storage_error.h"

#include <stdio.h>
#include <string.h>

#include "storage/storage_banned.h"

static const char *const hints[] = {
    [HTTP_FAULT_NAME] = "check the endpoint's name and this machine's DNS",
    [HTTP_FAULT_PROXY] = "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY",
    [HTTP_FAULT_CONNECT] = "check the endpoint, and that the store runs there",
    [HTTP_FAULT_TLS] = "does the endpoint speak https? if not, name it with http://",
    [HTTP_FAULT_UNTRUSTED] = "if the store is yours, give its certificate with --ca_file=FILE",
    [HTTP_FAULT_NO_BUNDLE] = "install ca-certificates, or give a PEM bundle with --ca_file=FILE",
};

static enum storage_code classify(const struct http_failure *failure,
                                  const struct http_response *response)
{
    switch (failure->fault) {
    case HTTP_FAULT_STOPPED:
        return STORAGE_STOPPED;
    case HTTP_FAULT_TOO_LONG:
        return STORAGE_TRANSFER;
    case HTTP_FAULT_URL:
        return STORAGE_USAGE;
    case HTTP_FAULT_MEMORY:
    case HTTP_FAULT_REFUSED:
        return STORAGE_BUG;
    default:
        return response->status == 0 && !failure->sent_body ? STORAGE_UNREACHABLE
                                                            : STORAGE_TRANSFER;
    }
}

static void write_reason(char *out, size_t size, const struct http_failure *failure,
                         const struct http_request *request)
{
    if (failure->fault == HTTP_FAULT_STOPPED) {
        snprintf(out, size, "stopped on request");
    } else if (failure->fault == HTTP_FAULT_TOO_LONG) {
        snprintf(out, size, "the answer is longer than the %zu bytes it may have",
                 request->sink || request->write ? request->sink_size : (size_t)HTTP_BODY_MAX);
    } else if (failure->fault == HTTP_FAULT_REFUSED) {
        snprintf(out, size, "given up by its caller");
    } else if (failure->fault == HTTP_FAULT_CONNECT && failure->system_errno) {
        snprintf(out, size, "%s: %s", failure->text, strerrordesc_np(failure->system_errno));
    } else {
        snprintf(out, size, "%s", failure->text);
    }
}

enum storage_code http_explain(const struct http_failure *failure,
                               const struct http_request *request, struct http_response *response,
                               struct storage_error *err)
{
    char reason[512];
    int shown = (int)strcspn(request->url, "?"); /* a query may hold a signature */
    write_reason(reason, sizeof reason, failure, request);
    enum storage_code code = storage_fail(err, classify(failure, response), "%s %.*s: %s",
                                          request->method, shown, request->url, reason);
    if (failure->fault < sizeof hints / sizeof *hints && hints[failure->fault]) {
        storage_hint(err, "%s", hints[failure->fault]);
    }
    response->is_untrusted =
        failure->fault == HTTP_FAULT_UNTRUSTED || failure->fault == HTTP_FAULT_NO_BUNDLE;
    if (err) {
        err->system_errno = failure->system_errno;
        err->http_status = response->status;
        snprintf(err->request_id, sizeof err->request_id, "%s", response->request_id);
        snprintf(err->operation, sizeof err->operation, "%s", request->method);
        snprintf(err->target, sizeof err->target, "%.*s", shown, request->url);
    }
    return code;
}
