/*
 * content_type.c - the Content-Type by a key's extension, for browsers and consoles that show what
 * lies in a bucket.
 *
 * Source: the IANA media type registry, with Debian's /etc/mime.types for the x- names. A short
 * table on purpose: whatever is not in it, checkpoints and datasets among them, is bytes.
 */
#include "storage/s3/extras.h"

#include <string.h>
#include <strings.h>

#include "storage/storage_banned.h"

static const struct {
    const char *extension;
    const char *type;
} types[] = {
    {"bz2", "application/x-bzip2"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript"},
    {"json", "application/json"},
    {"log", "text/plain"},
    {"md", "text/markdown"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tgz", "application/gzip"},
    {"tsv", "text/tab-separated-values"},
    {"txt", "text/plain"},
    {"wav", "audio/x-wav"},
    {"webp", "image/webp"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

const char *content_type_of(const char *key)
{
    const char *dot = strrchr(key, '.');
    const char *slash = strrchr(key, '/');
    if (dot && (!slash || dot > slash)) {
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            if (strcasecmp(dot + 1, types[i].extension) == 0) {
                return types[i].type;
            }
        }
    }
    return "application/octet-stream";
}

const char *extras_content_type(const struct extras *extras, const char *key)
{
    return extras->content_type ? extras->content_type : content_type_of(key);
}
