/* sign_headers.c - headers in canonical form, which all dialects share. */
#include "storage/s3/sign.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "storage/storage_banned.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Header names are ASCII whatever the locale. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void add_lower(struct buf *out, const char *text)
{
    for (; *text; text++) {
        buf_char(out, lower(*text));
    }
}

static void add_value(struct buf *out, const char *text)
{
    bool gap = false;
    bool started = false;
    for (; *text; text++) {
        if (is_blank(*text)) {
            gap = started;
            continue;
        }
        if (gap) {
            buf_char(out, ' ');
        }
        buf_char(out, *text);
        gap = false;
        started = true;
    }
}

/* By name, then by place in the request, which keeps equal names in their order. */
static int compare_headers(const void *left, const void *right)
{
    const struct sign_pair *a = *(const struct sign_pair *const *)left;
    const struct sign_pair *b = *(const struct sign_pair *const *)right;
    int order = strcasecmp(a->name, b->name);
    return order != 0 ? order : a < b ? -1 : 1;
}

void sign_headers(struct buf *out, const struct sign_request *request, const char *prefix,
                  bool names_only)
{
    const struct sign_pair *sorted[SIGN_PAIRS_MAX];
    size_t count = 0;
    assert(request->header_count <= SIGN_PAIRS_MAX);
    for (size_t i = 0; i < request->header_count; i++) {
        if (strncasecmp(request->headers[i].name, prefix, strlen(prefix)) == 0) {
            sorted[count++] = &request->headers[i];
        }
    }
    qsort(sorted, count, sizeof(const struct sign_pair *), compare_headers);
    for (size_t i = 0; i < count; i++) {
        bool again = i > 0 && strcasecmp(sorted[i]->name, sorted[i - 1]->name) == 0;
        bool last = i + 1 == count || strcasecmp(sorted[i]->name, sorted[i + 1]->name) != 0;
        if (names_only) {
            if (!again) {
                buf_text(out, i > 0 ? ";" : "");
                add_lower(out, sorted[i]->name);
            }
            continue;
        }
        if (again) {
            buf_char(out, ',');
        } else {
            add_lower(out, sorted[i]->name);
            buf_char(out, ':');
        }
        add_value(out, sorted[i]->value);
        buf_text(out, last ? "\n" : "");
    }
}
