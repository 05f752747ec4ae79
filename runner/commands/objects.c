/* objects.c - the small storage commands: ls, stat, cat, put, mb. */
#include "runner/commands/commands.h"
#include "runner/commands/verify.h"
#include "runner/json_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

/* Opens the one URL a command takes. */
static enum exit_code open_only(struct place *place, struct app *app, const char *what)
{
    if (app->arguments->positional_count != 1) {
        *place = (struct place){0};
        return app_fail(app, EXIT_USAGE, "%s takes one URL, not %zu words", what,
                        app->arguments->positional_count);
    }
    return place_open(place, app, SIDE_DATA, app->arguments->positional[0], app->stop, 0);
}

static void format_size(const struct app *app, char *out, size_t size, uint64_t bytes)
{
    if (app->settings->human) {
        format_bytes(out, size, bytes);
    } else {
        snprintf(out, size, "%llu", (unsigned long long)bytes);
    }
}

static void print_entry(const struct app *app, const struct storage_entry *entry)
{
    char modified[32];
    format_time(modified, sizeof modified, entry->info.mtime_ns);
    if (app->settings->json) {
        json_line_print(entry->is_prefix
                            ? json_pack("{so}", "prefix", json_text(entry->key))
                            : json_pack("{so sI so ss}", "key", json_text(entry->key), "size",
                                        (json_int_t)entry->info.size, "etag",
                                        json_text(entry->info.etag), "last_modified", modified));
        return;
    }
    /* One level shows names, as ls does; a recursive listing shows whole keys. */
    const char *name = entry->key;
    if (!app->settings->recursive) {
        size_t length = strlen(name);
        while (length > 1 && name[length - 2] != '/') {
            length--;
        }
        name += length > 1 ? length - 1 : 0;
    }
    char size[32];
    format_size(app, size, sizeof size, entry->info.size);
    printf("%20s %12s %s\n", entry->is_prefix ? "" : modified, entry->is_prefix ? "PRE" : size,
           name);
}

static void print_total(const struct app *app, uint64_t objects, uint64_t bytes)
{
    char size[32];
    if (app->settings->json) {
        json_line_print(json_pack("{s{sI sI}}", "summary", "objects", (json_int_t)objects, "bytes",
                                  (json_int_t)bytes));
        return;
    }
    format_size(app, size, sizeof size, bytes);
    printf("%20s %12s in %llu objects\n", "total", size, (unsigned long long)objects);
}

enum exit_code command_ls(struct app *app)
{
    struct place place;
    struct storage_lister *lister = NULL;
    struct storage_error err;
    uint64_t count = 0;
    uint64_t objects = 0;
    uint64_t bytes = 0;
    enum exit_code code = open_only(&place, app, "ls");
    if (code) {
        goto done;
    }
    const struct storage_listing listing = {
        .prefix = place.url.key, .recursive = app->settings->recursive, .whole = true};
    enum storage_code result = storage_lister_open_as(&lister, place.store, &listing, &err);
    while (!result && !ferror(stdout)) {
        struct storage_entry entry;
        result = storage_lister_next(lister, &entry, &err);
        if (!result && !entry.key) {
            break;
        }
        if (!result) {
            print_entry(app, &entry);
            count++;
            objects += !entry.is_prefix;
            bytes += entry.is_prefix ? 0 : entry.info.size;
        }
    }
    code = result ? app_fail_storage(app, &err)
           : count == 0
               ? app_fail(app, EXIT_MISSING, "list %s: nothing begins with that", place.text)
               : EXIT_DONE;
    if (!code && app->settings->summarize) {
        print_total(app, objects, bytes);
    }
done:
    storage_lister_close(lister);
    place_close(&place);
    return code;
}

enum exit_code command_stat(struct app *app)
{
    struct place place;
    enum exit_code code = open_only(&place, app, "stat");
    if (!code && app->settings->verify) {
        code = verify_manifest(app, &place, app->settings->verify);
        goto done;
    }
    if (code) {
        goto done;
    }
    struct storage_info info;
    struct storage_error err;
    if (storage_stat(place.store, place.url.key, &info, &err)) {
        code = app_fail_storage(app, &err);
        goto done;
    }
    char modified[32];
    char crc32[16] = "";
    format_time(modified, sizeof modified, info.mtime_ns);
    if (info.has_crc32) {
        snprintf(crc32, sizeof crc32, "%08x", info.crc32);
    }
    if (app->settings->json) {
        json_line_print(json_pack("{so sI so ss ss}", "key", json_text(place.url.key), "size",
                                  (json_int_t)info.size, "etag", json_text(info.etag),
                                  "last_modified", modified, "crc32", crc32));
    } else {
        printf("%-14s %s\n%-14s %llu\n%-14s %s\n", "url", place.text, "size",
               (unsigned long long)info.size, "last_modified", modified);
        if (info.etag[0]) {
            printf("%-14s %s\n", "etag", info.etag);
        }
        if (info.has_crc32) {
            printf("%-14s %s\n", "crc32", crc32);
        }
    }
done:
    place_close(&place);
    return code;
}

/* On false errno tells why; EINTR: a stop was asked for. */
static bool write_all(int fd, const char *data, size_t size, const atomic_bool *stop)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && (errno != EINTR || atomic_load(stop))) {
            return false;
        }
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
    return true;
}

enum exit_code command_cat(struct app *app)
{
    enum {
        PIECE = 8 * 1024 * 1024
    };
    struct place place;
    char *piece = NULL;
    enum exit_code code = open_only(&place, app, "cat");
    if (code) {
        goto done;
    }
    piece = malloc(PIECE);
    if (!piece) {
        code = app_fail(app, EXIT_BUG, "cat %s: no memory", place.text);
        goto done;
    }
    struct storage_info info = {0};
    struct storage_error err;
    uint64_t offset = 0;
    size_t got = PIECE;
    /* The first answer's ETag holds for the rest, so that the pieces are of one object. */
    for (char etag[STORAGE_ETAG_MAX + 1] = ""; got == PIECE; offset += got) {
        if (offset > 0 && offset >= info.size) {
            break;
        }
        if (storage_read(place.store, place.url.key, offset, piece, PIECE, etag, &got, &info,
                         &err)) {
            code = app_fail_storage(app, &err);
            break;
        }
        snprintf(etag, sizeof etag, "%s", info.etag);
        if (!write_all(STDOUT_FILENO, piece, got, app->stop)) {
            code = errno == EPIPE   ? EXIT_PIPE
                   : errno == EINTR ? EXIT_INTERRUPTED
                                    : app_fail(app, EXIT_DISK, "cat %s: write to stdout: %s",
                                               place.text, strerror(errno));
            break;
        }
    }
done:
    free(piece);
    place_close(&place);
    return code;
}

enum exit_code command_put(struct app *app)
{
    const struct arguments *arguments = app->arguments;
    if (arguments->positional_count != 2) {
        return app_fail(app, EXIT_USAGE, "put takes a file ('-' is stdin) and a URL, not %zu words",
                        arguments->positional_count);
    }
    struct place place = {0};
    const char *file = arguments->positional[0];
    bool standard_input = strcmp(file, "-") == 0;
    enum exit_code code = EXIT_DONE;
    int fd = standard_input ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        code = app_fail(app,
                        errno == ENOENT  ? EXIT_MISSING
                        : errno == EINTR ? EXIT_INTERRUPTED
                                         : EXIT_DISK,
                        "open %s: %s", file, strerror(errno));
        goto done;
    }
    code = place_open(&place, app, SIDE_DATA, arguments->positional[1], app->stop, 0);
    if (code) {
        goto done;
    }
    if (!place.url.key[0] || place.url.key[strlen(place.url.key) - 1] == '/') {
        code = app_fail(app, EXIT_USAGE, "put %s: the URL must name an object", place.text);
        goto done;
    }
    uint64_t size = 0;
    enum storage_verified verified = STORAGE_VERIFIED_SIZE;
    struct storage_error err;
    double began = clock_seconds();
    if (storage_put_stream(place.store, place.url.key, fd, &size, &verified, &err)) {
        code = app_fail_storage(app, &err);
    } else if (app->settings->json) {
        json_line_print(json_pack("{so ss sI ss sf}", "source", json_text(file), "destination",
                                  place.text, "size", (json_int_t)size, "verified",
                                  storage_verified_name(verified), "seconds",
                                  clock_seconds() - began));
    } else {
        log_info(&app->log, "put %llu bytes to %s, verified by %s", (unsigned long long)size,
                 place.text, storage_verified_name(verified));
    }
done:
    if (fd >= 0 && !standard_input) {
        close(fd);
    }
    place_close(&place);
    return code;
}

enum exit_code command_mb(struct app *app)
{
    struct place place;
    struct storage_error err;
    enum exit_code code = open_only(&place, app, "mb");
    if (!code && place.url.kind == STORAGE_S3 && place.url.key[0]) {
        code = app_fail(app, EXIT_USAGE, "mb %s: it must name a bucket; a store has no folders",
                        place.text);
    } else if (!code && storage_make_bucket(place.store, place.url.key, &err)) {
        code = app_fail_storage(app, &err);
    } else if (!code && app->settings->json) {
        json_line_print(json_pack("{so}", "made", json_text(place.text)));
    }
    place_close(&place);
    return code;
}
