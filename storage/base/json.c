#include "storage/base/json.h"

#include "storage/base/digest.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    NAME_MAX_BYTES = 128
};

struct json {
    json_t *root;
};

/* jansson bounds the depth (JSON_PARSER_MAX_DEPTH), and so this recursion. */
static void wipe(json_t *value) /* NOLINT(misc-no-recursion) */
{
    const char *name = NULL;
    json_t *member = NULL;
    size_t i = 0;
    if (json_is_string(value)) {
        char *text = (char *)json_string_value(value); /* its own heap copy */
        digest_wipe(text, json_string_length(value));
    } else if (json_is_object(value)) {
        json_object_foreach(value, name, member)
        {
            wipe(member);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            wipe(member);
        }
    }
}

struct json *json_parse(const char *data, size_t size)
{
    struct json *json = calloc(1, sizeof *json);
    if (!json) {
        return NULL;
    }
    json->root = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json->root)) {
        json_free(json);
        return NULL;
    }
    return json;
}

void json_free(struct json *json)
{
    if (!json) {
        return;
    }
    wipe(json->root);
    json_decref(json->root);
    free(json);
}

static json_t *find(const struct json *json, const char *path)
{
    json_t *value = json ? json->root : NULL;
    while (value && *path) {
        char name[NAME_MAX_BYTES];
        size_t length = strcspn(path, "/");
        if (length >= sizeof name) {
            return NULL;
        }
        memcpy(name, path, length);
        name[length] = '\0';
        value = json_object_get(value, name);
        path += length + (path[length] == '/');
    }
    return value;
}

const char *json_find_text(const struct json *json, const char *path)
{
    const char *text = json_string_value(find(json, path));
    return text && strlen(text) == json_string_length(find(json, path)) ? text : NULL;
}

bool json_find_whole(const struct json *json, const char *path, int64_t *number)
{
    json_t *value = find(json, path);
    if (!json_is_integer(value)) {
        return false;
    }
    *number = json_integer_value(value);
    return true;
}
