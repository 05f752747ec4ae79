/*
 * many_keys_store.c - any bucket holds so many objects; for tests/many_keys.sh.
 *
 *     many_keys_store COUNT [DELAY_MS]
 *
 * Lists "<prefix>NNNNNNNNN" for each number below COUNT, by pages made on the fly, version 1 or 2,
 * each after so many milliseconds. Every object has 42 bytes, one ETag, and the time 2020-01-02; it
 * cannot be read. On loopback, at a free port, which is the first line of output; at the end of its
 * input it prints the number of pages and ends.
 */
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PAGE = 1000,
    ROW_MAX = 512,
    DIGITS = 9
};

struct bucket {
    long count;
    unsigned delay_ms;
    atomic_long pages;
};

static const char *argument(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
    return value ? value : "";
}

/* The first number whose key comes after the given one. */
static long first_after(const char *prefix, const char *after, long count)
{
    size_t length = strlen(prefix);
    if (strcmp(after, prefix) <= 0) {
        return 0;
    }
    if (strncmp(after, prefix, length) != 0) {
        return count;
    }
    /* the greatest n with key(n) <= after, by halves */
    long low = 0;
    long high = count;
    while (low < high) {
        char digits[32];
        long middle = low + (high - low) / 2;
        snprintf(digits, sizeof digits, "%0*ld", DIGITS, middle);
        if (strcmp(digits, after + length) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct bucket *bucket = context;
    (void)url;
    (void)method;
    (void)version;
    (void)upload;
    (void)upload_size;
    if (!*state) {
        *state = bucket;
        return MHD_YES;
    }
    const char *prefix = argument(connection, "prefix");
    const char *token = argument(connection, "continuation-token");
    bool is_v2 = *argument(connection, "list-type") == '2';
    const char *after = *token  ? token
                        : is_v2 ? argument(connection, "start-after")
                                : argument(connection, "marker");
    long from = first_after(prefix, after, bucket->count);
    long wanted = strtol(argument(connection, "max-keys"), NULL, 10);
    long to = from + (wanted > 0 && wanted < PAGE ? wanted : PAGE);
    to = to < bucket->count ? to : bucket->count;
    char *page = malloc((size_t)PAGE * ROW_MAX + 4096);
    if (!page) {
        return MHD_NO;
    }
    size_t used = (size_t)snprintf(page, 4096,
                                   "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>%s"
                                   "</IsTruncated>",
                                   to < bucket->count ? "true" : "false");
    if (to < bucket->count) {
        const char *tag = is_v2 ? "NextContinuationToken" : "NextMarker";
        used += (size_t)snprintf(page + used, 2048, "<%s>%.1024s%0*ld</%s>", tag, prefix, DIGITS,
                                 to - 1, tag);
    }
    for (long i = from; i < to; i++) {
        used += (size_t)snprintf(page + used, ROW_MAX,
                                 "<Contents><Key>%.200s%0*ld</Key><LastModified>2020-01-02T03:04:"
                                 "05.000Z</LastModified><ETag>\"900150983cd24fb0d6963f7d28e17f72\""
                                 "</ETag><Size>42</Size></Contents>",
                                 prefix, DIGITS, i);
    }
    used += (size_t)snprintf(page + used, 64, "</ListBucketResult>");
    atomic_fetch_add(&bucket->pages, 1);
    usleep(bucket->delay_ms * 1000);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(used, page, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

int main(int argc, char **argv)
{
    struct bucket bucket = {.count = argc > 1 ? strtol(argv[1], NULL, 10) : 1000,
                            .delay_ms = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL,
                         NULL, answer, &bucket, MHD_OPTION_END);
    if (!daemon) {
        perror("many_keys_store");
        return 1;
    }
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    char rest[64];
    while (read(STDIN_FILENO, rest, sizeof rest) > 0) {
    }
    printf("%ld pages\n", atomic_load(&bucket.pages));
    MHD_stop_daemon(daemon);
    return 0;
}
