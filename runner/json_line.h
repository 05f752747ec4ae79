/* json_line.h - one JSON object a line on stdout, the form of every --json. */
#ifndef RUNNER_JSON_LINE_H
#define RUNNER_JSON_LINE_H

#include <jansson.h>

/* Prints compactly, in ASCII, and takes the reference. */
void json_line_print(json_t *object);
/* A JSON string of any bytes: what is not UTF-8 is shown with its odd bytes as '?'. Never NULL. */
json_t *json_text(const char *text);

#endif
