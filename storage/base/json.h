/*
 * json.h - small JSON documents that others wrote, read; json.c alone knows jansson in storage/.
 *
 * What is read may be secret: every text of a document is wiped before it is freed.
 */
#ifndef STORAGE_JSON_H
#define STORAGE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

/* Reads one whole object; NULL: it is none, or there is no memory. */
struct json *json_parse(const char *data, size_t size);
void json_free(struct json *json); /* NULL is fine */

/*
 * The text at a path of member names, "credential/access"; NULL: there is none, it is no text, or
 * holds a NUL. json NULL is fine. Lives as long as json.
 */
const char *json_find_text(const struct json *json, const char *path);
/* The whole number at a path; false: there is none. */
bool json_find_whole(const struct json *json, const char *path, int64_t *number);

#endif
