/*
 * verify.c - see verify.h. A few threads take lines of the manifest in turn, so that looking at
 * many small objects does not wait for one answer after another.
 */
#include "runner/commands/verify.h"
#include "runner/json_line.h"
#include "runner/manifest.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

enum {
    VERIFY_THREADS = 16,
    PIECE = 4 * 1024 * 1024 /* bytes read at once */
};

enum finding {
    FOUND_SAME,
    FOUND_MISSING,
    FOUND_SIZE,
    FOUND_CRC32,
    FOUND_FAILURE, /* it could not be looked at */
    FINDINGS
};

struct verify {
    struct app *app;
    struct place *place;

    pthread_mutex_t lock; /* over what follows, and what is printed */
    struct manifest_reader *reader;
    enum manifest_answer answer; /* of the last line taken */
    bool given_up;
    uint64_t counts[FINDINGS];
    uint64_t bytes; /* of those that are the same */
    uint64_t by_reading;
    enum storage_code first_failure;
};

/* What one look came to. */
struct look {
    enum finding finding;
    struct storage_info info;
    uint32_t crc32;
    bool was_read;
    struct storage_error err;
};

/* ---- looking -------------------------------------------------------------------------------- */

/* Sums the bytes up; the first answer's ETag holds for the rest. */
static enum storage_code sum_bytes(struct verify *verify, const char *key, struct look *look,
                                   char **piece)
{
    uint64_t offset = 0;
    size_t got = 0;
    look->crc32 = 0;
    look->was_read = true;
    *piece = *piece ? *piece : malloc(PIECE);
    if (!*piece) {
        memset(&look->err, 0, sizeof look->err);
        snprintf(look->err.message, sizeof look->err.message, "read %.1000s: no memory", key);
        return look->err.code = STORAGE_BUG;
    }
    while (offset < look->info.size) {
        enum storage_code code = storage_read(verify->place->store, key, offset, *piece, PIECE,
                                              look->info.etag, &got, NULL, &look->err);
        if (code) {
            return code;
        }
        if (got == 0) {
            break; /* it got shorter: the sum will tell */
        }
        look->crc32 = storage_crc32(look->crc32, *piece, got);
        offset += got;
    }
    return STORAGE_OK;
}

static void look_at(struct verify *verify, const struct manifest_file *file, struct look *look,
                    char **piece)
{
    char key[STORAGE_PATH_MAX];
    memset(look, 0, sizeof *look);
    if (!storage_join(key, sizeof key, verify->place->url.key, file->name)) {
        look->finding = FOUND_MISSING; /* no such name can be there */
        return;
    }
    enum storage_code code = storage_stat(verify->place->store, key, &look->info, &look->err);
    if (code == STORAGE_NOT_FOUND && strcmp(look->err.service_code, "NoSuchBucket") != 0) {
        look->finding = FOUND_MISSING;
        return;
    }
    if (code == STORAGE_OK && (look->info.is_directory || look->info.size != file->size)) {
        look->finding = FOUND_SIZE;
        return;
    }
    if (code == STORAGE_OK && file->has_crc32 && look->info.has_crc32) {
        look->crc32 = look->info.crc32;
    } else if (code == STORAGE_OK && file->has_crc32) {
        code = sum_bytes(verify, key, look, piece);
    }
    look->finding = code != STORAGE_OK                              ? FOUND_FAILURE
                    : file->has_crc32 && look->crc32 != file->crc32 ? FOUND_CRC32
                                                                    : FOUND_SAME;
}

/* ---- telling -------------------------------------------------------------------------------- */

static void print_finding(const struct verify *verify, const struct manifest_file *file,
                          const struct look *look)
{
    static const char *const words[] = {
        [FOUND_MISSING] = "missing", [FOUND_SIZE] = "size", [FOUND_CRC32] = "crc32"};
    const char *word = words[look->finding];
    bool by_size = look->finding == FOUND_SIZE;
    char is[32] = "";
    char expected[32] = "";
    if (by_size) {
        snprintf(is, sizeof is, "%llu", (unsigned long long)look->info.size);
        snprintf(expected, sizeof expected, "%llu", (unsigned long long)file->size);
    } else if (look->finding == FOUND_CRC32) {
        snprintf(is, sizeof is, "%08x", look->crc32);
        snprintf(expected, sizeof expected, "%08x", file->crc32);
    }
    if (verify->app->settings->json) {
        json_t *line = json_pack("{so ss}", "name", json_text(file->name), "problem", word);
        if (by_size) {
            json_object_set_new(line, "size", json_integer((json_int_t)look->info.size));
            json_object_set_new(line, "expected", json_integer((json_int_t)file->size));
        } else if (look->finding == FOUND_CRC32) {
            json_object_set_new(line, "crc32", json_string(is));
            json_object_set_new(line, "expected", json_string(expected));
        }
        json_line_print(line);
    } else if (look->finding == FOUND_MISSING) {
        printf("%-8s %s\n", word, file->name);
    } else {
        printf("%-8s %s: %s, expected %s\n", word, file->name,
               look->info.is_directory ? "a folder" : is, expected);
    }
}

static void tell(struct verify *verify, const struct manifest_file *file, const struct look *look)
{
    verify->counts[look->finding]++;
    verify->by_reading += look->was_read;
    switch (look->finding) {
    case FOUND_SAME:
        verify->bytes += file->size;
        break;
    case FOUND_FAILURE:
        verify->first_failure = verify->first_failure ? verify->first_failure : look->err.code;
        verify->given_up = verify->given_up || look->err.code == STORAGE_STOPPED ||
                           strcmp(look->err.service_code, "NoSuchBucket") == 0;
        app_fail_storage(verify->app, &look->err);
        break;
    default:
        print_finding(verify, file, look);
    }
}

static void *run(void *context)
{
    struct verify *verify = context;
    struct manifest_file *file = malloc(sizeof *file);
    struct look *look = malloc(sizeof *look);
    char *piece = NULL;
    bool more = file && look;
    while (more) {
        pthread_mutex_lock(&verify->lock);
        more = verify->answer == MANIFEST_FILE && !verify->given_up &&
               (verify->answer = manifest_next(verify->reader, file)) == MANIFEST_FILE;
        pthread_mutex_unlock(&verify->lock);
        if (more) {
            look_at(verify, file, look, &piece);
            pthread_mutex_lock(&verify->lock);
            if (!verify->given_up) {
                tell(verify, file, look);
            }
            pthread_mutex_unlock(&verify->lock);
        }
    }
    free(piece);
    free(look);
    free(file);
    return NULL;
}

static uint64_t count_different(const struct verify *verify)
{
    return verify->counts[FOUND_MISSING] + verify->counts[FOUND_SIZE] + verify->counts[FOUND_CRC32];
}

static enum exit_code conclude(struct verify *verify, const char *path, double seconds)
{
    struct app *app = verify->app;
    const uint64_t *counts = verify->counts;
    char bytes[32];
    uint64_t different = count_different(verify);
    uint64_t files = different + counts[FOUND_SAME] + counts[FOUND_FAILURE];
    if (verify->answer == MANIFEST_BAD) {
        return app_fail(app, EXIT_DATA, "read manifest %s: %s", path,
                        manifest_message(verify->reader));
    }
    if (app->settings->json) {
        json_line_print(json_pack(
            "{s{sI sI sI sI sI sI sf}}", "summary", "files", (json_int_t)files, "bytes",
            (json_int_t)verify->bytes, "missing", (json_int_t)counts[FOUND_MISSING], "size",
            (json_int_t)counts[FOUND_SIZE], "crc32", (json_int_t)counts[FOUND_CRC32], "failed",
            (json_int_t)counts[FOUND_FAILURE], "seconds", seconds));
    }
    if (verify->answer == MANIFEST_END && !manifest_is_complete(verify->reader)) {
        log_warn(&app->log, "the copy that wrote %s had not copied all", path);
    }
    if (different > 0) {
        return app_fail(app, EXIT_INTEGRITY, "verify %s: %llu of %llu files differ from %s",
                        verify->place->text, (unsigned long long)different,
                        (unsigned long long)files, path);
    }
    if (verify->first_failure) {
        return exit_code_of_storage(verify->first_failure); /* it was told */
    }
    format_bytes(bytes, sizeof bytes, verify->bytes);
    log_info(&app->log, "verified %llu files, %s, as %s says; %llu of them by reading them",
             (unsigned long long)files, bytes, path, (unsigned long long)verify->by_reading);
    return EXIT_DONE;
}

enum exit_code verify_manifest(struct app *app, struct place *place, const char *path)
{
    struct verify verify = {.app = app, .place = place};
    pthread_t threads[VERIFY_THREADS];
    unsigned started = 0;
    double began = clock_seconds();
    verify.reader = manifest_open(path);
    if (!verify.reader) {
        return app_fail(app, errno == ENOENT ? EXIT_MISSING : EXIT_DISK, "open %s: %s", path,
                        strerror(errno));
    }
    pthread_mutex_init(&verify.lock, NULL);
    while (started < VERIFY_THREADS && pthread_create(&threads[started], NULL, run, &verify) == 0) {
        started++;
    }
    if (started == 0) {
        run(&verify);
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    enum exit_code code = conclude(&verify, path, clock_seconds() - began);
    pthread_mutex_destroy(&verify.lock);
    manifest_close(verify.reader);
    return code;
}
