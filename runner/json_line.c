#include "runner/json_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

void json_line_print(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(object);
    printf("%s\n", text ? text : "{}");
    free(text);
}

json_t *json_text(const char *text)
{
    json_t *string = json_string(text);
    if (string) {
        return string;
    }
    char *copy = strdup(text);
    for (char *at = copy; at && *at; at++) {
        *at = (unsigned char)*at < 0x80 ? *at : '?';
    }
    string = copy ? json_string(copy) : NULL;
    free(copy);
    return string ? string : json_string("");
}
